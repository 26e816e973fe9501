"""What a compiled program reads before it runs and writes while it does: its parameters, its plan, its records."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.backends.connectivity import synaptic_weights
from brian_snn.backends.shared_kernel import input_of_source, weights_by_target
from brian_snn.errors import SimulationError
from brian_snn.simulation.records import Plan, record_dtype
from brian_snn.simulation.runs import RunConstants, RunOutputs
from brian_snn.simulation.topology import Link, Topology

#: Work that is worth another thread, in additions of a weight or neurons that are advanced: some 5 us, several times
#: what it takes to hand it over.
LEAST_WORK = 2**14


def write_parameters(
    folder: Path, topology: Topology, constants: RunConstants, called: Path | None = None
) -> list[str]:
    """Write all arrays that are the same for every image and return the binary's arguments.

    Parameters
    ----------
    called : Path, optional
        What the folder is for the binary, where that is another path.
    """
    arguments = []

    def pass_array(name: str, values: NDArray[Any]) -> None:
        write_array(folder / f"{name}.bin", np.ascontiguousarray(values))
        arguments.append(f"{name}={(called or folder) / name}.bin")

    for position, layer in enumerate(topology.layers):
        group = f"population_{position}"
        for name in layer.model.constants:
            value = constants.named[position][name]
            if isinstance(value, np.ndarray):
                pass_array(f"{group}.{name}", value.astype(layer.float_type if name in layer.model.charges else float))
            else:
                arguments.append(f"{group}.{name}={value!r}")
        if layer.has_membrane:
            arguments.append(f"{group}.v_thr={constants.thresholds[position]!r}")
            arguments.append(f"{group}.v_start={constants.v_init[position]!r}")
            arguments.append(f"{group}.clamp_steps={constants.clamp_steps[position]}")
            if not layer.sees_image:
                pass_array(f"{group}.current", constants.bias[position].astype(layer.float_type))
    for link in topology.links:
        weights = link.weights_of(constants.weights[link.index])
        if weights is not None:
            weights = weights.astype(topology.layers[link.target].float_type)
        for variable, values in link_arrays(link, weights, topology.layers[link.source].size):
            if values.size:
                pass_array(f"{link.name}.{variable}", values)
    return arguments


def write_array(path: Path, values: NDArray[Any]) -> None:
    """Write the bytes of a contiguous array; unlike NumPy, Python says why it cannot."""
    with path.open("wb") as file:
        file.write(values.data)


def link_arrays(link: Link, weights: NDArray[Any] | None, n_source: int) -> list[tuple[str, NDArray[Any]]]:
    """Return the run-time arrays of a link by the name of their variable."""
    if not link.shared:
        return [] if weights is None else [("w", synaptic_weights(link, weights, n_source))]
    arrays: list[tuple[str, NDArray[Any]]] = []
    if weights is not None:
        arrays.append(("weights", weights_by_target(link.geometry, weights)))
    if link.source_index is not None:
        arrays.append(("input_of_source", input_of_source(link, n_source)))
    if link.target_index is not None:
        arrays.append(("target_of_output", link.target_index))
    return arrays


def write_plan(folder: Path, plan: Plan, threads: int) -> None:
    """Write on how many threads to run, how long, and when to pause."""
    lines = [f"{threads} {LEAST_WORK}", f"{plan.steps} {len(plan.stops)}"]
    lines += [" ".join(map(str, (stop.step, len(stop.snapshots), *stop.snapshots))) for stop in plan.stops]
    (folder / "plan.txt").write_text("\n".join(lines) + "\n", "utf-8")


def read_shard(folder: Path, topology: Topology, plan: Plan, n_images: int) -> RunOutputs:
    """Read what a process wrote about one shard."""
    layout, path = record_dtype(topology, plan), folder / "images.bin"
    written = path.stat().st_size // layout.itemsize
    if written != n_images:
        raise SimulationError(f"the compiled simulation wrote {written} images instead of {n_images}.")
    records = _fields_of_one(path, layout) if n_images == 1 else _fields(path, layout)
    spikes, traces = {}, {}
    for position, layer in enumerate(topology.layers):
        if layer.record_spikes:
            data = (folder / f"spikes_{position}.bin").read_bytes()
            spikes[position] = read_spikes(data, n_images, layer.model.graded)
        if layer.record_potentials:
            trace = np.fromfile(folder / f"trace_{position}.bin", layer.float_type).astype(np.float64)
            traces[position] = trace.reshape(n_images, plan.steps, layer.size)
    return RunOutputs(records, spikes, traces)


def _fields(path: Path, layout: np.dtype[Any]) -> dict[str, NDArray[Any]]:
    """Return the fields of all records, (n_images, *shape of the field)."""
    records = np.memmap(path, layout, "r")
    return {name: np.array(records[name]) for name in layout.names or ()}


def _fields_of_one(path: Path, layout: np.dtype[Any]) -> dict[str, NDArray[Any]]:
    """Return the fields of the only record: one behind the other, so that a large one is never in memory twice."""
    fields = {}
    with path.open("rb") as file:
        for name in layout.names or ():
            kind = layout[name]
            fields[name] = np.fromfile(file, kind.base, math.prod(kind.shape)).reshape(1, *kind.shape)
    return fields


def read_spikes(data: bytes, n_images: int, graded: bool = False) -> NDArray[Any]:
    """Decode one population's spikes: for each image their number, the neurons, the times, and their sizes if any."""
    parts, offset = [], 0
    for image in range(n_images):
        (count,) = np.frombuffer(data, np.int64, 1, offset)
        neurons = np.frombuffer(data, np.int32, count, offset + 8)
        times = np.frombuffer(data, np.float64, count, offset + 8 + 4 * count)
        offset += 8 + 12 * int(count)
        # The clock runs in steps of 1 ms; a spike at t = 0 belongs to the first step.
        steps = np.round(times * 1000).astype(np.int32) + 1
        rows = np.column_stack([np.full(count, image, np.int32), steps, neurons])
        if graded:
            rows = np.repeat(rows, np.frombuffer(data, np.int32, count, offset), axis=0)
            offset += 4 * int(count)
        parts.append(rows)
    return np.concatenate(parts)

"""Run a compiled simulation: one process a shard of images, all sharing one binary.

Weights, thresholds, clamp times and biases go to the binary through Brian2's own command line (``name=file``), the
hook behind ``device.run(run_args=...)``; images, steps and stops through the plan that the loop over images reads.
Nothing of it is compiled in.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.conversion.graph import FloatArray
from brian_snn.errors import OutputError, SimulationError
from brian_snn.simulation.build_cache import Build
from brian_snn.simulation.connectivity import synaptic_weights
from brian_snn.simulation.records import Plan, record_dtype
from brian_snn.simulation.runs import RunInputs, RunOutputs, join
from brian_snn.simulation.shared import input_of_source, weights_by_target
from brian_snn.simulation.topology import Link, Topology


def run_standalone(
    build: Build,
    topology: Topology,
    plan: Plan,
    inputs: RunInputs,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> RunOutputs:
    """Simulate all images and return what was recorded, in the order of the images.

    Raises
    ------
    SimulationError
        If a process stopped before its end; with its last words.
    OutputError
        If the temporary folder cannot hold the results.
    """
    shards = np.array_split(np.arange(inputs.n_images), min(workers, inputs.n_images))
    try:
        with tempfile.TemporaryDirectory(prefix="brian_snn_") as name:
            folder = Path(name)
            arguments = _write_parameters(folder, topology, inputs)
            folders = [_write_shard(folder, number, plan, inputs, shard) for number, shard in enumerate(shards)]
            _run_processes(build, folders, arguments, inputs.n_images, progress)
            return join([_read_shard(f, topology, plan, len(s)) for f, s in zip(folders, shards, strict=True)])
    except OSError as error:
        raise OutputError(
            f"cannot write in {tempfile.gettempdir()}: {error.strerror or error}. Is the disk full?"
        ) from error


def _write_parameters(folder: Path, topology: Topology, inputs: RunInputs) -> list[str]:
    """Write all arrays that are the same for every image and return the binary's arguments."""
    arguments = []

    def pass_array(name: str, values: NDArray[Any]) -> None:
        path = folder / f"{name}.bin"
        np.ascontiguousarray(values).tofile(path)
        arguments.append(f"{name}={path}")

    for position, layer in enumerate(topology.layers):
        if layer.has_membrane:
            group = f"population_{position}"
            arguments.append(f"{group}.v_thr={inputs.threshold!r}")
            arguments.append(f"{group}.v_start={inputs.v_init!r}")
            arguments.append(f"{group}.clamp_steps={inputs.clamp_steps[position]}")
            if not layer.sees_image:
                pass_array(f"{group}.current", inputs.bias[position])
    for link in topology.links:
        for variable, values in _link_arrays(link, inputs.weights[link.index], topology.layers[link.source].size):
            if values.size:
                pass_array(f"projection_{link.index}.{variable}", values)
    return arguments


def _link_arrays(link: Link, weights: FloatArray | None, n_source: int) -> list[tuple[str, NDArray[Any]]]:
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


def _write_shard(folder: Path, number: int, plan: Plan, inputs: RunInputs, images: NDArray[np.int_]) -> Path:
    """Write the plan and the input currents of one process."""
    shard = folder / f"shard_{number}"
    shard.mkdir()
    lines = [f"{len(images)} {plan.steps} {len(plan.stops)}"]
    lines += [" ".join(map(str, (stop.step, len(stop.snapshots), *stop.snapshots))) for stop in plan.stops]
    (shard / "plan.txt").write_text("\n".join(lines) + "\n", "utf-8")
    for position, currents in inputs.currents.items():
        np.ascontiguousarray(currents[images], np.float64).tofile(shard / f"current_{position}.bin")
    return shard


def _start(build: Build, folder: Path, arguments: list[str]) -> subprocess.Popen[str]:
    """Start the binary on the files of one folder."""
    command = [str(build.folder / "main"), "--results_dir", f"{folder}/", *arguments]
    with (folder / "errors.txt").open("wb") as errors:
        return subprocess.Popen(command, cwd=build.folder, stdout=subprocess.PIPE, stderr=errors, text=True)


def _run_processes(
    build: Build,
    folders: list[Path],
    arguments: list[str],
    n_images: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Run one process a folder, side by side, and report each image as it is done."""
    processes = [_start(build, folder, arguments) for folder in folders]
    lock = threading.Lock()
    done = 0

    def follow(process: subprocess.Popen[str]) -> None:
        nonlocal done
        assert process.stdout is not None, "the process was started with a pipe"
        for line in process.stdout:
            if line.strip() == "image":
                with lock:
                    done += 1
                    if progress:
                        progress(done, n_images)

    followers = [threading.Thread(target=follow, args=(process,), daemon=True) for process in processes]
    try:
        for follower in followers:
            follower.start()
        codes = [process.wait() for process in processes]
        for follower in followers:
            follower.join()
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    for folder, code in zip(folders, codes, strict=True):
        errors = (folder / "errors.txt").read_text("utf-8", errors="replace").strip()
        # Brian2 reports an array of the wrong size on standard error and goes on; here that is an error.
        if code or errors:
            last = errors.splitlines()[-1] if errors else "no message"
            raise SimulationError(f"the compiled simulation stopped with exit code {code}: {last}")


def _read_shard(folder: Path, topology: Topology, plan: Plan, n_images: int) -> RunOutputs:
    """Read what one process wrote."""
    records = np.fromfile(folder / "images.bin", record_dtype(topology, plan))
    if len(records) != n_images:
        raise SimulationError(f"the compiled simulation wrote {len(records)} images instead of {n_images}.")
    spikes, traces = {}, {}
    for position, layer in enumerate(topology.layers):
        if layer.record_spikes:
            spikes[position] = _read_spikes((folder / f"spikes_{position}.bin").read_bytes(), n_images)
        if layer.record_potentials:
            trace = np.fromfile(folder / f"trace_{position}.bin", np.float64)
            traces[position] = trace.reshape(n_images, plan.steps, layer.size)
    return RunOutputs(records, spikes, traces)


def _read_spikes(data: bytes, n_images: int) -> NDArray[Any]:
    """Decode one population's spikes: for each image their number, the neurons, the times."""
    parts, offset = [], 0
    for image in range(n_images):
        (count,) = np.frombuffer(data, np.int64, 1, offset)
        neurons = np.frombuffer(data, np.int32, count, offset + 8)
        times = np.frombuffer(data, np.float64, count, offset + 8 + 4 * count)
        offset += 8 + 12 * int(count)
        # The clock runs in steps of 1 ms; a spike at t = 0 belongs to the first step.
        steps = np.round(times * 1000).astype(np.int32) + 1
        parts.append(np.column_stack([np.full(count, image, np.int32), steps, neurons]))
    return np.concatenate(parts)

"""What a run writes down and when: the plan of a run, and the layout of one image's record.

A `Plan` lists the steps at which a run pauses: checkpoints, and the steps at which the clamp lets a layer go. Both
backends produce the same structured array, one element per image; `collect` turns it into the fields of a `Result`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.conversion.graph import INPUT, Network
from brian_snn.errors import SettingError
from brian_snn.simulation.neurons import CHARGES
from brian_snn.simulation.parameters import Parameters
from brian_snn.simulation.result import estimate_logits, heard_steps, window_start
from brian_snn.simulation.settings import Recording, Settings
from brian_snn.simulation.topology import Layer, Topology


@dataclass(frozen=True)
class Stop:
    """A pause after `step` steps, at which the spike counts of some layers are copied."""

    step: int
    snapshots: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """Number of steps, and the stops in ascending order."""

    steps: int
    stops: tuple[Stop, ...]


def make_plan(network: Network, settings: Settings, checkpoints: Sequence[int], record_counts: Sequence[str]) -> Plan:
    """Return when to pause and what to copy.

    Raises
    ------
    SettingError
        If a checkpoint lies outside the run, or a population to record does not exist or never spikes.
    """
    positions = {population.name: position for position, population in enumerate(network.populations)}
    snapshots: dict[int, set[int]] = {}
    for name in record_counts:
        if name not in positions:
            raise SettingError(f"cannot record {name!r}: the network's populations are {', '.join(positions)}.")
        if network[name].kind == "readout" and settings.readout == "potential":
            raise SettingError(f"cannot record the spike counts of {name!r}: it is a readout that only integrates.")
    for step in checkpoints:
        if not 1 <= step <= settings.steps:
            raise SettingError(f"checkpoint {step} lies outside the run; it must be 1 to {settings.steps}.")
        snapshots.setdefault(int(step), set()).update(positions[name] for name in record_counts)
    for name, start in early_counts_needed(network, settings):
        snapshots.setdefault(start, set()).add(positions[name])
    return Plan(settings.steps, tuple(Stop(step, tuple(sorted(snapshots[step]))) for step in sorted(snapshots)))


def early_counts_needed(network: Network, settings: Settings) -> set[tuple[str, int]]:
    """Return (source, step) wherever the spikes up to `step` are not heard by a target, or none after it are.

    A target listens from the start of its window; with a delay it hears nothing of what is sent at the end.
    """
    needed = set()
    for projection in network.projections:
        if projection.source != INPUT:
            source = network[projection.source]
            for step in heard_steps(network[projection.target], settings):
                if window_start(source, settings) < step < settings.steps:
                    needed.add((source.name, step))
    return needed


def record_dtype(topology: Topology, plan: Plan) -> np.dtype[Any]:
    """Return the layout of one image's record, field by field as the compiled loop writes it."""
    layers = list(enumerate(topology.layers))
    fields: list[tuple[str, str, tuple[int, ...]]] = []
    for number, stop in enumerate(plan.stops):
        fields += [(f"stop{number}_total_{k}", "<i8", ()) for k, layer in layers if layer.model.threshold]
        last = layers[-1][1]
        fields += [
            (f"stop{number}_output_{name}", _kind(last, name), (last.size,))
            for name in ("n_spikes", "v")
            if name in last.model.outputs
        ]
        fields += [(f"stop{number}_counts_{k}", "<i4", (topology.layers[k].size,)) for k in stop.snapshots]
    fields += [
        (f"{name}_{k}", _kind(layer, name), (layer.size,)) for k, layer in layers for name in layer.model.outputs
    ]
    return np.dtype(fields)


def _kind(layer: Layer, variable: str) -> str:
    """Return the type of a variable that is reported at the end of a run."""
    return np.dtype(layer.float_type).str if variable in CHARGES else "<i4"


def collect(
    records: NDArray[np.void],
    network: Network,
    settings: Settings,
    parameters: Parameters,
    plan: Plan,
    recording: Recording,
) -> dict[str, Any]:
    """Return the fields of a `Result` that come from the records."""
    checkpoints = recording.checkpoints
    n_images = len(records)
    names = records.dtype.names or ()

    def found(variable: str, dtype: type = np.float64) -> dict[str, NDArray[Any]]:
        return {
            p.name: records[f"{variable}_{k}"].reshape(n_images, *p.shape).astype(dtype)
            for k, p in enumerate(network.populations)
            if f"{variable}_{k}" in names
        }

    def final(variable: str, dtype: type) -> dict[str, NDArray[Any]]:
        zeros: dict[str, NDArray[Any]] = {p.name: np.zeros((n_images, *p.shape), dtype) for p in network.populations}
        return zeros | found(variable, dtype)

    numbers = {stop.step: number for number, stop in enumerate(plan.stops)}
    positions = {population.name: position for position, population in enumerate(network.populations)}

    def counts_at(name: str, step: int) -> NDArray[Any]:
        field = records[f"stop{numbers[step]}_counts_{positions[name]}"]
        return field.reshape(n_images, *network[name].shape).copy()

    def logits_at(step: int) -> NDArray[np.float64]:
        prefix = f"stop{numbers[step]}_output_"
        output = network.output
        spikes, v = (records[prefix + x] if prefix + x in names else None for x in ("n_spikes", "v"))
        return estimate_logits(output, settings, parameters.v_init, parameters.threshold, step, spikes, v)

    return {
        "spike_counts": final("n_spikes", np.int32),
        "potentials": final("v", np.float64),
        "charge": final("charge", np.float64),
        "surplus": final("surplus", np.float64),
        "leaked": found("leaked"),
        "missed": found("missed"),
        "early_counts": {(name, step): counts_at(name, step) for name, step in early_counts_needed(network, settings)},
        "checkpoints": np.array(checkpoints, np.int32),
        "output_history": np.array([logits_at(step) for step in checkpoints]) if checkpoints else None,
        "count_history": {name: np.array([counts_at(name, step) for step in checkpoints]) for name in recording.counts},
        "total_counts": {
            name: np.array([records[f"stop{numbers[step]}_total_{k}"] for step in checkpoints])
            for name, k in positions.items()
            if checkpoints and f"stop{numbers[checkpoints[0]]}_total_{k}" in names
        },
    }

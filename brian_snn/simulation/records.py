"""What a run writes down and when: the plan of a run, and the layout of one image's record.

A `Plan` lists the steps at which a run pauses: checkpoints, and the steps at which the clamp lets a layer go. Both
backends produce the same structured array, one element per image; `collect` turns it into the fields of a `Result`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray, side_by_side
from brian_snn.errors import SettingError
from brian_snn.network.network import Network
from brian_snn.network.output import answer_of
from brian_snn.network.parameters import Parameters
from brian_snn.network.roles import early_counts_needed, has_spikes
from brian_snn.neurons.record import NEGATIVE
from brian_snn.neurons.table import BOOKS
from brian_snn.results.arrays import ByPopulation
from brian_snn.results.charges import Charges, balances
from brian_snn.results.heads import estimate_logits
from brian_snn.settings import Recording, Settings
from brian_snn.simulation.topology import Layer, Topology

#: Checkpoints where none are asked for; at first several fall on the same step.
_N_CHECKPOINTS = 32

#: A larger output, such as one of a class for every pixel, is kept where it is asked for.
_OUTPUT_NUMBERS = 2**12


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


def with_checkpoints(recording: Recording, network: Network, settings: Settings) -> Recording:
    """Return the recording with checkpoints where none were asked for: classes are named better step by step.

    They follow each other at growing distances, since much happens at first. In process every stop costs as much as
    many steps, and counts of neurons are noted where they were asked for: there are none then.
    """
    if recording.checkpoints is not None:
        return recording
    names_classes = answer_of(network).names_classes and network.output.size <= _OUTPUT_NUMBERS
    wanted = names_classes and settings.backend == "standalone" and not recording.record_counts
    return replace(recording, checkpoints=spread_steps(settings.steps) if wanted else [])


def spread_steps(steps: int) -> list[int]:
    """Return the steps of a run at which something happens: close together at first, and the last one."""
    return np.unique(np.geomspace(1, steps, _N_CHECKPOINTS).round()).astype(int).tolist()


def make_plan(network: Network, settings: Settings, checkpoints: Sequence[int], record_counts: Sequence[str]) -> Plan:
    """Return when to pause and what to copy.

    Raises
    ------
    SettingError
        If a checkpoint lies outside the run, or there is none for the counts to record, or a population to record
        does not exist or never spikes.
    """
    if record_counts and not checkpoints:
        raise SettingError(
            f"record_counts is {tuple(record_counts)!r}; counts are noted at checkpoints, of which there are none."
        )
    positions = {population.name: position for position, population in enumerate(network.populations)}
    snapshots: dict[int, set[int]] = {}
    for name in record_counts:
        if name not in positions:
            raise SettingError(f"cannot record {name!r}: the network's populations are {', '.join(positions)}.")
        if not has_spikes(network[name], settings):
            raise SettingError(f"cannot record the spike counts of {name!r}: it is a readout that only integrates.")
    for step in checkpoints:
        if not 1 <= step <= settings.steps:
            raise SettingError(f"checkpoint {step} lies outside the run; it must be 1 to {settings.steps}.")
        snapshots.setdefault(int(step), set()).update(positions[name] for name in record_counts)
    for name, start in early_counts_needed(network, settings):
        snapshots.setdefault(start, set()).add(positions[name])
    return Plan(settings.steps, tuple(Stop(step, tuple(sorted(snapshots[step]))) for step in sorted(snapshots)))


def record_dtype(topology: Topology, plan: Plan) -> np.dtype[Any]:
    """Return the layout of one image's record, field by field as the compiled loop writes it."""
    layers = list(enumerate(topology.layers))
    fields: list[tuple[str, str, tuple[int, ...]]] = []
    for number, stop in enumerate(plan.stops):
        fields += [(f"stop{number}_total_{k}", "<i8", ()) for k, layer in layers if layer.model.threshold]
        fields += [
            (f"stop{number}_output_{k}_{name}", _kind(topology.layers[k], name), (topology.layers[k].size,))
            for k in topology.outputs
            for name in ("n_spikes", "v")
            if name in topology.layers[k].model.outputs
        ]
        fields += [(f"stop{number}_counts_{k}", "<i4", (topology.layers[k].size,)) for k in stop.snapshots]
    fields += [
        (f"{name}_{k}", _kind(layer, name), (layer.size,)) for k, layer in layers for name in layer.model.outputs
    ]
    return np.dtype(fields)


def _kind(layer: Layer, variable: str) -> str:
    """Return the type of a variable that is reported at the end of a run."""
    return np.dtype(layer.float_type).str if variable in layer.model.charges else "<i4"


def collect(
    records: Mapping[str, NDArray[Any]],
    network: Network,
    settings: Settings,
    parameters: Parameters,
    plan: Plan,
    recording: Recording,
) -> dict[str, Any]:
    """Return the fields of a `Result` that come from the records, whose arrays they take over."""
    read = _Records(records, network, plan)
    checkpoints = recording.checkpoints or ()
    logits = [side_by_side(read.logits_at(step, settings, parameters)) for step in checkpoints]
    # `Charges` works with the very dicts of the result: what is dropped from them is dropped for good.
    spike_counts = ByPopulation(read.final("n_spikes", of_all=True))
    potentials = ByPopulation(read.final("v", of_all=True))
    booked = ByPopulation({book.name: ByPopulation(read.final(book.name)) for book in BOOKS})
    return {
        "spike_counts": spike_counts,
        "potentials": potentials,
        "charge": Charges(
            balances(network, settings, parameters), spike_counts, potentials, booked, read.final("charge")
        ),
        "booked": booked,
        "negative_counts": read.final(NEGATIVE),
        "early_counts": {key: read.counts_at(*key) for key in early_counts_needed(network, settings)},
        "checkpoints": np.array(checkpoints, np.int32),
        "output_history": np.array(logits) if checkpoints else None,
        "count_history": {
            name: np.array([read.counts_at(name, step) for step in checkpoints]) for name in recording.record_counts
        },
        "total_counts": read.totals_at(checkpoints),
    }


class _Records:
    """The records of some images, field by field, named by population."""

    def __init__(self, records: Mapping[str, NDArray[Any]], network: Network, plan: Plan) -> None:
        self._records, self._network = records, network
        self._n_images = len(next(iter(records.values())))
        self._stops = {stop.step: number for number, stop in enumerate(plan.stops)}
        self._positions = {population.name: k for k, population in enumerate(network.populations)}

    def final(self, variable: str, of_all: bool = False) -> dict[str, NDArray[Any]]:
        """Return a variable at the end of the run, of the populations that have it, or zeros; charges in float64."""
        dtype, found = np.int32 if variable in ("n_spikes", NEGATIVE) else np.float64, {}
        for k, population in enumerate(self._network.populations):
            if f"{variable}_{k}" in self._records:
                found[population.name] = self._of(population.name, f"{variable}_{k}").astype(dtype, copy=False)
            elif of_all:
                found[population.name] = np.zeros((self._n_images, *population.shape), dtype)
        return found

    def counts_at(self, name: str, step: int) -> NDArray[Any]:
        """Return the spike counts of a population up to a step."""
        return self._of(name, f"stop{self._stops[step]}_counts_{self._positions[name]}")

    def logits_at(self, step: int, settings: Settings, parameters: Parameters) -> list[FloatArray]:
        """Return the logits of every output after a step."""
        return [
            estimate_logits(
                *(output, settings, parameters.of(output.name).v_init, parameters.of(output.name).threshold, step),
                *self.output_at(output.name, step),
            )
            for output in self._network.outputs
        ]

    def output_at(self, output: str, step: int) -> list[NDArray[Any] | None]:
        """Return the spike counts and the potentials of an output after a step, None for what it has not."""
        start = f"stop{self._stops[step]}_output_{self._positions[output]}"
        names = [f"{start}_{variable}" for variable in ("n_spikes", "v")]
        return [self._of(output, name) if name in self._records else None for name in names]

    def totals_at(self, steps: Sequence[int]) -> dict[str, NDArray[Any]]:
        """Return the spikes of all neurons of a population together up to some steps, (n_steps, n_images)."""
        return {
            name: np.array([self._records[f"stop{self._stops[step]}_total_{k}"] for step in steps])
            for name, k in self._positions.items()
            if steps and f"stop{self._stops[steps[0]]}_total_{k}" in self._records
        }

    def _of(self, name: str, field: str) -> NDArray[Any]:
        """Return a field in the shape of a population."""
        return self._records[field].reshape(self._n_images, *self._network[name].shape)

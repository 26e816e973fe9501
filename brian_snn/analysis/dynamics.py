"""Hold a simulation against Eq. (4) itself: the spikes and potentials that another stepper gets from the same images.

The books (charge balance, S9, S11) hold for any spikes whose potentials were worked out to fit. So each population is
also replayed: N and V(T), and step by step what was recorded, are compared with those of
`brian_snn.analysis.closed_forms` where the input is constant, and of `brian_snn.analysis.stepping` elsewhere.

A population that differs where one before it differs too may have done right with wrong spikes. It is replayed again
with the spikes that were recorded of those before it; if there are none, it is not judged for these images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from brian_snn.analysis.batching import batches
from brian_snn.analysis.closed_forms import constant_input
from brian_snn.analysis.stepping import Run, Shown, Stepper
from brian_snn.arrays import FloatArray
from brian_snn.checks import whole_number
from brian_snn.errors import SettingError
from brian_snn.network.network import Network
from brian_snn.network.parameters import Parameters
from brian_snn.network.records import INPUT, Population
from brian_snn.network.synapses import n_synapses
from brian_snn.neurons.record import Spikes
from brian_snn.progress import Progress
from brian_snn.results.result import Result
from brian_snn.settings import Settings

# How many images are replayed: a number, all, or as many as a budget of work allows.
Replay = int | Literal["auto", "all"]

#: Budget of ``replay="auto"`` in synapses times steps, where a step of a neuron counts as much as some synapses.
BUDGET = 2**33
_SYNAPSES_A_NEURON = 32

# Spikes of all steps held at a time for the largest population, a byte each.
_BATCH_SPIKES = 2**25


@dataclass
class Outcome:
    """What the replay of one population came to.

    Parameters
    ----------
    images : int
        Images for which it was judged.
    residual : float
        The largest difference: of potentials, and V_thr for each spike more or less; nan if something is no number.
    misled : int
        Images for which it was not, since it differs where `blamed` do.
    blamed : set of str
        Populations before it whose spikes differ and were not recorded.
    by_step : bool
        Whether its spikes or potentials were recorded and compared in every step.
    """

    images: int = 0
    residual: float = 0.0
    misled: int = 0
    blamed: set[str] = field(default_factory=set)
    by_step: bool = False


def check_replay(replay: Replay) -> Replay:
    """Return a valid number of images to replay.

    Raises
    ------
    SettingError
        If it is no whole number and neither ``auto`` nor ``all``.
    """
    if isinstance(replay, str):
        if replay not in ("auto", "all"):
            raise SettingError(f"replay is {replay!r}; it must be auto, all, or a number of images.")
        return replay
    return whole_number("replay", replay, 0)


def parse_replay(text: str) -> Replay:
    """Return what an option of the command line says; the errors are those of `check_replay`."""
    return check_replay(int(text) if text.isdecimal() else text)  # type: ignore[arg-type]


def replayed_images(network: Network, settings: Settings, n_images: int, replay: Replay) -> NDArray[np.intp]:
    """Return the numbers of the images to replay, evenly spread; at least one unless none are asked for."""
    if replay == "auto":
        synapses = sum(n_synapses(network, p) for p in network.projections if p.source != INPUT)
        neurons = sum(population.size for population in network.populations)
        replay = max(1, BUDGET // (settings.steps * (synapses + _SYNAPSES_A_NEURON * neurons)))
    n_chosen = n_images if replay == "all" else min(int(replay), n_images)
    return np.unique(np.linspace(0, n_images - 1, n_chosen).round().astype(np.intp)) if n_chosen else np.zeros(0, int)


def constant_residual(
    stepper: Stepper, result: Result, parameters: Parameters, population: Population, part: Result, batch: slice
) -> FloatArray:
    """Return how far a population with constant input is off, (n_images,), from its closed form if it has one.

    Parameters
    ----------
    part : Result
        One of the parts of the result.
    batch : slice
        Images of the part.
    """
    numbers = np.arange(len(part.images))[batch]
    neuron = stepper.neuron
    if not neuron.solvable:
        size = population.size * result.settings.steps
        pieces = [numbers[piece] for piece in batches(len(numbers), size, _BATCH_SPIKES)]
        runs = ((piece, stepper.run(_shown(part, piece), {})) for piece in pieces)
        return np.concatenate([_off(part, piece, population, run, parameters.threshold) for piece, run in runs])
    current = stepper.inputs.current(part.images[batch])
    n_steps, v_init = result.window_steps(population.name), parameters.v_init
    if neuron.fires:
        rule = result.settings.reset, result.settings.burst
        counts, v_end = constant_input(current, n_steps, v_init, parameters.threshold, *rule)
    else:
        counts, v_end = np.zeros(current.shape), v_init + n_steps * current
    return _difference(part, numbers, population, counts, v_end, parameters.threshold)


def replay_images(
    result: Result,
    parameters: Parameters,
    steppers: Mapping[str, Stepper],
    replay: Replay,
    progress: Progress | None = None,
) -> dict[str, Outcome]:
    """Replay the chosen images, and for populations that were recorded all of them.

    Parameters
    ----------
    result : Result
    parameters : Parameters
        Those of the simulation.
    steppers : mapping of str to Stepper
        Of every population.
    replay : "auto", "all" or int
        How many images; 0 for none.
    progress : callable, optional
        Called with (done, total) images.

    Returns
    -------
    outcomes : dict of str to Outcome
        Of every population, those that were not replayed included.
    """
    outcomes = {population.name: Outcome() for population in result.network.populations}
    chosen = replayed_images(result.network, result.settings, len(result.images), replay)
    if not chosen.size:
        return outcomes
    everything = set(outcomes)
    recorded = _with_sources(result.network, {*result.spike_trains, *result.potential_traces})
    first = done = 0
    total = len(result.images) if recorded else len(chosen)
    for part in result.parts():
        numbers = np.arange(len(part.images))
        is_chosen = np.isin(numbers + first, chosen)
        first += len(numbers)
        for group, names in ((numbers[is_chosen], everything), (numbers[~is_chosen], recorded)):
            for batch in _batches(result, group, names):
                _Replay(part, parameters, steppers, outcomes).replay(batch, names)
                done += len(batch)
                if progress:
                    progress(done, total)
    return outcomes


def _batches(result: Result, numbers: NDArray[np.intp], names: set[str]) -> Iterator[NDArray[np.intp]]:
    """Yield images a few at a time; none if there is no population to replay."""
    if names:
        largest = max(result.network[name].size for name in names)
        for batch in batches(len(numbers), largest * result.settings.steps, _BATCH_SPIKES):
            yield numbers[batch]


def _with_sources(network: Network, names: set[str]) -> set[str]:
    """Return populations with all those before them that they depend on."""
    needed = set(names)
    for population in reversed(network.populations):
        if population.name in needed:
            needed.update(p.source for p in network.into(population.name) if p.source != INPUT)
    return needed


@dataclass(frozen=True, eq=False)
class _Replay:
    """The replay of some images of a part, which adds what it finds to the outcomes."""

    part: Result
    parameters: Parameters
    steppers: Mapping[str, Stepper]
    outcomes: dict[str, Outcome]

    def replay(self, numbers: NDArray[np.intp], names: set[str]) -> None:
        """Step one population after the other, and compare it."""
        network, shown = self.part.network, _shown(self.part, numbers)
        spikes: dict[str, Spikes] = {}
        wrong: dict[str, NDArray[np.bool_]] = {}
        for position, population in enumerate(network.populations):
            name = population.name
            if name not in names:
                continue
            run = self._run(name, shown, spikes)
            residual = self._off(numbers, population, run)
            # No comparison that a nan passes.
            wrong[name], spikes[name] = ~(residual == 0), run.spikes
            self._judge(population, numbers, shown, residual, spikes, wrong)
            waiting = {p.source for later in network.populations[position + 1 :] for p in network.into(later.name)}
            spikes = {source: values for source, values in spikes.items() if source in waiting}

    def _run(self, name: str, shown: Shown, spikes: Mapping[str, Spikes]) -> Run:
        return self.steppers[name].run(shown, spikes, keep_potentials=name in self.part.potential_traces)

    def _off(self, numbers: NDArray[np.intp], population: Population, run: Run) -> FloatArray:
        return _off(self.part, numbers, population, run, self.parameters.of(population.name).threshold)

    def _judge(
        self,
        population: Population,
        numbers: NDArray[np.intp],
        shown: Shown,
        residual: FloatArray,
        spikes: Mapping[str, Spikes],
        wrong: Mapping[str, NDArray[np.bool_]],
    ) -> None:
        """Add to the outcome of a population, where it can be told apart from those before it."""
        outcome = self.outcomes[population.name]
        sources = self.steppers[population.name].inputs.sources
        misled = wrong[population.name] & np.any([wrong[source] for source in sources], axis=0)
        blamed = {source for source in sources if np.any(misled & wrong[source])}
        if blamed and blamed <= set(self.part.spike_trains):
            # Of these, right is what follows from the spikes that they did send.
            sent = {source: _dense(self.part, source, numbers)[0] for source in blamed}
            again = self._run(population.name, shown, {**spikes, **sent})
            residual = np.where(misled, self._off(numbers, population, again), residual)
            misled, blamed = np.zeros_like(misled), set()
        outcome.residual = float(np.max(residual[~misled], initial=outcome.residual))
        outcome.images += int(np.sum(~misled))
        outcome.misled += int(np.sum(misled))
        outcome.blamed |= blamed
        outcome.by_step |= population.name in self.part.spike_trains or population.name in self.part.potential_traces


def _shown(part: Result, numbers: NDArray[np.intp]) -> Shown:
    """Return some images of a part."""
    return Shown(np.asarray(part.images[numbers]), tuple(part.first_image + int(number) for number in numbers))


def _off(part: Result, numbers: NDArray[np.intp], population: Population, run: Run, threshold: float) -> FloatArray:
    """Return how far some images of a population are off its replay, (n_images,): at the end, and where recorded."""
    name = population.name
    off = _difference(part, numbers, population, run.counts, run.v_end, threshold, run.negative_counts)
    if name in part.spike_trains:
        measured, n_spikes = _dense(part, name, numbers)
        surplus = np.any(measured != run.spikes, axis=(0, 2)) | (n_spikes != run.spikes.sum(axis=(0, 2)))
        off = np.maximum(off, surplus * threshold)
    if run.potentials is not None:
        traces = np.asarray(part.potential_traces[name][numbers], np.float64).reshape(len(off), len(run.potentials), -1)
        off = np.maximum(off, np.abs(traces.swapaxes(0, 1) - run.potentials).max(axis=(0, 2), initial=0.0))
    return off


def _difference(
    part: Result,
    numbers: NDArray[np.intp],
    population: Population,
    counts: NDArray[np.generic],
    v_end: FloatArray,
    threshold: float,
    negative: NDArray[np.generic] | int = 0,
) -> FloatArray:
    """Return how far N, V(T) and negative spikes of some images are off, (n_images,), as a charge; nan if no number."""
    compared = [(part.spike_counts, counts), (part.negative_counts, negative)]
    off = np.zeros(len(numbers))
    for found, expected in compared:
        if population.name in found:
            measured = found[population.name][numbers].reshape(len(numbers), -1)
            more = np.abs(np.subtract(measured, expected, dtype=np.float64)).max(axis=1, initial=0.0)
            off = np.maximum(off, more * threshold)
    if population.kind in ("spiking", "readout"):
        potentials = part.potentials[population.name][numbers].reshape(len(numbers), -1)
        off = np.maximum(off, np.abs(potentials - v_end).max(axis=1, initial=0.0))
    return off


def _dense(part: Result, name: str, numbers: NDArray[np.intp]) -> tuple[Spikes, NDArray[np.intp]]:
    """Return the recorded spikes of some images, (steps, n_images, size), and how many there are of each.

    A burst is as many rows as it has spikes. Spikes of no step or of no neuron are counted only, so that the number
    gives them away.
    """
    train, size, n_steps = part.spike_trains[name], part.network[name].size, part.settings.steps
    places = np.full(len(part.images), -1)
    places[numbers] = np.arange(len(numbers))
    image, step, neuron = places[train[:, 0]], train[:, 1] - 1, train[:, 2]
    here = image >= 0
    inside = here & (step >= 0) & (step < n_steps) & (neuron >= 0) & (neuron < size)
    dense = np.zeros((n_steps, len(numbers), size), np.int8)
    np.add.at(dense, (step[inside], image[inside], neuron[inside]), 1)
    return dense, np.bincount(image[here], minlength=len(numbers))

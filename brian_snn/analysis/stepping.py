"""Eq. (4) and its variants, stepped outside Brian2: from the spikes that reach a population to the spikes it sends.

A population hears only those before it, so it is stepped through all T steps before the next one is begun, and what
arrives in many steps goes through a map at once. The maps are layers of a framework (`brian_snn.analysis.inputs`):
neither Brian2 nor what connects its neurons has a part in it. Every number is on the grid, so that spikes and
potentials are compared with a simulation's by ``==``.

Arrays of spikes have the shape (steps, n_images, size), and their first step is the first of the run. Where spikes have
sizes, bursts and negative spikes, these are the numbers in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from brian_snn.analysis.batching import batches
from brian_snn.analysis.inputs import Inputs
from brian_snn.arrays import FloatArray
from brian_snn.network.delays import delays
from brian_snn.network.network import Network
from brian_snn.network.parameters import Parameters
from brian_snn.network.records import Population
from brian_snn.neurons.record import Neuron, Scene, Spikes
from brian_snn.settings import Settings

# Numbers of float64 that arrive at a time, 32 MiB.
_BATCH_NUMBERS = 2**22


@dataclass(frozen=True, eq=False)
class Shown:
    """Some images of a simulation.

    Parameters
    ----------
    images : (n_images, *input_shape) array
    numbers : sequence of int
        Their numbers in the whole simulation, which their random numbers depend on.
    """

    images: NDArray[np.generic]
    numbers: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Run:
    """What a population did while some images were shown.

    Parameters
    ----------
    spikes : (steps, n_images, size) bool array, or of their sizes int8 array
    v_end : (n_images, size) float array
        V(T); zeros without a membrane.
    potentials : (steps, n_images, size) float array, or None
        V(t) after each step, where it was asked for.
    """

    spikes: Spikes
    v_end: FloatArray
    potentials: FloatArray | None = None

    @property
    def counts(self) -> NDArray[np.int64]:
        """N, (n_images, size)."""
        return np.sum(self.spikes, axis=0, dtype=np.int64)

    @property
    def negative_counts(self) -> NDArray[np.int64]:
        """How many of the spikes were negative, (n_images, size)."""
        return np.sum(self.spikes < 0, axis=0, dtype=np.int64)


class Stepper:
    """One population with its settings, to be stepped for any images and any spikes of its sources.

    Parameters
    ----------
    parameters : Parameters
        Weights, biases and thresholds as simulated.
    settings : Settings
        How they were.
    population : Population
    inputs : Inputs
        What reaches it.
    neuron : Neuron
        Its record, with the step that is taken here.
    """

    def __init__(
        self, parameters: Parameters, settings: Settings, population: Population, inputs: Inputs, neuron: Neuron
    ) -> None:
        self._parameters, self._settings, self._population, self.inputs = parameters, settings, population, inputs
        self.neuron = neuron
        #: Whether it sees an image that changes from step to step.
        self.sees_frames = settings.input_coding == "frames" and inputs.sees_image
        #: Numbers of float64 that the largest of its maps has to do with, for each image.
        self.numbers_an_image = inputs.largest_size
        if self.sees_frames:
            self.numbers_an_image = max(inputs.largest_size, settings.steps * prod(parameters.network.input_shape))

    @property
    def changes(self) -> str:
        """Why its input is no constant current; empty if it is one."""
        if self.inputs.sources:
            return "its input comes from spikes and changes over time"
        return "the image changes over time" if self.sees_frames else ""

    def current(self, images: NDArray[np.generic]) -> FloatArray:
        """Return the part of its input that is the same in every step, (n_images, size)."""
        return np.zeros((len(images), self._population.size)) if self.sees_frames else self.inputs.current(images)

    def charge_of_images(self, images: NDArray[np.generic], first_step: int) -> FloatArray:
        """Return what image and bias bring from a step on, counted from 0, to the end, (n_images, size)."""
        if not self.sees_frames:
            return self.inputs.current(images) * (self._settings.steps - first_step)
        frames = (self.inputs.current(images[:, step]) for step in range(first_step, self._settings.steps))
        return sum(frames, start=np.zeros((len(images), self._population.size)))

    def run(self, shown: Shown, sources: Mapping[str, Spikes], keep_potentials: bool = False) -> Run:
        """Step through the whole run.

        Parameters
        ----------
        shown : Shown
            The images.
        sources : mapping of str to (steps, n_images, size) array
            The spikes that each source sends, or their sizes.
        keep_potentials : bool
            Whether V(t) is kept for every step.
        """
        current = self.current(shown.images)
        shape = (self._settings.steps, *current.shape)
        spikes: Spikes = np.zeros(shape, np.int8 if self.neuron.model.graded else np.bool_)
        potentials = np.empty(shape) if keep_potentials else None
        own = self._parameters.of(self._population.name)
        state = self.neuron.state(Scene(own, self._settings, self._population, current, shown.numbers))
        for step, arrives in enumerate(self._arriving(sources, current.shape)):
            if self.sees_frames:
                # The neurons hold this array as their current.
                current[:] = self.inputs.current(shown.images[:, step])
            state.step(step, arrives, spikes[step])
            if potentials is not None:
                potentials[step] = state.v
        return Run(spikes, state.v, potentials)

    def _arriving(self, sources: Mapping[str, Spikes], shape: tuple[int, ...]) -> Iterator[FloatArray | float]:
        """Yield what spikes bring in each step: a charge, or the largest of what the inputs have reached."""
        if not self.inputs.sources:
            yield from [0.0] * self._settings.steps
            return
        if self.neuron.hears == "largest":
            yield from self._largest(sources, shape)
            return
        for heard in self._heard(sources):
            rows = {name: _rows(spikes) for name, spikes in heard.items()}
            charge = self.inputs.charge_of(rows).reshape(-1, *shape)
            if self.neuron.model.splits:
                excitation = self.inputs.excitation_of(rows).reshape(-1, *shape)
                yield from np.stack([excitation, excitation - charge], axis=1)
            else:
                yield from charge

    def _largest(self, sources: Mapping[str, Spikes], shape: tuple[int, ...]) -> Iterator[FloatArray]:
        """Yield the largest rank among the inputs of each unit, by their spike counts up to each step."""
        # Brian2's own order hears only those that spike.
        spiking_only = self._settings.schedule == "brian2"
        counts = {name: np.zeros(sources[name].shape[1:]) for name in self.inputs.sources}
        for heard in self._heard(sources):
            seen = {}
            for name, arrived in heard.items():
                running = counts[name] + np.cumsum(arrived, axis=0, dtype=np.float64)
                counts[name] = running[-1]
                seen[name] = self._rank(name, running * arrived if spiking_only else running)
            yield from self.inputs.maximum_of(seen).reshape(-1, *shape)

    def _rank(self, source: str, counts: FloatArray) -> FloatArray:
        """Return what is compared of the neurons of a source, one row a step and image."""
        flat = counts.reshape(-1, counts.shape[-1])
        return (
            flat if self.neuron.rank is None else self.neuron.rank(flat, *_numbering(self._parameters.network)[source])
        )

    def _heard(self, sources: Mapping[str, Spikes]) -> Iterator[dict[str, Spikes]]:
        """Yield the spikes that reach the population, some steps at a time: those sent a delay before."""
        n_images, network = next(iter(sources.values())).shape[1], self._parameters.network
        for batch in batches(self._settings.steps, n_images * self.inputs.largest_size, _BATCH_NUMBERS):
            steps = range(self._settings.steps)[batch]
            yield {
                name: _arrived(sources[name], delays(network[name], self._settings), steps)
                for name in self.inputs.sources
            }


def _arrived(sent: Spikes, late: NDArray[np.int8], steps: range) -> Spikes:
    """Return the spikes that arrive in some steps, of neurons whose spikes are so many steps under way."""
    if not late.any():
        return sent[steps.start : steps.stop]
    arrived = np.zeros((len(steps), *sent.shape[1:]), sent.dtype)
    for delay in np.unique(late).tolist():
        first, last = max(0, steps.start - delay), max(0, steps.stop - delay)
        arrived[len(steps) - (last - first) :, :, late == delay] = sent[first:last, :, late == delay]
    return arrived


def _rows(spikes: Spikes) -> FloatArray:
    """Return spikes as numbers, one row a step and image."""
    return spikes.reshape(-1, spikes.shape[-1]).astype(np.float64)


def _numbering(network: Network) -> dict[str, tuple[int, int]]:
    """Return the number of each population's first neuron, counted over the network, and how many there are in all."""
    sizes = [population.size for population in network.populations]
    firsts = np.cumsum([0, *sizes]).tolist()
    return {p.name: (first, firsts[-1]) for p, first in zip(network.populations, firsts, strict=False)}

"""Eq. (4) and its variants, stepped outside Brian2: from the spikes that reach a population to the spikes it sends.

A population hears only those before it, so it is stepped through all T steps before the next one is begun, and what
arrives in many steps goes through a map at once. The maps are Keras' own layers (`brian_snn.analysis.inputs`): neither
Brian2 nor what connects its neurons has a part in it. Every number is on the grid, so that spikes and potentials are
compared with a simulation's by ``==``.

Arrays of spikes have the shape (steps, n_images, size), and their first step is the first of the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brian_snn.analysis.batching import batches
from brian_snn.analysis.inputs import Inputs
from brian_snn.arrays import FloatArray
from brian_snn.network.grid import on_grid
from brian_snn.network.network import Network
from brian_snn.network.parameters import Parameters, constants
from brian_snn.network.records import Population
from brian_snn.network.roles import crosses_threshold, window_start
from brian_snn.neurons.randomness import Purpose, stream_keys, uniform
from brian_snn.neurons.softmax import softmax_noise
from brian_snn.settings import Settings

Spikes = NDArray[np.bool_]

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
    spikes : (steps, n_images, size) bool array
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
    """

    def __init__(self, parameters: Parameters, settings: Settings, population: Population, inputs: Inputs) -> None:
        self._parameters, self._settings, self._population, self.inputs = parameters, settings, population, inputs
        self._start = window_start(population, settings)

    def run(self, shown: Shown, sources: Mapping[str, Spikes], keep_potentials: bool = False) -> Run:
        """Step through the whole run.

        Parameters
        ----------
        shown : Shown
            The images.
        sources : mapping of str to (steps, n_images, size) bool array
            The spikes that each source sends.
        keep_potentials : bool
            Whether V(t) is kept for every step.
        """
        if self._population.kind == "poisson":
            spikes = self._draw(shown)
        elif self._population.kind == "max_pool":
            spikes = self._pool(shown, sources)
        else:
            return self._integrate(shown, sources, keep_potentials)
        return Run(spikes, np.zeros(spikes.shape[1:]))

    # --- membranes --------------------------------------------------------------------------------------------------

    def _integrate(self, shown: Shown, sources: Mapping[str, Spikes], keep_potentials: bool) -> Run:
        """Step a membrane; where it is clamped, it stays at V(0)."""
        current = self.inputs.current(shown.images)
        shape = (self._settings.steps, *current.shape)
        spikes = np.zeros(shape, bool)
        potentials = np.empty(shape) if keep_potentials else None
        membrane = _Membrane(self._parameters, self._settings, self._population, current)
        winners = self._winners(shown) if self._competes else None
        for step, arrives in enumerate(self._arriving(sources, current)):
            if step >= self._start:
                membrane.step(step, arrives, spikes[step])
                if winners is not None:
                    winners.choose(step, membrane.v, spikes[step])
            if potentials is not None:
                potentials[step] = membrane.v
        return Run(spikes, membrane.v, potentials)

    def _arriving(self, sources: Mapping[str, Spikes], current: FloatArray) -> Iterator[FloatArray | float]:
        """Yield the charge that spikes bring in each step; in one without, 0."""
        if not self.inputs.sources:
            yield from [0.0] * self._settings.steps
            return
        for heard in self._heard(sources):
            charge = self.inputs.charge_of({name: _rows(spikes) for name, spikes in heard.items()})
            yield from charge.reshape(-1, *current.shape)

    def _heard(self, sources: Mapping[str, Spikes]) -> Iterator[dict[str, Spikes]]:
        """Yield the spikes that reach the population, some steps at a time: those sent a delay before."""
        n_images = next(iter(sources.values())).shape[1]
        delay = self._settings.delay_steps
        for batch in batches(self._settings.steps, n_images * self.inputs.largest_size, _BATCH_NUMBERS):
            steps = range(self._settings.steps)[batch]
            sent = slice(max(0, steps.start - delay), max(0, steps.stop - delay))
            silent = len(steps) - (sent.stop - sent.start)
            heard = {name: sources[name][sent] for name in self.inputs.sources}
            if silent:
                heard = {n: np.concatenate([np.zeros((silent, *s.shape[1:]), bool), s]) for n, s in heard.items()}
            yield heard

    # --- the output that answers a generator ------------------------------------------------------------------------

    @property
    def _competes(self) -> bool:
        return self._population.kind == "readout" and self._settings.readout == "softmax"

    def _winners(self, shown: Shown) -> _Winners:
        """Return the seeded noise of the images."""
        settings, parameters, size = self._settings, self._parameters, self._population.size
        scale = (settings.output_rate, parameters.threshold, parameters.network.grid)
        noise = [softmax_noise(settings.seed, range(n, n + 1), settings.steps, size, *scale) for n in shown.numbers]
        return _Winners(np.concatenate(noise).reshape(len(noise), settings.steps, size))

    # --- without a membrane -----------------------------------------------------------------------------------------

    def _draw(self, shown: Shown) -> Spikes:
        """Draw the spike trains of pixels: a step's draws are numbered neuron by neuron."""
        n_steps, size = self._settings.steps, self._population.size
        rates = on_grid(np.asarray(shown.images, np.float64).reshape(len(shown.images), -1), self._grid)
        spikes = np.empty((n_steps, len(rates), size), bool)
        for image, number in enumerate(shown.numbers):
            (key,) = stream_keys(self._settings.seed, Purpose.POISSON_INPUT, range(number, number + 1))
            for step in range(n_steps):
                spikes[step, image] = uniform(key, step * size + np.arange(size)) < rates[image]
        return spikes

    def _pool(self, shown: Shown, sources: Mapping[str, Spikes]) -> Spikes:
        """Let a max-pooling unit spike whenever the largest of what its inputs have reached grows.

        That is their spike counts, or for a gate their ranks, which put the first of several equal counts in front.
        """
        shape = (len(shown.images), self._population.size)
        spikes = np.zeros((self._settings.steps, *shape), bool)
        lags = self._settings.schedule == "brian2"
        reached, waiting, step = np.zeros(shape), np.zeros(shape, bool), 0
        counts = {name: np.zeros(sources[name].shape[1:]) for name in self.inputs.sources}
        for heard in self._heard(sources):
            seen = {}
            for name, arrived in heard.items():
                running = counts[name] + np.cumsum(arrived, axis=0, dtype=np.float64)
                counts[name] = running[-1]
                seen[name] = self._rank(name, running * arrived if lags else running)
            for largest in self.inputs.maximum_of(seen).reshape(-1, *shape):
                if lags:
                    # The unit answers a step later, and its reset wipes out what arrives in that step.
                    spikes[step] = waiting
                    waiting = (largest > reached) & ~waiting
                    reached = reached + spikes[step]
                else:
                    spikes[step] = largest > reached
                    reached = np.maximum(reached, largest)
                step += 1
        return spikes

    def _rank(self, source: str, counts: FloatArray) -> FloatArray:
        """Return what a max pooling compares of its inputs, one row a step and image."""
        flat = counts.reshape(-1, counts.shape[-1])
        if self._settings.max_pool == "exact":
            return flat
        first, n_neurons = _numbering(self._parameters.network)[source]
        return np.where(flat > 0, flat * n_neurons - (first + np.arange(flat.shape[1])), 0.0)

    @property
    def _grid(self) -> float:
        return self._parameters.network.grid


class _Membrane:
    """The state of a membrane and one step of it."""

    def __init__(self, parameters: Parameters, settings: Settings, population: Population, current: FloatArray) -> None:
        self.v = np.full(current.shape, parameters.v_init)
        self._current, self._settings, self._threshold = current, settings, parameters.threshold
        self._fires = crosses_threshold(population, settings)
        self._leaks = self._fires and math.isfinite(float(settings.tau_m))
        self._rests = self._fires and settings.refractory_steps > 0
        self._leak_rate, self._grid = constants(parameters.network, settings)["leak_rate"], parameters.network.grid
        self._ready = np.zeros(current.shape, np.int64)

    def step(self, step: int, arrives: FloatArray | float, spikes: Spikes) -> None:
        """Advance V by one step, counted from 0, and mark who spikes."""
        if self._settings.schedule == "brian2":
            # What arrives comes after the threshold was tested, and before the reset.
            self.v += self._current
            self._test(spikes)
            self.v += arrives
            self._reset(spikes)
            return
        awake = step >= self._ready if self._rests else None
        if self._leaks:
            loss = np.rint(self.v * self._leak_rate) * self._grid
            self.v -= loss if awake is None else loss * awake
        z = self._current + arrives
        self.v += z if awake is None else z * awake
        self._test(spikes)
        if awake is not None:
            spikes &= awake
            self._ready[spikes] = step + 1 + self._settings.refractory_steps
        self._reset(spikes)

    def _test(self, spikes: Spikes) -> None:
        """Mark who has reached the threshold."""
        if self._fires:
            np.greater_equal(self.v, self._threshold, out=spikes)

    def _reset(self, spikes: Spikes) -> None:
        """Take from V what a spike costs: (4b) or (4a)."""
        if self._settings.reset == "zero":
            self.v[spikes] = 0.0
        elif self._fires:
            self.v -= self._threshold * spikes


@dataclass(frozen=True, eq=False)
class _Winners:
    """The noise of a softmax, (n_images, steps, size): minus infinity where its generator is silent."""

    noise: FloatArray

    def choose(self, step: int, v: FloatArray, spikes: Spikes) -> None:
        """Mark the neuron with the largest sum of potential and noise, of every image with a spike to give away."""
        noise = self.noise[:, step]
        (images,) = np.nonzero(np.isfinite(noise[:, 0]))
        spikes[images, np.argmax(v[images] + noise[images], axis=1)] = True


def _rows(spikes: Spikes) -> FloatArray:
    """Return spikes as numbers, one row a step and image."""
    return spikes.reshape(-1, spikes.shape[-1]).astype(np.float64)


def _numbering(network: Network) -> dict[str, tuple[int, int]]:
    """Return the number of each population's first neuron, counted over the network, and how many there are in all."""
    sizes = [population.size for population in network.populations]
    firsts = np.cumsum([0, *sizes]).tolist()
    return {p.name: (first, firsts[-1]) for p, first in zip(network.populations, firsts, strict=False)}

"""Draw the random numbers of a simulation anew, and compare the spikes that they ask for with the counted ones."""

from __future__ import annotations

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.network.grid import on_grid
from brian_snn.network.records import Population
from brian_snn.neurons.randomness import Purpose, stream_keys, uniform
from brian_snn.neurons.softmax import generator_spikes
from brian_snn.results.result import Result

# Draws held at a time.
_BATCH_DRAWS = 2**22


def competes(result: Result, population: Population) -> bool:
    """Return whether the spikes of a population are those of a generator, given to one of its neurons by a softmax."""
    return population.kind == "readout" and result.settings.readout == "softmax"


def poisson_surplus(result: Result, population: Population) -> FloatArray:
    """Return counted minus drawn spikes of every neuron that codes a pixel, (n_images, size)."""
    counts = np.asarray(result.spike_counts[population.name], np.float64).reshape(-1, population.size)
    numbers = range(result.first_image, result.first_image + len(counts))
    keys = stream_keys(result.settings.seed, Purpose.POISSON_INPUT, numbers)
    neurons, batch = np.arange(population.size), max(1, _BATCH_DRAWS // population.size)
    surplus = counts.copy()
    for image, key in enumerate(keys):
        rates = on_grid(np.asarray(result.images[image], np.float64).ravel(), result.network.grid)
        for start in range(0, result.settings.steps, batch):
            steps = np.arange(start, min(start + batch, result.settings.steps))[:, None]
            surplus[image] -= np.sum(uniform(key, steps * population.size + neurons) < rates, axis=0)
    return surplus


def softmax_surplus(result: Result, population: Population) -> FloatArray:
    """Return counted minus drawn spikes of all neurons of a softmax together, (n_images,)."""
    settings, start = result.settings, result.window_start(population.name)
    counts = np.asarray(result.spike_counts[population.name], np.float64).reshape(len(result.images), -1)
    drawn = [
        generator_spikes(settings.seed, number, settings.steps, population.size, settings.output_rate)[start:].sum()
        for number in range(result.first_image, result.first_image + len(counts))
    ]
    return counts.sum(axis=1) - np.array(drawn)

"""The neuron that codes a pixel as a random spike train, and the population of them that stands before the image.

It spikes in each step with the probability that its pixel says: rate a r_max. Its draws are numbered step by step and
neuron by neuron within a step, in the stream of the image.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.errors import DataError
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.neurons.integrator import COUNT
from brian_snn.neurons.record import STREAM, Draws, Neuron, NeuronModel, Scene, Spikes
from brian_snn.randomness import Purpose, stream_keys, uniform
from brian_snn.settings import Settings

#: Name of the population, with underscores behind it where a layer of the model is called so.
INPUT_POPULATION = "input_spikes"

# Draws held at a time.
_BATCH_DRAWS = 2**22


def poisson_input() -> Neuron:
    """Return the neuron."""
    model = NeuronModel(
        equations=COUNT + "current : 1  # x_i | probability of a spike\n" + STREAM,
        on_spike_from="",
        has_weights=False,
        integrate="",
        # In float64: whole numbers past 2**31 are exact there, and not in Brian2's integers.
        threshold="uniform(stream, 1.0 * N * (t_in_timesteps - first_step) + i) < current",
        reset="n_spikes += 1",
        outputs=("n_spikes",),
        zeroed=("n_spikes",),
    )
    title = "pixel, which spikes in each step with the probability that it says"
    formula = (r"\Theta_i(t) &= 1 \text{ if } U_i(t) \lt x_i \text{, else } 0",)
    return Neuron(model, "nothing", _Pixels, draws=_DRAWS, title=title, formula=formula)


class _Pixels:
    """The neurons in NumPy."""

    def __init__(self, scene: Scene) -> None:
        self.v = np.zeros(scene.current.shape)
        self._rates = scene.current
        self._keys = [stream_keys(scene.settings.seed, Purpose.POISSON_INPUT, range(n, n + 1)) for n in scene.numbers]

    def step(self, step: int, arrives: FloatArray | float, spikes: Spikes) -> None:
        """Draw who spikes."""
        size = self._rates.shape[1]
        for image, (key,) in enumerate(self._keys):
            spikes[image] = uniform(key, step * size + np.arange(size)) < self._rates[image]


def _keys(settings: Settings, images: range, size: int, threshold: float, grid: float) -> FloatArray:
    """Return the key of each image's stream, (n_images, 1)."""
    return stream_keys(settings.seed, Purpose.POISSON_INPUT, images)[:, None]


def _drawn_spikes(settings: Settings, image: int, start: int, current: FloatArray) -> FloatArray:
    """Return how many spikes the draws give each neuron of an image, (size,)."""
    (key,) = stream_keys(settings.seed, Purpose.POISSON_INPUT, range(image, image + 1))
    size, counts = current.size, np.zeros(current.size)
    batch = max(1, _BATCH_DRAWS // size)
    for first in range(0, settings.steps, batch):
        steps = np.arange(first, min(first + batch, settings.steps))[:, None]
        counts += np.sum(uniform(key, steps * size + np.arange(size)) < current, axis=0)
    return counts


_DRAWS = Draws("poisson", _keys, _drawn_spikes, term="sampling", knob="more steps: it falls as the square root of 1/T")


def require_rates(images: NDArray[np.generic], settings: Settings) -> None:
    """Raise a DataError unless every pixel that is to be coded so is a rate over r_max, in [0, 1]."""
    if settings.input_coding != "poisson":
        return
    low, high = float(np.min(images)), float(np.max(images))
    if not (low >= 0 and high <= 1):
        raise DataError(
            f"images have pixels from {low:g} to {high:g}; Poisson input needs 0 to 1, since a pixel is a firing rate "
            "over r_max. Scale the images, and convert a model that takes them so."
        )


def coded_network(network: Network, settings: Settings) -> Network:
    """Return the network with a population for the pixels if the settings ask for one, and without if they do not.

    Its activation is the image itself (the identity, lambda = 1), so the network computes what it did. It has no
    membrane and does not count as a layer: its depth is 0.

    Parameters
    ----------
    network : Network
        As converted, or as a result holds it, with the population or without.

    Returns
    -------
    network : Network
        The same projections, those from the image now from the new population, which comes first.
    """
    network = uncoded_network(network)
    if settings.input_coding != "poisson":
        return network
    name = INPUT_POPULATION
    while name in {population.name for population in network.populations}:
        name += "_"
    shape = network.input_shape
    pixels = Population(name, "poisson", shape, np.zeros(shape), depth=0)
    identity = Projection(INPUT, name, Geometry("identity", shape, shape), np.ones(shape))
    moved = tuple(replace(p, source=name) if p.source == INPUT else p for p in network.projections)
    return replace(network, populations=(pixels, *network.populations), projections=(identity, *moved))


def uncoded_network(network: Network) -> Network:
    """Return the network as it was converted: its first layers see the image itself."""
    coding = {population.name for population in network.populations if population.codes_pixels}
    if not coding:
        return network
    kept = tuple(population for population in network.populations if population.name not in coding)
    seen = (p for p in network.projections if p.target not in coding)
    projections = tuple(replace(p, source=INPUT) if p.source in coding else p for p in seen)
    return replace(network, populations=kept, projections=projections)

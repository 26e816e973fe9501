"""What arrives at a population, computed by a front end from images, spike counts and spikes.

The weights of the network are put into layers of a framework (`brian_snn.frontends.table`), so nothing here shares
code with what connects the simulated neurons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.frontends.table import Map, projection_map
from brian_snn.network.forward import image_parts
from brian_snn.network.grid import on_grid
from brian_snn.network.parameters import Parameters
from brian_snn.network.records import INPUT, Population, Projection
from brian_snn.results.result import Result


class Inputs:
    """The maps of all projections onto a population.

    Parameters
    ----------
    parameters : Parameters
        Weights and biases for the threshold of the simulation.
    population : Population
        The target.
    """

    def __init__(self, parameters: Parameters, population: Population) -> None:
        self._network = parameters.network
        self._population = population
        self._bias = parameters.network[population.name].bias.ravel()
        self._maps: list[tuple[Projection, Map]] = [
            (p, projection_map(p, population.size)) for p in parameters.network.into(population.name)
        ]
        sizes = [n for p, _ in self._maps for n in (p.geometry.n_in, p.geometry.n_out)]
        self.largest_size = max([population.size, *sizes])

    @property
    def sources(self) -> tuple[str, ...]:
        """The populations whose spikes arrive here; none where the input is a constant current."""
        return tuple(dict.fromkeys(p.sender for p, _ in self._maps if p.source != INPUT))

    @property
    def sees_image(self) -> bool:
        """Whether a map of the image is among them."""
        return any(p.source == INPUT for p, _ in self._maps)

    def current(self, images: NDArray[np.generic]) -> FloatArray:
        """Return z, the charge that arrives in every step, (n_images, size): image and bias, rounded to the grid."""
        pixels = np.asarray(images, np.float64)
        maps = [apply for projection, apply in self._maps if projection.source == INPUT]
        if self._population.codes_pixels:
            # As rates over r_max.
            return on_grid(pixels.reshape(len(pixels), -1), self._network.grid)
        if not maps:
            return np.broadcast_to(self._bias, (len(pixels), self._population.size))
        # Sums over all parts but the last are exact in any order, and it is too small for its rounding to matter.
        first, *others = (
            sum((apply(part) for apply in maps), start=np.zeros(1)) for part in image_parts(self._network, pixels)
        )
        return on_grid(sum(others, start=first + self._bias), self._network.grid)

    def charge_of_spikes(self, part: Result, batch: slice) -> FloatArray:
        """Return the sum over projections of W N_source, with the spikes in the population's window."""
        total = np.zeros((len(part.images[batch]), self._population.size))
        for projection, apply in self._maps:
            if projection.source != INPUT:
                total += apply(part.counts_in_window(projection.source, projection.target)[batch])
        return total

    def charge_of(self, spikes: Mapping[str, NDArray[np.generic]]) -> FloatArray:
        """Return the sum over projections of W s for any activity s of the sources, (n, size) from (n, source size)."""
        return sum((apply(spikes[p.sender]) for p, apply in self._maps if p.source != INPUT), start=np.zeros(1))

    def excitation_of(self, spikes: Mapping[str, NDArray[np.generic]]) -> FloatArray:
        """Return the part of `charge_of` that synapses of positive weight bring."""
        return sum((apply(spikes[sender]) for sender, apply in self._excitatory), start=np.zeros(1))

    @cached_property
    def _excitatory(self) -> list[tuple[str, Map]]:
        """The maps of spikes with their positive weights alone."""
        found = []
        for p, _ in self._maps:
            if p.source != INPUT and p.weights is not None:
                positive = replace(p, weights=np.maximum(p.weights, 0.0))
                found.append((p.sender, projection_map(positive, self._population.size)))
        return found

    def maximum_of(self, activity: Mapping[str, NDArray[np.generic]]) -> FloatArray:
        """Return the largest activity in each window of a max pooling, (n, size) from (n, source size)."""
        return np.maximum.reduce([apply(activity[p.sender]) for p, apply in self._maps])

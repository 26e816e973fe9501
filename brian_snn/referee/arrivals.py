"""What arrives at the populations of a network: currents of the input, and charges of spikes, in plain NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.events import has_steps
from brian_snn.network.forward import input_currents
from brian_snn.network.grid import on_grid
from brian_snn.network.maps import apply_map, gather_inputs, scatter_outputs
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Population
from brian_snn.referee.rules import Semantics
from brian_snn.referee.weights import CHANGES


def changed(network: Network, semantics: Semantics) -> Network:
    """Return the network with the weights that a rule gives it."""
    for name in (semantics.weights, semantics.more_weights):
        network = CHANGES[name].network(network) if name else network
    return network


class Wires:
    """The linear maps of a network, and the currents that images make.

    Parameters
    ----------
    network : Network
        Currents are rounded to its grid, if it has one.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._into = {p.name: network.into(p.name) for p in network.populations}
        sizes = np.cumsum([0, *(p.size for p in network.populations)]).tolist()
        self._first = {p.name: first for p, first in zip(network.populations, sizes, strict=False)}
        self._n_neurons = sizes[-1]

    def sources(self, name: str) -> tuple[str, ...]:
        """Return the populations whose spikes arrive at a population."""
        return tuple(dict.fromkeys(p.sender for p in self._into[name] if p.source != INPUT))

    def currents(self, images: NDArray[np.generic]) -> dict[str, FloatArray]:
        """Return what arrives besides spikes, by population, (n_images, size); image and bias."""
        seen = input_currents(self.network, images)
        grid = self.network.grid
        if grid:
            seen = {name: on_grid(current, grid) for name, current in seen.items()}
        return {
            p.name: seen[p.name].reshape(len(images), -1) if p.name in seen else p.bias.reshape(1, -1)
            for p in self.network.populations
        }

    def charge(self, name: str, spikes: Mapping[str, NDArray[Any]]) -> FloatArray:
        """Return what spikes bring, (n, size) from (n, source size); the largest of them for max pooling."""
        n = len(next(iter(spikes.values())))
        totals = np.zeros((n, self.network[name].size))
        for projection in self._into[name]:
            if projection.source != INPUT:
                inputs = gather_inputs(projection, np.asarray(spikes[projection.sender], np.float64))
                scatter_outputs(projection, apply_map(projection.geometry, projection.weights, inputs), totals)
        return totals

    def seen(self, source: str, spikes: NDArray[Any], running: NDArray[Any], semantics: Semantics) -> FloatArray:
        """Return what a max pooling compares of a source, (n, size), by its spikes and its counts with them."""
        if semantics.pool == "any":
            return spikes.astype(np.float64)
        counts = running.astype(np.float64)
        if semantics.order == "brian2":
            counts = counts * (spikes > 0)
        if semantics.pool == "exact":
            return counts
        ranks = counts * self._n_neurons - (self._first[source] + np.arange(counts.shape[-1]))
        return np.where(counts > 0, ranks, 0.0)


def arrival_key(population: Population, semantics: Semantics) -> tuple[str, ...]:
    """Return what the arrivals of a population depend on besides the spikes."""
    weights = (semantics.weights, semantics.more_weights)
    if population.kind != "max_pool":
        return weights
    return (*weights, semantics.pool, "brian2" if semantics.order == "brian2" else "")


def frame(images: Any, input_shape: tuple[int, ...], step: int) -> NDArray[Any]:
    """Return the input of a step, counted from 0: of frames that of the step, else the images themselves."""
    array = np.asarray(images)
    return array[:, step] if has_steps(array, input_shape) else array

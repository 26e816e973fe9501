"""The folded network in plain NumPy, without spikes: what its firing rates approximate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from brian_snn.conversion.graph import INPUT, FloatArray, Network, Population, Projection
from brian_snn.conversion.linear_maps import apply_map, gather_inputs, scatter_outputs
from brian_snn.errors import DataError

_PIXEL_GRID = 2.0**-24


def forward(network: Network, images: NDArray[np.generic]) -> dict[str, FloatArray]:
    """Return the activation of every population, in float64.

    ReLU for a spiking population, cut at its ceiling; the maximum for max pooling; the plain sum for the readout.

    Parameters
    ----------
    network : Network
        Folded, normalised or not.
    images : (n_images, *input_shape) array
        Pixels as the model takes them.

    Returns
    -------
    activations : dict of (n_images, *shape) float array
        In units of each population's scale, so that times ``scale`` it is the model's own activation.
    """
    return {population.name: values for population, values in iterate_forward(network, images)}


def iterate_forward(network: Network, images: NDArray[np.generic]) -> Iterator[tuple[Population, FloatArray]]:
    """Yield every population with its activation, as `forward`; an activation is dropped after its last reader."""
    activity: dict[str, FloatArray] = {INPUT: checked_images(network, images)}
    order = {population.name: k for k, population in enumerate(network.populations)}
    last_reader: dict[str, int] = {}
    for projection in network.projections:
        last_reader[projection.source] = max(order[projection.target], last_reader.get(projection.source, 0))
    n_images = len(activity[INPUT])
    for k, population in enumerate(network.populations):
        values = _activate(population, _totals(network, population, activity, n_images))
        yield population, values
        activity[population.name] = values
        activity = {name: kept for name, kept in activity.items() if last_reader.get(name, -1) > k}


def checked_images(network: Network, images: NDArray[np.generic], what: str = "images") -> FloatArray:
    """Return images as float64.

    Raises
    ------
    DataError
        If they are not numbers, of another shape than the network's input, or not finite.
    """
    array = np.asarray(images)
    if array.dtype.kind not in "buif":
        raise DataError(f"{what} are of type {array.dtype}; pixels must be real numbers.")
    if array.ndim == 0 or array.shape[1:] != network.input_shape:
        raise DataError(f"{what} have shape {array.shape}; the model's input is {network.input_shape}.")
    if not np.all(np.isfinite(array)):
        raise DataError(f"{what} hold NaN or infinite pixels; every pixel must be a finite number.")
    return array.astype(np.float64)


def _totals(network: Network, population: Population, activity: dict[str, FloatArray], n_images: int) -> FloatArray:
    """Return the sum of a population's projections, without its bias."""
    totals = np.zeros((n_images, population.size))
    for projection in network.into(population.name):
        _accumulate(projection, activity[projection.source], totals)
    return totals.reshape(n_images, *population.shape)


def _accumulate(projection: Projection, activity: FloatArray, totals: FloatArray) -> None:
    outputs = apply_map(projection.geometry, projection.weights, gather_inputs(projection, activity))
    scatter_outputs(projection, outputs, totals)


def _activate(population: Population, totals: FloatArray) -> FloatArray:
    """Add the bias and apply what the kind of population does to its input."""
    if population.kind == "max_pool":
        return totals
    currents = totals + population.bias
    if population.kind == "readout":
        return currents
    ceiling = None if population.ceiling is None else population.ceiling / np.asarray(population.scale)
    return np.clip(currents, 0.0, ceiling)


def input_currents(network: Network, images: NDArray[np.generic]) -> dict[str, FloatArray]:
    """Return the constant current W x + b of the populations that the image feeds.

    A pixel is split into x_hi, a multiple of 2**-24, and the rest x_lo. On a network whose weights are multiples of its
    grid the sum over x_hi is exact in float64, whatever its order, and the sum over x_lo is so small that its rounding
    cannot be seen; so the currents, once rounded to the grid, are the same on every machine.

    Parameters
    ----------
    network : Network
        Rounded to its grid or not; the currents are not rounded.
    images : (n_images, *input_shape) array
        Pixels as the model takes them.

    Returns
    -------
    currents : dict of (n_images, *shape) float array
        In thresholds per step, by population.
    """
    pixels = checked_images(network, images)
    high = np.round(pixels / _PIXEL_GRID) * _PIXEL_GRID
    currents = {}
    for name in dict.fromkeys(projection.target for projection in network.out_of(INPUT)):
        population = network[name]
        sums = [np.zeros((len(pixels), population.size)) for _ in range(2)]
        for projection in network.into(name):
            if projection.source == INPUT:
                _accumulate(projection, high, sums[0])
                _accumulate(projection, pixels - high, sums[1])
        exact = sums[0] + population.bias.ravel()
        currents[name] = (exact + sums[1]).reshape(len(pixels), *population.shape)
    return currents

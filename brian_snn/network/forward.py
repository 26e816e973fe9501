"""The folded network in plain NumPy, without spikes: what its firing rates approximate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.errors import DataError
from brian_snn.inputs import as_one
from brian_snn.network.maps import apply_map, gather_inputs, scatter_outputs
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Population, Projection

#: Pixels are split at multiples of this, or of a larger power of two where their sums need one.
_PIXEL_GRID = 2.0**-24

#: Multiples of a grid below 2**52 times the grid are exact in float64, with a bit to spare.
_EXACT = 2.0**52

#: A sum that is smaller than this many grids leaves roundings that cannot be seen, 2**-40 of a grid.
_UNSEEN = 2.0**13

#: The sum over a rest may be this part of the largest exact number: added to others, it is then as good as exact.
_LARGEST_REST = 2.0**-12


def forward(network: Network, images: NDArray[np.generic]) -> dict[str, FloatArray]:
    """Return the activation of every population, in float64.

    ReLU for a spiking population, cut at its ceiling, or the nearest of its levels; the maximum for max pooling; the
    plain sum for the readout.

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
    activity: dict[str | None, FloatArray] = {INPUT: checked_images(network, images)}
    order = {population.name: k for k, population in enumerate(network.populations)}
    last_reader: dict[str | None, int] = {}
    for projection in network.projections:
        last_reader[projection.source] = max(order[projection.target], last_reader.get(projection.source, 0))
    n_images = len(activity[INPUT])
    for k, population in enumerate(network.populations):
        # An activation of NaN, which the callers look for, says more than a warning.
        with np.errstate(over="ignore", invalid="ignore"):
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
    array = np.asarray(as_one(images, network.inputs, what))
    if array.dtype.kind not in "buif":
        raise DataError(f"{what} are of type {array.dtype}; pixels must be real numbers.")
    if array.ndim == 0 or array.shape[1:] != network.input_shape:
        raise DataError(f"{what} have shape {array.shape}; the model's input is {network.input_shape}.")
    with np.errstate(over="ignore"):
        pixels = array.astype(np.float64)
    if not np.all(np.isfinite(pixels)):
        raise DataError(f"{what} hold NaN or infinite pixels; every pixel must be a finite number.")
    return pixels


def _totals(
    network: Network, population: Population, activity: dict[str | None, FloatArray], n_images: int
) -> FloatArray:
    """Return the sum of a population's projections, without its bias, in an array of its own."""
    projections = network.into(population.name)
    if len(projections) == 1 and population.kind != "max_pool" and _fills(projections[0], population):
        totals = _outputs(projections[0], activity[projections[0].source])
    else:
        # Of a maximum, zero is one of those that it is taken over.
        totals = np.zeros((n_images, population.size))
        for projection in projections:
            scatter_outputs(projection, _outputs(projection, activity[projection.source]), totals)
    return totals.reshape(n_images, *population.shape)


def _fills(projection: Projection, population: Population) -> bool:
    """Whether a projection has one output for each neuron, in their order."""
    return projection.target_index is None and projection.geometry.n_out == population.size


def _outputs(projection: Projection, activity: FloatArray) -> FloatArray:
    """Return what a projection's map makes of its source's activity, in an array of its own."""
    return apply_map(projection.geometry, projection.weights, gather_inputs(projection, activity))


def _activate(population: Population, totals: FloatArray) -> FloatArray:
    """Add the bias, in place, and apply what the kind of population does to its input; NaN where that overflows."""
    totals[~np.isfinite(totals)] = np.nan
    if population.kind == "max_pool":
        return totals
    totals += population.bias
    totals /= population.threshold
    if population.kind == "readout":
        return totals
    ceiling = None if population.ceiling is None else population.ceiling / np.asarray(population.scale)
    np.clip(totals, 0.0, ceiling, out=totals)
    if population.levels is None or ceiling is None:
        return totals
    return np.asarray(ceiling * nearest_level(totals / ceiling, population.levels))


def nearest_level(values: FloatArray, levels: int) -> FloatArray:
    """Return numbers from 0 to 1 rounded to multiples of 1 / levels, halves upwards."""
    return np.floor(values * levels + 0.5) / levels


def input_currents(
    network: Network, images: NDArray[np.generic], heaviest: tuple[str, float] | None = None
) -> dict[str, FloatArray]:
    """Return the constant current W x + b of the populations that the image feeds.

    The sums are taken over parts of the pixels (`image_parts`). On a network whose weights are multiples of its grid
    they are exact in float64, whatever their order, but for the last, which is so small that its rounding cannot be
    seen; so the currents, once rounded to the grid, are the same on every machine.

    Parameters
    ----------
    network : Network
        Rounded to its grid or not; the currents are not rounded.
    images : (n_images, *input_shape) array
        Pixels as the model takes them.
    heaviest : tuple, optional
        The `heaviest_row` of the network, if it is known: it takes longer than the currents of some images.

    Returns
    -------
    currents : dict of (n_images, *shape) float array
        In thresholds per step, by population.

    Raises
    ------
    DataError
        If the images do not fit, or if they are so large that the sums cannot be exact; names the population.
    """
    parts = image_parts(network, checked_images(network, images), heaviest)
    currents = {}
    for name in dict.fromkeys(projection.target for projection in network.out_of(INPUT)):
        population = network[name]
        current = _from_image(network, population, parts[0])
        current += population.bias.ravel()
        for part in parts[1:]:
            current += _from_image(network, population, part)
        currents[name] = current.reshape(len(images), *population.shape)
    return currents


def _from_image(network: Network, population: Population, pixels: FloatArray) -> FloatArray:
    """Return W x of a population, (n_images, size), in an array of its own."""
    projections = [p for p in network.into(population.name) if p.source == INPUT]
    if len(projections) == 1 and _fills(projections[0], population):
        return _outputs(projections[0], pixels).reshape(len(pixels), -1)
    totals = np.zeros((len(pixels), population.size))
    for projection in projections:
        scatter_outputs(projection, _outputs(projection, pixels), totals)
    return totals


def image_parts(network: Network, pixels: FloatArray, heaviest: tuple[str, float] | None = None) -> list[FloatArray]:
    """Split pixels into two parts or more, coarse to fine, that add up to them.

    With weights that are multiples of the grid, sums over all parts but the last are exact in float64 in any order: its
    pixels are multiples of a power of two u with which no sum passes 2**53 times u times the grid. How an image is
    split depends on the image and the network alone.

    Parameters
    ----------
    network : Network
        With weights as the image meets them.
    pixels : (n_images, *input_shape) float array
    heaviest : tuple, optional
        The `heaviest_row` of the network, if it is known.

    Raises
    ------
    DataError
        If pixels or weights are so large that no split helps, or that sums overflow; names the population.
    """
    grid = network.grid or _PIXEL_GRID
    name, row = heaviest or heaviest_row(network)
    rest, done = pixels, np.zeros(1, bool)
    parts: list[FloatArray] = []
    while not done.all():
        with np.errstate(over="ignore", invalid="ignore"):
            sums = row * np.abs(rest).max(axis=tuple(range(1, rest.ndim)), initial=0.0, keepdims=True)
            done = sums <= (_UNSEEN * grid if parts else 0.0)
            unit = np.exp2(np.ceil(np.log2(np.maximum(sums, 2.0**-1000) / (_EXACT * grid))))
            unit = unit if parts else np.maximum(unit, _PIXEL_GRID)
            # Weights of less than `_EXACT` grids make each part finer than the one before.
            if not np.all(done | ((row < _EXACT * grid / 2) & (row * unit <= _LARGEST_REST * _EXACT * grid))):
                raise _too_far(name, float(np.abs(pixels).max()), row)
            # So large a number is a multiple of the unit.
            whole = done | (np.abs(rest) >= _EXACT * unit)
            parts.append(np.where(whole, rest, np.rint(rest / unit) * unit))
        rest = rest - parts[-1]
    return parts


def heaviest_row(network: Network) -> tuple[str, float]:
    """Return the population of which a neuron has the largest weights to the image, and the sum of their sizes."""
    rows: dict[str, float] = {}
    for projection in network.out_of(INPUT):
        if projection.weights is not None:
            ones = np.ones((1, *projection.geometry.input_shape))
            sums = apply_map(projection.geometry, np.abs(projection.weights), ones)
            rows[projection.target] = rows.get(projection.target, 0.0) + float(sums.max(initial=0.0))
    name = max(rows, key=lambda name: rows[name], default="")
    return name, rows.get(name, 0.0)


def _too_far(name: str, pixel: float, weights: float) -> DataError:
    return DataError(
        f"images have pixels of up to {pixel:.3g}, and a neuron of population {name!r} has weights of {weights:.3g} in "
        "all to them: their sum cannot be had exactly. Give the images in the range on which the model was trained."
    )

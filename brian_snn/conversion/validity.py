"""What must hold of every network, checked where one comes from a file: files may be damaged, or a stranger's."""

from __future__ import annotations

import math
from math import prod
from typing import get_args

import numpy as np

from brian_snn.conversion.graph import (
    INPUT,
    Geometry,
    GeometryKind,
    IntArray,
    Network,
    Population,
    PopulationKind,
    Projection,
)
from brian_snn.conversion.layer_graph import OUTPUT_ACTIVATIONS
from brian_snn.conversion.linear_maps import output_length


def check_network(network: Network) -> None:
    """Check shapes, kinds, indices, numbers and the order of populations.

    Raises
    ------
    ValueError
        At the first thing that no conversion makes; the message names population or projection.
    """
    _check_shape(network.input_shape, "the image")
    if network.normalisation not in ("none", "layer", "channel"):
        raise ValueError(f"normalisation is {network.normalisation!r}")
    if network.grid != 0 and not (0 < network.grid <= 1 and math.frexp(network.grid)[0] == 0.5):
        raise ValueError(f"grid is {network.grid!r}, which is no power of two")
    if network.output_activation not in ("linear", *OUTPUT_ACTIVATIONS, "hidden", "unknown"):
        raise ValueError(f"output_activation is {network.output_activation!r}")
    _check_range(network.calibration_range)
    if not network.populations:
        raise ValueError("there are no populations")
    sizes, depths = {INPUT: prod(network.input_shape)}, {INPUT: 0}
    for population in network.populations:
        if population.name in sizes:
            raise ValueError(f"there are two populations {population.name!r}")
        _check_population(population, network.grid)
        for projection in network.into(population.name):
            where = f"projection {projection.source!r} -> {projection.target!r}"
            if projection.source not in sizes:
                raise ValueError(f"{where}: its source is no population before it")
            _check_projection(projection, population, sizes[projection.source], network.grid, where)
        _check_depth(population, network, depths)
        sizes[population.name] = population.size
    targets = {projection.target for projection in network.projections}
    if unknown := targets - set(sizes):
        raise ValueError(f"projections lead to {sorted(unknown)}, which are no populations")


def _check_range(pixels: tuple[float, float] | None) -> None:
    if pixels is not None and not (len(pixels) == 2 and -math.inf < pixels[0] <= pixels[1] < math.inf):
        raise ValueError(f"calibration_range is {pixels!r}")


def _check_shape(shape: tuple[int, ...], where: str) -> None:
    if not shape or not all(type(length) is int and length > 0 for length in shape):
        raise ValueError(f"{where} has the shape {shape!r}")


def _check_numbers(values: object, where: str, grid: float = 0.0) -> None:
    """Raise unless these are finite float64, and multiples of the grid where there is one."""
    if not isinstance(values, np.ndarray) or values.dtype != np.float64 or not np.isfinite(values).all():
        raise ValueError(f"{where}: finite numbers in float64 were expected")
    # Exact: a division by a power of two changes the exponent only.
    if grid and not np.array_equal(values / grid, np.rint(values / grid)):
        raise ValueError(f"{where}: some are no multiples of the grid {grid:g}")


def _check_population(population: Population, grid: float) -> None:
    where = f"population {population.name!r}"
    if population.kind not in get_args(PopulationKind):
        raise ValueError(f"{where}: its kind is {population.kind!r}")
    _check_shape(population.shape, where)
    _check_numbers(population.bias, f"{where}, bias", grid)
    if population.bias.shape != population.shape:
        raise ValueError(f"{where}: its bias has the shape {population.bias.shape}, not {population.shape}")
    scale = np.asarray(population.scale)
    _check_numbers(scale, f"{where}, scale")
    if scale.shape not in ((), population.shape[-1:]) or np.any(scale <= 0):
        raise ValueError(f"{where}: its scale is {population.scale!r}; one positive number, or one a channel, fits")
    if population.ceiling is not None and not 0 < population.ceiling < math.inf:
        raise ValueError(f"{where}: its ceiling is {population.ceiling!r}")


def _check_depth(population: Population, network: Network, depths: dict[str, int]) -> None:
    """Raise unless the depth, which the clamp goes by, is that of the longest path; add it to the depths."""
    below = max((depths[projection.source] for projection in network.into(population.name)), default=0)
    depths[population.name] = below + (population.kind not in ("max_pool", "poisson"))
    if population.depth != depths[population.name]:
        raise ValueError(
            f"population {population.name!r}: its depth is {population.depth!r}, its longest path has "
            f"{depths[population.name]} populations with a membrane"
        )


def _check_projection(projection: Projection, target: Population, n_source: int, grid: float, where: str) -> None:
    geometry = projection.geometry
    _check_geometry(geometry, where)
    if (geometry.kind == "max_pool") != (target.kind == "max_pool"):
        raise ValueError(f"{where}: a {geometry.kind} map leads to a population of kind {target.kind}")
    if geometry.weights_shape is None and projection.weights is not None:
        raise ValueError(f"{where}: a maximum has no weights")
    if geometry.weights_shape is not None:
        _check_numbers(projection.weights, f"{where}, weights", grid)
        if projection.weights is not None and projection.weights.shape != geometry.weights_shape:
            raise ValueError(f"{where}: its weights do not have the shape {geometry.weights_shape}")
    _check_index(projection.source_index, geometry.n_in, n_source, -1, f"{where}, source_index")
    _check_index(projection.target_index, geometry.n_out, target.size, 0, f"{where}, target_index")


def _check_index(index: IntArray | None, n: int, n_neurons: int, least: int, where: str) -> None:
    """Raise unless these are `n` different neurons; -1, where allowed, may come often."""
    if index is None:
        if n > n_neurons:
            raise ValueError(f"{where}: it is missing, and the map has {n} elements for {n_neurons} neurons")
        return
    if (
        index.shape != (n,)
        or index.dtype.kind != "i"
        or index.min(initial=0) < least
        or index.max(initial=0) >= n_neurons
    ):
        raise ValueError(f"{where}: {n} neurons from 0 to {n_neurons - 1} were expected")
    if np.bincount(index[index >= 0], minlength=1).max() > 1:
        raise ValueError(f"{where}: a neuron is there twice")


def _check_geometry(geometry: Geometry, where: str) -> None:
    if geometry.kind not in get_args(GeometryKind):
        raise ValueError(f"{where}: its map is of kind {geometry.kind!r}")
    for shape in (geometry.input_shape, geometry.output_shape):
        _check_shape(shape, where)
    if geometry.kind == "identity" and geometry.input_shape != geometry.output_shape:
        raise ValueError(f"{where}: an identity maps {geometry.input_shape} to {geometry.output_shape}")
    if not geometry.is_window:
        return
    if len(geometry.input_shape) != 3 or len(geometry.output_shape) != 3:
        raise ValueError(f"{where}: a window slides over rows, columns and channels")
    for pair in (geometry.kernel_size, geometry.strides, geometry.dilation):
        if len(pair) != 2:
            raise ValueError(f"{where}: {pair!r} is no pair")
        _check_shape(pair, where)
    _check_channels(geometry, where)
    for k in (0, 1):
        sliding = (geometry.input_shape[k], geometry.kernel_size[k], geometry.strides[k], geometry.dilation[k])
        padding, n_windows = geometry.padding[k], geometry.output_shape[k]
        if len(padding) != 2 or min(padding) < 0 or output_length(*sliding, padding) < n_windows:
            raise ValueError(f"{where}: {n_windows} windows do not fit into {geometry.input_shape}")


def _check_channels(geometry: Geometry, where: str) -> None:
    n_in, n_out = geometry.input_shape[2], geometry.output_shape[2]
    fits = n_in == n_out if geometry.kind in ("average_pool", "max_pool") else n_out % n_in == 0
    if geometry.kind == "conv2d":
        groups = geometry.groups
        fits = type(groups) is int and groups > 0 and n_in % groups == 0 and n_out % groups == 0
    if not fits:
        raise ValueError(f"{where}: {n_in} channels do not go into {n_out} in {geometry.groups} groups")

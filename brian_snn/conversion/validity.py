"""What must hold of populations, projections and networks: their records check it whenever one is made.

Values of another type become what the record holds where nothing is lost (lists, other kinds of numbers), and are
refused where something would be. A network from a file and one made by hand are asked the same.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import ModelError

if TYPE_CHECKING:
    from brian_snn.conversion.graph import Geometry, Network, Population, Projection

# Numbers that are looked at together: a network's are checked in each of its stages, in pieces that a cache holds.
_CHUNK = 2**15

# --- values ---------------------------------------------------------------------------------------------------------


def one_of(value: object, choices: Collection[str], what: str) -> None:
    """Raise a `ModelError` unless a value is one of some words."""
    if not isinstance(value, str) or value not in choices:
        raise ModelError(f"{what} {value!r}; it must be one of {', '.join(choices)}")


def whole(value: Any, least: int, what: str) -> int:
    """Return a whole number as an int, or raise a `ModelError`."""
    try:
        # True is an int to Python.
        number = -1 if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        number = -1
    if number < least:
        raise ModelError(f"{what} is {value!r}; a whole number of at least {least} was expected")
    return number


def shape_of(value: Any, where: str, least: int = 1) -> tuple[int, ...]:
    """Return a shape as a tuple of int, or raise a `ModelError`."""
    lengths = tuple(value) if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes) else ()
    try:
        if not lengths:
            raise ModelError("there are no lengths")
        return tuple(whole(length, least, "a length") for length in lengths)
    except ModelError as error:
        raise ModelError(f"{where} has the shape {value!r}; whole numbers from {least} were expected") from error


def two(value: Any, what: str) -> tuple[Any, Any]:
    """Return a sequence of two, one for the rows and one for the columns, or raise a `ModelError`."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ModelError(f"{what} is {value!r}; one for the rows and one for the columns were expected")
    return value[0], value[1]


def pair_of(value: Any, least: int, what: str) -> tuple[int, int]:
    """Return two whole numbers as a tuple of int, or raise a `ModelError`."""
    first, second = two(value, what)
    return whole(first, least, what), whole(second, least, what)


def real(value: Any, what: str) -> float:
    """Return a finite number as a float, or raise a `ModelError`."""
    return float(numbers(value, what, ()))


def numbers(values: Any, where: str, shape: tuple[int, ...] | None = None) -> NDArray[np.float64]:
    """Return finite numbers as a contiguous float64 array of the machine's byte order, or raise a `ModelError`."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ModelError(f"{where}: finite numbers in float64 were expected, in rows of one length") from error
    if array.dtype.kind not in "buif":
        raise ModelError(f"{where}: finite numbers in float64 were expected, not {array.dtype}")
    array = np.asarray(array, np.float64, order="C")
    if not np.isfinite(array).all():
        raise ModelError(f"{where}: finite numbers in float64 were expected, and some are infinite or NaN")
    if shape is not None and array.shape != shape:
        raise ModelError(f"{where}: they do not have the shape {shape} but {array.shape}")
    return array


def neurons(index: Any, n: int, least: int, where: str) -> NDArray[np.int32] | None:
    """Return `n` different neurons as an int32 array, None for None; -1, where it is the least, may come often."""
    if index is None:
        return None
    array = np.asarray(index) if np.size(index) else np.zeros(np.shape(index), np.int32)
    fits = array.dtype.kind in "iu" and array.shape == (n,)
    if not fits or array.min(initial=0) < least or array.max(initial=0) > np.iinfo(np.int32).max:
        raise ModelError(f"{where}: {n} neurons from 0 to the last were expected, by whole numbers along one axis")
    array = np.asarray(array, np.int32, order="C")
    if len(array) and np.bincount(array[array >= 0], minlength=1).max() > 1:
        raise ModelError(f"{where}: a neuron is there twice")
    return array


# --- records --------------------------------------------------------------------------------------------------------


def check_geometry(geometry: Geometry, where: str) -> None:
    """Raise a `ModelError` unless windows and channels of a map fit its input and output."""
    shape_of(geometry.input_shape, where)
    shape_of(geometry.output_shape, where)
    if not geometry.is_window:
        return
    n_in, n_out = geometry.input_shape[2], geometry.output_shape[2]
    fits = n_in == n_out if geometry.kind in ("average_pool", "max_pool") else n_out % n_in == 0
    if geometry.kind == "conv2d":
        fits = n_in % geometry.groups == 0 and n_out % geometry.groups == 0
    if not fits:
        raise ModelError(f"{where}: {n_in} channels do not go into {n_out} in {geometry.groups} groups")
    for k in (0, 1):
        if geometry.extent[k] > geometry.input_shape[k] + sum(geometry.padding[k]):
            raise ModelError(f"{where}: {geometry.output_shape[k]} windows do not fit into {geometry.input_shape}")


def check_network(network: Network) -> None:
    """Check what its populations and projections are to each other: names, order, kinds, sizes, depths and the grid.

    Raises
    ------
    ModelError
        At the first thing that no conversion makes; the message names population or projection.
    """
    if not network.populations:
        raise ModelError("there are no populations")
    sizes: dict[str | None, int] = {None: math.prod(network.input_shape)}
    depths: dict[str | None, int] = {None: 0}
    into: dict[str, list[Projection]] = {}
    for projection in network.projections:
        into.setdefault(projection.target, []).append(projection)
    for population in network.populations:
        if population.name in sizes:
            raise ModelError(f"there are two populations {population.name!r}")
        _check_grid(population.bias, network.grid, f"{population.label}, bias")
        for projection in into.pop(population.name, []):
            if projection.source not in sizes:
                raise ModelError(f"{projection.label}: its source is no population before it")
            _check_ends(projection, population, sizes[projection.source])
            if projection.weights is not None:
                _check_grid(projection.weights, network.grid, f"{projection.label}, weights")
        _check_depth(population, network, depths)
        sizes[population.name] = population.size
    if into:
        raise ModelError(f"projections lead to {sorted(into)}, which are no populations")


def _check_grid(values: NDArray[np.float64], grid: float, where: str) -> None:
    # Exact: a division by a power of two changes the exponent only.
    scaled = (values.ravel()[start : start + _CHUNK] / grid for start in range(0, values.size if grid else 0, _CHUNK))
    if not all(np.array_equal(part, np.rint(part)) for part in scaled):
        raise ModelError(f"{where}: some are no multiples of the grid {grid:g}")


def _check_ends(projection: Projection, target: Population, n_source: int) -> None:
    """Raise unless a projection fits its source and its target."""
    geometry, where = projection.geometry, projection.label
    if (geometry.kind == "max_pool") != (target.kind == "max_pool"):
        raise ModelError(f"{where}: a {geometry.kind} map leads to a population of kind {target.kind}")
    if geometry.kind == "max_pool" and projection.source is None:
        raise ModelError(f"{where}: a maximum is taken of spikes, and the image has none")
    for index, n, n_neurons, name in (
        (projection.source_index, geometry.n_in, n_source, "source_index"),
        (projection.target_index, geometry.n_out, target.size, "target_index"),
    ):
        if index is None and n > n_neurons:
            raise ModelError(f"{where}, {name}: it is missing, and the map has {n} elements for {n_neurons} neurons")
        if index is not None and index.max(initial=0) >= n_neurons:
            raise ModelError(f"{where}, {name}: {n} neurons from 0 to {n_neurons - 1} were expected")


def _check_depth(population: Population, network: Network, depths: dict[str | None, int]) -> None:
    """Raise unless the depth, which the clamp goes by, is that of the longest path; add it to the depths."""
    below = max((depths[projection.source] for projection in network.into(population.name)), default=0)
    depths[population.name] = below + (population.kind not in ("max_pool", "poisson"))
    if population.depth != depths[population.name]:
        raise ModelError(
            f"{population.label}: its depth is {population.depth!r}, its longest path has "
            f"{depths[population.name]} populations with a membrane"
        )

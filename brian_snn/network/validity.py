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
    from brian_snn.network.records import Network, Population, Projection

# Numbers that are looked at together: a network's are checked in each of its stages, in pieces that a cache holds.
_CHUNK = 2**15

#: The largest number in a map. Compiled programs count in 32 bits, and add two of them: a row and a step beyond it.
LARGEST = 2**30

#: Elements of a shape, of weights, neurons of a network: compiled programs number each of them in 32 bits.
MOST_ELEMENTS = 2**31 - 1

#: Axes of a shape. Arrays have two in front of them, of images and checkpoints, and NumPy has 32 in all.
MOST_AXES = 16

#: Characters of a value that an error shows.
_SHOWN = 200


# --- values ---------------------------------------------------------------------------------------------------------


def shown(value: object) -> str:
    """Return a value for an error message, in one line, cut off where it is long."""
    # An array is written in several lines.
    text = " ".join(repr(value).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def one_of(value: object, choices: Collection[str], what: str) -> None:
    """Raise a `ModelError` unless a value is one of some words."""
    if not isinstance(value, str) or value not in choices:
        raise ModelError(f"{what} {shown(value)}; it must be one of {', '.join(choices)}")


def check_text(value: object, what: str) -> None:
    """Raise a `ModelError` unless a value is text that can be written down."""
    try:
        if isinstance(value, str) and value.encode() is not None:
            return
    except UnicodeEncodeError:
        # Half of a pair of UTF-16 units, which no file and no terminal takes.
        pass
    raise ModelError(f"{what} must be text, in whole characters; it is {shown(value)}")


def check_texts(values: object, what: str) -> None:
    """Raise a `ModelError` unless a value is a tuple of text."""
    for value in values if isinstance(values, tuple) else (values,):
        check_text(None if value is values else value, what)


def whole(value: Any, least: int, what: str) -> int:
    """Return a whole number of at most `LARGEST` as an int, or raise a `ModelError`."""
    try:
        # True is an int to Python.
        number = -1 if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        number = -1
    if not least <= number <= LARGEST:
        raise ModelError(f"{what} is {shown(value)}; a whole number of at least {least}, up to 2**30, was expected")
    return number


def shape_of(value: Any, where: str, least: int = 1) -> tuple[int, ...]:
    """Return a shape as a tuple of int, or raise a `ModelError`."""
    is_shape = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes)
    lengths = tuple(value) if is_shape and 0 < len(value) <= MOST_AXES else ()
    try:
        if not lengths:
            raise ModelError("there are no lengths, or too many")
        shape = tuple(whole(length, least, "a length") for length in lengths)
        if math.prod(shape) > MOST_ELEMENTS:
            raise ModelError("there are too many elements")
        return shape
    except ModelError as error:
        raise ModelError(
            f"{where} has the shape {shown(value)}; up to {MOST_AXES} whole numbers from {least} were expected, for "
            "less than 2**31 elements"
        ) from error


def two(value: Any, what: str) -> tuple[Any, Any]:
    """Return a sequence of two, one for the rows and one for the columns, or raise a `ModelError`."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ModelError(f"{what} is {shown(value)}; one for the rows and one for the columns were expected")
    return value[0], value[1]


def pair_of(value: Any, least: int, what: str) -> tuple[int, int]:
    """Return two whole numbers as a tuple of int, or raise a `ModelError`."""
    first, second = two(value, what)
    return whole(first, least, what), whole(second, least, what)


def real(value: Any, what: str) -> float:
    """Return a finite number as a float, or raise a `ModelError`."""
    if isinstance(value, bool | np.bool_):
        raise ModelError(f"{what} is {value!r}; a number was expected")
    return float(numbers(value, what, ()))


def numbers(values: Any, where: str, shape: tuple[int, ...] | None = None) -> NDArray[np.float64]:
    """Return finite numbers as a contiguous float64 array of the machine's byte order, or raise a `ModelError`."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ModelError(f"{where}: finite numbers in float64 were expected, in rows of one length") from error
    if array.dtype.kind not in "buif":
        raise ModelError(f"{where}: finite numbers in float64 were expected, not {array.dtype}")
    with np.errstate(over="ignore"):
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
        arriving = into.pop(population.name, [])
        for projection in arriving:
            if projection.source not in sizes:
                raise ModelError(f"{projection.label}: its source is no population before it")
            _check_ends(projection, population, sizes[projection.source])
            if projection.weights is not None:
                _check_grid(projection.weights, network.grid, f"{projection.label}, weights")
        _check_place(population, arriving, network)
        _check_depth(population, arriving, depths)
        sizes[population.name] = population.size
    if into:
        raise ModelError(f"projections lead to {shown(sorted(into))}, which are no populations")
    if sum(sizes.values()) > MOST_ELEMENTS:
        raise ModelError("pixels and neurons together are more than 2**31")


def _check_grid(values: NDArray[np.float64], grid: float, where: str) -> None:
    if not grid:
        return
    # Exact: a division by a power of two changes the exponent only, and what overflows is a multiple of any grid.
    flat = values.reshape(-1)
    for start in range(0, len(flat), _CHUNK):
        with np.errstate(over="ignore"):
            multiples = flat[start : start + _CHUNK] / grid
        if not np.array_equal(multiples, np.rint(multiples)):
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


def _check_place(population: Population, arriving: Sequence[Projection], network: Network) -> None:
    """Raise unless a population may stand where it is: a readout at the end, and others where they have inputs."""
    if population.kind == "readout" and population is not network.populations[-1]:
        raise ModelError(f"{population.label}: it is a readout, which sends no spikes, and not the last population")
    if population.kind == "max_pool" and not arriving:
        raise ModelError(f"{population.label}: no projection leads to it; a maximum is taken of some spikes")
    if population.kind == "poisson" and not (len(arriving) == 1 and _is_image(arriving[0], population, network)):
        raise ModelError(f"{population.label}: a population of kind poisson has the image as its only input, as it is")


def _is_image(projection: Projection, target: Population, network: Network) -> bool:
    """Whether a projection gives each pixel of the image to one neuron."""
    plain = projection.source_index is None and projection.target_index is None
    is_identity = projection.geometry.kind == "identity" and target.shape == network.input_shape
    return projection.source is None and plain and is_identity and projection.geometry.n_in == target.size


def _check_depth(population: Population, arriving: Sequence[Projection], depths: dict[str | None, int]) -> None:
    """Raise unless the depth, which the clamp goes by, is that of the longest path; add it to the depths."""
    below = max((depths[projection.source] for projection in arriving), default=0)
    depths[population.name] = below + (population.kind not in ("max_pool", "poisson"))
    if population.depth != depths[population.name]:
        raise ModelError(
            f"{population.label}: its depth is {population.depth!r}, its longest path has "
            f"{depths[population.name]} populations with a membrane"
        )

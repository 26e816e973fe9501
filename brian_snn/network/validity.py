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
    pass


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

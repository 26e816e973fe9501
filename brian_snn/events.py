"""Input that changes from step to step: arrays of frames, and lists of events that become frames when they are read.

An array of frames has the shape (n_images, steps, *input_shape): what a layer that sees the image integrates in step t
is its linear map of frame t. Spikes are frames of zeros and ones; events of two polarities are two channels, or +1 and
-1, as the network was trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from brian_snn.arrays import FloatArray
from brian_snn.errors import DataError

#: Whatever `images` may be: one array a call, or what is read piece by piece like one.
Index = int | np.integer | slice | NDArray[Any]


#: Of the shape of events, whatever their number: frames are made for one image at a time.
_MOST_AXES, _MOST_IMAGES, _MOST_NUMBERS = 16, 2**24, 2**31


class Events:
    """Events as frames, one a step: they are kept as a list, and made dense for the images that are asked for.

    Parameters
    ----------
    rows : (n_events, 3) int array
        Image, counted from 0; step, counted from 1; element of the input, flat in C order (channels last).
    shape : tuple of int
        ``(n_images, steps, *input_shape)``.
    values : (n_events,) array, optional
        What each event adds to its element in its step; 1 by default. Events of one place and step add up.

    Raises
    ------
    DataError
        If the rows are no such array, an event lies outside the shape, or a value is not finite.
    """

    def __init__(self, rows: ArrayLike, shape: tuple[int, ...], values: ArrayLike | None = None) -> None:
        self.shape = _shape(shape)
        table = _table(rows, self.shape)
        given = None if values is None else _values(values, len(table))
        order = np.argsort(table[:, 0], kind="stable")
        self._rows, self._values = table[order], None if given is None else given[order]
        self.dtype = np.dtype(np.float64 if given is not None else np.min_scalar_type(self._most_at_once()))

    def __len__(self) -> int:
        """Return the number of images."""
        return self.shape[0]

    def __getitem__(self, index: Index) -> NDArray[Any]:
        """Return the frames of an image, (steps, *input_shape), or of several, (n, steps, *input_shape)."""
        numbers = np.arange(len(self))[index]
        dense = np.zeros((numbers.size, prod(self.shape[1:])), self.dtype)
        for row, number in zip(dense, numbers.ravel(), strict=True):
            here = slice(*np.searchsorted(self._rows[:, 0], (number, number + 1)))
            np.add.at(row, self._places(here), self.dtype.type(1) if self._values is None else self._values[here])
        return dense.reshape(*numbers.shape, *self.shape[1:])

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yield the frames of one image after the other."""
        return (self[number] for number in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the frames of all images."""
        return np.asarray(self[:], dtype)

    @property
    def value_range(self) -> tuple[float, float]:
        """Numbers between which all frames lie, 0 among them; wider where events meet in one place."""
        given = np.ones(1) if self._values is None else self._values
        most = self._most_at_once()
        return min(0.0, most * float(given.min(initial=0.0))), max(0.0, most * float(given.max(initial=0.0)))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def _places(self, here: slice) -> NDArray[np.int64]:
        """Return where some events lie among the frames of their image, flat."""
        step, element = self._rows[here, 1], self._rows[here, 2]
        return (step - 1) * prod(self.shape[2:]) + element

    def _most_at_once(self) -> int:
        """Return how many events meet in one place, image and step."""
        if not len(self._rows):
            return 1
        _, counts = np.unique(self._rows, axis=0, return_counts=True)
        return int(counts.max())


def _shape(shape: Any) -> tuple[int, ...]:
    try:
        lengths = tuple(int(length) for length in shape)
    except (TypeError, ValueError):
        lengths = ()
    if not 3 <= len(lengths) <= _MOST_AXES or min(lengths) < 1:
        raise DataError(f"shape of the events is {shape!r:.200}; (n_images, steps, *shape of the input) was expected.")
    if lengths[0] > _MOST_IMAGES or prod(lengths[1:]) > _MOST_NUMBERS:
        raise DataError(
            f"shape of the events is {shape!r:.200}; up to {_MOST_IMAGES:,} images of up to {_MOST_NUMBERS:,} numbers "
            "in all their steps are read."
        )
    return lengths


def _table(rows: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return checked rows of image, step, element."""
    table = np.asarray(rows)
    if table.size == 0:
        table = np.zeros((0, 3), np.int64)
    if table.ndim != 2 or table.shape[1] != 3 or table.dtype.kind not in "bui":
        raise DataError(
            f"events are of shape {table.shape} and type {table.dtype}; whole numbers of shape (n_events, 3) were "
            "expected: image, step from 1, element of the input."
        )
    limits = np.array([[0, shape[0] - 1], [1, shape[1]], [0, prod(shape[2:]) - 1]])
    outside = (table < limits[:, 0]) | (table > limits[:, 1])
    if outside.any():
        row, column = np.argwhere(outside)[0]
        what = ("image", "step", "element")[column]
        raise DataError(
            f"event {row} has {what} {table[row, column]}; it must be {limits[column, 0]} to {limits[column, 1]}."
        )
    return table.astype(np.int64)


def _values(values: ArrayLike, n_events: int) -> FloatArray:
    given = np.asarray(values)
    if given.shape != (n_events,) or given.dtype.kind not in "buif":
        raise DataError(
            f"values of the events are of shape {given.shape} and type {given.dtype}; ({n_events},) numbers were "
            "expected, one an event."
        )
    numbers = given.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise DataError("values of the events hold NaN or infinite numbers; each must be finite.")
    return numbers


def has_steps(images: Any, input_shape: tuple[int, ...]) -> bool:
    """Whether images have an axis of steps behind that of the images."""
    return np.ndim(images) == len(input_shape) + 2


class MeanFrames:
    """The mean over the steps of frames, image by image: what the rates of the first layers approximate.

    Parameters
    ----------
    frames : (n_images, steps, *input_shape) array
    """

    def __init__(self, frames: Any) -> None:
        self._frames = frames
        self.shape = (frames.shape[0], *frames.shape[2:])

    def __len__(self) -> int:
        """Return the number of images."""
        return self.shape[0]

    def __getitem__(self, index: slice | NDArray[Any]) -> FloatArray:
        """Return some images."""
        return np.asarray(np.mean(self._frames[index], axis=1, dtype=np.float64))

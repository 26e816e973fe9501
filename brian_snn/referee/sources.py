"""What was recorded of a population, whatever the format: arrays of spikes, events, counts; and what they must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import DataError
from brian_snn.escaping import shown

#: More spikes than any neuron sends in a step.
MOST_SPIKES = 2**31 - 1


@dataclass(frozen=True)
class Clock:
    """How times become steps.

    Parameters
    ----------
    dt : float, optional
        Seconds a step.
    steps : int, optional
        Steps of the run, by which its length is divided where `dt` is not given.
    """

    dt: float | None = None
    steps: int | None = None


class Source(Protocol):
    """What was recorded of one population."""

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of the neurons, as in the file; None for numbers of neurons alone."""

    def block(self, images: slice, steps: slice) -> NDArray[Any]:
        """Return spikes, (n_images, steps, size), as laid out in the file."""


class DenseSource:
    """Spikes of all steps in memory, (n_images, steps, *shape)."""

    def __init__(self, spikes: NDArray[Any]) -> None:
        self._spikes, self.shape = spikes.reshape(*spikes.shape[:2], -1), spikes.shape[2:]

    def block(self, images: slice, steps: slice) -> NDArray[Any]:
        """Return spikes, (n_images, steps, size)."""
        return self._spikes[images, steps]


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a file holds, by its own names.

    Parameters
    ----------
    trains : mapping of str to Source
        Spikes by step.
    counts : mapping of str to (n_images, *shape) array
    n_images, steps : int or None
        None where the file does not say.
    """

    trains: Mapping[str, Source]
    counts: Mapping[str, NDArray[Any]]
    n_images: int | None = None
    steps: int | None = None


def recorded_arrays(trains: Mapping[str, Any]) -> Recorded:
    """Return a run of arrays in memory, (n_images, steps, *shape) by population.

    Raises
    ------
    DataError
        If they hold no spikes, or are not of the same images and steps.
    """
    arrays = {name: whole_spikes(np.asarray(spikes), name) for name, spikes in trains.items()}
    for name, array in arrays.items():
        if array.ndim < 3:
            raise DataError(
                f"spikes of {shown(name)!r} have shape {array.shape}; (n_images, steps, *shape) was expected."
            )
    lengths = {array.shape[:2] for array in arrays.values()}
    if len(lengths) > 1:
        raise DataError(f"the spikes are of {sorted(lengths)} images and steps; all must be alike.")
    n_images, steps = next(iter(lengths), (None, None))
    return Recorded({n: DenseSource(a) for n, a in arrays.items()}, {}, n_images, steps)


class EventSource:
    """Spikes as rows of image, step (from 1), neuron, count.

    Parameters
    ----------
    rows : (n, 4) int array
    name : str
        Of the population, for messages.

    Raises
    ------
    DataError
        If a number is negative or a step is 0.
    """

    def __init__(self, rows: NDArray[Any], name: str) -> None:
        if rows.size and (rows[:, [0, 2, 3]].min() < 0 or rows[:, 1].min() < 1):
            raise DataError(f"events of {shown(name)!r} have a number below 0, or a step below 1; steps count from 1.")
        order = np.lexsort((rows[:, 1], rows[:, 0]))
        self.rows, self._name, self._size = rows[order], name, 0
        self.shape = None

    def fit(self, size: int) -> None:
        """Take the number of neurons; a neuron beyond it is a `DataError`."""
        self._size = size
        if self.rows.size and self.rows[:, 2].max() >= size:
            raise DataError(
                f"events of {shown(self._name)!r} have a neuron {self.rows[:, 2].max()}; 0 to {size - 1} were expected."
            )

    def require(self, n_images: int, steps: int) -> None:
        """Raise a `DataError` if an image or a step lies beyond those that were shown."""
        if self.rows.size and (self.rows[-1, 0] >= n_images or self.rows[:, 1].max() > steps):
            raise DataError(
                f"events of {shown(self._name)!r} go up to image {self.rows[-1, 0]} and step {self.rows[:, 1].max()}; "
                f"images 0 to {n_images - 1} and steps 1 to {steps} were expected."
            )

    def block(self, images: slice, steps: slice) -> NDArray[Any]:
        """Return spikes, (n_images, steps, size)."""
        first, last = np.searchsorted(self.rows[:, 0], [images.start, images.stop])
        rows = self.rows[first:last]
        rows = rows[(rows[:, 1] > steps.start) & (rows[:, 1] <= steps.stop)]
        dense = np.zeros((images.stop - images.start, steps.stop - steps.start, self._size), np.int32)
        place = (rows[:, 0] - images.start, rows[:, 1] - 1 - steps.start, rows[:, 2])
        np.add.at(dense, place, rows[:, 3])
        return dense


def event_rows(table: NDArray[Any], name: str) -> NDArray[np.int64]:
    """Return checked rows of image, step, neuron, count from three columns or four.

    Raises
    ------
    DataError
        If it is no such table of whole numbers.
    """
    if table.ndim != 2 or table.shape[1] not in (3, 4) or table.dtype.kind not in "bui":
        raise DataError(
            f"events of {shown(name)!r} are of shape {table.shape} and type {table.dtype}; whole numbers of shape "
            "(n, 3) were expected: image, step from 1, neuron."
        )
    rows = table.astype(np.int64)
    if table.shape[1] == 3:
        rows = np.concatenate([rows, np.ones((len(rows), 1), np.int64)], axis=1)
    if rows.size and rows.max() > MOST_SPIKES:
        raise DataError(f"events of {shown(name)!r} hold numbers above 2**31.")
    if rows[:, 3].sum() > MOST_SPIKES:
        raise DataError(f"events of {shown(name)!r} are more than 2**31 spikes in all; split the run.")
    return rows


def whole_spikes(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Return spikes or counts as whole numbers of at least 0.

    Raises
    ------
    DataError
        If they are none.
    """
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and np.array_equal(array, np.rint(array))):
            raise DataError(f"{shown(name)!r} holds numbers that are no whole spikes.")
    elif array.dtype.kind not in "bui":
        raise DataError(f"{shown(name)!r} is of type {array.dtype}; numbers of spikes were expected.")
    if array.size and (array.min() < 0 or array.max() > MOST_SPIKES):
        raise DataError(f"{shown(name)!r} holds negative numbers of spikes, or more than 2**31.")
    return array if array.dtype.kind in "bu" and array.dtype.itemsize == 1 else array.astype(np.int32)

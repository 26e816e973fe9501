"""The arrays of a result by name, and how those of consecutive images are put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.neurons.table import BOOKS

#: A shard: the numbers of its images in the whole simulation.
Shard = range


#: What `Result.booked` has, as the arrays are called on the disk.
BOOK_NAMES = tuple(book.name for book in BOOKS)

#: What there is an array of for each population, or each (population, step): fields of `Result`, and its books.
ARRAYS_BY_NAME = (
    "spike_counts",
    "potentials",
    "charge",
    *BOOK_NAMES,
    "early_counts",
    "count_history",
    "total_counts",
    "spike_trains",
    "potential_traces",
)


_AXIS_OF_IMAGES = {"count_history": 1, "total_counts": 1, "output_history": 1}


def join_arrays(field_name: str, arrays: Sequence[NDArray[Any]], first_images: Sequence[int]) -> NDArray[Any]:
    """Return one field of consecutive images from that of its pieces.

    Parameters
    ----------
    field_name : str
        The field of `Result`.
    arrays : sequence of array
        One for each piece.
    first_images : sequence of int
        Number of the first image of each piece; spikes say which image they belong to.
    """
    if field_name == "spike_trains":
        arrays = [
            train + np.array([first, 0, 0], train.dtype) for train, first in zip(arrays, first_images, strict=True)
        ]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=_AXIS_OF_IMAGES.get(field_name, 0))


def as_fields(by_name: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a `Result` that hold arrays by name: the books together, as one of them."""
    fields = {name: value for name, value in by_name.items() if name not in BOOK_NAMES}
    return fields | {"booked": {name: by_name[name] for name in BOOK_NAMES if name in by_name}}


class Gathering:
    """The arrays of all images, each put into its place as those of some images come.

    Parameters
    ----------
    n_images : int
        How many there will be.
    """

    def __init__(self, n_images: int) -> None:
        self._n_images = n_images
        self._whole: dict[tuple[str, Any], NDArray[Any]] = {}
        self._trains: dict[Any, list[NDArray[Any]]] = {}

    def add(self, field: str, key: Any, array: NDArray[Any], first: int) -> None:
        """Put an array of the images from `first` on into its place."""
        if field == "spike_trains":
            self._trains.setdefault(key, []).append(array + np.array([first, 0, 0], array.dtype))
            return
        axis = _AXIS_OF_IMAGES.get(field, 0)
        lead, n, rest = array.shape[:axis], array.shape[axis], array.shape[axis + 1 :]
        if (field, key) not in self._whole:
            self._whole[field, key] = np.empty((*lead, self._n_images, *rest), array.dtype)
        self._whole[field, key][(slice(None),) * axis + (slice(first, first + n),)] = array

    def of(self, field: str) -> dict[Any, NDArray[Any]]:
        """Return the arrays of a field, once all have come."""
        if field == "spike_trains":
            return {key: np.concatenate(trains) for key, trains in self._trains.items()}
        return {key: array for (name, key), array in self._whole.items() if name == field}


class ByPopulation(dict[Any, Any]):
    """Arrays in memory by population; a name that there is not is an error that lists those there are."""

    def __missing__(self, key: Any) -> NDArray[Any]:
        """Raise KeyError."""
        raise KeyError(f"there is no {key!r}; there are {', '.join(map(repr, self)) or 'none'}")

"""The arrays of a result by name, and how those of consecutive images are put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    "negative_counts",
    "early_counts",
    "count_history",
    "total_counts",
    "spike_trains",
    "potential_traces",
)


_AXIS_OF_IMAGES = {"count_history": 1, "total_counts": 1, "output_history": 1}


class Joined:
    """One array of a result for all images, each piece of it put into its place as it comes.

    Parameters
    ----------
    field_name : str
        The field of `Result`.
    n_images : int
        How many images there will be.
    """

    def __init__(self, field_name: str, n_images: int) -> None:
        self._is_trains, self._axis = field_name == "spike_trains", _AXIS_OF_IMAGES.get(field_name, 0)
        self._n_images = n_images
        self._whole: NDArray[Any] | None = None
        self._trains: list[NDArray[Any]] = []

    def add(self, piece: NDArray[Any], first: int) -> None:
        """Put the array of the images from number `first` on into its place."""
        if self._is_trains:
            # Spikes say which image they belong to.
            self._trains.append(piece + np.array([first, 0, 0], piece.dtype) if first else piece)
            return
        n = piece.shape[self._axis]
        if n == self._n_images:
            self._whole = piece
            return
        if self._whole is None:
            shape = (*piece.shape[: self._axis], self._n_images, *piece.shape[self._axis + 1 :])
            self._whole = np.empty(shape, piece.dtype)
        self._whole[(slice(None),) * self._axis + (slice(first, first + n),)] = piece

    @property
    def array(self) -> NDArray[Any]:
        """The whole, once all pieces have come."""
        if self._is_trains:
            return self._trains[0] if len(self._trains) == 1 else np.concatenate(self._trains)
        assert self._whole is not None, "an array has pieces"
        return self._whole


def join_arrays(field_name: str, pieces: Iterable[tuple[int, NDArray[Any]]], n_images: int) -> NDArray[Any]:
    """Return one field of consecutive images from that of its pieces, each with the number of its first image."""
    joined = Joined(field_name, n_images)
    for first, piece in pieces:
        joined.add(piece, first)
    return joined.array


def as_fields(by_name: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a `Result` that hold arrays by name: the books together, as one of them."""
    fields = {name: value for name, value in by_name.items() if name not in BOOK_NAMES}
    return fields | {"booked": {name: by_name[name] for name in BOOK_NAMES if name in by_name}}


class ByPopulation(dict[Any, Any]):
    """Arrays in memory by population; a name that there is not is an error that lists those there are."""

    def __missing__(self, key: Any) -> NDArray[Any]:
        """Raise KeyError."""
        raise KeyError(f"there is no {key!r}; there are {', '.join(map(repr, self)) or 'none'}")

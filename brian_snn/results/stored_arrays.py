"""What the arrays of a shard must be: which there are, of which shape and type, and within which range.

What a file says is not taken on trust: an array of another shape would be broadcast, or be an error far from its cause.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import DataError
from brian_snn.network.network import Network
from brian_snn.network.roles import early_counts_needed
from brian_snn.neurons.table import neuron_of
from brian_snn.results.arrays import BOOK_NAMES
from brian_snn.settings import Settings

#: Kinds of NumPy's types, in words.
_WHOLE, _REAL = ("iu", "whole numbers"), ("f", "real numbers")

_PER_IMAGE = {
    **dict.fromkeys(("spike_counts", "negative_counts", "early_counts"), _WHOLE),
    **dict.fromkeys(("potentials", "charge", *BOOK_NAMES), _REAL),
}


class MissingArray(DataError, KeyError):
    """An array of a result that its shard does not hold."""

    #: That of a `KeyError` is a repr.
    __str__ = Exception.__str__


class HeldArrays(dict[Any, NDArray[Any]]):
    """One field of a result in memory, whose missing arrays are those of a file that lacks them."""

    def __init__(self, arrays: Mapping[Any, NDArray[Any]], missing: Callable[[Any], MissingArray]) -> None:
        super().__init__(arrays)
        self._missing = missing

    def __missing__(self, key: Any) -> NDArray[Any]:
        """Raise what is to be said of the file."""
        raise self._missing(key)


def required_arrays(network: Network, settings: Settings) -> dict[str, set[Hashable]]:
    """Return the keys that the counts of every result of a simulation have."""
    required: dict[str, set[Hashable]] = {
        "spike_counts": {population.name for population in network.populations},
        "early_counts": set(early_counts_needed(network, settings)),
    }
    for population in network.populations:
        neuron = neuron_of(network, population, settings)
        if neuron.model.signed:
            required.setdefault("negative_counts", set()).add(population.name)
        for book in neuron.books:
            if not book.may_be_absent:
                required.setdefault(book.name, set()).add(population.name)
    return required


@dataclass(frozen=True, eq=False)
class Expected:
    """What the arrays of a shard of some images must be."""

    network: Network
    settings: Settings
    n_images: int
    n_checkpoints: int

    def check(self, field: str, key: Any, array: NDArray[Any]) -> None:
        """Raise ValueError unless an array of a population fits its field."""
        population = self.network[key[0] if isinstance(key, tuple) else key]
        steps, shape = self.settings.steps, population.shape
        most = steps * self.settings.burst
        if field in _PER_IMAGE:
            kind = _PER_IMAGE[field]
            _require(array, kind, (self.n_images, *shape))
            if kind is _WHOLE:
                _require_range(array, 0, most)
        elif field == "count_history":
            _require(array, _WHOLE, (self.n_checkpoints, self.n_images, *shape))
            _require_range(array, 0, most)
        elif field == "total_counts":
            _require(array, _WHOLE, (self.n_checkpoints, self.n_images))
            _require_range(array, 0, most * population.size)
        elif field == "spike_trains":
            _require(array, _WHOLE, (len(array) if array.ndim else 0, 3))
            for column, first, last in zip(
                array.T, (0, 1, 0), (self.n_images - 1, steps, population.size - 1), strict=True
            ):
                _require_range(column, first, last)
        else:
            _require(array, _REAL, (self.n_images, steps, *shape))

    def check_checkpoints(self, checkpoints: NDArray[Any]) -> None:
        """Raise ValueError unless there are such checkpoints."""
        _require(checkpoints, _WHOLE, (self.n_checkpoints,))
        _require_range(checkpoints, 1, self.settings.steps)

    def check_history(self, history: NDArray[Any]) -> None:
        """Raise ValueError unless the output at the checkpoints fits."""
        outputs = self.network.outputs
        shape = outputs[0].shape if len(outputs) == 1 else (sum(output.size for output in outputs),)
        _require(history, _REAL, (self.n_checkpoints, self.n_images, *shape))


def _require(array: NDArray[Any], kind: tuple[str, str], shape: tuple[int, ...]) -> None:
    """Raise ValueError unless an array is of a kind and a shape."""
    kinds, words = kind
    if array.dtype.kind not in kinds or array.shape != shape:
        raise ValueError(f"{array.dtype} of shape {array.shape}; {words} of shape {shape} were expected")


def _require_range(array: NDArray[Any], first: int, last: int) -> None:
    """Raise ValueError unless all numbers of an array lie within a range."""
    if array.size and not (first <= np.min(array) and np.max(array) <= last):
        raise ValueError(f"numbers from {np.min(array)} to {np.max(array)}; {first} to {last} were expected")

"""The arrays of a result by name, and how those of consecutive images are put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: A shard: the numbers of its images in the whole simulation.
Shard = range


#: Fields that hold an array for each population, or each (population, step).
ARRAYS_BY_NAME = (
    "spike_counts",
    "potentials",
    "charge",
    "surplus",
    "leaked",
    "missed",
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

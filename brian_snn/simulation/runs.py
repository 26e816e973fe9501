"""What goes into a run and what comes out of it, the same for both backends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.conversion.graph import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class RunInputs:
    """All numbers of a run, by position of the layer or index of the projection.

    Parameters
    ----------
    n_images : int
    threshold, v_init : float
    clamp_steps : tuple of int
        Steps during which each layer is held at V(0).
    bias : dict of (size,) float array
        Constant current of the layers that do not see the image.
    currents : dict of (n_images, size) float array
        Current of the layers that do.
    weights : dict of float array, or None
        Weights by projection index.
    """

    n_images: int
    threshold: float
    v_init: float
    clamp_steps: tuple[int, ...]
    bias: dict[int, FloatArray]
    currents: dict[int, FloatArray]
    weights: dict[int, FloatArray | None]


@dataclass(frozen=True, eq=False)
class RunOutputs:
    """Raw recordings: one record per image, and spikes and traces by position of the layer.

    Spikes are rows of image, step, neuron; traces are (n_images, steps, size).
    """

    records: NDArray[np.void]
    spikes: dict[int, IntArray]
    traces: dict[int, NDArray[Any]]


def join(shards: list[RunOutputs]) -> RunOutputs:
    """Put the shards of a run together, renumbering the images of their spikes."""
    starts = np.cumsum([0, *(len(shard.records) for shard in shards[:-1])])
    offsets = [np.array([start, 0, 0], np.int32) for start in starts]
    first = shards[0]
    return RunOutputs(
        np.concatenate([shard.records for shard in shards]),
        {k: np.concatenate([s.spikes[k] + o for s, o in zip(shards, offsets, strict=True)]) for k in first.spikes},
        {k: np.concatenate([shard.traces[k] for shard in shards]) for k in first.traces},
    )

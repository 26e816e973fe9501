"""What goes into the run of a shard and what comes out of it, the same for both backends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from brian_snn.arrays import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class RunConstants:
    """The numbers that are the same for every image, by position of the layer or index of the projection.

    Parameters
    ----------
    thresholds : tuple of float
        V_thr of each layer.
    v_init : tuple of float
        V(0) of each layer.
    clamp_steps : tuple of int
        Steps during which each layer is held at V(0).
    named : tuple of dict of float or (size,) float array
        Of each layer the run-time constants that its neuron model names, and of which each neuron may have its own.
    bias : dict of (size,) float array
        Constant current of the layers that do not see the image.
    weights : dict of float array, or None
        Weights by projection index.
    """

    thresholds: tuple[float, ...]
    v_init: tuple[float, ...]
    clamp_steps: tuple[int, ...]
    named: tuple[Mapping[str, float | FloatArray], ...]
    bias: dict[int, FloatArray]
    weights: dict[int, FloatArray | None]


@dataclass(frozen=True, eq=False)
class RunInputs:
    """The images of a shard, as currents.

    Parameters
    ----------
    first : int
        Number of the first image in the whole simulation.
    n_images : int
    currents : dict of (n_images, size) float array
        Current of the layers that see the image, by position; of one that codes pixels, its rates over r_max. Of
        frames (n_images, steps, size).
    noise : dict of (n_images, n) float array
        Random input of a layer, by position: what its neuron draws (`brian_snn.neurons.record.Draws`).
    """

    first: int
    n_images: int
    currents: dict[int, FloatArray]
    noise: dict[int, FloatArray]


@dataclass(frozen=True, eq=False)
class RunOutputs:
    """Raw recordings: the records of the images, and spikes and traces by position of the layer.

    Records are by the fields of `brian_snn.simulation.records.record_dtype`, each an array of its own, one row an
    image. Spikes are rows of image, step, neuron; traces are (n_images, steps, size). Images are counted from the first
    of the shard.
    """

    records: Mapping[str, NDArray[Any]]
    spikes: dict[int, IntArray]
    traces: dict[int, NDArray[Any]]

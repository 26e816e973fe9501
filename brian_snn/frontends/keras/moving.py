"""Readers of layers that pool, move and merge elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from brian_snn.errors import ModelError
from brian_snn.frontends.keras.values import Operations, Reader, Shape, pair, plain


def _pool(operation: str) -> Reader:
    def read(layer: Any, shapes: list[Shape], label: str) -> Operations:
        """Return a pooling over windows, or over everything for a global one."""
        if not hasattr(layer, "pool_size"):
            return [(operation, {"pool_size": None, "strides": None, "padding": "valid"})]
        size, strides = _window_of_pool(layer.pool_size), _window_of_pool(layer.strides)
        return [(operation, {"pool_size": size, "strides": strides, "padding": layer.padding})]

    return read


def _window_of_pool(lengths: Any) -> tuple[int, int] | None:
    """Return rows and columns of a window; one along a single axis has one column."""
    return (int(lengths[0]), 1) if np.shape(lengths) == (1,) else pair(lengths)


def _read_permute(layer: Any, shapes: list[Shape], label: str) -> Operations:
    return [("permute", {"axes": tuple(int(axis) - 1 for axis in layer.dims)})]


def _read_flip(layer: Any, shapes: list[Shape], label: str) -> Operations:
    """Return a reversal of channels, or of any other axes but that of the batch."""
    axes = tuple(range(len(shapes[0]) + 1)) if layer.axis is None else tuple(np.atleast_1d(layer.axis).tolist())
    axes = tuple(axis + len(shapes[0]) if axis < 0 else axis - 1 for axis in axes)
    if min(axes) < 0:
        raise ModelError(f"{label}: it reverses the order of the images; only rows, columns or channels can be.")
    return [("flip", {"axes": axes})]


def _read_padding(layer: Any, shapes: list[Shape], label: str) -> Operations:
    return [("pad", {"margins": _margins(layer.padding)})]


def _read_cropping(layer: Any, shapes: list[Shape], label: str) -> Operations:
    return [("crop", {"margins": _margins(layer.cropping)})]


def _margins(lengths: Any) -> tuple[tuple[int, int], ...]:
    """Return what is before and behind each axis, the channels included; along a single axis it is no list of pairs."""
    pairs = [lengths] if np.ndim(lengths) == 1 else lengths
    return (*((int(before), int(behind)) for before, behind in pairs), (0, 0))


def _read_concatenate(layer: Any, shapes: list[Shape], label: str) -> Operations:
    axis = int(layer.axis)
    return [("concatenate", {"axis": axis + len(shapes[0]) if axis < 0 else axis - 1})]


def _sum_of(coefficients: Callable[[int], tuple[float, ...]]) -> Reader:
    def read(layer: Any, shapes: list[Shape], label: str) -> Operations:
        """Return a weighted sum of the inputs."""
        if len(shapes) < 2:
            raise ModelError(f"{label}: it has {len(shapes)} tensor to work on; it takes two or more, not a number.")
        return [("add", {"coefficients": coefficients(len(shapes))})]

    return read


def _read_scaled_sum(layer: Any, shapes: list[Shape], label: str) -> Operations:
    """Return x + scale y, for which InceptionResNetV2 has a layer of its own."""
    return [("add", {"coefficients": (1.0, float(layer.scale))})]


#: Readers of layers.
MOVING: dict[str, Reader] = {
    "MaxPooling1D": _pool("max_pool"),
    "GlobalMaxPooling1D": _pool("max_pool"),
    "AveragePooling1D": _pool("average_pool"),
    "GlobalAveragePooling1D": _pool("average_pool"),
    "MaxPooling2D": _pool("max_pool"),
    "GlobalMaxPooling2D": _pool("max_pool"),
    "AveragePooling2D": _pool("average_pool"),
    "GlobalAveragePooling2D": _pool("average_pool"),
    "Flatten": plain("reshape"),
    "Reshape": plain("reshape"),
    "Permute": _read_permute,
    "ZeroPadding1D": _read_padding,
    "ZeroPadding2D": _read_padding,
    "Cropping1D": _read_cropping,
    "Cropping2D": _read_cropping,
    "Concatenate": _read_concatenate,
    "CustomScaleLayer": _read_scaled_sum,
    "Average": _sum_of(lambda n: (1.0 / n,) * n),
}

#: Readers of layers and functions of several tensors.
MERGING: dict[str, Reader] = {
    "Add": _sum_of(lambda n: (1.0,) * n),
    "Subtract": _sum_of(lambda n: (1.0, -1.0)),
}

#: Readers of functions that put elements into another order.
ORDERING: dict[str, Reader] = {"Flip": _read_flip}

"""Readers of layers that make images larger or smaller, and repeat."""

from __future__ import annotations

from typing import Any

import numpy as np

from brian_snn.errors import ModelError
from brian_snn.frontends.keras.values import Operations, Reader, Shape, pair, shaped

_INTERPOLATIONS = ("nearest", "bilinear")


def _upsampling(factors: tuple[int, ...], interpolation: str, label: str) -> Operations:
    """Return an upsampling along the leading axes."""
    if interpolation not in _INTERPOLATIONS:
        raise ModelError(
            f"{label}: its interpolation is {interpolation!r}; 'nearest' and 'bilinear' weigh no input negatively and "
            "can be converted, so use one of them."
        )
    return [("upsample", {"factors": factors, "interpolation": interpolation})]


def _read_upsampling_1d(layer: Any, shapes: list[Shape], label: str) -> Operations:
    return _upsampling((int(layer.size),), "nearest", label)


def _read_upsampling_2d(layer: Any, shapes: list[Shape], label: str) -> Operations:
    return _upsampling(pair(layer.size) or (1, 1), layer.interpolation, label)


def _read_repeat(layer: Any, shapes: list[Shape], label: str) -> Operations:
    """Return a vector as a sequence of one step, repeated."""
    (length,) = shapes[0]
    return [shaped("reshape", (1, length)), *_upsampling((int(layer.n),), "nearest", label)]


def _read_center_crop(layer: Any, shapes: list[Shape], label: str) -> Operations:
    """Return a crop; Keras resizes what is too small for one."""
    margins = []
    for length, kept in zip(shapes[0][:2], (int(layer.height), int(layer.width)), strict=True):
        if kept > length:
            raise ModelError(f"{label}: it crops {shapes[0]} to {kept} elements along an axis; use UpSampling2D.")
        before = int((length - kept) / 2)
        margins.append((before, length - kept - before))
    return [("crop", {"margins": (*margins, (0, 0))})]


def _read_resizing(layer: Any, shapes: list[Shape], label: str) -> Operations:
    """Return a resizing to a multiple or a fraction of rows and columns."""
    rows, columns, channels = shapes[0]
    target = int(layer.height), int(layer.width)
    for name in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"):
        if getattr(layer, name, False) and target != (rows, columns):
            raise ModelError(f"{label}: its {name} is True, which cannot be converted; resize the images before.")
    if layer.interpolation not in _INTERPOLATIONS:
        return _upsampling((1, 1), layer.interpolation, label)
    if target[0] % rows == 0 and target[1] % columns == 0:
        return _upsampling((target[0] // rows, target[1] // columns), layer.interpolation, label)
    if rows % target[0] or columns % target[1]:
        raise ModelError(
            f"{label}: it resizes {(rows, columns)} to {target}; a multiple or a whole part of both can be converted, "
            "so resize the images before."
        )
    return _smaller((rows // target[0], columns // target[1]), layer.interpolation, (rows, columns, channels))


def _smaller(factors: tuple[int, int], interpolation: str, shape: Shape) -> Operations:
    """Return what is left of an image: of each block the element in its middle, or the mean of the two there."""
    operations: Operations = []
    size = list(shape)
    window = [2 if interpolation == "bilinear" and factor % 2 == 0 else 1 for factor in factors]
    for axis, (factor, n_mixed) in enumerate(zip(factors, window, strict=True)):
        first = factor // 2 - (n_mixed - 1)
        within = np.arange(size[axis]) % factor
        order = np.flatnonzero((within >= first) & (within < first + n_mixed))
        size[axis] = len(order)
        operations.append(shaped("take", tuple(size), axis=axis, order=order))
    if max(window) > 1:
        operations.append(("average_pool", {"pool_size": tuple(window), "strides": tuple(window), "padding": "valid"}))
    return operations


#: Readers of layers.
RESIZING: dict[str, Reader] = {
    "UpSampling1D": _read_upsampling_1d,
    "UpSampling2D": _read_upsampling_2d,
    "RepeatVector": _read_repeat,
    "CenterCrop": _read_center_crop,
    "Resizing": _read_resizing,
}

"""Readers of layers with weights, and of those that scale and shift."""

from __future__ import annotations

from typing import Any

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.errors import ModelError
from brian_snn.frontends.keras.activations import activation_of
from brian_snn.frontends.keras.values import Operations, Reader, Shape, bias_of, numbers, pair, shaped


def _read_dense(layer: Any, shapes: list[Shape], label: str) -> Operations:
    """Return a dense layer; one that picks each channel once at most is no calculation."""
    kernel, bias = numbers(layer.kernel), bias_of(layer)
    rows, columns = np.nonzero(kernel)
    picks = len(np.unique(rows)) == len(rows) and np.array_equal(np.sort(columns), np.arange(layer.units))
    if picks and np.all(kernel[rows, columns] == 1) and bias is None:
        taken = ("take", {"axis": len(shapes[0]) - 1, "order": rows[np.argsort(columns)]})
        return [taken, *activation_of(layer.activation, shapes, label)]
    return [("dense", {"kernel": kernel, "bias": bias}), *activation_of(layer.activation, shapes, label)]


def _window(layer: Any) -> dict[str, Any]:
    return {"strides": pair(layer.strides), "padding": layer.padding, "dilation": pair(layer.dilation_rate)}


def _read_conv2d(layer: Any, shapes: list[Shape], label: str) -> Operations:
    parameters = {"kernel": numbers(layer.kernel), "bias": bias_of(layer), "groups": int(layer.groups)}
    return [("conv2d", parameters | _window(layer)), *activation_of(layer.activation, shapes, label)]


def _read_conv1d(layer: Any, shapes: list[Shape], label: str) -> Operations:
    """Return a convolution along one axis as one along rows, of which each has a single column."""
    parameters = {"kernel": numbers(layer.kernel)[:, None], "bias": bias_of(layer), "groups": int(layer.groups)}
    return [*_along_rows("conv2d", layer, parameters, shapes), *activation_of(layer.activation, shapes, label)]


def _along_rows(operation: str, layer: Any, parameters: dict[str, Any], shapes: list[Shape]) -> Operations:
    """Return a sliding map along one axis; a causal one has all its padding before."""
    strides, dilation = int(_number(layer.strides)), int(_number(layer.dilation_rate))
    window = {"strides": (strides, 1), "padding": layer.padding, "dilation": (dilation, 1)}
    if layer.padding != "causal":
        return [(operation, parameters | window)]
    length, channels = shapes[0]
    before = (parameters["kernel"].shape[0] - 1) * dilation
    pad = shaped("pad", (length + before, channels), margins=((before, 0), (0, 0)))
    return [pad, (operation, parameters | window | {"padding": "valid"})]


def _number(value: Any) -> Any:
    """Return the one element of a list, or a number as it is."""
    return np.ravel(value)[0]


def _read_depthwise_1d(layer: Any, shapes: list[Shape], label: str) -> Operations:
    parameters = {"kernel": numbers(layer.kernel)[:, None], "bias": bias_of(layer)}
    return [*_along_rows("depthwise", layer, parameters, shapes), *activation_of(layer.activation, shapes, label)]


def _read_depthwise(layer: Any, shapes: list[Shape], label: str) -> Operations:
    parameters = {"kernel": numbers(layer.kernel), "bias": bias_of(layer)}
    return [("depthwise", parameters | _window(layer)), *activation_of(layer.activation, shapes, label)]


def _read_separable(layer: Any, shapes: list[Shape], label: str) -> Operations:
    """Return a separable convolution as one convolution."""
    parameters = {"kernel": _merged_kernel(layer), "bias": bias_of(layer), "groups": 1}
    return [("conv2d", parameters | _window(layer)), *activation_of(layer.activation, shapes, label)]


def _read_separable_1d(layer: Any, shapes: list[Shape], label: str) -> Operations:
    parameters = {"kernel": _merged_kernel(layer)[:, None], "bias": bias_of(layer), "groups": 1}
    return [*_along_rows("conv2d", layer, parameters, shapes), *activation_of(layer.activation, shapes, label)]


def _merged_kernel(layer: Any) -> FloatArray:
    """Multiply the two kernels of a separable convolution into one."""
    depthwise, pointwise = numbers(layer.depthwise_kernel), numbers(layer.pointwise_kernel)
    rows = pointwise.reshape(*depthwise.shape[-2:], -1)
    kernel: FloatArray = np.einsum("...cm,cmf->...cf", depthwise, rows)
    return kernel


def _read_batch_norm(layer: Any, shapes: list[Shape], label: str) -> Operations:
    """Return gamma (x - mean) / sqrt(variance + epsilon) + beta as a gain and a shift."""
    axis = layer.axis[0] if isinstance(layer.axis, (list, tuple)) else layer.axis
    if axis not in (-1, len(shapes[0])):
        raise ModelError(f"{label}: it normalises axis {axis}; the channel axis must be the last one.")
    gain = 1.0 / np.sqrt(numbers(layer.moving_variance) + layer.epsilon)
    if layer.scale:
        gain = gain * numbers(layer.gamma)
    shift = -numbers(layer.moving_mean) * gain
    if layer.center:
        shift = shift + numbers(layer.beta)
    return [("affine", {"gain": gain, "shift": shift})]


def _read_rescaling(layer: Any, shapes: list[Shape], label: str) -> Operations:
    gain, shift = np.asarray(layer.scale, dtype=np.float64), np.asarray(layer.offset, dtype=np.float64)
    return [("affine", {"gain": gain, "shift": shift})]


def _read_normalization(layer: Any, shapes: list[Shape], label: str) -> Operations:
    """Return (x - mean) / deviation, or its inverse, as a gain and a shift."""
    from keras import config

    if getattr(layer, "mean", None) is None:
        raise ModelError(f"{label}: it has no mean and variance yet; call its adapt() and save the model again.")
    # The arrays have a batch axis of 1, unless they were given as plain numbers.
    mean, variance = (numbers(a) for a in (layer.mean, layer.variance))
    mean, variance = (a[0] if a.ndim == len(shapes[0]) + 1 else a for a in (mean, variance))
    deviation = np.maximum(np.sqrt(variance), config.epsilon())
    if layer.invert:
        return [("affine", {"gain": deviation, "shift": mean})]
    return [("affine", {"gain": 1.0 / deviation, "shift": -mean / deviation})]


#: Readers of layers.
WEIGHTED: dict[str, Reader] = {
    "Dense": _read_dense,
    "Conv2D": _read_conv2d,
    "Conv1D": _read_conv1d,
    "DepthwiseConv2D": _read_depthwise,
    "DepthwiseConv1D": _read_depthwise_1d,
    "SeparableConv2D": _read_separable,
    "SeparableConv1D": _read_separable_1d,
    "BatchNormalization": _read_batch_norm,
    "Rescaling": _read_rescaling,
    "Normalization": _read_normalization,
}

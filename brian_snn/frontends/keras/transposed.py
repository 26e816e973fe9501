"""Readers of transposed convolutions: plain ones of an input with zeros between and around its elements.

An input element j along an axis with stride s adds its kernel from place ``j s - before`` on. That is a convolution,
the kernel turned around, over the elements s apart, with zeros around them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.frontends.keras.activations import activation_of
from brian_snn.frontends.keras.values import Operations, Reader, Shape, bias_of, numbers, pair, shaped


def _read_transposed_1d(layer: Any, shapes: list[Shape], label: str) -> Operations:
    kernel = numbers(layer.kernel)[:, None]
    strides, dilation = int(np.ravel(layer.strides)[0]), int(np.ravel(layer.dilation_rate)[0])
    length, channels = shapes[0]
    output = tuple(layer.compute_output_shape((None, *shapes[0]))[1:])
    operations = _transposed(layer, kernel, (strides, 1), (dilation, 1), (length, 1, channels), (output[0], 1))
    return [
        shaped("reshape", (length, 1, channels)),
        *operations,
        shaped("reshape", output),
        *activation_of(layer.activation, shapes, label),
    ]


def _read_transposed_2d(layer: Any, shapes: list[Shape], label: str) -> Operations:
    strides, dilation = pair(layer.strides) or (1, 1), pair(layer.dilation_rate) or (1, 1)
    output = layer.compute_output_shape((None, *shapes[0]))[1:3]
    operations = _transposed(layer, numbers(layer.kernel), strides, dilation, shapes[0], output)
    return [*operations, *activation_of(layer.activation, shapes, label)]


def _transposed(
    layer: Any,
    kernel: FloatArray,
    strides: tuple[int, int],
    dilation: tuple[int, int],
    shape: Shape,
    output: tuple[int, int],
) -> Operations:
    """Return the operations along rows and columns; the kernel is (rows, columns, channels out, channels in)."""
    spread = tuple((n - 1) * stride + 1 for n, stride in zip(shape[:2], strides, strict=True))
    margins = []
    for axis in (0, 1):
        reach = (kernel.shape[axis] - 1) * dilation[axis]
        # What 'same' pads in the convolution whose transpose this is, which is cut off here.
        before = max(0, spread[axis] + reach - output[axis]) // 2 if layer.padding == "same" else 0
        margins.append((reach - before, output[axis] + before - spread[axis]))
    padded = tuple(n + sum(margin) for n, margin in zip(spread, margins, strict=True))
    parameters = {
        "kernel": np.ascontiguousarray(kernel[::-1, ::-1].swapaxes(2, 3)),
        "bias": bias_of(layer),
        "groups": 1,
        "strides": (1, 1),
        "padding": "valid",
        "dilation": dilation,
    }
    return [
        shaped("dilate", (*spread, shape[2]), factors=(*strides, 1)),
        shaped("pad", (*padded, shape[2]), margins=(*margins, (0, 0))),
        shaped("conv2d", (*output, kernel.shape[2]), **parameters),
    ]


#: Readers of layers.
TRANSPOSED: dict[str, Reader] = {
    "Conv1DTranspose": _read_transposed_1d,
    "Conv2DTranspose": _read_transposed_2d,
}

"""The operators that `onnx.reference` has not as they should be.

Its batch normalisation of versions 6 to 13 takes the statistics of the images at hand. Its pooling makes windows beyond
the input where ``ceil_mode`` is set, and takes a hundred times as long as these; its global maximum along a single axis
is one over the channels too, it pads by no negative number, and has no transposed convolution in groups. These follow
the description of the operators and share no code with how they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@cache
def own_operators() -> list[Any]:
    """Return classes as the evaluator of `onnx.reference` takes them, which is told by their names what they are."""
    from onnx.reference.op_run import OpRun

    class BatchNormalization(OpRun):
        """Of a trained model."""

        def _run(
            self, x: Array, scale: Array, shift: Array, mean: Array, variance: Array, epsilon: float = 1e-5, **_: Any
        ) -> tuple[Array]:
            scale, shift, mean, variance = (a.reshape(-1, *[1] * (x.ndim - 2)) for a in (scale, shift, mean, variance))
            return (((x - mean) / np.sqrt(variance + epsilon) * scale + shift).astype(x.dtype),)

    class MaxPool(OpRun):
        """Without dilation, and without the places of the maxima."""

        def _run(self, x: Array, **attributes: Any) -> tuple[Array]:
            return (_over_windows(np.maximum, x, -np.inf, attributes),)

    class AveragePool(OpRun):
        """Without dilation."""

        def _run(self, x: Array, count_include_pad: int = 0, **attributes: Any) -> tuple[Array]:
            counts = np.ones((1, 1, *x.shape[2:]), x.dtype)
            n_elements = _over_windows(np.add, counts, 1 if count_include_pad else 0, attributes)
            return (_over_windows(np.add, x, 0, attributes) / n_elements,)

    class GlobalMaxPool(OpRun):
        """Along any number of axes."""

        def _run(self, x: Array) -> tuple[Array]:
            return (x.max(axis=tuple(range(2, x.ndim)), keepdims=True),)

    class Pad(OpRun):
        """With zeros."""

        def _run(self, x: Array, pads: Any = None, value: Any = 0, axes: Any = None, **_: Any) -> tuple[Array]:
            return (_padded(x, np.asarray(pads).tolist(), range(x.ndim) if axes is None else axes),)

    class ConvTranspose(OpRun):
        """In groups too, without auto_pad and output_shape."""

        def _run(self, x: Array, weights: Array, bias: Any = None, group: int = 1, **attributes: Any) -> tuple[Array]:
            parts = zip(np.split(x, group, axis=1), np.split(weights, group), strict=True)
            made = np.concatenate([_spread(*part, attributes) for part in parts], axis=1)
            return (made if bias is None else made + bias.reshape(-1, *[1] * (x.ndim - 2)),)

    return [BatchNormalization, MaxPool, AveragePool, GlobalMaxPool, Pad, ConvTranspose]


def _spread(x: Array, weights: Array, attributes: dict[str, Any]) -> Array:
    """Add up the kernels of a transposed convolution, each times its element of (images, channels, ...)."""
    sizes = weights.shape[2:]
    strides, dilations = (attributes.get(name) or [1] * len(sizes) for name in ("strides", "dilations"))
    pads, further = (attributes.get(name) or [0] * (2 * len(sizes)) for name in ("pads", "output_padding"))
    lengths = [
        (n - 1) * stride + (size - 1) * dilation + 1 + more
        for n, stride, size, dilation, more in zip(x.shape[2:], strides, sizes, dilations, further, strict=False)
    ]
    total = np.zeros((len(x), weights.shape[1], *lengths), x.dtype)
    for element in product(*map(range, sizes)):
        starts = [at * dilation for at, dilation in zip(element, dilations, strict=True)]
        stops = (start + (n - 1) * stride + 1 for start, n, stride in zip(starts, x.shape[2:], strides, strict=True))
        places = (slice(None), slice(None), *map(slice, starts, stops, strides))
        kernel = np.moveaxis(weights, (0, 1), (-2, -1))[element]
        total[places] += np.einsum("ni...,io->no...", x, kernel)
    ends = (slice(pads[axis], n - pads[axis + len(sizes)]) for axis, n in enumerate(lengths))
    return total[(slice(None), slice(None), *ends)]


def _padded(x: Array, pads: list[int], axes: Iterable[int]) -> Array:
    """Return an array with zeros around it, or without its first or last elements."""
    for axis, before, behind in zip(axes, pads[: len(pads) // 2], pads[len(pads) // 2 :], strict=True):
        x = np.moveaxis(x, int(axis), 0)
        x = x[max(0, -before) : len(x) - max(0, -behind)]
        margins = [(max(0, before), max(0, behind)), *[(0, 0)] * (x.ndim - 1)]
        x = np.moveaxis(np.pad(x, margins), 0, int(axis))
    return x


def _over_windows(combine: Callable[..., Array], x: Array, filling: float, attributes: dict[str, Any]) -> Array:
    """Return what an operation makes of each window of (images, channels, ...), its padding filled with a number."""
    sizes = attributes["kernel_shape"]
    strides = attributes.get("strides") or [1] * len(sizes)
    before, behind, counts = [], [], []
    for axis, (size, stride) in enumerate(zip(sizes, strides, strict=True)):
        first, last, count = _places(x.shape[axis + 2], size, stride, axis, attributes)
        before.append(first)
        behind.append(last)
        counts.append(count)
    margins = [(0, 0), (0, 0), *zip(before, behind, strict=True)]
    padded = np.pad(x, margins, constant_values=filling)
    # What a last window covers beyond the padding is nothing, whatever the padding is.
    nothing = -np.inf if combine is np.maximum else 0
    reach = [(count - 1) * stride + size for count, stride, size in zip(counts, strides, sizes, strict=True)]
    beyond = [(0, max(0, end - length)) for end, length in zip(reach, padded.shape[2:], strict=True)]
    padded = np.pad(padded, [(0, 0), (0, 0), *beyond], constant_values=nothing)
    made = None
    for offset in product(*map(range, sizes)):
        stops = (start + (count - 1) * stride + 1 for start, count, stride in zip(offset, counts, strides, strict=True))
        places = (slice(None), slice(None), *map(slice, offset, stops, strides))
        part = padded[places]
        made = part if made is None else combine(made, part)
    assert made is not None, "a window has an element"
    return made


def _places(length: int, size: int, stride: int, axis: int, attributes: dict[str, Any]) -> tuple[int, int, int]:
    """Return the padding before and behind an axis, and how many windows there are along it."""
    rule = attributes.get("auto_pad") or "NOTSET"
    pads = attributes.get("pads") or [0] * (2 * len(attributes["kernel_shape"]))
    first, last = pads[axis], pads[axis + len(pads) // 2]
    if rule in ("SAME_UPPER", "SAME_LOWER"):
        count = (length + stride - 1) // stride
        total = max(0, (count - 1) * stride + size - length)
        half, rest = total // 2, total - total // 2
        return (half, rest, count) if rule == "SAME_UPPER" else (rest, half, count)
    if rule == "VALID":
        first = last = 0
    room = length + first + last - size
    count = room // stride + 1
    if attributes.get("ceil_mode") and room % stride and count * stride < length + first:
        count += 1
    return first, last, count

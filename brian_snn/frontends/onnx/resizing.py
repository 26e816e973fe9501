"""Operators that enlarge: transposed convolutions, and resizing by whole factors."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.frontends.onnx.call import Call
from brian_snn.frontends.onnx.tensors import Shape, Tensor
from brian_snn.frontends.onnx.windows import Window


def _read_conv_transpose(call: Call) -> list[Tensor]:
    """Return a convolution, its kernel turned around, of the input with zeros between its elements."""
    source, weights = call.tensor(), call.weights(1, "kernel")
    n_axes, groups = source.rank - 2, call.integer("group", 1)
    if n_axes not in (1, 2) or weights.ndim != source.rank or not weights.size:
        raise call.error(f"its input has the shape {source.shape}, its kernel {weights.shape}; one axis or two fit.")
    if groups < 1 or weights.shape[0] != source.shape[1] or source.shape[1] % groups:
        raise call.error(f"its kernel {weights.shape} in {groups} groups does not fit its input {source.shape}.")
    if call.text("auto_pad", "NOTSET") != "NOTSET" or "output_shape" in call.attributes:
        raise call.error("its padding follows from auto_pad or output_shape; export it with pads.")
    bias = call.weights(2, "bias") if call.has(2) else None
    n_out, ones, lengths, size = weights.shape[1] * groups, (1,) * n_axes, source.shape[2:], weights.shape[2:]
    strides, dilation = (call.integers(name, n_axes, ones, least=1) for name in ("strides", "dilations"))
    further = call.integers("output_padding", n_axes, (0,) * n_axes)
    ends = call.integers("pads", 2 * n_axes, (0,) * (2 * n_axes))
    pads = list(zip(ends[:n_axes], ends[n_axes:], strict=True))
    reach = [(length - 1) * step for length, step in zip(size, dilation, strict=True)]
    spread = [(n - 1) * stride + 1 for n, stride in zip(lengths, strides, strict=True)]
    margins = [(r - b, r - e + more) for r, (b, e), more in zip(reach, pads, further, strict=True)]
    if min(min(pair) for pair in margins) < 0:
        raise call.error(f"its pads are {ends}, more than its kernel reaches.")
    counts = tuple(n + sum(pair) - r for n, pair, r in zip(spread, margins, reach, strict=True))
    source = _framed(call, call.channels_last(source), strides, spread, margins)
    parameters: dict[str, Any] = {
        "kernel": _turned(weights.reshape(*weights.shape[:2], *Window.in_two_axes(size)), groups),
        "bias": bias,
        "groups": groups,
        "strides": (1, 1),
        "padding": "valid",
        "dilation": Window.in_two_axes(dilation),
    }
    return [call.apply("conv2d", parameters, source, (source.shape[0], n_out, *counts), source.order)]


def _framed(call: Call, source: Tensor, strides: Shape, spread: list[int], margins: list[tuple[int, int]]) -> Tensor:
    """Return a tensor with zeros between its elements and around them."""
    first = source.shape[:2]
    source = call.apply("dilate", {"factors": (*strides, 1)}, source, (*first, *spread), source.order)
    lengths = (n + sum(pair) for n, pair in zip(spread, margins, strict=True))
    return call.apply("pad", {"margins": (*margins, (0, 0))}, source, (*first, *lengths), source.order)


def _turned(weights: FloatArray, groups: int) -> FloatArray:
    """Return (channels in, channels out of a group, rows, columns) as the kernel of a convolution, turned around."""
    blocks = np.split(weights[:, :, ::-1, ::-1], groups)
    return np.ascontiguousarray(np.concatenate([block.transpose(2, 3, 0, 1) for block in blocks], axis=3))


def _read_resize(call: Call) -> list[Tensor]:
    """Return a resizing to a multiple of the lengths of all axes but those of images and channels."""
    source = call.channels_last(call.tensor())
    factors = _factors(call, source)
    mode, places = call.text("mode", "nearest"), call.text("coordinate_transformation_mode", _USUAL_PLACES)
    if call.op_type == "Upsample":
        places = "asymmetric"
    rounding = "floor" if call.op_type == "Upsample" else call.text("nearest_mode", "round_prefer_floor")
    along = list(zip(source.shape[2:], factors, strict=True))
    if mode == "nearest" and all(_repeats(*axis, places, rounding) for axis in along):
        interpolation = "nearest"
    elif mode == "linear" and places in ("half_pixel", "pytorch_half_pixel") and not call.integer("antialias", 0):
        interpolation = "bilinear"
    else:
        raise call.error(
            f"it resizes by {mode!r} with places {places!r}; 'nearest', where every element is repeated, and 'linear' "
            "with 'half_pixel' (align_corners=False) can be converted."
        )
    shape = (*source.shape[:2], *(n * factor for n, factor in along))
    parameters = {"factors": factors, "interpolation": interpolation}
    return [call.apply("upsample", parameters, source, shape, source.order)]


_USUAL_PLACES = "half_pixel"


def _factors(call: Call, source: Tensor) -> tuple[int, ...]:
    """Return by how much each axis behind the channels grows."""
    if source.rank not in (3, 4):
        raise call.error(f"its input has the shape {source.shape}; series and images can be resized.")
    old = call.op_type == "Upsample" or call.opset < 11
    position = 1 if old else 2
    if call.has(3) and not old:
        sizes = call.indices("sizes", 3)
        exact = [Fraction(to, n) for to, n in zip(sizes, source.shape, strict=False)]
    elif "scales" in call.attributes and not call.has(position):
        exact = [Fraction(float(scale)) for scale in np.ravel(call.attributes["scales"])]
    else:
        exact = [Fraction(float(scale)) for scale in call.weights(position, "scales").ravel()]
    whole = len(exact) == source.rank and all(factor.denominator == 1 and factor >= 1 for factor in exact)
    if not whole or exact[0] != 1 or exact[1] != 1:
        shown = ", ".join(f"{float(factor):g}" for factor in exact[:8])
        raise call.error(f"it resizes by the factors {shown}; whole factors of rows and columns can be converted.")
    return tuple(int(factor) for factor in exact[2:])


_ROUNDINGS: dict[str, Callable[[Fraction], int]] = {
    "floor": floor,
    "ceil": ceil,
    "round_prefer_floor": lambda place: ceil(place - Fraction(1, 2)),
    "round_prefer_ceil": lambda place: floor(place + Fraction(1, 2)),
}


def _repeats(length: int, factor: int, places: str, rounding: str) -> bool:
    """Whether element ``i`` of the output is element ``i // factor`` of the input."""
    if places not in ("asymmetric", "half_pixel", "pytorch_half_pixel") or rounding not in _ROUNDINGS:
        return False
    shift = Fraction(0) if places == "asymmetric" else Fraction(1, 2)
    found = (_ROUNDINGS[rounding]((i + shift) / factor - shift) for i in range(factor * min(length, 3)))
    return all(min(max(place, 0), length - 1) == i // factor for i, place in enumerate(found))


RESIZING: dict[str, Callable[[Call], list[Tensor]]] = {
    "ConvTranspose": _read_conv_transpose,
    "Resize": _read_resize,
    "Upsample": _read_resize,
}

"""Upsampling: every element becomes several, as spiking neurons of their own that repeat or mix what they hear.

Along an axis by a factor f, element i of the output is ``sum_j x_j w(i - j f)``: a convolution of the input with zeros
between its elements. Nearest: w = 1 for the f places of an element. Bilinear, with the centres of elements half a place
in: w(o) = max(0, 1 - |(o + 1/2) / f - 1/2|), and beyond its border the input goes on as its last element does.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from brian_snn.arrays import FloatArray, IntArray
from brian_snn.conversion.affine import LinearTerm, Value, View, as_image, dilated, positions
from brian_snn.conversion.drafting import Folding
from brian_snn.conversion.pooling import averaged, can_be_rectified_first, rectified_first
from brian_snn.conversion.projecting import project_window
from brian_snn.conversion.signed import as_difference
from brian_snn.network.maps import apply_map
from brian_snn.network.records import INPUT, Geometry, Pair


@dataclass(frozen=True, eq=False)
class _Axis:
    """One axis: places added at either end, the kernel over the spread elements, the zeros around them."""

    beyond: int
    kernel: FloatArray
    padding: Pair


def fold_upsample(folding: Folding, position: int) -> Value:
    """Fold an upsampling layer."""
    node, (value,) = folding.graph.nodes[position], folding.inputs(position)
    nearest = node.parameters["interpolation"] == "nearest"
    if nearest and can_be_rectified_first(folding, position, value):
        value, _ = rectified_first(folding, position, value)
    elif not value.is_view:
        value = as_difference(folding, position, value)
    value = as_image(value, node.label)
    factors = (*node.parameters["factors"], 1)[:2]
    axes = [_axis(n, factor, nearest) for n, factor in zip(value.shape[:2], factors, strict=True)]
    parts, geometry, weights = _parts(value.shape, axes), _geometry(value.shape, axes, factors), _weights(value, axes)

    def project(view: View) -> list[LinearTerm | None]:
        spread = (_spread(view, part, factors) for part in parts)
        return [project_window(part, geometry, weights, node.label) for part in spread]

    bias = None if value.bias is None else _of_bias(value.bias, parts, geometry, weights, factors, node.output_shape)
    if any(view.source == INPUT for view in value.views):
        # The image is numbers, which may be negative, and stays what it is.
        terms = (term for view in value.views for term in project(view))
        shape = node.output_shape
        return Value(shape, tuple(t for t in terms if t is not None), bias, node.name, linear_layer=node.label)
    return averaged(folding, position, value, project, bias)


def _axis(n: int, factor: int, nearest: bool) -> _Axis:
    """Return how an axis of n elements becomes one of ``n factor``."""
    if nearest or factor == 1:
        return _Axis(0, np.ones(factor), (factor - 1, factor - 1))
    offsets = np.arange(-factor, 2 * factor)
    heights = 1 - np.abs((offsets + 0.5) / factor - 0.5)
    inside = heights > 0
    # The kernel of a correlation is turned around. One element more at each end, of which the outputs are left out.
    before, kernel = int(offsets[inside].max()) - factor, heights[inside][::-1]
    length = (n + 1) * factor + 1
    return _Axis(1, kernel, (before, n * factor + len(kernel) - 1 - before - length))


def _parts(shape: tuple[int, ...], axes: list[_Axis]) -> list[IntArray]:
    """Return where the elements of an image lie in it as it goes on beyond its borders: each once in every part."""
    index = positions(shape)
    places = [[(slice(None), slice(None))] for _ in axes]
    for axis, found in zip(axes, places, strict=True):
        if axis.beyond:
            # (elements, places): the whole in the middle, the first one before it, the last one behind.
            found[0] = (slice(None), slice(1, -1))
            found += [(slice(0, 1), slice(0, 1)), (slice(-1, None), slice(-1, None))]
    parts = []
    for (rows, to_rows), (columns, to_columns) in itertools.product(*places):
        part = np.full((shape[0] + 2 * axes[0].beyond, shape[1] + 2 * axes[1].beyond, shape[2]), -1, np.int32)
        part[to_rows, to_columns] = index[rows, columns]
        parts.append(part)
    return parts


def _geometry(shape: tuple[int, ...], axes: list[_Axis], factors: tuple[int, ...]) -> Geometry:
    """Return the convolution over the spread elements."""
    rows, columns = axes
    lengths = [(n + 2 * axis.beyond - 1) * f + 1 for n, axis, f in zip(shape[:2], axes, factors, strict=True)]
    return Geometry(
        "depthwise",
        (*lengths, shape[2]),
        (shape[0] * factors[0], shape[1] * factors[1], shape[2]),
        (len(rows.kernel), len(columns.kernel)),
        padding=(rows.padding, columns.padding),
    )


def _weights(value: Value, axes: list[_Axis]) -> FloatArray:
    kernel = np.outer(axes[0].kernel, axes[1].kernel)[:, :, None, None]
    return np.ascontiguousarray(np.broadcast_to(kernel, (*kernel.shape[:2], value.shape[2], 1)))


def _spread(view: View, part: IntArray, factors: tuple[int, ...]) -> View:
    """Return the elements of a view where a part has them, with zeros between."""
    places = dilated(part, (*factors, 1))
    index = np.where(places >= 0, view.index.ravel()[places], np.int32(-1)).astype(np.int32)
    return replace(view, index=index, gain=None if view.gain is None else view.gain.ravel()[places])


def _of_bias(
    bias: FloatArray,
    parts: list[IntArray],
    geometry: Geometry,
    weights: FloatArray,
    factors: tuple[int, ...],
    shape: tuple[int, ...],
) -> FloatArray:
    """Return what an upsampling makes of the bias of a tensor."""
    total = np.zeros((1, *geometry.output_shape))
    for part in parts:
        places = dilated(part, (*factors, 1))
        total += apply_map(geometry, weights, np.where(places >= 0, bias.ravel()[places], 0.0)[None])
    return total[0].reshape(shape)

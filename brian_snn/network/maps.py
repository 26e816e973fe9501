"""The linear maps of projections in plain NumPy. Sums are taken in float64."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from brian_snn.arrays import FloatArray, IntArray
from brian_snn.network.records import Geometry, Pair

# Upper limits of the unrolled windows that are held at a time, which stay in the cache of a processor: of several
# images, and of the rows of one.
_CHUNK_BYTES, _ROWS_BYTES = 2**21, 2**22


class Wiring(Protocol):
    """Which neuron reaches which: a projection without its weights and ends; fields as in `Projection`."""

    @property
    def geometry(self) -> Geometry:
        """Connectivity."""

    @property
    def source_index(self) -> IntArray | None:
        """The source neuron of each input."""

    @property
    def target_index(self) -> IntArray | None:
        """The target neuron of each output."""


@dataclass(frozen=True)
class Grouped:
    """A geometry as a grouped convolution over (height, width, channels)."""

    input_shape: tuple[int, int, int]
    output_shape: tuple[int, int, int]
    groups: int


def grouped(geometry: Geometry) -> Grouped:
    """Return the grouped convolution that a geometry stands for."""
    if geometry.kind == "dense":
        return Grouped((1, 1, geometry.n_in), (1, 1, geometry.n_out), 1)
    if geometry.kind == "identity":
        return Grouped((1, 1, geometry.n_in), (1, 1, geometry.n_out), geometry.n_in)
    height, width, channels = geometry.input_shape
    out_height, out_width, out_channels = geometry.output_shape
    groups = geometry.groups if geometry.kind == "conv2d" else channels
    return Grouped((height, width, channels), (out_height, out_width, out_channels), groups)


def output_length(length: int, kernel: int, stride: int, dilation: int, padding: Pair) -> int:
    """Return how many windows fit along one axis of `length` elements and their padding."""
    return (length + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1


def same_padding(length: int, kernel: int, stride: int, dilation: int) -> Pair:
    """Return the zeros that 'same' adds before and after an axis; the odd one goes after."""
    n_windows = -(-length // stride)
    total = max(0, (n_windows - 1) * stride + dilation * (kernel - 1) + 1 - length)
    return total // 2, total - total // 2


# --- applying a map -------------------------------------------------------------------------------------------------


def apply_map(geometry: Geometry, weights: FloatArray | None, x: FloatArray) -> FloatArray:
    """Apply a map to a batch.

    Parameters
    ----------
    geometry : Geometry
        Which input reaches which output.
    weights : float array of ``geometry.weights_shape``, or None
        None for max pooling, which takes the maximum of each window, 0 where a window holds padding only.
    x : (n_images, *geometry.input_shape) float array
        Inputs.

    Returns
    -------
    y : (n_images, *geometry.output_shape) float array
        Outputs.
    """
    if geometry.kind == "max_pool":
        return _maximum(geometry, x)
    assert weights is not None, f"a {geometry.kind} map has weights"
    if geometry.kind == "dense":
        return (x.reshape(len(x), -1) @ weights).reshape(len(x), *geometry.output_shape)
    if geometry.kind == "identity":
        return x * weights
    if geometry.kind == "conv2d":
        return _convolve(geometry, weights, x)
    return _slide_per_channel(geometry, weights, x)


def _padded(geometry: Geometry, x: FloatArray, value: float) -> FloatArray:
    """Return x with the geometry's padding around it, cut or filled up to what the last window reaches."""
    (top, _), (left, _) = geometry.padding
    extent = geometry.extent
    # All windows may lie in the padding.
    rows = max(0, min(x.shape[1], extent[0] - top))
    columns = max(0, min(x.shape[2], extent[1] - left))
    if top == left == 0 and rows == extent[0] and columns == extent[1]:
        return x[:, :rows, :columns]
    padded = np.full((len(x), *extent, x.shape[3]), value)
    padded[:, top : top + rows, left : left + columns] = x[:, :rows, :columns]
    return padded


def _taps(geometry: Geometry, padded: FloatArray) -> Iterator[tuple[int, int, FloatArray]]:
    """Yield (kernel row, kernel column, the inputs under it for every window) for every element that meets inputs."""
    (n_rows, n_columns), (s_row, s_column) = geometry.output_shape[:2], geometry.strides
    d_row, d_column = geometry.dilation
    for i in _meeting_elements(geometry, 0):
        for j in _meeting_elements(geometry, 1):
            yield i, j, padded[:, i * d_row :: s_row, j * d_column :: s_column][:, :n_rows, :n_columns]


def _meeting_elements(geometry: Geometry, axis: int) -> range:
    """Return the elements of the kernel along an axis, without those that lie in the padding in every window."""
    before, dilation = geometry.padding[axis][0], geometry.dilation[axis]
    last_window = (geometry.output_shape[axis] - 1) * geometry.strides[axis]
    first = max(0, -((last_window - before) // dilation))
    return range(first, min(geometry.kernel_size[axis], (geometry.input_shape[axis] - 1 + before) // dilation + 1))


def _maximum(geometry: Geometry, x: FloatArray) -> FloatArray:
    """Return the maximum of each window, its padding left out."""
    y = np.full((len(x), *geometry.output_shape), -np.inf)
    for _, _, values in _taps(geometry, _padded(geometry, x, -np.inf)):
        np.maximum(y, values, out=y)
    y[np.isneginf(y)] = 0.0
    return y


def _slide_per_channel(geometry: Geometry, weights: FloatArray, x: FloatArray) -> FloatArray:
    """Apply a map with weights that keeps channels apart: a depthwise convolution or an average."""
    y = np.zeros((len(x), *geometry.output_shape))
    taps = _taps(geometry, _padded(geometry, x, 0.0))
    if geometry.kind == "average_pool":
        for _, _, values in taps:
            y += values
        return y * weights
    blocks = y.reshape(*y.shape[:3], geometry.input_shape[2], -1)
    for i, j, values in taps:
        blocks += values[..., None] * weights[i, j]
    return y


def _convolve(geometry: Geometry, weights: FloatArray, x: FloatArray) -> FloatArray:
    """Convolve in pieces: some images whose unrolled windows fit into `_CHUNK_BYTES`, some rows of a large one."""
    n_rows, n_columns = geometry.output_shape[:2]
    per_row = 8 * n_columns * prod(geometry.kernel_size) * geometry.input_shape[2]
    per_image = max(n_rows * per_row, 8 * prod(geometry.extent) * geometry.input_shape[2])
    n_chunk, row_chunk = max(1, _CHUNK_BYTES // per_image), max(1, _ROWS_BYTES // per_row)
    y = np.empty((len(x), *geometry.output_shape))
    for start in range(0, len(x), n_chunk):
        windows = _windows(geometry, _padded(geometry, x[start : start + n_chunk], 0.0))
        for row in range(0, n_rows, row_chunk):
            rows = slice(row, row + row_chunk)
            y[start : start + n_chunk, rows] = _multiply(geometry, weights, windows[:, rows])
    return y


def _multiply(geometry: Geometry, weights: FloatArray, windows: FloatArray) -> FloatArray:
    """Return the products of windows (`_windows`) and weights, (n_images, rows, columns, channels)."""
    if geometry.groups == 1:
        return np.asarray(np.tensordot(windows, weights, axes=([4, 5, 3], [0, 1, 2])), np.float64)
    y = np.empty((*windows.shape[:3], geometry.output_shape[2]))
    n_in, n_out = weights.shape[2], geometry.output_shape[2] // geometry.groups
    for group in range(geometry.groups):
        inputs, outputs = slice(group * n_in, (group + 1) * n_in), slice(group * n_out, (group + 1) * n_out)
        y[..., outputs] = np.tensordot(windows[..., inputs, :, :], weights[..., outputs], axes=([4, 5, 3], [0, 1, 2]))
    return y


def _windows(geometry: Geometry, padded: FloatArray) -> FloatArray:
    """Return (n_images, rows, columns, channels, kernel rows, kernel columns): a view, nothing is copied."""
    (rows, columns), (d_row, d_column) = geometry.kernel_size, geometry.dilation
    extent = (d_row * (rows - 1) + 1, d_column * (columns - 1) + 1)
    windows = sliding_window_view(padded, extent, axis=(1, 2))  # type: ignore[call-overload]
    return windows[:, :: geometry.strides[0], :: geometry.strides[1], :, ::d_row, ::d_column]


def gather_inputs(projection: Wiring, activity: FloatArray) -> FloatArray:
    """Return what a projection's map sees, (n_images, *input_shape), of its source's activity."""
    flat = activity.reshape(len(activity), -1)
    if projection.source_index is not None:
        padded = np.concatenate([flat, np.zeros((len(flat), 1))], axis=1)
        # Index -1 is the appended column: the constant zero.
        flat = padded[:, projection.source_index]
    return flat[:, : projection.geometry.n_in].reshape(len(flat), *projection.geometry.input_shape)


def scatter_outputs(projection: Wiring, values: FloatArray, totals: FloatArray) -> None:
    """Add a map's outputs to (n_images, n_target) totals; a maximum replaces what is smaller."""
    flat = values.reshape(len(values), -1)
    where: slice | IntArray = slice(flat.shape[1]) if projection.target_index is None else projection.target_index
    if projection.geometry.kind == "max_pool":
        totals[:, where] = np.maximum(totals[:, where], flat)
    else:
        totals[:, where] += flat


# --- listing the synapses -------------------------------------------------------------------------------------------

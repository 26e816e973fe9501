"""A linear map of a linear map, where no ReLU stands between two layers: one map that does the work of both.

A dense layer (or a mean over all rows and columns) after any map is a dense map; a convolution or an average after a
convolution is a convolution, unless it pads. A convolution may pad where the first layer's windows would lie outside
its input, as after a 1x1 convolution. Other pairs have no projection of their own kind and are refused.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from brian_snn.arrays import FloatArray, IntArray
from brian_snn.conversion.affine import LinearTerm, NoOneMapError, source_index
from brian_snn.conversion.projecting import tight_padding
from brian_snn.network.records import Geometry, Pair
from brian_snn.network.synapses import fan_out, synapses

# Products that are held at a time when a map is multiplied into a dense matrix.
_CHUNK_PRODUCTS = 2**22

#: Multiplications that two maps may take to become one, some minutes of work, and numbers that may be held for it.
_MOST_PRODUCTS, _MOST_HELD = 2**36, 2**28


def compose_dense(term: LinearTerm, weights: FloatArray, label: str, linear_layer: str) -> LinearTerm:
    """Return the dense map that equals `term` followed by dense weights (elements of the tensor, n_out).

    The labels are those of the second and the first layer.

    Raises
    ------
    NoOneMapError
        If this would take too long, or too much memory.
    """
    n_synapses, n_out = _n_synapses(term), weights.shape[1]
    _check_work(n_synapses * n_out, max(n_synapses, term.source_size * n_out), label, linear_layer)
    pre, post, weight = _weighted_synapses(term)
    neurons, row = np.unique(pre, return_inverse=True)
    matrix = np.zeros((len(neurons), weights.shape[1]))
    n_chunk = max(1, _CHUNK_PRODUCTS // weights.shape[1])
    for start in range(0, len(pre), n_chunk):
        part = slice(start, start + n_chunk)
        rows, first = np.unique(row[part], return_index=True)
        # Synapses are ordered by source, so each source is one stretch of the products.
        matrix[rows] += np.add.reduceat(weight[part, None] * weights[post[part]], first, axis=0)
    return _dense_term(term, neurons, matrix)


def compose_mean(term: LinearTerm, shape: tuple[int, ...], label: str, linear_layer: str) -> LinearTerm:
    """Return the dense map that equals `term` followed by a mean over the rows and columns of a tensor of `shape`."""
    n_synapses = _n_synapses(term)
    _check_work(n_synapses, max(n_synapses, term.source_size * shape[2]), label, linear_layer)
    pre, post, weight = _weighted_synapses(term)
    neurons, row = np.unique(pre, return_inverse=True)
    matrix = np.zeros((len(neurons), shape[2]))
    np.add.at(matrix, (row, post % shape[2]), weight / (shape[0] * shape[1]))
    return _dense_term(term, neurons, matrix)


def _n_synapses(term: LinearTerm) -> int:
    return int(fan_out(term, term.source_size).sum())


def _check_work(n_products: int, n_held: int, label: str, linear_layer: str) -> None:
    """Raise unless two maps can be made one in some minutes, within the memory of a usual machine."""
    if n_products > _MOST_PRODUCTS or n_held > _MOST_HELD:
        raise NoOneMapError(
            f"{linear_layer}: it has no ReLU and feeds {label}, and to make the two one linear map takes "
            f"{n_products:,} multiplications and {n_held:,} numbers at a time; up to {_MOST_PRODUCTS:,} and "
            f"{_MOST_HELD:,} are done, so put an activation between them."
        )


def _weighted_synapses(term: LinearTerm) -> tuple[IntArray, IntArray, FloatArray]:
    pre, post, index = synapses(term, term.source_size)
    return pre, post, term.kernel.ravel()[index]


def _dense_term(term: LinearTerm, neurons: IntArray, matrix: FloatArray) -> LinearTerm:
    every = len(neurons) == term.source_size
    return replace(
        term,
        geometry=Geometry("dense", (matrix.shape[0],), (matrix.shape[1],)),
        weights=matrix,
        source_index=None if every else neurons.astype(np.int32),
        target_index=None,
    )


def compose_window(
    term: LinearTerm, geometry: Geometry, kernel: FloatArray, label: str, linear_layer: str
) -> LinearTerm:
    """Return the convolution that equals `term` followed by another convolution.

    What the second layer pads with must be what the first one's windows hold there: nothing but its own zeros.

    Parameters
    ----------
    term : LinearTerm
        A convolution.
    geometry : Geometry
        Of the second layer, a plain or depthwise convolution.
    kernel : float array of ``geometry.weights_shape``
        Of the second layer.
    label, linear_layer : str
        The second and the first layer, for error messages.

    Raises
    ------
    NoOneMapError
        If the first is no convolution, or the second pads and the first reaches into its padding, or it would take
        too long, or too much memory.
    """
    channels, term = _channels_read(term, geometry), _cropped(term)
    if channels is None or not all(_pads_with_windows(term.geometry, geometry, axis) for axis in (0, 1)):
        raise _not_composable(label, linear_layer)
    _check_windows(term.geometry, geometry, label, linear_layer)
    first, second = _full_kernel(term.geometry, term.kernel), _full_kernel(geometry, kernel)[:, :, channels]
    products = np.einsum("ijmo,klcm->ijklco", second, first, optimize=True)
    one_group = replace(term.geometry, kind="conv2d", groups=1)
    return replace(term, **_merged_windows(one_group, geometry, products), target_index=None)


def compose_average(term: LinearTerm, geometry: Geometry, label: str, linear_layer: str) -> LinearTerm:
    """Return the convolution that equals `term` followed by an average without padding; arguments as above."""
    channels = _channels_read(term, geometry)
    if channels is None or any(geometry.padding[0] + geometry.padding[1]):
        raise _not_composable(label, linear_layer)
    n_held = prod(_merged_size(term.geometry, geometry)) * prod(term.kernel.shape[2:])
    n_products = prod(geometry.kernel_size) * term.kernel.size
    _check_work(n_products, n_held, label, linear_layer)
    share: FloatArray = term.kernel / np.prod(geometry.kernel_size)
    shares = np.broadcast_to(share, (*geometry.kernel_size, *share.shape))
    target = None
    if term.target_index is not None:
        target = np.arange(geometry.n_out, dtype=np.int32).reshape(geometry.output_shape)[..., channels].ravel()
    n_written = (*geometry.output_shape[:2], len(channels))
    return replace(
        term,
        **_merged_windows(term.geometry, replace(geometry, output_shape=n_written), shares),
        target_index=target,
    )


def _merged_windows(first: Geometry, second: Geometry, kernels: FloatArray) -> dict[str, Any]:
    """Return geometry and weights of two sliding maps as one.

    Parameters
    ----------
    first, second : Geometry
        Of the two; kind and groups of the result are those of the first.
    kernels : (*second.kernel_size, *first.kernel_size, ...) float array
        What the first map contributes through each element of the second.
    """
    strides = _merged_strides(first, second)
    dilation, rows, columns = _merged_offsets(first, second)
    weights = np.zeros((*_merged_size(first, second), *kernels.shape[4:]))
    for i, j in np.ndindex(*second.kernel_size):
        weights[np.ix_(rows[i], columns[j])] += kernels[i, j]
    merged = replace(
        first,
        output_shape=second.output_shape,
        kernel_size=weights.shape[:2],
        dilation=dilation,
        strides=strides,
        padding=(_merged_padding(first, second, 0), _merged_padding(first, second, 1)),
    )
    return {"geometry": replace(merged, padding=tight_padding(merged)), "weights": weights}


def _merged_strides(first: Geometry, second: Geometry) -> Pair:
    return first.strides[0] * second.strides[0], first.strides[1] * second.strides[1]


def _merged_offsets(first: Geometry, second: Geometry) -> tuple[Pair, IntArray, IntArray]:
    """Return the dilation of two sliding maps as one, and the row and column of each pair of their elements."""
    offsets = [_offsets(first, second, axis) for axis in (0, 1)]
    # The layers that verify the synapses have not both strides and dilation: holes become zeros then.
    apart = max(_merged_strides(first, second)) == 1
    dilation = (_common_divisor(offsets[0]), _common_divisor(offsets[1])) if apart else (1, 1)
    return dilation, offsets[0] // dilation[0], offsets[1] // dilation[1]


def _merged_size(first: Geometry, second: Geometry) -> Pair:
    """Return rows and columns of the kernel of two sliding maps as one."""
    _, rows, columns = _merged_offsets(first, second)
    return int(rows.max()) + 1, int(columns.max()) + 1


def _check_windows(first: Geometry, second: Geometry, label: str, linear_layer: str) -> None:
    """Raise unless two convolutions, each as one without groups, can be made one in some minutes."""
    n_in, n_between, n_out = first.input_shape[2], second.input_shape[2], second.output_shape[2]
    elements, others = prod(first.kernel_size), prod(second.kernel_size)
    # The kernels of both, of each pair of their elements, and of the two as one.
    merged = max(elements * others, prod(_merged_size(first, second)))
    n_held = max(elements * n_in * n_between, others * n_between * n_out, merged * n_in * n_out)
    _check_work(elements * others * n_in * n_between * n_out, n_held, label, linear_layer)


def _offsets(first: Geometry, second: Geometry, axis: int) -> IntArray:
    """Return how far (element of the second kernel, element of the first) is from the first input of a window."""
    elements, others = np.arange(first.kernel_size[axis]), np.arange(second.kernel_size[axis])
    return others[:, None] * second.dilation[axis] * first.strides[axis] + elements * first.dilation[axis]


def _common_divisor(offsets: IntArray) -> int:
    return int(np.gcd.reduce(offsets, axis=None)) or 1


def _cropped(term: LinearTerm) -> LinearTerm:
    """Return a sliding map without the last rows and columns of its input that no window reaches."""
    geometry = term.geometry
    if not geometry.is_window:
        return term
    reached = tuple(
        min(n_in, extent - before)
        for n_in, extent, (before, _) in zip(geometry.input_shape[:2], geometry.extent, geometry.padding, strict=True)
    )
    if reached == geometry.input_shape[:2]:
        return term
    index = np.arange(geometry.n_in, dtype=np.int32) if term.source_index is None else term.source_index
    index = index.reshape(geometry.input_shape)[: reached[0], : reached[1]]
    return replace(
        term,
        geometry=replace(geometry, input_shape=index.shape),
        source_index=source_index(index, term.source_size),
    )


def _merged_padding(first: Geometry, second: Geometry, axis: int) -> Pair:
    """Return the padding before an axis, for `tight_padding` to complete."""
    return first.padding[axis][0] + second.padding[axis][0] * first.strides[axis], 0


def _pads_with_windows(first: Geometry, second: Geometry, axis: int) -> bool:
    """Whether the windows of the first map, in the places where the second pads, would lie outside its input."""
    before, after = second.padding[axis]
    stride, (pad, _) = first.strides[axis], first.padding[axis]
    extent = first.dilation[axis] * (first.kernel_size[axis] - 1) + 1
    ends_before = extent - stride - pad <= 0
    starts_after = first.output_shape[axis] * stride - pad >= first.input_shape[axis]
    return (before == 0 or ends_before) and (after == 0 or starts_after)


def _channels_read(term: LinearTerm, geometry: Geometry) -> IntArray | None:
    """Return the channels of the tensor between two layers that a convolution writes everywhere; None if it is none."""
    n_rows, n_columns, n_channels = geometry.input_shape
    if term.geometry.kind not in ("conv2d", "depthwise") or term.geometry.output_shape[:2] != (n_rows, n_columns):
        return None
    n_out = term.geometry.output_shape[2]
    if term.target_index is None:
        return np.arange(n_out)
    channels = term.target_index[:n_out]
    everywhere = np.arange(n_rows * n_columns)[:, None] * n_channels + channels
    return channels if np.array_equal(everywhere.ravel(), term.target_index) else None


def _not_composable(label: str, linear_layer: str) -> NoOneMapError:
    return NoOneMapError(
        f"{linear_layer}: it has no ReLU and feeds {label}, and the two cannot be made one linear map, as for two "
        "convolutions of which the second does not pad; put an activation between them."
    )


def _full_kernel(geometry: Geometry, kernel: FloatArray) -> FloatArray:
    """Return the kernel of a convolution as one without groups, (kh, kw, c_in, c_out)."""
    n_in, n_out = geometry.input_shape[2], geometry.output_shape[2]
    groups = geometry.groups if geometry.kind == "conv2d" else n_in
    rows, columns = geometry.kernel_size
    kernel = kernel.reshape(rows, columns, n_in // groups, n_out)
    full = np.zeros((rows, columns, n_in, n_out))
    for group in range(groups):
        inputs = slice(group * n_in // groups, (group + 1) * n_in // groups)
        outputs = slice(group * n_out // groups, (group + 1) * n_out // groups)
        full[:, :, inputs, outputs] = kernel[..., outputs]
    return full

"""A linear map of a linear map, where no ReLU stands between two layers: one map that does the work of both.

A dense layer (or a mean over all rows and columns) after any map is a dense map; a convolution or an average without
padding, after a convolution, is a convolution. Other pairs have no projection of their own kind and are refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from brian_snn.conversion.affine import LinearTerm
from brian_snn.conversion.graph import FloatArray, Geometry, IntArray, Projection
from brian_snn.conversion.linear_maps import synapses
from brian_snn.conversion.projecting import tight_padding
from brian_snn.errors import ModelError

# Products that are held at a time when a map is multiplied into a dense matrix.
_CHUNK_PRODUCTS = 2**22


def compose_dense(term: LinearTerm, weights: FloatArray) -> LinearTerm:
    """Return the dense map that equals `term` followed by dense weights (elements of the tensor, n_out)."""
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


def compose_mean(term: LinearTerm, shape: tuple[int, ...]) -> LinearTerm:
    """Return the dense map that equals `term` followed by a mean over the rows and columns of a tensor of `shape`."""
    pre, post, weight = _weighted_synapses(term)
    neurons, row = np.unique(pre, return_inverse=True)
    matrix = np.zeros((len(neurons), shape[2]))
    np.add.at(matrix, (row, post % shape[2]), weight / (shape[0] * shape[1]))
    return _dense_term(term, neurons, matrix)


def _weighted_synapses(term: LinearTerm) -> tuple[IntArray, IntArray, FloatArray]:
    projection = Projection(term.source, "", term.geometry, term.weights, term.source_index, term.target_index)
    pre, post, index = synapses(projection, term.source_size)
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

    The second layer must not pad: what it adds around the tensor in between is no window of the first.

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
    ModelError
        If the first is no convolution, or the second pads.
    """
    channels = _channels_read(term, geometry, label, linear_layer)
    first, second = _full_kernel(term.geometry, term.kernel), _full_kernel(geometry, kernel)[:, :, channels]
    products = np.einsum("ijmo,klcm->ijklco", second, first, optimize=True)
    one_group = replace(term.geometry, kind="conv2d", groups=1)
    return replace(term, **_merged_windows(one_group, geometry, products), target_index=None)


def compose_average(term: LinearTerm, geometry: Geometry, label: str, linear_layer: str) -> LinearTerm:
    """Return the convolution that equals `term` followed by an average without padding; arguments as above."""
    channels = _channels_read(term, geometry, label, linear_layer)
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
    (rows, d_row), (columns, d_column) = (_places(first, second, axis) for axis in (0, 1))
    weights = np.zeros((rows.max() + 1, columns.max() + 1, *kernels.shape[4:]))
    for i, j in np.ndindex(*second.kernel_size):
        weights[np.ix_(rows[i], columns[j])] += kernels[i, j]
    merged = replace(
        first,
        output_shape=second.output_shape,
        kernel_size=weights.shape[:2],
        dilation=(d_row, d_column),
        strides=(first.strides[0] * second.strides[0], first.strides[1] * second.strides[1]),
    )
    return {"geometry": replace(merged, padding=tight_padding(merged)), "weights": weights}


def _places(first: Geometry, second: Geometry, axis: int) -> tuple[IntArray, int]:
    """Return where (element of the second, element of the first) lies in the merged kernel, and its dilation."""
    elements, others = np.arange(first.kernel_size[axis]), np.arange(second.kernel_size[axis])
    offset = others[:, None] * second.dilation[axis] * first.strides[axis] + elements * first.dilation[axis]
    dilation = int(np.gcd.reduce(offset, axis=None)) or 1
    return offset // dilation, dilation


def _channels_read(term: LinearTerm, geometry: Geometry, label: str, linear_layer: str) -> IntArray:
    """Return the channels of the tensor between two layers that a convolution writes, at every position."""
    n_rows, n_columns, n_channels = geometry.input_shape
    if term.geometry.kind in ("conv2d", "depthwise") and term.geometry.output_shape[:2] == (n_rows, n_columns):
        n_out = term.geometry.output_shape[2]
        channels = np.arange(n_out) if term.target_index is None else term.target_index[:n_out]
        everywhere = np.arange(n_rows * n_columns)[:, None] * n_channels + channels
        whole = term.target_index is None or np.array_equal(everywhere.ravel(), term.target_index)
        if whole and not any(geometry.padding[0] + geometry.padding[1]):
            return channels
    raise ModelError(
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

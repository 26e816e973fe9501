"""A linear map of a linear map, where no ReLU stands between two layers: one map that does the work of both.

A dense layer (or a mean over all rows and columns) after any map is a dense map; a 1x1 convolution after a convolution
is a convolution. Other pairs have no projection of their own kind and are refused.
"""

from __future__ import annotations

from dataclasses import replace

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


def compose_pointwise(
    term: LinearTerm, geometry: Geometry, kernel: FloatArray, label: str, linear_layer: str
) -> LinearTerm:
    """Return the convolution that equals `term` followed by a 1x1 convolution.

    Parameters
    ----------
    term : LinearTerm
        A convolution.
    geometry : Geometry
        Of the second layer.
    kernel : (kh, kw, c_in, c_out) float array
        Of the second layer.
    label, linear_layer : str
        The second and the first layer, for error messages.

    Raises
    ------
    ModelError
        If either is not such a convolution.
    """
    channels = _channels_written(term, geometry.input_shape)
    pointwise = geometry.kind == "conv2d" and geometry.kernel_size == (1, 1) and geometry.groups == 1
    if not pointwise or channels is None:
        raise not_composable(label, linear_layer)
    product = np.tensordot(_full_kernel(term), kernel[0, 0, channels], axes=([3], [0]))
    (s_row, s_column), (t_row, t_column) = term.geometry.strides, geometry.strides
    composed = replace(
        term.geometry,
        kind="conv2d",
        groups=1,
        output_shape=geometry.output_shape,
        strides=(s_row * t_row, s_column * t_column),
    )
    composed = replace(composed, padding=tight_padding(composed))
    return replace(term, geometry=composed, weights=product, target_index=None)


def not_composable(label: str, linear_layer: str) -> ModelError:
    """Return the error for two linear layers that cannot be made one."""
    return ModelError(
        f"{linear_layer}: it has no ReLU and feeds {label}, and the two cannot be folded into one linear map; put an "
        "activation between them or merge them."
    )


def _channels_written(term: LinearTerm, shape: tuple[int, ...]) -> IntArray | None:
    """Return the channels of a tensor that a convolution writes, at every position; None if it is not so simple."""
    if term.geometry.kind not in ("conv2d", "depthwise") or term.geometry.output_shape[:2] != shape[:2]:
        return None
    n_out = term.geometry.output_shape[2]
    if term.target_index is None:
        return np.arange(n_out)
    channels = term.target_index[:n_out]
    expected = np.arange(shape[0] * shape[1])[:, None] * shape[2] + channels
    return channels if np.array_equal(expected.ravel(), term.target_index) else None


def _full_kernel(term: LinearTerm) -> FloatArray:
    """Return the kernel of a convolution as one without groups, (kh, kw, c_in, c_out)."""
    n_in, n_out = term.geometry.input_shape[2], term.geometry.output_shape[2]
    groups = term.geometry.groups if term.geometry.kind == "conv2d" else n_in
    rows, columns = term.geometry.kernel_size
    kernel = term.kernel.reshape(rows, columns, n_in // groups, n_out)
    full = np.zeros((rows, columns, n_in, n_out))
    for group in range(groups):
        inputs = slice(group * n_in // groups, (group + 1) * n_in // groups)
        outputs = slice(group * n_out // groups, (group + 1) * n_out // groups)
        full[:, :, inputs, outputs] = kernel[..., outputs]
    return full

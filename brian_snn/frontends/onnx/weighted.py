"""Operators with weights: convolutions and products with a matrix."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.frontends.onnx.call import Call
from brian_snn.frontends.onnx.tensors import BATCH, Tensor, plain_order
from brian_snn.frontends.onnx.windows import window_of

#: Elements of a kernel whose holes are filled with zeros.
_MOST_KERNEL = 2**26


def _read_conv(call: Call) -> list[Tensor]:
    """Return a convolution along one axis or two."""
    source, weights = call.tensor(), call.weights(1, "kernel")
    n_axes = source.rank - 2
    if n_axes not in (1, 2) or weights.ndim != source.rank or not weights.size:
        raise call.error(
            f"its input has the shape {source.shape} and its kernel {weights.shape}; along one axis or two it is "
            "converted."
        )
    groups, (n_out, n_in) = call.integer("group", 1), weights.shape[:2]
    if groups < 1 or n_in * groups != source.shape[1] or n_out % groups:
        raise call.error(f"its kernel {weights.shape} in {groups} groups does not fit its input {source.shape}.")
    bias = call.weights(2, "bias") if call.has(2) else None
    if bias is not None and bias.shape != (n_out,):
        raise call.error(f"its bias has the shape {bias.shape}; {n_out} numbers were expected.")
    window = window_of(call, source.shape[2:], weights.shape[2:])
    source = call.channels_last(source)
    # Along a single axis every row has one column.
    kernel = weights.reshape(n_out, n_in, *weights.shape[2:], *[1] * (2 - n_axes))
    parameters: dict[str, Any] = {"padding": window.padding, "bias": bias}
    if groups > 1 and n_in == 1:
        operation = "depthwise"
        kernel = kernel.reshape(groups, n_out // groups, *kernel.shape[2:]).transpose(2, 3, 0, 1)
    else:
        operation, parameters["groups"] = "conv2d", groups
        kernel = kernel.transpose(2, 3, 1, 0)
    strides, dilation = window.in_two_axes(window.strides), window.in_two_axes(window.dilation)
    kernel, dilation = _without_both(call, kernel, strides, dilation)
    parameters |= {"kernel": np.ascontiguousarray(kernel), "strides": strides, "dilation": dilation}
    shape = (source.shape[0], n_out, *window.n_windows)
    return [call.apply(operation, parameters, source, shape, source.order)]


def _without_both(
    call: Call, kernel: FloatArray, strides: tuple[int, int], dilation: tuple[int, int]
) -> tuple[FloatArray, tuple[int, int]]:
    """Return a kernel with zeros in its holes, where strides and dilation come together: a verified map has one."""
    if max(strides) == 1 or max(dilation) == 1:
        return kernel, dilation
    lengths = [(length - 1) * step + 1 for length, step in zip(kernel.shape[:2], dilation, strict=True)]
    if prod(lengths) * prod(kernel.shape[2:]) > _MOST_KERNEL:
        raise call.error(f"its kernel with a dilation of {dilation} is too large.")
    filled = np.zeros((*lengths, *kernel.shape[2:]))
    filled[:: dilation[0], :: dilation[1]] = kernel
    return filled, (1, 1)


def _read_gemm(call: Call) -> list[Tensor]:
    """Return alpha A B + beta C as a dense layer."""
    source, matrix = call.tensor(), call.weights(1, "matrix")
    if call.integer("transA", 0) or source.order != plain_order(2) or matrix.ndim != 2:
        raise call.error("its input is no tensor of (images, features).")
    matrix = call.number("alpha", 1.0) * (matrix.T if call.integer("transB", 0) else matrix)
    if matrix.shape[0] != source.shape[1]:
        raise call.error(f"its matrix has the shape {matrix.shape}, its input {source.shape}.")
    bias = None
    if call.has(2):
        bias = call.number("beta", 1.0) * call.weights(2, "bias")
        if bias.shape[-1:] not in ((), (1,), matrix.shape[1:]) or bias.size not in (1, matrix.shape[1]):
            raise call.error(f"its bias has the shape {bias.shape}; one number for each of {matrix.shape[1]} fits.")
        bias = np.array(np.broadcast_to(bias.ravel(), matrix.shape[1:]))
    return [_dense(call, source, matrix, bias)]


def _read_matmul(call: Call) -> list[Tensor]:
    """Return the product with a matrix as a dense layer over the last axis."""
    if all(call.has(k) and isinstance(call.inputs[k], Tensor) for k in (0, 1)):
        raise call.error("it multiplies two tensors that depend on the image, for which spikes have no form.")
    source, matrix = call.tensor(), call.weights(1, "matrix")
    if matrix.ndim != 2 or matrix.shape[0] != source.shape[-1] or not source.starts_with_batch or source.rank < 2:
        raise call.error(f"its matrix has the shape {matrix.shape}, its input {source.shape}; one matrix fits.")
    if source.order[-1] != source.rank - 2:
        source = call.plain(source)
    return [_dense(call, source, matrix, None)]


def _dense(call: Call, source: Tensor, matrix: FloatArray, bias: FloatArray | None) -> Tensor:
    """Return a dense layer over the last axis, which is the last one of the node too."""
    assert source.order[-1] != BATCH
    shape = (*source.shape[:-1], matrix.shape[1])
    return call.apply("dense", {"kernel": np.ascontiguousarray(matrix), "bias": bias}, source, shape, source.order)


WEIGHTED: dict[str, Callable[[Call], list[Tensor]]] = {
    "Conv": _read_conv,
    "Gemm": _read_gemm,
    "MatMul": _read_matmul,
}

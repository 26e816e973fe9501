"""A model that computes in float64: what its numbers are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np

from brian_snn.frontends.onnx.graph import array_of
from brian_snn.frontends.onnx.library import import_onnx


def in_float64(model: Any) -> Any:
    """Return a copy of an ONNX model whose floats are float64 throughout.

    Parameters
    ----------
    model : onnx.ModelProto
        It is not changed.

    Returns
    -------
    model : onnx.ModelProto
        The same numbers as float64, and the same operators.
    """
    onnx = import_onnx()
    types = onnx.TensorProto
    floats = (types.FLOAT, types.FLOAT16, types.BFLOAT16)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for tensor in copy.graph.initializer:
        _widen(tensor, floats)
    for node in copy.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                _widen(attribute.t, floats)
            elif node.op_type == "Cast" and attribute.name == "to" and attribute.i in floats:
                attribute.i = types.DOUBLE
            elif node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
                _as_tensor(attribute)
    for value in (*copy.graph.input, *copy.graph.output):
        if value.type.tensor_type.elem_type in floats:
            value.type.tensor_type.elem_type = types.DOUBLE
    return copy


def _widen(tensor: Any, floats: tuple[int, ...]) -> None:
    """Make a stored tensor one of float64."""
    if tensor.data_type in floats:
        values = np.ascontiguousarray(array_of(tensor).astype(np.float64))
        tensor.CopyFrom(import_onnx().numpy_helper.from_array(values, tensor.name))


def _as_tensor(attribute: Any) -> None:
    """Make a constant that is given as plain floats one of float64."""
    onnx = import_onnx()
    values = np.asarray(onnx.helper.get_attribute_value(attribute), np.float32).astype(np.float64)
    changed = onnx.AttributeProto()
    changed.name, changed.type = "value", onnx.AttributeProto.TENSOR
    changed.t.CopyFrom(onnx.numpy_helper.from_array(values))
    attribute.CopyFrom(changed)

"""Constants that a graph computes, such as the shape to which it reshapes: computed once, with the operators of onnx.

A few bytes can ask for a constant of any size, so what comes out is bounded before it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import ModelError
from brian_snn.frontends.onnx.evaluator import evaluate_node
from brian_snn.frontends.onnx.graph import array_of, check_tensor
from brian_snn.frontends.onnx.library import first_line, import_onnx

Arrays = Sequence[NDArray[Any] | None]

#: Elements of one computed constant.
_MOST = 2**28


def _broadcast(arrays: Arrays) -> int:
    return prod(np.broadcast_shapes(*(array.shape for array in arrays if array is not None)))


def _largest(arrays: Arrays) -> int:
    return max((array.size for array in arrays if array is not None), default=0)


def _product(position: int) -> Callable[[Arrays], int]:
    return lambda arrays: prod(max(1, int(length)) for length in _at(arrays, position).ravel())


def _at(arrays: Arrays, position: int) -> NDArray[Any]:
    found = arrays[position] if position < len(arrays) else None
    return np.ones(()) if found is None else found


def _range_length(arrays: Arrays) -> int:
    start, stop, step = (float(_at(arrays, k)) for k in range(3))
    return ceil(abs(stop - start) / abs(step)) if step else 0


#: The operators that are computed, each with how many elements come out at most.
_SIZES: dict[str, Callable[[Arrays], int]] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Min", "Max", "Mod", "Pow", "Where"), _broadcast),
    **dict.fromkeys(("Equal", "Less", "Greater", "And", "Or", "Not", "LessOrEqual", "GreaterOrEqual"), _broadcast),
    **dict.fromkeys(("Cast", "Neg", "Abs", "Sqrt", "Reciprocal", "Floor", "Ceil", "Round", "Exp", "Log"), _largest),
    **dict.fromkeys(("Identity", "Squeeze", "Unsqueeze", "Reshape", "Transpose", "Flatten", "Slice"), _largest),
    **dict.fromkeys(("ReduceProd", "ReduceSum", "ReduceMax", "ReduceMin", "Shape", "Size", "Constant"), _largest),
    "CastLike": _largest,
    "Concat": lambda arrays: sum(array.size for array in arrays if array is not None),
    "Gather": lambda arrays: _at(arrays, 0).size * max(1, _at(arrays, 1).size),
    "ConstantOfShape": _product(0),
    "Expand": lambda arrays: _at(arrays, 0).size * _product(1)(arrays),
    "Range": _range_length,
}


def can_be_computed(op_type: str) -> bool:
    """Whether an operator is computed where all that it reads is constant."""
    return op_type in _SIZES


def computed(node: Any, arrays: Arrays, opset: int, label: str) -> list[NDArray[Any]]:
    """Return what a node makes of constants.

    Parameters
    ----------
    node : NodeProto
        Of an operator that `can_be_computed`.
    arrays : sequence of array or None
        What it reads.
    opset : int
        Version of the operators.
    label : str
        The node, for error messages.

    Raises
    ------
    ModelError
        If it does not fit its inputs, or too much comes out.
    """
    for attribute in node.attribute:
        if attribute.HasField("t"):
            check_tensor(attribute.t, label)
    try:
        with np.errstate(all="ignore"):
            if _SIZES[node.op_type](arrays) > _MOST:
                raise ModelError(f"{label}: it makes a constant of more than {_MOST:,} numbers.")
            if node.op_type == "Constant":
                return [_stored(node)]
            return evaluate_node(node, arrays, opset)
    except ModelError:
        raise
    # The operators of onnx raise whatever NumPy does where inputs do not fit.
    except Exception as error:
        raise ModelError(f"{label}: its constants do not fit one another ({first_line(error)}).") from error


def _stored(node: Any) -> NDArray[Any]:
    """Return the value of a Constant, which is in one of its attributes."""
    (attribute,) = node.attribute
    if attribute.name == "value":
        return array_of(attribute.t)
    kinds = {
        "value_float": np.float32,
        "value_floats": np.float32,
        "value_int": np.int64,
        "value_ints": np.int64,
    }
    return np.asarray(import_onnx().helper.get_attribute_value(attribute), kinds[attribute.name])

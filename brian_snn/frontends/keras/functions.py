"""Operations of keras.ops in a model, such as ``x / 255``: each as the Keras layer that does the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

#: Arithmetic with a number: (scale, offset) of a Rescaling, by the number and whether it stands behind the tensor.
_ARITHMETIC: dict[str, Callable[[Any, bool], tuple[Any, Any] | None]] = {
    "Add": lambda number, behind: (1.0, number),
    "Subtract": lambda number, behind: (1.0, -number) if behind else (-1.0, number),
    "Multiply": lambda number, behind: (number, 0.0),
    "TrueDivide": lambda number, behind: (1.0 / number, 0.0) if behind else None,
}


def as_layer(operation: Any, arguments: tuple[Any, ...]) -> Any:
    """Return a layer of the same name that does what an operation does, or the operation itself if there is none.

    Parameters
    ----------
    operation : keras.Operation
        As a functional model holds it; layers are returned as they are.
    arguments : tuple
        With which it was called, symbolic tensors among them.
    """
    import keras

    if isinstance(operation, keras.Layer) or not type(operation).__module__.startswith("keras."):
        return operation
    kind, layers = type(operation).__name__, keras.layers
    if kind in _ARITHMETIC:
        rescaling = _rescaling(_ARITHMETIC[kind], arguments)
        return operation if rescaling is None else layers.Rescaling(*rescaling, name=operation.name)
    if kind == "Negative":
        return layers.Rescaling(-1.0, name=operation.name)
    if kind == "Concatenate":
        return layers.Concatenate(operation.axis, name=operation.name)
    if kind == "Reshape" and operation.newshape[0] in (-1, None):
        return layers.Reshape(operation.newshape[1:], name=operation.name)
    if kind == "Mean" and sorted(np.atleast_1d(operation.axis)) == [1, 2]:
        return layers.GlobalAveragePooling2D(keepdims=operation.keepdims, name=operation.name)
    return operation


def _rescaling(
    of_number: Callable[[Any, bool], tuple[Any, Any] | None], arguments: tuple[Any, ...]
) -> tuple[Any, Any] | None:
    """Return scale and offset of a calculation with one number, or one per channel; None for any other."""
    import keras

    tensors = [isinstance(argument, keras.KerasTensor) for argument in arguments]
    if sorted(tensors) != [False, True]:
        return None
    number = np.asarray(arguments[tensors.index(False)])
    if number.dtype.kind not in "iuf" or number.ndim > 1:
        return None
    return of_number(number.astype(np.float64), tensors[0])

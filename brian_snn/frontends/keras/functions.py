"""Operations of keras.ops in a model, such as ``x / 255``: each as the Keras layer that does the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from brian_snn.arrays import FloatArray

#: Arithmetic with numbers: (scale, offset) of a Rescaling, by the numbers and whether they stand behind the tensor.
_ARITHMETIC: dict[str, Callable[[Any, bool], tuple[Any, Any] | None]] = {
    "Add": lambda number, behind: (1.0, number),
    "Subtract": lambda number, behind: (1.0, -number) if behind else (-1.0, number),
    "Multiply": lambda number, behind: (number, 0.0),
    "TrueDivide": lambda number, behind: (1.0 / number, 0.0) if behind else None,
    "Divide": lambda number, behind: (1.0 / number, 0.0) if behind else None,
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
    kind = type(operation).__name__
    if kind in _ARITHMETIC:
        rescaling = _rescaling(_ARITHMETIC[kind], arguments)
        return operation if rescaling is None else keras.layers.Rescaling(*rescaling, name=operation.name)
    make = _LAYERS.get(kind)
    layer = None if make is None else make(keras.layers, operation, arguments)
    return operation if layer is None else layer


def _rescaling(
    of_number: Callable[[Any, bool], tuple[Any, Any] | None], arguments: tuple[Any, ...]
) -> tuple[Any, Any] | None:
    """Return scale and offset of a calculation with a number or an array of them; None for any other."""
    number, tensor, behind = _constant(arguments)
    if number is None:
        return None
    if number.ndim == len(tensor.shape):
        # The same for all images.
        if len(number) != 1:
            return None
        number = number[0]
    return of_number(number, behind) if number.ndim < len(tensor.shape) else None


def _constant(arguments: tuple[Any, ...]) -> tuple[FloatArray | None, Any, bool]:
    """Return the numbers with which a tensor is calculated, the tensor, and whether they stand behind it."""
    import keras

    tensors = [isinstance(argument, keras.KerasTensor) for argument in arguments]
    if sorted(tensors) != [False, True]:
        return None, None, False
    behind = tensors[0]
    number = np.asarray(arguments[1 if behind else 0])
    if number.dtype.kind not in "iuf":
        return None, None, False
    return number.astype(np.float64), arguments[0 if behind else 1], behind


def _reshape(layers: Any, operation: Any, arguments: tuple[Any, ...]) -> Any:
    known = operation.newshape[0] in (-1, None)
    return layers.Reshape(operation.newshape[1:], name=operation.name) if known else None


def _mean(layers: Any, operation: Any, arguments: tuple[Any, ...]) -> Any:
    spatial = sorted(np.atleast_1d(operation.axis)) == [1, 2]
    return layers.GlobalAveragePooling2D(keepdims=operation.keepdims, name=operation.name) if spatial else None


def _clip(layers: Any, operation: Any, arguments: tuple[Any, ...]) -> Any:
    """Return a ReLU with a ceiling for what is clipped from zero on."""
    low, high = (np.asarray(limit) for limit in (operation.x_min, operation.x_max))
    fits = low.ndim == high.ndim == 0 and low == 0 and high > 0
    return layers.ReLU(max_value=None if np.isinf(high) else float(high), name=operation.name) if fits else None


def _maximum(layers: Any, operation: Any, arguments: tuple[Any, ...]) -> Any:
    """Return a ReLU for the larger of a tensor and zero."""
    number, _, _ = _constant(arguments)
    return layers.ReLU(name=operation.name) if number is not None and not number.any() else None


def _item(layers: Any, operation: Any, arguments: tuple[Any, ...]) -> Any:
    """Return channels in another order, or some of them, for ``x[..., ::-1]``."""
    shape, key = arguments[0].shape, arguments[1] if len(arguments) > 1 else None
    key = key if isinstance(key, tuple) else (key,)
    whole, last = key[:-1], key[-1]
    fits = len(key) == len(shape) or (Ellipsis in whole and len(key) <= len(shape) + 1)
    if not fits or not isinstance(last, slice) or any(part not in (Ellipsis, slice(None)) for part in whole):
        return None
    return _channels(layers, operation.name, shape, np.arange(shape[-1])[last])


def _channels(layers: Any, name: str, shape: tuple[Any, ...], order: Any) -> Any:
    """Return the layer that keeps some channels, in an order."""
    layer = layers.Dense(len(order), use_bias=False, name=name)
    layer.build((None, shape[-1]))
    layer.set_weights([np.eye(shape[-1])[:, order]])
    return layer


def _leaky_relu(layers: Any, operation: Any, arguments: tuple[Any, ...]) -> Any:
    return layers.LeakyReLU(operation.negative_slope, name=operation.name)


#: Layers that do what an operation does, by the class of the operation; None where there is none.
_LAYERS: dict[str, Callable[[Any, Any, tuple[Any, ...]], Any]] = {
    "Negative": lambda layers, operation, arguments: layers.Rescaling(-1.0, name=operation.name),
    "Concatenate": lambda layers, operation, arguments: layers.Concatenate(operation.axis, name=operation.name),
    "Reshape": _reshape,
    "Mean": _mean,
    "Clip": _clip,
    "Maximum": _maximum,
    "GetItem": _item,
    "LeakyRelu": _leaky_relu,
}

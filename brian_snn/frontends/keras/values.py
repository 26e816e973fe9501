"""What readers of Keras layers have in common: numbers of a layer, and readers that need nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from brian_snn.arrays import FloatArray

Shape = tuple[int, ...]
Operations = list[tuple[str, dict[str, Any]]]

#: From a layer, the shapes of its inputs without the batch axis and its label to the operations that it stands for.
Reader = Callable[[Any, list[Shape], str], Operations]


def numbers(variable: Any) -> FloatArray:
    """Return a Keras variable or tensor as a float64 array."""
    from keras import ops

    return np.array(ops.convert_to_numpy(variable), dtype=np.float64)


def bias_of(layer: Any) -> FloatArray | None:
    """Return the bias of a layer, None if it has none."""
    return numbers(layer.bias) if layer.use_bias else None


def pair(value: Any) -> tuple[int, int] | None:
    """Return one number for rows and columns, or two, as two."""
    if value is None:
        return None
    return (int(value), int(value)) if np.ndim(value) == 0 else (int(value[0]), int(value[1]))


def plain(operation: str, **parameters: Any) -> Reader:
    """Return the reader of a layer of which nothing else matters."""

    def read(layer: Any, shapes: list[Shape], label: str) -> Operations:
        """Return an operation that needs nothing of the layer."""
        return [(operation, dict(parameters))]

    return read


def shaped(operation: str, output_shape: Shape, **parameters: Any) -> tuple[str, dict[str, Any]]:
    """Return an operation whose output has another shape than that of the layer."""
    return operation, {**parameters, "output_shape": output_shape}

"""Linear maps of the network as matrices, for simulators that have connections and no layers."""

from __future__ import annotations

from math import prod

import numpy as np
from exchange import Layer


def dense_transform(layers: list[Layer], source: list[int]) -> np.ndarray:
    """Return the matrix (outputs, inputs) of a chain of linear maps, the biases left out, by what it makes of units."""
    x = np.eye(prod(source)).reshape(-1, *source)
    for layer in layers:
        x = apply(layer, x)
    return x.reshape(len(x), -1).T


def apply(layer: Layer, x: np.ndarray) -> np.ndarray:
    """Apply the linear map of a layer to (n, *shape)."""
    if layer.map == "dense":
        return x.reshape(len(x), -1) @ layer.weights
    (n_rows, n_columns), (row, column) = layer.shape[:2], layer.strides
    y = np.zeros((len(x), *layer.shape))
    for i, j in np.ndindex(*layer.size):
        seen = x[:, i : i + row * n_rows : row, j : j + column * n_columns : column][:, :n_rows, :n_columns]
        y += seen @ layer.weights[i, j] if layer.map == "conv2d" else seen / prod(layer.size)
    return y

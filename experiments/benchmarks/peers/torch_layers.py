"""The network as a PyTorch model, channels first, for the peers that convert one."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from exchange import Layer, plain_layers
from torch import nn


def to_tensor(images: np.ndarray, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return (n, rows, columns, channels) pixels as (n, channels, rows, columns)."""
    return torch.as_tensor(np.ascontiguousarray(np.moveaxis(images, -1, 1)), dtype=dtype)


def build_ann(layers: list[Layer]) -> nn.Sequential:
    """Return the ANN with a ReLU module behind every layer with weights but the readout, in evaluation mode."""
    modules: list[nn.Module] = []
    for layer in plain_layers(layers):
        modules += _modules(layer)
        if layer.weights is not None and layer.map in ("conv2d", "dense") and layer.neurons == "spiking":
            modules.append(nn.ReLU())
    return nn.Sequential(*modules).eval()


def _modules(layer: Layer) -> list[nn.Module]:
    (top, bottom), (left, right) = layer.padding
    size, strides = tuple(layer.kernel_size), tuple(layer.strides)
    if layer.map == "dense":
        linear = nn.Linear(prod(layer.input_shape), prod(layer.output_shape))
        _set(linear, dense_weights(layer).T, layer.bias)
        return [nn.Flatten(), linear]
    if layer.map == "conv2d":
        channels = layer.input_shape[2], layer.output_shape[2]
        symmetric = top == bottom and left == right
        convolution = nn.Conv2d(*channels, size, strides, (top, left) if symmetric else 0)
        _set(convolution, np.transpose(layer.weights, (3, 2, 0, 1)), layer.bias)
        return [convolution] if symmetric else [nn.ZeroPad2d((left, right, top, bottom)), convolution]
    if (top, left) != (bottom, right):
        raise ValueError(
            f"{layer.map}: padding {layer.padding}; pooling is only built for equal padding on both sides."
        )
    if layer.map == "max_pool":
        return [nn.MaxPool2d(size, strides, (top, left))]
    return [nn.AvgPool2d(size, strides, (top, left), count_include_pad=False)]


def dense_weights(layer: Layer) -> np.ndarray:
    """Return dense weights (n_in, n_out) with the inputs in the order channel, row, column."""
    if len(layer.input_shape) != 3:
        return layer.weights
    by_position = layer.weights.reshape(*layer.input_shape, -1)
    return np.moveaxis(by_position, 2, 0).reshape(layer.weights.shape)


def _set(module: nn.Module, weights: np.ndarray, bias: np.ndarray) -> None:
    with torch.no_grad():
        module.weight.copy_(torch.as_tensor(np.ascontiguousarray(weights)))
        module.bias.copy_(torch.as_tensor(bias))

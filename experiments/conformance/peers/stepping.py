"""The networks in PyTorch, channels first, one step after the other; the neurons are the framework's own."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np
import torch
from exchange import Layer, Workload, read_workload
from torch import nn

#: Takes what a layer of neurons receives in a step, (n_images, ...), returns how many spikes each of them sends.
Neurons = Callable[[torch.Tensor], torch.Tensor]


def linear_map(layer: Layer, source: list[int]) -> nn.Module:
    """Return the linear map of a layer, of a source of some shape, channels last."""
    if layer.map == "average_pool":
        return nn.AvgPool2d(tuple(layer.size), tuple(layer.strides))
    bias = torch.as_tensor(layer.bias)
    if layer.map == "dense":
        weights = np.moveaxis(layer.weights.reshape(*source, -1), -2, 0) if len(source) == 3 else layer.weights
        linear = nn.Linear(prod(source), layer.shape[0])
        _set(linear, torch.as_tensor(np.ascontiguousarray(weights.reshape(prod(source), -1).T)), bias)
        return nn.Sequential(nn.Flatten(), linear)
    convolution = nn.Conv2d(source[2], layer.shape[2], tuple(layer.size), tuple(layer.strides))
    _set(convolution, torch.as_tensor(np.ascontiguousarray(layer.weights.transpose(3, 2, 0, 1))), bias)
    return convolution


def _set(module: nn.Module, weights: torch.Tensor, bias: torch.Tensor) -> None:
    with torch.no_grad():
        module.weight.copy_(weights)
        module.bias.copy_(bias)


def run_steps(workload: Workload, make_neurons: Callable[[], Neurons]) -> dict[str, np.ndarray]:
    """Run the network and return the spikes of every layer of neurons, (n_images, steps, *shape), channels last."""
    sources = [list(workload.images.shape[1:]), *(layer.shape for layer in workload.layers)]
    maps = [linear_map(layer, source) for layer, source in zip(workload.layers, sources, strict=False)]
    neurons = {layer.name: make_neurons() for layer in workload.layers if layer.weights is not None}
    images = torch.as_tensor(np.ascontiguousarray(np.moveaxis(workload.images, -1, 1)), dtype=torch.float32)
    recorded: dict[str, list[np.ndarray]] = {name: [] for name in neurons}
    with torch.inference_mode():
        for _ in range(workload.steps):
            x = images
            for layer, apply in zip(workload.layers, maps, strict=True):
                x = apply(x)
                if layer.name in neurons:
                    x = neurons[layer.name](x)
                    recorded[layer.name].append(np.rint(x.numpy()).astype(np.int32))
    return {name: _channels_last(np.stack(steps, axis=1)) for name, steps in recorded.items()}


def run_probe(arrays: dict[str, np.ndarray], make_neurons: Callable[[], Neurons]) -> dict[str, np.ndarray]:
    """Run the conformance network of ``brian-snn probe`` and return the spikes of its output, (1, steps, 16).

    Its max pooling is that of the network, a spike when the largest count grows, which no framework has of its own.
    """

    def tensor(name: str) -> torch.Tensor:
        return torch.as_tensor(arrays[name], dtype=torch.float32)

    def convolved(x: torch.Tensor, name: str, bias: str) -> torch.Tensor:
        # Kernels are (rows, columns, in, out); biases may differ from place to place.
        shifts = tensor(bias)
        shifts = shifts.permute(2, 0, 1) if shifts.ndim == 3 else shifts[:, None, None]
        return nn.functional.conv2d(x, tensor(name).permute(3, 2, 0, 1), padding=1) + shifts

    def flat(x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)

    names = ("conv1", "average", "conv2", "hidden", "out")
    neurons, spikes = {name: make_neurons() for name in names}, []
    image = tensor("input").permute(2, 0, 1)[None]
    seen, largest = torch.zeros(()), torch.zeros(())
    with torch.inference_mode():
        for _ in range(int(arrays["steps"])):
            conv1 = neurons["conv1"](convolved(image, "input_to_conv1", "conv1_bias"))
            average = neurons["average"](nn.functional.avg_pool2d(conv1, 2))
            conv2 = neurons["conv2"](convolved(average, "average_to_conv2", "conv2_bias"))
            seen = seen + conv2
            before, largest = largest, nn.functional.max_pool2d(seen, 2, 1)
            pooled = largest - before
            hidden = flat(pooled) @ tensor("max_to_hidden") + flat(conv1) @ tensor("conv1_to_hidden")
            hidden = neurons["hidden"](hidden + tensor("hidden_bias"))
            out = neurons["out"](hidden @ tensor("hidden_to_out") + tensor("out_bias"))
            spikes.append(np.rint(out.numpy()).astype(np.int32))
    return {"out": np.stack(spikes, axis=1)}


def run_file(path: Path, make_neurons: Callable[[], Neurons]) -> dict[str, np.ndarray]:
    """Run the network of a file, a workload or the arrays of the probe."""
    with np.load(path, allow_pickle=False) as stored:
        if "input_to_conv1" in stored.files:
            return run_probe(dict(stored), make_neurons)
    return run_steps(read_workload(path), make_neurons)


def _channels_last(spikes: np.ndarray) -> np.ndarray:
    return np.moveaxis(spikes, 2, -1) if spikes.ndim == 5 else spikes

"""A bare PyTorch loop over integrate-and-fire neurons: the same network, step for step, in float32 or float64."""

from __future__ import annotations

import numpy as np
import torch
from exchange import Layer, parser, race, read_workload, write_measured
from torch.nn import functional
from torch_layers import dense_weights, to_tensor

GRID = 2.0**-24


def linear_map(layer: Layer, dtype: torch.dtype) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Return weights and bias in PyTorch's layout; an average has one weight a target, and no bias."""
    if layer.weights is None:
        return None, None
    if layer.map == "average_pool":
        return torch.as_tensor(np.ascontiguousarray(np.moveaxis(layer.weights, -1, 0)), dtype=dtype), None
    weights = dense_weights(layer).T if layer.map == "dense" else np.transpose(layer.weights, (3, 2, 0, 1))
    return torch.as_tensor(np.ascontiguousarray(weights), dtype=dtype), torch.as_tensor(layer.bias, dtype=dtype)


def apply(layer: Layer, weights: torch.Tensor, bias: torch.Tensor | None, x: torch.Tensor) -> torch.Tensor:
    """Return the charge that each neuron receives."""
    (top, bottom), (left, right) = layer.padding
    if layer.map == "dense":
        return functional.linear(x.flatten(1), weights, bias)
    if (top, left) != (bottom, right):
        x, top, left = functional.pad(x, (left, right, top, bottom)), 0, 0
    if layer.map == "conv2d":
        return functional.conv2d(x, weights, bias, layer.strides, (top, left))
    sums = functional.avg_pool2d(x, layer.kernel_size, layer.strides, (top, left), divisor_override=1)
    return sums * weights


class Loop:
    """All layers and what they remember from step to step."""

    def __init__(self, layers: list[Layer], dtype: torch.dtype) -> None:
        """Lay out the weights."""
        self.layers, self.dtype = layers, dtype
        self.maps = [linear_map(layer, dtype) for layer in layers]
        self.n_spikes = [0] * len(layers)

    def __call__(self, images: np.ndarray, steps: int) -> np.ndarray:
        """Simulate a batch and return V(T) of the last layer."""
        # The image is a constant current: its convolution is worked out once.
        current = apply(self.layers[0], *self.maps[0], to_tensor(images, self.dtype))
        if self.dtype == torch.float64:
            # As brian_snn does; with it every sum is exact, and the spikes are the same.
            current = torch.round(current / GRID) * GRID
        state: list[torch.Tensor | None] = [None] * len(self.layers)
        counts: list[torch.Tensor | None] = [None] * len(self.layers)
        for _ in range(steps):
            spikes = current
            for k, layer in enumerate(self.layers):
                if layer.map == "max_pool":
                    spikes = self.pool(k, spikes, counts, state)
                    continue
                charge = current if k == 0 else apply(layer, *self.maps[k], spikes)
                state[k] = charge.clone() if state[k] is None else state[k].add_(charge)
                if layer.neurons == "spiking":
                    spikes = (state[k] >= 1).to(self.dtype)
                    state[k].sub_(spikes)
        return state[-1].numpy()

    def pool(self, k: int, spikes: torch.Tensor, counts: list, maxima: list) -> torch.Tensor:
        """Return the spikes of a max pooling: where the largest count among the inputs grows."""
        layer = self.layers[k]
        counts[k] = spikes.clone() if counts[k] is None else counts[k].add_(spikes)
        largest = functional.max_pool2d(counts[k], layer.kernel_size, layer.strides, layer.padding[0][0])
        grown = largest if maxima[k] is None else largest - maxima[k]
        maxima[k] = largest
        return grown


def main() -> None:
    """Time the loop."""
    options = parser(__doc__)
    options.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    workload = read_workload(chosen.workload)
    with torch.inference_mode():
        runs = race(Loop(workload.layers, getattr(torch, chosen.dtype)), workload, chosen)
    write_measured(chosen.output, runs, {"torch": torch.__version__})


if __name__ == "__main__":
    main()

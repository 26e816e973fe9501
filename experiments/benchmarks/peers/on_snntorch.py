"""snntorch: the ANN with its `Leaky` neurons (beta 1, reset by subtraction) in place of every ReLU, step by step."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import snntorch
import torch
from exchange import parser, race, read_workload, write_measured
from snntorch import utils
from torch import nn
from torch_layers import build_ann, to_tensor


def neurons() -> nn.Module:
    """Return a layer of integrate-and-fire neurons that keeps its own state; it has as many as its input."""
    return snntorch.Leaky(beta=1.0, threshold=1.0, init_hidden=True, surrogate_disable=True)


def main() -> None:
    """Build and time."""
    chosen = parser(__doc__).parse_args()
    torch.set_num_threads(chosen.threads)
    workload = read_workload(chosen.workload)
    ann = build_ann(workload.layers)
    network = nn.Sequential(*(neurons() if isinstance(module, nn.ReLU) else module for module in ann))

    def simulate(images: np.ndarray, steps: int) -> np.ndarray:
        utils.reset(network)
        x = to_tensor(images)
        outputs = network(x).clone()
        for _ in range(steps - 1):
            outputs += network(x)
        return outputs.numpy()

    with torch.inference_mode():
        runs = race(simulate, workload, chosen)
    write_measured(chosen.output, runs, {"torch": torch.__version__, "snntorch": version("snntorch")})


if __name__ == "__main__":
    main()

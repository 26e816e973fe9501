"""spikingjelly: the ANN converted by its `ann2snn` with its own normalisation, step by step."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import torch
from exchange import parser, race, read_workload, write_measured
from spikingjelly.activation_based import ann2snn, functional
from torch_layers import build_ann, to_tensor


def main() -> None:
    """Convert and time."""
    chosen = parser(__doc__).parse_args()
    torch.set_num_threads(chosen.threads)
    workload = read_workload(chosen.workload)
    recipe = ann2snn.RateCodingRecipe(dataloader=[to_tensor(workload.calibration)], mode="99.9%")
    network = ann2snn.Converter(recipe=recipe).convert(build_ann(workload.layers))

    def simulate(images: np.ndarray, steps: int) -> np.ndarray:
        functional.reset_net(network)
        x = to_tensor(images)
        outputs = network(x).clone()
        for _ in range(steps - 1):
            outputs += network(x)
        return outputs.numpy()

    with torch.inference_mode():
        runs = race(simulate, workload, chosen)
    write_measured(chosen.output, runs, {"torch": torch.__version__, "spikingjelly": version("spikingjelly")})


if __name__ == "__main__":
    main()

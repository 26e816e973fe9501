"""sinabs: the ANN converted by its `from_model`, several steps a call; at most one spike a step, V unbounded."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import torch
from exchange import parser, race, read_workload, write_measured
from sinabs.activation import MembraneSubtract, SingleSpike
from sinabs.from_torch import from_model
from torch_layers import build_ann, to_tensor


def main() -> None:
    """Convert and time."""
    options = parser(__doc__)
    options.add_argument("--together", type=int, default=1, help="steps that go through the network in one call")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    workload = read_workload(chosen.workload)
    network = from_model(
        build_ann(workload.layers),
        num_timesteps=chosen.together,
        spike_fn=SingleSpike,
        reset_fn=MembraneSubtract(),
        min_v_mem=None,
    )

    def simulate(images: np.ndarray, steps: int) -> np.ndarray:
        network.reset_states()
        x = to_tensor(images).repeat_interleave(chosen.together, dim=0)
        outputs = 0.0
        # The warm-up has fewer steps than one call; it makes one all the same.
        for _ in range(max(1, steps // chosen.together)):
            outputs = outputs + network(x).reshape(len(images), chosen.together, -1).sum(dim=1)
        return outputs.numpy()

    with torch.inference_mode():
        runs = race(simulate, workload, chosen)
    write_measured(chosen.output, runs, {"torch": torch.__version__, "sinabs": version("sinabs")})


if __name__ == "__main__":
    main()

"""norse: IAFCell as it comes."""

from __future__ import annotations

from importlib.metadata import version

import torch
from exchange import parser, write_run
from norse.torch import IAFCell
from stepping import Neurons, run_file


def main() -> None:
    """Run."""
    chosen = parser(__doc__, ("default",)).parse_args()

    def neurons() -> Neurons:
        cell, state = IAFCell(), []

        def step(x: torch.Tensor) -> torch.Tensor:
            spikes, new = cell(x, state[0] if state else None)
            state[:] = [new]
            return spikes

        return step

    write_run(chosen.output, run_file(chosen.workload, neurons), {"norse": version("norse")})


if __name__ == "__main__":
    main()

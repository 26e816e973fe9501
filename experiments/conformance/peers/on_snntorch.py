"""snntorch: Leaky with beta 1 as it comes, with the reset in the step of the spike, and with a reset to zero."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import snntorch
import torch
from exchange import parser, write_run
from stepping import Neurons, run_file

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "no delay": {"reset_delay": False},
    "zero": {"reset_mechanism": "zero"},
}


def main() -> None:
    """Run."""
    chosen = parser(__doc__, tuple(VARIANTS)).parse_args()

    def neurons() -> Neurons:
        layer = snntorch.Leaky(beta=1.0, threshold=1.0, init_hidden=True, **VARIANTS[chosen.variant])

        def step(x: torch.Tensor) -> torch.Tensor:
            spikes = layer(x)
            return spikes[0] if isinstance(spikes, tuple) else spikes

        return step

    write_run(chosen.output, run_file(chosen.workload, neurons), {"snntorch": version("snntorch")})


if __name__ == "__main__":
    main()

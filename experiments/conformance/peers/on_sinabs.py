"""sinabs: IAF as it comes, with at most one spike a step, and with a reset to zero."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from exchange import parser, write_run
from sinabs.activation import MembraneReset, SingleSpike
from sinabs.layers import IAF
from stepping import Neurons, run_file

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "single": {"spike_fn": SingleSpike, "min_v_mem": None},
    "zero": {"spike_fn": SingleSpike, "reset_fn": MembraneReset(), "min_v_mem": None},
}


def main() -> None:
    """Run."""
    chosen = parser(__doc__, tuple(VARIANTS)).parse_args()

    def neurons() -> Neurons:
        layer = IAF(**VARIANTS[chosen.variant])
        # It takes an axis of steps behind that of the images.
        return lambda x: layer(x[:, None])[:, 0]

    write_run(chosen.output, run_file(chosen.workload, neurons), {"sinabs": version("sinabs")})


if __name__ == "__main__":
    main()

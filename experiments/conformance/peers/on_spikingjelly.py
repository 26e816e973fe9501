"""spikingjelly: IFNode as it comes, and with a reset by subtraction."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from exchange import parser, write_run
from spikingjelly.activation_based.neuron import IFNode
from stepping import Neurons, run_file

VARIANTS: dict[str, dict[str, Any]] = {"default": {}, "soft": {"v_reset": None}}


def main() -> None:
    """Run."""
    chosen = parser(__doc__, tuple(VARIANTS)).parse_args()

    def neurons() -> Neurons:
        return IFNode(**VARIANTS[chosen.variant]).eval()

    run = run_file(chosen.workload, neurons)
    write_run(chosen.output, run, {"spikingjelly": version("spikingjelly")})


if __name__ == "__main__":
    main()

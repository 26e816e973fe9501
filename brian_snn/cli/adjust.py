"""``brian-snn adjust``: a network file with other numbers for the neurons of one population."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from brian_snn.cli.options import add_output


def add_options(parser: ArgumentParser) -> None:
    """Add the network, the population, and its numbers."""
    parser.add_argument("network", type=Path, help="file that brian-snn convert wrote")
    parser.add_argument("population", help="its name")
    text = "lambda, the activation of one spike per step: one number, or one a channel"
    parser.add_argument("--scale", type=float, nargs="+", metavar="LAMBDA", help=text)
    parser.add_argument("--threshold", type=float, metavar="V", help="in V_thr of the settings")
    parser.add_argument("--leak", type=float, metavar="PART", help="part of V that is lost in a step")
    parser.add_argument("--v-init", type=float, metavar="V", help="V(0), in V_thr of the settings")
    parser.add_argument("--clamp", type=int, metavar="STEPS", help="steps for which it is held at V(0)")
    text = "standard deviation of the weights of its synapses, over the weight"
    parser.add_argument("--weight-mismatch", type=float, metavar="S", help=text)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the weights that differ")
    add_output(parser, "file (.npz)")


def run(arguments: Namespace) -> int:
    """Write the adjusted network."""
    import brian_snn
    from brian_snn.cli.console import new_console
    from brian_snn.errors import SettingError
    from brian_snn.files import check_target

    check_target(arguments.output, "file", arguments.force)
    names = ("scale", "threshold", "leak", "v_init", "clamp", "weight_mismatch")
    own = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if not own:
        raise SettingError(
            "nothing is adjusted; give --scale, --threshold, --leak, --v-init, --clamp or --weight-mismatch."
        )
    if len(own.get("scale", ())) == 1:
        (own["scale"],) = own["scale"]
    network = brian_snn.adjust(
        brian_snn.load_network(arguments.network), arguments.population, seed=arguments.seed, **own
    )
    network.save(arguments.output)
    new_console().print(f"wrote {arguments.output}")
    return 0

"""``brian-snn import``: a NIR file becomes a network file."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from brian_snn.cli.options import add_output
from brian_snn.conversion_settings import Conversion
from brian_snn.setting_options import add_knobs


def add_options(parser: ArgumentParser) -> None:
    """Add what is read, what a file does not say, and where to."""
    parser.add_argument("file", type=Path, help="a NIR file (.nir)")
    parser.add_argument("--reset", metavar="subtraction|zero", help="whatever the file says; by default what it says")
    parser.add_argument("--dt", type=float, metavar="SECONDS", help="of a step, where the file does not say it")
    parser.add_argument("--discretisation", metavar="exact|euler", help="of leaks: beta = exp(-dt/tau) or 1 - dt/tau")
    parser.add_argument("--input-gain", metavar="scaled|one", help="of leaky neurons: (1 - beta) r, or all of it")
    add_knobs(parser, Conversion, only=("grid",), grid="auto")
    parser.add_argument("--steps", type=int, default=1000, metavar="N", help="steps for which the grid leaves room")
    parser.add_argument(
        "--largest-input", type=float, default=1.0, metavar="X", help="largest pixel for which the grid leaves room"
    )
    add_output(parser, "file (.npz)")


def run(arguments: Namespace) -> int:
    """Read a NIR file, show the populations and write the network."""
    import brian_snn
    from brian_snn.analysis.summary import population_rows
    from brian_snn.cli.console import new_console, table
    from brian_snn.files import check_target, staged_file

    console = new_console()
    check_target(arguments.output, "file", arguments.force)
    names = ("reset", "dt", "discretisation", "input_gain", "grid", "steps", "largest_input")
    network = brian_snn.read_nir(arguments.file, **{name: getattr(arguments, name) for name in names})
    console.print(table(population_rows(network), ("layer", "kind")))
    console.print(f"reset: {network.provenance['reset']}; grid {network.grid:g}")
    with staged_file(arguments.output) as path:
        network.save(path)
    console.print(f"wrote {arguments.output}")
    return 0

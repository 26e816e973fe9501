"""``brian-snn export``: a network file becomes a NIR file."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from brian_snn.cli.options import add_output


def add_options(parser: ArgumentParser) -> None:
    """Add what is written, how, and where to."""
    parser.add_argument("network", type=Path, help="file that brian-snn convert or import wrote")
    parser.add_argument("--reset", metavar="subtraction|zero", help="by default what the network asks for")
    parser.add_argument("--r", type=float, default=1.0, metavar="R", help="resistance: 1, or 1e4 for spikingjelly")
    parser.add_argument("--readout", default="current", metavar="current|spikes", help="what a readout becomes")
    parser.add_argument(
        "--weight-grid", type=float, metavar="G", help="power of two of which weights become multiples, as 0.0009765625"
    )
    add_output(parser, "file (.nir)")


def run(arguments: Namespace) -> int:
    """Write a network as NIR."""
    import brian_snn
    from brian_snn.cli.console import new_console
    from brian_snn.files import check_target, staged_file

    check_target(arguments.output, "file", arguments.force)
    network = brian_snn.load_network(arguments.network)
    how = {name: getattr(arguments, name) for name in ("reset", "r", "readout", "weight_grid")}
    with staged_file(arguments.output) as path:
        rounded = brian_snn.write_nir(network, path, **how)
    console = new_console()
    console.print(f"wrote {arguments.output}")
    if rounded:
        console.print(f"{rounded:,} weights need more bits than float32 has and were rounded to it; see --weight-grid")
    return 0

"""``brian-snn convert``: a model file becomes a network file."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from brian_snn.cli.options import DATA_HELP, add_output
from brian_snn.conversion_settings import Conversion
from brian_snn.frontends.table import suffixes
from brian_snn.setting_options import add_knobs, record_from


def add_options(parser: ArgumentParser) -> None:
    """Add what is converted, how, and where to."""
    parser.add_argument("model", type=Path, help=f"a file that ends in {suffixes()}")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help=DATA_HELP.format("calibration images"))
    add_knobs(parser, Conversion)
    add_output(parser, "file (.npz)")


def run(arguments: Namespace) -> int:
    """Convert a model file, show the populations and write the network."""
    import brian_snn
    from brian_snn.analysis.summary import population_rows, projection_note
    from brian_snn.cli.console import new_console, show_json, table
    from brian_snn.files import check_target, staged_file

    console = new_console()
    check_target(arguments.output, "file", arguments.force)
    start = time.perf_counter()
    network = brian_snn.convert(arguments.model, arguments.data, **vars(record_from(Conversion, arguments)))
    console.print(table(population_rows(network), ("layer", "kind")), projection_note(network), sep="\n")
    with staged_file(arguments.output) as path:
        network.save(path)
    layers = [{"name": p.name, "kind": p.kind, "shape": p.shape, "neurons": p.size} for p in network.populations]
    show_json({"output": arguments.output, "populations": layers, "grid": network.grid})
    console.print(f"\nconverted in {time.perf_counter() - start:.1f} s, wrote {arguments.output}")
    return 0

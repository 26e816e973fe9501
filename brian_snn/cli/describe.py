"""``brian-snn describe``: the description of a network for a paper, in Markdown."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from brian_snn.cli.options import add_output, add_settings_file
from brian_snn.setting_options import LEFT_OPEN, add_settings, fill_from_network, settings_from


def add_options(parser: ArgumentParser) -> None:
    """Add what is described, under which settings, and where to."""
    parser.add_argument("network", type=Path, help="file that brian-snn convert or import wrote")
    add_settings_file(parser)
    add_settings(parser, **dict.fromkeys(LEFT_OPEN))
    add_output(parser, "file (.md)", optional=True)


def run(arguments: Namespace) -> int:
    """Write the description of a saved network, or print it."""
    import brian_snn
    from brian_snn.cli.console import new_console
    from brian_snn.files import check_target, staged_file

    if arguments.output is not None:
        check_target(arguments.output, "file", arguments.force)
    network = brian_snn.load_network(arguments.network)
    fill_from_network(arguments, network.simulation)
    text = brian_snn.describe(network, settings_from(arguments))
    console = new_console(asked=arguments.output is None)
    if arguments.output is None:
        # Lines of tables are as long as they are.
        console.print(text, end="", soft_wrap=True)
        return 0
    with staged_file(arguments.output) as path:
        path.write_text(text, "utf-8")
    console.print(f"wrote {arguments.output}")
    return 0

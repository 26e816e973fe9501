"""``brian-snn build``: a network becomes the folder of a program that needs no Python."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import fields
from pathlib import Path

from brian_snn.cli.options import DATA_HELP, add_any_range, add_output, add_settings_file
from brian_snn.setting_options import LEFT_OPEN, add_settings, fill_from_network, settings_from
from brian_snn.settings import Settings

#: Settings that a program has not: it is compiled, shows still images and draws no random numbers.
_NOT_THERE = ("backend", "input_coding", "output_rate", "seed")


def add_options(parser: ArgumentParser) -> None:
    """Add what is built, how, and where to."""
    parser.add_argument("network", type=Path, help="file that brian-snn convert wrote")
    text = DATA_HELP.format("images, the first of which is the test image; by default it is random")
    parser.add_argument("--data", type=Path, metavar="PATH", help=text)
    add_any_range(parser)
    add_settings_file(parser)
    there = [field.name for field in fields(Settings) if field.name not in _NOT_THERE]
    add_settings(parser, only=there, **dict.fromkeys(LEFT_OPEN))
    add_output(parser, "folder")


def run(arguments: Namespace) -> int:
    """Write the program of a saved network."""
    import brian_snn
    from brian_snn.cli.console import new_console
    from brian_snn.datasets import load_images
    from brian_snn.files import check_target

    check_target(arguments.output, "folder", arguments.force)
    network = brian_snn.load_network(arguments.network)
    fill_from_network(arguments, network.simulation)
    settings = settings_from(arguments)
    image = None
    if arguments.data is not None:
        image = load_images(arguments.data, network.input_shape, inputs=network.inputs).images[0]
    how = {"image": image, "any_range": arguments.any_range, "replace": arguments.force}
    brian_snn.build(network, settings, output=arguments.output, **how)
    new_console().print(f"wrote {arguments.output}: the program is compiled by make there, and tested by make check")
    return 0

"""``brian-snn tune``: the settings with which a model meets a target at the least cost, and the network for them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import fields
from pathlib import Path

from brian_snn.cli.options import DATA_HELP, FAILED, add_output, add_threads, add_workers
from brian_snn.conversion_settings import Conversion
from brian_snn.frontends.table import suffixes
from brian_snn.search_settings import Search
from brian_snn.setting_options import add_knobs, add_settings, record_from, settings_from
from brian_snn.settings import Settings

#: What is searched for is no option: the search has the choices.
_SEARCHED = ("percentile", "normalisation", "v_init", "clamp")
_GIVEN = [knob.name for knob in fields(Conversion) if knob.name not in _SEARCHED]


def add_options(parser: ArgumentParser) -> None:
    """Add the model, the images, what is searched, and where to."""
    parser.add_argument("model", type=Path, help=f"a file that ends in {suffixes()}")
    text = DATA_HELP.format("images of which the search sees a part and the rest is held out, with labels or without")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help=text)
    text = DATA_HELP.format("calibration images, others than these")
    parser.add_argument("--calibration", type=Path, required=True, metavar="PATH", help=text)
    add_knobs(parser.add_argument_group("the search"), Search)
    add_knobs(parser.add_argument_group("the conversion"), Conversion, _GIVEN)
    add_settings(parser, only=[knob.name for knob in fields(Settings) if knob.name not in _SEARCHED])
    add_workers(parser, default=1)
    add_threads(parser)
    text = "folder in which every measurement is kept: the same command goes on there where it was interrupted"
    parser.add_argument("--kept", type=Path, metavar="PATH", help=text)
    add_output(parser, "folder")


def run(arguments: Namespace) -> int:
    """Search, show the front and write what was found; return 1 if nothing meets the target."""
    import brian_snn
    from brian_snn.cli.console import new_console, progress_console, show_json, table
    from brian_snn.datasets import first_images, load_images
    from brian_snn.files import check_target

    console, progress = new_console(), progress_console()
    check_target(arguments.output, "folder", arguments.force)
    data = first_images(load_images(arguments.data), arguments.images)
    conversion = record_from(Conversion, arguments)
    tuning = brian_snn.tune(
        arguments.model,
        arguments.calibration,
        data.images,
        data.labels,
        settings_from(arguments),
        kept=arguments.kept,
        say=lambda line: progress.print(line, soft_wrap=True),
        workers=arguments.workers,
        threads=arguments.threads,
        **vars(record_from(Search, arguments)),
        **{name: getattr(conversion, name) for name in _GIVEN},
    )
    tuning.save(arguments.output, replace=arguments.force)
    console.print(table(tuning.shown_front(), ("normalisation",)), tuning.verdict(), sep="\n\n")
    console.print(f"wrote {arguments.output}")
    show_json(tuning.record())
    return 0 if tuning.met else FAILED

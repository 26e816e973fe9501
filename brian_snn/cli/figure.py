"""``brian-snn figure``: the figures there are, an entry of `FIGURES` each, and what measures and draws one of them.

A study itself is imported when it is drawn, or when its defaults are shown.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brian_snn.cli.options import FAILED, add_output
from brian_snn.conversion_settings import Conversion
from brian_snn.errors import SettingError
from brian_snn.setting_options import add_knobs, record_from
from brian_snn.settings import Execution, Settings

if TYPE_CHECKING:
    from brian_snn.studies.study import Measured, Study

_DEMO = "the trained network and the digits of the package"


@dataclass(frozen=True)
class FigureEntry:
    """One figure.

    Parameters
    ----------
    name : str
        On the command line, of its study, its experiment and its script.
    summary : str
        What it shows.
    source : str
        What it is drawn from.
    options : tuple of str
        The numbers of its study that are options.
    """

    name: str
    summary: str
    source: str = _DEMO
    options: tuple[str, ...] = ("steps", "backend", "images")

    @property
    def study(self) -> Study:
        """What measures and draws it."""
        study: Study = import_module(f"brian_snn.studies.{self.name}").STUDY
        return study


_COMPILED = ("steps", "backend", "images", "workers")

#: Options that are no numbers of a study.
_EXECUTION = {"workers": 1, "threads": 1}

FIGURES = (
    FigureEntry(
        "s1",
        "Figure S1: transients and the voltage clamp in Inception-V3",
        "weights and a photo, which must be given",
        ("weights", "photo", "calibration", "percentile", "steps", "clamp", "threads"),
    ),
    FigureEntry(
        "rate_laws", "S9 and S11 against simulation, over the input and the duration", "one layer", ("backend",)
    ),
    FigureEntry(
        "depth",
        "error of the rates against depth, and what Brian2's own order of updates loses",
        f"random networks; {_DEMO}",
    ),
    FigureEntry(
        "accuracy",
        "error against steps and operations, by percentile, V(0) and reset",
        options=_COMPILED,
    ),
    FigureEntry("activity", "distributions of activations, with lambda, and of firing rates", options=_COMPILED),
    FigureEntry("clamp_transients", "what the voltage clamp buys, over clamp, steps and depth"),
    FigureEntry(
        "error_account",
        "where the error of every layer comes from",
        options=("steps", "reset", "backend", "images"),
    ),
    FigureEntry(
        "methods",
        "ways to convert for few steps: errors, clipping, quantisation, unevenness",
        options=_COMPILED,
    ),
    FigureEntry("variants", "what leaks, refractory periods, delays, noise and other outputs cost", options=_COMPILED),
    FigureEntry("bits", "what weights and potentials of few bits cost", options=_COMPILED),
    FigureEntry("biophysics", "how far from the ideal neuron the network still works", options=_COMPILED),
)


@dataclass(frozen=True)
class _Default:
    """Stands for a number of the small run, which is looked up when it is shown or used."""

    entry: FigureEntry
    name: str

    def __str__(self) -> str:
        """Return the number."""
        return str(self.entry.study.small[self.name])


#: Options that are no knobs, or are called by the name of one.
_OTHERS: dict[str, dict[str, Any]] = {
    "weights": {
        "required": True,
        "default": None,
        "metavar": "imagenet|PATH",
        "help": "imagenet: Keras downloads them; or a file of weights",
    },
    "photo": {"type": Path, "required": True, "default": None, "metavar": "PATH", "help": "photo to show, JPEG or PNG"},
    "calibration": {
        "type": Path,
        "default": None,
        "metavar": "FOLDER",
        "help": "photos that set lambda; those beside the photo by default",
    },
    "clamp": {"type": int, "metavar": "STEPS", "help": "of the second simulation"},
    "images": {"type": int, "metavar": "N", "help": "digits to simulate"},
}


def add_options(parser: ArgumentParser) -> None:
    """Add the figures, each a command of its own with its options."""
    parser.add_argument("--list", action="store_true", help="show the figures there are")
    parser.set_defaults(figure=None)
    subparsers = parser.add_subparsers(metavar="NAME", title="figures")
    for entry in FIGURES:
        description = f"Draw {entry.summary}. From: {entry.source}."
        subparser = subparsers.add_parser(
            entry.name, help=entry.summary, description=description, formatter_class=parser.formatter_class
        )
        _add_options_of(entry, subparser)
        subparser.set_defaults(figure=entry)


def _add_options_of(entry: FigureEntry, parser: ArgumentParser) -> None:
    """Add the options of one figure."""
    defaults = {name: _Default(entry, name) for name in entry.options} | _EXECUTION
    knobs = [name for name in entry.options if name not in _OTHERS]
    add_knobs(parser.add_argument_group("settings of the simulation"), Settings, knobs, **defaults)
    for name in entry.options:
        if name in _OTHERS:
            parser.add_argument(f"--{name}", **{"default": defaults[name]} | _OTHERS[name])
    for record in (Conversion, Execution):
        add_knobs(parser, record, knobs, **defaults)
    if entry.name != "s1":
        text = f"measure with the numbers of experiments/{entry.name}, as large as they are, and no others"
        parser.add_argument("--full", action="store_true", help=text)
    add_output(parser, "folder", Path(f"brian-snn-figure-{entry.name.replace('_', '-')}"))


def run(arguments: Namespace) -> int:
    """Draw one figure, or list them."""
    if arguments.list:
        width = max(len(entry.name) for entry in FIGURES)
        lines = (f"{entry.name:<{width}}  {entry.summary}\n{'':<{width}}  from: {entry.source}\n" for entry in FIGURES)
        sys.stdout.write("".join(lines))
        return 0
    entry: FigureEntry | None = arguments.figure
    if entry is None:
        raise SettingError(f"name a figure: {', '.join(f.name for f in FIGURES)} (see brian-snn figure --list).")
    params = _params(entry, arguments)
    return draw(entry, params, record_from(Execution, arguments), arguments.output, arguments.force)


def _params(entry: FigureEntry, arguments: Namespace) -> dict[str, Any]:
    """Return the numbers that the options give."""
    given = {name: getattr(arguments, name) for name in entry.options if name not in _EXECUTION}
    given = {name: value for name, value in given.items() if not isinstance(value, _Default)}
    if not getattr(arguments, "full", False):
        return {**entry.study.small, **given}
    if given:
        options = ", ".join(f"--{name}" for name in given)
        raise SettingError(f"--full measures with the numbers of experiments/{entry.name}; leave out {options}.")
    return dict(entry.study.full)


def draw(entry: FigureEntry, params: dict[str, Any], execution: Execution, output: Path, force: bool = False) -> int:
    """Measure, draw and write a figure with its numbers; return the exit code: 0, or 1 if an equation does not hold."""
    # The console and all that is simulated with take seconds to import.
    from brian_snn.cli.console import Stages, heading, new_console, table, verdict
    from brian_snn.files import check_target, files_in, staged_folder

    console, study = new_console(), entry.study
    check_target(output, "folder", force, replace_own=True)
    with Stages() as stages:
        measured = study.measure(params, execution, stages)
        with stages.stage("write"), staged_folder(output) as folder:
            _write(study, measured, params, folder)
    rows = [{"": what, "value": value} for what, value in measured.shown.items()]
    title = "Figure S1" if entry.name == "s1" else entry.name
    console.print(heading(title), table(rows, ("", "value")), sep="\n")
    for name, report in measured.reports.items():
        checks = f"{int(report['neurons'].sum()):,} checks,"
        console.print(f"\n{name}, {checks}" if name else f"\n{checks}", verdict(report))
    console.print(f"\nwrote {output}: {', '.join(files_in(output))}")
    return 0 if measured.holds else FAILED


def _write(study: Study, measured: Measured, params: dict[str, Any], folder: Path) -> None:
    """Write figures as PNG and PDF, tables as CSV, and what else there is."""
    from brian_snn.escaping import csv_safe
    from brian_snn.plotting.style import save_figures

    save_figures(study.plot(measured, params), folder)
    for stem, rows in measured.tables.items():
        csv_safe(rows).to_csv(folder / f"{stem}.csv", index=False)
    for name, write in measured.files.items():
        write(folder / name)

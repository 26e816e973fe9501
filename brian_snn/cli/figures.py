"""The figures that ``brian-snn figure`` draws: each an entry of `FIGURES`, with its options.

Whatever a figure needs is imported when it is drawn.
"""

from __future__ import annotations

import importlib
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from brian_snn.cli.options import PERCENTILE_HELP, add_output
from brian_snn.setting_options import add_settings, settings_from


@dataclass(frozen=True)
class FigureEntry:
    """One figure: its name, what it shows, what it is drawn from, its options, and what draws it.

    Parameters
    ----------
    name : str
        On the command line, of its files, and of its experiment and script.
    summary : str
        What it shows.
    source : str
        What it is drawn from.
    add_options : callable
        Adds its options to a parser.
    run : callable
        Draws it and returns the exit code.
    """

    name: str
    summary: str
    source: str
    add_options: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]


def _small(
    name: str, summary: str, source: str, only: tuple[str, ...], n_images: int | None = None, backend: str = "runtime"
) -> FigureEntry:
    """Return the entry of a figure that needs nothing from outside; `only` are the settings that are options."""

    def add_options(parser: ArgumentParser) -> None:
        add_settings(parser, only=only)
        parser.set_defaults(backend=backend)
        if n_images is not None:
            parser.add_argument("--images", type=int, default=n_images, metavar="N", help="digits to simulate")
        if n_images is not None and backend == "standalone":
            parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes to run side by side")
        add_output(parser, "folder", Path(f"brian-snn-figure-{name.replace('_', '-')}"))

    return FigureEntry(name, summary, source, add_options, partial(_run_small, name))


def _run_small(name: str, arguments: Namespace) -> int:
    """Draw a figure of this package."""
    from brian_snn.studies.drawing import draw_small

    return draw_small(name, arguments, importlib.import_module(f"brian_snn.studies.{name}").draw)


def _s1_options(parser: ArgumentParser) -> None:
    """Add the options of Figure S1."""
    parser.add_argument(
        "--weights", required=True, metavar="imagenet|PATH", help="imagenet: Keras downloads them; or a file of weights"
    )
    parser.add_argument("--photo", type=Path, required=True, metavar="PATH", help="photo to show, JPEG or PNG")
    parser.add_argument(
        "--calibration", type=Path, metavar="FOLDER", help="photos that set lambda; those beside the photo by default"
    )
    parser.add_argument("--percentile", type=float, default=99.9, metavar="P", help=PERCENTILE_HELP)
    add_settings(parser, only=("steps",))
    parser.add_argument("--clamp", type=int, default=10, metavar="STEPS", help="of the second simulation")
    add_output(parser, "folder", Path("brian-snn-figure-s1"))


def _run_s1(arguments: Namespace) -> int:
    """Draw Figure S1."""
    from brian_snn.studies import s1

    return s1.run(arguments, settings_from(arguments))


_DEMO = "the trained network and the digits of the package"

FIGURES = (
    FigureEntry(
        "s1",
        "Figure S1: transients and the voltage clamp in Inception-V3",
        "weights and a photo, which must be given",
        _s1_options,
        _run_s1,
    ),
    _small("rate_laws", "S9 and S11 against simulation, over the input and the duration", "one layer", ("backend",)),
    _small(
        "depth",
        "error of the rates against depth, and what Brian2's own order of updates loses",
        f"random networks; {_DEMO}",
        ("steps", "backend"),
        n_images=5,
    ),
    _small(
        "accuracy",
        "error of classification against steps and against operations",
        _DEMO,
        ("steps", "backend"),
        n_images=200,
        backend="standalone",
    ),
    _small(
        "activity",
        "distributions of activations, with lambda, and of firing rates",
        _DEMO,
        ("steps", "backend"),
        n_images=200,
        backend="standalone",
    ),
    _small(
        "clamp_transients",
        "what the voltage clamp buys, over clamp, steps and depth",
        _DEMO,
        ("steps", "backend"),
        n_images=10,
    ),
    _small(
        "error_account",
        "where the error of every layer comes from",
        _DEMO,
        ("steps", "reset", "backend"),
        n_images=20,
    ),
    _small(
        "variants",
        "what leaks, refractory periods, delays, noise and other outputs cost",
        _DEMO,
        ("steps", "backend"),
        n_images=200,
        backend="standalone",
    ),
)

"""What the commands have in common: exit codes, and options that several of them take.

And the options of the commands whose modules take long to import: longer than ``--help`` should.
"""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import fields
from pathlib import Path

from brian_snn.processors import usable_processors
from brian_snn.setting_options import add_knobs, add_settings
from brian_snn.settings import Execution, Settings

FAILED = 1
BAD_INPUT = 2

DATA_HELP = "{}: .npz, .npy, an IDX file (.gz or not), or a folder with x_test.npz, y_test.npz, x_norm.npz"
SCHEDULER_HELP = "Dask scheduler whose workers simulate, such as tcp://host:8786"


def add_settings_file(parser: ArgumentParser) -> None:
    """Add the option that names a file of settings; `brian_snn.cli.main` reads it."""
    parser.add_argument(
        "--settings",
        dest="settings_file",
        type=Path,
        metavar="TOML",
        help="file of settings by name, such as the run.toml of a result folder; other options stand above it",
    )


def add_workers(parser: ArgumentParser, default: int) -> None:
    """Add the options that say on how many images and processes to run."""
    parser.add_argument("--images", type=int, metavar="N", help="show the first N images only; all by default")
    parser.add_argument("--workers", type=int, default=default, metavar="N", help="processes to run side by side")


def add_threads(parser: ArgumentParser) -> None:
    """Add the option that says on how many threads a process runs."""
    add_knobs(parser, Execution, ("threads",))


def add_any_range(parser: ArgumentParser) -> None:
    """Add the option that lets images of another range pass."""
    parser.add_argument(
        "--any-range",
        action="store_true",
        help="take images whose pixels are far from the range of the calibration images",
    )


def add_output(parser: ArgumentParser, kind: str, default: Path | None = None, optional: bool = False) -> None:
    """Add the option that says where the output goes; without a default it must be given, or may be if `optional`."""
    required = default is None and not optional
    text = f"{kind} to write (required)" if required else f"{kind} to write"
    parser.add_argument("-o", "--output", type=Path, default=default, required=required, metavar="PATH", help=text)
    parser.add_argument("--force", action="store_true", help=f"replace a {kind} that an earlier run wrote")


def add_replay(parser: ArgumentParser) -> None:
    """Add the option that says how many images are stepped through outside Brian2."""
    text = "images to replay by Eq. (4) and compare spike by spike: a number, all, or as many as take a few seconds"
    parser.add_argument("--replay", default="auto", metavar="N|all|auto", help=text)


def add_demo_options(parser: ArgumentParser) -> None:
    """Add the options of ``demo``."""
    add_settings(parser, only=("steps", "threshold", "backend"))
    add_workers(parser, default=min(usable_processors(), 4))
    add_output(parser, "folder", Path("brian-snn-demo"))


def add_sweep_options(parser: ArgumentParser) -> None:
    """Add the options of ``sweep``."""
    parser.add_argument("sweep", type=Path, help="TOML file: what stays the same, and in [grid] lists of what does not")
    add_any_range(parser)
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes to run side by side")
    add_threads(parser)
    parser.add_argument("--scheduler", metavar="ADDRESS", help=SCHEDULER_HELP)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="PATH", help="folder of the table; a sweep goes on in it"
    )


def add_bench_options(parser: ArgumentParser) -> None:
    """Add the options of ``bench``."""
    parser.add_argument(
        "network", type=Path, nargs="?", help="file that brian-snn convert wrote; that of the demo by default"
    )
    parser.add_argument("--data", type=Path, metavar="PATH", help=DATA_HELP.format("images to show"))
    add_any_range(parser)
    parser.add_argument("--images", type=int, metavar="N", help="show the first N images only; all by default")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="times that every row is measured")
    parser.add_argument(
        "--workers",
        type=int,
        nargs="+",
        default=sorted({1, usable_processors()}),
        metavar="N",
        help="processes to run side by side, a row each",
    )
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[1], metavar="N", help="threads of each process, a row each"
    )
    # What is left out is a column of the table, or has no compiled program.
    measured = ("projection", "float_type", "backend")
    add_settings(parser, only=[field.name for field in fields(Settings) if field.name not in measured])
    add_output(parser, "table (.csv)", optional=True)

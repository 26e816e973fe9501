"""What the commands have in common: exit codes, and options that several of them take."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

FAILED = 1


BAD_INPUT = 2


def add_workers(parser: ArgumentParser, default: int) -> None:
    """Add the options that say on how many images and processes to run."""
    parser.add_argument("--images", type=int, metavar="N", help="show the first N images only; all by default")
    parser.add_argument("--workers", type=int, default=default, metavar="N", help="processes to run side by side")


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


DATA_HELP = "{}: .npz, .npy, an IDX file (.gz or not), or a folder with x_test.npz, y_test.npz, x_norm.npz"


SCHEDULER_HELP = "Dask scheduler whose workers simulate, such as tcp://host:8786"


PERCENTILE_HELP = "percentile of the positive activations that becomes lambda, the activation coded by the highest rate"

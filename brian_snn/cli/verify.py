"""``brian-snn verify``: a saved result against the rate equations, neuron by neuron."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from brian_snn.cli.bits import BITS_NOTE, bits_rows
from brian_snn.cli.options import FAILED, add_replay
from brian_snn.errors import SettingError

if TYPE_CHECKING:
    import pandas as pd

    from brian_snn.results.result import Result

_BOUNDS_COLUMNS = ("bound", "measured", "tightness", "silent", "undecided")


def add_options(parser: ArgumentParser) -> None:
    """Add what is verified, and what else is asked of it."""
    parser.add_argument("result", type=Path, help="folder that brian-snn simulate wrote")
    add_replay(parser)
    text = "also prove bounds of all rates of the first N images, and show how tight they are"
    parser.add_argument("--bounds", type=int, metavar="N", help=text)
    parser.add_argument(
        "--bits", action="store_true", help="also show the bits that potentials need, proved and measured"
    )


def run(arguments: Namespace) -> int:
    """Verify a saved result, show the residuals, and return 1 if an equation does not hold."""
    import brian_snn
    from brian_snn.analysis.accumulators import measured_bits
    from brian_snn.analysis.dynamics import parse_replay
    from brian_snn.analysis.verdict import holds
    from brian_snn.cli.console import (
        RESIDUAL_NOTE,
        frame_rows,
        heading,
        new_console,
        show_json,
        table,
        verdict,
        verification_rows,
    )

    console = new_console()
    result = brian_snn.load_result(arguments.result)
    report = brian_snn.verify(result, parse_replay(arguments.replay))
    numbers = {"holds": holds(report), "report": frame_rows(report)}
    title = heading("Largest residual charge", RESIDUAL_NOTE)
    console.print(title, table(verification_rows(report), ("population",)), verdict(report), sep="\n")
    if arguments.bits:
        numbers["bits"] = frame_rows(measured := measured_bits(result))
        rows = bits_rows(measured)
        console.print(heading("Bits of V", BITS_NOTE), table(rows, ("population", "measured at")), sep="\n")
    if arguments.bounds is None:
        show_json(numbers)
        return 0 if holds(report) else FAILED
    proved = _proved_bounds(result, arguments.bounds)
    rows = [{"population": row["population"]} | _short(row) for _, row in proved.iterrows()]
    title = heading("Certified bounds on |r / r_max - a|", "proved without the simulation; silent, undecided: shares")
    console.print(title, table(rows, ("population",)), sep="\n")
    show_json(numbers | {"bounds": frame_rows(proved)})
    return 0 if holds(report) and proved["holds"].all() else FAILED


def _proved_bounds(result: Result, n_images: int) -> pd.DataFrame:
    """Return certified bounds of the rates of the first images, beside the errors measured."""
    from brian_snn.analysis.bounds import bounds
    from brian_snn.results.pieces import choose_images

    if n_images < 1:
        raise SettingError(f"--bounds is {n_images}; it must be at least 1.")
    return bounds(choose_images(result, range(min(n_images, len(result.images)))))


def _short(row: pd.Series) -> dict[str, str]:
    """Return the numbers of a row as they are shown."""
    return {column: f"{row[column]:.3g}" for column in _BOUNDS_COLUMNS}

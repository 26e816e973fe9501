"""``brian-snn check``: the spikes of another simulator or a chip against Eq. (4), and the rule that explains them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brian_snn.cli.options import DATA_HELP, FAILED
from brian_snn.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

#: Spikes of the first difference that are shown.
_MOST_SPIKES = 12

#: Rules that are shown beside the verdict.
_MOST_RULES = 12


def add_options(parser: ArgumentParser) -> None:
    """Add the network, the run, what was shown, and how the run is written."""
    parser.add_argument("network", type=Path, help="file that brian-snn convert wrote")
    parser.add_argument(
        "recorded", type=Path, metavar="RUN", help="recorded run: .npz, .csv, NIRData (.h5), or a run folder"
    )
    shown = parser.add_mutually_exclusive_group(required=True)
    shown.add_argument("--data", type=Path, metavar="IMAGES", help=DATA_HELP.format("images shown"))
    shown.add_argument("--events", type=Path, metavar="EVENTS", help="events shown: .npz of events and shape")
    parser.add_argument("--steps", type=int, metavar="T", help="steps of the run, where it does not say")
    parser.add_argument(
        "--reset", metavar="subtraction|zero", help="reset that is expected; by default what the network asks for"
    )
    parser.add_argument("--layout", metavar="hwc|chw", default="hwc", help="order of the axes in the run")
    parser.add_argument("--names", type=Path, metavar="MAP.csv", help="table of names: columns theirs, ours")
    parser.add_argument("--dt", type=float, metavar="S", help="seconds a step, for a run with times")
    parser.add_argument("-o", "--output", type=Path, metavar="TABLE.csv", help="table to write, a row a population")
    parser.add_argument("--force", action="store_true", help="replace a table that is there")


def run(arguments: Namespace) -> int:
    """Judge a run, show the verdict and what it rests on, and return 1 if it differs."""
    import brian_snn
    from brian_snn.cli.console import frame_rows, heading, new_console, show_json, table
    from brian_snn.datasets import load_images
    from brian_snn.escaping import csv_safe
    from brian_snn.files import check_target, whole_file

    if arguments.output is not None:
        check_target(arguments.output, "table", arguments.force)
    network = brian_snn.load_network(arguments.network)
    data = load_images(arguments.events or arguments.data, network.input_shape, frames=True, inputs=network.inputs)
    names = None if arguments.names is None else read_names(arguments.names)
    options = {name: getattr(arguments, name) for name in ("steps", "reset", "layout", "dt")}
    found = brian_snn.check(network, arguments.recorded, data.images, names=names, **options)
    console = new_console()
    title = heading("Decisions that differ", "given input: with the recorded spikes of the sources")
    console.print(title, table(_rows(found.table), ("population", "verdict")), sep="\n")
    _show_first(console, found)
    if found.alike:
        rules = "; ".join(found.alike[:_MOST_RULES])
        more = f"; and {len(found.alike) - _MOST_RULES} more" if len(found.alike) > _MOST_RULES else ""
        console.print(heading("This run cannot tell it from"), f"{rules}{more}", sep="\n")
    console.print(heading("Verdict"), found.verdict, sep="\n")
    if arguments.output is not None:
        with whole_file(arguments.output) as file:
            file.write(csv_safe(found.table).to_csv(index=False).encode())
        console.print(f"wrote {arguments.output}")
    show_json({"same": found.same, "verdict": found.verdict, "alike": found.alike, "table": frame_rows(found.table)})
    return 0 if found.same else FAILED


def read_names(path: Path) -> dict[str, str]:
    """Return a table of names: theirs and ours.

    Raises
    ------
    DataError
        If it is no such table.
    """
    import csv

    from brian_snn.reading import read_text

    try:
        rows = list(csv.reader(read_text(path, str(path), DataError).splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path}: is no table of names ({error}); the columns theirs and ours were expected."
        ) from error
    rows = [[cell.strip() for cell in row] for row in rows if row]
    if not rows or rows[0] != ["theirs", "ours"] or any(len(row) != 2 for row in rows):
        raise DataError(f"{path}: a table of names has the columns theirs and ours, and two names a row.")
    names = {theirs: ours for theirs, ours in rows[1:]}
    if len(names) < len(rows) - 1:
        raise DataError(f"{path}: a name of the run is there twice.")
    return names


def _rows(found: pd.DataFrame) -> list[dict[str, object]]:
    """Return what is shown of each population."""
    return [
        {
            "population": row["population"],
            "neurons x images": f"{row['neurons'] * row['images']:,}",
            "spikes expected": f"{row['expected_spikes']:,}",
            "found": f"{row['found_spikes']:,}",
            "counts": f"{row['counts_differ']:,}",
            "trains": _number(row["trains_differ"]),
            "given input": _number(row["differ_given_input"]),
            "verdict": row["verdict"],
        }
        for _, row in found.iterrows()
    ]


def _number(value: float) -> str:
    """Return a whole number, or a dash for none."""
    return "-" if value != value else f"{int(value):,}"


def _show_first(console: Any, found: Any) -> None:
    """Show the first decision that differs, and what arrived there."""
    from brian_snn.cli.console import heading, table

    rows = found.table[found.table["image"].notna()]
    if not len(rows):
        return
    row = rows.iloc[0]
    place = f"neuron {_number(row['neuron'])} ({row['place']})"
    console.print(heading(f"First difference: {row['population']}, image {_number(row['image'])}, {place}"))
    if row["step"] != row["step"]:
        console.print(f"{_number(row['expected'])} spikes expected, {_number(row['found'])} found")
        return
    console.print(
        f"step {_number(row['step'])}: V before {row['v_before']:.9g}, arrived {row['arrived']:.9g}, u {row['u']:.9g}, "
        f"u - theta {row['margin']:.3g}; {_number(row['expected'])} spikes expected, {_number(row['found'])} found"
    )
    spikes = found.arriving
    if len(spikes):
        shown = [
            {"from": s["source"], "neuron": s["neuron"], "spikes": s["spikes"], "weight": f"{s['weight']:.9g}"}
            for _, s in spikes.head(_MOST_SPIKES).iterrows()
        ]
        console.print(table(shown, ("from",)))
        if len(spikes) > _MOST_SPIKES:
            console.print(f"and {len(spikes) - _MOST_SPIKES} more spikes")

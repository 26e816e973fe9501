"""``brian-snn bits``: how wide the potentials of a network must be, proved without a simulation."""

from __future__ import annotations

import math
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from brian_snn.cli.options import add_settings_file
from brian_snn.setting_options import add_settings, settings_from

if TYPE_CHECKING:
    import pandas as pd

#: What stands above the table.
BITS_NOTE = "proved for any spikes; lowest, highest: of V in units"


def add_options(parser: ArgumentParser) -> None:
    """Add the network and the settings that its bits depend on."""
    parser.add_argument("network", type=Path, help="file that brian-snn convert or import wrote")
    add_settings_file(parser)
    add_settings(parser, only=("steps", "reset", "threshold", "v_init", "clamp", "readout"))


def run(arguments: Namespace) -> int:
    """Show the bits of every population, for all images in the range of the calibration images."""
    import brian_snn
    from brian_snn.analysis.accumulators import accumulator_bits
    from brian_snn.cli.console import frame_rows, heading, new_console, show_json, table

    network = brian_snn.load_network(arguments.network)
    proved = accumulator_bits(network, settings_from(arguments))
    new_console().print(heading("Bits of V", BITS_NOTE), table(bits_rows(proved), ("population",)), sep="\n")
    show_json({"bits": frame_rows(proved)})
    return 0


def bits_rows(proved: pd.DataFrame) -> list[Mapping[str, object]]:
    """Return the rows of a table of bits as they are shown."""
    names = [column.replace("_", " ") for column in proved.columns]
    rows = proved.itertuples(index=False, name=None)
    return [dict(zip(names, map(_shown, row), strict=True)) for row in rows]


def _shown(value: object) -> str:
    """Return a cell: units as powers of two, whole numbers with their thousands apart."""
    if isinstance(value, float):
        return f"2**{math.frexp(value)[1] - 1}"
    return f"{value:,}" if isinstance(value, int) else str(value)

"""A ``.csv`` as a recorded run: the columns image, step, population, neuron and perhaps count, a row an event."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from brian_snn.errors import DataError
from brian_snn.escaping import shown
from brian_snn.reading import check_size
from brian_snn.referee.sources import Clock, EventSource, Recorded, event_rows

_COLUMNS = ("image", "step", "population", "neuron")

#: Bytes that a row of a table takes, by the least characters in which it is written.
_BYTES_A_CHARACTER = 16


def read(path: Path, clock: Clock) -> Recorded:
    """Return the events of a table; a population without a row is not recorded."""
    size = path.stat().st_size
    check_size(_BYTES_A_CHARACTER * size, size, "split the table, or write an .npz")
    table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    if missing := [name for name in _COLUMNS if name not in table.columns]:
        raise DataError(f"the table has no column {missing[0]}; {', '.join(_COLUMNS)} were expected.")
    numbers = [name for name in ("image", "step", "neuron", "count") if name in table.columns]
    for name in numbers:
        strange = table.loc[~table[name].str.fullmatch(r"[0-9]{1,15}"), name]
        if len(strange):
            raise DataError(
                f"row {strange.index[0] + 1}: {name} is {shown(strange.iloc[0])!r:.80}; a whole number fits."
            )
    trains = {
        str(name): EventSource(event_rows(rows[numbers].to_numpy(dtype=str).astype(np.int64), str(name)), str(name))
        for name, rows in table.groupby("population", sort=False)
    }
    return Recorded(trains, {})

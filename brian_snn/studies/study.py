"""What a study is: a measurement, of a size for a laptop or of the size of the experiment, and figures of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from brian_snn.analysis.verdict import holds
from brian_snn.plotting.style import Figure
from brian_snn.settings import Execution

#: The numbers of a measurement by name, as JSON knows them.
Params = Mapping[str, Any]


class Bars(Protocol):
    """Shows how far a simulation is; `callbacks` are options of `brian_snn.simulate`."""

    @property
    def callbacks(self) -> dict[str, Any]:
        """What shows the progress."""

    def finish(self, timings_s: Mapping[str, float]) -> None:
        """Show the measured times."""


class Watcher(Protocol):
    """Shows what a measurement is at: bars on a terminal, lines of a log."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Show a stage of unknown length while the block runs."""

    def simulation(self, name: str, n_images: int) -> Bars:
        """Show a long simulation."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What a study measured.

    Parameters
    ----------
    tables : dict of str to DataFrame
        By the name of their CSV file.
    shown : dict of str to str
        What to print of them.
    reports : dict of str to DataFrame
        Of `brian_snn.verify`, by the name of the simulations where there are several kinds.
    record : dict
        Other numbers that the experiment notes.
    files : dict of str to callable
        What else is kept, by name: writes the file of a path.
    data : object
        What is drawn, where that is no table.
    """

    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    shown: Mapping[str, object] = field(default_factory=dict)
    reports: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Callable[[Path], object]] = field(default_factory=dict)
    data: Any = None

    @property
    def checks(self) -> int:
        """Comparisons in all reports."""
        return sum(int(report["neurons"].sum()) for report in self.reports.values())

    @property
    def holds(self) -> bool:
        """Whether nothing that was verified failed."""
        return all(map(holds, self.reports.values()))


@dataclass(frozen=True, eq=False)
class Study:
    """One figure, or a few that show the same thing.

    Parameters
    ----------
    measure : callable
        Measures with given numbers, in a way to run simulations, and says what it is at.
    plot : callable
        Draws the tables of a measurement with these numbers; returns figures by the name of their files.
    small : dict
        The numbers for a laptop; those that are options of the command line under their names.
    full : dict
        The numbers of the experiment.
    record : str
        Name of the file in which the experiment notes its numbers.
    digits : dict of str to int
        Significant digits to which the experiment keeps a table; all of them where a table is left out.
    """

    measure: Callable[[Params, Execution, Watcher], Measured]
    plot: Callable[[Measured, Params], dict[str, Figure]]
    small: Params
    full: Params
    record: str
    digits: Mapping[str, int] = field(default_factory=dict)

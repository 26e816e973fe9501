"""From a small run to a folder with a figure and the numbers that it shows."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from brian_snn.analysis.verdict import holds
from brian_snn.arrays import FloatArray
from brian_snn.cli.console import Stages, heading, new_console, table, verdict
from brian_snn.cli.options import FAILED
from brian_snn.conversion.convert import convert
from brian_snn.datasets import Dataset, first_images, load_demo
from brian_snn.errors import SettingError
from brian_snn.escaping import csv_safe
from brian_snn.files import check_target, files_in, staged_folder
from brian_snn.frontends.keras.files import load_model
from brian_snn.frontends.keras.reference import reference_activations
from brian_snn.network.network import Network
from brian_snn.plotting.style import save_figure


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure and what it shows.

    Parameters
    ----------
    figure : Figure
        Ready to be written.
    tables : dict of str to DataFrame
        The numbers in it, by the name of their CSV file.
    shown : dict of str to str
        What to print of them.
    report : DataFrame, optional
        Of `brian_snn.verify`, where the run was verified.
    """

    figure: Figure
    tables: Mapping[str, pd.DataFrame]
    shown: Mapping[str, str] = field(default_factory=dict)
    report: pd.DataFrame | None = None


def draw_small(name: str, arguments: Namespace, draw: Callable[[Namespace, Stages], Drawn]) -> int:
    """Run, draw and write one figure, and return the exit code: 0, or 1 if an equation does not hold.

    Parameters
    ----------
    name : str
        Name of the figure and of its files.
    arguments : Namespace
        The options, ``output`` and ``force`` among them.
    draw : callable
        Simulates and draws; shows its stages.
    """
    console = new_console()
    check_target(arguments.output, "folder", arguments.force, replace_own=True)
    with Stages(console) as stages:
        drawn = draw(arguments, stages)
        with stages.stage("write"), staged_folder(arguments.output) as folder:
            for suffix in ("png", "pdf"):
                save_figure(drawn.figure, folder / f"{name}.{suffix}")
            for stem, rows in drawn.tables.items():
                csv_safe(rows).to_csv(folder / f"{stem}.csv", index=False)
    if drawn.shown:
        rows_shown = [{"": what, "value": value} for what, value in drawn.shown.items()]
        console.print(heading(name), table(rows_shown, ("", "value")), sep="\n")
    if drawn.report is not None:
        console.print(f"\n{int(drawn.report['neurons'].sum()):,} checks,", verdict(drawn.report))
    console.print(f"\nwrote {arguments.output}: {', '.join(files_in(arguments.output))}")
    return 0 if drawn.report is None or holds(drawn.report) else FAILED


@dataclass(frozen=True, eq=False)
class DemoSubject:
    """The trained network that ships with the package and the digits to show it."""

    model: Any
    digits: Dataset
    calibration: FloatArray

    @property
    def labels(self) -> Any:
        """Classes of the digits, (n_images,)."""
        assert self.digits.labels is not None, "the shipped digits have labels"
        return self.digits.labels

    def network(self, percentile: float = 99.9) -> Network:
        """Convert the network."""
        return convert(self.model, self.calibration, percentile=percentile)

    def activations(self, network: Network) -> dict[str, FloatArray]:
        """Return what Keras computes for the digits, by population."""
        return reference_activations(self.model, network, self.digits.images)


def demo_subject(n_images: int) -> DemoSubject:
    """Load the network and the first digits that ship with the package.

    Raises
    ------
    SettingError
        If there are not so many digits.
    """
    path, test, calibration = load_demo()
    if not 1 <= n_images <= len(test.images):
        raise SettingError(f"--images is {n_images}; {len(test.images)} digits ship with the package, take 1 or more.")
    return DemoSubject(load_model(path), first_images(test, n_images), calibration.images)

"""What the scripts of ``experiments/`` and ``figures/`` share: arguments, numbers, results, and what they came from."""

from __future__ import annotations

import json
import logging
import platform
import sys
import time
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from brian_snn.cli.options import FAILED
from brian_snn.errors import BrianSnnError
from brian_snn.frontends.table import packages_of_models
from brian_snn.plotting.style import save_figures
from brian_snn.settings import Execution
from brian_snn.studies.study import Bars, Measured, Params, Study, Watcher
from brian_snn.version import installed_versions

logger = logging.getLogger(__name__)

Measure = Callable[[Params, Execution, Watcher], Measured]


class Log:
    """Says in a line of the log what was done, and how long it took."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Say after the block what it was."""
        start = time.perf_counter()
        yield
        logger.info("%s: %.1f s", name, time.perf_counter() - start)

    def simulation(self, name: str, n_images: int) -> Bars:
        """Say after a simulation how long it took."""
        return _LoggedSimulation(name)


class _LoggedSimulation:
    """A simulation of which nothing is shown before its end."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def callbacks(self) -> dict[str, Any]:
        """Nothing is called meanwhile."""
        return {}

    def finish(self, timings_s: Mapping[str, float]) -> None:
        """Say how long it took."""
        logger.info("%s: %s", self._name, {stage: round(seconds, 1) for stage, seconds in timings_s.items()})


def script(
    description: str | None, here: Path, add_options: Callable[[ArgumentParser], object] | None = None
) -> Namespace:
    """Return what the arguments of an experiment say, with the numbers of its ``params.json`` as ``params``.

    Parameters
    ----------
    description : str
        The docstring of the script.
    here : Path
        The script; its folder is that of the experiment.
    add_options : callable, optional
        Adds options of its own.
    """
    folder = here.resolve().parent
    parser = ArgumentParser(description=description, formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--params", type=Path, default=folder / "params.json", help="the numbers")
    parser.add_argument("--results", type=Path, default=folder / "results", help="folder for what they come to")
    parser.add_argument("--workers", type=int, default=2, help="processes side by side")
    if add_options is not None:
        add_options(parser)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options.params = json.loads(options.params.read_text("utf-8"))
    options.start = time.perf_counter()
    return options


def note(options: Namespace, name: str, record: Mapping[str, Any], *libraries: str) -> None:
    """Write what an experiment came to, with the time, the versions and the numbers that it came from."""
    versions = {"python": platform.python_version()}
    versions |= installed_versions(("brian_snn", "brian2", *(libraries or packages_of_models())))
    minutes = round((time.perf_counter() - options.start) / 60, 1)
    whole = {"minutes": minutes, **record, "versions": versions, "params": options.params}
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / name).write_text(json.dumps(whole, indent=1) + "\n", "utf-8")


def keep(options: Namespace, tables: Mapping[str, pd.DataFrame], digits: Mapping[str, int]) -> None:
    """Write tables into the folder of the results, numbers to so many significant digits where there is a limit."""
    options.results.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        form = f"%.{digits[name]}g" if name in digits else None
        table.to_csv(options.results / f"{name}.csv", index=False, float_format=form)


def run_study(study: Study, options: Namespace, measure: Measure | None = None) -> int:
    """Measure with the numbers of the experiment and keep the results; return 1 if an equation does not hold.

    Parameters
    ----------
    study : Study
    options : Namespace
        Of `script`.
    measure : callable, optional
        In the place of the study's own.
    """
    try:
        measured = (measure or study.measure)(options.params, Execution(options.workers), Log())
    except BrianSnnError as error:
        sys.exit(str(error))
    keep(options, measured.tables, study.digits)
    record = dict(measured.record)
    if measured.reports:
        record |= {"checks": measured.checks, "all_hold": measured.holds}
        logger.info("%s checks, all exact: %s", f"{measured.checks:,}", measured.holds)
    note(options, study.record, record)
    return 0 if measured.holds else FAILED


def draw_study(study: Study, results: Path, folder: Path) -> None:
    """Draw the figures of a study from results that its experiment kept, as PNG and PDF into a folder."""
    tables = {path.stem: pd.read_csv(path) for path in sorted(results.glob("*.csv"))}
    noted = results / study.record
    params = json.loads(noted.read_text("utf-8"))["params"] if noted.is_file() else {}
    save_figures(study.plot(Measured(tables), {**study.full, **params}), folder)


def drawer(study: Study, file: str) -> Callable[..., None]:
    """Return what a script of ``figures/`` does: draw from the experiment of its name, into its own folder."""
    here = Path(file).resolve()
    results = here.parents[1] / "experiments" / here.stem / "results"

    def main(results: Path = results, folder: Path = here.parent) -> None:
        draw_study(study, results, folder)

    return main

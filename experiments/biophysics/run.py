"""Measure how far from the ideal neuron the demo network still reads MNIST."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path

import pandas as pd

from brian_snn.cli.experiment import Measure, run_study, script
from brian_snn.errors import DataError
from brian_snn.settings import Execution
from brian_snn.studies.biophysics import STUDY, limits
from brian_snn.studies.departures import PLAIN
from brian_snn.studies.study import Measured, Params, Watcher


def more(results: Path) -> Measure:
    """Return a measurement of the departures that stored results lack, which puts them beside those that are there."""

    def measure(params: Params, execution: Execution, watcher: Watcher) -> Measured:
        stored = {path.stem: pd.read_csv(path) for path in results.glob("*.csv")}
        record = json.loads((results / STUDY.record).read_text("utf-8"))
        known = record["params"]["sizes"]
        if any(params[name] != record["params"][name] for name in params if name != "sizes"):
            raise DataError(f"{results}: its runs are not of these images, steps and seeds; measure all of them.")
        wanted = {name: sizes for name, sizes in params["sizes"].items() if known.get(name) != sizes}
        if not (wanted.keys().isdisjoint(known) and known.keys() <= params["sizes"].keys()):
            raise DataError(f"{results}: departures that are there have other sizes now; measure all of them.")
        found = STUDY.measure({**params, "sizes": wanted}, execution, watcher)
        order = {name: position for position, name in enumerate((PLAIN, *params["sizes"]))}
        tables = {"trained": stored["trained"]}
        for name in ("points", "causes", "longer"):
            new = found.tables[name]
            rows = pd.concat([stored[name], new[new["departure"] != PLAIN]])
            tables[name] = rows.sort_values("departure", key=lambda column: column.map(order), kind="stable")
        tables["limits"] = limits(tables["points"], tables["causes"])
        runs = len(tables["points"]) + len(tables["longer"])
        earlier = pd.DataFrame([{"neurons": record["checks"], "holds": record["all_hold"]}])
        return Measured(tables, reports={**found.reports, "earlier": earlier}, record={**found.record, "runs": runs})

    return measure


def add_options(parser: ArgumentParser) -> None:
    """Add the option for some of the departures."""
    parser.add_argument("--more", action="store_true", help="measure the departures alone that the results lack")


if __name__ == "__main__":
    options = script(__doc__, Path(__file__), add_options)
    raise SystemExit(run_study(STUDY, options, more(options.results) if options.more else None))

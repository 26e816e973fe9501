"""Measure every way to convert on the networks of all seeds, of MNIST and Fashion-MNIST.

A network takes minutes. What is measured of each is kept beside the results until all are there, so that a run that was
stopped goes on where it was.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from brian_snn.cli.experiment import run_study, script
from brian_snn.settings import Execution
from brian_snn.studies.methods import STUDY, measure, summary
from brian_snn.studies.study import Measured, Params, Watcher
from brian_snn.studies.subjects import DATASETS, trained_subject

HERE = Path(__file__).resolve().parent
TABLES = ("points", "trained", "verified")


def measure_all(params: Params, execution: Execution, watcher: Watcher, pieces: Path) -> Measured:
    """Measure networks and their twins with levels, which train.py made; return the tables of all."""
    for dataset, title in DATASETS.items():
        for seed in params["seeds"]:
            piece = pieces / f"{dataset}_{seed}"
            if not piece.is_dir():
                folders = (HERE.parent / "networks" / "results", HERE / "results")
                subjects = (trained_subject(folder, dataset, seed, params["images"]) for folder in folders)
                found = measure(params, execution, watcher, [(title, seed, *subjects)])
                reports = [report.assign(method=name) for name, report in found.reports.items()]
                keep_in(piece, {**found.tables, "verified": pd.concat(reports) if reports else pd.DataFrame()})
    files = {
        name: [path for path in sorted(pieces.glob(f"*/{name}.csv")) if path.stat().st_size > 1] for name in TABLES
    }
    of_all = {name: pd.concat(map(pd.read_csv, paths), ignore_index=True) for name, paths in files.items()}
    reports = {str(name): rows for name, rows in of_all.pop("verified").groupby("method", sort=False)}
    return Measured({**of_all, "summary": summary(of_all["points"], of_all["trained"])}, reports=reports)


def keep_in(piece: Path, tables: dict[str, pd.DataFrame]) -> None:
    """Write tables into a folder that is there once all of them are."""
    part = piece.with_suffix(".part")
    part.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        tables[name].to_csv(part / f"{name}.csv", index=False)
    part.rename(piece)


def main() -> int:
    """Measure all, and drop the pieces."""
    options = script(__doc__, Path(__file__))
    pieces = options.results / "pieces"
    code = run_study(STUDY, options, lambda params, how, watcher: measure_all(params, how, watcher, pieces))
    shutil.rmtree(pieces)
    return code


if __name__ == "__main__":
    raise SystemExit(main())

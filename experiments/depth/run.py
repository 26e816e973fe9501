"""Measure the error of firing rates layer by layer, for both resets and both orders of updates."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from brian_snn.analysis.verdict import holds
from brian_snn.settings import Execution, Settings
from brian_snn.studies.depth import Subject, demo_digits, measure, random_subject

HERE = Path(__file__).resolve().parent

logger = logging.getLogger("depth")


def subjects(params: dict[str, Any]) -> Iterator[Subject]:
    """Yield the random networks, then the trained one."""
    shape = {name: value for name, value in params["random"].items() if name != "seeds"}
    for seed in params["random"]["seeds"]:
        yield random_subject(seed, **shape)
    yield demo_digits(params["demo_images"])


def main() -> int:
    """Simulate, verify, compare, store; return 1 if an equation does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--params", type=Path, default=HERE / "params.json", help="networks and durations")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder for the numbers")
    parser.add_argument("--workers", type=int, default=2, help="processes side by side")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    params = json.loads(options.params.read_text("utf-8"))
    start = time.perf_counter()
    settings, execution = Settings(backend=params["backend"]), Execution(options.workers)
    tables, reports = [], []
    for subject in subjects(params):
        errors, report = measure(subject, params["steps"], settings, lambda _: execution)
        tables.append(errors)
        reports.append(report)
        logger.info("%s %d: %.0f s", subject.name, subject.seed, time.perf_counter() - start)
    report = pd.concat(reports)
    record = {
        "minutes": round((time.perf_counter() - start) / 60, 1),
        "checks": int(report["neurons"].sum()),
        "all_hold": holds(report),
        "versions": {"python": platform.python_version()} | {n: version(n) for n in ("brian_snn", "brian2", "keras")},
        "params": params,
    }
    options.results.mkdir(parents=True, exist_ok=True)
    pd.concat(tables).to_csv(options.results / "errors.csv", index=False, float_format="%.5g")
    (options.results / "depth.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    logger.info("%s checks, all exact: %s", f"{record['checks']:,}", record["all_hold"])
    return 0 if record["all_hold"] else 1


if __name__ == "__main__":
    raise SystemExit(main())

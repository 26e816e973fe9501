"""Simulate neurons with constant inputs for both resets and several durations, and hold them against S9 and S11."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import time
from importlib.metadata import version
from pathlib import Path

from brian_snn.analysis.verdict import holds
from brian_snn.plotting.staircase import law_errors
from brian_snn.settings import Settings
from brian_snn.studies.rate_laws import inputs_between, measure

HERE = Path(__file__).resolve().parent

logger = logging.getLogger("rate_laws")


def main() -> int:
    """Simulate, verify, store; return 1 if an equation does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--params", type=Path, default=HERE / "params.json", help="inputs and durations")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder for the numbers")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    params = json.loads(options.params.read_text("utf-8"))
    start = time.perf_counter()
    activation = inputs_between(params["lowest"], params["highest"], params["resolution"])
    rates, report = measure(activation, params["steps"], Settings(backend=params["backend"]))
    errors = law_errors(rates)
    record = {
        "seconds": round(time.perf_counter() - start, 1),
        "neurons": len(activation),
        "checks": int(report["neurons"].sum()),
        "max_residual_charge": float(report["max_residual_charge"].max()),
        "all_hold": holds(report),
        "errors": errors.to_dict("records"),
        "versions": {"python": platform.python_version()} | {n: version(n) for n in ("brian_snn", "brian2")},
        "params": params,
    }
    options.results.mkdir(parents=True, exist_ok=True)
    rates.to_csv(options.results / "rates.csv", index=False, float_format="%.10g")
    report.to_csv(options.results / "verification.csv", index=False)
    (options.results / "rate_laws.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    logger.info("%s\n%s checks, all exact: %s", errors.to_string(), f"{record['checks']:,}", record["all_hold"])
    return 0 if record["all_hold"] else 1


if __name__ == "__main__":
    raise SystemExit(main())

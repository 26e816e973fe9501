"""Follow the error of the demo network to its origins, and turn the knob that is named for the largest one."""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd

from brian_snn import convert, simulate
from brian_snn.analysis.error import error_account, error_origins
from brian_snn.datasets import load_demo
from brian_snn.frontends.keras.files import load_model
from brian_snn.frontends.keras.reference import reference_activations

HERE = Path(__file__).resolve().parent

# Digits of the numbers that are kept.
_DIGITS = 6

logger = logging.getLogger("error_account")


def run_case(case: dict[str, Any]) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Convert, simulate and account for one case: its summary, the account and the origins."""
    path, digits, calibration = load_demo()
    network = convert(path, calibration.images, percentile=case["percentile"])
    activations = reference_activations(load_model(path), network, digits.images)
    options = {name: case[name] for name in ("steps", "reset", "v_init", "clamp")}
    result = simulate(network, digits.images, **options)
    account, origins = error_account(result, activations), error_origins(result, activations)
    at_output = origins[origins["population"] == network.output.name].set_index("term")
    causes = at_output.drop(index="error").sort_values("share", ascending=False)
    summary = {
        "accuracy": float(np.mean(result.predictions == digits.labels)),
        "relative_error_of_logits": float(at_output.loc["error", "relative"]),
        "shares": {term: round(float(share), 4) for term, share in causes["share"].items()},
        "largest": causes.index[0],
        "knob": causes["knob"].iloc[0],
        "unexplained": float(account[account["term"] == "unexplained"]["rms"].max()),
    }
    logger.info("%s: %s", case["name"], summary)
    return summary, account.assign(case=case["name"]), origins.assign(case=case["name"])


def main() -> None:
    """Run all cases and store what they come to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--params", type=Path, default=HERE / "params.json", help="the cases")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder for the numbers")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    params = json.loads(options.params.read_text("utf-8"))
    runs = [run_case(case) for case in params["cases"]]
    options.results.mkdir(parents=True, exist_ok=True)
    for name, tables in (("account", [a for _, a, _ in runs]), ("origins", [o for _, _, o in runs])):
        table = pd.concat(tables).drop(columns=["mean_hz", "mean_abs_hz", "rms_hz"])
        table.to_csv(options.results / f"{name}.csv", index=False, float_format=f"%.{_DIGITS}g")
    record = {
        "cases": {case["name"]: summary for case, (summary, _, _) in zip(params["cases"], runs, strict=True)},
        "versions": {"python": platform.python_version()} | {n: version(n) for n in ("brian_snn", "brian2", "keras")},
        "params": params,
    }
    (options.results / "summary.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

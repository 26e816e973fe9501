"""Where the error of every layer comes from, and what turning the knob that is named for the largest cause does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from brian_snn.analysis.error import error_account, error_origins
from brian_snn.arrays import FloatArray
from brian_snn.datasets import Dataset
from brian_snn.network.network import Network
from brian_snn.plotting.error_account import plot_error_account
from brian_snn.plotting.style import RESET_LABELS, Figure
from brian_snn.running.simulate import simulate
from brian_snn.settings import Execution
from brian_snn.studies.study import Measured, Params, Study, Watcher
from brian_snn.studies.subjects import demo_subject

#: One simulation.
SMALL: Params = {"images": 20, "steps": 200, "reset": "subtraction", "backend": "runtime"}
#: Cases, of which the figure shows one; each turns another knob.
FULL: Params = {
    "figure": "subtraction",
    "cases": [
        {"name": name, "percentile": percentile, "steps": steps, "reset": reset, "v_init": v_init, "clamp": clamp}
        for name, percentile, steps, reset, v_init, clamp in (
            ("reset to zero", 99.9, 200, "zero", 0.0, 0),
            ("subtraction", 99.9, 200, "subtraction", 0.0, 0),
            ("V(0) = V_thr/2", 99.9, 200, "subtraction", 0.5, 0),
            ("percentile 100", 100, 200, "subtraction", 0.5, 0),
            ("clamp 5", 100, 200, "subtraction", 0.5, 5),
            ("1000 steps", 100, 1000, "subtraction", 0.5, 5),
        )
    ],
}

#: All digits of the package.
_ALL_IMAGES = 200
_OPTIONS = ("steps", "reset", "v_init", "clamp", "backend")
#: The experiment keeps errors in r_max.
_IN_HZ = ["mean_hz", "mean_abs_hz", "rms_hz"]


def measure(params: Params, execution: Execution, watcher: Watcher) -> Measured:
    """Account for the errors of every case, or of one simulation if the numbers name no cases."""
    demo, tables, summaries = demo_subject(params.get("images", _ALL_IMAGES)), [], {}
    shown: dict[str, str] = {}
    for case in params.get("cases", [params]):
        with watcher.stage("convert the trained network"):
            network = demo.network(case.get("percentile", 99.9))
            activations = demo.activations(network)
        account, origins, correct = _account(case, network, demo.test, activations, execution, watcher)
        if "name" in case:
            summaries[case["name"]] = {"accuracy": correct} | _summary(account, origins, network.output.name)
            account, origins = (t.drop(columns=_IN_HZ).assign(case=case["name"]) for t in (account, origins))
        tables.append((account, origins))
        shown |= _shown(origins, network.output.name, case.get("name", ""))
    account, origins = (pd.concat(each, ignore_index=True) for each in zip(*tables, strict=True))
    return Measured({"account": account, "origins": origins}, shown, record={"cases": summaries})


def plot(measured: Measured, params: Params) -> dict[str, Figure]:
    """Draw the account and the origins of one case."""
    account, origins, case = measured.tables["account"], measured.tables["origins"], params
    if "cases" in params:
        case = next(each for each in params["cases"] if each["name"] == params["figure"])
        account, origins = (table[table["case"] == case["name"]] for table in (account, origins))
    title = f"Where the error comes from: {RESET_LABELS[case['reset']]}, {case['steps']} steps"
    return {"error_account": plot_error_account(account, origins, title)}


def _account(
    case: Params, network: Network, digits: Dataset, activations: Mapping[str, FloatArray], execution: Execution,
    watcher: Watcher,
) -> tuple[pd.DataFrame, pd.DataFrame, float]:  # fmt: skip
    """Simulate one case; return its account, the origins of the errors and the share of right answers."""
    with watcher.stage("simulate"):
        options = {name: case[name] for name in _OPTIONS if name in case}
        result = simulate(network, digits.images, **options, **vars(execution))
    with watcher.stage("account for the error"):
        account, origins = error_account(result, activations), error_origins(result, activations)
    return account, origins, float(np.mean(result.predictions == digits.labels))


def _causes(origins: pd.DataFrame, output: str) -> pd.DataFrame:
    """Return the causes of the error of the logits, the largest first."""
    causes = origins[(origins["population"] == output) & (origins["term"] != "error")]
    return causes.sort_values("share", ascending=False)


def _summary(account: pd.DataFrame, origins: pd.DataFrame, output: str) -> dict[str, Any]:
    """Return the error of the logits, its causes, and the knob that is named for the largest."""
    error = origins[(origins["population"] == output) & (origins["term"] == "error")]
    causes = _causes(origins, output)
    return {
        "relative_error_of_logits": float(error["relative"].iloc[0]),
        "shares": {row.term: round(float(row.share), 4) for row in causes.itertuples()},
        "largest": causes["term"].iloc[0],
        "knob": causes["knob"].iloc[0],
        "unexplained": float(account[account["term"] == "unexplained"]["rms"].max()),
    }


def _shown(origins: pd.DataFrame, output: str, case: str) -> dict[str, str]:
    """Return the causes of the error of the logits."""
    # Adding zero takes the sign from what rounds to minus zero.
    shares = {row.term: round(100 * row.share, 1) + 0.0 for row in _causes(origins, output).itertuples()}
    name = f"{case}: {output}" if case else output
    return {f"{name}, {term}": f"{share:.1f} % of the error" for term, share in shares.items()}


STUDY = Study(measure, plot, SMALL, FULL, "summary.json", digits={"account": 6, "origins": 6})

"""Find when the class of an MNIST digit is certain, and what it saves to stop there."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn import Network, Result, simulate
from brian_snn.analysis.bounds import bounds
from brian_snn.analysis.classification import wilson_interval
from brian_snn.analysis.early_stopping import earliest_certain_step, margin_for, margin_step, settled_step
from brian_snn.analysis.operations import operations_over_time
from brian_snn.cli.experiment import note, script
from brian_snn.studies.subjects import mnist_subject

#: The rules that need no other images: each gives the step at which to stop.
RULES = {
    "certain": earliest_certain_step,
    "certain with bounds": partial(earliest_certain_step, use_bounds=True),
    "settled": settled_step,
}

logger = logging.getLogger("early_stopping")


def run_images(
    network: Network, images: NDArray[Any], case: dict[str, Any], n_checkpoints: int, counts: bool = True
) -> Result:
    """Simulate images with checkpoints, and the counts at them if the rules are to look at those too."""
    options = {name: case[name] for name in ("steps", "reset", "v_init")}
    checkpoints = np.linspace(0, case["steps"], n_checkpoints + 1)[1:].astype(int)
    spiking = [p.name for p in network.populations if p.kind != "readout"] if counts else []
    return simulate(network, images, **options, checkpoints=checkpoints.tolist(), record_counts=spiking)


def rows_of(result: Result, labels: NDArray[Any], rules: dict[str, Callable[[Result], NDArray[Any]]]) -> pd.DataFrame:
    """Return a row per digit: when each rule stops, what has been spent by then, and what the network says then."""
    operations, checkpoints = operations_over_time(result), np.asarray(result.checkpoints)
    here = np.arange(len(labels))
    assert result.output_history is not None, "simulated with checkpoints"
    columns: dict[str, Any] = {"right at the end": result.predictions == labels}
    for rule, stop in rules.items():
        step = stop(result)
        k = np.searchsorted(checkpoints, step)
        early = result.output_history[k, here].reshape(len(labels), -1).argmax(axis=1)
        columns[f"{rule}, steps"] = step / result.settings.steps
        columns[f"{rule}, operations"] = operations[k, here] / operations[-1]
        columns[f"{rule}, another class"] = early != result.predictions
        columns[f"{rule}, right"] = early == labels
    return pd.DataFrame(columns)


def margins(network: Network, images: NDArray[Any], case: dict[str, Any], params: dict[str, Any]) -> dict[float, float]:
    """Learn the margin for each share of agreement from the last of the digits, of which no other use is made."""
    result = run_images(network, images[-case["images_for_margin"] :], case, params["checkpoints"], counts=False)
    return {agreement: margin_for(result, agreement) for agreement in params["agreements"]}


def summary(rows: pd.DataFrame, rules: list[str]) -> dict[str, Any]:
    """Return accuracy, and when to stop, as fractions of the whole run, and at the cost of how many classes."""
    record: dict[str, Any] = {"images": len(rows), "wrong": int((~rows["right at the end"]).sum())}
    for rule in rules:
        step, another, wrong = (
            rows[f"{rule}, steps"],
            int(rows[f"{rule}, another class"].sum()),
            ~rows[f"{rule}, right"],
        )
        record[rule] = {
            "mean_step": round(float(step.mean()), 4),
            "quantiles_of_step": np.quantile(step, [0, 0.25, 0.5, 0.75, 1]).round(4).tolist(),
            "mean_operations": round(float(rows[f"{rule}, operations"].mean()), 4),
            "another_class": another,
            "another_class_interval": [round(end, 5) for end in wilson_interval(another, len(rows))],
            "wrong": int(wrong.sum()),
            "wrong_interval": [round(end, 5) for end in wilson_interval(int(wrong.sum()), len(rows))],
        }
    return record


def mean_bounds(tables: list[pd.DataFrame]) -> list[dict[str, Any]]:
    """Return what the batches of one case have in common: means of means, the largest of the largest."""
    table = pd.concat(tables)
    how = {"mean_bound": "mean", "mean_measured": "mean", "bound": "max", "measured": "max", "tightness": "max"}
    shares = {"silent": "mean", "undecided": "mean", "holds": "all"}
    merged = table.groupby("population", sort=False).agg(how | shares).reset_index()
    return [
        {key: float(f"{x:.4g}") if isinstance(x, float) else x for key, x in row.items()}
        for row in json.loads(merged.to_json(orient="records"))
    ]


def main() -> None:
    """Convert, simulate case by case, store."""
    options = script(__doc__, Path(__file__))
    params = options.params
    digits, cases = mnist_subject(), {}
    network, images, labels = digits.network(), digits.test.images, digits.labels
    for case in params["cases"]:
        learned = margins(network, images, case, params)
        rules = RULES | {f"margin, {share}": partial(margin_step, margin=margin) for share, margin in learned.items()}
        rows, proved = [], []
        for first in range(0, case["images"], params["batch"]):
            here = slice(first, min(first + params["batch"], case["images"]))
            result = run_images(network, images[here], case, params["checkpoints"])
            rows.append(rows_of(result, labels[here], rules))
            proved.append(bounds(result))
        record = summary(pd.concat(rows), list(rules)) | {"margins": {str(k): round(v, 3) for k, v in learned.items()}}
        logger.info("%s: %s", case["name"], record)
        cases[case["name"]] = record | {"bounds": mean_bounds(proved)}
    note(options, "early_stopping.json", {"cases": cases})


if __name__ == "__main__":
    main()

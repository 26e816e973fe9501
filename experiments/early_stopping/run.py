"""Find when the class of an MNIST digit is certain, and what it saves to stop there."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn import Network, simulate
from brian_snn.analysis.bounds import bounds
from brian_snn.analysis.early_stopping import earliest_certain_step, settled_step
from brian_snn.analysis.operations import operations_over_time
from brian_snn.cli.experiment import note, script
from brian_snn.studies.subjects import mnist_subject

#: Columns of the rows of one case: the step at which to stop, by each rule.
RULES = ("certain", "certain with bounds", "settled")

logger = logging.getLogger("early_stopping")


def run_batch(
    network: Network, images: NDArray[Any], labels: NDArray[Any], case: dict[str, Any], n_checkpoints: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate a batch: a row per digit, and the bounds of its layers."""
    options = {name: case[name] for name in ("steps", "reset", "v_init")}
    checkpoints = np.linspace(0, case["steps"], n_checkpoints + 1)[1:].astype(int)
    spiking = [p.name for p in network.populations if p.kind != "readout"]
    result = simulate(network, images, **options, checkpoints=checkpoints.tolist(), record_counts=spiking)
    operations = operations_over_time(result)
    steps = (earliest_certain_step(result), earliest_certain_step(result, use_bounds=True), settled_step(result))
    columns: dict[str, Any] = {"correct": result.predictions == labels}
    for rule, step in zip(RULES, steps, strict=True):
        columns[f"{rule}, steps"] = step / case["steps"]
        spent = operations[np.searchsorted(checkpoints, step), np.arange(len(images))]
        columns[f"{rule}, operations"] = spent / operations[-1]
    return pd.DataFrame(columns), bounds(result)


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """Return accuracy, and mean, quartiles and extremes of when to stop, as fractions of the whole run."""
    record: dict[str, Any] = {"images": len(rows), "accuracy": float(rows["correct"].mean())}
    for rule in RULES:
        step = rows[f"{rule}, steps"]
        record[rule] = {
            "mean_step": round(float(step.mean()), 4),
            "quantiles_of_step": np.quantile(step, [0, 0.25, 0.5, 0.75, 1]).round(4).tolist(),
            "mean_operations": round(float(rows[f"{rule}, operations"].mean()), 4),
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
        batches = [
            slice(k, min(k + params["batch"], case["images"])) for k in range(0, case["images"], params["batch"])
        ]
        runs = [run_batch(network, images[b], labels[b], case, params["checkpoints"]) for b in batches]
        cases[case["name"]] = summary(pd.concat([rows for rows, _ in runs])) | {
            "bounds": mean_bounds([table for _, table in runs])
        }
        logger.info("%s: %s", case["name"], {k: v for k, v in cases[case["name"]].items() if k != "bounds"})
    note(options, "early_stopping.json", {"cases": cases})


if __name__ == "__main__":
    main()

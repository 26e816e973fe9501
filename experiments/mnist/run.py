"""Classify all 10,000 test digits of MNIST with the spiking demo network and verify every neuron of every run."""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np

import brian_snn
from brian_snn.analysis.operations import ann_operations, snn_operations
from brian_snn.cli.experiment import note, script
from brian_snn.datasets import Dataset
from brian_snn.network.network import Network
from brian_snn.running.simulate import simulate
from brian_snn.settings import Settings
from brian_snn.studies.subjects import mnist_subject

logger = logging.getLogger("mnist")


def add_images(parser: ArgumentParser) -> None:
    """Add the option for a shorter run."""
    parser.add_argument("--images", type=int, default=None, help="classify the first so many digits only")


def run_case(network: Network, digits: Dataset, settings: Settings, workers: int) -> dict[str, Any]:
    """Simulate and verify all digits; the result lies on disk meanwhile and is read shard by shard."""
    folder = Path(tempfile.mkdtemp(prefix="mnist_"))
    try:
        start = time.perf_counter()
        result = simulate(network, digits.images, settings, workers=workers, output=folder / "run")
        simulated = time.perf_counter()
        report = brian_snn.verify(result)
        verified = time.perf_counter()
        checked = report[report["applicable"]]
        identities = checked.groupby("equation")["neurons"].sum()
        return {
            "reset": settings.reset,
            "steps": settings.steps,
            "wrong": int(np.sum(result.predictions != digits.labels)),
            "operations_per_image": float(np.concatenate([snn_operations(part) for part in result.parts()]).mean()),
            "identities": {str(name): int(number) for name, number in identities.items()},
            "identities_in_all": int(identities.sum()),
            "all_hold": bool(report["holds"].all()),
            "max_residual_charge": float(checked["max_residual_charge"].max()),
            "seconds_to_simulate": round(simulated - start, 1),
            "seconds_to_verify": round(verified - simulated, 1),
        }
    finally:
        shutil.rmtree(folder)


def table(cases: list[dict[str, Any]], n_digits: int, keras_wrong: int, operations: int) -> str:
    """Return the table of the README."""
    lines = [
        "| reset | steps | wrong | error | against the trained network | synapses used an image "
        "| identities, all exact |",
        "|---|---|---|---|---|---|---|",
        f"| trained network | | {keras_wrong} | {100 * keras_wrong / n_digits:.2f} % | | {operations:,} | |",
    ]
    for case in cases:
        excess = 100 * (case["wrong"] - keras_wrong) / n_digits
        numbers = f"{case['wrong']} | {100 * case['wrong'] / n_digits:.2f} % | {excess:+.2f} points"
        exact = f"{case['identities_in_all']:,}" if case["all_hold"] else "FAILED"
        lines.append(
            f"| {case['reset']} | {case['steps']} | {numbers} | {case['operations_per_image']:,.0f} | {exact} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Run all cases and store the numbers; return 1 if an identity does not hold."""
    options = script(__doc__, Path(__file__), add_images)
    params = options.params
    subject = mnist_subject(options.images)
    digits = subject.test
    scores = subject.model.predict(digits.images, batch_size=500, verbose=0)
    keras_wrong = int(np.sum(scores.argmax(axis=1) != digits.labels))
    network = brian_snn.convert(subject.model, subject.calibration, params["percentile"], params["normalisation"])
    cases = []
    for reset in params["resets"]:
        for steps in params["steps"]:
            cases.append(run_case(network, digits, Settings(steps, reset), options.workers))
            logger.info("%s", cases[-1])
    logger.info("%s", table(cases, len(digits.images), keras_wrong, ann_operations(network)))
    record = {
        "digits": len(digits.images),
        "wrong_keras": keras_wrong,
        "operations_keras": ann_operations(network),
        "cases": cases,
        "identities_in_all": sum(case["identities_in_all"] for case in cases),
        "workers": options.workers,
    }
    logger.info("%s identities checked, all of them exact: %s", f"{record['identities_in_all']:,}", _all_hold(cases))
    note(options, "mnist.json", record)
    return 0 if _all_hold(cases) else 1


def _all_hold(cases: list[dict[str, Any]]) -> bool:
    """Return whether every identity of every case holds."""
    return all(case["all_hold"] for case in cases)


if __name__ == "__main__":
    sys.exit(main())

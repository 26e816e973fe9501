"""Count activations and firing rates layer by layer: of the demo network, and of the network of Figure S1."""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from brian_snn.arrays import FloatArray
from brian_snn.frontends.keras.reference import reference_activations
from brian_snn.network.network import Network
from brian_snn.running.simulate import simulate
from brian_snn.settings import Reset, Settings
from brian_snn.studies.activity import activation_tables, rate_tables
from brian_snn.studies.drawing import demo_subject
from brian_snn.studies.s1 import prepare

HERE = Path(__file__).resolve().parent

Activations = dict[str, FloatArray]

logger = logging.getLogger("activity")


def demo_network(params: dict[str, Any]) -> tuple[Network, FloatArray, Activations, Activations]:
    """Return the network, the digits, and the activations for the calibration digits and for the digits."""
    demo = demo_subject(params["images"])
    network = demo.network(params["percentile"])
    calibration = reference_activations(demo.model, network, demo.calibration)
    return network, demo.digits.images, calibration, demo.activations(network)


def s1_network(root: Path, params: dict[str, Any]) -> tuple[Network, FloatArray, Activations, Activations]:
    """Return the network of Figure S1 and its photo; its scales come from ten photos, the activations from this one."""
    given = params["s1"]
    subject = prepare(str(root / given["weights"]), root / given["photo"], percentile=params["percentile"])
    return subject.network, subject.image, subject.activations, subject.activations


def main() -> None:
    """Simulate, count, store; the network of Figure S1 only where its weights are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--params", type=Path, default=HERE / "params.json", help="the cases")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder for the numbers")
    parser.add_argument("--workers", type=int, default=2, help="processes side by side")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    params = json.loads(options.params.read_text("utf-8"))
    root = Path(os.environ.get("BRIAN_SNN_DATA", ""))
    start = time.perf_counter()
    networks = {"demo": demo_network(params)}
    if (root / params["s1"]["weights"]).is_file():
        networks["s1"] = s1_network(root, params)
    else:
        logger.info("BRIAN_SNN_DATA is %r, without %s: no Figure S1", str(root), params["s1"]["weights"])
    options.results.mkdir(parents=True, exist_ok=True)
    for name, (network, images, calibration, activations) in networks.items():
        results = [
            simulate(network, images, Settings(params["steps"], reset), workers=options.workers)
            for reset in get_args(Reset)
        ]
        histograms, marks = activation_tables(network, calibration)
        histograms = pd.concat([histograms, rate_tables(results, activations)])
        histograms.to_csv(options.results / f"{name}_histograms.csv", index=False, float_format="%.6g")
        marks.to_csv(options.results / f"{name}_marks.csv", index=False, float_format="%.6g")
        logger.info("%s: %.0f s", name, time.perf_counter() - start)
    record = {
        "minutes": round((time.perf_counter() - start) / 60, 1),
        "versions": {"python": platform.python_version()} | {n: version(n) for n in ("brian_snn", "brian2", "keras")},
        "params": params,
    }
    (options.results / "activity.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

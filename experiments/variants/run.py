"""Measure what leaks, refractory periods, delays, noise and other outputs cost the demo network on MNIST."""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from brian_snn.analysis.verdict import holds
from brian_snn.arrays import FloatArray
from brian_snn.conversion.convert import convert
from brian_snn.datasets import Dataset, load_demo, load_images
from brian_snn.frontends.keras.files import load_model
from brian_snn.frontends.keras.reference import reference_activations
from brian_snn.network.network import Network
from brian_snn.settings import Execution, Settings
from brian_snn.studies.variants import VARIANTS, measure

HERE = Path(__file__).resolve().parent

logger = logging.getLogger("variants")


def subject(params: dict[str, Any]) -> tuple[Network, Dataset, dict[str, FloatArray]]:
    """Return the demo network, the first MNIST test digits, and what Keras computes for them."""
    root = os.environ.get("BRIAN_SNN_DATA", "")
    path = Path(root) / "mnist" / "t10k-images-idx3-ubyte.gz"
    if not (root and path.is_file()):
        sys.exit(f"BRIAN_SNN_DATA is {root!r}; it must name the folder that holds mnist/{path.name}.")
    model_path, _, calibration = load_demo()
    model, test = load_model(model_path), load_images(path, (28, 28, 1))
    network = convert(model, calibration.images)
    images = test.images[: params["images"]]
    return network, Dataset(images, test.labels[: len(images)], "MNIST"), reference_activations(model, network, images)


def main() -> int:
    """Simulate, verify, count, store; return 1 if an equation does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--params", type=Path, default=HERE / "params.json", help="number of digits and of steps")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder for the numbers")
    parser.add_argument("--workers", type=int, default=2, help="processes side by side")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    params = json.loads(options.params.read_text("utf-8"))
    start = time.perf_counter()
    network, digits, activations = subject(params)
    settings, execution = Settings(params["steps"]), Execution(options.workers)
    measured = []
    for variant in VARIANTS:
        tables = measure(network, digits.images, digits.labels, activations, variant, settings, execution)
        measured.append(tables)
        logger.info("%s: %d wrong, %.0f s", variant.name, tables[1]["wrong"].iloc[0], time.perf_counter() - start)
    curves, ends, report = (pd.concat(tables, ignore_index=True) for tables in zip(*measured, strict=True))
    record = {
        "minutes": round((time.perf_counter() - start) / 60, 1),
        "checks": int(report["neurons"].sum()),
        "all_hold": holds(report),
        "versions": {"python": platform.python_version()} | {n: version(n) for n in ("brian_snn", "brian2", "keras")},
        "params": params,
    }
    options.results.mkdir(parents=True, exist_ok=True)
    for name, table in (("curves", curves), ("ends", ends)):
        table.to_csv(options.results / f"{name}.csv", index=False, float_format="%.5g")
    (options.results / "variants.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    logger.info("%s checks, all exact: %s", f"{record['checks']:,}", record["all_hold"])
    return 0 if record["all_hold"] else 1


if __name__ == "__main__":
    raise SystemExit(main())

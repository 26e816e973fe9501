"""Measure the error of two spiking classifiers against steps and operations, for three percentiles and both resets."""

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
from typing import Any, get_args

import pandas as pd
from fashion import DEBIAN_FOLDER, calibration_images, load_fashion, train

from brian_snn.arrays import FloatArray
from brian_snn.conversion.convert import convert
from brian_snn.datasets import Dataset, load_demo, load_images
from brian_snn.frontends.keras.files import load_model
from brian_snn.settings import Execution, Reset, Settings
from brian_snn.studies.accuracy import checkpoints_up_to, measure, trained_network

HERE = Path(__file__).resolve().parent

logger = logging.getLogger("accuracy")


def mnist() -> tuple[Any, FloatArray, Dataset]:
    """Return the trained network of the package, its calibration digits and the official test digits."""
    root = os.environ.get("BRIAN_SNN_DATA", "")
    path = Path(root) / "mnist" / "t10k-images-idx3-ubyte.gz"
    if not (root and path.is_file()):
        sys.exit(f"BRIAN_SNN_DATA is {root!r}; it must name the folder that holds mnist/{path.name}.")
    model_path, _, calibration = load_demo()
    return load_model(model_path), calibration.images, load_images(path, (28, 28, 1))


def fashion_mnist(folder: Path, stored: Path, params: dict[str, Any]) -> tuple[Any, FloatArray, Dataset]:
    """Return a CNN for Fashion-MNIST, trained if it is not stored yet, its calibration images and the test images."""
    training, test = load_fashion(folder)
    if not stored.is_file():
        model = train(training, params)
        stored.parent.mkdir(parents=True, exist_ok=True)
        model.save(stored)
    return load_model(stored), calibration_images(training, params), test


def run_dataset(
    name: str, model: Any, calibration: FloatArray, test: Dataset, params: dict[str, Any], workers: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the curves of a data set and the row of its trained network."""
    images, labels = test.images[: params["images"]], test.labels[: params["images"]]
    scores = model.predict(images, batch_size=500, verbose=0)
    checkpoints = checkpoints_up_to(params["steps"], params["checkpoints"])
    curves, trained = [], pd.DataFrame()
    for percentile in params["percentiles"]:
        network = convert(model, calibration, percentile=percentile)
        trained = trained_network(name, network, scores, labels)
        for reset in get_args(Reset):
            start = time.perf_counter()
            settings = Settings(params["steps"], reset)
            curve = measure(network, images, labels, settings, Execution(workers), checkpoints)
            curves.append(curve.assign(dataset=name, percentile=percentile, reset=reset))
            wrong, seconds = curve["wrong"].iloc[-1], time.perf_counter() - start
            logger.info("%s, percentile %g, %s: %d wrong, %.0f s", name, percentile, reset, wrong, seconds)
    return pd.concat(curves), trained


def main() -> None:
    """Train or load, convert, simulate, count, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--params", type=Path, default=HERE / "params.json", help="the cases")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder for the numbers")
    parser.add_argument("--workers", type=int, default=2, help="processes side by side")
    parser.add_argument(
        "--fashion",
        type=Path,
        default=Path(os.environ.get("BRIAN_SNN_FASHION", DEBIAN_FOLDER)),
        help="folder of the IDX files of Fashion-MNIST; BRIAN_SNN_FASHION names another default",
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    params = json.loads(options.params.read_text("utf-8"))
    start = time.perf_counter()
    fashion = fashion_mnist(options.fashion, options.results / "fashion_cnn.keras", params["fashion"])
    sets = {"MNIST": mnist(), "Fashion-MNIST": fashion}
    tables = [run_dataset(name, *of_set, params, options.workers) for name, of_set in sets.items()]
    curves, trained = (pd.concat(frames, ignore_index=True) for frames in zip(*tables, strict=True))
    record = {
        "minutes": round((time.perf_counter() - start) / 60, 1),
        "workers": options.workers,
        "versions": {"python": platform.python_version()} | {n: version(n) for n in ("brian_snn", "brian2", "keras")},
        "params": params,
    }
    options.results.mkdir(parents=True, exist_ok=True)
    curves.to_csv(options.results / "curves.csv", index=False, float_format="%.10g")
    trained.to_csv(options.results / "trained.csv", index=False)
    (options.results / "accuracy.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

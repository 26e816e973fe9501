"""Find settings for the digit classifier of the package and for MobileNet-V1, and hold them against known ones."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import brian_snn
from brian_snn.analysis.classification import trained_answers
from brian_snn.analysis.operations import snn_operations
from brian_snn.cli.experiment import keep, note, script
from brian_snn.studies.subjects import data_path, mnist_subject

logger = logging.getLogger("tune")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what is left out, and where measurements are kept."""
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), help="cases to run")
    parser.add_argument("--kept", type=Path, help="folder that keeps measurements: the same command goes on there")


def mobilenet_script() -> ModuleType:
    """Import the script of the experiment on MobileNet, which loads model and photos."""
    path = Path(__file__).resolve().parents[1] / "mobilenet_v1" / "run.py"
    spec = importlib.util.spec_from_file_location("mobilenet_v1_run", path)
    assert spec is not None and spec.loader is not None, "a Python file"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tune_mnist(params: dict[str, Any], **options: Any) -> brian_snn.Tuning:
    """Tune the network of the package on the first test digits of MNIST."""
    digits = mnist_subject(params.pop("images"))
    return brian_snn.tune(digits.model, digits.calibration, digits.test.images, digits.labels, **params, **options)


def tune_mobilenet(params: dict[str, Any], **options: Any) -> brian_snn.Tuning:
    """Tune MobileNet-V1 on the photos that it is not calibrated on."""
    other = mobilenet_script()
    photos, _ = other.load_photos(data_path("photos"), params)
    model = other.load_mobilenet(data_path(params.pop("weights")), params.pop("side"))
    fitted = slice(*params.pop("calibrate_on"))
    del params["shorter_side"]
    shown = [number for number in range(len(photos)) if number not in range(len(photos))[fitted]]
    return brian_snn.tune(model, photos[fitted], photos[shown], **params, **options)


def on_the_other_half(found: brian_snn.Tuning, params: dict[str, Any], workers: int) -> dict[str, Any]:
    """Show what was found the photos that calibrated it, with scales from all the others; no search has seen them."""
    other = mobilenet_script()
    photos, _ = other.load_photos(data_path("photos"), params)
    model = other.load_mobilenet(data_path(params["weights"]), params["side"])
    shown = range(len(photos))[slice(*params["calibrate_on"])]
    fitted = [number for number in range(len(photos)) if number not in shown]
    point = found.point
    network = brian_snn.convert(model, photos[fitted], point.percentile, point.normalisation)
    result = brian_snn.simulate(network, photos[shown], found.settings, workers=workers)
    agree = int(np.sum(result.predictions == trained_answers(network, photos[shown])))
    operations = float(snn_operations(result).mean())
    return {"other_half": {"photos": len(shown), "agree": agree, "operations": operations}}


#: What a record holds besides, by case.
OTHERS = {"mobilenet": on_the_other_half}

CASES = {"mnist": tune_mnist, "mobilenet": tune_mobilenet}


def main() -> None:
    """Tune each case and keep what was found, but for the networks."""
    options = script(__doc__, Path(__file__), add_options)
    for name in options.only:
        found = CASES[name](dict(options.params[name]), workers=options.workers, kept=options.kept, say=logger.info)
        logger.info("%s", found.verdict())
        tables = {"front": found.front, "tried": found.tried, "account": found.account}
        keep(options, {f"{name}_{table}": rows for table, rows in tables.items()}, {f"{name}_tried": 6})
        record = found.record()
        if name in OTHERS:
            record |= OTHERS[name](found, dict(options.params[name]), options.workers)
        note(options, f"{name}.json", record)


if __name__ == "__main__":
    main()

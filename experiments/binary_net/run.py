"""Train LeNet and a network of binary weights on MNIST, and measure their errors over the operations they take."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from networks import trained

from brian_snn.cli.experiment import Log, run_study, script
from brian_snn.datasets import first_images
from brian_snn.frontends.table import load_model
from brian_snn.studies.accuracy import STUDY, measure
from brian_snn.studies.subjects import Classifier, load_dataset

#: What the tables call them, by their files.
NETWORKS = {"lenet": "LeNet", "binary_net": "BinaryNet"}
CALIBRATION = 1000


def main() -> int:
    """Train those that are not stored yet, then measure all."""
    options, log = script(__doc__, Path(__file__)), Log()
    training, test = load_dataset("mnist", "train"), load_dataset("mnist")
    options.results.mkdir(parents=True, exist_ok=True)

    def subjects() -> Iterator[tuple[str, int, Classifier]]:
        for name, title in NETWORKS.items():
            for seed in options.params["seeds"]:
                chosen = np.random.default_rng(seed).choice(len(training.images), CALIBRATION, replace=False)
                calibration = training.images[np.sort(chosen)]
                model = load_model(options.results / f"{name}_{seed}.keras")
                yield title, seed, Classifier(model, first_images(test, options.params["images"]), calibration)

    for name in NETWORKS:
        for seed in options.params["seeds"]:
            path = options.results / f"{name}_{seed}.keras"
            if not path.is_file():
                with log.stage(f"train {path.stem}"):
                    trained(name, training, seed, options.params).save(path)
    return run_study(STUDY, options, partial(measure, subjects=subjects()))


if __name__ == "__main__":
    raise SystemExit(main())

"""Train the architecture of the package's network on MNIST and on Fashion-MNIST, from several seeds, and store them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd

from brian_snn.cli.experiment import Log, keep, note, script
from brian_snn.datasets import Dataset, load_demo
from brian_snn.frontends.table import load_model, scores_of
from brian_snn.studies.subjects import DATASETS, load_dataset, network_file


def train(training: Dataset, seed: int, params: dict[str, Any]) -> keras.Model:
    """Return a trained network without the optimizer's state, which would triple the size of its file."""
    keras.utils.set_random_seed(seed)
    demo = load_model(load_demo()[0])
    model = keras.models.clone_model(demo)
    steps = params["epochs"] * -(-len(training.images) // params["batch_size"])
    schedule = keras.optimizers.schedules.CosineDecay(params["learning_rate"], steps)
    model.compile(keras.optimizers.Adam(schedule), loss="sparse_categorical_crossentropy")
    fit = {name: params[name] for name in ("batch_size", "epochs")}
    model.fit(training.images.astype(np.float32), training.labels, **fit, verbose=0)
    bare = keras.models.clone_model(demo)
    bare.set_weights(model.get_weights())
    return bare


def main() -> None:
    """Train those that are not stored yet, and note the errors of all."""
    options, log = script(__doc__, Path(__file__)), Log()
    options.results.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in DATASETS:
        training, test = load_dataset(name, "train"), load_dataset(name, "test")
        for seed in options.params["seeds"]:
            path = options.results / network_file(name, seed)
            if not path.is_file():
                with log.stage(f"train {path.stem}"):
                    train(training, seed, options.params).save(path)
            wrong = int(np.sum(scores_of(load_model(path), test.images).argmax(axis=1) != test.labels))
            rows.append({"dataset": name, "seed": seed, "wrong": wrong, "images": len(test.images)})
    keep(options, {"networks": pd.DataFrame(rows)}, {})
    note(options, "networks.json", {})


if __name__ == "__main__":
    main()

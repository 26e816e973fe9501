"""Turn the trained networks of several seeds into ones with levels (QCFS), by training them on with that activation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

from brian_snn.cli.experiment import Log, script
from brian_snn.datasets import Dataset, first_images
from brian_snn.frontends.keras.clip_floor_shift import ClipFloorShift
from brian_snn.frontends.table import load_model
from brian_snn.studies.subjects import DATASETS, load_dataset, network_file

NETWORKS = Path(__file__).resolve().parents[1] / "networks" / "results"

#: Of the positive activations, in per cent: lambda before training.
START = 99.0


def with_levels(model: keras.Model, images: np.ndarray, levels: int) -> keras.Model:
    """Return a copy with levels in the place of each ReLU, averages in that of each maximum, and the same weights."""
    x = start = keras.Input(model.input_shape[1:])
    for layer in model.layers[1:]:
        config, copy, active = layer.get_config(), None, isinstance(layer, layers.ReLU)
        if isinstance(layer, layers.MaxPooling2D):
            copy = layers.AveragePooling2D(config["pool_size"], name=layer.name)
        elif getattr(layer, "activation", None) is keras.activations.relu:
            copy, active = type(layer).from_config({**config, "activation": "linear"}), True
        elif not active:
            copy = type(layer).from_config(config)
        if copy is not None:
            x = copy(x)
            copy.set_weights(layer.get_weights())
        if active:
            values = keras.Model(start, x).predict(images, verbose=0)
            threshold = float(np.percentile(values[values > 0], START))
            x = ClipFloorShift(levels, threshold, name=f"levels_of_{layer.name}")(x)
    return keras.Model(start, x, name="levels")


def trained_on(model: keras.Model, training: Dataset, seed: int, params: dict[str, Any]) -> keras.Model:
    """Return the network with levels after an epoch of part of the training images."""
    keras.utils.set_random_seed(seed)
    how = params["training"]
    images = training.images.astype(np.float32)
    chosen = np.random.default_rng(seed).choice(len(images), how["images"], replace=False)
    found = with_levels(model, images[:500], params["levels"])
    schedule = keras.optimizers.schedules.CosineDecay(how["learning_rate"], -(-how["images"] // how["batch_size"]))
    found.compile(keras.optimizers.Adam(schedule), loss="sparse_categorical_crossentropy")
    found.fit(images[chosen], training.labels[chosen], batch_size=how["batch_size"], verbose=0)
    bare = keras.models.clone_model(found)
    bare.set_weights(found.get_weights())
    return bare


def main() -> None:
    """Train those that are not stored yet."""
    options, log = script(__doc__, Path(__file__)), Log()
    options.results.mkdir(parents=True, exist_ok=True)
    for name in DATASETS:
        training = load_dataset(name, "train")
        for seed in options.params["seeds"]:
            path, given = options.results / network_file(name, seed), NETWORKS / network_file(name, seed)
            if not path.is_file() and given.is_file():
                with log.stage(f"train {path.stem}"):
                    trained_on(load_model(given), training, seed, options.params).save(path)
                wrong = load_model(path).predict(first_images(load_dataset(name), 2000).images, verbose=0)
                print(np.mean(wrong.argmax(axis=1) != load_dataset(name).labels[:2000]), flush=True)


if __name__ == "__main__":
    main()

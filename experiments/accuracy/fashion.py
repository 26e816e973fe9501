"""A small CNN for Fashion-MNIST: its data and its training."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

from brian_snn.datasets import Dataset, first_images, load_images
from brian_snn.frontends.table import load_model
from brian_snn.studies.subjects import Classifier

INPUT_SHAPE = (28, 28, 1)

#: Where Debian's package dataset-fashion-mnist puts the files.
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")


def load_fashion(folder: Path) -> tuple[Dataset, Dataset]:
    """Return the official training and test set, pixels in [0, 1]."""
    names = ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        sys.exit(
            f"{folder}: Fashion-MNIST is not there ({', '.join(missing)}); install Debian's package "
            "dataset-fashion-mnist, or name the folder of its IDX files with --fashion or BRIAN_SNN_FASHION."
        )
    training, test = (load_images(folder / name, INPUT_SHAPE) for name in names)
    return training, test


def build_model(params: dict[str, Any]) -> keras.Model:
    """Return the untrained CNN, with one max pooling and one average pooling."""
    first, second = params["filters"]
    return keras.Sequential(
        [
            keras.Input(INPUT_SHAPE, name="image"),
            layers.Conv2D(first, 5, activation="relu", name="conv2d_1"),
            layers.MaxPooling2D(2, name="max_pool_1"),
            layers.Conv2D(second, 3, padding="same", activation="relu", name="conv2d_2"),
            layers.AveragePooling2D(2, name="average_pool_2"),
            layers.Flatten(name="flatten"),
            layers.Dense(params["hidden_units"], activation="relu", name="dense_1"),
            layers.Dense(10, activation="softmax", name="dense_2"),
        ],
        name="fashion_cnn",
    )


def train(training: Dataset, params: dict[str, Any]) -> keras.Model:
    """Return the trained CNN without the optimizer's state, which would triple the size of its file."""
    keras.utils.set_random_seed(params["seed"])
    model = build_model(params)
    model.compile(keras.optimizers.Adam(params["learning_rate"]), loss="sparse_categorical_crossentropy")
    fit = {name: params[name] for name in ("batch_size", "epochs")}
    model.fit(training.images.astype(np.float32), training.labels, **fit, verbose=0)
    bare = build_model(params)
    bare.set_weights(model.get_weights())
    return bare


def calibration_images(training: Dataset, params: dict[str, Any]) -> np.ndarray:
    """Return some training images."""
    rng = np.random.default_rng(params["seed"])
    return training.images[np.sort(rng.choice(len(training.images), params["calibration_images"], replace=False))]


def fashion_classifier(folder: Path, stored: Path, params: dict[str, Any]) -> Classifier:
    """Return the CNN, trained if it is not stored yet, with its calibration images and the first test images."""
    training, test = load_fashion(folder)
    if not stored.is_file():
        model = train(training, params["fashion"])
        stored.parent.mkdir(parents=True, exist_ok=True)
        model.save(stored)
    calibration = calibration_images(training, params["fashion"])
    return Classifier(load_model(stored), first_images(test, params["images"]), calibration)

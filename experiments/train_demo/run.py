"""Train the CNN that ships with brian_snn on MNIST and store it with its digits in the package."""

from __future__ import annotations

import logging
import os
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from brian_snn.cli.experiment import note, script
from brian_snn.datasets import Dataset, load_images
from brian_snn.studies.subjects import data_path

HERE = Path(__file__).resolve().parent
PACKAGE_DATA = HERE.parents[1] / "brian_snn" / "data"
INPUT_SHAPE = (28, 28, 1)

logger = logging.getLogger("train_demo")


class AugmentedDigits(keras.utils.PyDataset):
    """Batches of randomly turned, zoomed and shifted digits, in a new order in every epoch."""

    def __init__(self, images: NDArray[np.float32], labels: NDArray[np.int64], params: dict[str, Any]) -> None:
        """Keep the digits; `params` are those of the experiment."""
        super().__init__()
        self.images, self.labels = images, labels
        self.batch_size, self.limits = params["batch_size"], params["augmentation"]
        self.rng = np.random.default_rng(params["seed"])
        self.order = self.rng.permutation(len(images))

    def __len__(self) -> int:
        """Return the number of batches; an incomplete last one is left out."""
        return len(self.images) // self.batch_size

    def __getitem__(self, index: int) -> tuple[Any, NDArray[np.int64]]:
        """Return one batch."""
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        transforms = random_transforms(len(chosen), self.limits, self.rng)
        images = keras.ops.image.affine_transform(self.images[chosen], transforms, fill_mode="constant")
        return images, self.labels[chosen]

    def on_epoch_end(self) -> None:
        """Draw a new order."""
        self.order = self.rng.permutation(len(self.images))


def random_transforms(n_images: int, limits: dict[str, float], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return affine maps from output to input pixels about the centre, (n_images, 8), as Keras takes them."""
    angle = np.deg2rad(rng.uniform(-1, 1, n_images) * limits["rotation_degrees"])
    zoom = 1 + rng.uniform(-1, 1, (2, n_images)) * limits["zoom"]
    shift = rng.uniform(-1, 1, (2, n_images)) * limits["shift_pixels"]
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[cos * zoom[0], -sin * zoom[1]], [sin * zoom[0], cos * zoom[1]]])
    centre = (INPUT_SHAPE[0] - 1) / 2
    offset = centre - centre * matrix.sum(axis=1) + shift
    zeros = np.zeros(n_images)
    rows = [matrix[0, 0], matrix[0, 1], offset[0], matrix[1, 0], matrix[1, 1], offset[1], zeros, zeros]
    return np.stack(rows, axis=1).astype(np.float32)


def build_model(params: dict[str, Any]) -> keras.Model:
    """Return the untrained CNN: batch norm before a ReLU and after one, both kinds of pooling."""
    first, second, third = params["filters"]
    inputs = keras.Input(INPUT_SHAPE, name="image")
    x = layers.Conv2D(first, 5, name="conv2d_1")(inputs)
    x = layers.BatchNormalization(name="batch_norm_1")(x)
    x = layers.ReLU(name="relu_1")(x)
    x = layers.MaxPooling2D(2, name="max_pool_1")(x)
    x = layers.Conv2D(second, 3, padding="same", activation="relu", name="conv2d_2")(x)
    x = layers.BatchNormalization(name="batch_norm_2")(x)
    x = layers.AveragePooling2D(2, name="average_pool_2")(x)
    x = layers.Conv2D(third, 3, name="conv2d_3")(x)
    x = layers.BatchNormalization(name="batch_norm_3")(x)
    x = layers.ReLU(name="relu_3")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(params["dropout"], name="dropout")(x)
    x = layers.Dense(params["hidden_units"], activation="relu", name="dense_1")(x)
    outputs = layers.Dense(10, activation="softmax", name="dense_2")(x)
    return keras.Model(inputs, outputs, name="demo_cnn")


def train(model: keras.Model, data: AugmentedDigits, params: dict[str, Any]) -> None:
    """Train with AdamW and a learning rate that falls to zero along a cosine."""
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, params["epochs"] * len(data), warmup_target=params["learning_rate"], warmup_steps=len(data)
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=params["weight_decay"])
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    log_epoch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logger.info("%d: %s", epoch + 1, logs))
    model.fit(data, epochs=params["epochs"], callbacks=[log_epoch], verbose=0)


def choose_digits(labels: NDArray[np.int64], per_class: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the positions of `per_class` random digits of each class, in random order."""
    chosen = [rng.choice(np.flatnonzero(labels == digit), per_class, replace=False) for digit in range(10)]
    return rng.permutation(np.concatenate(chosen))


def save_digits(test: Dataset, training: Dataset, params: dict[str, Any], path: Path) -> None:
    """Write test digits with labels and calibration digits as bytes."""
    rng = np.random.default_rng(params["seed"])
    tested = choose_digits(test.labels, params["test_per_class"], rng)
    calibrated = choose_digits(training.labels, params["calibration_per_class"], rng)
    np.savez_compressed(
        path,
        x_test=test.images[tested].astype(np.uint8),
        y_test=test.labels[tested].astype(np.uint8),
        x_norm=training.images[calibrated].astype(np.uint8),
    )


def save_model(model: keras.Model, params: dict[str, Any], path: Path) -> None:
    """Write the model without the optimizer's state, which would triple its size."""
    bare = build_model(params)
    bare.set_weights(model.get_weights())
    bare.save(path)


def load_mnist() -> tuple[Dataset, Dataset]:
    """Return the official training and test set, pixels 0 to 255."""
    paths = [data_path(f"mnist/{name}-images-idx3-ubyte.gz") for name in ("train", "t10k")]
    training, test = (load_images(path, INPUT_SHAPE, divide_by=1) for path in paths)
    return training, test


def count_errors(model: keras.Model, test: Dataset) -> int:
    """Return how many test images the model puts into the wrong class."""
    probabilities = model.predict(fractions(test), batch_size=1000, verbose=0)
    return int(np.count_nonzero(probabilities.argmax(axis=1) != test.labels))


def fractions(dataset: Dataset) -> NDArray[np.float32]:
    """Return pixels in [0, 1], as the model takes them."""
    return (dataset.images / 255).astype(np.float32)


def add_output(parser: ArgumentParser) -> None:
    """Add the option that says where the model goes."""
    parser.add_argument("--output", type=Path, default=PACKAGE_DATA, help="folder for the model and the digits")


def main() -> None:
    """Train, measure, store."""
    options = script(__doc__, Path(__file__), add_output)
    params = options.params
    tf.config.threading.set_intra_op_parallelism_threads(params["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(params["threads"])
    keras.utils.set_random_seed(params["seed"])

    training, test = load_mnist()
    save_digits(test, training, params["digits"], options.output / "demo_digits.npz")
    model = build_model(params)
    start = time.perf_counter()
    train(model, AugmentedDigits(fractions(training), training.labels, params), params)
    minutes = round((time.perf_counter() - start) / 60, 1)
    save_model(model, params, options.output / "demo_cnn.keras")

    wrong, total = count_errors(model, test), len(test.images)
    logger.info("test error %.2f %% (%d of %d) after %.1f minutes", 100 * wrong / total, wrong, total, minutes)
    record = {"test_errors": wrong, "test_images": total, "training_minutes": minutes}
    note(options, "training.json", record, "numpy", "keras", "tensorflow")


if __name__ == "__main__":
    main()

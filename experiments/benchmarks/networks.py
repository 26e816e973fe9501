"""The networks of the benchmarks: trained or random, converted, and written as every program reads them."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray
from peers.exchange import Layer, Workload, write_workload
from venvs import AbsentError

import brian_snn
from brian_snn.arrays import FloatArray
from brian_snn.datasets import Dataset, load_demo, load_images
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Projection
from brian_snn.network.synapses import n_synapses
from brian_snn.studies.s1 import prepare

DIGIT_SHAPE = (28, 28, 1)


@dataclass(frozen=True, eq=False)
class Case:
    """One network, the images to time it on, and how it is simulated.

    Parameters
    ----------
    name : str
    network : Network
    images : (n_images, *shape) float array
    labels : (n_images,) int array
        Empty where the network is no classifier.
    calibration : (n, *shape) float array
        The images that set the scales.
    steps : int
    reset : str
    ann_accuracy : float, or None
        Share of `images` that the trained network itself gets right.
    """

    name: str
    network: Network
    images: FloatArray
    labels: NDArray[np.int64]
    calibration: FloatArray
    steps: int
    reset: str
    ann_accuracy: float | None = None

    @property
    def size(self) -> dict[str, Any]:
        """Return the sizes of the network, for the results."""
        links = [p for p in self.network.projections if p.source != INPUT]
        return {
            "neurons": sum(p.size for p in self.network.populations),
            "synapses": sum(n_synapses(self.network, p) for p in links),
            "weight_bytes": sum(8 * p.weights.size for p in links if p.weights is not None),
            "images": len(self.images),
            "steps": self.steps,
            "ann_accuracy": self.ann_accuracy,
        }

    def write(self, folder: Path) -> None:
        """Write ``workload.npz`` for all programs, and ``network.npz`` for brian_snn."""
        self.network.save(folder / "network.npz")
        chain = [_layer(self.network, k) for k in range(len(self.network.populations))]
        workload = Workload(chain, self.images, self.labels, self.calibration, self.steps)
        write_workload(workload, folder / "workload.npz")


def _layer(network: Network, position: int) -> Layer:
    """Return one population and the projection onto it, for a network that is a chain."""
    population = network.populations[position]
    source = network.populations[position - 1].name if position else INPUT
    projections = network.into(population.name)
    if len(projections) != 1 or projections[0].source != source or _is_permuted(projections[0]):
        raise ValueError(f"population {population.name!r}: the peers take chains of layers only, without permutations.")
    geometry = projections[0].geometry
    bias = population.bias.reshape(-1, population.shape[-1])
    if np.any(bias != bias[0]):
        raise ValueError(
            f"population {population.name!r}: its bias differs within a channel; peers have one a channel."
        )
    shape = network.input_shape if source == INPUT else network[source].shape
    return Layer(
        map=geometry.kind,
        neurons=population.kind,
        input_shape=list(shape),
        output_shape=list(population.shape),
        kernel_size=list(geometry.kernel_size),
        strides=list(geometry.strides),
        padding=[list(pair) for pair in geometry.padding],
        weights=projections[0].weights,
        bias=bias[0] if population.kind != "max_pool" else None,
    )


def _is_permuted(projection: Projection) -> bool:
    return projection.source_index is not None or projection.target_index is not None


# --- building -------------------------------------------------------------------------------------------------------


def build_model(input_shape: tuple[int, ...], description: list[list[Any]]) -> keras.Model:
    """Return an untrained classifier of ten classes with He weights, from its list of layers."""
    inputs = x = keras.Input(input_shape)
    for kind, *numbers in [*description, ["flatten"]]:
        if kind == "conv":
            filters, size, stride, padding = numbers
            x = layers.Conv2D(filters, size, stride, padding, activation="relu", kernel_initializer="he_normal")(x)
        elif kind in ("dense", "flatten"):
            x = layers.Flatten()(x) if len(x.shape) > 2 else x
            if kind == "dense":
                x = layers.Dense(numbers[0], activation="relu", kernel_initializer="he_normal")(x)
        else:
            pool = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
            x = pool(numbers[0], 2)(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def trained_model(name: str, description: list[list[Any]], params: dict[str, Any], folder: Path) -> keras.Model:
    """Train a network on MNIST, or read the one that an earlier run trained with the same numbers.

    Raises
    ------
    AbsentError
        If the training digits are not there.
    """
    training = params["training"]
    key = json.dumps([description, training, params["seed"], keras.__version__])
    path = folder / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.keras"
    if path.exists():
        return keras.saving.load_model(path)
    digits = load_digits()
    keras.utils.set_random_seed(params["seed"])
    tf.config.experimental.enable_op_determinism()
    model = build_model(DIGIT_SHAPE, description)
    optimizer = keras.optimizers.Adam(training["learning_rate"])
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(digits.images, digits.labels, training["batch_size"], training["epochs"], verbose=0)
    folder.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return model


def load_digits() -> Dataset:
    """Return the 60,000 training digits of MNIST, pixels in [0, 1]."""
    path = data_folder() / "mnist" / "train-images-idx3-ubyte.gz"
    if not path.exists():
        raise AbsentError(f"{path} is not there; training needs MNIST's original files.")
    return load_images(path, DIGIT_SHAPE)


def data_folder() -> Path:
    """Return the folder of data that does not ship with the package."""
    name = os.environ.get("BRIAN_SNN_DATA", "")
    if not name:
        raise AbsentError("BRIAN_SNN_DATA is not set; it names the folder with MNIST and the weights of Inception-V3.")
    return Path(name)


def smooth_images(shape: tuple[int, ...], n_images: int, rng: np.random.Generator) -> FloatArray:
    """Return coloured blobs in [0, 1]: like photos, they have most of their power at low frequencies."""
    rows, columns = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :]
    decay = 1 / np.maximum(np.hypot(rows, columns), 1 / shape[0])
    noise = np.fft.rfft2(rng.normal(size=(n_images, *shape)), axes=(1, 2))
    images = np.fft.irfft2(noise * decay[None, :, :, None], s=shape[:2], axes=(1, 2))
    low, high = images.min(axis=(1, 2, 3), keepdims=True), images.max(axis=(1, 2, 3), keepdims=True)
    return np.asarray((images - low) / (high - low))


# --- cases ----------------------------------------------------------------------------------------------------------


def load_case(name: str, params: dict[str, Any], models: Path) -> Case:
    """Convert one of the networks of params.json.

    Raises
    ------
    AbsentError
        If it needs data that is not there.
    """
    description = params["networks"][name]
    n_images = params["images"] if "images" not in description else description["images"]
    if description["kind"] == "figure_s1":
        return _figure_s1(name, params)
    if description["kind"] == "random":
        return random_case(name, description["input_shape"], description["layers"], n_images, params)
    demo_path, test, calibration = load_demo()
    if description["kind"] == "demo":
        model = keras.saving.load_model(demo_path)
    else:
        model = trained_model(name, description["layers"], params, models)
    images, labels = test.images[:n_images], test.labels[:n_images]
    right = model.predict(images, verbose=0).argmax(axis=1) == labels
    network = brian_snn.convert(model, calibration.images, percentile=params["percentile"])
    settings = params["steps"], params["reset"], float(right.mean())
    return Case(name, network, images, labels, calibration.images, *settings)


def random_case(
    name: str, input_shape: list[int], description: list[list[Any]], n_images: int, params: dict[str, Any]
) -> Case:
    """Convert an untrained network: its He weights keep the activity of deep layers at that of the first."""
    keras.utils.set_random_seed(params["seed"])
    model = build_model(tuple(input_shape), description)
    rng = np.random.default_rng(params["seed"])
    # Too few images would leave the percentiles of small layers to chance.
    images = smooth_images(tuple(input_shape), max(n_images, 20), rng)
    network = brian_snn.convert(model, images, percentile=params["percentile"])
    none = np.zeros(0, np.int64)
    return Case(name, network, images[:n_images], none, images, params["steps"], params["reset"])


def _figure_s1(name: str, params: dict[str, Any]) -> Case:
    """Convert Inception-V3 up to the layer of Figure S1; the images are a photo, turned and mirrored."""
    weights, photos = data_folder() / "inception_v3_notop.weights.h5", data_folder() / "photos"
    photo = photos / params["networks"][name]["photo"]
    for path in (weights, photo):
        if not path.exists():
            raise AbsentError(f"{path} is not there.")
    subject = prepare(str(weights), photo, photos, params["percentile"])
    image = subject.image
    images = np.concatenate([image, image[:, :, ::-1], image[:, ::-1], image[:, ::-1, ::-1]])
    none = np.zeros(0, np.int64)
    return Case(name, subject.network, images, none, images, params["steps"], params["reset"])

"""The networks of the conformance test: as every simulator reads them, and as a network of brian_snn."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from peers.exchange import Layer, Workload, read_workload, write_workload
from venvs import AbsentError

from brian_snn.arrays import FloatArray
from brian_snn.conversion.fold import fold
from brian_snn.conversion.normalise import round_to_grid
from brian_snn.conversion_settings import AveragePooling
from brian_snn.datasets import load_demo, load_images
from brian_snn.frontends.layer_graph import LayerGraph, LayerNode
from brian_snn.network.network import Network
from brian_snn.network.records import LayerPath


def as_network(workload: Workload, average_pooling: AveragePooling) -> Network:
    """Return the network with the weights as they are, spiking in every layer of neurons; averages spike or do not."""
    image = LayerNode("image", "Input", LayerPath(()), "input", output_shape=workload.images.shape[1:])
    nodes = [image]

    def add(layer: Layer, operation: str, shape: tuple[int, ...], **parameters: Any) -> None:
        path = LayerPath((layer.name, operation))
        nodes.append(LayerNode(layer.name, layer.map, path, operation, parameters, (len(nodes) - 1,), shape))

    for layer in workload.layers:
        shape, window = tuple(layer.shape), {"strides": tuple(layer.strides), "padding": "valid"}
        if layer.map == "average_pool":
            add(layer, "average_pool", shape, pool_size=tuple(layer.size), **window)
            continue
        if layer.map == "dense":
            if len(nodes[-1].output_shape) > 1:
                add(layer, "reshape", (prod(nodes[-1].output_shape),))
            add(layer, "dense", shape, kernel=layer.weights, bias=layer.bias)
        else:
            add(layer, "conv2d", shape, kernel=layer.weights, bias=layer.bias, dilation=(1, 1), groups=1, **window)
        add(layer, "relu", shape, ceiling=None)
    return round_to_grid(fold(LayerGraph("conformance", tuple(nodes)), average_pooling), 2.0**-24)


def workload_of(name: str, params: dict[str, Any], results: Path) -> Workload:
    """Return a network and its images: as stored with the results, else made now and stored there."""
    path = results / f"{name}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_workload(digits_cnn(params["networks"][name]), path)
    return read_workload(path)


def digits_cnn(params: dict[str, Any]) -> Workload:
    """Train a CNN on MNIST, normalise it as the paper does, and round its weights to a grid.

    Raises
    ------
    AbsentError
        If BRIAN_SNN_DATA does not lead to MNIST.
    """
    import keras
    from keras import layers

    keras.utils.set_random_seed(params["seed"])
    images, labels = _mnist()
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(8, 5, 2, activation="relu", name="conv_1"),
            layers.AveragePooling2D(2, name="average"),
            layers.Conv2D(16, 3, activation="relu", name="conv_2"),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="dense_1"),
            layers.Dense(10, activation="relu", name="dense_2"),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, labels, batch_size=128, epochs=params["epochs"], verbose=0)
    _, test, calibration = load_demo()
    return _rounded(model, calibration.images, test.images[: params["images"]], params)


def _mnist() -> tuple[FloatArray, Any]:
    """Return the digits to train with, in [0, 1]."""
    folder = Path(os.environ.get("BRIAN_SNN_DATA", ""))
    path = folder / "mnist" / "train-images-idx3-ubyte.gz"
    if not path.is_file():
        raise AbsentError(f"{path} is not there; set BRIAN_SNN_DATA to the folder that has mnist/ in it.")
    digits = load_images(path, (28, 28, 1))
    return digits.images, digits.labels


def _rounded(model: Any, calibration: FloatArray, images: FloatArray, params: dict[str, Any]) -> Workload:
    """Return the layers of a model, each scaled by a percentile of its activations, weights on the grid."""
    import keras

    described, scale, grid = [], 1.0, params["grid"]
    for layer in model.layers:
        if not layer.weights and "pool" not in type(layer).__name__.lower():
            continue
        shape = list(layer.output.shape[1:])
        if not layer.weights:
            described.append(Layer(layer.name, "average_pool", shape, list(layer.pool_size), list(layer.strides)))
            continue
        activations = keras.Model(model.inputs, layer.output).predict(calibration, verbose=0)
        own = float(np.percentile(activations[activations > 0], params["percentile"]))
        weights, bias = (np.asarray(values, np.float64) for values in layer.get_weights())
        kind, window = ("conv2d", layer) if weights.ndim == 4 else ("dense", None)
        size, strides = ([], []) if window is None else (list(layer.kernel_size), list(layer.strides))
        numbers = (np.round(weights * scale / own / grid) * grid, np.round(bias / own / grid) * grid)
        described.append(Layer(layer.name, kind, shape, size, strides, *(n.astype(np.float32) for n in numbers)))
        scale = own
    # As many levels as a byte has, on the grid: every sum is exact in float32 too.
    shown = np.round(images * 256) / 256
    return Workload(described, shown.astype(np.float32), params["steps"])

"""LeNet-5, and a network whose weights are all of one size, as a straight-through estimator trains it."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers, ops

from brian_snn.datasets import Dataset
from brian_snn.studies.subjects import INPUT_SHAPE


def signs(latent: Any) -> Any:
    """Return the sign of each latent weight, over the square root of the inputs of a neuron."""
    size = float(np.prod(latent.shape[:-1])) ** -0.5
    return ops.where(latent >= 0, size, -size)


class _Binary:
    """A layer whose kernel is `signs` of its latent weights; gradients go to these as if it were they themselves."""

    @property
    def kernel(self) -> Any:
        latent = self._kernel  # type: ignore[attr-defined]
        return latent + ops.stop_gradient(signs(latent) - latent)


class BinaryConv2D(_Binary, layers.Conv2D):
    """A convolution with weights of two values."""


class BinaryDense(_Binary, layers.Dense):
    """A dense layer with weights of two values."""


def lenet(conv: type = layers.Conv2D, dense: type = layers.Dense) -> keras.Model:
    """Return LeNet-5 with ReLU and max pooling."""
    relu = {"activation": "relu"}
    stack = [
        conv(6, 5, padding="same", name="conv_1", **relu),
        layers.MaxPooling2D(name="pool_1"),
        conv(16, 5, name="conv_2", **relu),
        layers.MaxPooling2D(name="pool_2"),
        layers.Flatten(name="flatten"),
        dense(120, name="dense_1", **relu),
        dense(84, name="dense_2", **relu),
        dense(10, activation="softmax", name="dense_3"),
    ]
    return keras.Sequential([keras.Input(INPUT_SHAPE), *stack], name="lenet")


def binary_net(conv: type = layers.Conv2D, dense: type = layers.Dense) -> keras.Model:
    """Return convolutions with strides and two dense layers, each followed by a batch norm."""
    stack: list[keras.Layer] = []
    for k, (filters, width) in enumerate(((16, 5), (32, 3)), start=1):
        stack += [conv(filters, width, strides=2, use_bias=False, name=f"conv_{k}"), *_norm_and_relu(f"conv_{k}")]
    stack += [layers.Flatten(name="flatten"), dense(128, use_bias=False, name="dense_1"), *_norm_and_relu("dense_1")]
    stack += [dense(10, use_bias=False, name="dense_2"), layers.BatchNormalization(name="norm_dense_2")]
    stack += [layers.Softmax(name="softmax")]
    return keras.Sequential([keras.Input(INPUT_SHAPE), *stack], name="binary_net")


def _norm_and_relu(name: str) -> tuple[keras.Layer, keras.Layer]:
    return layers.BatchNormalization(name=f"norm_{name}"), layers.ReLU(name=f"relu_{name}")


def trained(name: str, training: Dataset, seed: int, params: dict[str, Any]) -> keras.Model:
    """Return a trained network of plain layers of Keras.

    Parameters
    ----------
    name : str
        ``lenet`` or ``binary_net``.
    training : Dataset
    seed : int
    params : dict
        Epochs by name, batch size and learning rate.
    """
    keras.utils.set_random_seed(seed)
    model = binary_net(BinaryConv2D, BinaryDense) if name == "binary_net" else lenet()
    epochs = params["epochs"][name]
    steps = epochs * -(-len(training.images) // params["batch_size"])
    schedule = keras.optimizers.schedules.CosineDecay(params["learning_rate"], steps)
    model.compile(keras.optimizers.Adam(schedule), loss="sparse_categorical_crossentropy")
    images = training.images.astype(np.float32)
    model.fit(images, training.labels, batch_size=params["batch_size"], epochs=epochs, verbose=0)
    plain = binary_net() if name == "binary_net" else lenet()
    for layer, own in zip(plain.layers, model.layers, strict=True):
        weights = own.get_weights()
        if isinstance(own, _Binary):
            weights[0] = np.asarray(signs(weights[0]))
        layer.set_weights(weights)
    return plain

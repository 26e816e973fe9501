"""What the output of a network means, and the activation that its readout leaves off."""

from __future__ import annotations

import numpy as np

from brian_snn.answers import Answer
from brian_snn.arrays import FloatArray
from brian_snn.errors import DataError
from brian_snn.network.network import Network


def answer_of(network: Network) -> Answer:
    """Return what the output of a network means.

    Several linear or tanh units are taken for the logits of classes, as many classifiers end in them; one of them, or
    one channel, is a number.
    """
    kind, shape = network.output_activation, network.output.shape
    if network.heads:
        # Each of several outputs has answers of its own: `Result.heads`.
        return Answer("numbers", (sum(population.size for population in network.outputs),))
    return answer_to(kind, shape)


def answer_to(kind: str, shape: tuple[int, ...]) -> Answer:
    """Return what an output means that is put through an activation."""
    if kind == "hidden" or (kind != "sigmoid" and shape[-1] == 1):
        return Answer("numbers", shape)
    return Answer("yes_no" if kind == "sigmoid" else "classes", shape)


def activate(network: Network, logits: FloatArray) -> FloatArray:
    """Apply the activation that the network's readout leaves off to its logits, (n_images, *output shape).

    No exponential overflows: a softmax is taken of the distances from the largest logit, a sigmoid as a tanh.

    Raises
    ------
    DataError
        If the network was loaded from a file that does not say which activation that is.
    """
    return activated(network.output_activation, logits)


def activated(kind: str, logits: FloatArray) -> FloatArray:
    """Apply an activation to logits, (n_images, *output shape); the errors are those of `activate`."""
    if kind == "unknown":
        raise DataError(
            "the network's file is of an older format, which does not say what activation its logits go through; "
            "convert the model again."
        )
    if kind in ("softmax", "log_softmax"):
        below = logits - logits.max(axis=-1, keepdims=True)
        logarithms = below - np.log(np.exp(below).sum(axis=-1, keepdims=True))
        return logarithms if kind == "log_softmax" else np.exp(logarithms)
    if kind == "sigmoid":
        return _sigmoid(logits)
    return np.tanh(logits) if kind == "tanh" else logits


def _sigmoid(logits: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(-x)), the small ones with all their digits."""
    power = np.exp(-np.abs(logits))
    return np.where(logits < 0, power, 1.0) / (1.0 + power)

"""Readers of activations: functions of Keras and TensorFlow, and layers."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from brian_snn.errors import ModelError, no_rate_coded_form, value_jumps
from brian_snn.frontends.keras.values import Operations, Reader, Shape, numbers, plain
from brian_snn.network.records import OUTPUT_ACTIVATIONS

#: Of Keras' and TensorFlow's function, where it is named without one.
_DEFAULT_SLOPE = 0.2


def activation_of(function: Any, input_shapes: list[Shape], label: str) -> Operations:
    """Return the operation of an activation: a function of Keras or TensorFlow, or a layer."""
    from keras import activations, ops

    if hasattr(function, "get_config"):
        kind = type(function)
        if kind.__name__ not in ACTIVATIONS or not kind.__module__.startswith("keras."):
            raise no_rate_coded_form(label, kind.__name__)
        return ACTIVATIONS[kind.__name__](function, input_shapes, label)
    known: dict[Any, Operations] = {activations.linear: []}
    # Who has a function of TensorFlow has imported it.
    tensorflow = sys.modules.get("tensorflow")
    for module in (activations, ops, *([tensorflow.nn] if tensorflow else [])):
        known[module.relu] = [("relu", {"ceiling": None})]
        known[module.relu6] = [("relu", {"ceiling": 6.0})]
        known[module.leaky_relu] = [("leaky", {"slope": np.asarray(_DEFAULT_SLOPE)})]
        known |= {getattr(module, name): [(name, {})] for name in OUTPUT_ACTIVATIONS}
    if function is None:
        return []
    if function not in known:
        name = getattr(function, "__name__", repr(function))
        raise no_rate_coded_form(label, name)
    return known[function]


def has_output_activation(layer: Any, output_shape: Shape) -> bool:
    """Whether a layer that can be read is, or ends in, an activation that a readout leaves off."""
    if type(layer).__name__ in _OUTPUT_ACTIVATION_CLASSES:
        return True
    operations = activation_of(getattr(layer, "activation", None), [output_shape], "")
    return any(name in OUTPUT_ACTIVATIONS for name, _ in operations)


def _read_activation(layer: Any, shapes: list[Shape], label: str) -> Operations:
    return activation_of(layer.activation, shapes, label) or [("identity", {})]


def _read_relu(layer: Any, shapes: list[Shape], label: str) -> Operations:
    """Return a ReLU, with a ceiling, a slope below zero, or both."""
    slope, threshold = float(np.max(layer.negative_slope)), float(np.max(layer.threshold))
    if threshold:
        raise value_jumps(label, threshold)
    ceiling = None if layer.max_value is None else float(layer.max_value)
    if slope:
        return [("leaky", {"slope": np.asarray(slope), "ceiling": ceiling})]
    return [("relu", {"ceiling": ceiling})]


def _read_leaky(layer: Any, shapes: list[Shape], label: str) -> Operations:
    """Return a leaky ReLU: its slopes below zero are a number, or an array of a PReLU."""
    slope = np.asarray(layer.negative_slope) if hasattr(layer, "negative_slope") else numbers(layer.alpha)
    return [("leaky", {"slope": np.asarray(slope, np.float64)})]


def _read_levels(layer: Any, shapes: list[Shape], label: str) -> Operations:
    """Return a clipped ReLU that takes some levels only."""
    threshold = float(numbers(layer.threshold))
    if not threshold > 0:
        raise ModelError(f"{label}: its threshold is {threshold:g}; a positive number was expected.")
    return [("relu", {"ceiling": threshold, "levels": layer.levels})]


def _over_the_last_axis(operation: str) -> Reader:
    def read(layer: Any, shapes: list[Shape], label: str) -> Operations:
        """Return a softmax or its logarithm, unless it is taken over another axis."""
        if layer.axis not in (-1, len(shapes[0])):
            raise ModelError(f"{label}: its axis is {layer.axis}; only a softmax over the last axis can be left out.")
        return [(operation, {})]

    return read


_OUTPUT_ACTIVATION_CLASSES = ("Softmax", "LogSoftmax", "Sigmoid", "Tanh")

#: Readers of layers.
ACTIVATIONS: dict[str, Reader] = {
    "Activation": _read_activation,
    "ReLU": _read_relu,
    "LeakyReLU": _read_leaky,
    "PReLU": _read_leaky,
    "Softmax": _over_the_last_axis("softmax"),
    "ClipFloorShift": _read_levels,
}

#: Readers of functions.
FUNCTIONS: dict[str, Reader] = {
    "Relu": plain("relu", ceiling=None),
    "Relu6": plain("relu", ceiling=6.0),
    "ReLU": _read_relu,
    "Softmax": _over_the_last_axis("softmax"),
    "LogSoftmax": _over_the_last_axis("log_softmax"),
    "Sigmoid": plain("sigmoid"),
    "Tanh": plain("tanh"),
}

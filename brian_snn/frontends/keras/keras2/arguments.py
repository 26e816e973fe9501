"""What a layer of Keras 3 is called with, from the configuration that Keras 2 wrote of it."""

from __future__ import annotations

import inspect
from typing import Any

from brian_snn.errors import ModelError
from brian_snn.frontends.keras.layers import IDENTITIES

# Without effect in a trained model, or read elsewhere.
_IGNORED = (
    "batch_input_shape",
    "input_shape",
    "input_dtype",
    "implementation",
    "renorm_clipping",
    "renorm_momentum",
    "autocast",
)
# What Keras 2 wrote for every kind of convolution, whether the layer had a use for it or not.
_INHERITED = {"DepthwiseConv2D": ("filters", "groups")}
# Values that say nothing, of arguments that a layer of Keras 3 may not have.
_NEUTRAL: dict[str, Any] = {"groups": 1}
_RENAMED = {"LeakyReLU": {"alpha": "negative_slope"}}
_ACTIVATIONS = {"softmax_v2": "softmax"}


def new_layer(keras: Any, class_name: str, config: dict[str, Any], label: str) -> Any:
    """Return a layer of Keras 3.

    Parameters
    ----------
    keras : module
        Keras 3.
    class_name, config
        As a file of Keras 2 has them, in the form of `plain`; the class is one that can be converted.
    label : str
        The layer, for error messages.

    Raises
    ------
    ModelError
        If the layer has an argument that means something and that Keras 3 does not know.
    """
    if class_name in IDENTITIES:
        # What is random in training does nothing in a trained model, and its arguments have changed often.
        return keras.layers.Identity(name=config["name"])
    if class_name == "TimeDistributed":
        inner = config["layer"]
        layer = new_layer(keras, inner["class_name"], {"name": config["name"], **inner["config"]}, label)
        return keras.layers.TimeDistributed(layer, name=config["name"])
    kind = getattr(keras.layers, class_name)
    given = _given(class_name, config)
    known = {*inspect.signature(kind.__init__).parameters, "name", "dtype", "trainable"}
    for key in [key for key in given if key not in known]:
        if given[key] not in (None, False, _NEUTRAL.get(key)):
            raise ModelError(
                f"{label}: its argument {key}={given[key]!r} is unknown in Keras 3; write the layer without it."
            )
        del given[key]
    if "activation" in given:
        given["activation"] = _activation(keras, given["activation"], label)
    return kind(**given)


def _given(class_name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments under the names of Keras 3."""
    dropped, renamed = (*_IGNORED, *_INHERITED.get(class_name, ())), _RENAMED.get(class_name, {})
    given = {renamed.get(key, key): value for key, value in config.items() if key not in dropped}
    # A batch norm had a list of axes, of which there was never more than one.
    axis = given.get("axis")
    if class_name in ("BatchNormalization", "Softmax") and isinstance(axis, list) and len(axis) == 1:
        given["axis"] = axis[0]
    return given


def _activation(keras: Any, activation: Any, label: str) -> Any:
    """Return an activation, which may be the name of a function of Keras or a layer."""
    if isinstance(activation, dict):
        class_name, config = activation["class_name"], {"name": "activation", **activation["config"]}
        return new_layer(keras, class_name, config, label)
    if activation is None:
        return None
    try:
        return keras.activations.get(_ACTIVATIONS.get(activation, activation))
    except (ValueError, TypeError) as error:
        raise ModelError(
            f"{label}: its activation {activation!r} is a function outside Keras, which is no part of the file; build "
            "the model with one of keras.activations and save it again."
        ) from error

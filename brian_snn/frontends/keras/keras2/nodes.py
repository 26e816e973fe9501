"""Nodes of TensorFlow's graph between the layers of a Keras 2 model, as calls of the functions in `functions`.

TensorFlow 1.14 to 2.3 wrote ``x / 255`` as a layer TensorFlowOpLayer: a node, and the numbers among its inputs.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from brian_snn.errors import ModelError

CLASS = "TensorFlowOpLayer"

_OF_TWO = {
    "Add": "math.add",
    "AddV2": "math.add",
    "Sub": "math.subtract",
    "Mul": "math.multiply",
    "RealDiv": "math.truediv",
    "Maximum": "math.maximum",
}
_OF_ONE = {
    "Neg": "math.negative",
    "Identity": "identity",
    "Relu": "nn.relu",
    "Relu6": "nn.relu6",
    "Softmax": "nn.softmax",
    "Sigmoid": "math.sigmoid",
    "Tanh": "math.tanh",
}
#: The argument that is the second input.
_SECOND = {"BiasAdd": "bias", "Mean": "axis", "Reshape": "shape", "Transpose": "perm"}
_FUNCTIONS = {"BiasAdd": "nn.bias_add", "Mean": "math.reduce_mean", "Reshape": "reshape", "Transpose": "transpose"}


def as_call(config: dict[str, Any], first: Any, label: str) -> tuple[str, Any, dict[str, Any]]:
    """Return the function that a node stands for, its first argument, and the others.

    Parameters
    ----------
    config : dict
        Of the layer.
    first
        The tensor that it takes, or the list of those.
    label : str
        The layer, for error messages.

    Raises
    ------
    ModelError
        If the node is of no known kind.
    """
    node = config["node_def"]
    node = json.loads(node) if isinstance(node, str) else node
    kind, inputs = str(node.get("op")), _inputs(first, config.get("constants") or {})
    if kind in _OF_ONE and len(inputs) == 1:
        return _OF_ONE[kind], inputs[0], {}
    if kind in _OF_TWO and len(inputs) == 2:
        return _OF_TWO[kind], inputs[0], {"y": inputs[1]}
    if kind == "ConcatV2" and len(inputs) > 2:
        return "concat", inputs[:-1], {"axis": inputs[-1]}
    if kind in _SECOND and len(inputs) == 2:
        return _FUNCTIONS[kind], inputs[0], {_SECOND[kind]: inputs[1], **_attributes(node)}
    raise ModelError(
        f"{label}: the node {kind!r} is never run, and there is no layer of Keras that is known to do the same; write "
        "it with Keras layers and save the model again."
    )


def _inputs(first: Any, constants: dict[str, Any]) -> list[Any]:
    """Return tensors and numbers in the order in which the node takes them."""
    inputs = list(first) if isinstance(first, list) else [first]
    for position in sorted(constants, key=int):
        inputs.insert(int(position), constants[position])
    return inputs


def _attributes(node: dict[str, Any]) -> dict[str, Any]:
    """Return what else is said of a node, under the names of arguments."""
    attributes = node.get("attr") or {}
    found: dict[str, Any] = {}
    if attributes.get("keep_dims", {}).get("b"):
        found["keepdims"] = True
    if "s" in attributes.get("data_format", {}):
        found["data_format"] = base64.b64decode(attributes["data_format"]["s"]).decode()
    return found

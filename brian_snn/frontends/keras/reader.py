"""Read a Keras model into neutral records, `brian_snn.frontends.layer_graph`.

The modules of this package are the only ones that import Keras, and only when they are called.
"""

from __future__ import annotations

from typing import Any

from brian_snn.errors import ModelError
from brian_snn.frontends.keras.files import import_keras
from brian_snn.frontends.keras.layers import read_layer
from brian_snn.frontends.keras.values import Operations
from brian_snn.frontends.keras.walk import Part, Step, inputs_of, walk
from brian_snn.frontends.layer_graph import LayerGraph, LayerNode
from brian_snn.frontends.table import convertible


def read_layers(model: Any) -> LayerGraph:
    """Read a Keras model.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential; nested models are laid open. It is not changed.

    Returns
    -------
    graph : LayerGraph
        Its layers as records of numbers and arrays. What cannot be converted is a node that carries its error.

    Raises
    ------
    ModelError
        If the model as a whole cannot be read.
    """
    import_keras()
    steps, outputs = walk(model)
    nodes = [LayerNode("input", "InputLayer", steps[0].path, "input", output_shape=steps[0].output_shape)]
    last_node = [0]
    for step in steps[1:]:
        inputs = tuple(last_node[i] for i in step.inputs)
        try:
            nodes += _nodes_of(step, _operations(steps, step), inputs, len(nodes))
        except ModelError as error:
            kind = type(step.layer).__name__
            nodes.append(
                LayerNode(step.layer.name, kind, step.path, "unreadable", {}, inputs, step.output_shape, error)
            )
        last_node.append(len(nodes) - 1)
    several = inputs_of(model) if len(model.inputs) > 1 else ()
    return LayerGraph(model.name, tuple(nodes), outputs=tuple(last_node[i] for i in outputs), inputs=several)


def read_model(model: Any, until: str | None = None) -> LayerGraph:
    """Read a Keras model, or what a layer of it needs, all of which can be converted.

    Parameters
    ----------
    model : keras.Model
        As for `read_layers`.
    until : str, optional
        The layer at which to stop: see `brian_snn.frontends.until.cut`.

    Raises
    ------
    ModelError
        If a layer or the model cannot be converted, or is too large; the message names the layer and its class.
    """
    return convertible(read_layers(model), until)


def _operations(steps: list[Step], step: Step) -> Operations:
    """Return what one call of a layer does; `steps` holds its inputs."""
    if isinstance(step.layer, Part):
        return step.layer.operations()
    label = f"layer {str(step.path)!r} ({type(step.layer).__name__})"
    return read_layer(step.layer, [steps[i].output_shape for i in step.inputs], label)


def _nodes_of(step: Step, operations: Operations, inputs: tuple[int, ...], first: int) -> list[LayerNode]:
    """Return the records of one call of a layer; each reads the one before it."""
    name, class_name = step.layer.name, type(step.layer).__name__
    nodes = []
    for k, (operation, parameters) in enumerate(operations):
        given = {key: value for key, value in parameters.items() if key != "output_shape"}
        shape = parameters.get("output_shape", step.output_shape)
        inputs = (first + k - 1,) if k else inputs
        nodes.append(LayerNode(name, class_name, step.path, operation, given, inputs, shape))
    return nodes

"""Read a Keras model into neutral records, `brian_snn.conversion.layer_graph`.

This module and its siblings ``keras_*`` are the only ones that import Keras, and only when they are called.
"""

from __future__ import annotations

from typing import Any

from brian_snn.conversion.keras_files import import_keras, load_model
from brian_snn.conversion.keras_layers import read_layer
from brian_snn.conversion.keras_reference import check_against_keras, reference_activations
from brian_snn.conversion.keras_walk import Step, walk
from brian_snn.conversion.layer_graph import LayerGraph, LayerNode

__all__ = ["check_against_keras", "load_model", "read_model", "reference_activations"]


def read_model(model: Any) -> LayerGraph:
    """Read a Keras model.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential, with one input and one output; nested models are laid open. It is not changed.

    Returns
    -------
    graph : LayerGraph
        Its layers as records of numbers and arrays.

    Raises
    ------
    ModelError
        If a layer or the model cannot be converted; the message names the layer and its class.
    """
    import_keras()
    steps = walk(model)
    nodes = [LayerNode("input", "InputLayer", steps[0].path, "input", output_shape=steps[0].output_shape)]
    last_node = [0]
    for step in steps[1:]:
        inputs = tuple(last_node[i] for i in step.inputs)
        for node in _nodes_of(step, [steps[i].output_shape for i in step.inputs], inputs, len(nodes)):
            nodes.append(node)
        last_node.append(len(nodes) - 1)
    return LayerGraph(model.name, tuple(nodes))


def _nodes_of(step: Step, input_shapes: list[tuple[int, ...]], inputs: tuple[int, ...], first: int) -> list[LayerNode]:
    """Return the records of one call of a layer; each reads the one before it."""
    class_name = type(step.layer).__name__
    operations = read_layer(step.layer, input_shapes, f"layer {step.path!r} ({class_name})")
    return [
        LayerNode(
            step.layer.name, class_name, step.path, operation, parameters, (first + k - 1,) if k else inputs,
            step.output_shape,
        )
        for k, (operation, parameters) in enumerate(operations)
    ]

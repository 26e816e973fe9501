"""Fold a model into populations and projections: batch norms, paddings and reshapings vanish into the weights.

Every tensor of the model is an affine function of the populations before it (`brian_snn.conversion.affine`). A layer
turns such values into another one; only a ReLU, a pooling and the output make neurons. Nothing is approximated: the
folded network computes what the model computes, or the layer that stands in the way is named in an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.conversion.affine import (
    LinearTerm,
    NoOneMapError,
    Value,
    as_image,
    combine,
    dilated,
    positions,
    reindex,
    scale_shift,
    total,
    whole_population,
)
from brian_snn.conversion.composing import compose_dense, compose_window
from brian_snn.conversion.drafting import Draft, Folding, finish, population_terms, rectify
from brian_snn.conversion.pooling import fold_average_pool, fold_max_pool
from brian_snn.conversion.projecting import project_dense, project_window, window_geometry
from brian_snn.conversion.signed import as_difference, fold_leaky
from brian_snn.conversion.upsampling import fold_upsample
from brian_snn.conversion_settings import AveragePooling
from brian_snn.errors import ModelError, no_rate_coded_form
from brian_snn.frontends.layer_graph import LayerGraph, LayerNode
from brian_snn.network.maps import apply_map
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, OUTPUT_ACTIVATIONS, Geometry, GeometryKind


def fold(graph: LayerGraph, average_pooling: AveragePooling = "spiking") -> Network:
    """Fold a model into a network of populations with a scale of 1.

    Parameters
    ----------
    graph : LayerGraph
        The model, read by a front end, see `brian_snn.frontends.table.convertible`.

    average_pooling : str
        ``spiking``: a population of its own; ``linear``: a part of the next map.

    Returns
    -------
    network : Network
        Populations in topological order, the output last; not yet normalised or rounded.

    Raises
    ------
    ModelError
        If a layer cannot be expressed; the message names it.
    """
    folding = Folding(graph, average_pooling == "linear")
    for position, node in enumerate(graph.nodes):
        value = _folded(folding, position)
        if value.shape != node.output_shape:
            raise ModelError(
                f"{node.label}: its output has shape {value.shape} when folded, {node.output_shape} in the model."
            )
        # An activation of the output is left out, so the tensor before it stays the reference.
        unchanged = node.operation in (*OUTPUT_ACTIVATIONS, "identity")
        folding.values.append(value if unchanged else replace(value, reference=(node.path,)))
    return finish(folding)


def _folded(folding: Folding, position: int) -> Value:
    """Return the output of a node; where its map and that before it are not one, what is between them spikes."""
    node = folding.graph.nodes[position]
    try:
        return _OPERATIONS[node.operation](folding, position)
    except NoOneMapError:
        linear = [i for i in node.inputs if not folding.values[i].is_view]
        for i in linear:
            folding.values[i] = replace(
                as_difference(folding, i, folding.values[i]), reference=folding.values[i].reference
            )
        return _OPERATIONS[node.operation](folding, position)


def _fold_input(folding: Folding, position: int) -> Value:
    shape = folding.graph.nodes[position].output_shape
    return Value(shape, (whole_population(INPUT, shape),))


def _fold_identity(folding: Folding, position: int) -> Value:
    return folding.inputs(position)[0]


def _fold_output_activation(folding: Folding, position: int) -> Value:
    """Leave out an activation at the end, and note it: it says what the logits mean."""
    node = folding.graph.nodes[position]
    if not all(_commute(node, folding.graph.nodes[later]) for later in folding.graph.readers(position)):
        if node.operation == "softmax":
            raise ModelError(
                f"{node.label}: a softmax is converted at the end of a model only; replace it by a ReLU and retrain."
            )
        raise no_rate_coded_form(node.label, node.operation)
    folding.activations[position] = node.operation
    return folding.inputs(position)[0]


def _commute(activation: LayerNode, later: LayerNode) -> bool:
    """Whether an activation of the output may as well be applied after a later operation."""
    if later.operation == "identity":
        return True
    if activation.operation in ("sigmoid", "tanh"):
        return later.operation in ("reshape", "permute", "crop")
    return later.operation == "reshape" and later.output_shape[-1] == activation.output_shape[-1]


def _fold_relu(folding: Folding, position: int) -> Value:
    parameters = folding.graph.nodes[position].parameters
    return rectify(folding, position, folding.inputs(position)[0], parameters["ceiling"], parameters.get("levels"))


def _fold_neurons(folding: Folding, position: int) -> Value:
    """Fold neurons that are there whatever reaches them: no two are one, as two ReLUs in a row are."""
    node, (value,) = folding.graph.nodes[position], folding.inputs(position)
    terms, name = population_terms(value), folding.unique_name(node.name)
    made = (name, node.parameters["kind"], value.shape, terms, value.bias, None, None, (), position)
    return folding.add(Draft(*made, leak=node.parameters["leak"], threshold=node.parameters["threshold"]))


# --- linear maps ----------------------------------------------------------------------------------------------------


def _fold_dense(folding: Folding, position: int) -> Value:
    """Fold a dense layer; on more than one axis it is a 1x1 convolution."""
    node, (value,) = folding.graph.nodes[position], folding.inputs(position)
    kernel = node.parameters["kernel"]
    if len(value.shape) == 1:
        terms = tuple(
            compose_dense(term, kernel, node.label, value.linear_layer)
            if isinstance(term, LinearTerm)
            else project_dense(term, kernel)
            for term in value.terms
        )
        bias = None if value.bias is None else value.bias @ kernel
        return _linear_value(node, terms, bias)
    rows = int(np.prod(value.shape[:-1]))
    as_image = _reshaped(value, (rows, 1, value.shape[-1]), node.label)
    convolved = _convolved(
        node, as_image, Geometry("conv2d", as_image.shape, (rows, 1, kernel.shape[1])), kernel[None, None]
    )
    return _reshaped(convolved, node.output_shape, node.label)


def _fold_convolution(folding: Folding, position: int) -> Value:
    """Fold a convolution or depthwise convolution; one along a single axis has one column."""
    node, (value,) = folding.graph.nodes[position], folding.inputs(position)
    image, kernel = as_image(value, node.label), node.parameters["kernel"]
    n_out = kernel.shape[3] if node.operation == "conv2d" else kernel.shape[2] * kernel.shape[3]
    kind: GeometryKind = "conv2d" if node.operation == "conv2d" else "depthwise"
    convolved = _convolved(node, image, window_geometry(node, kind, image.shape, n_out), kernel)
    return convolved if image is value else _reshaped(convolved, node.output_shape, node.label)


def _convolved(node: LayerNode, value: Value, geometry: Geometry, kernel: FloatArray) -> Value:
    """Apply a kernel to every term and to the bias."""
    terms = tuple(
        compose_window(term, geometry, kernel, node.label, value.linear_layer)
        if isinstance(term, LinearTerm)
        else project_window(term, geometry, kernel, node.label)
        for term in value.terms
    )
    bias = None if value.bias is None else apply_map(geometry, kernel, value.bias[None])[0]
    return _linear_value(node, terms, bias, geometry.output_shape)


def _linear_value(
    node: LayerNode,
    terms: tuple[LinearTerm | None, ...],
    bias: FloatArray | None,
    shape: tuple[int, ...] | None = None,
) -> Value:
    """Return the output of a layer with weights: its terms, what the input's bias becomes, and its own bias."""
    shape = node.output_shape if shape is None else shape
    own = node.parameters["bias"]
    if own is not None and np.any(own):
        bias = combine(bias, np.broadcast_to(own, shape))
    kept = tuple(term for term in terms if term is not None)
    return Value(shape, kept, bias, node.name, linear_layer=node.label)


def _fold_affine(folding: Folding, position: int) -> Value:
    node, (value,) = folding.graph.nodes[position], folding.inputs(position)
    if position in folding.done:
        return value
    scaled = scale_shift(value, node.parameters["gain"], node.parameters["shift"], node.label)
    return replace(scaled, name=node.name if value.name is None else value.name)


def _fold_add(folding: Folding, position: int) -> Value:
    node, values = folding.graph.nodes[position], folding.inputs(position)
    if any(value.shape != node.output_shape for value in values):
        raise ModelError(
            f"{node.label}: its inputs have shapes {[value.shape for value in values]}; only tensors of one shape can "
            "be added."
        )
    zero = np.zeros(())
    scaled = [
        scale_shift(value, np.asarray(coefficient), zero, node.label)
        for value, coefficient in zip(values, node.parameters["coefficients"], strict=True)
    ]
    return _sum(node, scaled, node.name)


def _sum(node: LayerNode, values: list[Value], name: str | None) -> Value:
    """Return the sum of values of the same shape."""
    terms, bias = total(values)
    linear = next((value.linear_layer for value in values if not value.is_view), "")
    scaling = next((value.scaling_layer for value in values if value.scaling_layer), "")
    return Value(node.output_shape, terms, bias, name, linear_layer=linear, scaling_layer=scaling)


# --- moving elements ------------------------------------------------------------------------------------------------


def _reshaped(value: Value, shape: tuple[int, ...], label: str) -> Value:
    return reindex(value, positions(value.shape).reshape(shape), label)


def _fold_reshape(folding: Folding, position: int) -> Value:
    node = folding.graph.nodes[position]
    return _reshaped(folding.inputs(position)[0], node.output_shape, node.label)


def _fold_permute(folding: Folding, position: int) -> Value:
    node, (value,) = folding.graph.nodes[position], folding.inputs(position)
    return reindex(value, positions(value.shape).transpose(node.parameters["axes"]), node.label)


def _fold_flip(folding: Folding, position: int) -> Value:
    node, (value,) = folding.graph.nodes[position], folding.inputs(position)
    return reindex(value, np.flip(positions(value.shape), node.parameters["axes"]), node.label)


def _fold_pad(folding: Folding, position: int) -> Value:
    node, (value,) = folding.graph.nodes[position], folding.inputs(position)
    margins = node.parameters["margins"]
    return reindex(value, np.pad(positions(value.shape), margins, constant_values=-1), node.label)


def _fold_crop(folding: Folding, position: int) -> Value:
    node, (value,) = folding.graph.nodes[position], folding.inputs(position)
    margins = zip(value.shape, node.parameters["margins"], strict=True)
    kept = tuple(slice(before, length - after) for length, (before, after) in margins)
    return reindex(value, positions(value.shape)[kept], node.label)


def _fold_dilate(folding: Folding, position: int) -> Value:
    node, (value,) = folding.graph.nodes[position], folding.inputs(position)
    return reindex(value, dilated(positions(value.shape), node.parameters["factors"]), node.label)


def _fold_take(folding: Folding, position: int) -> Value:
    node, (value,) = folding.graph.nodes[position], folding.inputs(position)
    order, axis = node.parameters["order"], node.parameters["axis"]
    return reindex(value, np.take(positions(value.shape), order, axis), node.label)


def _fold_concatenate(folding: Folding, position: int) -> Value:
    """Fold a concatenation: each input is padded with zeros to the whole, and they are added."""
    node, values = folding.graph.nodes[position], folding.inputs(position)
    axis, start, embedded = node.parameters["axis"], 0, []
    for value in values:
        margins = [(0, 0)] * len(value.shape)
        stop = start + value.shape[axis]
        margins[axis] = (start, node.output_shape[axis] - stop)
        embedded.append(reindex(value, np.pad(positions(value.shape), margins, constant_values=-1), node.label))
        start = stop
    return _sum(node, embedded, node.name if any(value.name is not None for value in values) else None)


_OPERATIONS: dict[str, Callable[[Folding, int], Value]] = {
    "input": _fold_input,
    "identity": _fold_identity,
    **dict.fromkeys(OUTPUT_ACTIVATIONS, _fold_output_activation),
    "relu": _fold_relu,
    "neurons": _fold_neurons,
    "leaky": fold_leaky,
    "dense": _fold_dense,
    "conv2d": _fold_convolution,
    "depthwise": _fold_convolution,
    "affine": _fold_affine,
    "add": _fold_add,
    "reshape": _fold_reshape,
    "permute": _fold_permute,
    "flip": _fold_flip,
    "pad": _fold_pad,
    "crop": _fold_crop,
    "dilate": _fold_dilate,
    "take": _fold_take,
    "concatenate": _fold_concatenate,
    "max_pool": fold_max_pool,
    "average_pool": fold_average_pool,
    "upsample": fold_upsample,
}

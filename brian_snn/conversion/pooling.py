"""Pooling layers: maximum units, and spiking averages.

A batch norm before the pooling commutes with it: the population pools what the neurons say, and gain and shift are
carried on to the next layer. For a maximum the gain must not be negative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.conversion.affine import (
    LinearTerm,
    Term,
    Value,
    View,
    as_image,
    channel_bias,
    channel_gain,
    positions,
    reindex,
    scale_shift,
)
from brian_snn.conversion.composing import compose_average, compose_mean
from brian_snn.conversion.drafting import Draft, Folding, population_terms, rectify
from brian_snn.conversion.projecting import project_window, window_geometry
from brian_snn.conversion.signed import as_difference, largest_of_windows
from brian_snn.frontends.layer_graph import LayerNode
from brian_snn.network.maps import apply_map
from brian_snn.network.records import INPUT, Geometry, LayerPath, PopulationKind

# Operations after which a ReLU does what it does before them.
_COMMUTES = ("identity", "reshape", "permute", "pad", "crop", "dilate", "take", "flip", "concatenate", "max_pool")


def fold_max_pool(folding: Folding, position: int) -> Value:
    """Fold a max pooling layer."""
    node, (value,) = folding.graph.nodes[position], folding.inputs(position)
    if node.parameters["pool_size"] == (1, 1) and not value.is_view:
        return _subsampled(as_image(value, node.label), node)
    reference: tuple[LayerPath, ...] = ()
    if can_be_rectified_first(folding, position, value):
        value, reference = rectified_first(folding, position, value)
    elif not value.is_view:
        value = as_difference(folding, position, value)
    of_image = any(view.source == INPUT for view in value.views)
    if value.overlaps and value.is_nonnegative:
        value = _summed(folding, position, value)
    value = as_image(value, node.label)
    gain, bias = channel_gain(value), channel_bias(value)
    geometry = window_geometry(node, "max_pool", value.shape, value.shape[2])
    if of_image or value.overlaps or gain is None or bias is None or np.any(gain < 0):
        # The order of spike counts is not that of the values.
        largest = largest_of_windows(folding, position, value, geometry)
        return reindex(largest, positions(largest.shape).reshape(node.output_shape), node.label)
    views = tuple(replace(view, gain=None) for view in value.views)
    terms = [project_window(view, geometry, None, node.label) for view in views]
    pooled = carried_through(folding, position, value, "max_pool", terms, (gain, bias))
    if reference:
        folding.drafts[pooled.views[0].sender].reference = reference
    return pooled


def fold_average_pool(folding: Folding, position: int) -> Value:
    """Fold an average pooling layer."""
    node, (value,) = folding.graph.nodes[position], folding.inputs(position)
    value = as_image(value, node.label)
    geometry = window_geometry(node, "average_pool", value.shape, value.shape[2])
    weights = 1.0 / apply_map(geometry, np.ones(geometry.output_shape), np.ones((1, *value.shape)))[0]
    # The image is numbers, which may be negative, so its average is no population.
    if folding.linear_averages or not value.is_view or any(view.source == INPUT for view in value.views):
        return _mean_of_linear(value, geometry, weights, node)
    bias = _average_of_bias(value, geometry, weights, node)
    return averaged(folding, position, value, lambda view: [project_window(view, geometry, weights, node.label)], bias)


def averaged(
    folding: Folding,
    position: int,
    value: Value,
    project: Callable[[View], Sequence[LinearTerm | None]],
    bias: FloatArray | None,
) -> Value:
    """Return averages of a tensor of views as spiking neurons.

    Parameters
    ----------
    project : callable
        From a view to the averages of it; the weights of one element come to 1.
    bias : float array of the node's output shape, or None
        The averages of the bias of `value`.
    """
    node, gain = folding.graph.nodes[position], channel_gain(value)
    if gain is not None and not value.overlaps:
        terms = [term for view in value.views for term in project(replace(view, gain=None))]
        carried = gain, np.zeros(node.output_shape) if bias is None else bias
        return carried_through(folding, position, value, "spiking", terms, carried)
    if not value.is_nonnegative and len(value.views) > 1 and all(_has_one_gain(value, view) for view in value.views):
        # The average of a sum is the sum of averages, each of which has a population of its own and no layer.
        parts = [Value(value.shape, (view,), scaling_layer=value.scaling_layer) for view in value.views]
        averages = [averaged(folding, position, part, project, None) for part in parts]
        for average in averages:
            folding.drafts[average.views[0].sender].reference = ()
        views = tuple(view for average in averages for view in average.views)
        return Value(node.output_shape, views, bias, scaling_layer=value.scaling_layer)
    if not value.is_nonnegative:
        return averaged(folding, position, as_difference(folding, position, value), project, None)
    terms = [term for view in value.views for term in project(view)]
    pooled = carried_through(folding, position, value, "spiking", terms, None)
    folding.drafts[pooled.views[0].sender].bias = bias
    return pooled


def _average_of_bias(value: Value, geometry: Geometry, weights: FloatArray, node: LayerNode) -> FloatArray | None:
    """Return what an average makes of the bias of a tensor."""
    if value.bias is None:
        return None
    return apply_map(geometry, weights, value.bias[None])[0].reshape(node.output_shape)


def _has_one_gain(value: Value, view: View) -> bool:
    """Whether a view scales each channel by one factor."""
    return channel_gain(replace(value, terms=(view,))) is not None


def carried_through(
    folding: Folding,
    position: int,
    value: Value,
    kind: PopulationKind,
    terms: Sequence[LinearTerm | None],
    carried: tuple[FloatArray, FloatArray] | None,
) -> Value:
    """Enter a population that pools, and return it with the gain and shift carried through it."""
    node = folding.graph.nodes[position]
    through = carried is not None and bool(np.any(carried[0] != 1.0) or np.any(carried[1]))
    # What the layer yields is in another order, where it moves elements about afterwards.
    ends = not any(later.path == node.path for later in folding.graph.nodes[position + 1 : position + 2])
    draft = Draft(
        folding.unique_name(node.name),
        kind,
        node.output_shape,
        tuple(term for term in terms if term is not None),
        None,
        None,
        folding.upper(value),
        # What the model computes there has the gain and shift in it, so this population has no layer of its own.
        (node.path,) if ends and not through else (),
        position,
    )
    pooled = folding.add(draft)
    return scale_shift(pooled, *carried, value.scaling_layer) if carried and through else pooled


def _mean_of_linear(value: Value, geometry: Geometry, weights: FloatArray, node: LayerNode) -> Value:
    """Fold the average of a tensor with linear maps, or the image, in it: it is one more linear map."""
    whole = geometry.output_shape[:2] == (1, 1) and geometry.kernel_size == value.shape[:2]
    pads = any(geometry.padding[0] + geometry.padding[1])
    depthwise = replace(geometry, kind="depthwise")
    share = np.full((*geometry.kernel_size, value.shape[2], 1), 1 / np.prod(geometry.kernel_size))

    def average(term: Term) -> LinearTerm | None:
        if isinstance(term, View):
            # As a convolution it can be made one with the next.
            return project_window(term, *((geometry, weights) if pads else (depthwise, share)), node.label)
        if whole:
            return compose_mean(term, value.shape, node.label, value.linear_layer)
        return compose_average(term, geometry, node.label, value.linear_layer)

    terms = tuple(term for term in map(average, value.terms) if term is not None)
    bias = _average_of_bias(value, geometry, weights, node)
    return Value(node.output_shape, terms, bias, node.name, linear_layer=value.linear_layer or node.label)


def _subsampled(value: Value, node: LayerNode) -> Value:
    """Fold a maximum over windows of one element with linear maps in it: it leaves elements out and no more."""
    geometry = window_geometry(node, "average_pool", value.shape, value.shape[2])
    return _mean_of_linear(value, geometry, np.ones(geometry.output_shape), node)


def _summed(folding: Folding, position: int, value: Value) -> Value:
    """Return a sum of neurons as spiking neurons of their own, on which a maximum can be taken."""
    node = folding.graph.nodes[position]
    draft = Draft(
        folding.unique_name(value.name, f"{node.name}_sum"),
        "spiking",
        value.shape,
        population_terms(value),
        value.bias,
        None,
        folding.upper(value),
        value.reference,
        position,
    )
    return folding.add(draft)


def can_be_rectified_first(folding: Folding, position: int, value: Value) -> bool:
    """Whether a tensor is one of neurons already, or nothing but ReLUs read what is made of it."""
    if value.is_view:
        return True
    norm = _norm_after(folding, position)
    readers = _readers(folding, position if norm is None else norm)
    return bool(readers) and all(r.operation == "relu" and r.parameters.get("levels") is None for r in readers)


def rectified_first(folding: Folding, position: int, value: Value) -> tuple[Value, tuple[LayerPath, ...]]:
    """Swap a max pooling, or an upsampling without mixing, and the ReLUs that follow it, where its input is linear.

    They commute. A batch norm between the two comes before the pooling as well, if its factors are positive. Then the
    path of the norm is returned too: its output is what the pooling yields.
    """
    reference: tuple[LayerPath, ...] = ()
    if value.is_view:
        return value, reference
    norm = _norm_after(folding, position)
    if norm is not None:
        affine = folding.graph.nodes[norm]
        value = scale_shift(value, affine.parameters["gain"], affine.parameters["shift"], affine.label)
        value, reference = replace(value, reference=(*value.reference, affine.path)), (affine.path,)
        folding.done.add(norm)
    readers = _readers(folding, position if norm is None else norm)
    ceilings = {reader.parameters["ceiling"] for reader in readers}
    return rectify(folding, position, value, ceilings.pop() if len(ceilings) == 1 else None), reference


def _norm_after(folding: Folding, position: int) -> int | None:
    """Return the batch norm that alone reads a node, if it scales every channel by one positive factor."""
    consumers = folding.graph.consumers(position)
    if len(consumers) != 1 or folding.graph.nodes[consumers[0]].operation != "affine":
        return None
    parameters = folding.graph.nodes[consumers[0]].parameters
    by_channel = max(np.ndim(parameters["gain"]), np.ndim(parameters["shift"])) <= 1
    return consumers[0] if by_channel and np.all(parameters["gain"] > 0) else None


def _readers(folding: Folding, position: int) -> list[LayerNode]:
    """Return the nodes that read a node, seen through layers that commute with a ReLU."""
    found: list[LayerNode] = []
    for reader in folding.graph.consumers(position):
        node = folding.graph.nodes[reader]
        found += _readers(folding, reader) if node.operation in _COMMUTES else [node]
    return found

"""Populations while a model is folded: drafts, their names, and the network they become."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.conversion.affine import LinearTerm, Value, View, source_index, whole_population
from brian_snn.conversion.projecting import identity_term
from brian_snn.errors import ModelError
from brian_snn.frontends.layer_graph import LayerGraph, LayerNode
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, LayerPath, Population, PopulationKind, Projection

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Draft:
    """A population in the making; `upper` bounds its activation, `made_by` is the node that called for it."""

    name: str
    kind: PopulationKind
    shape: tuple[int, ...]
    terms: tuple[LinearTerm, ...]
    bias: FloatArray | None
    ceiling: float | None
    upper: float | None
    reference: tuple[LayerPath, ...]
    made_by: int
    leak: float = 0.0
    threshold: float = 1.0
    levels: int | None = None


@dataclass(eq=False)
class Folding:
    """The state of one call of `brian_snn.conversion.fold.fold`: values of the nodes so far, populations so far."""

    graph: LayerGraph
    #: Whether averages are linear maps and no neurons.
    linear_averages: bool = False
    values: list[Value] = field(default_factory=list)
    drafts: dict[str, Draft] = field(default_factory=dict)
    #: Nodes that an earlier one has done the work of.
    done: set[int] = field(default_factory=set)
    #: Activations at the end of the model, which are left off, by the node.
    activations: dict[int, str] = field(default_factory=dict)

    def inputs(self, position: int) -> list[Value]:
        """Return the values that a node reads."""
        return [self.values[i] for i in self.graph.nodes[position].inputs]

    def unique_name(self, *candidates: str | None) -> str:
        """Return the first name that is free, else the last one with a number; None is no name, no letters are one."""
        names = [name for name in candidates if name is not None]
        numbered = (f"{names[-1]}_{k}" for k in range(1, len(self.drafts) + 2))
        return next(name for name in (*names, *numbered) if name not in self.drafts)

    def add(self, draft: Draft) -> Value:
        """Enter a population and return it as a value."""
        self.drafts[draft.name] = draft
        return Value(draft.shape, (whole_population(draft.name, draft.shape),))

    def upper(self, value: Value) -> float | None:
        """Return a bound on the elements of a tensor of views, None if there is none."""
        bounds = [self.drafts[view.source].upper if view.source != INPUT else None for view in value.views]
        scaled = value.bias is not None or any(view.gain is not None for view in value.views)
        if scaled or not bounds or None in bounds or value.overlaps or not value.is_view:
            return None
        return max(bound for bound in bounds if bound is not None)


def population_terms(value: Value) -> tuple[LinearTerm, ...]:
    """Return the projections of a value, views made explicit."""
    terms = (identity_term(term) if isinstance(term, View) else term for term in value.terms)
    return tuple(term for term in terms if term.geometry.n_in > 0)


def rectify(folding: Folding, position: int, value: Value, ceiling: float | None, levels: int | None = None) -> Value:
    """Return ReLU(value), as it is if it cannot be negative, else as a new spiking population.

    A ceiling, as of ReLU6, becomes the population's; an existing population gets it where only this ReLU reads it.
    One that takes some levels only is a population of its own.
    """
    node = folding.graph.nodes[position]
    if value.is_nonnegative and levels is None:
        upper = folding.upper(value)
        if ceiling is None or (upper is not None and upper <= ceiling):
            return value
        if value.is_whole_population:
            draft = folding.drafts[value.views[0].sender]
            if draft.kind == "spiking" and draft.levels is None and _is_only_reader(folding, draft, position):
                draft.ceiling = draft.upper = ceiling
                return value
    draft = Draft(
        folding.unique_name(value.name, node.name),
        "spiking",
        value.shape,
        population_terms(value),
        value.bias,
        ceiling,
        ceiling,
        value.reference,
        position,
        levels=levels,
    )
    return folding.add(draft)


def _is_only_reader(folding: Folding, draft: Draft, position: int) -> bool:
    """Whether every tensor from the population to this node has one reader."""
    current = position
    while current != draft.made_by:
        inputs = folding.graph.nodes[current].inputs
        if len(inputs) != 1 or len(folding.graph.consumers(inputs[0])) != 1:
            return False
        current = inputs[0]
    return True


def finish(folding: Folding) -> Network:
    """Return the network that ends in the last node, or where the graph says; what does not reach it is left out.

    The output comes last. A concatenation at which to stop has no neurons of its own: there are several outputs then.
    Of a model with several each has a readout.
    """
    ends = folding.graph.outputs or (len(folding.values) - 1,)
    heads: tuple[tuple[str, str], ...] = ()
    activation = "hidden" if folding.graph.until is not None else _activation_of(folding, ends[-1])
    if folding.graph.until is not None:
        outputs = _drafts_of(folding, folding.graph.until)
    elif len(ends) == 1:
        outputs = [_output_draft(folding, folding.values[ends[0]], folding.graph.nodes[ends[0]])]
    else:
        outputs = [_readout(folding, folding.values[i], folding.graph.nodes[i]) for i in ends]
        kinds = [_activation_of(folding, i) for i in ends]
        heads = tuple((draft.name, kind) for draft, kind in zip(outputs, kinds, strict=True))
    alive: set[str | None] = {draft.name for draft in outputs}
    for draft in reversed(folding.drafts.values()):
        if draft.name in alive:
            alive.update(term.source for term in draft.terms)
    dead = [name for name in folding.drafts if name not in alive]
    if dead:
        logger.info("left out, as they do not reach the output: %s", ", ".join(dead))
    order = [draft for draft in folding.drafts.values() if draft.name in alive and draft not in outputs]
    ends_in = {"output_activation": activation, "heads": heads}
    return _network(folding.graph, order + outputs, ends_in)


def _activation_of(folding: Folding, position: int) -> str:
    """Return the activation that an output of the model goes through at its end, which was left off."""
    while position not in folding.activations:
        inputs = folding.graph.nodes[position].inputs
        if len(inputs) != 1:
            return "linear"
        (position,) = inputs
    return folding.activations[position]


def _drafts_of(folding: Folding, position: int) -> list[Draft]:
    """Return the neurons that a node belongs to: those it is made of, else those with its ReLU."""
    value, node = folding.values[position], folding.graph.nodes[position]
    if value.overlaps and not value.is_nonnegative:
        # No neuron alone is what the layer yields, as of a leaky ReLU: a readout takes the difference.
        return [_output_draft(folding, value, node)]
    if value.is_view:
        found = [folding.drafts[name] for name in folding.drafts if name in {view.source for view in value.views}]
    else:
        found = [draft for draft in folding.drafts.values() if draft.made_by > position][:1]
    if not found:
        raise ModelError(
            f"{node.label}: it has no neurons of its own; name a layer with a ReLU behind it, or the layer after which "
            "it is added to another."
        )
    return found


def _output_draft(folding: Folding, value: Value, node: LayerNode) -> Draft:
    """Return the output population: the last one itself where it can be, else a readout of the value."""
    if value.is_whole_population:
        draft = folding.drafts[value.views[0].sender]
        if draft.shape == value.shape and draft.kind == "readout":
            return draft
        if draft.shape == value.shape and draft.kind == "spiking":
            averages = draft.terms and all(term.geometry.kind == "average_pool" for term in draft.terms)
            if averages and draft.ceiling is None:
                draft.kind = "readout"
            return draft
    return _readout(folding, value, node)


def _readout(folding: Folding, value: Value, node: LayerNode) -> Draft:
    """Return neurons that integrate a value; what has neurons already gets a name that is not theirs."""
    own = f"{node.name}_output"
    name = folding.unique_name(value.name, node.name, own) if value.name is not None else folding.unique_name(own)
    terms = population_terms(value)
    if not terms:
        raise ModelError(f"{node.label}: the model's output does not depend on the image.")
    draft = Draft(name, "readout", value.shape, terms, value.bias, None, None, value.reference, len(folding.values))
    folding.add(draft)
    return draft


def _network(graph: LayerGraph, drafts: list[Draft], ends_in: dict[str, Any]) -> Network:
    """Turn drafts in topological order into the frozen records, with what the network says of its outputs."""
    depth: dict[str | None, int] = {INPUT: 0}
    populations, projections = [], []
    for draft in drafts:
        below = max((depth[term.source] for term in draft.terms), default=0)
        depth[draft.name] = below + (draft.kind != "max_pool")
        bias = np.zeros(draft.shape) if draft.bias is None else np.ascontiguousarray(draft.bias, dtype=np.float64)
        made = (draft.name, draft.kind, draft.shape, bias, depth[draft.name], 1.0, draft.ceiling, draft.reference)
        # What rounds to the nearest level starts half a spike ahead.
        v_init = None if draft.levels is None else 0.5
        own = {"leak": draft.leak, "threshold": draft.threshold, "v_init": v_init, "levels": draft.levels}
        populations.append(Population(*made, **own))  # type: ignore[arg-type]
        projections += [_projection(term, draft) for term in draft.terms]
    return Network(tuple(populations), tuple(projections), graph.input_shape, inputs=graph.inputs, **ends_in)


def _projection(term: LinearTerm, draft: Draft) -> Projection:
    """Return a term as a projection onto its population."""
    n_target = int(np.prod(draft.shape))
    target = None if term.target_index is None else source_index(term.target_index, n_target)
    weights = None if term.weights is None else np.ascontiguousarray(term.weights, dtype=np.float64)
    return Projection(term.source, draft.name, term.geometry, weights, term.source_index, target)

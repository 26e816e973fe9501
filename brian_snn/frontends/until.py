"""Cut a graph of layers at one or some of them: what `brian_snn.convert` does with ``until`` and ``outputs``."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from brian_snn.errors import ModelError
from brian_snn.frontends.layer_graph import LayerGraph, LayerNode
from brian_snn.network.records import LayerPath

#: Operations that may stand between a linear layer and its ReLU.
_BEFORE_RELU = frozenset({"affine", "identity", "reshape", "permute", "flip", "pad", "crop", "max_pool"})

#: Operations after which a tensor needs no further ReLU.
_COMPLETE = frozenset({"relu", "max_pool", "average_pool"})


@dataclass(frozen=True, eq=False)
class _Call:
    """The nodes of one call of a layer, the first and the last, and the calls that it reads."""

    path: LayerPath
    class_name: str
    first: int
    last: int
    inputs: tuple[int, ...]
    operations: tuple[str, ...]
    error: ModelError | None


def cut(graph: LayerGraph, until: str) -> LayerGraph:
    """Return what a layer needs, with the ReLU that follows it.

    Parameters
    ----------
    graph : LayerGraph
        A whole model.
    until : str
        Name of a layer, ``outer/inner`` for nested models; the name of a nested model stands for its output.

    Returns
    -------
    graph : LayerGraph
        The image first; a linear layer is followed by the nodes up to its ReLU, wherever there is one. Its `until` is
        None if the layer is a linear output of the whole model, which is a readout.

    Raises
    ------
    ModelError
        If there is no such layer, or it cannot be converted; the message lists names like it.
    """
    calls = _calls(graph)
    target = _find(calls, until)
    error = calls[target].error
    if error is not None:
        raise error
    complete = not _COMPLETE.isdisjoint(calls[target].operations)
    if calls[target].last in (graph.outputs or (len(graph.nodes) - 1,)) and not complete:
        kept = _leading_to(graph, calls[target].last)
        return replace(graph, nodes=tuple(_moved(graph.nodes[i], kept) for i in kept), outputs=())
    last = target if complete else _next_relu(calls, target)
    kept = _leading_to(graph, calls[last].last)
    nodes = tuple(_moved(graph.nodes[i], kept) for i in kept)
    return replace(graph, nodes=nodes, outputs=(), until=kept.index(calls[target].last))


def ending_in(graph: LayerGraph, outputs: Sequence[str]) -> LayerGraph:
    """Return what some layers need, which become the outputs.

    Raises
    ------
    ModelError
        If there is no layer of a name, one is named twice, or cannot be converted.
    """
    calls = _calls(graph)
    targets = [calls[_find(calls, name)] for name in outputs]
    for target in targets:
        if target.error is not None:
            raise target.error
    lasts = [target.last for target in targets]
    if len(set(lasts)) < len(lasts):
        raise ModelError(f"outputs are {', '.join(map(repr, outputs))}, of which two are the same layer.")
    kept = _leading_to(graph, *lasts)
    nodes = tuple(_moved(graph.nodes[i], kept) for i in kept)
    return replace(graph, nodes=nodes, outputs=tuple(kept.index(i) for i in lasts))


def _calls(graph: LayerGraph) -> list[_Call]:
    """Return the calls of layers in order: nodes of one path lie together, and each reads the one before it."""
    calls: list[_Call] = []
    of_node: dict[int, int] = {}
    for i, node in enumerate(graph.nodes):
        inside = bool(calls) and calls[-1].path == node.path
        call = calls.pop() if inside else _Call(node.path, node.class_name, i, i, (), (), None)
        inputs = call.inputs if inside else tuple(of_node[k] for k in node.inputs)
        operations = (*call.operations, node.operation)
        calls.append(replace(call, last=i, inputs=inputs, operations=operations, error=call.error or node.error))
        of_node[i] = len(calls) - 1
    return calls


def _leading_to(graph: LayerGraph, *outputs: int) -> list[int]:
    """Return the image and the nodes that lead to some of them, in order."""
    needed = {*outputs, 0}
    for i in range(max(outputs), 0, -1):
        if i in needed:
            needed.update(graph.nodes[i].inputs)
    return sorted(needed)


def _moved(node: LayerNode, kept: list[int]) -> LayerNode:
    return replace(node, inputs=tuple(kept.index(i) for i in node.inputs))


def _find(calls: list[_Call], until: str) -> int:
    """Return the position of the layer that is called so: by its whole path, as a nested model, or by its own name."""
    shown = {i: str(call.path) for i, call in enumerate(calls) if call.path.names}
    inside: dict[tuple[str, ...], int] = {}
    for i in shown:
        names = calls[i].path.names
        # The last layer of a nested model comes last.
        inside |= {names[:n]: i for n in range(1, len(names)) if "/".join(names[:n]) == until}
    whole = [i for i, path in shown.items() if path == until] + list(inside.values())
    named = [i for i in shown if str(LayerPath(calls[i].path.names[-1:], calls[i].path.use)) == until]
    for found in (whole, named):
        if len(found) == 1:
            return found[0]
    if whole:
        several = ", ".join(f"{shown[i]!r} ({calls[i].class_name})" for i in whole)
        raise ModelError(f"the model has several layers {until!r}: {several}; give each a name of its own.")
    paths = list(shown.values())
    similar = [shown[i] for i in named] or difflib.get_close_matches(until, paths, n=5) or paths[:5]
    raise ModelError(f"the model has no layer {until!r} on the way to its output; there are {', '.join(similar)}.")


def _next_relu(calls: list[_Call], target: int) -> int:
    """Return the call with the ReLU of a linear layer, or the layer itself if it has none of its own."""
    pending = [target]
    while pending:
        current = pending.pop(0)
        for reader in (i for i, call in enumerate(calls) if call.inputs == (current,)):
            operations = calls[reader].operations
            if operations[-1:] == ("relu",) and _BEFORE_RELU.issuperset(operations[:-1]):
                return reader
            # What cannot be converted is no way to a ReLU.
            if operations and _BEFORE_RELU.issuperset(operations):
                pending.append(reader)
    return target

"""Cut a model at a layer: what `brian_snn.convert` does with ``until``."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from brian_snn.errors import ModelError
from brian_snn.frontends.keras.walk import Step, ending_in
from brian_snn.network.records import LayerPath

#: Operations that may stand between a linear layer and its ReLU.
_BEFORE_RELU = frozenset({"affine", "identity", "reshape", "permute", "pad", "crop", "max_pool"})

#: Operations after which a tensor needs no further ReLU.
_COMPLETE = frozenset({"relu", "max_pool", "average_pool"})

#: From a step to what it does, the operations of `brian_snn.frontends.layer_graph`; raises for unknown layers.
OperationsOf = Callable[[Step], list[str]]


def cut(steps: list[Step], until: str, operations_of: OperationsOf) -> tuple[list[Step], int | None]:
    """Return the steps that a layer needs, with the ReLU that follows it, and the position of the layer.

    Parameters
    ----------
    steps : list of Step
        From `brian_snn.frontends.keras.walk.walk`.
    until : str
        Name of a layer, ``outer/inner`` for nested models; the name of a nested model stands for its output.
    operations_of : callable
        What a step does.

    Returns
    -------
    steps : list of Step
        The image first; a linear layer is followed by the layers up to its ReLU, wherever there is one.
    position : int, or None
        Where the layer is in `steps`; None if it is the linear output of the whole model, which is a readout.

    Raises
    ------
    ModelError
        If there is no such layer; the message lists names like it.
    """
    target = _find(steps, until)
    complete = not _COMPLETE.isdisjoint(operations_of(steps[target]))
    if target == len(steps) - 1 and not complete:
        return steps, None
    last = target if complete else _next_relu(steps, target, operations_of)
    kept = ending_in(steps, {last})
    # The steps after the layer are those that lead from it to its ReLU, each with a single input.
    return kept, next(i for i, step in enumerate(kept) if step.path == steps[target].path)


def _find(steps: list[Step], until: str) -> int:
    """Return the position of the layer that is called so: by its whole path, as a nested model, or by its own name."""
    shown = {i: str(step.path) for i, step in enumerate(steps) if step.layer is not None}
    inside: dict[tuple[str, ...], int] = {}
    for i in shown:
        names = steps[i].path.names
        # The last layer of a nested model comes last.
        inside |= {names[:n]: i for n in range(1, len(names)) if "/".join(names[:n]) == until}
    whole = [i for i, path in shown.items() if path == until] + list(inside.values())
    named = [i for i in shown if str(LayerPath(steps[i].path.names[-1:], steps[i].path.use)) == until]
    for found in (whole, named):
        if len(found) == 1:
            return found[0]
    if whole:
        several = ", ".join(f"{shown[i]!r} ({type(steps[i].layer).__name__})" for i in whole)
        raise ModelError(f"the model has several layers {until!r}: {several}; give each a name of its own.")
    paths = list(shown.values())
    similar = [shown[i] for i in named] or difflib.get_close_matches(until, paths, n=5) or paths[:5]
    raise ModelError(f"the model has no layer {until!r} on the way to its output; there are {', '.join(similar)}.")


def _next_relu(steps: list[Step], target: int, operations_of: OperationsOf) -> int:
    """Return the step with the ReLU of a linear layer, or the layer itself if it has none of its own."""
    pending = [target]
    while pending:
        current = pending.pop(0)
        for reader in (i for i, step in enumerate(steps) if step.inputs == (current,)):
            operations = _operations_or_none(steps[reader], operations_of)
            if operations[-1:] == ["relu"] and _BEFORE_RELU.issuperset(operations[:-1]):
                return reader
            if operations and _BEFORE_RELU.issuperset(operations):
                pending.append(reader)
    return target


def _operations_or_none(step: Step, operations_of: OperationsOf) -> list[str]:
    """Return what a step does; nothing for a layer that cannot be converted, which is then no way to a ReLU."""
    try:
        return operations_of(step)
    except ModelError:
        return []

"""Operators that move elements about, or leave some out: nothing is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from brian_snn.frontends.onnx.call import Call
from brian_snn.frontends.onnx.tensors import BATCH, Shape, Tensor, shape_in_order

Reader = Callable[[Call], list[Tensor]]

#: Axes of a tensor.
_MOST_AXES = 12


def _read_flatten(call: Call) -> list[Tensor]:
    source = call.tensor()
    axis = call.integer("axis", 1)
    if axis not in (1, 1 - source.rank):
        raise call.error(f"it flattens from axis {axis} on; axis 1 leaves the images apart.")
    return [_reshaped(call, source, (source.shape[0], prod(source.shape[1:])))]


def _read_reshape(call: Call) -> list[Tensor]:
    """Return the same elements in another shape, in which the images stay apart."""
    source, given = call.tensor(), call.indices("shape", 1)
    if len(given) > _MOST_AXES or any(length < -1 for length in given) or given.count(-1) > 1:
        raise call.error(f"it makes a tensor of shape {given[:_MOST_AXES]}, which there is not.")
    copies = not call.integer("allowzero", 0)
    shape = [
        source.shape[axis] if copies and length == 0 and axis < source.rank else length
        for axis, length in enumerate(given)
    ]
    if -1 in shape:
        others = prod(length for length in shape if length != -1)
        shape[shape.index(-1)] = prod(source.shape) // others if others > 0 else 0
    if prod(shape) != prod(source.shape) or shape[:1] != [source.shape[0]]:
        raise call.error(
            f"it makes a tensor of shape {given} of one of {source.shape}; the first axis, of images, must stay as it "
            "is, so export the model with a free number of images, or with 1."
        )
    return [_reshaped(call, source, tuple(shape))]


def _reshaped(call: Call, source: Tensor, shape: Shape) -> Tensor:
    if shape == source.shape:
        return call.same("identity", {}, source)
    if not source.starts_with_batch:
        raise call.error("the axis of images is not the first one of its input.")
    return call.reshaped(source, shape)


def _read_transpose(call: Call) -> list[Tensor]:
    """Return another order of axes, which moves nothing."""
    source = call.tensor()
    axes = call.axes(call.indices("perm", None, default=range(source.rank)[::-1]), source.rank)
    if len(axes) != source.rank:
        raise call.error(f"its perm is {axes}; {source.rank} axes were expected.")
    same = call.same("identity", {}, source)
    return [Tensor(same.node, tuple(source.shape[a] for a in axes), tuple(source.order[a] for a in axes))]


def _read_squeeze(call: Call) -> list[Tensor]:
    """Return a tensor without some axes of length 1."""
    source = call.tensor()
    axes = call.axes(call.indices("axes", 1), source.rank)
    if any(source.shape[axis] != 1 or source.order[axis] == BATCH for axis in axes):
        raise call.error(
            f"it leaves out axes {axes} of a tensor of {source.shape}; they must be 1, and not the images."
        )
    kept = [axis for axis in range(source.rank) if axis not in axes]
    shape, order = (tuple(values[axis] for axis in kept) for values in (source.shape, source.order))
    return [call.apply("reshape", {}, source, shape, _closed_up(order))]


def _closed_up(order: Sequence[int]) -> tuple[int, ...]:
    """Return an order of axes of which some are left out, counted anew."""
    own = sorted(axis for axis in order if axis != BATCH)
    return tuple(BATCH if axis == BATCH else own.index(axis) for axis in order)


def _read_unsqueeze(call: Call) -> list[Tensor]:
    """Return a tensor with more axes of length 1, which the node has before its others."""
    source, given = call.tensor(), call.indices("axes", 1)
    rank = source.rank + len(given)
    axes = call.axes(given, rank)
    if rank > _MOST_AXES:
        raise call.error(f"it makes a tensor with {rank} axes.")
    lengths, places = iter(source.shape), iter(source.order)
    shape = tuple(1 if axis in axes else next(lengths) for axis in range(rank))
    added = sorted(axes)
    order = tuple(added.index(axis) if axis in axes else _further(next(places), len(axes)) for axis in range(rank))
    return [call.apply("reshape", {}, source, shape, order)]


def _further(place: int, by: int) -> int:
    return BATCH if place == BATCH else place + by


def _read_concat(call: Call) -> list[Tensor]:
    sources = [call.tensor(k) for k in range(len(call.inputs))]
    order, rank = sources[0].order, sources[0].rank
    (axis,) = call.axes([call.integer("axis", 1)], rank)
    if order[axis] == BATCH:
        raise call.error("it puts images behind images; every image is computed for itself.")
    others = [tuple(n for k, n in enumerate(source.shape) if k != axis) for source in sources]
    if any(source.rank != rank for source in sources) or len(set(others)) > 1:
        raise call.error(f"its inputs have the shapes {', '.join(str(source.shape) for source in sources)}.")
    if len(sources) == 1:
        return [call.same("identity", {}, sources[0])]
    moved = [call.in_order(source, order, own_path=True) for source in sources]
    length = sum(source.shape[axis] for source in sources)
    shape = tuple(length if k == axis else n for k, n in enumerate(sources[0].shape))
    node = call.add(
        "concatenate", {"axis": order[axis]}, [source.node for source in moved], shape_in_order(shape, order)
    )
    return [Tensor(node, shape, order)]


def _read_slice(call: Call) -> list[Tensor]:
    """Return a stretch of a tensor."""
    source = call.tensor()
    starts, stops = call.indices("starts", 1), call.indices("ends", 2)
    axes = call.axes(call.indices("axes", 3, default=range(min(len(starts), source.rank))), source.rank)
    steps = call.indices("steps", 4, default=(1,) * len(axes))
    if not len(starts) == len(stops) == len(axes) == len(steps):
        raise call.error(f"it has {len(starts)} starts, {len(stops)} ends, {len(axes)} axes and {len(steps)} steps.")
    if any(step != 1 for step in steps):
        raise call.error(f"its steps are {steps}; only stretches without gaps are converted.")
    margins = [(0, 0)] * source.rank
    for axis, start, stop in zip(axes, starts, stops, strict=True):
        kept = range(source.shape[axis])[start:stop]
        if not len(kept) and source.order[axis] != BATCH:
            raise call.error(f"nothing is left of axis {axis} of {source.shape}.")
        margins[axis] = (kept.start, source.shape[axis] - kept.stop)
    return [_with_margins(call, "crop", source, margins)]


def _with_margins(call: Call, operation: str, source: Tensor, margins: Sequence[tuple[int, int]]) -> Tensor:
    """Return a tensor that is longer or shorter before and behind each axis, as ONNX counts them."""
    sign = 1 if operation == "pad" else -1
    if any(any(pair) and place == BATCH for pair, place in zip(margins, source.order, strict=True)):
        raise call.error("it leaves out images or adds some; every image is computed for itself.")
    own = {place: pair for pair, place in zip(margins, source.order, strict=True) if place != BATCH}
    shape = tuple(length + sign * sum(pair) for length, pair in zip(source.shape, margins, strict=True))
    parameters = {"margins": tuple(own[place] for place in sorted(own))}
    return call.apply(operation, parameters, source, shape, source.order)


def _read_pad(call: Call) -> list[Tensor]:
    """Return a tensor with zeros around it; what is negative is left out."""
    source = call.tensor()
    if call.text("mode", "constant") != "constant" or _padded_with(call) != 0:
        raise call.error("it pads with something else than zeros, which no map has.")
    axes = call.axes(call.indices("axes", 3, default=range(source.rank)), source.rank)
    # Until version 1 the attribute had another name.
    ends = call.indices("pads" if "paddings" not in call.attributes else "paddings", 1)
    if len(ends) != 2 * len(axes):
        raise call.error(f"it has {len(ends)} pads for {len(axes)} axes; two for each were expected.")
    margins = [(0, 0)] * source.rank
    for axis, before, behind in zip(axes, ends[: len(axes)], ends[len(axes) :], strict=True):
        margins[axis] = (before, behind)
    cuts = [(max(0, -before), max(0, -behind)) for before, behind in margins]
    if any(sum(cut) >= length for cut, length in zip(cuts, source.shape, strict=True)):
        raise call.error(f"nothing is left of a tensor of {source.shape}.")
    if any(map(any, cuts)):
        source = _with_margins(call, "crop", source, cuts)
    return [_with_margins(call, "pad", source, [(max(0, before), max(0, behind)) for before, behind in margins])]


def _padded_with(call: Call) -> float:
    if call.has(2):
        return float(np.abs(call.weights(2, "constant")).max(initial=0.0))
    return call.number("value", 0.0)


def _read_split(call: Call) -> list[Tensor]:
    """Return stretches of a tensor; each output has a path of its own."""
    source = call.tensor()
    (axis,) = call.axes([call.integer("axis", 0)], source.rank)
    length, n_parts = source.shape[axis], len(call.outputs)
    even = -(-length // n_parts)
    lengths = [min(even, length - k * even) for k in range(n_parts)]
    if "split" in call.attributes or call.has(1):
        lengths = list(call.indices("split", 1))
    if sum(lengths) != length or min(lengths) < 1 or len(lengths) != n_parts:
        raise call.error(f"its parts are {lengths} of {length}.")
    parts, start = [], 0
    for k, part in enumerate(lengths):
        margins = [(0, 0)] * source.rank
        margins[axis] = (start, length - start - part)
        parts.append(_with_margins(call.output(k), "crop", source, margins))
        start += part
    return parts


MOVING: dict[str, Reader] = {
    "Flatten": _read_flatten,
    "Reshape": _read_reshape,
    "Transpose": _read_transpose,
    "Squeeze": _read_squeeze,
    "Unsqueeze": _read_unsqueeze,
    "Concat": _read_concat,
    "Slice": _read_slice,
    "Pad": _read_pad,
    "Split": _read_split,
}

"""Values that may be negative: as the difference of two populations, and the largest of several such values.

One population fires for what is above zero, the other for what is below: x = ReLU(x) - ReLU(-x). A leaky ReLU is
ReLU(x) - slope ReLU(-x). The larger of two values is a + ReLU(b - a), so the largest of a window takes one population
for every element but the first along each axis. All of these are populations like any other, with the rate law and the
books of their neurons; the next layer's weights take factors in.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from brian_snn.conversion.affine import Value, positions, reindex, scale_shift, total
from brian_snn.conversion.drafting import Draft, Folding, population_terms, rectify
from brian_snn.errors import ModelError
from brian_snn.network.records import Geometry

_ZERO = np.zeros(())


def fold_leaky(folding: Folding, position: int) -> Value:
    """Fold a leaky ReLU, its slopes of a shape that broadcasts to that of the tensor; it may have a ceiling above."""
    node, (value,) = folding.graph.nodes[position], folding.inputs(position)
    slope = np.asarray(node.parameters["slope"], np.float64)
    above = rectify(folding, position, value, node.parameters.get("ceiling"))
    if value.is_nonnegative or not slope.any():
        return above
    return _sum(above, scale_shift(_below(folding, position, value, above), -slope, _ZERO, node.label))


def as_difference(folding: Folding, position: int, value: Value) -> Value:
    """Return a value as that of a population for what is above zero minus that of one for what is below."""
    node, above = folding.graph.nodes[position], rectify(folding, position, value, None)
    if value.is_nonnegative:
        return above
    return _sum(above, scale_shift(_below(folding, position, value, above), np.asarray(-1.0), _ZERO, node.label))


def largest_of_windows(folding: Folding, position: int, value: Value, geometry: Geometry) -> Value:
    """Return the largest element of each window of a tensor of views, which may be negative.

    Parameters
    ----------
    value : Value
        Of shape ``geometry.input_shape``.
    geometry : Geometry
        Of the windows; places in the padding count nothing.
    """
    for axis in (0, 1):
        value = _largest_along(folding, position, value, geometry, axis)
    return value


def _largest_along(folding: Folding, position: int, value: Value, geometry: Geometry, axis: int) -> Value:
    """Return the largest elements along one axis: ``largest += ReLU(element - largest)`` for one after the other."""
    n_windows, length = geometry.output_shape[axis], value.shape[axis]
    starts = np.arange(n_windows) * geometry.strides[axis] - geometry.padding[axis][0]
    first = _representatives(starts, geometry.kernel_size[axis], length)
    if first is None:
        label = folding.graph.nodes[position].label
        raise ModelError(
            f"{label}: it has {n_windows} windows over {length} elements that may be negative; with less padding, or a "
            "ReLU before it, it can be converted."
        )
    largest = _elements(folding, position, value, first, axis)
    for element in range(geometry.kernel_size[axis]):
        places = starts + element
        there = np.flatnonzero((places >= 0) & (places < length) & (places != first))
        if len(there):
            other = _elements(folding, position, value, places[there], axis)
            larger = _excess(folding, position, other, _elements(folding, position, largest, there, axis))
            index = np.full(n_windows, -1)
            index[there] = np.arange(len(there))
            largest = _sum(largest, _elements(folding, position, larger, index, axis))
    return largest


def _representatives(starts: NDArray[np.integer], size: int, length: int) -> NDArray[np.integer] | None:
    """Return one element of each window, none twice; None if that cannot be."""
    found: list[int] = []
    for start in starts:
        found.append(max(int(start), 0, found[-1] + 1 if found else 0))
        if found[-1] > min(start + size, length) - 1:
            return None
    return np.array(found)


def _elements(folding: Folding, position: int, value: Value, places: NDArray[np.integer], axis: int) -> Value:
    """Return the elements at some places of an axis, zero where the place is -1."""
    taken = np.take(positions(value.shape), np.maximum(places, 0), axis)
    shape = [1] * len(value.shape)
    shape[axis] = -1
    taken = np.where(np.reshape(places, shape) >= 0, taken, np.int32(-1))
    return reindex(value, taken.astype(np.int32), folding.graph.nodes[position].label)


def _excess(folding: Folding, position: int, value: Value, other: Value) -> Value:
    """Return ReLU(value - other) as a population."""
    node = folding.graph.nodes[position]
    difference = _sum(value, scale_shift(other, np.asarray(-1.0), _ZERO, node.label))
    return _added(folding, position, difference, f"{node.name}_excess")


def _below(folding: Folding, position: int, value: Value, above: Value) -> Value:
    """Return ReLU(-value) as a population, named after the one for what is above zero."""
    turned = scale_shift(value, np.asarray(-1.0), _ZERO, folding.graph.nodes[position].label)
    return _added(folding, position, turned, f"{above.views[0].sender}_below")


def _added(folding: Folding, position: int, value: Value, name: str) -> Value:
    """Return ReLU(value) as a population that no layer of the model yields alone."""
    terms = population_terms(value)
    name = folding.unique_name(name)
    return folding.add(Draft(name, "spiking", value.shape, terms, value.bias, None, None, (), position))


def _sum(value: Value, other: Value) -> Value:
    """Return the sum of two values of one shape."""
    terms, bias = total((value, other))
    return replace(value, terms=terms, bias=bias, reference=())

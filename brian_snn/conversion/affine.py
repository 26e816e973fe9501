"""Symbolic tensors: an affine function of the populations before them.

While a model is folded, every tensor of it is a `Value`: a sum of terms and a bias. A term is a `View`, which picks
neurons of one population, element by element, or a `LinearTerm`, which applies a linear map to one population.
Reshaping, transposing, padding and concatenating move elements about and are all done by `reindex`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray, IntArray
from brian_snn.errors import ModelError
from brian_snn.network.records import INPUT, Geometry, LayerPath


class NoOneMapError(ModelError):
    """Two linear maps in a row that no projection of one kind does; what is between them can spike instead."""


@dataclass(frozen=True, eq=False)
class View:
    """One neuron of a population for each element of a tensor, times a gain.

    Parameters
    ----------
    source : str or None
        A population, or `INPUT`.
    source_size : int
        Number of its neurons.
    index : int array of the tensor's shape
        The neuron (flat) behind each element, -1 for a constant zero. No neuron is there twice.
    gain : float array of the tensor's shape, or None
        None stands for 1.
    """

    source: str | None
    source_size: int
    index: IntArray
    gain: FloatArray | None = None

    @property
    def sender(self) -> str:
        """The population, of a view that is not of the image."""
        assert self.source is not INPUT, "the image sends no spikes"
        return self.source

    @property
    def is_whole(self) -> bool:
        """Whether this is the population itself, neuron by neuron."""
        return self.gain is None and source_index(self.index, self.source_size) is None


@dataclass(frozen=True, eq=False)
class LinearTerm:
    """A linear map of one population; fields as in `Projection`, `target` being elements of the tensor."""

    source: str | None
    source_size: int
    geometry: Geometry
    weights: FloatArray | None
    source_index: IntArray | None = None
    target_index: IntArray | None = None

    @property
    def kernel(self) -> FloatArray:
        """The weights of a map that has some, which is any but max pooling."""
        assert self.weights is not None, f"a {self.geometry.kind} map has weights"
        return self.weights


Term = View | LinearTerm


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the model: the sum of its terms, plus a bias.

    Parameters
    ----------
    shape : tuple of int
        Without the batch axis.
    terms : tuple of View or LinearTerm
        What it is made of.
    bias : float array of `shape`, or None
        None stands for zeros.
    name : str or None
        The layer after which a population with this input is named; None if there was none yet.
    reference : tuple of LayerPath
        The layer of the model whose output this tensor is, as in `Population`.
    linear_layer : str
        Label of the last layer with a linear map, for error messages.
    scaling_layer : str
        Label of the last layer that scaled it, for error messages.
    """

    shape: tuple[int, ...]
    terms: tuple[Term, ...]
    bias: FloatArray | None = None
    name: str | None = None
    reference: tuple[LayerPath, ...] = ()
    linear_layer: str = ""
    scaling_layer: str = ""

    @property
    def views(self) -> tuple[View, ...]:
        """The terms that are views."""
        return tuple(term for term in self.terms if isinstance(term, View))

    @property
    def is_view(self) -> bool:
        """Whether no linear map is among the terms."""
        return len(self.views) == len(self.terms)

    @property
    def is_whole_population(self) -> bool:
        """Whether the tensor is one population (not the image), neuron by neuron."""
        if not self.is_view or len(self.terms) != 1 or self.bias is not None:
            return False
        return self.views[0].is_whole and self.views[0].source != INPUT

    @property
    def is_nonnegative(self) -> bool:
        """Whether no element can be negative, whatever the image."""
        if self.bias is not None and self.bias.min(initial=0.0) < 0:
            return False
        return self.is_view and all(
            view.source != INPUT and (view.gain is None or view.gain[view.index >= 0].min(initial=0.0) >= 0)
            for view in self.views
        )

    @property
    def overlaps(self) -> bool:
        """Whether some element is a sum of several neurons."""
        if len(self.views) < 2:
            return False
        return bool(np.any(np.sum([view.index >= 0 for view in self.views], axis=0) > 1))


def positions(shape: tuple[int, ...]) -> IntArray:
    """Return the flat position of each element of a tensor."""
    return np.arange(prod(shape), dtype=np.int32).reshape(shape)


def whole_population(name: str | None, shape: tuple[int, ...]) -> View:
    """Return the view of a population as it is."""
    return View(name, prod(shape), positions(shape))


def source_index(index: IntArray, source_size: int) -> IntArray | None:
    """Return the index flat, or None where it is ``arange(source_size)``."""
    flat = index.ravel()
    if len(flat) == source_size and np.array_equal(flat, np.arange(source_size)):
        return None
    return flat.astype(np.int32)


def combine(bias: FloatArray | None, other: FloatArray | None) -> FloatArray | None:
    """Add two biases of which either may be None."""
    if bias is None or other is None:
        return other if bias is None else bias
    return bias + other


def merge_views(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    """Add up the views of the same neurons, so that a sum such as x + x is one term."""
    merged: list[View] = []
    for view in (term for term in terms if isinstance(term, View)):
        twin = next((k for k, other in enumerate(merged) if _same_neurons(view, other)), None)
        if twin is None:
            merged.append(view)
        else:
            merged[twin] = replace(view, gain=gain_of(view) + gain_of(merged[twin]))
    return (*merged, *(term for term in terms if isinstance(term, LinearTerm)))


def total(values: Iterable[Value]) -> tuple[tuple[Term, ...], FloatArray | None]:
    """Return the terms and the bias of a sum of values of one shape."""
    terms: tuple[Term, ...] = ()
    bias = None
    for value in values:
        terms, bias = (*terms, *value.terms), combine(bias, value.bias)
    return merge_views(terms), bias


def _same_neurons(view: View, other: View) -> bool:
    return view.source == other.source and np.array_equal(view.index, other.index)


def gain_of(view: View) -> FloatArray:
    """Return the gain as an array."""
    return np.ones(view.index.shape) if view.gain is None else view.gain


def channel_gain(value: Value) -> FloatArray | None:
    """Return the one gain of each channel, (channels,), for a tensor of views; None if a channel has several."""
    low, high = np.full(value.shape[-1], np.inf), np.full(value.shape[-1], -np.inf)
    axes = tuple(range(len(value.shape) - 1))
    for view in value.views:
        real, gain = view.index >= 0, gain_of(view)
        low = np.minimum(low, np.where(real, gain, np.inf).min(axis=axes))
        high = np.maximum(high, np.where(real, gain, -np.inf).max(axis=axes))
    # A channel without neurons is zero whatever its gain.
    unused = high == -np.inf
    return np.where(unused, 1.0, high) if np.all(unused | (low == high)) else None


def channel_bias(value: Value) -> FloatArray | None:
    """Return the one bias of each channel, (channels,); None if a channel has several."""
    if value.bias is None:
        return np.zeros(value.shape[-1])
    flat = value.bias.reshape(-1, value.shape[-1])
    return flat[0] if np.all(flat == flat[0]) else None


# --- moving elements ------------------------------------------------------------------------------------------------


def reindex(value: Value, index: IntArray, label: str) -> Value:
    """Return the tensor whose elements are those of `value` at `index` (flat), zero where the index is -1.

    Raises
    ------
    NoOneMapError
        If this drops outputs of a linear map.
    """
    real = index >= 0
    terms = tuple(
        _reindex_view(term, index, real) if isinstance(term, View) else _reindex_linear(term, value, index, label)
        for term in value.terms
    )
    bias = None if value.bias is None else np.where(real, value.bias.ravel()[index], 0.0)
    return replace(value, shape=index.shape, terms=terms, bias=bias)


def dilated(index: IntArray, factors: tuple[int, ...]) -> IntArray:
    """Return an index with places of constant zeros between its elements, ``factor - 1`` along each axis."""
    spread = np.full([(n - 1) * factor + 1 for n, factor in zip(index.shape, factors, strict=True)], -1, np.int32)
    spread[tuple(slice(None, None, factor) for factor in factors)] = index
    return spread


def as_image(value: Value, label: str) -> Value:
    """Return a tensor of rows and channels with a single column, and any other as it is."""
    if len(value.shape) != 2:
        return value
    rows, channels = value.shape
    return reindex(value, positions((rows, 1, channels)), label)


def _reindex_view(view: View, index: IntArray, real: NDArray[np.bool_]) -> View:
    neurons = np.where(real, view.index.ravel()[index], np.int32(-1)).astype(np.int32)
    return replace(view, index=neurons, gain=None if view.gain is None else view.gain.ravel()[index])


def _reindex_linear(term: LinearTerm, value: Value, index: IntArray, label: str) -> LinearTerm:
    n_old = int(np.prod(value.shape))
    if np.array_equal(index.ravel(), np.arange(n_old)):
        return term
    flat = index.ravel()
    new_position = np.full(n_old, -1, dtype=np.int32)
    new_position[flat[flat >= 0]] = np.flatnonzero(flat >= 0)
    target = new_position if term.target_index is None else new_position[term.target_index]
    if np.any(target < 0):
        raise NoOneMapError(
            f"{label}: it cuts away outputs of {value.linear_layer}, which has no ReLU in between; put the cropping "
            "after the activation."
        )
    return replace(term, target_index=target)


# --- scaling --------------------------------------------------------------------------------------------------------


def scale_shift(value: Value, gain: FloatArray, shift: FloatArray, label: str) -> Value:
    """Return ``value * gain + shift``; both arrays broadcast to the tensor's shape."""
    gain, shift = np.broadcast_to(gain, value.shape), np.broadcast_to(shift, value.shape)
    terms = value.terms
    if np.any(gain != 1.0):
        terms = tuple(scale_term(term, gain, label) for term in terms)
    bias = None if value.bias is None else value.bias * gain
    return replace(value, terms=terms, bias=combine(bias, shift if np.any(shift) else None), scaling_layer=label)


def scale_term(term: Term, gain: FloatArray, label: str) -> Term:
    """Return a term times a gain of the tensor's shape."""
    if isinstance(term, View):
        return replace(term, gain=gain if term.gain is None else term.gain * gain)
    flat = gain.ravel() if term.target_index is None else gain.ravel()[term.target_index]
    per_output = flat.reshape(term.geometry.output_shape)
    return replace(term, weights=scale_outputs(term.geometry, term.kernel, per_output, label))


def scale_outputs(geometry: Geometry, weights: FloatArray, gain: FloatArray, label: str) -> FloatArray:
    """Return the weights of a map whose outputs are multiplied by a gain of ``geometry.output_shape``."""
    if geometry.kind not in ("conv2d", "depthwise"):
        return weights * gain
    if np.any(gain != gain[0, 0]):
        raise NoOneMapError(f"{label}: it scales the rows or columns of a convolution apart, which no kernel can do.")
    if geometry.kind == "depthwise":
        return weights * gain[0, 0].reshape(geometry.input_shape[2], -1)
    return weights * gain[0, 0]

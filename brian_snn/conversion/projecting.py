"""Linear maps of views: from a layer's kernel and the neurons it reads to the geometry and weights of a projection.

A view may cover only some channels of a tensor (one branch of a concatenation) or only its middle (zero padding around
it). The map is cut down to what is there: unused channels leave the kernel, empty rows and columns become padding.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray, IntArray
from brian_snn.conversion.affine import LinearTerm, View, source_index
from brian_snn.errors import ModelError
from brian_snn.frontends.layer_graph import LayerNode
from brian_snn.network.maps import output_length, same_padding
from brian_snn.network.records import Geometry, GeometryKind, Pair


def window_geometry(node: LayerNode, kind: GeometryKind, input_shape: tuple[int, ...], n_out: int) -> Geometry:
    """Return the geometry of a convolution or pooling layer on a whole tensor, its padding resolved."""
    parameters = node.parameters
    if "kernel" in parameters:
        kernel = parameters["kernel"].shape[:2]
    else:
        kernel = parameters["pool_size"] or input_shape[:2]
    dilation = parameters.get("dilation", (1, 1))
    strides = parameters["strides"] or kernel
    along = list(zip(input_shape[:2], kernel, strides, dilation, strict=True))
    given = parameters["padding"]
    if isinstance(given, str):
        given = [same_padding(*axis) if given == "same" else (0, 0) for axis in along]
    padding = (given[0], given[1])
    lengths = tuple(output_length(*axis, pad) for axis, pad in zip(along, padding, strict=True))
    if min(lengths) < 1:
        raise ModelError(f"{node.label}: its window of {kernel} does not fit into an input of shape {input_shape}.")
    geometry = Geometry(
        kind,
        tuple(input_shape),
        (*lengths, n_out),
        tuple(kernel),
        tuple(strides),
        tuple(dilation),
        padding,
        parameters.get("groups", 1),
    )
    return replace(geometry, padding=tight_padding(geometry))


def tight_padding(geometry: Geometry) -> tuple[Pair, Pair]:
    """Return the padding without what no window reaches, below and on the right."""
    first, second = (
        (before, max(0, reached - n_in - before))
        for n_in, reached, (before, _) in zip(geometry.input_shape[:2], geometry.extent, geometry.padding, strict=True)
    )
    return first, second


def project_dense(view: View, weights: FloatArray) -> LinearTerm | None:
    """Return the dense map of a flat view, without the rows of constant zeros; None if nothing is left."""
    flat = view.index.ravel()
    real = flat >= 0
    if not real.any():
        return None
    if view.gain is not None:
        weights = weights * view.gain.ravel()[:, None]
    geometry = Geometry("dense", (int(real.sum()),), (weights.shape[1],))
    neurons = source_index(flat[real], view.source_size)
    return LinearTerm(view.source, view.source_size, geometry, weights[real], neurons)


def project_window(view: View, geometry: Geometry, weights: FloatArray | None, label: str) -> LinearTerm | None:
    """Return a sliding map of a view, cut down to the neurons that are there; None if there are none.

    Parameters
    ----------
    view : View
        Of shape ``geometry.input_shape``; its gain is folded into the weights.
    geometry : Geometry
        On the whole tensor.
    weights : float array of ``geometry.weights_shape``, or None
        None for max pooling, which takes views without a gain.
    label : str
        The layer, for error messages.

    Raises
    ------
    ModelError
        If the gain differs between the rows or columns of a channel.
    """
    real = view.index >= 0
    if not real.any():
        return None
    if view.gain is not None and weights is not None:
        weights = scale_inputs(geometry, weights, view.gain, real, label)
    used = np.flatnonzero(real.any(axis=(0, 1))).astype(np.int32)
    rows, columns = np.flatnonzero(real.any(axis=(1, 2))), np.flatnonzero(real.any(axis=(0, 2)))
    geometry, weights, channels, target = _select_channels(geometry, weights, used)
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    index = view.index[box][..., channels]
    (top, bottom), (left, right) = geometry.padding
    height, width = view.index.shape[:2]
    geometry = replace(
        geometry,
        input_shape=index.shape,
        padding=(
            (top + int(rows[0]), bottom + height - 1 - int(rows[-1])),
            (left + int(columns[0]), right + width - 1 - int(columns[-1])),
        ),
    )
    geometry = replace(geometry, padding=tight_padding(geometry))
    neurons = source_index(index, view.source_size)
    return LinearTerm(view.source, view.source_size, geometry, weights, neurons, target)


def scale_inputs(
    geometry: Geometry, weights: FloatArray, gain: FloatArray, real: NDArray[np.bool_], label: str
) -> FloatArray:
    """Return the weights that do for plain inputs what `weights` do for inputs times a gain.

    Parameters
    ----------
    geometry : Geometry
        Of the map.
    weights : float array of ``geometry.weights_shape``
        Of the map.
    gain : float array of ``geometry.input_shape``
        One factor per input.
    real : bool array of ``geometry.input_shape``
        Whether there is a neuron behind the input; the gain of the others does not matter.
    label : str
        The layer, for error messages.

    Raises
    ------
    ModelError
        If a convolution or average meets different gains within a channel.
    """
    if geometry.kind == "dense":
        return weights * gain.ravel()[:, None]
    if geometry.kind == "identity":
        return weights * gain
    low = np.where(real, gain, np.inf).min(axis=(0, 1))
    high = np.where(real, gain, -np.inf).max(axis=(0, 1))
    if np.any(np.isfinite(low) & (low != high)):
        raise ModelError(
            f"{label}: its input is scaled differently across rows or columns (by a normalisation of single rows, "
            "columns or pixels, or one before a Reshape or Permute), which no kernel can do."
        )
    channel_gain = np.where(np.isfinite(low), low, 1.0)
    if geometry.kind == "depthwise":
        return weights * channel_gain[:, None]
    if geometry.kind == "conv2d":
        per_group = channel_gain.reshape(geometry.groups, -1).T
        return weights * np.repeat(per_group, geometry.output_shape[2] // geometry.groups, axis=1)
    return weights * channel_gain


def _select_channels(
    geometry: Geometry, weights: FloatArray | None, channels: IntArray
) -> tuple[Geometry, FloatArray | None, IntArray, IntArray | None]:
    """Keep the input channels named, whole groups of them: geometry, weights, channels kept, target index."""
    n_in, n_out = geometry.input_shape[2], geometry.output_shape[2]
    if len(channels) == n_in:
        return geometry, weights, channels, None
    if geometry.kind == "conv2d" and geometry.groups == 1:
        return geometry, None if weights is None else weights[:, :, channels], channels, None
    n_groups = geometry.groups if geometry.kind == "conv2d" else n_in
    groups = np.unique(channels // (n_in // n_groups))
    channels = _members(groups, n_in // n_groups)
    outputs = _members(groups, n_out // n_groups)
    every = np.arange(geometry.n_out, dtype=np.int32).reshape(geometry.output_shape)
    target = None if len(outputs) == n_out else every[..., outputs].ravel()
    if weights is not None:
        weights = weights[:, :, channels] if geometry.kind == "depthwise" else weights[..., outputs]
    kept = replace(
        geometry,
        output_shape=(*geometry.output_shape[:2], len(outputs)),
        groups=len(groups) if geometry.kind == "conv2d" else 1,
    )
    return kept, weights, channels, target


def _members(groups: IntArray, size: int) -> IntArray:
    """Return the channels of some groups of `size` channels each."""
    return (groups[:, None] * size + np.arange(size)).ravel()


def identity_term(view: View) -> LinearTerm:
    """Return the projection that carries a view neuron by neuron, its gain as the weights."""
    real = view.index >= 0
    gain = np.ones(view.index.shape) if view.gain is None else np.array(view.gain)
    if real.all():
        geometry = Geometry("identity", view.index.shape, view.index.shape)
        return LinearTerm(view.source, view.source_size, geometry, gain, source_index(view.index, view.source_size))
    shape = (int(real.sum()),)
    neurons, target = view.index[real], np.flatnonzero(real.ravel()).astype(np.int32)
    return LinearTerm(view.source, view.source_size, Geometry("identity", shape, shape), gain[real], neurons, target)

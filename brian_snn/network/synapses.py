"""The synapses of linear maps: how many there are, and which neuron reaches which.

Every map but max pooling is a grouped convolution: a dense layer is one with a 1x1 image, a depthwise convolution and
an average have one group per channel, an identity has a 1x1 kernel too. So one enumeration serves them all.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import IntArray
from brian_snn.errors import ModelError, SettingError
from brian_snn.network.maps import Wiring, grouped
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Projection
from brian_snn.network.validity import MOST_ELEMENTS
from brian_snn.settings import Settings


def _axis_pairs(geometry: Geometry, axis: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return (input position, window, kernel element) of all that meet along an axis, by position, then window."""
    if not geometry.is_window:
        return (np.zeros(1, np.int32),) * 3
    n_elements = geometry.kernel_size[axis]
    pairs = np.arange(geometry.output_shape[axis] * n_elements, dtype=np.int32)
    window, element = np.divmod(pairs, np.int32(n_elements))
    place = window * np.int64(geometry.strides[axis]) + element * np.int64(geometry.dilation[axis])
    place -= geometry.padding[axis][0]
    meets = (place >= 0) & (place < geometry.input_shape[axis])
    position, window, element = place[meets].astype(np.int32), window[meets], element[meets]
    # Stable: the windows of a position stay in order.
    order = np.argsort(position, kind="stable")
    return position[order], window[order], element[order]


def _axis_counts(geometry: Geometry, axis: int) -> NDArray[np.int64]:
    """Return how many windows each input position along an axis lies in, where the kernel has an element."""
    n_positions = geometry.input_shape[axis] if geometry.is_window else 1
    return np.bincount(_axis_pairs(geometry, axis)[0], minlength=n_positions)


def fan_out(projection: Wiring, n_source: int) -> NDArray[np.int64]:
    """Return the number of synapses that leave each neuron of the source, (n_source,) int array."""
    shape = grouped(projection.geometry)
    rows, columns = (_axis_counts(projection.geometry, axis) for axis in (0, 1))
    per_channel = shape.output_shape[2] // shape.groups
    counts = np.repeat(np.outer(rows, columns).ravel() * per_channel, shape.input_shape[2])
    result = np.zeros(n_source, np.int64)
    if projection.source_index is None:
        result[: len(counts)] = counts
    else:
        real = projection.source_index >= 0
        result[projection.source_index[real]] = counts[real]
    return result


def fan_in(projection: Wiring, n_target: int) -> NDArray[np.int64]:
    """Return the number of synapses that end at each neuron of the target, (n_target,) int array."""
    geometry, shape = projection.geometry, grouped(projection.geometry)
    height, width, n_in = shape.input_shape
    inputs: NDArray[np.int64]
    if projection.source_index is None:
        # Every position and group has as many.
        inputs = np.full((height, width, 1), n_in // shape.groups, np.int64)
    else:
        real = (projection.source_index >= 0).reshape(height, width, shape.groups, n_in // shape.groups)
        inputs = np.sum(real, axis=-1)
    # Rows, then columns, each time with the axis that was summed behind the other.
    for axis in (0, 1):
        position, window, _ = _axis_pairs(geometry, axis)
        sums = np.zeros((shape.output_shape[axis], *inputs.shape[1:]), np.int64)
        np.add.at(sums, window, inputs[position])
        inputs = np.swapaxes(sums, 0, 1)
    counts = np.repeat(inputs, shape.output_shape[2] // inputs.shape[2], axis=2).ravel()
    result = np.zeros(n_target, np.int64)
    result[slice(len(counts)) if projection.target_index is None else projection.target_index] = counts
    return result


def total_fan_out(network: Network, name: str) -> NDArray[np.int64]:
    """Return the number of synapses that leave each neuron of a population, over all projections, (size,)."""
    size = network[name].size
    return sum((fan_out(p, size) for p in network.out_of(name)), start=np.zeros(size, np.int64))


def n_synapses(network: Network, projection: Projection) -> int:
    """Return the number of synapses of a projection; for one from the image, of its multiply-adds."""
    source, geometry = projection.source, projection.geometry
    if projection.source_index is None:
        shape = grouped(geometry)
        meetings = prod(int(_axis_counts(geometry, axis).sum()) for axis in (0, 1))
        return meetings * shape.input_shape[2] * (shape.output_shape[2] // shape.groups)
    n_source = prod(network.input_shape) if source is INPUT else network[source].size
    return int(fan_out(projection, n_source).sum())


def _meetings(geometry: Geometry) -> tuple[IntArray, IntArray, IntArray]:
    """Return (input position, window, kernel element) of all that meet, ordered by position, then window."""
    row, row_window, i = (a[:, None] for a in _axis_pairs(geometry, 0))
    column, column_window, j = _axis_pairs(geometry, 1)
    shape, n_elements = grouped(geometry), geometry.kernel_size[1]
    position = (row * np.int32(shape.input_shape[1]) + column).ravel()
    window = (row_window * np.int32(shape.output_shape[1]) + column_window).ravel()
    element = (i * np.int32(n_elements) + j).ravel()
    # They come by row and its window first; stable, so that the windows of a position stay in order.
    order = np.argsort(position, kind="stable")
    return position[order], window[order], element[order]


def _repeat_per_channel(position: IntArray, n_positions: int, n_channels: int) -> tuple[IntArray, IntArray]:
    """Return (meeting, channel) for every channel of every position, ordered by position, channel, meeting."""
    counts = np.bincount(position, minlength=n_positions)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    lengths = np.repeat(counts, n_channels)
    ends = np.cumsum(lengths)
    shift = np.repeat(starts, n_channels) - (ends - lengths)
    meeting = np.arange(ends[-1], dtype=np.int64) + np.repeat(shift, lengths)
    channel = np.repeat(np.tile(np.arange(n_channels, dtype=np.int32), n_positions), lengths)
    return meeting.astype(np.int32), channel


def _map_synapses(geometry: Geometry) -> tuple[IntArray, IntArray, IntArray]:
    """Return (input, output, weight index) of every synapse of a map, ordered by input, then output."""
    shape = grouped(geometry)
    height, width, n_in = shape.input_shape
    n_out, per_channel = shape.output_shape[2], shape.output_shape[2] // shape.groups
    in_group = n_in // shape.groups
    position, window, tap = _meetings(geometry)
    meeting, channel = _repeat_per_channel(position, height * width, n_in)
    offset = np.arange(per_channel, dtype=np.int32)[None, :]
    out_channel = (channel // np.int32(in_group) * np.int32(per_channel))[:, None] + offset
    pre = np.repeat(position[meeting] * np.int32(n_in) + channel, per_channel)
    post = ((window[meeting] * np.int32(n_out))[:, None] + out_channel).ravel()
    if geometry.kind in ("average_pool", "max_pool"):
        return pre, post, post
    row = tap[meeting] * np.int32(in_group) + channel % np.int32(in_group)
    # One weight per element: a diagonal matrix is stored as its diagonal.
    index = pre if geometry.kind == "identity" else ((row * np.int32(n_out))[:, None] + out_channel).ravel()
    return pre, post, index


def synapses(projection: Wiring, n_source: int) -> tuple[IntArray, IntArray, IntArray | None]:
    """List the synapses of a projection.

    Padding and constant zeros make no synapse. The lists are made in order; only a projection whose indices run
    against the order of the neurons is sorted afterwards.

    Parameters
    ----------
    projection : Projection, or what else has its wiring
        From a population or from the image.
    n_source : int
        Number of neurons of the source, against which the indices are checked.

    Returns
    -------
    pre, post : (n_synapses,) int array
        Flat index of the source and of the target neuron, ordered by `pre`, then `post`.
    weight_index : (n_synapses,) int array, or None
        Position in its ``weights.ravel()``; None for max pooling.

    Raises
    ------
    ModelError
        If the projection names a source neuron that does not exist.
    """
    pre, post, index = _map_synapses(projection.geometry)
    if projection.source_index is not None:
        pre = projection.source_index[pre]
        real = pre >= 0
        pre, post, index = (a[real] for a in (pre, post, index)) if not real.all() else (pre, post, index)
    if projection.target_index is not None:
        post = projection.target_index[post]
    if len(pre) and pre.max() >= n_source:
        raise ModelError(
            f"a {projection.geometry.kind} map reads neuron {pre.max()}; its source has {n_source} neurons."
        )
    key = pre.astype(np.int64) * (int(post.max(initial=0)) + 1) + post
    if np.any(key[1:] < key[:-1]):
        order = np.argsort(key, kind="stable")
        pre, post, index = pre[order], post[order], index[order]
    return pre, post, None if projection.geometry.kind == "max_pool" else index


#: ``projection="auto"`` uses explicit synapses up to this many; beyond, shared kernels start and run faster.
AUTO_LIMIT = 100_000


def uses_shared_kernels(network: Network, settings: Settings) -> bool:
    """Return whether spikes travel through shared kernels: on request, or where ``auto`` finds too many synapses.

    Raises
    ------
    SettingError
        If explicit synapses were asked for, and a projection has more than can be numbered.
    """
    if settings.projection == "shared":
        return True
    counts = [n_synapses(network, p) for p in network.projections if p.source != INPUT]
    if settings.projection == "auto":
        return sum(counts) > AUTO_LIMIT
    if max(counts, default=0) > MOST_ELEMENTS:
        raise SettingError(
            f"projection is {settings.projection!r}: a projection has {max(counts)} synapses, and up to 2**31 are "
            "numbered; use 'shared' or 'auto'."
        )
    return False

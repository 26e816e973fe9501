"""What other simulators do to the weights of a network: pooling, the order of a flattened map, few bits.

Each change is a function from a network to another one on no grid, and a line of `CHANGES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, log2, prod

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Projection

Map = Callable[[Network, Projection], Projection]


@dataclass(frozen=True)
class Change:
    """A change of the weights, projection by projection.

    Parameters
    ----------
    of : callable
        From the network and a projection to another projection; itself where nothing changes.
    family : str
        Of two changes of a family only one is made.
    """

    of: Map
    family: str

    def applies(self, network: Network) -> bool:
        """Whether some projection changes."""
        return any(self.of(network, p) is not p for p in network.projections)

    def network(self, network: Network) -> Network:
        """Return the network with its weights changed; it is on no grid any more."""
        return replace(network, projections=tuple(self.of(network, p) for p in network.projections), grid=0.0)


def _scaled(projection: Projection, factor: float) -> Projection:
    """Return a projection with its weights times a number."""
    if factor == 1 or projection.weights is None:
        return projection
    return replace(projection, weights=projection.weights * factor)


def window_area(network: Network, projection: Projection) -> int:
    """Return how many inputs an average stands for: a pooling, or one that was composed into the weights; 1 for none.

    An average of windows without overlap in front of a linear map makes blocks of equal weights.
    """
    geometry, weights = projection.geometry, projection.weights
    if geometry.kind == "average_pool":
        return prod(geometry.kernel_size)
    if weights is None:
        return 1
    if geometry.kind == "conv2d" and min(geometry.strides) > 1 and geometry.dilation == (1, 1):
        return _block(weights, geometry.strides)
    shape = network.input_shape if projection.source == INPUT else network[projection.sender].shape
    if (
        geometry.kind == "dense"
        and len(shape) == 3
        and prod(shape) == geometry.n_in
        and projection.source_index is None
    ):
        kernel = weights.reshape(*shape, -1)
        return next((area for size in (4, 3, 2) if (area := _block(kernel, (size, size))) > 1), 1)
    return 1


def _block(kernel: FloatArray, size: tuple[int, int]) -> int:
    """Return the area of blocks of that size if the kernel, (rows, columns, ...), is constant in each; else 1."""
    rows, columns = kernel.shape[:2]
    if rows % size[0] or columns % size[1] or not np.ptp(kernel):
        return 1
    blocks = kernel.reshape(rows // size[0], size[0], columns // size[1], size[1], *kernel.shape[2:])
    return prod(size) if np.array_equal(blocks, np.broadcast_to(blocks[:, :1, :, :1], blocks.shape)) else 1


def _sum_for_average(network: Network, projection: Projection) -> Projection:
    return _scaled(projection, window_area(network, projection))


def _average_for_sum(network: Network, projection: Projection) -> Projection:
    geometry, weights = projection.geometry, projection.weights
    if geometry.kind == "depthwise" and weights is not None and weights.size and not np.ptp(weights):
        return _scaled(projection, 1 / prod(geometry.kernel_size))
    return _scaled(projection, 1 / window_area(network, projection))


def channels_first(shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Return the number that each element of a shape, channels last, has in the order with the channels first."""
    first = np.arange(prod(shape)).reshape(shape[-1], *shape[:-1])
    return np.moveaxis(first, 0, -1).ravel()


def _reordered(network: Network, projection: Projection, inverse: bool) -> Projection:
    """Return a dense map whose rows meet the elements of the source in the other order of flattening."""
    geometry, weights = projection.geometry, projection.weights
    shape = network.input_shape if projection.source == INPUT else network[projection.sender].shape
    if geometry.kind != "dense" or weights is None or len(shape) < 2 or geometry.n_in != prod(shape):
        return projection
    order = channels_first(shape)
    if np.array_equal(order, np.arange(len(order))):
        return projection
    index = projection.source_index
    if index is not None:
        if (index < 0).any():
            return projection
        weights = weights[np.argsort(index)]
    rows = weights[np.argsort(order) if inverse else order]
    return replace(projection, weights=rows, source_index=None)


def _of_bits(network: Network, projection: Projection, bits: int, power: bool) -> Projection:
    """Return weights as whole multiples of a step: the largest has all bits, or the step is a power of two."""
    weights = projection.weights
    largest = 0.0 if weights is None else float(np.abs(weights).max(initial=0.0))
    if weights is None or not largest or projection.geometry.kind == "average_pool":
        return projection
    most = 2 ** (bits - 1) - 1
    step = 2.0 ** ceil(log2(largest / most)) if power else largest / most
    rounded = np.clip(np.round(weights / step), -most - 1, most) * step
    return projection if np.array_equal(rounded, weights) else replace(projection, weights=rounded)


def _of_float16(network: Network, projection: Projection) -> Projection:
    if projection.weights is None:
        return projection
    with np.errstate(over="ignore"):
        rounded = projection.weights.astype(np.float16).astype(np.float64)
    same = np.array_equal(rounded, projection.weights) or not np.isfinite(rounded).all()
    return projection if same else replace(projection, weights=rounded)


#: Changes by the name of the rule.
CHANGES: dict[str, Change] = {
    "average pooling as a sum": Change(_sum_for_average, "pooling"),
    "sum pooling as an average": Change(_average_for_sum, "pooling"),
    "flattened channels first": Change(partial(_reordered, inverse=False), "flatten"),
    "rows of a channels-first model, flattened channels last": Change(partial(_reordered, inverse=True), "flatten"),
    "weights in float16": Change(_of_float16, "bits"),
    **{f"weights of {b} bits": Change(partial(_of_bits, bits=b, power=False), "bits") for b in range(8, 1, -1)},
    **{
        f"weights of {b} bits, step a power of two": Change(partial(_of_bits, bits=b, power=True), "bits")
        for b in range(8, 1, -1)
    },
}

"""Tensors of an ONNX model as those of neutral nodes: which axis of the one is which axis of the other.

ONNX puts channels first and has a batch axis; neutral nodes have them last and have none. So a tensor is a node and an
order of axes: a transposition changes the order and moves nothing, and the image stays as the model takes it. Only
where the order of the elements itself matters, as in a reshaping, is there a permutation.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from brian_snn.arrays import FloatArray

Shape = tuple[int, ...]

#: Stands in an order where the batch axis is.
BATCH = -1


@dataclass(frozen=True)
class Tensor:
    """A tensor of an ONNX model.

    Parameters
    ----------
    node : int
        Position of the neutral node.
    shape : tuple of int
        In ONNX, with the batch axis.
    order : tuple of int
        For each axis in ONNX the axis of the node, or `BATCH`.
    """

    node: int
    shape: Shape
    order: tuple[int, ...]

    @property
    def rank(self) -> int:
        """Number of axes, the batch axis included."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements for one image."""
        return prod(self.node_shape)

    @property
    def node_shape(self) -> Shape:
        """Shape of the node's output."""
        return shape_in_order(self.shape, self.order)

    @property
    def starts_with_batch(self) -> bool:
        """Whether the batch axis is the first one."""
        return self.order[:1] == (BATCH,)


def plain_order(rank: int) -> tuple[int, ...]:
    """Return the order in which a node has the axes as ONNX has them."""
    return (BATCH, *range(rank - 1))


def channels_last_order(rank: int, channel: int = 1) -> tuple[int, ...]:
    """Return the order in which a node has a channel axis last, and the others as ONNX has them."""
    others = iter(range(rank - 2))
    return tuple(BATCH if axis == 0 else rank - 2 if axis == channel else next(others) for axis in range(rank))


def shape_in_order(shape: Shape, order: tuple[int, ...]) -> Shape:
    """Return the shape of a node, from that of a tensor and the order of its axes."""
    return tuple(shape[axis] for axis in onnx_axes(order))


def onnx_axes(order: tuple[int, ...]) -> tuple[int, ...]:
    """Return for each axis of a node the axis in ONNX."""
    return tuple(sorted((axis for axis, own in enumerate(order) if own != BATCH), key=lambda axis: order[axis]))


def in_node_order(values: FloatArray, order: tuple[int, ...]) -> FloatArray:
    """Return values with a batch axis, as ONNX computes them, as (n_images, *shape of the node)."""
    return values.transpose(order.index(BATCH), *onnx_axes(order))


def constant_in_order(values: FloatArray, tensor: Tensor) -> FloatArray | None:
    """Return a constant that ONNX broadcasts to a tensor as one that broadcasts to the node's shape.

    It is a number, or one number per element of the last axis, where that is all it says. None if it does not
    broadcast, or differs from image to image.
    """
    if values.ndim > tensor.rank:
        return None
    full = values.reshape((1,) * (tensor.rank - values.ndim) + values.shape)
    if any(own not in (1, there) for own, there in zip(full.shape, tensor.shape, strict=True)):
        return None
    batch = tensor.order.index(BATCH)
    if full.shape[batch] != 1:
        return None
    moved = np.take(full.transpose(batch, *onnx_axes(tensor.order)), 0, axis=0)
    if moved.size == 1:
        return moved.reshape(())
    return moved.reshape(-1) if set(moved.shape[:-1]) <= {1} else moved

"""How large a model may become: a few bytes of a configuration can ask for any size of image, window or padding."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from brian_snn.errors import ModelError
from brian_snn.frontends.layer_graph import LayerNode

#: Numbers in one tensor of one image, and in all tensors together. A tensor of Inception-V3 has 1.4 million at most.
_MOST, _MOST_IN_ALL = 2**26, 2**30

#: Multiplications and comparisons for one image, in all. Inception-V3 has 5.7 billion; 2**42 take a machine hours.
_MOST_OPERATIONS = 2**42

#: Places of a window of which most are outside of the input.
_MOST_BEYOND = 2**12


def check_sizes(nodes: Sequence[LayerNode]) -> None:
    """Raise ModelError at the first node of a model whose tensors no machine simulates, before any of them is made."""
    in_all = operations = 0
    for node in nodes:
        operations += _operations(node, nodes)
        if operations > _MOST_OPERATIONS:
            raise ModelError(
                f"{node.label}: with shape {node.output_shape} the model takes {operations:,} operations for one "
                f"image; {_MOST_OPERATIONS:,} can be converted, so build it with smaller kernels or images."
            )
        shapes = [node.output_shape, *(_padded(node, nodes[i].output_shape) for i in node.inputs)]
        largest = max(shapes, key=prod)
        in_all += prod(largest)
        if prod(largest) > _MOST or in_all > _MOST_IN_ALL:
            raise ModelError(
                f"{node.label}: with shape {largest} the model has {in_all:,} numbers for one image; {_MOST:,} in one "
                f"layer and {_MOST_IN_ALL:,} in all can be converted, so build it for smaller images."
            )


def _operations(node: LayerNode, nodes: Sequence[LayerNode]) -> int:
    """Return how many numbers a layer multiplies with its weights, or compares, for one image."""
    if "kernel" in node.parameters:
        return prod(node.output_shape[:-1]) * int(node.parameters["kernel"].size)
    if "pool_size" in node.parameters:
        window = node.parameters["pool_size"] or nodes[node.inputs[0]].output_shape[:2]
        return prod(node.output_shape) * prod(window)
    return 0


def _padded(node: LayerNode, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of an input with the padding that a window calls for."""
    parameters = node.parameters
    padding = parameters.get("padding", "valid")
    if padding == "valid" or len(shape) < 2:
        return shape
    kernel = parameters["kernel"].shape[:2] if "kernel" in parameters else parameters["pool_size"] or (1, 1)
    dilation = parameters.get("dilation", (1, 1))
    extent = tuple((length - 1) * step + 1 for length, step in zip(kernel, dilation, strict=True))
    # A window that covers the whole input wherever it stands is one over everything. Small images have such windows.
    beyond = any(e > 2 * n for e, n in zip(extent, shape, strict=False))
    if "kernel" not in parameters and beyond and prod(extent) > _MOST_BEYOND:
        raise ModelError(
            f"{node.label}: its window of {kernel} is more than twice its input of shape {shape}; use the global "
            "pooling of the same kind."
        )
    around = [e - 1 for e in extent] if padding == "same" else [sum(pair) for pair in padding]
    along = tuple(n + more for n, more in zip(shape, around, strict=False))
    return (*along, *shape[2:])

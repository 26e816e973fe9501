"""A model as neutral records: what a front end reads and `brian_snn.conversion.fold` takes.

A layer with a fused activation is two nodes. Shapes and axes leave out the batch axis; kernels have the layouts of
`brian_snn.network.records`. The operations and their parameters:

=============== ====================================================================================================
input
dense           kernel, bias
conv2d          kernel, bias, strides, padding ("same", "valid", or places before and behind rows and columns, which
                count nothing), dilation, groups
depthwise       kernel, bias, strides, padding, dilation
affine          gain, shift: arrays that broadcast to the input's shape
relu            ceiling (None if there is none), levels (where it takes so many positive values only, up to the ceiling)
neurons         kind ("spiking" or "readout"), leak (1 - beta), threshold: those of a spiking network, whatever
                reaches them
leaky           slope below zero: a number, or an array that broadcasts to the input's shape
softmax         and log_softmax, sigmoid, tanh: at the end of a model
max_pool        pool_size (None for all rows and columns), strides, padding
average_pool    the same
reshape         the new shape is `LayerNode.output_shape`
permute         axes
flip            axes
pad, crop       margins: (before, after) per axis
dilate          factors: per axis, one less than which zeros come between elements
take            axis, order: the elements of that axis that are kept, in their new order
upsample        factors, interpolation ("nearest" or "bilinear"): along rows and columns, or the first axis of two
concatenate     axis
add             coefficients, one per input
identity
unreadable      what cannot be converted: the node carries its error
=============== ====================================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from brian_snn.errors import ModelError
from brian_snn.inputs import Inputs
from brian_snn.network.records import LayerPath


@dataclass(frozen=True, eq=False)
class LayerNode:
    """One operation of a model.

    Parameters
    ----------
    name, class_name : str
        Of the layer, as its framework calls it.
    path : LayerPath
        Where the layer is called.
    operation : str
        What it does, from the table above.
    parameters : dict
        Numbers and float64 arrays, from the table above.
    inputs : tuple of int
        Positions of the nodes that it reads, in `LayerGraph.nodes`.
    output_shape : tuple of int
        Without the batch axis.
    error : ModelError, optional
        Why it cannot be converted, which is raised if it is needed.
    """

    name: str
    class_name: str
    path: LayerPath
    operation: str
    parameters: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[int, ...] = ()
    output_shape: tuple[int, ...] = ()
    error: ModelError | None = None

    @property
    def label(self) -> str:
        """The layer as error messages call it."""
        return f"layer {str(self.path)!r} ({self.class_name})" if self.path.names else "the image"


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """A model, which takes one image; those of several inputs are one vector (`brian_snn.inputs`).

    Parameters
    ----------
    name : str
        Of the model.
    nodes : tuple of LayerNode
        In topological order; the first is the image, the last an output.
    until : int, or None
        Position of the node whose neurons are the output, where only a part of a model was read; the nodes behind it
        lead to its ReLU. None for a whole model.
    outputs : tuple of int
        Positions of the nodes that are outputs, where there are several; none stands for the last one.
    inputs : tuple of (name, shape)
        Those of a model with several, each a crop of the first node and a reshape.
    """

    name: str
    nodes: tuple[LayerNode, ...]
    until: int | None = None
    outputs: tuple[int, ...] = ()
    inputs: Inputs = ()

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return self.nodes[0].output_shape

    def consumers(self, node: int) -> list[int]:
        """Return the positions of the nodes that read a node."""
        return [i for i, other in enumerate(self.nodes) if node in other.inputs]

    def readers(self, node: int) -> list[int]:
        """Return the positions of the nodes that depend on a node."""
        found: set[int] = {node}
        for i in range(node + 1, len(self.nodes)):
            if found.intersection(self.nodes[i].inputs):
                found.add(i)
        return sorted(found - {node})

    def require_readable(self) -> None:
        """Raise the error of the first node that cannot be converted."""
        for node in self.nodes:
            if node.error is not None:
                raise node.error

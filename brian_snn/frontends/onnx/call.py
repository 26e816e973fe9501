"""One node of an ONNX graph with its inputs, and the neutral nodes that are made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.errors import ModelError
from brian_snn.frontends.layer_graph import LayerNode
from brian_snn.frontends.onnx.tensors import (
    BATCH,
    Shape,
    Tensor,
    channels_last_order,
    onnx_axes,
    plain_order,
    shape_in_order,
)
from brian_snn.network.records import LayerPath

#: What a node reads: a tensor, a constant, or nothing where an input is left out.
Input = Tensor | NDArray[Any] | None


@dataclass(eq=False)
class Call:
    """A node of an ONNX graph while it is read.

    Parameters
    ----------
    name, op_type : str
        Of the node; one without a name is called after its output.
    path : LayerPath
        Of the neutral nodes.
    inputs : sequence of Tensor, array or None
        What it reads.
    attributes : dict
        Numbers, lists of numbers, texts (bytes) and arrays by name.
    opset : int
        The version of the operators.
    outputs : sequence of str
        Names of what it computes, empty where an output is left out.
    nodes : list of LayerNode
        All neutral nodes so far; those of this call are put behind.
    """

    name: str
    op_type: str
    path: LayerPath
    inputs: Sequence[Input]
    attributes: Mapping[str, Any]
    opset: int
    outputs: Sequence[str]
    nodes: list[LayerNode]
    _moved: int = field(default=0, init=False)

    @property
    def label(self) -> str:
        """The node as error messages call it."""
        return f"layer {str(self.path)!r} ({self.op_type})"

    def error(self, text: str) -> ModelError:
        """Return an error that names the node."""
        return ModelError(f"{self.label}: {text}")

    # --- inputs and attributes --------------------------------------------------------------------------------------

    def has(self, position: int) -> bool:
        """Whether there is an input."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def tensor(self, position: int = 0) -> Tensor:
        """Return an input that depends on the image."""
        found = self.inputs[position] if self.has(position) else None
        if not isinstance(found, Tensor):
            raise self.error(f"its input {position} is {'a constant' if self.has(position) else 'missing'}.")
        return found

    def constant(self, position: int, what: str) -> NDArray[Any]:
        """Return an input that does not depend on the image."""
        found = self.inputs[position] if self.has(position) else None
        if not isinstance(found, np.ndarray):
            state = "depends on the image" if self.has(position) else "is missing"
            raise self.error(f"its {what} {state}; only constants are converted.")
        return found

    def weights(self, position: int, what: str) -> FloatArray:
        """Return a constant as finite float64 numbers."""
        found = self.constant(position, what)
        if found.dtype.kind not in "biuf" and found.dtype.name != "bfloat16":
            raise self.error(f"its {what} is of type {found.dtype}, which is no real number.")
        values = found.astype(np.float64)
        if not np.isfinite(values).all():
            raise self.error(f"its {what} holds NaN or infinite numbers; load weights that are finite.")
        return values

    def integer(self, name: str, default: int) -> int:
        """Return an attribute that is a whole number."""
        value = self.attributes.get(name, default)
        if not isinstance(value, int):
            raise self.error(f"its attribute {name} is no whole number.")
        return value

    def number(self, name: str, default: float) -> float:
        """Return an attribute that is a number."""
        value = self.attributes.get(name, default)
        if not isinstance(value, int | float) or not np.isfinite(value):
            raise self.error(f"its attribute {name} is no finite number.")
        return float(value)

    def text(self, name: str, default: str) -> str:
        """Return an attribute that is a word."""
        value = self.attributes.get(name, default)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def integers(self, name: str, length: int, default: Sequence[int] | None, least: int = 0) -> tuple[int, ...]:
        """Return an attribute that is a list of `length` whole numbers, none below `least`."""
        value = self.attributes.get(name, default)
        fits = isinstance(value, list | tuple) and len(value) == length
        if not fits or not all(isinstance(number, int) and number >= least for number in value):
            raise self.error(f"its attribute {name} is {_shortened(value)}; {length} numbers were expected.")
        return tuple(int(number) for number in value)

    def indices(self, name: str, position: int | None, default: Sequence[int] | None = None) -> tuple[int, ...]:
        """Return whole numbers that are an attribute in old versions of an operator and an input in new ones."""
        value: Any = self.attributes.get(name, default)
        if position is not None and self.has(position):
            value = self.constant(position, name)
        if value is None:
            raise self.error(f"its {name} are missing.")
        array = np.asarray(value)
        if (array.dtype.kind not in "iu" and array.size) or array.size > 2**16:
            raise self.error(f"its {name} are no list of whole numbers.")
        return tuple(int(number) for number in array.ravel())

    def axes(self, axes: Sequence[int], rank: int) -> tuple[int, ...]:
        """Return axes counted from the first one, each once."""
        counted = tuple(axis + rank if axis < 0 else axis for axis in axes)
        if not all(0 <= axis < rank for axis in counted) or len(set(counted)) < len(counted):
            raise self.error(f"its axes {_shortened(axes)} are not those of a tensor with {rank}.")
        return counted

    # --- neutral nodes ----------------------------------------------------------------------------------------------

    def add(
        self,
        operation: str,
        parameters: dict[str, Any],
        inputs: Sequence[int],
        shape: Shape,
        path: LayerPath | None = None,
    ) -> int:
        """Add a neutral node, and return its position."""
        path = self.path if path is None else path
        self.nodes.append(LayerNode(self.name, self.op_type, path, operation, parameters, tuple(inputs), shape))
        return len(self.nodes) - 1

    def apply(
        self, operation: str, parameters: dict[str, Any], source: Tensor, shape: Shape, order: tuple[int, ...]
    ) -> Tensor:
        """Add a neutral node of one input; shape and order are those of the tensor that comes out."""
        return Tensor(self.add(operation, parameters, [source.node], shape_in_order(shape, order)), shape, order)

    def output(self, number: int) -> Call:
        """Return the call as that of one of several outputs, which has a path of its own."""
        return replace(self, path=LayerPath(self.path.names, self.path.use + number))

    def same(self, operation: str, parameters: dict[str, Any], source: Tensor) -> Tensor:
        """Add a neutral node that leaves shape and order as they are."""
        return self.apply(operation, parameters, source, source.shape, source.order)

    def in_order(self, source: Tensor, order: tuple[int, ...], own_path: bool = False) -> Tensor:
        """Return a tensor in another order of axes.

        With `own_path` the node that moves it does not belong to this one: the nodes of one path are a chain, which one
        of several inputs is not.
        """
        if source.order == order:
            return source
        if (source.order.index(BATCH), source.rank) != (order.index(BATCH), len(order)):
            raise self.error(
                "its input has the images along another axis than the first; export the model without that."
            )
        axes = tuple(source.order[axis] for axis in onnx_axes(order))
        long = [axis for axis in axes if source.node_shape[axis] > 1]
        # Axes of length 1 may move without anything else.
        operation, parameters = ("reshape", {}) if long == sorted(long) else ("permute", {"axes": axes})
        path = self.path
        if own_path:
            self._moved += 1
            path = LayerPath((f"{self.name} (input {self._moved} moved)",), self.path.use)
        shape = shape_in_order(source.shape, order)
        return Tensor(self.add(operation, parameters, [source.node], shape, path), source.shape, order)

    def channels_last(self, source: Tensor, channel: int = 1) -> Tensor:
        """Return a tensor whose node has the channels last."""
        return self.in_order(source, channels_last_order(source.rank, channel))

    def plain(self, source: Tensor) -> Tensor:
        """Return a tensor whose node has the axes as ONNX has them."""
        return self.in_order(source, plain_order(source.rank))

    def reshaped(self, source: Tensor, shape: Shape) -> Tensor:
        """Return a tensor of another shape, the same elements one after the other."""
        order = plain_order(len(shape))
        return self.apply("reshape", {}, self.plain(source), shape, order)


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."

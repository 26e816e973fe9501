"""What an ONNX model is made of: its input and output, its nodes in order, its constants.

A model may come from a stranger, so nothing is taken for granted: names that are defined twice or never, sizes that the
numbers do not fit, no input. Each is an error in one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import ModelError
from brian_snn.escaping import shown
from brian_snn.frontends.onnx.joined import images_of, joined
from brian_snn.frontends.onnx.library import import_onnx
from brian_snn.frontends.onnx.local_functions import texts, written_out
from brian_snn.frontends.onnx.tensors import Shape
from brian_snn.inputs import Inputs
from brian_snn.network.records import LayerPath

#: Domains of the operators that ONNX itself defines.
STANDARD = ("", "ai.onnx")

#: Nodes of a graph, its inputs, and axes of a tensor.
_MOST_NODES, _MOST_INPUTS, _MOST_AXES = 100_000, 64, 12


@dataclass(frozen=True, eq=False)
class Graph:
    """An ONNX model, with one input or its inputs joined to one.

    Parameters
    ----------
    model : onnx.ModelProto
        Of one input.
    inputs : tuple of (name, shape)
        Those that were joined; none of a model that has one.
    name : str
        Of the graph.
    nodes : tuple of NodeProto
        Those that lead to the output, each behind those that it reads.
    paths : tuple of LayerPath
        Of the nodes: names, and their number where several have one name.
    constants : dict of TensorProto
        By name: what is stored as weights.
    input : str
        Name of the tensor.
    outputs : tuple of str
        Names of the tensors, one or more.
    shape : tuple of int
        Of the input, with the batch axis.
    opset : int
        Version of the operators.
    """

    model: Any
    inputs: Inputs
    name: str
    nodes: tuple[Any, ...]
    paths: tuple[LayerPath, ...]
    constants: dict[str, Any]
    input: str
    outputs: tuple[str, ...]
    shape: Shape
    opset: int


def open_graph(model: Any, what: str = "the model") -> Graph:
    """Return what an ONNX model is made of.

    Parameters
    ----------
    model : onnx.ModelProto
        With its weights.
    what : str
        Begins the messages.

    Raises
    ------
    ModelError
        If it is no sound model.
    """
    check_texts(model, what)
    if len(model.graph.node) > _MOST_NODES:
        raise ModelError(f"{what}: it has {len(model.graph.node):,} nodes; {_MOST_NODES:,} at most are read.")
    if model.graph.sparse_initializer:
        raise ModelError(f"{what}: it stores weights as sparse tensors; save them as plain ones.")
    inputs, model = _joined(written_out(model, STANDARD, what), what)
    graph = model.graph
    constants: dict[str, Any] = {}
    for tensor in graph.initializer:
        if tensor.name in constants:
            raise ModelError(f"{what}: it holds the weights {shown(tensor.name)!r} twice.")
        check_tensor(tensor, what)
        constants[tensor.name] = tensor
    sources = [value for value in graph.input if value.name not in constants]
    if not sources:
        raise ModelError(f"{what}: it has no input for images.")
    (source,) = sources
    outputs = tuple(value.name for value in graph.output)
    if not outputs or len(set(outputs)) < len(outputs):
        raise ModelError(f"{what}: it has {len(outputs)} outputs; one was expected, or several of different names.")
    _check_names(graph, {source.name, *constants}, outputs, what)
    nodes = leading_to(graph.node, set(outputs))
    paths = tuple(_paths(nodes))
    return Graph(
        model,
        inputs,
        graph.name or "model",
        tuple(nodes),
        paths,
        constants,
        source.name,
        outputs,
        _shape(source, what),
        _opset(model, what),
    )


def _joined(model: Any, what: str) -> tuple[Inputs, Any]:
    """Return the inputs of a model, if it has several, and a model with one."""
    values = images_of(model)
    if len(values) < 2:
        return (), model
    if len({value.name for value in values}) < len(values):
        raise ModelError(f"{what}: two of its inputs have the same name; every tensor has one source.")
    if len(values) > _MOST_INPUTS:
        raise ModelError(f"{what}: it has {len(values)} inputs; up to {_MOST_INPUTS} are read.")
    inputs = tuple((value.name, _shape(value, what)[1:]) for value in values)
    batches = {value.type.tensor_type.shape.dim[0].dim_value for value in values}
    if len(batches) > 1:
        raise ModelError(f"{what}: its inputs take different numbers of images; export it with that number left open.")
    return inputs, joined(model, inputs, max(0, batches.pop()), _opset(model, what), what)


def check_texts(model: Any, what: str) -> None:
    """Raise if a name in a model is no text: protobuf hands out bytes then."""
    if any(isinstance(text, bytes) for text in _texts(model)):
        raise ModelError(f"{what}: a name in it is no text; the file is damaged.")


def _texts(model: Any) -> Iterator[Any]:
    """Yield the names in a model."""
    graph = model.graph
    yield graph.name
    yield from (entry.domain for entry in model.opset_import)
    for value in (*graph.input, *graph.output):
        yield value.name
        yield from (axis.dim_param for axis in value.type.tensor_type.shape.dim)
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, node.overload, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    yield from texts(model)
    for tensor in stored_tensors(model):
        yield tensor.name
        yield from (text for entry in tensor.external_data for text in (entry.key, entry.value))


def stored_tensors(model: Any) -> Iterator[Any]:
    """Yield the tensors of a model: its weights, and those in attributes."""
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            yield from [attribute.t] if attribute.HasField("t") else []
            yield from attribute.tensors


def _check_names(graph: Any, known: set[str], outputs: Sequence[str], what: str) -> None:
    """Raise unless every tensor is made once, before it is read."""
    for node in graph.node:
        for name in node.input:
            if name and name not in known:
                raise ModelError(
                    f"{what}: node {_name(node)!r} ({shown(node.op_type)}) reads {shown(name)!r}, which nothing before "
                    "it makes; a graph has neither circles nor loose ends."
                )
        for name in node.output:
            if name in known:
                raise ModelError(f"{what}: the tensor {shown(name)!r} is made twice; every tensor has one source.")
        known.update(name for name in node.output if name)
    for output in outputs:
        if output not in known:
            raise ModelError(f"{what}: nothing makes its output {shown(output)!r}.")


def leading_to(nodes: Sequence[Any], names: set[str]) -> list[Any]:
    """Return the nodes that make some tensors, in order."""
    needed, kept = set(names), []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(name for name in node.input if name)
            kept.append(node)
    return kept[::-1]


def _name(node: Any) -> str:
    """Return the name of a node, or of its first output if it has none."""
    return node.name or next((name for name in node.output if name), node.op_type)


def _paths(nodes: list[Any]) -> Iterator[LayerPath]:
    """Yield a path for each node; nodes of one name are numbered."""
    uses: dict[str, int] = {}
    for node in nodes:
        name = _name(node)
        yield LayerPath((name,), uses.get(name, 0))
        # An operator with several outputs has a path for each.
        uses[name] = uses.get(name, 0) + max(1, len(node.output))


def _shape(value: Any, what: str) -> Shape:
    """Return the shape of the input; a free batch axis counts as 1."""
    onnx = import_onnx()
    kind, floats = value.type.tensor_type, onnx.TensorProto
    if kind.elem_type not in (floats.FLOAT, floats.DOUBLE, floats.FLOAT16, floats.BFLOAT16):
        raise ModelError(f"{what}: its input {shown(value.name)!r} is no tensor of floats; export it for float32.")
    lengths = [axis.dim_value if axis.HasField("dim_value") else 0 for axis in kind.shape.dim]
    if not 2 <= len(lengths) <= _MOST_AXES:
        raise ModelError(
            f"{what}: its input {shown(value.name)!r} has {len(lengths)} axes; one of images comes first, and the "
            "shape of an image behind it."
        )
    free = [axis.dim_param or "?" for axis, length in zip(kind.shape.dim[1:], lengths[1:], strict=True) if length < 1]
    if free:
        raise ModelError(
            f"{what}: the length of its input along {', '.join(shown(name) for name in free)} is open; export it for "
            "images of one size, with the number of images alone left open."
        )
    return (max(1, lengths[0]), *lengths[1:])


def _opset(model: Any, what: str) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in STANDARD]
    if len(versions) != 1 or versions[0] < 1:
        raise ModelError(f"{what}: it does not say which version of the operators it uses; export it again.")
    newest = import_onnx().defs.onnx_opset_version()
    if versions[0] > newest:
        raise ModelError(
            f"{what}: it uses version {versions[0]} of the operators, and the onnx that is installed knows them up to "
            f"{newest}; upgrade onnx, or export it with opset_version={newest}."
        )
    return int(versions[0])


# --- stored numbers -------------------------------------------------------------------------------------------------

#: Bits of a number, of the types that are read.
_BITS = {
    "FLOAT": 32,
    "DOUBLE": 64,
    "FLOAT16": 16,
    "BFLOAT16": 16,
    "BOOL": 8,
    "INT8": 8,
    "UINT8": 8,
    "INT16": 16,
    "UINT16": 16,
    "INT32": 32,
    "UINT32": 32,
    "INT64": 64,
    "UINT64": 64,
}


def check_tensor(tensor: Any, what: str) -> None:
    """Raise unless a stored tensor is of plain numbers, and has as many as its shape says."""
    onnx = import_onnx()
    label = f"{what}: its tensor {shown(tensor.name)!r}"
    check_shape(tensor, label)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise ModelError(f"{label} is in another file; load the model with onnx.load, or give the path of its file.")
    if tensor.HasField("segment"):
        raise ModelError(f"{label} is stored in segments; save the model again.")
    expected = bytes_of(tensor, label)
    if tensor.HasField("raw_data"):
        fits = len(tensor.raw_data) == expected
    else:
        fits = len(getattr(tensor, onnx.helper.tensor_dtype_to_field(tensor.data_type))) == prod(tensor.dims)
    if not fits:
        raise ModelError(f"{label} has another number of elements than its shape {tuple(tensor.dims)} says.")


def check_shape(tensor: Any, label: str) -> None:
    """Raise unless a stored tensor has a shape that a tensor can have."""
    shape = tuple(tensor.dims)
    if len(shape) > _MOST_AXES or any(length < 0 for length in shape):
        raise ModelError(f"{label} has the shape {shape[:_MOST_AXES]}, which no tensor has.")


def bytes_of(tensor: Any, label: str) -> int:
    """Return how many bytes the numbers of a stored tensor take."""
    types = import_onnx().TensorProto.DataType
    known = {types.Value(name): bits for name, bits in _BITS.items()}
    if tensor.data_type not in known:
        name = types.Name(tensor.data_type) if tensor.data_type in types.values() else str(tensor.data_type)
        raise ModelError(f"{label} is of type {name}, which is not converted; save its numbers as float32.")
    return prod(tensor.dims) * known[tensor.data_type] // 8


def array_of(tensor: Any) -> NDArray[Any]:
    """Return a stored tensor, which was checked, as an array."""
    array: NDArray[Any] = np.asarray(import_onnx().numpy_helper.to_array(tensor))
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array

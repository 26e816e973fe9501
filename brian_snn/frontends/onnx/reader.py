"""Read an ONNX model into neutral records, `brian_snn.frontends.layer_graph`.

The modules of this package are the only ones that import onnx, and only when they are called. The network takes images
as the model does, channels first; populations have their channels last, as all networks have here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import ModelError
from brian_snn.escaping import shown
from brian_snn.frontends.layer_graph import LayerGraph, LayerNode
from brian_snn.frontends.onnx.call import Call, Input
from brian_snn.frontends.onnx.constants import can_be_computed, computed
from brian_snn.frontends.onnx.graph import STANDARD, Graph, array_of, check_tensor, open_graph
from brian_snn.frontends.onnx.library import first_line, import_onnx
from brian_snn.frontends.onnx.operators import READERS, unsupported
from brian_snn.frontends.onnx.tensors import Tensor, plain_order
from brian_snn.network.records import LayerPath

#: Numbers in all constants that a graph computes.
_MOST_COMPUTED = 2**30


@dataclass(frozen=True, eq=False)
class Reading:
    """A model that was read.

    Parameters
    ----------
    source : Graph
        What it is made of.
    layers : LayerGraph
        What it was read into.
    tensors : dict of Tensor
        By name in ONNX: what depends on the image.
    made_by : dict of LayerPath to str
        The name of the tensor that comes out of a path.
    """

    source: Graph
    layers: LayerGraph
    tensors: dict[str, Tensor]
    made_by: dict[LayerPath, str]


@dataclass(eq=False)
class _State:
    """What is known while a graph is read: neutral nodes, tensors, constants, and what could not be read."""

    graph: Graph
    nodes: list[LayerNode]
    tensors: dict[str, Tensor]
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)
    #: Positions of the unreadable nodes, by the tensors that depend on them.
    unreadable: dict[str, int] = field(default_factory=dict)
    made_by: dict[LayerPath, str] = field(default_factory=dict)
    n_computed: int = 0


def read_layers(model: Any) -> LayerGraph:
    """Read an ONNX model.

    Parameters
    ----------
    model : onnx.ModelProto
        It is not changed.

    Returns
    -------
    graph : LayerGraph
        Its nodes as records of numbers and arrays; the image has the shape that the model takes. What cannot be
        converted is a node that carries its error.

    Raises
    ------
    ModelError
        If the model as a whole cannot be read.
    """
    return read(model).layers


def read(model: Any) -> Reading:
    """Read an ONNX model, and keep which of its tensors is which node; arguments as of `read_layers`."""
    graph = open_graph(model)
    image = LayerNode("input", "Input", LayerPath(()), "input", output_shape=graph.shape[1:])
    tensors = {graph.input: Tensor(0, graph.shape, plain_order(len(graph.shape)))}
    state = _State(graph, [image], tensors)
    for node, path in zip(graph.nodes, graph.paths, strict=True):
        _read_node(state, node, path)
    for output in graph.outputs:
        if output in state.constants or not graph.nodes:
            raise ModelError(f"the model's output {shown(output)!r} does not depend on the image.")
    ends = tuple(_node_of(state, output) for output in graph.outputs)
    layers = LayerGraph(graph.name, tuple(state.nodes), outputs=ends, inputs=graph.inputs)
    return Reading(graph, layers, state.tensors, state.made_by)


def _node_of(state: _State, name: str) -> int:
    """Return the position of the node that makes a tensor."""
    return state.unreadable[name] if name in state.unreadable else state.tensors[name].node


def _read_node(state: _State, node: Any, path: LayerPath) -> None:
    """Read one node: as a constant, as neutral nodes, or as one that carries its error."""
    broken = [state.unreadable[name] for name in node.input if name in state.unreadable]
    n_before = len(state.nodes)
    try:
        if broken:
            error = state.nodes[broken[0]].error
            assert error is not None, "an unreadable node has an error"
            raise error
        if not _is_constant(state, node):
            _read_layer(state, node, path)
    except ModelError as error:
        del state.nodes[n_before:]
        sources = [state.tensors[name].node for name in node.input if name in state.tensors]
        inputs = tuple(dict.fromkeys(broken + sources)) or (0,)
        state.nodes.append(LayerNode(path.names[-1], node.op_type, path, "unreadable", {}, inputs, (), error))
        state.unreadable |= dict.fromkeys(node.output, n_before)


def _is_constant(state: _State, node: Any) -> bool:
    """Compute what a node makes, if that does not depend on the image, or only on its shape."""
    label = f"layer {shown(node.name or node.output[0])!r} ({shown(node.op_type)})"
    if node.domain not in STANDARD or not can_be_computed(node.op_type):
        return False
    arrays: list[NDArray[Any] | None] = []
    for name in node.input:
        tensor = state.tensors.get(name)
        if tensor is not None and node.op_type in ("Shape", "Size"):
            # Its numbers do not matter, and are not there: all of them are one zero.
            arrays.append(np.broadcast_to(np.zeros((), np.float32), tensor.shape))
        elif tensor is not None:
            return False
        else:
            arrays.append(_constant(state, name))
    made = computed(node, arrays, state.graph.opset, label)
    state.n_computed += sum(array.size for array in made)
    if state.n_computed > _MOST_COMPUTED:
        raise ModelError(f"{label}: the graph computes constants of more than {_MOST_COMPUTED:,} numbers in all.")
    state.constants |= {name: array for name, array in zip(node.output, made, strict=False) if name}
    return True


def _constant(state: _State, name: str) -> NDArray[Any] | None:
    """Return a constant by name, None for an input that is left out."""
    if name == "":
        return None
    if name not in state.constants:
        # Not kept, so that weights are in memory once.
        return array_of(state.graph.constants[name])
    return state.constants[name]


def _read_layer(state: _State, node: Any, path: LayerPath) -> None:
    """Add the neutral nodes of a node."""
    read_operator = READERS.get(node.op_type) if node.domain in STANDARD else None
    if read_operator is None:
        raise unsupported(node, path)
    _check(state, node, path)
    inputs: list[Input] = [
        state.tensors.get(name) if name in state.tensors else _constant(state, name) for name in node.input
    ]
    call = Call(
        path.names[-1], node.op_type, path, inputs, _attributes(node, path), state.graph.opset, node.output, state.nodes
    )
    made = read_operator(call)
    for k, (name, tensor) in enumerate(zip(node.output, made, strict=False)):
        state.tensors[name] = tensor
        state.made_by[LayerPath(path.names, path.use + k)] = name


def _check(state: _State, node: Any, path: LayerPath) -> None:
    """Raise unless a node has the inputs and attributes that its operator takes."""
    checker = import_onnx().checker
    context = checker.C.CheckerContext()
    context.ir_version, context.opset_imports = 10, {"": state.graph.opset}
    try:
        checker.check_node(node, context)
    except (checker.ValidationError, ValueError, TypeError) as error:
        raise ModelError(f"layer {shown(str(path))!r} ({node.op_type}): {first_line(error)}.") from error


def _attributes(node: Any, path: LayerPath) -> dict[str, Any]:
    """Return the attributes of a node by name."""
    onnx = import_onnx()
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            raise ModelError(
                f"layer {shown(str(path))!r} ({node.op_type}): its {shown(attribute.name)!r} is that of a function "
                "around it, and there is none; export the model again."
            )
        if attribute.HasField("t"):
            check_tensor(attribute.t, f"layer {shown(str(path))!r} ({node.op_type})")
            found[attribute.name] = array_of(attribute.t)
        elif not attribute.HasField("g") and not attribute.graphs:
            value = onnx.helper.get_attribute_value(attribute)
            found[attribute.name] = list(value) if attribute.type in _LISTS else value
    return found


#: Types of attributes that are lists of numbers.
_LISTS = (6, 7)

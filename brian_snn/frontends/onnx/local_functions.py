"""Functions that an ONNX model defines itself, written out where they are called.

A function is a list of nodes, with names for what it takes, returns and may be told as attributes; it holds no code.
PyTorch wrote models with functions for some versions. `onnx.inliner` (1.23) does the same, but leaves out the values
that attributes have by default, without a word, and the names of the nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from brian_snn.errors import ModelError
from brian_snn.escaping import shown
from brian_snn.frontends.onnx.library import import_onnx

#: Calls within calls, nodes and calls in all, and bytes of what is written out: a small file can ask for any number.
_MOST_LEVELS, _MOST_NODES, _MOST_BYTES = 50, 100_000, 2**28

#: Domain, name and overload.
Key = tuple[str, str, str]


def written_out(model: Any, standard: tuple[str, ...], what: str) -> Any:
    """Return a model without functions of its own.

    Parameters
    ----------
    model : onnx.ModelProto
        It is not changed, and returned as it is if it has none.
    standard : tuple of str
        Domains of the operators of ONNX itself.
    what : str
        Begins the messages.

    Raises
    ------
    ModelError
        If a function calls itself, does not fit its call, needs another version of the operators, or if what is
        written out is too large.
    """
    if not model.functions:
        return model
    functions = _by_key(model, standard, what)
    used = {tensor.name for tensor in (*model.graph.input, *model.graph.initializer)}
    used.update(name for node in model.graph.node for name in node.output)
    writing = _Writing(functions, used, what)
    nodes = [made for node in model.graph.node for made in writing.nodes(node, ())]
    copy = import_onnx().ModelProto()
    copy.CopyFrom(model)
    del copy.functions[:], copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def texts(model: Any) -> Iterator[Any]:
    """Yield the names in the functions of a model."""
    for function in model.functions:
        yield from (function.name, function.domain, function.overload)
        yield from (*function.input, *function.output, *function.attribute)
        yield from (entry.domain for entry in function.opset_import)
        yield from (attribute.name for attribute in function.attribute_proto)
        for node in function.node:
            yield from (node.name, node.op_type, node.domain, node.overload, *node.input, *node.output)
            yield from (text for attribute in node.attribute for text in (attribute.name, attribute.ref_attr_name))


def _by_key(model: Any, standard: tuple[str, ...], what: str) -> dict[Key, Any]:
    """Return the functions by what calls them."""
    versions = {entry.domain: entry.version for entry in model.opset_import}
    found: dict[Key, Any] = {}
    for function in model.functions:
        label = f"{what}: its function {shown(function.name)!r}"
        key = (function.domain, function.name, function.overload)
        if function.domain in standard:
            raise ModelError(f"{label} has the name of an operator of ONNX itself; export the model without functions.")
        if key in found:
            raise ModelError(f"{label} is defined twice; export the model without functions.")
        for entry in function.opset_import:
            expected = next((versions[domain] for domain in standard if domain in versions), None)
            if entry.domain in standard and entry.version != expected:
                raise ModelError(
                    f"{label} uses version {entry.version} of the operators, and the model {expected}; convert it to "
                    "one version, or export it without functions."
                )
        found[key] = function
    return found


@dataclass(eq=False)
class _Writing:
    """What is known while functions are written out.

    Parameters
    ----------
    functions : dict
        By what calls them.
    used : set of str
        Names of tensors.
    what : str
        Begins the messages.
    """

    functions: Mapping[Key, Any]
    used: set[str]
    what: str
    _n_nodes: int = field(default=0, init=False)
    _n_bytes: int = field(default=0, init=False)

    def nodes(self, node: Any, within: tuple[Key, ...]) -> Iterator[Any]:
        """Yield a node, or the nodes of the function that it calls within others."""
        key = (node.domain, node.op_type, node.overload)
        if within or key in self.functions:
            self._count(node)
        if key not in self.functions:
            yield node
            return
        function = self.functions[key]
        self._count(function)
        name = node.name or next(filter(None, node.output), node.op_type)
        label = f"{self.what}: layer {shown(name)!r} ({shown(node.op_type)})"
        if key in within or len(within) >= _MOST_LEVELS:
            raise ModelError(f"{label}: its function calls itself, or others more than {_MOST_LEVELS} levels deep.")
        ends = ((node.input, function.input, "takes"), (node.output, function.output, "returns"))
        for given, known, kind in ends:
            if len(given) > len(known):
                raise ModelError(f"{label}: it {kind} {len(given)} tensors, and its function {len(known)}.")
        tensors = self._tensors(node, function)
        attributes = {attribute.name: attribute for attribute in (*function.attribute_proto, *node.attribute)}
        given = dict(zip(function.input, node.input, strict=False))
        for returned in {*function.input}.intersection(function.output):
            passed, name_of_copy = given.get(returned, ""), f"{name}/{returned}"
            yield import_onnx().helper.make_node("Identity", [passed], [tensors[returned]], name_of_copy)
        for inner in function.node:
            yield from self.nodes(_renamed(inner, name, tensors, attributes), (*within, key))

    def _tensors(self, node: Any, function: Any) -> dict[str, str]:
        """Return what the tensors of a function are called where a node calls it."""
        tensors = {"": ""} | dict.fromkeys(function.input, "") | dict(zip(function.input, node.input, strict=False))
        returned = dict(zip(function.output, node.output, strict=False))
        first = next(filter(None, node.output), node.op_type)
        outputs = dict.fromkeys(function.output)
        made = dict.fromkeys(output for inner in function.node for output in inner.output)
        for name in outputs | made:
            if name and (name in outputs or name not in tensors):
                tensors[name] = returned.get(name) or self._unused(f"{first}/{name}")
        return tensors

    def _unused(self, name: str) -> str:
        """Return a name that no tensor has."""
        while name in self.used:
            name += "_"
        self.used.add(name)
        return name

    def _count(self, part: Any) -> None:
        """Count a node or a function that is written out; raise if there are too many."""
        self._n_nodes += 1
        self._n_bytes += part.ByteSize()
        if self._n_nodes > _MOST_NODES or self._n_bytes > _MOST_BYTES:
            raise ModelError(
                f"{self.what}: with its functions written out it has more than {_MOST_NODES:,} nodes, or they take "
                f"more than {_MOST_BYTES >> 20} MiB; export the model without functions."
            )


def _renamed(inner: Any, name: str, tensors: Mapping[str, str], attributes: Mapping[str, Any]) -> Any:
    """Return a node of a function as its call has it: with the names and attributes that are known there."""
    copy = import_onnx().NodeProto()
    copy.CopyFrom(inner)
    own = inner.name or next(filter(None, inner.output), inner.op_type)
    copy.name = f"{name}/{own}"
    # What nothing makes keeps its name, and is found to have no source.
    copy.input[:] = [tensors.get(given, f"{name}/{given}") for given in inner.input]
    copy.output[:] = [tensors[made] for made in inner.output]
    del copy.attribute[:]
    for attribute in inner.attribute:
        if not attribute.ref_attr_name:
            copy.attribute.append(attribute)
        elif attribute.ref_attr_name in attributes:
            given = copy.attribute.add()
            given.CopyFrom(attributes[attribute.ref_attr_name])
            given.name = attribute.name
    return copy

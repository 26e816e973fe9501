"""What the configuration of a Keras 2 model says of its graph: which layer is called on the outputs of which."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from brian_snn.errors import ModelError

#: What stands in the place of a layer's name where a number is meant.
_CONSTANT = "_CONSTANT_VALUE"

Entry = dict[str, Any]


@dataclass(frozen=True)
class Reference:
    """An output of a layer: that of its `call`-th call, both counted from zero."""

    layer: str
    call: int
    output: int


#: What a model takes or returns.
Ends = list[Reference] | dict[str, Reference]


@dataclass(frozen=True, eq=False)
class Arguments:
    """What a layer is called with once: references, numbers, or lists of either.

    Parameters
    ----------
    first
        The first argument.
    keywords : dict
        All others.
    """

    first: Any
    keywords: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Graph:
    """A model, functional or Sequential.

    Parameters
    ----------
    name : str
        As the file has it.
    layers : dict of str to dict
        The configuration of every layer, by name, in the order of the file.
    calls : dict of str to list of Arguments
        What each is called with, call by call.
    inputs, outputs : list of Reference, or dict of str to Reference
        Its tensors; of a dict by the names under which the model takes or returns them.
    """

    name: str
    layers: dict[str, Entry]
    calls: dict[str, list[Arguments]]
    inputs: Ends
    outputs: Ends


def name_of(entry: Entry) -> str:
    """Return the name of a layer or a model."""
    name = entry.get("name") or entry["config"].get("name")
    if not isinstance(name, str):
        raise ModelError(f"a {entry['class_name']} in it has no name.")
    return name


def graph_of(entry: Entry) -> Graph:
    """Return the graph of a model."""
    config = entry["config"]
    name = config.get("name") or str(entry["class_name"]).lower()
    if entry["class_name"] == "Sequential":
        return _of_sequential(name, entry)
    offsets = _offsets(config)
    layers = _by_name(config["layers"])
    calls = {
        layer_name: [_arguments(node, offsets) for node in layer.get("inbound_nodes") or []]
        for layer_name, layer in layers.items()
    }
    inputs, outputs = (_ends(config[key], offsets) for key in ("input_layers", "output_layers"))
    return Graph(name, layers, calls, inputs, outputs)


def input_shape(entry: Entry) -> list[int | None] | None:
    """Return the shape, with the batch axis, of the input that a layer or a model notes; None if it notes none."""
    config = entry["config"]
    layers = config.get("layers")
    if isinstance(layers, list) and layers:
        first = layers[0]
        if entry["class_name"] != "Sequential":
            wanted = _listed(config["input_layers"])[0][0]
            first = next(layer for layer in layers if name_of(layer) == wanted)
        return input_shape(first) or _of_building(entry)
    for key in ("batch_input_shape", "batch_shape"):
        if config.get(key):
            return list(config[key])
    return _of_building(entry)


def _of_building(entry: Entry) -> list[int | None] | None:
    """Return the shape with which a layer was built."""
    shape = entry["config"].get("build_input_shape") or (entry.get("build_config") or {}).get("input_shape")
    return list(shape) if isinstance(shape, list) and shape and not isinstance(shape[0], list) else None


def _of_sequential(name: str, entry: Entry) -> Graph:
    """Return the graph of a chain, with an input layer before it where there is none."""
    layers = _named(entry["config"]["layers"])
    if not layers:
        raise ModelError(f"its model {name!r} has no layers.")
    if layers[0]["class_name"] != "InputLayer":
        shape = input_shape(entry)
        if shape is None:
            raise ModelError(
                f"its Sequential model {name!r} has no input shape; load it where it was made, call it on an image, "
                "and save it again."
            )
        config = {"name": f"{name_of(layers[0])}_input", "batch_input_shape": shape}
        layers.insert(0, {"class_name": "InputLayer", "config": config})
    tensors = [Reference(name_of(layer), 0, 0) for layer in layers]
    calls = {after.layer: [Arguments(before)] for before, after in itertools.pairwise(tensors)}
    return Graph(name, _by_name(layers), calls, tensors[:1], tensors[-1:])


def _named(layers: list[Entry]) -> list[Entry]:
    """Return layers that all have names: a Sequential that was the list of its layers has none."""
    nameless = [not (layer.get("name") or layer["config"].get("name")) for layer in layers]
    taken = {name_of(layer) for layer, without in zip(layers, nameless, strict=True) if not without}
    free = (name for k in itertools.count(1) if (name := f"sequential_{k}") not in taken)
    return [layer | {"name": next(free)} if without else layer for layer, without in zip(layers, nameless, strict=True)]


def _by_name(layers: list[Entry]) -> dict[str, Entry]:
    """Return layers by their names, which must differ."""
    named = {name_of(layer): layer for layer in layers}
    if len(named) < len(layers):
        raise ModelError("two of its layers have the same name.")
    return named


def _ends(references: Any, offsets: dict[str, int]) -> Ends:
    """Return the tensors that a model takes or returns."""
    if isinstance(references, dict):
        return {str(name): _reference(part, offsets) for name, part in sorted(references.items())}
    return [_reference(part, offsets) for part in _listed(references)]


def _listed(references: Any) -> list[Any]:
    """Return a list of references; a single one stands alone, those of a dict are in the order of their names."""
    if isinstance(references, dict):
        return [part for _, part in sorted(references.items())]
    return [references] if references and isinstance(references[0], str) else list(references)


def _offsets(model: dict[str, Any]) -> dict[str, int]:
    """Return for every layer the number that its first call has: one for a nested model, which had a call of its own.

    A call to which nothing refers is not in a file, so the highest number says which the first was.
    """
    highest: dict[str, int] = {}
    references = [found for layer in model["layers"] for found in _found(layer.get("inbound_nodes"))]
    references += [found for key in ("input_layers", "output_layers") for found in _found(model.get(key))]
    for name, call, *_ in references:
        highest[name] = max(highest.get(name, 0), call)
    n_calls = {name_of(layer): max(1, len(layer.get("inbound_nodes") or ())) for layer in model["layers"]}
    return {name: max(0, highest.get(name, 0) + 1 - n) for name, n in n_calls.items()}


def _found(part: Any) -> list[list[Any]]:
    """Return every [layer, call, output, ...] in lists and dictionaries."""
    if isinstance(part, dict):
        return [found for value in part.values() for found in _found(value)]
    if not isinstance(part, list):
        return []
    inner = [found for value in part for found in _found(value)]
    return [part, *inner] if _is_reference(part) and part[0] != _CONSTANT else inner


def _is_reference(part: Any) -> bool:
    return isinstance(part, list) and len(part) >= 3 and isinstance(part[0], str) and type(part[1]) is int


def _reference(part: Any, offsets: dict[str, int]) -> Reference:
    name, call, output = part[:3]
    if name not in offsets:
        raise ModelError(f"it takes the output of a layer {name!r} that is not there.")
    return Reference(name, call - offsets[name], output)


def _arguments(node: Any, offsets: dict[str, int]) -> Arguments:
    """Return the arguments of one call: of one tensor, of a list, or of a dict in the order of its names."""
    parts = [node] if _is_reference(node) else _listed(node)
    keywords: dict[str, Any] = {}
    for part in parts:
        keywords |= part[3] if len(part) > 3 else {}
    first = [part[2] if part[0] == _CONSTANT else _reference(part, offsets) for part in parts]
    given = {key: _value(value, offsets) for key, value in keywords.items()}
    return Arguments(first if len(first) > 1 else first[0], given)


def _value(part: Any, offsets: dict[str, int]) -> Any:
    """Return a reference to a tensor, or a number or text as it is."""
    if _is_reference(part) and part[0] == _CONSTANT:
        return part[2]
    if _is_reference(part) and part[0] in offsets:
        return _reference(part, offsets)
    return [_value(value, offsets) for value in part] if isinstance(part, list) else part

"""A model with several inputs as one with a single input, the others one behind the other in it.

The model is copied, and its inputs are cut out of the one input by Slice and Reshape, so that whatever reads models
need not know (`brian_snn.inputs`).
"""

from __future__ import annotations

from math import prod
from typing import Any

from brian_snn.errors import ModelError
from brian_snn.escaping import shown
from brian_snn.frontends.onnx.library import import_onnx
from brian_snn.inputs import Inputs, places

#: Since this version of the operators Slice has its numbers as inputs.
_OPSET = 10


def images_of(model: Any) -> list[Any]:
    """Return the inputs of a model that are no weights."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in stored]


def joined(model: Any, inputs: Inputs, n_together: int, opset: int, what: str) -> Any:
    """Return a model of one input.

    Parameters
    ----------
    model : onnx.ModelProto
        With several inputs. It is not changed.
    inputs : tuple of (name, shape)
        Of its inputs, without the batch axis.
    n_together : int
        Images that it takes at a time, 0 for any number.
    opset : int
        Version of its operators.
    what : str
        Begins the messages.

    Raises
    ------
    ModelError
        If the inputs are of different types, or the operators too old.
    """
    onnx = import_onnx()
    values = images_of(model)
    kinds = {value.type.tensor_type.elem_type for value in values}
    if len(kinds) > 1:
        raise ModelError(f"{what}: its inputs are of different types; export it with all of them in float32.")
    if opset < _OPSET:
        raise ModelError(
            f"{what}: it has {len(inputs)} inputs and version {opset} of the operators; export it with opset_version "
            f"{_OPSET} or newer, or with one input."
        )
    name = _unused(model, "images")
    size = sum(prod(shape) for _, shape in inputs)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept = {value.name for value in values}
    others = [value for value in model.graph.input if value.name not in kept]
    del copy.graph.input[:], copy.graph.node[:]
    lead = n_together or "N"
    copy.graph.input.extend([onnx.helper.make_tensor_value_info(name, kinds.pop(), [lead, size]), *others])
    for k, (own, shape, place) in enumerate(places(inputs)):
        numbers = {"starts": [place.start], "ends": [place.stop], "axes": [1], "shape": [n_together or -1, *shape]}
        names = {key: _unused(model, f"{name} {k} {key}") for key in numbers}
        copy.graph.initializer.extend(
            onnx.helper.make_tensor(names[key], onnx.TensorProto.INT64, [len(given)], given)
            for key, given in numbers.items()
        )
        cut, part = [name, names["starts"], names["ends"], names["axes"]], _unused(model, f"{name} {k}")
        copy.graph.node.append(onnx.helper.make_node("Slice", cut, [part], name=part))
        copy.graph.node.append(onnx.helper.make_node("Reshape", [part, names["shape"]], [own], name=shown(own)))
    copy.graph.node.extend(model.graph.node)
    return copy


def _unused(model: Any, name: str) -> str:
    """Return a name that no tensor of a model has."""
    used = {value.name for value in (*model.graph.input, *model.graph.initializer)}
    used.update(output for node in model.graph.node for output in node.output)
    while name in used:
        name += "_"
    return name

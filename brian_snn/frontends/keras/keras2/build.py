"""Build the Keras 3 model that a file of Keras 2 describes, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from brian_snn.errors import ModelError
from brian_snn.frontends.keras.config import MODELS
from brian_snn.frontends.keras.hints import unsupported
from brian_snn.frontends.keras.keras2 import functions, nodes
from brian_snn.frontends.keras.keras2.arguments import new_layer
from brian_snn.frontends.keras.keras2.graph import Arguments, Ends, Entry, Graph, Reference, graph_of
from brian_snn.frontends.keras.keras2.layouts import Held, is_turned, turn, turned_config
from brian_snn.frontends.keras.layers import READERS

# Of what a call may say, these do nothing when a trained model is used.
_OF_TRAINING = ("training", "mask")


@dataclass(frozen=True, eq=False)
class Part:
    """A layer or a model of a file, and what was built of it.

    Parameters
    ----------
    name, class_name : str
        As the file has them.
    layer : keras.Layer, or None
        None for a function, an input, or a layer that is never called.
    trainable : bool
        Whether training changed it: the order of weights depends on it.
    parts : tuple of Part
        The layers of a model, in the order of the file.
    """

    name: str
    class_name: str
    layer: Any
    trainable: bool = True
    parts: tuple[Part, ...] = ()


@dataclass(eq=False)
class _Building:
    """A model as far as it is built."""

    keras: Any
    graph: Graph
    outer: tuple[str, ...]
    tensors: dict[Reference, Held] = field(default_factory=dict)
    layers: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def new_name(self, wish: str) -> str:
        """Return a name as Keras 3 allows it; names of the file without a slash stay as they are."""
        name = plain_name = wish.replace("/", "_")
        own, n = name if wish == name else None, 0
        while name in self.taken or (name in self.graph.layers and name != own):
            n += 1
            name = f"{plain_name}_{n}"
        self.taken.add(name)
        return name

    def label(self, name: str, entry: Entry) -> str:
        """Return the layer as error messages call it."""
        return f"layer {'/'.join((*self.outer, name))!r} ({entry['class_name']})"


def build(keras: Any, entry: Entry, outer: tuple[str, ...] = ()) -> Part:
    """Return a model, built.

    Parameters
    ----------
    keras : module
        Keras 3.
    entry : dict
        The configuration of the model, of Keras 2, in the form of `plain`, in which nothing but layers that can be
        converted and functions of TensorFlow stand.
    outer : tuple of str
        The names of the models that it is part of.

    Returns
    -------
    part : Part
        Its layer is a functional `keras.Model` with the images of the file as its input.

    Raises
    ------
    ModelError
        If a layer or a function in it cannot be built; the message names it.
    """
    graph = graph_of(entry)
    building = _Building(keras, graph, outer)
    waiting = dict(graph.layers)
    while waiting:
        done = [name for name, layer in waiting.items() if _advance(building, name, layer)]
        if not done:
            raise ModelError(f"the layers {', '.join(map(repr, waiting))} wait for one another.")
        waiting = {name: layer for name, layer in waiting.items() if name not in done}
    inputs = _at(graph.inputs, lambda reference: building.tensors[reference].tensor)
    outputs = _at(graph.outputs, lambda end: turn(keras, building.tensors[end], False, building.new_name).tensor)
    model = keras.Model(inputs, outputs, name=graph.name.replace("/", "_"))
    parts = tuple(building.parts[name] for name in graph.layers)
    return Part(graph.name, entry["class_name"], model, bool(entry["config"].get("trainable", True)), parts)


def _at(ends: Ends, tensor_of: Callable[[Reference], Any]) -> Any:
    """Return the tensors of references, in the structure in which a model takes or returns them."""
    if isinstance(ends, dict):
        return {name: tensor_of(reference) for name, reference in ends.items()}
    return [tensor_of(reference) for reference in ends]


def _advance(building: _Building, name: str, entry: Entry) -> bool:
    """Make all calls of a layer for which the tensors are there; return whether it is done."""
    if entry["class_name"] == "InputLayer":
        building.tensors[Reference(name, 0, 0)] = _image(building, name, entry)
        building.parts[name] = Part(name, "InputLayer", None)
        return True
    calls = building.graph.calls[name]
    n_done = sum(Reference(name, k, 0) in building.tensors for k in range(len(calls)))
    for k, arguments in enumerate(calls[n_done:], start=n_done):
        if not all(reference in building.tensors for reference in _references(arguments)):
            return False
        outputs = _call(building, name, entry, arguments)
        building.tensors |= {Reference(name, k, i): output for i, output in enumerate(outputs)}
    if name not in building.parts:
        building.parts[name] = Part(name, entry["class_name"], building.layers.get(name), _is_trainable(entry))
    return True


def _is_trainable(entry: Entry) -> bool:
    return bool(entry["config"].get("trainable", True))


def _image(building: _Building, name: str, entry: Entry) -> Held:
    """Return the input of a model; its batch may be of any size."""
    config = entry["config"]
    shape = config.get("batch_input_shape") or config.get("batch_shape")
    if not isinstance(shape, list):
        raise ModelError(f"{building.label(name, entry)}: it has no shape.")
    dtype = config.get("dtype") or "float32"
    ends = building.graph.inputs
    # Keras wants the inputs of a dict to be called as they are there.
    called = {end.layer: key for key, end in ends.items()} if isinstance(ends, dict) else {}
    wish = building.new_name(called.get(name, name))
    return Held(building.keras.Input(tuple(shape[1:]), dtype=dtype, name=wish))


def _references(arguments: Arguments) -> list[Reference]:
    """Return the tensors that a call takes."""
    values = [arguments.first, *arguments.keywords.values()]
    flat = [part for value in values for part in (value if isinstance(value, list) else [value])]
    return [part for part in flat if isinstance(part, Reference)]


def _held(building: _Building, value: Any) -> Any:
    """Return a value with tensors in the place of references."""
    if isinstance(value, list):
        return [_held(building, part) for part in value]
    return building.tensors[value] if isinstance(value, Reference) else value


def _call(building: _Building, name: str, entry: Entry, arguments: Arguments) -> list[Held]:
    """Call a layer, a nested model or a function once; return what comes out of it."""
    label, class_name = building.label(name, entry), entry["class_name"]
    first = _held(building, arguments.first)
    if class_name in functions.CLASSES:
        keywords = {key: _held(building, value) for key, value in arguments.keywords.items()}
        function = str(entry["config"].get("function"))
        if class_name == nodes.CLASS:
            function, first, keywords = nodes.as_call(entry["config"], first, label)
        kind, config, inputs = functions.as_layer(function, first, keywords, label)
        return [_apply(building, None, kind, config | {"name": name}, inputs, label)]
    _check_keywords(arguments.keywords, label)
    inputs = first if isinstance(first, list) else [first]
    if class_name in MODELS:
        return _call_model(building, name, entry, inputs)
    return [_apply(building, name, class_name, entry["config"] | {"name": name}, inputs, label)]


def _check_keywords(keywords: dict[str, Any], label: str) -> None:
    """Raise if a layer is called with more than its inputs."""
    if keywords.get("training"):
        raise ModelError(f"{label}: it is called with training=True, as no trained model is used; build it without.")
    for key, value in keywords.items():
        if key not in _OF_TRAINING and value is not None:
            raise ModelError(f"{label}: it is called with {key}={value!r}; only calls on tensors alone can be read.")


def _call_model(building: _Building, name: str, entry: Entry, inputs: list[Held]) -> list[Held]:
    """Call a nested model, which takes and returns tensors as the file has them."""
    if name not in building.parts:
        renamed = entry | {"config": entry["config"] | {"name": building.new_name(name)}}
        part = build(building.keras, renamed, (*building.outer, name))
        building.parts[name] = Part(name, part.class_name, part.layer, part.trainable, part.parts)
    tensors = [turn(building.keras, held, False, building.new_name).tensor for held in inputs]
    model = building.parts[name].layer
    outputs = model(building.keras.tree.pack_sequence_as(model._inputs_struct, tensors))
    return [Held(output) for output in building.keras.tree.flatten(outputs)]


def _apply(
    building: _Building, name: str | None, class_name: str, config: dict[str, Any], inputs: list[Held], label: str
) -> Held:
    """Call a layer on tensors whose channels are where it needs them; one with a name is kept for its next call."""
    keras = building.keras
    turned = is_turned(class_name, config, inputs)
    tensors = [turn(keras, held, turned, building.new_name).tensor for held in inputs]
    if class_name == functions.FLIP:
        return Held(keras.ops.flip(tensors[0], axis=-1))
    layer = None if name is None else building.layers.get(name)
    if layer is None:
        if class_name not in READERS:
            raise unsupported(label, class_name)
        config = turned_config(class_name, config, inputs[0].rank) if turned else config
        layer = new_layer(keras, class_name, config | {"name": building.new_name(config["name"])}, label)
        if name is not None:
            building.layers[name] = layer
    output = layer(tensors if len(tensors) > 1 else tensors[0])
    return Held(output, turned and class_name != "Flatten" and len(output.shape) > 2)

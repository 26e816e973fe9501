"""Walk through a Keras model: its layers in the order in which they are called, nested models laid open."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import prod
from typing import Any

from brian_snn.errors import ModelError
from brian_snn.frontends.keras.functions import as_layer
from brian_snn.frontends.keras.hints import unsupported
from brian_snn.frontends.keras.layers import READERS
from brian_snn.inputs import Inputs, places
from brian_snn.network.records import LayerPath

Shape = tuple[int, ...]

_KERAS_2 = ("tf_keras.", "tensorflow.python.keras.", "keras.engine.", "keras.src.engine.")


@dataclass(frozen=True, eq=False)
class Step:
    """One call of a layer.

    Parameters
    ----------
    layer : keras.Operation, Part, or None
        None for the image.
    path : LayerPath
        Unlike that of any other step.
    inputs : tuple of int
        The steps whose outputs it takes.
    output_shape : tuple of int
        Without the batch axis.
    """

    layer: Any
    path: LayerPath
    inputs: tuple[int, ...]
    output_shape: Shape


@dataclass(frozen=True, eq=False)
class Part:
    """What one of several inputs is of the vector that all of them are; called like an operation of Keras."""

    name: str
    place: slice
    shape: Shape
    size: int

    def __call__(self, images: Any) -> Any:
        """Return the images of this input."""
        import keras

        return keras.ops.reshape(images[:, self.place], (-1, *self.shape))

    def operations(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the neutral operations that it stands for."""
        margins = ((self.place.start, self.size - self.place.stop),)
        return [("crop", {"margins": margins, "output_shape": (prod(self.shape),)}), ("reshape", {})]


@dataclass(eq=False)
class _Walk:
    steps: list[Step]
    uses: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def call(self, layer: Any, inputs: list[int], outer: tuple[str, ...]) -> list[int]:
        """Enter a call of a layer or of a nested model; return the steps of its outputs."""
        names = (*outer, layer.name)
        if _is_model(layer):
            if len(inputs) != len(layer.inputs):
                raise ModelError(
                    f"model {'/'.join(names)!r}: it has {len(layer.inputs)} inputs and is called on {len(inputs)} "
                    "tensors; call it on one tensor for each."
                )
            return _walk_model(self, layer, inputs, names)
        path = LayerPath(names, self.uses[names])
        self.uses[names] += 1
        shape = _output_shape(layer, [self.steps[i].output_shape for i in inputs], path)
        self.steps.append(Step(layer, path, tuple(inputs), shape))
        return [len(self.steps) - 1]


def walk(model: Any) -> tuple[list[Step], tuple[int, ...]]:
    """Return the calls that lead from the image to the outputs of a model, and which of them are outputs.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential, built.

    Raises
    ------
    ModelError
        If the model is of another kind or its shapes are not fixed.
    """
    if any(kind.__module__.startswith(_KERAS_2) for kind in type(model).__mro__):
        raise ModelError(
            f"model {getattr(model, 'name', '?')!r}: it is a model of Keras 2 in memory, and only Keras 3 can call its "
            "layers here; save it with model.save('m.h5') and give the path of the file."
        )
    if not _is_model(model):
        raise ModelError(
            f"model {getattr(model, 'name', '?')!r} ({type(model).__name__}): only functional and Sequential Keras "
            "models can be converted; rebuild it with keras.Model(inputs, outputs)."
        )
    if not model.built or not model.inputs:
        raise ModelError(f"model {model.name!r}: it has no input shape yet; build it with keras.Input(shape).")
    inputs = inputs_of(model)
    shape = inputs[0][1] if len(inputs) == 1 else (sum(prod(shape) for _, shape in inputs),)
    state = _Walk([Step(None, LayerPath(()), (), shape)])
    if len(inputs) > 1:
        parts = (Part(name, place, own, shape[0]) for name, own, place in places(inputs))
        state.steps += [Step(part, LayerPath((part.name,)), (0,), part.shape) for part in parts]
    outputs = _walk_model(state, model, list(range(len(state.steps)))[-len(inputs) :], ())
    kept = _leading_to(state.steps, set(outputs))
    return [_moved(state.steps[i], kept) for i in kept], tuple(kept.index(i) for i in outputs)


def inputs_of(model: Any) -> Inputs:
    """Return the names and shapes of the inputs of a model, one or more.

    Raises
    ------
    ModelError
        If a shape is not fixed.
    """
    names = input_names(model)
    which = [f" {name!r}" if len(names) > 1 else "" for name in names]
    shapes = [
        _fixed(tensor.shape[1:], f"model {model.name!r}: its input{shown}")
        for tensor, shown in zip(model.inputs, which, strict=True)
    ]
    return tuple(zip(names, shapes, strict=True))


def input_names(model: Any) -> list[str]:
    """Return what the inputs of a model are called: the keys of a dict that it takes, else the names of its layers."""
    import keras

    given = getattr(model, "_inputs_struct", None)
    if isinstance(given, dict) and not any(isinstance(value, dict | list | tuple) for value in given.values()):
        return [str(path[0]) for path, _ in keras.tree.flatten_with_path(given)]
    return [str(tensor.name) for tensor in model.inputs]


def ending_in(steps: list[Step], outputs: set[int]) -> list[Step]:
    """Return the image and the steps that lead to some of them, in the same order."""
    kept = _leading_to(steps, outputs)
    return [_moved(steps[i], kept) for i in kept]


def _leading_to(steps: list[Step], outputs: set[int]) -> list[int]:
    """Return the numbers of the image and of the steps that lead to some of them, in order."""
    needed = {*outputs, 0}
    for i in range(max(needed), 0, -1):
        if i in needed:
            needed.update(steps[i].inputs)
    return sorted(needed)


def _moved(step: Step, kept: list[int]) -> Step:
    return Step(step.layer, step.path, tuple(kept.index(i) for i in step.inputs), step.output_shape)


def _is_model(layer: Any) -> bool:
    """Whether a layer is a model whose graph says all that it does."""
    import keras
    from keras.src.models.functional import Functional

    # A subclass with its own call() may do anything.
    return any(isinstance(layer, known) and type(layer).call is known.call for known in (keras.Sequential, Functional))


def _walk_model(state: _Walk, model: Any, inputs: list[int], names: tuple[str, ...]) -> list[int]:
    """Enter all calls inside a model; return the steps of its outputs."""
    import keras

    if isinstance(model, keras.Sequential):
        current = inputs[0]
        for layer in model.layers:
            (current,) = state.call(layer, [current], names)
        return [current]
    known = {id(tensor): step for tensor, step in zip(model.inputs, inputs, strict=True)}
    pending = list(reversed(model.outputs))
    while pending:
        operation, node = _origin(pending[-1])
        missing = [tensor for tensor in node.input_tensors if id(tensor) not in known]
        if id(pending[-1]) not in known and missing:
            pending += reversed(missing)
            continue
        tensor = pending.pop()
        if id(tensor) not in known:
            layer = as_layer(operation, node.arguments.args)
            made = state.call(layer, [known[id(t)] for t in node.input_tensors], names)
            # What makes several tensors is a nested model, which is entered once.
            known |= zip(map(id, node.output_tensors), made, strict=True)
    return [known[id(tensor)] for tensor in model.outputs]


def _origin(tensor: Any) -> tuple[Any, Any]:
    """Return the operation that made a symbolic tensor, and the call in which it did."""
    history = tensor._keras_history
    return history.operation, history.operation._inbound_nodes[history.node_index]


def _output_shape(layer: Any, input_shapes: list[Shape], path: LayerPath) -> Shape:
    """Return what Keras says is the shape of a layer's output."""
    import keras

    label = f"layer {str(path)!r} ({type(layer).__name__})"
    inputs = [keras.KerasTensor((None, *shape)) for shape in input_shapes]
    several = len(inputs) > 1
    try:
        if type(layer).__name__ == "CustomScaleLayer":
            # Of InceptionResNetV2, which does not say it.
            shape = inputs[0].shape
        elif isinstance(layer, keras.Layer):
            shape = layer.compute_output_shape([t.shape for t in inputs] if several else inputs[0].shape)
        else:
            shape = layer.compute_output_spec(*inputs).shape
    except (ValueError, TypeError, NotImplementedError, AttributeError) as error:
        if isinstance(layer, keras.Layer) and type(layer).__name__ not in READERS:
            raise unsupported(label, type(layer).__name__) from error
        raise ModelError(
            f"{label}: it cannot be called on {len(inputs)} tensors alone; write what it does as a layer of "
            "keras.layers (Rescaling, Normalization, Concatenate ...)."
        ) from error
    return _fixed(shape[1:], f"{label}: its output")


def _fixed(shape: Any, what: str) -> Shape:
    """Return a shape as plain integers."""
    if any(not isinstance(length, int) for length in shape):
        raise ModelError(f"{what} has shape {tuple(shape)}; build the model with a fixed input shape.")
    return tuple(int(length) for length in shape)

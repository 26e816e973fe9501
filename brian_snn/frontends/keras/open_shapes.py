"""Models that take images of any size, built anew for those of one size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from brian_snn.errors import ModelError
from brian_snn.frontends.keras.files import import_keras
from brian_snn.frontends.keras.walk import input_names

Shape = tuple[int, ...]


def of_shape(model: Any, shapes_of_images: Callable[[], Sequence[Shape] | Mapping[str, Shape]]) -> Any:
    """Return a model with an open input shape, such as (None, None, 3), for images of a shape; any other as it is.

    Parameters
    ----------
    model : keras.Model
        It is not changed.
    shapes_of_images : callable
        Returns the shape of one image of each input, in their order or by their names; called where it matters.

    Raises
    ------
    ModelError
        If images of this shape do not go through the model.
    """
    tensors = getattr(model, "inputs", None) or []
    if not any(None in tensor.shape[1:] for tensor in tensors):
        return model
    shapes = shapes_of_images()
    if isinstance(shapes, Mapping):
        shapes = [shapes.get(name, ()) for name in input_names(model)]
    if len(shapes) != len(tensors):
        raise ModelError(f"model {model.name!r}: it has {len(tensors)} inputs, and images of {len(shapes)} were given.")
    for tensor, shape in zip(tensors, shapes, strict=True):
        given = tuple(tensor.shape[1:])
        if len(given) != len(shape) or any(k not in (None, n) for k, n in zip(given, shape, strict=True)):
            raise ModelError(f"model {model.name!r}: it takes images of shape {given}, and these have shape {shape}.")
    return _fixed(model, tensors, shapes)


def _fixed(model: Any, tensors: Sequence[Any], shapes: Sequence[Shape]) -> Any:
    """Return a model built anew for inputs of some shapes."""
    keras = import_keras()
    # One input keeps the name that Keras gives it, as layers of the model may have its old one.
    names = input_names(model) if len(tensors) > 1 else [None]
    fixed = [keras.Input(shape, dtype=t.dtype, name=n) for t, shape, n in zip(tensors, shapes, names, strict=True)]
    structure = getattr(model, "_inputs_struct", None)
    given = fixed[0] if structure is None else keras.tree.pack_sequence_as(structure, fixed)
    try:
        cloned = keras.models.clone_model(model, input_tensors=given)
    # Whatever a layer says of images that are too small for it, or of another number of weights.
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        shown = ", ".join(map(str, shapes))
        raise ModelError(f"model {model.name!r}: images of shape {shown} do not go through it ({reason}).") from error
    cloned.set_weights(model.get_weights())
    return cloned

"""Models that take images of any size, built anew for those of one size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from brian_snn.errors import ModelError
from brian_snn.frontends.keras.files import import_keras


def of_shape(model: Any, shape_of_image: Callable[[], tuple[int, ...]]) -> Any:
    """Return a model with an open input shape, such as (None, None, 3), for images of a shape; any other as it is.

    Parameters
    ----------
    model : keras.Model
        It is not changed.
    shape_of_image : callable
        Returns the shape of one image; called where it matters.

    Raises
    ------
    ModelError
        If images of this shape do not go through the model.
    """
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) != 1 or None not in inputs[0].shape[1:]:
        return model
    given, shape = tuple(inputs[0].shape[1:]), shape_of_image()
    fits = len(given) == len(shape) and all(known in (None, length) for known, length in zip(given, shape, strict=True))
    if not fits:
        raise ModelError(f"model {model.name!r}: it takes images of shape {given}, and these have shape {shape}.")
    keras = import_keras()
    try:
        fixed = keras.models.clone_model(model, input_tensors=keras.Input(shape, dtype=inputs[0].dtype))
    # Whatever a layer says of images that are too small for it, or of another number of weights.
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise ModelError(f"model {model.name!r}: images of shape {shape} do not go through it ({reason}).") from error
    fixed.set_weights(model.get_weights())
    return fixed

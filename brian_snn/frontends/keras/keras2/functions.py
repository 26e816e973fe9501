"""Functions of TensorFlow between the layers of a Keras 2 model, each as the Keras layer that does the same.

Keras 2 wrote ``x / 255`` or ``tf.nn.relu(x)`` as a layer TFOpLambda that names the function. The function is never
looked up: it is found in the table below or refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from brian_snn.errors import ModelError
from brian_snn.frontends.keras.keras2 import nodes
from brian_snn.frontends.keras.keras2.layouts import Held

CLASSES = ("TFOpLambda", "SlicingOpLambda", nodes.CLASS)

#: Stands for a reversed axis, which is no layer of Keras.
FLIP = "Flip"

#: A class of Keras, its arguments, and the tensors that it takes.
Call = tuple[str, dict[str, Any], list[Held]]


def as_layer(function: str, first: Any, keywords: dict[str, Any], label: str) -> Call:
    """Return the layer that does what a call of a function does.

    Parameters
    ----------
    function : str
        As the file names it, such as ``math.truediv``.
    first
        Its first argument: a tensor (`Held`), a list of tensors, a number, or a list of numbers.
    keywords : dict
        Its other arguments, of the same kinds.
    label : str
        The layer, for error messages.

    Raises
    ------
    ModelError
        If the function is none of those known, or is called in a way that no layer stands for.
    """
    of_call = _FUNCTIONS.get(function)
    if of_call is None:
        raise ModelError(
            f"{label}: the function {function!r} is never run, and there is no layer of Keras that is known to do the "
            "same; write it with Keras layers and save the model again."
        )
    # What is left out of a call, such as conjugate=False, is written all the same.
    given = {
        key: value for key, value in keywords.items() if key != "name" and value is not None and value is not False
    }
    call = of_call(first, given)
    if call is None or not all(isinstance(held, Held) for held in call[2]):
        raise ModelError(
            f"{label}: what the function {function!r} is called with here has no layer of Keras; write it with Keras "
            "layers and save the model again."
        )
    return call


def _rescaling(first: Any, scale: Any, offset: Any) -> Call:
    as_given = [np.asarray(value, np.float64).tolist() for value in (scale, offset)]
    return "Rescaling", dict(zip(("scale", "offset"), as_given, strict=True)), [first]


def _arithmetic(
    merge: str | None, of_number: Callable[[Any, bool], tuple[Any, Any] | None]
) -> Callable[[Any, dict[str, Any]], Call | None]:
    """Return the reader of a calculation: with two tensors, or with a number or one per channel."""

    def read(first: Any, keywords: dict[str, Any]) -> Call | None:
        if set(keywords) != {"y"}:
            return None
        second = keywords["y"]
        if isinstance(first, Held) and isinstance(second, Held):
            return None if merge is None else (merge, {}, [first, second])
        behind = isinstance(first, Held)
        tensor, number = (first, second) if behind else (second, first)
        value = np.asarray(number, np.float64)
        numbers = of_number(value, behind) if value.ndim <= 1 else None
        return None if numbers is None else _rescaling(tensor, *numbers)

    return read


def _plain(class_name: str, **config: Any) -> Callable[[Any, dict[str, Any]], Call | None]:
    """Return the reader of a function of one tensor and nothing else."""
    return lambda first, keywords: None if keywords else (class_name, dict(config), [first])


def _cast(first: Any, keywords: dict[str, Any]) -> Call | None:
    """Return nothing but the tensor, unless it is rounded to whole numbers."""
    return ("Identity", {}, [first]) if str(keywords.get("dtype", "float32")).startswith("float") else None


def _softmax(first: Any, keywords: dict[str, Any]) -> Call | None:
    return ("Softmax", {"axis": keywords.get("axis", -1)}, [first]) if set(keywords) <= {"axis"} else None


def _concat(first: Any, keywords: dict[str, Any]) -> Call | None:
    together = isinstance(first, list) and set(keywords) == {"axis"}
    return ("Concatenate", {"axis": keywords["axis"]}, first) if together else None


def _reshape(first: Any, keywords: dict[str, Any]) -> Call | None:
    shape = keywords.get("shape")
    if not isinstance(shape, list) or shape[0] != -1 or set(keywords) != {"shape"}:
        return None
    return "Reshape", {"target_shape": shape[1:]}, [first]


def _transpose(first: Any, keywords: dict[str, Any]) -> Call | None:
    axes = keywords.get("perm")
    if not isinstance(axes, list) or axes[0] != 0 or set(keywords) != {"perm"}:
        return None
    return "Permute", {"dims": axes[1:]}, [first]


def _mean(first: Any, keywords: dict[str, Any]) -> Call | None:
    """Return the mean over rows and columns."""
    axes = keywords.get("axis")
    if not (isinstance(axes, list) and isinstance(first, Held) and first.rank == 4):
        return None
    order = {(1, 2): "channels_last", (2, 3): "channels_first"}.get(tuple(sorted(axis % 4 for axis in axes)))
    config = {"keepdims": bool(keywords.get("keepdims", False)), "data_format": order}
    return None if order is None else ("GlobalAveragePooling2D", config, [first])


def _bias_add(first: Any, keywords: dict[str, Any]) -> Call | None:
    call = _rescaling(first, 1.0, keywords["bias"])
    if str(keywords.get("data_format", "NHWC")).startswith("NC"):
        call[1]["data_format"] = "channels_first"
    return call


def _reversed_channels(first: Any, keywords: dict[str, Any]) -> Call | None:
    """Return ``x[..., ::-1]`` alone of all that can be cut out of a tensor."""
    backwards = {"start": None, "stop": None, "step": -1}
    whole = {"start": None, "stop": None, "step": None}
    cut = keywords.get("slice_spec")
    if not (isinstance(first, Held) and isinstance(cut, list) and cut and cut[-1] == backwards):
        return None
    ellipsis = len(cut) == 2 and isinstance(cut[0], dict) and cut[0].get("class_name") == "__ellipsis__"
    every = len(cut) == first.rank and all(part == whole for part in cut[:-1])
    return (FLIP, {}, [first]) if ellipsis or every else None


def _clip(first: Any, keywords: dict[str, Any]) -> Call | None:
    lowest, highest = keywords.get("clip_value_min"), keywords.get("clip_value_max")
    return ("ReLU", {"max_value": highest}, [first]) if lowest == 0 and len(keywords) == 2 else None


def _maximum(first: Any, keywords: dict[str, Any]) -> Call | None:
    return ("ReLU", {}, [first]) if keywords == {"y": 0} else None


_ADD = _arithmetic("Add", lambda number, behind: (1.0, number))
_DIVIDE = _arithmetic(None, lambda number, behind: (1.0 / number, 0.0) if behind and np.all(number) else None)

_FUNCTIONS: dict[str, Callable[[Any, dict[str, Any]], Call | None]] = {
    "__operators__.add": _ADD,
    "math.add": _ADD,
    "math.subtract": _arithmetic("Subtract", lambda number, behind: (1.0, -number) if behind else (-1.0, number)),
    "math.multiply": _arithmetic(None, lambda number, behind: (number, 0.0)),
    "math.truediv": _DIVIDE,
    "math.divide": _DIVIDE,
    "math.negative": _plain("Rescaling", scale=-1.0),
    "nn.bias_add": _bias_add,
    "__operators__.getitem": _reversed_channels,
    "cast": _cast,
    "identity": _plain("Identity"),
    "stop_gradient": _plain("Identity"),
    "nn.relu": _plain("ReLU"),
    "nn.relu6": _plain("ReLU", max_value=6.0),
    "clip_by_value": _clip,
    "math.maximum": _maximum,
    "nn.softmax": _softmax,
    "math.sigmoid": _plain("Activation", activation="sigmoid"),
    "math.tanh": _plain("Activation", activation="tanh"),
    "concat": _concat,
    "reshape": _reshape,
    "transpose": _transpose,
    "compat.v1.transpose": _transpose,
    "math.reduce_mean": _mean,
}

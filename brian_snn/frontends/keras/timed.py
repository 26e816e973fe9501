"""The reader of TimeDistributed: a layer that does the same at every step of a sequence, or for every frame of a film.

What works along the last axis, or element by element, does so whatever the axes before it. A window slides over rows
and columns of all frames at once if the frames are channels: (time, rows, columns, channels) becomes (rows, columns,
time and channels), and back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from brian_snn.errors import ModelError
from brian_snn.frontends.keras.values import Operations, Reader, Shape, shaped

#: Operations that are the same with one more axis in front.
_ANY_AXES = ("dense", "affine", "relu", "identity", "reshape", "softmax", "log_softmax", "sigmoid", "tanh")

#: What slides over rows and columns, and which of its arrays have channels last.
_WINDOWS = {
    "conv2d": ("kernel", "bias"),
    "depthwise": ("bias",),
    "max_pool": (),
    "average_pool": (),
}


def read_timed(read_layer: Callable[[Any, list[Shape], str], Operations]) -> Reader:
    """Return the reader of TimeDistributed, from that of the layers within."""

    def read(layer: Any, shapes: list[Shape], label: str) -> Operations:
        """Return what the layer within does, at every step."""
        n_steps, *inner = shapes[0]
        shape = tuple(inner)
        operations = read_layer(layer.layer, [shape], label)
        output = tuple(layer.layer.compute_output_shape((None, *shape))[1:])
        names = {name for name, _ in operations}
        if names.issubset(_ANY_AXES):
            return [_timed(operation, n_steps) for operation in operations]
        windows = [operation for operation in operations if operation[0] in _WINDOWS]
        if len(windows) == 1 and operations[0] is windows[0] and names.issubset({*_WINDOWS, *_ANY_AXES} - {"reshape"}):
            return _over_frames(operations, n_steps, shape, output)
        raise ModelError(
            f"{label}: it holds a {type(layer.layer).__name__}, which cannot be converted at every step of a sequence; "
            "dense layers, convolutions, pooling, norms, activations and Flatten can."
        )

    return read


def _timed(operation: tuple[str, dict[str, Any]], n_steps: int) -> tuple[str, dict[str, Any]]:
    """Return an operation whose output, where it has a shape of its own, has one more axis."""
    name, parameters = operation
    given = {"output_shape": (n_steps, *parameters["output_shape"])} if "output_shape" in parameters else {}
    return name, parameters | given


def _over_frames(operations: Operations, n_steps: int, shape: Shape, output: Shape) -> Operations:
    """Return a window over all frames, and what follows it element by element."""
    (name, parameters), *others = operations
    # What slides along one axis has a single column, what is global a single place.
    (rows, columns), n_in = (*shape[:-1], 1)[:2], shape[-1]
    (n_rows, n_columns), n_out = (*output[:-1], 1, 1)[:2], output[-1]
    tiled = {key: np.tile(parameters[key], n_steps) for key in _WINDOWS[name] if parameters.get(key) is not None}
    if name == "depthwise":
        tiled["kernel"] = np.tile(parameters["kernel"], (1, 1, n_steps, 1))
    if "groups" in parameters:
        tiled["groups"] = parameters["groups"] * n_steps
    return [
        shaped("reshape", (n_steps, rows, columns, n_in)),
        shaped("permute", (rows, columns, n_steps, n_in), axes=(1, 2, 0, 3)),
        shaped("reshape", (rows, columns, n_steps * n_in)),
        shaped(name, (n_rows, n_columns, n_steps * n_out), **{**parameters, **tiled}),
        shaped("reshape", (n_rows, n_columns, n_steps, n_out)),
        shaped("permute", (n_steps, n_rows, n_columns, n_out), axes=(2, 0, 1, 3)),
        shaped("reshape", (n_steps, *output)),
        *others,
    ]

"""Bring model files of Keras 2 into the form that Keras 3 reads.

Keras 3 opens most of them by itself. What it stumbles over is put right in a copy of the file: arguments that a layer
no longer takes, modules that have moved, nodes of nested models, which Keras 2 counted from one, and the kernels of
Theano.

Theano's convolution turns the kernel around, that of every other backend does not. Keras 2 stored kernels as its
backend took them, noted the backend in the file, and turned those of Conv1D and Conv2D around when it loaded them for
another one; Keras 3 no longer does. A depthwise kernel was stored as TensorFlow takes it: Keras' code for Theano turned
it around before each use.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from brian_snn.errors import ModelError

# What Keras 2 wrote for every kind of convolution, whether the layer had a use for it or not.
_INHERITED = ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint")
_DROPPED = {"SeparableConv2D": _INHERITED, "DepthwiseConv2D": ("filters", *_INHERITED)}

_MOVED = {
    "keras.src.engine.functional": "keras.src.models.functional",
    "keras.src.engine.sequential": "keras.src.models.sequential",
    "keras.src.engine.training": "keras.src.models.functional",
}

# Backends whose convolution does not turn the kernel around; a file that names none is taken for TensorFlow's.
_CORRELATING = ("", "tensorflow", "cntk", "jax", "torch", "numpy")
_THEANO = "theano"


def is_legacy(version: str) -> bool:
    """Whether a file of this Keras version was written by Keras 2 or 1; one without a version was."""
    return version.split(".")[0] in ("", "1", "2")


def modernised(config: Any) -> Any:
    """Return a configuration as Keras 3 writes it; the one given is not changed."""
    if isinstance(config, list):
        return [modernised(part) for part in config]
    if not isinstance(config, dict):
        return config
    part = {key: modernised(value) for key, value in config.items()}
    if isinstance(part.get("layers"), list):
        _renumber_nodes(part)
    if isinstance(part.get("module"), str):
        part["module"] = _MOVED.get(part["module"], part["module"])
    if isinstance(part.get("config"), dict):
        for key in _DROPPED.get(str(part.get("class_name")), ()):
            part["config"].pop(key, None)
        # A batch norm had a list of axes, of which there was never more than one.
        axis = part["config"].get("axis")
        if part.get("class_name") == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
            part["config"]["axis"] = axis[0]
    return part


def is_theano(backend: str, what: str) -> bool:
    """Whether a file holds kernels of Theano, from the backend that it names.

    Raises
    ------
    ModelError
        If the backend is unknown, so that nobody can tell; the message begins with `what`.
    """
    if backend not in (*_CORRELATING, _THEANO):
        raise ModelError(
            f"{what}: it was written with the backend {backend!r}, of which it is not known how it stores kernels "
            f"(known are {', '.join((*_CORRELATING[1:], _THEANO))}); load it where it was made and save it again with "
            "TensorFlow."
        )
    return backend == _THEANO


def modernised_copy(path: Path, config: dict[str, Any], folder: Path, theano: bool = False) -> Path:
    """Write a copy of a model file into `folder` with another configuration, and return it.

    With `theano` the kernels of an HDF5 file are turned around.

    Raises
    ------
    ModelError
        If they cannot be told from other arrays.
    """
    copy = folder / f"model{path.suffix.lower()}"
    if copy.suffix == ".keras":
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w") as target:
            for name in source.namelist():
                target.writestr(name, json.dumps(config) if name == "config.json" else source.read(name))
        return copy
    import h5py

    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as file:
        file.attrs["model_config"] = json.dumps(config)
        if theano:
            _turn_kernels(file, f"model {path}")
    return copy


def readable_weights(path: Path, folder: Path) -> Path:
    """Return a file of weights as it is, or if it was written with Theano a copy in `folder` with turned kernels.

    Raises
    ------
    ModelError
        If the backend that it names is unknown, or its kernels cannot be told from other arrays.
    """
    import h5py

    what = f"weights {path}"
    with h5py.File(path, "r") as file:
        if not is_theano(written_with(file), what):
            return path
    copy = folder / path.name
    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as file:
        _turn_kernels(file, what)
    return copy


def written_with(file: Any) -> str:
    """Return the backend that an open HDF5 file names, for itself or for its weights; nothing if it names none."""
    places = [file, file["model_weights"]] if "model_weights" in file else [file]
    backends = {attribute_text(place.attrs["backend"]) for place in places if "backend" in place.attrs}
    return next((backend for backend in sorted(backends) if backend not in _CORRELATING), "")


def attribute_text(attribute: Any) -> str:
    """Return an attribute of an HDF5 file, which older versions of Keras wrote as bytes."""
    return attribute.decode(errors="replace") if isinstance(attribute, bytes) else str(attribute)


def _turn_kernels(file: Any, what: str) -> None:
    """Turn the kernels of all convolutions in an open HDF5 file around, along rows and columns."""
    import h5py

    arrays: dict[str, Any] = {}
    file.get("model_weights", file).visititems(
        lambda name, item: arrays.update({name: item} if isinstance(item, h5py.Dataset) else {})
    )
    for name, array in arrays.items():
        kind = name.split("/")[-1].split(":")[0]
        if array.ndim < 3 or kind in ("depthwise_kernel", "pointwise_kernel"):
            continue
        if kind != "kernel":
            raise ModelError(
                f"{what}: it was written with Theano, and whether its array {name!r} of shape {array.shape} is a "
                "kernel that must be turned around cannot be told; load it where it was made and save it again with "
                "TensorFlow."
            )
        array[...] = np.flip(array[...], axis=tuple(range(array.ndim - 2)))


def _renumber_nodes(model: dict[str, Any]) -> None:
    """Count the nodes of every layer from zero: a nested model's first use was its node number one."""
    used: dict[str, int] = {}
    references = [reference for layer in model["layers"] for reference in _references(layer.get("inbound_nodes"))]
    references += [r for key in ("input_layers", "output_layers") for r in _references(model.get(key))]
    for name, node, *_ in references:
        used[name] = max(used.get(name, 0), node)
    for layer in model["layers"]:
        name = layer.get("name") or layer.get("config", {}).get("name")
        surplus = used.get(name, 0) + 1 - max(1, len(layer.get("inbound_nodes") or ()))
        for reference in references:
            if reference[0] == name and surplus > 0:
                reference[1] -= surplus


def _references(part: Any) -> list[list[Any]]:
    """Return every [layer, node, tensor, ...] in a list of any depth."""
    if not isinstance(part, list):
        return []
    if len(part) >= 3 and isinstance(part[0], str) and isinstance(part[1], int) and isinstance(part[2], int):
        return [part]
    return [reference for item in part for reference in _references(item)]

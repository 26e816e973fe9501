"""Bring model files of Keras 2 into the form that Keras 3 reads.

Keras 3 opens most of them by itself. What it stumbles over is put right in a copy of the file: arguments that a layer
no longer takes, modules that have moved, and nodes of nested models, which Keras 2 counted from one.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

# What Keras 2 wrote for every kind of convolution, whether the layer had a use for it or not.
_INHERITED = ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint")
_DROPPED = {"SeparableConv2D": _INHERITED, "DepthwiseConv2D": ("filters", *_INHERITED)}

_MOVED = {
    "keras.src.engine.functional": "keras.src.models.functional",
    "keras.src.engine.sequential": "keras.src.models.sequential",
    "keras.src.engine.training": "keras.src.models.functional",
}


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


def modernised_copy(path: Path, config: dict[str, Any], folder: Path) -> Path:
    """Write a copy of a model file into `folder` with another configuration, and return it."""
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
    return copy


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

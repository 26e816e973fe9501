"""Tell files of Keras 2 from those of Keras 3, and those written with Theano from all others.

Theano's convolution turns the kernel around, that of every other backend does not. Keras 2 stored kernels as its
backend took them, noted the backend in the file, and turned those of Conv1D and Conv2D around when it loaded them for
another one; Keras 3 no longer does. A depthwise kernel was stored as TensorFlow takes it: Keras' code for Theano turned
it around before each use.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from brian_snn.errors import ModelError

# Backends whose convolution does not turn the kernel around; a file that names none is taken for TensorFlow's.
_CORRELATING = ("", "tensorflow", "cntk", "jax", "torch", "numpy")
_THEANO = "theano"


def is_legacy(version: str) -> bool:
    """Whether a file of this Keras version was written by Keras 2 or 1; one without a version was."""
    major = version.split(".")[0]
    return not (major.isdecimal() and int(major) >= 3)


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

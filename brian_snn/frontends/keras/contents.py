"""Read what a Keras file says of its model, without building anything."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brian_snn.errors import READ_ERRORS, ModelError
from brian_snn.frontends.keras.config import MODELS
from brian_snn.frontends.keras.legacy import attribute_text, written_with
from brian_snn.hdf5 import count_numbers
from brian_snn.reading import MOST_TEXT, check_size, checked_members, parsed_json

CONFIG, WEIGHTS = "config.json", "model.weights.h5"

# All that Keras writes for the layers that can be converted; others bring folders of assets, or pickled weights.
_MEMBERS = (CONFIG, "metadata.json", WEIGHTS)
_START_OF_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, eq=False)
class Contents:
    """What a file says.

    Parameters
    ----------
    path : Path
        The file.
    suffix : str
        That of its format, ``.keras`` or ``.h5``, whatever it is called.
    config : dict
        Of the model.
    version : str
        Of the Keras that wrote it; nothing if it does not say.
    backend : str
        With which it was written; nothing if it does not say, or if it makes no difference.
    n_weights : int
        How many numbers it holds.
    """

    path: Path
    suffix: str
    config: dict[str, Any]
    version: str
    backend: str
    n_weights: int


def read_contents(path: Path) -> Contents:
    """Return what a file says, by its content: Keras 2.10 wrote HDF5 into files called ``.keras``.

    Raises
    ------
    ModelError
        If it is damaged or holds anything that Keras does not write.
    """
    with path.open("rb") as file:
        is_hdf5 = file.read(len(_START_OF_HDF5)) == _START_OF_HDF5
    is_zip = not is_hdf5 and zipfile.is_zipfile(path)
    if is_hdf5 or (path.suffix.lower() != ".keras" and not is_zip):
        return _of_hdf5(path)
    return _of_archive(path)


def copy_with(contents: Contents, config: dict[str, Any], folder: Path) -> Path:
    """Write a copy of a file into `folder` with another configuration, and return it."""
    copy = folder / f"model{contents.suffix}"
    if contents.suffix == ".keras":
        with zipfile.ZipFile(contents.path) as source, zipfile.ZipFile(copy, "w") as target:
            for name in source.namelist():
                target.writestr(name, json.dumps(config) if name == CONFIG else source.read(name))
        return copy
    import h5py

    shutil.copyfile(contents.path, copy)
    with h5py.File(copy, "r+") as file:
        file.attrs["model_config"] = json.dumps(config)
    return copy


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def _of_archive(path: Path) -> Contents:
    """Return what a ``.keras`` file says."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = checked_members(archive, _MEMBERS)
            config, metadata = (parsed_json(_text(archive, members[name])) for name in _MEMBERS[:2])
            version = str(metadata["keras_version"])
            weights = members[WEIGHTS]
            check_size(weights.file_size, weights.compress_size, "save the model again")
            n_weights = count_numbers(io.BytesIO(archive.read(weights)), weights.file_size)
    except (*READ_ERRORS, NotImplementedError) as error:
        raise ModelError(f"model {path}: the file is damaged or no .keras file ({first_line(error)}).") from error
    return Contents(path, ".keras", _checked(config, path), version, "", n_weights)


def _text(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a member with text, of which one byte more is read than may be."""
    with archive.open(member) as file:
        return file.read(MOST_TEXT + 1)


def _of_hdf5(path: Path) -> Contents:
    """Return what an HDF5 file says."""
    import h5py

    try:
        n_weights = count_numbers(path, path.stat().st_size)
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
            if text is not None and not isinstance(text, str | bytes):
                raise ValueError("its model_config is no text")
            config = None if text is None else parsed_json(text)
            version, backend = attribute_text(file.attrs.get("keras_version", "")), written_with(file)
    except READ_ERRORS as error:
        raise ModelError(f"model {path}: the file is damaged or no HDF5 file ({first_line(error)}).") from error
    if config is None:
        raise ModelError(
            f"model {path}: it holds weights only, no architecture; load them into the model and use model.save()."
        )
    return Contents(path, ".h5", _checked(config, path), version, backend, n_weights)


def _checked(config: Any, path: Path) -> dict[str, Any]:
    """Return a configuration, which must be that of a model that needs no code of its own."""
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict | list):
        raise ModelError(f"model {path}: its configuration is damaged.")
    if config.get("class_name") not in MODELS:
        raise ModelError(
            f"model {path}: it is a {config.get('class_name')!r}, which needs code of its own; only functional and "
            "Sequential models can be loaded."
        )
    if isinstance(config["config"], list) and (config["class_name"] != "Sequential" or not config["config"]):
        raise ModelError(f"model {path}: its configuration is damaged.")
    return config

"""Load Keras models from files, without running code that a file may hold.

A model file is data from anywhere. Keras rebuilds layers by looking up names in it, and some layers hold Python code.
So the file's configuration is read first, as plain JSON, and refused unless every object in it is a Keras layer that
can be converted (`keras_config`); its weights are looked through as well (`keras_weights`), and there may be nothing
else in it. Only then does Keras see it.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brian_snn.errors import READ_ERRORS, ModelError, OutputError, SettingError
from brian_snn.files import temporary_folder
from brian_snn.frontends.keras.config import MODELS, refuse_code, without_training
from brian_snn.frontends.keras.legacy import (
    attribute_text,
    is_legacy,
    is_theano,
    modernised,
    modernised_copy,
    written_with,
)
from brian_snn.frontends.keras.weights import count_weights
from brian_snn.reading import MOST_TEXT, check_plain_file, check_size, checked_members, parsed_json

# All that Keras writes for the layers that can be converted; others bring folders of assets, or pickled weights.
_MEMBERS = ("config.json", "metadata.json", "model.weights.h5")
_BACKEND_PLACES = "by KERAS_BACKEND or the file keras.json in ~/.keras or KERAS_HOME"


def import_keras() -> Any:
    """Import Keras and let TensorFlow start up, its notes about devices kept from the terminal.

    Raises
    ------
    SettingError
        If Keras is set to compute with anything but TensorFlow, whose float64 is what all is compared with, or if its
        settings let it not be imported.
    """
    if "keras" not in sys.modules or "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        _check_backend(os.environ.get("KERAS_BACKEND") or "tensorflow", "by the environment variable KERAS_BACKEND")
        with _silent_stderr():
            _start_keras()
    keras = sys.modules["keras"]
    _check_backend(keras.config.backend(), _BACKEND_PLACES)
    return keras


def _start_keras() -> None:
    """Import Keras; its first operation makes TensorFlow look for devices, which it reports on."""
    try:
        import keras

        keras.ops.zeros(())
    # A package that its settings ask for and that is not there, or a value that they cannot have.
    except (ImportError, ValueError, AttributeError, TypeError) as error:
        raise SettingError(
            f"Keras cannot be imported with its settings, {_BACKEND_PLACES} ({_first_line(error)}); set "
            "KERAS_BACKEND=tensorflow and correct that file, or delete it."
        ) from error


def _check_backend(backend: str, where: str) -> None:
    """Raise unless Keras computes with TensorFlow."""
    if backend != "tensorflow":
        raise SettingError(
            f"Keras is set to the backend {backend!r} {where}; only 'tensorflow' computes in float64 throughout, which "
            "convert and verify need. Set KERAS_BACKEND=tensorflow."
        )


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep what C++ libraries write to the standard error stream from the terminal."""
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def load_model(path: str | Path) -> Any:
    """Load a trained model from a ``.keras`` or ``.h5`` file.

    Parameters
    ----------
    path : str or Path
        The file, as saved by Keras 2 or Keras 3.

    Returns
    -------
    model : keras.Model
        Not compiled.

    Raises
    ------
    ModelError
        If there is no such file, if it is damaged, if it holds code or objects that are not Keras' own, or if it holds
        no architecture.
    """
    path = Path(path)
    if path.is_dir():
        raise ModelError(
            f"model {path}: a folder (SavedModel) holds no layers that Keras 3 can read; load it where it was made and "
            "save it again with model.save('model.keras')."
        )
    check_plain_file(path, f"model {path}", ModelError)
    suffix, theano = path.suffix.lower(), False
    if suffix == ".keras":
        config, version, n_weights = _config_in_archive(path)
    elif suffix in (".h5", ".hdf5"):
        config, version, backend, n_weights = _config_in_h5(path)
        theano = is_theano(backend, f"model {path}")
    else:
        raise ModelError(f"model {path}: its name ends in {suffix!r}; model files end in .keras, .h5 or .hdf5.")
    legacy = is_legacy(version)
    readable = _modernised(config, path) if legacy else without_training(config)
    refuse_code(readable, f"model {path}")
    keras = import_keras()
    try:
        with temporary_folder() as folder, usual_defaults(keras), _at_most(keras, n_weights, path):
            copied = legacy or theano or readable != config
            source = modernised_copy(path, readable, folder, theano) if copied else path
            return keras.models.load_model(source, compile=False, safe_mode=True)
    except (ModelError, OutputError):
        raise
    # Keras passes on whatever its readers raise for a damaged file: of zip, HDF5, JSON, or a bare KeyError.
    except Exception as error:
        raise ModelError(f"model {path}: Keras cannot read it ({_first_line(error)}); save it again.") from error


@contextlib.contextmanager
def _at_most(keras: Any, n_numbers: int, path: Path) -> Iterator[None]:
    """Let layers make no more weights than a file holds: a few bytes can ask for a layer of any size."""
    add_weight, made = keras.Layer.add_weight, 0

    def counted(layer: Any, shape: Any = None, *arguments: Any, **keywords: Any) -> Any:
        nonlocal made
        made += math.prod(length for length in shape or () if isinstance(length, int))
        if made > n_numbers:
            raise ModelError(
                f"model {path}: layer {layer.name!r} ({type(layer).__name__}) has weights of shape {tuple(shape)}, "
                "more than the file holds; save the model again with its weights."
            )
        return add_weight(layer, shape, *arguments, **keywords)

    keras.Layer.add_weight = counted
    try:
        yield
    finally:
        keras.Layer.add_weight = add_weight


def _modernised(config: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the configuration of Keras 2 as Keras 3 writes it."""
    try:
        return without_training(modernised(config))
    except (TypeError, AttributeError, LookupError) as error:
        raise ModelError(f"model {path}: its configuration is damaged ({_first_line(error)}).") from error


@contextlib.contextmanager
def usual_defaults(keras: Any) -> Iterator[None]:
    """Let what old files leave open, types and the order of axes, not depend on the settings of this machine."""
    floatx, data_format = keras.config.floatx(), keras.config.image_data_format()
    if floatx != "float64":
        keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_image_data_format(data_format)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def _config_in_archive(path: Path) -> tuple[dict[str, Any], str, int]:
    """Return the configuration in a ``.keras`` file, the version of Keras that wrote it, and its number of weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = checked_members(archive, _MEMBERS)
            config, metadata = (parsed_json(_text(archive, members[name])) for name in _MEMBERS[:2])
            version = str(metadata["keras_version"])
            weights = members[_MEMBERS[2]]
            check_size(weights.file_size, weights.compress_size, "save the model again")
            n_weights = count_weights(io.BytesIO(archive.read(weights)), weights.file_size)
    except (*READ_ERRORS, NotImplementedError) as error:
        raise ModelError(f"model {path}: the file is damaged or no .keras file ({_first_line(error)}).") from error
    return _checked_config(config, path), version, n_weights


def _text(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a member with text, of which one byte more is read than may be."""
    with archive.open(member) as file:
        return file.read(MOST_TEXT + 1)


def _config_in_h5(path: Path) -> tuple[dict[str, Any], str, str, int]:
    """Return the configuration in an HDF5 file, the version and backend that wrote it, and its number of weights."""
    import h5py

    try:
        n_weights = count_weights(path, path.stat().st_size)
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
            if text is not None and not isinstance(text, str | bytes):
                raise ValueError("its model_config is no text")
            config = None if text is None else parsed_json(text)
            version, backend = attribute_text(file.attrs.get("keras_version", "")), written_with(file)
    except READ_ERRORS as error:
        raise ModelError(f"model {path}: the file is damaged or no HDF5 file ({_first_line(error)}).") from error
    if config is None:
        raise ModelError(
            f"model {path}: it holds weights only, no architecture; load them into the model and use model.save()."
        )
    return _checked_config(config, path), version, backend, n_weights


def _checked_config(config: Any, path: Path) -> dict[str, Any]:
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise ModelError(f"model {path}: its configuration is damaged.")
    if config.get("class_name") not in MODELS:
        raise ModelError(
            f"model {path}: it is a {config.get('class_name')!r}, which needs code of its own; only functional and "
            "Sequential models can be loaded."
        )
    return config

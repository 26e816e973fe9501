"""Load Keras models from files, without running code that a file may hold.

A model file is data from anywhere. Keras rebuilds layers by looking up names in it, and some layers hold Python code.
So the file's configuration is read first, as plain JSON, and refused unless every object in it is a Keras layer that
can be converted; only then does Keras see it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brian_snn.conversion.keras_layers import READERS, unsupported
from brian_snn.conversion.keras_legacy import (
    attribute_text,
    is_legacy,
    is_theano,
    modernised,
    modernised_copy,
    written_with,
)
from brian_snn.errors import ModelError, OutputError, SettingError
from brian_snn.outputs import temporary_folder

_MODELS = ("Functional", "Sequential", "Model")
_OTHER_LAYERS = ("InputLayer",)
# Parts of Keras whose objects are plain records; others, such as keras.utils, hold functions that do things.
_MODULES = ("layers", "models", "initializers", "regularizers", "constraints", "dtype_policies", "ops", "activations")
_CODE = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "__lambda__", "function")
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
    if not path.is_file():
        raise ModelError(f"model {path}: there is no such file.")
    suffix, theano = path.suffix.lower(), False
    if suffix == ".keras":
        config, version = _config_in_archive(path)
    elif suffix in (".h5", ".hdf5"):
        config, version, backend = _config_in_h5(path)
        theano = is_theano(backend, f"model {path}")
    else:
        raise ModelError(f"model {path}: its name ends in {suffix!r}; model files end in .keras, .h5 or .hdf5.")
    legacy = is_legacy(version)
    config = modernised(config) if legacy else config
    _refuse_code(config, path)
    keras = import_keras()
    try:
        with temporary_folder() as folder, usual_defaults(keras):
            readable = modernised_copy(path, config, folder, theano) if legacy or theano else path
            return keras.models.load_model(readable, compile=False, safe_mode=True)
    except (ModelError, OutputError):
        raise
    # Keras passes on whatever its readers raise for a damaged file: of zip, HDF5, JSON, or a bare KeyError.
    except Exception as error:
        raise ModelError(f"model {path}: Keras cannot read it ({_first_line(error)}); save it again.") from error


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
    return lines[0][:200] if lines else type(error).__name__


def _config_in_archive(path: Path) -> tuple[dict[str, Any], str]:
    """Return the configuration inside a ``.keras`` file, and the version of Keras that wrote it."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            version = str(json.loads(archive.read("metadata.json"))["keras_version"])
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, OSError, EOFError) as error:
        raise ModelError(f"model {path}: the file is damaged or no .keras file ({_first_line(error)}).") from error
    return _checked_config(config, path), version


def _config_in_h5(path: Path) -> tuple[dict[str, Any], str, str]:
    """Return the configuration inside an HDF5 file, and the version of Keras and the backend that wrote it."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
            config = None if text is None else json.loads(text)
            version, backend = attribute_text(file.attrs.get("keras_version", "")), written_with(file)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"model {path}: the file is damaged or no HDF5 file ({_first_line(error)}).") from error
    if config is None:
        raise ModelError(
            f"model {path}: it holds weights only, no architecture; load them into the model and use model.save()."
        )
    return _checked_config(config, path), version, backend


def _checked_config(config: Any, path: Path) -> dict[str, Any]:
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise ModelError(f"model {path}: its configuration is damaged.")
    if config.get("class_name") not in _MODELS:
        raise ModelError(
            f"model {path}: it is a {config.get('class_name')!r}, which needs code of its own; only functional and "
            "Sequential models can be loaded."
        )
    # Loss and optimiser are not loaded.
    return {key: value for key, value in config.items() if key not in ("compile_config", "build_config")}


def _refuse_code(config: dict[str, Any], path: Path) -> None:
    """Raise unless everything that a configuration names is a record of Keras' own."""
    pending: list[tuple[Any, str, bool]] = [(config, "", True)]
    while pending:
        part, owner, is_layer = pending.pop()
        if isinstance(part, dict):
            owner = _checked_object(part, owner, is_layer, path) if "class_name" in part else owner
            pending += [(value, owner, key == "layers") for key, value in part.items()]
        elif isinstance(part, list):
            pending += [(value, owner, is_layer) for value in part]


def _checked_object(part: dict[str, Any], owner: str, is_layer: bool, path: Path) -> str:
    """Check one serialised object; return the label of the layer to which its parts belong."""
    class_name, module, registered = (str(part.get(key) or "") for key in ("class_name", "module", "registered_name"))
    config = part.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    label = f"layer {name!r} ({class_name})" if is_layer else owner or f"object {class_name!r}"
    places = module.split(".")
    place = places[2] if places[:2] == ["keras", "src"] and len(places) > 2 else places[1] if len(places) > 1 else ""
    foreign = bool(module) and (places[0] != "keras" or (place not in _MODULES and module != "keras"))
    if class_name in _CODE or foreign or ">" in registered:
        raise ModelError(
            f"model {path}: {label} holds code or an object that is not Keras' own ({module or 'no module'}, "
            f"{class_name}), which is never run; write it with Keras layers and save the model again."
        )
    if is_layer and class_name not in (*READERS, *_MODELS, *_OTHER_LAYERS) and not _is_function(module):
        raise unsupported(f"model {path}: {label}", class_name)
    return label


def _is_function(module: str) -> bool:
    """Whether an entry is an operation such as ``x + y`` and no layer."""
    return module.startswith(("keras.src.ops", "keras.ops"))

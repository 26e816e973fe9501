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
import re
import sys
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from brian_snn.errors import ModelError, OutputError, SettingError
from brian_snn.files import temporary_folder
from brian_snn.frontends.keras.config import refuse_code, without_training
from brian_snn.frontends.keras.contents import WEIGHTS, Contents, copy_with, first_line, read_contents
from brian_snn.frontends.keras.keras2.build import build
from brian_snn.frontends.keras.keras2.functions import CLASSES
from brian_snn.frontends.keras.keras2.plain import plain
from brian_snn.frontends.keras.keras2.weights import set_listed_weights, set_tree_of_weights
from brian_snn.frontends.keras.layers import OWN_LAYERS
from brian_snn.frontends.keras.legacy import is_legacy, is_theano
from brian_snn.reading import check_plain_file

_COLOURS = re.compile("\x1b\\[[0-9;]*m")
_SUFFIXES = (".keras", ".h5", ".hdf5")
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
            f"Keras cannot be imported with its settings, {_BACKEND_PLACES} ({first_line(error)}); set "
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
    _check_kind(path)
    contents = read_contents(path)
    theano = is_theano(contents.backend, f"model {path}")
    legacy = is_legacy(contents.version) or theano
    config = _checked_config(contents, legacy)
    keras = import_keras()
    try:
        with usual_defaults(keras), _at_most(keras, contents.n_weights):
            return _load_legacy(keras, contents, config, theano) if legacy else _load(keras, contents, config)
    except ModelError as error:
        raise ModelError(f"model {path}: {error}") from error
    except OutputError:
        raise
    # Keras passes on whatever its readers raise for a damaged file: of zip, HDF5, JSON, or a bare KeyError.
    except Exception as error:
        raise ModelError(f"model {path}: Keras cannot read it ({telling_line(error)}); save it again.") from error


def _check_kind(path: Path) -> None:
    """Raise unless a path is that of a file that may hold a Keras model."""
    if path.is_dir():
        raise ModelError(
            f"model {path}: a folder (SavedModel) holds no layers that Keras 3 can read; load it where it was made and "
            "save it again with model.save('model.keras'), or turn it into ONNX with tf2onnx."
        )
    check_plain_file(path, f"model {path}", ModelError)
    if path.suffix.lower() not in _SUFFIXES:
        raise ModelError(f"model {path}: its name ends in {path.suffix!r}; model files end in {', '.join(_SUFFIXES)}.")


def _checked_config(contents: Contents, legacy: bool) -> dict[str, Any]:
    """Return a configuration with all that can be built and nothing else."""
    what = f"model {contents.path}"
    if contents.version.startswith("1."):
        raise ModelError(
            f"{what}: Keras {contents.version} wrote it, whose layers had other arguments; load it with Keras 2 "
            "and save it again."
        )
    try:
        config = plain(contents.config) if legacy else without_training(contents.config)
        refuse_code(config, what, CLASSES if legacy else ())
    except (TypeError, AttributeError, LookupError) as error:
        raise ModelError(f"{what}: its configuration is damaged ({first_line(error)}).") from error
    return config


def _load(keras: Any, contents: Contents, config: dict[str, Any]) -> Any:
    """Let Keras load a file of its own version."""
    with temporary_folder() as folder:
        as_it_is = config == contents.config and contents.path.suffix == contents.suffix
        source = contents.path if as_it_is else copy_with(contents, config, folder)
        # Keras does not know them by name.
        own = {name: getattr(import_module(module), name) for module, name in OWN_LAYERS}
        return keras.models.load_model(source, custom_objects=own, compile=False, safe_mode=True)


def _load_legacy(keras: Any, contents: Contents, config: dict[str, Any], theano: bool) -> Any:
    """Build the model of a file of Keras 2, and set its weights."""
    import h5py

    model = build(keras, config)
    if contents.suffix == ".h5":
        with h5py.File(contents.path, "r") as file:
            set_listed_weights(model, file, theano)
    else:
        with zipfile.ZipFile(contents.path) as archive, h5py.File(io.BytesIO(archive.read(WEIGHTS)), "r") as file:
            set_tree_of_weights(model, file)
    return model.layer


@contextlib.contextmanager
def _at_most(keras: Any, n_numbers: int) -> Iterator[None]:
    """Let layers make no more weights than a file holds: a few bytes can ask for a layer of any size."""
    add_weight, made = keras.Layer.add_weight, 0

    def counted(layer: Any, shape: Any = None, *arguments: Any, **keywords: Any) -> Any:
        nonlocal made
        made += math.prod(length for length in shape or () if isinstance(length, int))
        if made > n_numbers:
            raise ModelError(
                f"layer {layer.name!r} ({type(layer).__name__}) has weights of shape {tuple(shape)}, more than the "
                "file holds; save the model again with its weights."
            )
        return add_weight(layer, shape, *arguments, **keywords)

    keras.Layer.add_weight = counted
    try:
        yield
    finally:
        keras.Layer.add_weight = add_weight


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


def telling_line(error: Exception) -> str:
    """Return the line of an error's message that says why: Keras puts the configuration of everything before it."""
    text = _COLOURS.sub("", str(error)).rpartition("Exception encountered:")[2]
    if "Example error message" in text:
        text = text.partition("Example error message")[2].partition("\n")[2]
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("Exception encountered when")]
    return lines[0][:300] if lines else type(error).__name__

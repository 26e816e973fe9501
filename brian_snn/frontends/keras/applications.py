"""Inception-V3 with trained weights, and the layer of Figure S1 in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brian_snn.errors import ModelError, OutputError
from brian_snn.files import temporary_folder
from brian_snn.frontends.keras.files import import_keras, usual_defaults
from brian_snn.frontends.keras.legacy import readable_weights
from brian_snn.hdf5 import count_numbers
from brian_snn.reading import check_plain_file

# Side of the photos that Inception-V3 takes.
_SIDE = 299

#: Stands for the weights that Keras downloads.
IMAGENET = "imagenet"

_KERAS_LABEL = "ImageNet, as Keras publishes them"
_KERAS_PIXELS = (-1.0, 1.0)

# Weights by the MD5 hash of their file, with the range of pixels that their batch norms were trained on.
_KNOWN_FILES = {
    "9687bdd7b688252b999d6b2d5c9e58c3": ("ImageNet-initialised, fine-tuned (nsfwjs), 8 bit", (0.0, 1.0)),
    "bcbd6486424b2319ff4ef7d526e38f63": (_KERAS_LABEL, _KERAS_PIXELS),
}


@dataclass(frozen=True, eq=False)
class Inception:
    """Inception-V3 without its classifier.

    Parameters
    ----------
    model : keras.Model
        Input (299, 299, 3).
    weights : str
        What its weights are, to be printed.
    pixels : (float, float)
        What black and white are in its input.
    """

    model: Any
    weights: str
    pixels: tuple[float, float]


def load_inception(weights: str) -> Inception:
    """Build Inception-V3 and load its weights.

    Parameters
    ----------
    weights : str
        ``imagenet``, which Keras downloads, or the path of a file of weights. The weights of nsfwjs and those of Keras
        are known by their hash; any other file is called by its name, and its pixels are taken to be in [0, 1].

    Raises
    ------
    ModelError
        If the weights can neither be downloaded nor read, do not fit, or are in no HDF5 file that stands for itself.
    """
    if weights == IMAGENET:
        return Inception(_build(IMAGENET, None), _KERAS_LABEL, _KERAS_PIXELS)
    path = Path(weights)
    if not path.exists():
        raise ModelError(f"weights {path}: there is no such file; give the path of one, or {IMAGENET!r}.")
    check_plain_file(path, f"weights {path}", ModelError)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    label, pixels = _KNOWN_FILES.get(digest, (path.name, (0.0, 1.0)))
    return Inception(_build(None, path), label, pixels)


def pool_branch_layer(model: Any) -> str:
    """Return the name of Figure S1's layer: the ReLU behind the convolution in the first mixed block's pool branch.

    Keras numbers the convolutions of all models of a process, so the name depends on what was built before.
    """
    return str(model.get_layer("mixed0").input[-1]._keras_history.operation.name)


def _build(weights: str | None, path: Path | None) -> Any:
    """Return the model with the weights of Keras or of a file."""
    keras = import_keras()
    what = f"weights {path or weights!r}"
    hint = "check the file" if path else "without a network, give the path of a file of weights"
    try:
        with temporary_folder() as folder, usual_defaults(keras):
            model = keras.applications.InceptionV3(weights=weights, include_top=False, input_shape=(_SIDE, _SIDE, 3))
            if path is not None:
                # Keras opens other kinds of files too, and unpickles some of them.
                count_numbers(path, path.stat().st_size)
                model.load_weights(readable_weights(path, folder))
    except (ModelError, OutputError):
        raise
    # Keras passes on whatever its readers raise for a damaged file, and a bare Exception for a failed download.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelError(f"{what}: Keras cannot load them into Inception-V3 ({reason}); {hint}.") from error
    return model

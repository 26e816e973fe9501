"""Read and check images: the only way by which pixels enter the program.

Formats: ``.npz`` and ``.npy``, the IDX files in which MNIST and its kin are published (plain or gzip), and the folder
of SNN toolbox (``x_test.npz``, ``y_test.npz``, ``x_norm.npz``). Nothing is ever unpickled: a data file cannot run code.

What a pixel means is the model's business, so numbers are taken as they are stored, with one exception. An IDX file of
unsigned bytes cannot hold anything but 0 to 255, while models for it are as a rule trained on [0, 1]: its pixels are
divided by 255. An ``.npz`` could have held fractions, so where it holds bytes they may be meant for a model with a
Rescaling layer, and are kept. ``divide_by`` overrides the rule in both directions.
"""

from __future__ import annotations

import gzip
import math
import re
import zipfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import ArrayLike, NDArray

from brian_snn.conversion.answers import Answer, class_numbers
from brian_snn.conversion.graph import FloatArray
from brian_snn.errors import READ_ERRORS, DataError
from brian_snn.pixel_range import Range, finite_range

Role = Literal["images", "calibration"]

#: Numbers as stored, of any type.
Array = NDArray[Any]

#: Where images are looked for, by role, first match first.
_IMAGE_KEYS: dict[str, tuple[str, ...]] = {
    "images": ("x_test", "x", "images", "arr_0", "x_norm"),
    "calibration": ("x_norm", "x_test", "x", "images", "arr_0"),
}
_LABEL_KEYS = ("y_test", "y", "labels")

#: Type byte of an IDX file; the numbers are big-endian.
_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images, their labels where known, and where they came from.

    Parameters
    ----------
    images : (n_images, *shape) float array
        Finite numbers, in the units that the model takes.
    labels : (n_images,) int array, or None
        Class of each image, 0 is the first; (n_images, ...) for a network that gives several answers to an image.
    source : str
        File, and the key inside it, for messages and provenance.
    """

    images: FloatArray
    labels: NDArray[np.int64] | None
    source: str


def load_images(
    path: str | Path,
    input_shape: tuple[int, ...] | None = None,
    role: Role = "images",
    divide_by: float | None = None,
    answer: Answer | None = None,
) -> Dataset:
    """Read images, and labels if there are any, from a file or a folder.

    Images are the first of these keys that is there: for ``role="images"`` x_test, x, images, arr_0, x_norm; for
    ``role="calibration"`` x_norm, x_test, x, images, arr_0. Labels are y_test, y or labels, as numbers or one-hot;
    x_norm has none. The labels of IDX images are in the file beside them that is called "labels" instead of "images".

    Parameters
    ----------
    path : str or Path
        ``.npz``, ``.npy``, an IDX file (``*-idx3-ubyte``, ``.gz`` or not), or a folder as SNN toolbox writes it.
    input_shape : tuple of int, optional
        Shape of the model's input. A last axis of length 1 is added or removed to fit it; anything else must match.
    role : str
        ``images`` to simulate, or ``calibration`` images to normalise with.
    divide_by : float, optional
        Divide every pixel by this. By default 255 for IDX files of unsigned bytes and 1, that is nothing, for all
        others; the module's docstring says why.
    answer : Answer, optional
        What the network that will be shown the images says of each: labels must be of its shape and name its classes,
        and are left out where it says numbers. By default any class numbers, one for each image, are taken.

    Returns
    -------
    dataset : Dataset
        Images as float64.

    Raises
    ------
    DataError
        If the file is missing, damaged or of an unknown kind, or its content is not a set of finite images of the
        right shape with labels that fit. The message names the file.
    """
    path = Path(path)
    if role not in get_args(Role):
        raise DataError(f"role is {role!r}; it must be one of {', '.join(get_args(Role))}.")
    if divide_by is not None and not (math.isfinite(divide_by) and divide_by > 0):
        raise DataError(f"divide_by is {divide_by!r}; it must be a positive finite number.")
    pixels, labels, source = _read(path, role)
    if divide_by is None:
        divide_by = 255.0 if _is_idx(path) and pixels.dtype == np.uint8 else 1.0
    what = f"images of {source}"
    if input_shape is not None:
        pixels = _fit_last_axis(pixels, input_shape)
    with np.errstate(over="ignore"):
        images = check_images(pixels, input_shape, what) / divide_by
    if not np.isfinite(images).all():
        raise DataError(f"{what} overflow when divided by {divide_by!r}; check divide_by.")
    if labels is not None:
        fit = class_numbers if answer is None else answer.labels
        labels = fit(labels, len(images), source)
    return Dataset(images, labels, source)


def load_demo() -> tuple[Path, Dataset, Dataset]:
    """Return the model file that ships with the package, 200 MNIST test digits and 200 training digits.

    Returns
    -------
    model_path : Path
        A Keras model with input (28, 28, 1) in [0, 1].
    test : Dataset
        Digits of the official test set, twenty of each class, with labels.
    calibration : Dataset
        Digits of the training set, without labels.

    Raises
    ------
    DataError
        If the installation is incomplete.
    """
    folder = Path(str(resources.files("brian_snn") / "data"))
    model_path = folder / "demo_cnn.keras"
    if not model_path.is_file():
        raise DataError(f"{model_path}: the demo model is missing; install brian_snn again.")
    digits = folder / "demo_digits.npz"
    # The digits are stored as bytes to keep the package small.
    test, calibration = (load_images(digits, (28, 28, 1), role, divide_by=255) for role in get_args(Role))
    return model_path, test, calibration


def check_images(images: ArrayLike, input_shape: tuple[int, ...] | None, what: str = "images") -> FloatArray:
    """Return images as float64 after checking that they are finite numbers of the model's input shape.

    Parameters
    ----------
    images : (n_images, *input_shape) array_like
        At least one image.
    input_shape : tuple of int, or None
        Shape of one image; None accepts any.
    what : str
        Plural noun that begins the message, such as ``calibration images``.

    Raises
    ------
    DataError
        If the images are not numbers, have another shape, are none at all, or hold NaN or infinite pixels.
    """
    return check_image_array(images, input_shape, what)[0].astype(np.float64)


def check_image_array(
    images: ArrayLike, input_shape: tuple[int, ...] | None, what: str = "images"
) -> tuple[Array, Range]:
    """Check images as `check_images` does and return them as they are, and the range of their pixels.

    A memory map is read piece by piece, once.
    """
    try:
        array = np.asanyarray(images)
    except ValueError as error:
        raise DataError(f"{what} do not form an array ({error}); all must have one shape.") from error
    if isinstance(array, np.ma.MaskedArray):
        raise DataError(f"{what} are a masked array; give plain numbers: images.filled(0), or images.data.")
    if array.dtype.kind not in "buif":
        raise DataError(f"{what} are of type {array.dtype}; real numbers were expected.")
    _check_shape(array.shape, input_shape, what)
    return array, finite_range(array, what)


def _check_shape(shape: tuple[int, ...], input_shape: tuple[int, ...] | None, what: str) -> None:
    """Raise unless the shape is that of at least one image."""
    if input_shape is not None and shape == tuple(input_shape):
        raise DataError(f"{what} have shape {shape}, that of one image; add a leading axis: images[numpy.newaxis].")
    if input_shape is not None and shape[1:] != tuple(input_shape):
        raise DataError(f"{what} have shape {shape}; the model's input is {tuple(input_shape)}.")
    if len(shape) < 2:
        raise DataError(f"{what} have shape {shape}; (number of images, *shape of an image) was expected.")
    if 0 in shape:
        raise DataError(f"{what} have shape {shape}, which is an empty set; at least one image is needed.")


def _fit_last_axis(images: Array, input_shape: tuple[int, ...]) -> Array:
    """Add or remove a last axis of length 1 where that gives the input shape."""
    shape = images.shape[1:]
    if (*shape, 1) == tuple(input_shape):
        return images[..., np.newaxis]
    return images[..., 0] if shape == (*input_shape, 1) else images


def _read(path: Path, role: Role) -> tuple[Array, Array | None, str]:
    """Return pixels as stored, labels as stored, and the source's name."""
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder.")
    if path.is_dir():
        return _read_folder(path, role)
    if path.suffix.lower() in (".npz", ".npy"):
        return _read_numpy(path, role)
    if _is_idx(path):
        return _read_idx_pair(path)
    raise DataError(f"{path}: unknown kind of file; .npz, .npy, an IDX file or a folder with x_test.npz was expected.")


def _read_folder(folder: Path, role: Role) -> tuple[Array, Array | None, str]:
    """Read the folder that SNN toolbox writes."""
    stems = [stem for stem in ("x_test", "y_test", "x_norm") if (folder / f"{stem}.npz").is_file()]
    key = _first_key(stems, _IMAGE_KEYS[role])
    if key is None:
        raise DataError(f"{folder}: the folder has neither x_test.npz nor x_norm.npz.")
    labelled = key == "x_test" and "y_test" in stems
    labels = _read_member(folder / "y_test.npz", "arr_0") if labelled else None
    path = folder / f"{key}.npz"
    return _read_member(path, "arr_0"), labels, str(path)


def _read_numpy(path: Path, role: Role) -> tuple[Array, Array | None, str]:
    """Read an .npz with images and perhaps labels, or an .npy with images."""
    keys = _member_keys(path)
    if keys is None:
        return _load(path), None, str(path)
    key = _first_key(keys, _IMAGE_KEYS[role])
    if key is None:
        raise DataError(f"{path}: no images; one of the keys {', '.join(_IMAGE_KEYS[role])} was expected, not {keys}.")
    label_key = None if key == "x_norm" else _first_key(keys, _LABEL_KEYS)
    labels = None if label_key is None else _read_member(path, label_key)
    return _read_member(path, key), labels, f"{path}[{key}]"


def _first_key(keys: list[str], candidates: tuple[str, ...]) -> str | None:
    """Return the first candidate that is among the keys."""
    return next((candidate for candidate in candidates if candidate in keys), None)


def _member_keys(path: Path) -> list[str] | None:
    """Return the keys of an .npz, or None if the file holds a single array."""
    if not zipfile.is_zipfile(path) and path.suffix.lower() == ".npy":
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except READ_ERRORS as error:
        raise _damaged(path, error) from error


def _read_member(path: Path, key: str) -> Array:
    """Return one array of an .npz."""
    keys = _member_keys(path)
    if keys is None or key not in keys:
        raise DataError(f"{path}: no array named {key!r}; there are {keys}.")
    return _load(path, key)


def _load(path: Path, key: str = "") -> Array:
    """Return the array of an .npy, or one array of an .npz, without unpickling anything."""
    try:
        # NumPy leaves a file open that it opened itself and cannot read.
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, NpzFile):
                loaded = loaded[key]
    except READ_ERRORS as error:
        raise _damaged(f"{path}[{key}]" if key else path, error) from error
    # NumPy returns the bytes of a member that is no .npy.
    if not isinstance(loaded, np.ndarray):
        raise DataError(f"{path}[{key}]: not an array.")
    return loaded


def _damaged(where: Path | str, error: BaseException) -> DataError:
    """Return the error for a file that cannot be decoded."""
    if "allow_pickle" in str(error):
        return DataError(f"{where}: holds no plain numbers but Python objects or something unknown, never loaded here.")
    reason = str(error) or type(error).__name__
    return DataError(f"{where}: cannot be read ({reason}); the file is damaged or not what its name says.")


def _is_idx(path: Path) -> bool:
    """Whether the name is that of an IDX file, as MNIST's are: train-images-idx3-ubyte.gz."""
    return re.search(r"idx\d|ubyte", path.name.lower()) is not None


def _read_idx_pair(path: Path) -> tuple[Array, Array | None, str]:
    """Read IDX images and the labels beside them."""
    pixels = _read_idx(path)
    name = re.sub(r"idx\d", "idx1", path.name.removesuffix(".gz").replace("images", "labels"))
    beside = [path.with_name(name), path.with_name(f"{name}.gz")]
    found = [candidate for candidate in beside if candidate.is_file() and candidate != path]
    return pixels, _read_idx(found[0]) if found else None, str(path)


def _read_idx(path: Path) -> Array:
    """Decode an IDX file: two zero bytes, type, number of axes, lengths as big-endian int32, numbers."""
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except READ_ERRORS as error:
        raise _damaged(path, error) from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES or content[3] == 0:
        raise DataError(f"{path}: begins with the bytes {content[:4].hex(' ')}; 00 00, type and axes were expected.")
    dtype, start = np.dtype(_IDX_TYPES[content[2]]), 4 + 4 * content[3]
    if len(content) < start:
        raise DataError(f"{path}: ends after {len(content)} of the {start} bytes of its header; the file is cut short.")
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise DataError(f"{path}: has {len(content)} bytes; by its header, shape {shape}, it should have {expected}.")
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))

"""Read and check images: the only way by which pixels enter the program.

Formats: ``.npz`` and ``.npy``, the IDX files in which MNIST and its kin are published (plain or gzip), and the folder
of SNN toolbox (``x_test.npz``, ``y_test.npz``, ``x_norm.npz``). Nothing is ever unpickled: a data file cannot run code.

What a pixel means is the model's business, so numbers are taken as they are stored, with one exception. An IDX file of
unsigned bytes cannot hold anything but 0 to 255, while models for it are as a rule trained on [0, 1]: its pixels are
divided by 255. An ``.npz`` could have held fractions, so where it holds bytes they may be meant for a model with a
Rescaling layer, and are kept. ``divide_by`` overrides the rule in both directions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from brian_snn.answers import Answer, class_numbers
from brian_snn.arrays import FloatArray
from brian_snn.errors import DataError, SettingError
from brian_snn.events import Events, has_steps
from brian_snn.image_files import Array, Role, is_idx, read_arrays, read_events
from brian_snn.inputs import Inputs, as_one
from brian_snn.pixel_range import Range, finite_range

#: From labels, the number of images and their source to class numbers, or None where labels make no sense.
Fit = Callable[[Array, int, str], NDArray[np.int64] | None]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images, their labels where known, and where they came from.

    Parameters
    ----------
    images : (n_images, *shape) float array
        Finite numbers, in the units that the model takes. Events, which are read like an array of frames, are kept as
        they are.
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
    frames: bool = False,
    inputs: Inputs = (),
) -> Dataset:
    """Read images, and labels if there are any, from a file or a folder.

    Images are the first of these keys that is there: for ``role="images"`` x_test, x, images, arr_0, x_norm; for
    ``role="calibration"`` x_norm, x_test, x, images, arr_0. Labels are y_test, y or labels, as numbers or one-hot;
    x_norm has none. The labels of IDX images are in the file beside them that is called "labels" instead of "images".

    Parameters
    ----------
    path : str or Path
        ``.npz``, ``.npy``, an IDX file (``*-idx3-ubyte``, ``.gz`` or not), or a folder as SNN toolbox writes it or a
        simulation.
    input_shape : tuple of int, optional
        Shape of the model's input. A last or first axis of length 1, that of the channels, is added or removed to
        fit it; anything else must match.
    role : str
        ``images`` to simulate, or ``calibration`` images to normalise with.
    divide_by : float, optional
        Divide every pixel by this. By default 255 for IDX files of unsigned bytes and 1, that is nothing, for all
        others; the module's docstring says why.
    answer : Answer, optional
        What the network that will be shown the images says of each: labels must be of its shape and name its classes,
        and are left out where it says numbers. By default any class numbers, one for each image, are taken.
    frames : bool
        Whether images may have an axis of steps behind the first, or be the events of an ``.npz`` with the arrays
        ``events``, ``shape`` and perhaps ``values``: what `brian_snn.Events` takes.
    inputs : tuple of (name, shape)
        Of a model with several (`Network.inputs`): the file is an ``.npz`` with an array for each, by its name.

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
    fit = class_numbers if answer is None else answer.labels
    if frames and (found := read_events(path)) is not None:
        return _events(path, found, input_shape, fit)
    pixels, labels, source = read_arrays(path, role, tuple(name for name, _ in inputs))
    pixels = as_one(pixels, inputs, f"images of {source}")
    if divide_by is None:
        divide_by = 255.0 if is_idx(path) and pixels.dtype == np.uint8 else 1.0
    what = f"images of {source}"
    if input_shape is not None and frames and has_steps(pixels, input_shape):
        input_shape = (pixels.shape[1], *input_shape)
    elif input_shape is not None:
        pixels = _fit_single_axis(pixels, input_shape)
    with np.errstate(over="ignore"):
        images = check_images(pixels, input_shape, what) / divide_by
    if not np.isfinite(images).all():
        raise DataError(f"{what} overflow when divided by {divide_by!r}; check divide_by.")
    if labels is not None:
        labels = fit(labels, len(images), source)
    return Dataset(images, labels, source)


def _events(path: Path, found: dict[str, Array], input_shape: tuple[int, ...] | None, fit: Fit) -> Dataset:
    """Return the events of a file."""
    source = f"{path}[events]"
    try:
        events = Events(found["events"], tuple(found["shape"].tolist()), found.get("values"))
    except (DataError, TypeError) as error:
        raise DataError(f"{path}: {error}") from error
    if input_shape is not None and events.shape[2:] != tuple(input_shape):
        raise DataError(f"{source} are of inputs of shape {events.shape[2:]}; the model's input is {input_shape}.")
    labels = fit(found["labels"], len(events), source) if "labels" in found else None
    return Dataset(cast(FloatArray, events), labels, source)


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

    A memory map is read piece by piece, once, and so are `brian_snn.Events`.
    """
    if isinstance(images, Events):
        frames = cast(Array, images)
        _check_shape(frames.shape, input_shape, what)
        return frames, images.value_range
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


def _fit_single_axis(images: Array, input_shape: tuple[int, ...]) -> Array:
    """Add, remove or move an axis of length 1, last or first, where that gives the input shape: one of channels."""
    shape, wanted = images.shape[1:], tuple(input_shape)
    without = {shape, *[shape[:-1]] * (shape[-1:] == (1,)), *[shape[1:]] * (shape[:1] == (1,))}
    fitting = {wanted, *[wanted[:-1]] * (wanted[-1:] == (1,)), *[wanted[1:]] * (wanted[:1] == (1,))}
    return images.reshape(len(images), *wanted) if without & fitting else images


def first_images(data: Dataset, n_images: int | None) -> Dataset:
    """Return the first `n_images` of the data with their labels, or all of it for None."""
    if n_images is None:
        return data
    if n_images < 1:
        raise SettingError(f"--images is {n_images}; it must be at least 1.")
    return Dataset(data.images[:n_images], None if data.labels is None else data.labels[:n_images], data.source)

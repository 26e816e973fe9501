"""Read the arrays of data files: what is in them is looked at before it is read, and nothing is ever unpickled.

The formats are those of `brian_snn.datasets`, which says what the numbers mean.
"""

from __future__ import annotations

import gzip
import math
import re
import zipfile
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import READ_ERRORS, DataError
from brian_snn.reading import TooMuch, check_plain_file, check_size, checked_members, npy_header, npz_array

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


#: Far more than images have, and less than NumPy can have.
_MOST_AXES = 32

#: Bytes of a number in memory, where all is float64, and what to do about a file that becomes too large there.
_FLOAT64 = 8
_FEWER = "write fewer images to a file, or do not compress it (numpy.savez, numpy.save)"


def read_arrays(path: Path, role: Role, inputs: tuple[str, ...] = ()) -> tuple[Any, Array | None, str]:
    """Return pixels as stored, labels as stored or None, and the source's name.

    With the names of several `inputs` pixels are a dict of the arrays of an ``.npz`` that are called so.

    Raises
    ------
    DataError
        If there is no such file, if it is damaged or of another kind, or becomes too large in memory.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder.")
    if path.is_dir():
        return _read_folder(path, role)
    check_plain_file(path, str(path), DataError)
    if inputs:
        return _read_inputs(path, inputs)
    if path.suffix.lower() in (".npz", ".npy"):
        return _read_numpy(path, role)
    if is_idx(path):
        return _read_idx_pair(path)
    raise DataError(f"{path}: unknown kind of file; .npz, .npy, an IDX file or a folder with x_test.npz was expected.")


def _read_folder(folder: Path, role: Role) -> tuple[Array, Array | None, str]:
    """Read the folder that SNN toolbox writes, or the images and labels of a simulation's."""
    if (folder / "images.npy").is_file():
        labels = _load(folder / "labels.npy") if (folder / "labels.npy").is_file() else None
        return _load(folder / "images.npy"), labels, str(folder / "images.npy")
    stems = [stem for stem in ("x_test", "y_test", "x_norm") if (folder / f"{stem}.npz").is_file()]
    key = _first_key(stems, _IMAGE_KEYS[role])
    if key is None:
        raise DataError(f"{folder}: the folder has neither x_test.npz nor x_norm.npz, nor is it one of a simulation.")
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


def _read_inputs(path: Path, inputs: tuple[str, ...]) -> tuple[dict[str, Array], Array | None, str]:
    """Read an .npz with an array for each input of a model, and perhaps labels."""
    keys = _member_keys(path) if path.suffix.lower() == ".npz" else None
    if keys is None or not set(inputs) <= set(keys):
        found = "no .npz" if keys is None else f"an .npz with {keys[:20]}"
        raise DataError(
            f"{path}: is {found}; the model has several inputs, so an .npz with the arrays {list(inputs)} was expected."
        )
    label_key = _first_key([key for key in keys if key not in inputs], _LABEL_KEYS)
    labels = None if label_key is None else _read_member(path, label_key)
    return {name: _read_member(path, name) for name in inputs}, labels, str(path)


def read_events(path: Path) -> dict[str, Array] | None:
    """Return the arrays ``events``, ``shape`` and, where they are there, ``values`` and labels of an ``.npz``.

    None if the file is no ``.npz`` with an array ``events``.

    Raises
    ------
    DataError
        If it has no ``shape``, is damaged, or becomes too large in memory.
    """
    if path.suffix.lower() != ".npz" or not path.is_file():
        return None
    check_plain_file(path, str(path), DataError)
    keys = _member_keys(path)
    if keys is None or "events" not in keys:
        return None
    if "shape" not in keys:
        raise DataError(
            f"{path}: has events and no shape; an array (number of images, steps, *shape of the input) was expected."
        )
    label_key = _first_key(keys, _LABEL_KEYS)
    wanted = {"events": "events", "shape": "shape", "values": "values", "labels": label_key}
    return {name: _read_member(path, key) for name, key in wanted.items() if key in keys}


def _first_key(keys: list[str], candidates: tuple[str, ...]) -> str | None:
    """Return the first candidate that is among the keys."""
    return next((candidate for candidate in candidates if candidate in keys), None)


def _member_keys(path: Path) -> list[str] | None:
    """Return the keys of an .npz, or None if the file holds a single array."""
    if not zipfile.is_zipfile(path) and path.suffix.lower() == ".npy":
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in checked_members(archive)]
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
        if not key:
            return _read_array(path)
        with zipfile.ZipFile(path) as archive:
            # NumPy calls a member by its name with and without its ending.
            name = f"{key}.npy" if f"{key}.npy" in archive.namelist() else key
            return npz_array(archive, archive.getinfo(name), _FEWER, _FLOAT64)
    except READ_ERRORS as error:
        raise _damaged(f"{path}[{key}]" if key else path, error) from error


def _read_array(path: Path) -> Array:
    """Return the array of an .npy."""
    with path.open("rb") as file:
        header = npy_header(file)
        stored = path.stat().st_size - file.tell()
        header.check(stored, stored, _FEWER, _FLOAT64)
        file.seek(0)
        return np.asarray(np.load(file, allow_pickle=False))


def _damaged(where: Path | str, error: BaseException) -> DataError:
    """Return the error for a file that cannot be decoded."""
    if isinstance(error, TooMuch):
        return DataError(f"{where}: {error}.")
    if "allow_pickle" in str(error):
        return DataError(f"{where}: holds no plain numbers but Python objects or something unknown, never loaded here.")
    reason = str(error) or type(error).__name__
    return DataError(f"{where}: cannot be read ({reason}); the file is damaged or not what its name says.")


def is_idx(path: Path) -> bool:
    """Return whether the name is that of an IDX file, as MNIST's are: train-images-idx3-ubyte.gz."""
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
    size = check_plain_file(path, str(path), DataError)
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            return _decoded_idx(cast(IO[bytes], gzip.GzipFile(fileobj=file)) if packed else file, path, size)
    except DataError:
        raise
    except READ_ERRORS as error:
        raise _damaged(path, error) from error


def _decoded_idx(file: IO[bytes], path: Path, stored: int) -> Array:
    """Read an IDX file of `stored` bytes on disk, and no more of it than its header says."""
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_TYPES or not 0 < head[3] <= _MOST_AXES:
        raise DataError(
            f"{path}: begins with the bytes {head.hex(' ')}; 00 00, type and 1 to {_MOST_AXES} axes were expected."
        )
    dtype, start, lengths = np.dtype(_IDX_TYPES[head[2]]), 4 + 4 * head[3], file.read(4 * head[3])
    if 4 + len(lengths) < start:
        raise DataError(
            f"{path}: ends after {4 + len(lengths)} of the {start} bytes of its header; the file is cut short."
        )
    shape = tuple(np.frombuffer(lengths, ">u4").tolist())
    n_bytes = math.prod(shape) * dtype.itemsize
    check_size(_FLOAT64 * math.prod(shape), stored, _FEWER)
    content = file.read(n_bytes + 1)
    if len(content) != n_bytes:
        found = f"{'at least ' if len(content) > n_bytes else ''}{start + len(content)} bytes"
        raise DataError(f"{path}: has {found}; by its header, shape {shape}, it should have {start + n_bytes}.")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))

"""Load ONNX models from files of strangers: nothing but the file is read, and its own weights beside it.

An ONNX file holds numbers and names of operators, no code. It may however take its weights from any other file of the
machine. Only ``NAME.onnx.data`` beside ``NAME.onnx`` is read, which is what PyTorch writes, and only if it is no link.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO, Any

from brian_snn.errors import ModelError
from brian_snn.escaping import shown
from brian_snn.frontends.onnx.graph import bytes_of, check_shape, check_texts, open_graph, stored_tensors
from brian_snn.frontends.onnx.library import first_line, import_onnx
from brian_snn.reading import check_plain_file, memory_bytes

#: Lengths in the format are numbers of 31 bits.
_MOST_BYTES = 2**31 - 1

_REMEDY = "save the model as one file where it was made: onnx.save(onnx.load('model.onnx'), 'whole.onnx')"


def load_model(path: str | Path) -> Any:
    """Load an ONNX model from a file.

    Parameters
    ----------
    path : str or Path
        The file. Weights may be in a file of the same name with ``.data`` behind it.

    Returns
    -------
    model : onnx.ModelProto
        With all its weights.

    Raises
    ------
    ModelError
        If there is no such file, if it is damaged or holds what no model has, or if its weights are elsewhere.
    SettingError
        If onnx is not installed.
    """
    path, onnx = Path(path), import_onnx()
    what = f"model {path}"
    size = check_plain_file(path, what, ModelError)
    if size > _MOST_BYTES:
        raise ModelError(f"{what}: it holds {size:,} bytes; no ONNX file has more than {_MOST_BYTES:,}.")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    # What it raises is of protobuf, and depends on its version.
    except Exception as error:
        raise ModelError(f"{what}: the file is damaged or no ONNX file ({first_line(error)}).") from error
    check_texts(model, what)
    _read_weights(model, path, what)
    open_graph(model, what)
    return model


def weights_of(path: Path) -> Path:
    """Return where the weights of a model may be, if they are not in its own file."""
    return path.with_name(path.name + ".data")


def _read_weights(model: Any, path: Path, what: str) -> None:
    """Read the weights that are in the file beside the model into it."""
    elsewhere = [
        tensor for tensor in stored_tensors(model) if tensor.data_location == import_onnx().TensorProto.EXTERNAL
    ]
    if not elsewhere:
        return
    beside = weights_of(path)
    places = [_place(tensor, beside.name, what) for tensor in elsewhere]
    size = _size_of_weights(beside, what)
    if size > memory_bytes():
        raise ModelError(f"{what}: its weights take {size:,} bytes of memory; this machine has {memory_bytes():,}.")
    if any(offset + length > size for offset, length in places):
        raise ModelError(f"{what}: its weights in {shown(beside.name)!r} are cut off; copy both files again.")
    if sum(length for _, length in places) > size:
        raise ModelError(f"{what}: its tensors share their numbers in {shown(beside.name)!r}; {_REMEDY}.")
    with _opened(beside, what) as file:
        for tensor, (offset, length) in zip(elsewhere, places, strict=True):
            file.seek(offset)
            tensor.raw_data = file.read(length)
            del tensor.external_data[:]
            tensor.data_location = import_onnx().TensorProto.DEFAULT


def _place(tensor: Any, allowed: str, what: str) -> tuple[int, int]:
    """Return offset and length of a tensor that is in the file beside the model, which must be that file."""
    label = f"{what}: its tensor {shown(tensor.name)!r}"
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if location != allowed:
        raise ModelError(
            f"{label} is in the file {shown(location)[:200]!r}; only {shown(allowed)!r} beside the model is read, so "
            f"{_REMEDY}."
        )
    check_shape(tensor, label)
    needed = bytes_of(tensor, label)
    given = [entries.get("offset", "0"), entries.get("length", str(needed))]
    if not all(text.isascii() and text.isdigit() and len(text) < 19 for text in given) or int(given[1]) != needed:
        raise ModelError(f"{label} has its numbers at {shown(str(given))[:100]}; {needed:,} bytes were expected.")
    return int(given[0]), needed


def _size_of_weights(beside: Path, what: str) -> int:
    """Return the size of the file with weights, which must be a plain file and no link."""
    try:
        found = os.lstat(beside)
    except OSError as error:
        raise ModelError(
            f"{what}: its weights are in {shown(beside.name)!r}, which is not beside it; copy that file too."
        ) from error
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise ModelError(
            f"{what}: {shown(beside.name)!r}, where its weights should be, is a link or no file; {_REMEDY}."
        )
    return found.st_size


def _opened(beside: Path, what: str) -> IO[bytes]:
    """Open the file with weights, not what a link that took its place leads to."""
    try:
        return os.fdopen(os.open(beside, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb")
    except OSError as error:
        raise ModelError(f"{what}: {shown(beside.name)!r} cannot be read ({error.strerror}).") from error

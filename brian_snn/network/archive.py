"""Read arrays from an ``.npz`` that may come from anyone: what each would take is looked at before it is read.

A zip archive of some megabytes unpacks to terabytes if it says so. Here an array is read only if it is asked for, holds
plain numbers in the shape that is expected, and if all that was read is no more than such a file holds.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import READ_ERRORS, DataError, ModelError

#: Arrays may take this many bytes together, or else this many times the size of their file. Weights hardly shrink, on
#: the grid to a third; biases that are all the same shrink a thousandfold, and 2**29 bytes are those of 67 million
#: neurons.
_FREE_BYTES, _MOST_SHRUNK = 2**29, 100

#: Kinds of NumPy's types that are real numbers.
_KINDS = "buif"


class Archive:
    """The arrays of a network file; a context, which closes the file.

    Parameters
    ----------
    path : Path
        The file.

    Attributes
    ----------
    arrays : dict of str to array
        Those that have been read.

    Raises
    ------
    DataError
        If it is no archive; from `read`, if an array is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}
        self._path = path
        with ExitStack() as opened, self._reading():
            file = opened.enter_context(path.open("rb"))
            self._zip = opened.enter_context(zipfile.ZipFile(file))
            self._members = {member.filename: member for member in self._zip.infolist()}
            if len(self._members) < len(self._zip.infolist()):
                raise ValueError("two arrays have one name")
            self._left = max(_FREE_BYTES, _MOST_SHRUNK * os.fstat(file.fileno()).st_size)
            self._opened = opened.pop_all()

    def __enter__(self) -> Archive:
        """Return the archive."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self._opened.close()

    def __contains__(self, name: str) -> bool:
        """Whether there is an array of that name."""
        return f"{name}.npy" in self._members

    def read(self, name: str, *shapes: tuple[int, ...], most_bytes: int | None = None) -> NDArray[Any]:
        """Return an array.

        Parameters
        ----------
        name : str
            Its name, without ``.npy``.
        *shapes : tuple of int
            Those that it may have; none for any.
        most_bytes : int, optional
            What it may take.

        Raises
        ------
        ModelError
            If it is not there, has another shape, or takes too much.
        """
        if name not in self:
            raise ModelError(f"the array {name} is missing")
        member = self._members[f"{name}.npy"]
        with self._open(member) as file:
            found, dtype = _header(file)
            n_bytes = prod(found) * dtype.itemsize
            # What is behind the numbers would be read by nobody, and its checksum not compared.
            if file.tell() + n_bytes != member.file_size:
                raise ValueError("it is longer or shorter than it says")
        if dtype.kind not in _KINDS:
            raise ModelError(f"{name}: finite numbers in float64 were expected, not {dtype.str}")
        if shapes and found not in shapes:
            raise ModelError(f"{name}: they do not have the shape {' or '.join(map(str, shapes))} but {found}")
        if n_bytes > min(self._left, self._left if most_bytes is None else most_bytes):
            raise ModelError(f"{name}: it takes {n_bytes} bytes, more than there is in a network file of this size")
        self._left -= n_bytes
        with self._open(member) as file:
            self.arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
        return self.arrays[name]

    @contextmanager
    def _open(self, member: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
        """Open an array; errors inside are those of the file."""
        with self._reading():
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("it is packed in another way than NumPy does")
            with self._zip.open(member) as file:
                yield file

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what damaged files come to into a `DataError`."""
        try:
            yield
        except READ_ERRORS as error:
            raise DataError(
                f"network file {self._path}: it is damaged or no network file; save the network again."
            ) from error


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read the header of an ``.npy`` of numbers and return shape and type."""
    # Arrays of numbers have version 1; the headers of others may be gigabytes long.
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it has another version than arrays of numbers have")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.hasobject or min(shape, default=0) < 0:
        raise ValueError("it holds pickled objects, or a negative number of numbers")
    return shape, dtype

"""Look at a file from anywhere before it is read: what it is, and how much comes out of it.

What is opened without a look may never end (a device, a pipe), and what is compressed may be a thousand times as much
as the file. The limits are far above what is stored of real networks and images, and each says how to stay below it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import tomllib
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import BrianSnnError

#: So much text is read of a configuration, in bytes.
MOST_TEXT = 2**26

#: So deep may lists and objects lie in one another.
_DEEPEST = 200

#: What a file holds may come to so many bytes, or to so many times its size if that is more.
_FREE_BYTES, _MOST_TIMES = 2**30, 100

Kind = type[BrianSnnError]


class TooMuch(ValueError):
    """What a file would become in memory, and what to do about it."""


def check_plain_file(path: Path, what: str, error: Kind) -> int:
    """Return the size of a file in bytes, or raise `error` if there is none or it is no plain file.

    Parameters
    ----------
    path : Path
        The file; a link is followed.
    what : str
        Begins the message.
    error : type
        Of `brian_snn.errors`.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError) as problem:
        raise error(f"{what}: there is no such file.") from problem
    except OSError as problem:
        raise error(f"{what}: cannot be read ({problem.strerror or problem}).") from problem
    if stat.S_ISDIR(found.st_mode):
        raise error(f"{what}: is a folder; name a file.")
    if not stat.S_ISREG(found.st_mode):
        raise error(f"{what}: is a device, a pipe or a socket, which may never end; copy it to a file.")
    return found.st_size


def read_text(path: Path, what: str, error: Kind) -> str:
    """Return a text of at most `MOST_TEXT` bytes, or raise `error`; undecodable text is a `UnicodeDecodeError`."""
    size = check_plain_file(path, what, error)
    if size > MOST_TEXT:
        raise error(f"{what}: holds {_size(size)} of text; {_size(MOST_TEXT)} at most are read, so shorten it.")
    return path.read_text("utf-8")


def parsed_json(text: str | bytes) -> Any:
    """Return what a JSON text says.

    Raises
    ------
    ValueError
        If it is none, is longer than `MOST_TEXT`, if lists and objects lie too deep in one another, or if a string
        holds half a character (a lone surrogate), which cannot be written anywhere.
    """
    if len(text) > MOST_TEXT:
        raise ValueError(f"{_size(len(text))} of text; at most {_size(MOST_TEXT)} are read")
    try:
        parsed = json.loads(text)
    except RecursionError as error:
        raise ValueError("lists and objects that lie too deep in one another") from error
    check_tree(parsed)
    return parsed


def read_toml(path: Path, error: Kind) -> dict[str, Any]:
    """Return what a TOML file says.

    Raises
    ------
    BrianSnnError
        Of the kind `error`: if the file cannot be read, or is none; names it.
    """
    try:
        parsed = tomllib.loads(read_text(path, str(path), error))
        check_tree(parsed)
    except error:
        raise
    except (OSError, ValueError, RecursionError) as problem:
        raise error(f"{path}: it is no TOML file ({problem}).") from problem
    return parsed


def check_tree(value: Any) -> None:
    """Raise ValueError if lists and dictionaries lie too deep in one another, or a string holds half a character."""
    level, depth = [value], 0
    while level:
        if depth > _DEEPEST:
            raise ValueError(f"lists and objects that lie more than {_DEEPEST} deep in one another")
        for text in level:
            if isinstance(text, str) and not text.isascii():
                text.encode()
        inner = [part for part in level if isinstance(part, list | dict)]
        level = [item for part in inner for item in ((*part, *part.values()) if isinstance(part, dict) else part)]
        depth += 1


def check_size(n_bytes: int, stored: int, remedy: str) -> None:
    """Raise TooMuch if a file comes to more than it should.

    Parameters
    ----------
    n_bytes : int
        What is read comes to in memory.
    stored : int
        Bytes in the file.
    remedy : str
        What to do; ends the message.
    """
    if n_bytes > max(_FREE_BYTES, _MOST_TIMES * stored):
        raise TooMuch(
            f"its {_size(stored)} would become {_size(n_bytes)}; above {_size(_FREE_BYTES)} a file may become "
            f"{_MOST_TIMES} times as large at most, so {remedy}"
        )
    memory = memory_bytes()
    if n_bytes > memory:
        raise TooMuch(f"it would take {_size(n_bytes)} of memory, and this machine has {_size(memory)}; {remedy}")


def memory_bytes() -> int:
    """Return how much memory this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def checked_members(archive: zipfile.ZipFile, allowed: Collection[str] | None = None) -> dict[str, zipfile.ZipInfo]:
    """Return the members of a zip file by name.

    Raises
    ------
    ValueError
        If there is one that `allowed` has not, or the same twice, or one that is encrypted, or packed in a way that
        neither NumPy nor Keras writes.
    """
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        if allowed is not None and member.filename not in allowed:
            raise ValueError(f"it holds {member.filename!r}; {', '.join(allowed)} are all that it may hold")
        if member.filename in members:
            raise ValueError(f"it holds {member.filename!r} twice")
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"its {member.filename!r} is encrypted, or packed in another way than by deflate")
        members[member.filename] = member
    return members


class NpyHeader(NamedTuple):
    """What an ``.npy`` says of its array; with `fortran_order` the first axis runs fastest."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool

    def check(self, n_bytes: int, stored: int, remedy: str, least_itemsize: int = 1) -> None:
        """Raise ValueError unless the array has so many bytes, and what it becomes is not too much for what is stored.

        `least_itemsize` is what a number takes when it is used, if that is more than it takes in the file.
        """
        n_numbers = math.prod(self.shape)
        if n_numbers * self.dtype.itemsize != n_bytes:
            raise ValueError(
                f"{n_bytes} bytes of numbers where an array of shape {self.shape} and type {self.dtype} was expected"
            )
        check_size(n_numbers * max(self.dtype.itemsize, least_itemsize), stored, remedy)


def npy_header(file: IO[bytes]) -> NpyHeader:
    """Return what the header of an open ``.npy`` says; the file is left behind it.

    Raises
    ------
    ValueError
        If it is none, if its type holds Python objects, or if it is longer than memory addresses reach.
    """
    if file.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
        raise ValueError("it is no array that NumPy saved with allow_pickle=False")
    file.seek(0)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which allow_pickle would be needed for")
    if any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"its shape is {shape}")
    return NpyHeader(shape, dtype, fortran_order)


def npz_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, remedy: str, least_itemsize: int = 1) -> NDArray[Any]:
    """Return an array of an ``.npz`` after a look at its size; the arguments are those of `NpyHeader.check`."""
    with archive.open(member) as file:
        header = npy_header(file)
        header.check(member.file_size - file.tell(), member.compress_size, remedy, least_itemsize)
    with archive.open(member) as file:
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(n_bytes: int) -> str:
    """Return a number of bytes in words."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB")):
        if n_bytes >= unit:
            return f"{n_bytes / unit:,.1f} {name}"
    return f"{n_bytes:,} bytes"

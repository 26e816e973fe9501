"""The arrays of a shard on disk: written whole, and read one at a time, each checked to be what it must be."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import READ_ERRORS, DataError
from brian_snn.files import whole_file
from brian_snn.limits import is_limit
from brian_snn.network.network import Network
from brian_snn.neurons.table import BOOKS, neuron_of
from brian_snn.results.arrays import ARRAYS_BY_NAME, BOOK_NAMES, Shard, join_arrays
from brian_snn.results.stored_arrays import Expected, MissingArray, required_arrays
from brian_snn.settings import Settings

#: What to do about a folder that is damaged.
AGAIN = "simulate again, into another folder or with --force"

#: Says in a shard which images it holds, and of which simulation.
_STAMP = "shard.json"


@contextmanager
def reading(path: Path, remedy: str = AGAIN) -> Iterator[None]:
    """Name the file in what goes wrong with it."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; put it back, or {AGAIN}.") from error
    except READ_ERRORS as error:
        if is_limit(error):
            # It says nothing of the file.
            raise
        raise damaged(path, str(error) or type(error).__name__, remedy) from error


def damaged(path: Path, reason: str, remedy: str = AGAIN) -> DataError:
    """Return the error for a file that does not hold what it should."""
    return DataError(f"{path} is damaged ({reason}); {remedy}.")


def write_shard(shard: ShardFile, arrays: Mapping[str, Any], compresslevel: int = 0) -> None:
    """Write the arrays of a shard; the file is there whole or not at all.

    Parameters
    ----------
    arrays : dict
        From `Result.arrays`.
    compresslevel : int
        0 stores the arrays as they are, which is the fastest; 1 shrinks counts and potentials on a grid well enough.
    """
    method = zipfile.ZIP_DEFLATED if compresslevel else zipfile.ZIP_STORED
    with (
        whole_file(shard.path) as opened,
        zipfile.ZipFile(opened, "w", method, compresslevel=compresslevel or None) as archive,
    ):
        archive.writestr(_STAMP, json.dumps(shard.stamp()))
        for name, values in _named_arrays(arrays).items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)


def _named_arrays(fields: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Flatten the arrays of a result into one dictionary; populations by number, since their names may hold slashes.

    Potentials and charges, and some books, are left out where they are all zero.
    """
    # Every population has a count, in the order of the network.
    numbers = {name: number for number, name in enumerate(fields["spike_counts"])}
    arrays = {name: fields[name] for name in ("checkpoints", "output_history") if fields[name] is not None}
    for field in ARRAYS_BY_NAME:
        for key, values in fields[field].items():
            if field in _MAY_BE_ABSENT and not np.any(values):
                continue
            # Counts up to a step are keyed by the population and the step.
            name, *step = key if isinstance(key, tuple) else (key,)
            arrays[":".join(map(str, (field, numbers[name], *step)))] = values
    return arrays


_MAY_BE_ABSENT = ("potentials", "charge", *(book.name for book in BOOKS if book.may_be_absent))

#: What to do about a damaged shard.
REDO = "delete it and simulate again"


@dataclass(frozen=True, eq=False)
class ShardFile:
    """The arrays of a shard on disk, read one at a time."""

    path: Path
    shard: Shard
    run_sha256: str

    def stamp(self) -> dict[str, Any]:
        """Return what the file says of itself."""
        return {"first": self.shard.start, "images": len(self.shard), "run_sha256": self.run_sha256}

    def check(self) -> None:
        """Raise DataError unless the file is that of these images, simulated in this run."""
        with reading(self.path, REDO), zipfile.ZipFile(self.path) as archive:
            found = json.loads(archive.read(_STAMP))
        for name, value in self.stamp().items():
            there = found.get(name) if isinstance(found, dict) else found
            if there != value:
                raise damaged(self.path, f"{name} is {there}; {value} was expected", REDO)

    def names(self) -> list[str]:
        """Return the names of the arrays."""
        with reading(self.path, REDO), zipfile.ZipFile(self.path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]

    def read(self, name: str) -> NDArray[Any]:
        """Return one array."""
        with reading(self.path, REDO), self.path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            array = arrays[name]
            # NumPy returns the bytes of a member that is no .npy.
            if not isinstance(array, np.ndarray):
                raise ValueError(f"{name} is no array")
            return array


class StoredArrays(Mapping[Any, NDArray[Any]]):
    """One field of a result on disk: arrays by population, read and joined when they are asked for."""

    def __init__(
        self, field: str, names: Mapping[Hashable, str], files: Sequence[ShardFile], expected: Expected
    ) -> None:
        self._field, self._names, self._files, self._expected = field, names, files, expected

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Return the array of a population for all images; a copy, so that it is read-only."""
        if key not in self._names:
            raise self.missing(key)
        name = self._names[key]
        start = self._files[0].shard.start
        pieces = ((file.shard.start - start, self._read(file, key, name)) for file in self._files)
        array = join_arrays(self._field, pieces, self._expected.n_images)
        array.setflags(write=False)
        return array

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the keys."""
        return iter(self._names)

    def __len__(self) -> int:
        """Return the number of arrays."""
        return len(self._names)

    def missing(self, key: Any) -> MissingArray:
        """Return what to raise for an array that is not there."""
        return MissingArray(f"{self._files[0].path} is damaged (it lacks {self._field} of {key!r}); {REDO}.")

    def _read(self, file: ShardFile, key: Any, name: str) -> NDArray[Any]:
        """Return one shard's array, if it is what it should be; one that was left out is all zeros."""
        expected = self._expected
        if self._field in _MAY_BE_ABSENT and name not in file.names():
            return np.zeros((len(file.shard), *expected.network[key].shape))
        array = file.read(name)
        with checking(file.path, name):
            replace(expected, n_images=len(file.shard)).check(self._field, key, array)
        return array


def array_names(
    path: Path, stored: Sequence[str], network: Network, settings: Settings
) -> dict[str, dict[Hashable, str]]:
    """Return, for each field, the names of its arrays in a shard by population, or population and step."""
    names = [population.name for population in network.populations]
    keys: dict[str, dict[Hashable, str]] = {field: {} for field in ARRAYS_BY_NAME}
    books = {p.name: {book.name for book in neuron_of(network, p, settings).books} for p in network.populations}
    for field in _MAY_BE_ABSENT:
        keys[field] = {
            name: f"{field}:{number}"
            for number, name in enumerate(names)
            if field not in BOOK_NAMES or field in books[name]
        }
    for name in stored:
        field, *rest = name.split(":")
        if field not in keys:
            continue
        with checking(path, name):
            numbers = [int(number) for number in rest if number.isascii() and number.isdecimal()]
            if len(numbers) != (2 if field == "early_counts" else 1) or len(rest) != len(numbers):
                raise ValueError("it belongs to no population")
            population = names[numbers[0]]
        keys[field][(population, numbers[1]) if len(numbers) > 1 else population] = name
    for field, required in required_arrays(network, settings).items():
        missing = required - set(keys[field])
        if missing:
            raise damaged(path, f"it lacks {field} of {min(map(str, missing))}", REDO)
    return keys


@contextmanager
def checking(path: Path, name: str) -> Iterator[None]:
    """Name the file and the array in what is wrong with it."""
    try:
        yield
    except DataError:
        raise
    except (ValueError, LookupError) as error:
        raise damaged(path, f"{name}: {error}", REDO) from error

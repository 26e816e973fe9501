"""Results on disk: the files of a result folder, written one by one and read back as a `Result`.

A result folder holds ``network.npz``, ``images.npy``, ``result.json`` (format, versions, settings, recording, hashes,
timings), ``shards/``, which has one ``.npz`` of arrays for some consecutive images each, named by the number of the
first and with a ``shard.json`` that says which images of which run they are, and ``labels.npy`` if the images came with
labels. Nothing in it is ever unpickled. Only the reading of files is guarded against what damaged ones come to: an
error behind it is our own.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import zipfile
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn import __version__
from brian_snn.conversion.graph import Network
from brian_snn.conversion.storage import read_network, save_network
from brian_snn.errors import READ_ERRORS, DataError, SettingError
from brian_snn.outputs import whole_file
from brian_snn.simulation.job import Shard
from brian_snn.simulation.result import ARRAYS_BY_NAME, Result, join_arrays
from brian_snn.simulation.settings import Settings

FORMAT = 3
DESCRIPTION, NETWORK, IMAGES, SHARDS, LABELS = "result.json", "network.npz", "images.npy", "shards", "labels.npy"

#: What `result.json` holds besides format and versions; the last three need not be there.
_ENTRIES = {
    "settings": dict,
    "shard_size": int,
    "network_sha256": str,
    "images_sha256": str,
    "recording": dict,
    "timings_s": dict,
    "first_image": int,
}
_OPTIONAL = ("recording", "timings_s", "first_image")

#: What tells one simulation from another; every shard carries a hash of it.
_IDENTITY = ("settings", "recording", "first_image", "network_sha256", "images_sha256")

#: What to do about a folder that is damaged.
_AGAIN = "simulate again, into another folder or with --force"

#: Says in a shard which images it holds, and of which simulation.
_STAMP = "shard.json"


def write_inputs(
    folder: Path, network: Network, images: NDArray[np.generic], labels: NDArray[np.integer] | None = None
) -> None:
    """Write what was simulated, and the labels of the images if there are some."""
    save_network(network, folder / NETWORK)
    write_rows(folder / IMAGES, images)
    if labels is not None:
        write_rows(folder / LABELS, labels)


def write_rows(path: Path, array: NDArray[np.generic]) -> None:
    """Write an array of numbers as ``.npy``, row by row; the file is there whole or not at all."""
    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    with whole_file(path) as file:
        np.lib.format.write_array_header_1_0(file, header)
        # np.save hides from Python why a write fails: a full disk becomes a pair of numbers.
        for row in array:
            file.write(np.ascontiguousarray(row).data)


def write_description(folder: Path, description: dict[str, Any]) -> None:
    """Write ``result.json``, replacing it in one step."""
    versions = {"brian_snn": __version__, "brian2": version("brian2"), "numpy": np.__version__}
    # JSON has no infinity.
    settings = {name: None if value == math.inf else value for name, value in description["settings"].items()}
    whole = {"format": FORMAT, "versions": versions} | description | {"settings": settings}
    with whole_file(folder / DESCRIPTION) as file:
        file.write(json.dumps(whole, indent=1, allow_nan=False).encode())


def shard_files(folder: Path, description: dict[str, Any], n_images: int) -> list[ShardFile]:
    """Return the shards of a folder, whether they are there or not."""
    identity = json.dumps([description.get(name) for name in _IDENTITY], sort_keys=True)
    run_sha256 = hashlib.sha256(identity.encode()).hexdigest()
    # Shards are read when they are asked for, wherever the program has gone meanwhile.
    size, folder = description["shard_size"], folder.absolute()
    shards = (range(first, min(first + size, n_images)) for first in range(0, n_images, size))
    return [ShardFile(folder / SHARDS / f"{shard.start:09d}.npz", shard, run_sha256) for shard in shards]


def write_shard(shard: ShardFile, part: Result, compresslevel: int = 0) -> None:
    """Write the arrays of a shard; the file is there whole or not at all.

    Parameters
    ----------
    compresslevel : int
        0 stores the arrays as they are, which is the fastest; 1 shrinks counts and potentials on a grid well enough.
    """
    method = zipfile.ZIP_DEFLATED if compresslevel else zipfile.ZIP_STORED
    with (
        whole_file(shard.path) as opened,
        zipfile.ZipFile(opened, "w", method, compresslevel=compresslevel or None) as archive,
    ):
        archive.writestr(_STAMP, json.dumps(shard.stamp()))
        for name, values in _named_arrays(part).items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)


def read_description(folder: Path) -> dict[str, Any]:
    """Read ``result.json``.

    Raises
    ------
    DataError
        If the folder is not a result, is damaged, or was written by a version with another format.
    """
    if not (folder / DESCRIPTION).is_file():
        raise DataError(
            f"{folder} is not a result folder: it has no {DESCRIPTION}. Make one with `brian-snn simulate`."
        )
    path = folder / DESCRIPTION
    with _reading(path):
        description = json.loads(path.read_text("utf-8"))
    if not isinstance(description, dict) or type(description.get("format")) is not int:
        raise _damaged(path, "it names no format")
    if description["format"] > FORMAT:
        raise DataError(
            f"{folder} was written by a newer brian_snn: it has result format {description['format']}, this version "
            f"reads {FORMAT}; upgrade brian_snn, or simulate again."
        )
    if description["format"] < FORMAT:
        raise DataError(
            f"{folder} has result format {description['format']}; this version reads {FORMAT}. Simulate again."
        )
    _check_entries(path, description)
    settings = description["settings"]
    return description | {"settings": {k: math.inf if value is None else value for k, value in settings.items()}}


def _check_entries(path: Path, description: dict[str, Any]) -> None:
    """Raise DataError unless a description holds what it should, of the right types."""
    for name, kind in _ENTRIES.items():
        if name not in description and name in _OPTIONAL:
            continue
        if not isinstance(description.get(name), kind) or isinstance(description[name], bool):
            raise _damaged(path, f"{name} is {description.get(name)!r}, of no use as {kind.__name__}")
    if description["shard_size"] < 1:
        raise _damaged(path, f"shard_size is {description['shard_size']}; at least 1 was expected")
    for name, seconds in description.get("timings_s", {}).items():
        if not isinstance(seconds, int | float):
            raise _damaged(path, f"the time of {name} is {seconds!r}")


@contextmanager
def _reading(path: Path, remedy: str = _AGAIN) -> Iterator[None]:
    """Name the file in what goes wrong with it."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; put it back, or {_AGAIN}.") from error
    except READ_ERRORS as error:
        raise _damaged(path, str(error) or type(error).__name__, remedy) from error


def _damaged(path: Path, reason: str, remedy: str = _AGAIN) -> DataError:
    """Return the error for a file that does not hold what it should."""
    return DataError(f"{path} is damaged ({reason}); {remedy}.")


def load_result(folder: str | Path) -> Result:
    """Read a result that `Result.save` or ``simulate(output=...)`` wrote.

    One that is a single shard is read into memory. The arrays of any other are read when they are asked for, and cannot
    be written to; see `Result.parts`.

    Raises
    ------
    DataError
        If the folder is not a result, is damaged, or lacks shards; the message names the file.
    """
    folder = Path(folder)
    description = read_description(folder)
    network, images = read_inputs(folder, description)
    settings = _settings(folder / DESCRIPTION, description)
    files = shard_files(folder, description, len(images))
    n_missing = sum(not file.path.is_file() for file in files)
    if n_missing and "recording" in description:
        raise DataError(
            f"{folder} holds {len(files) - n_missing} of {len(files)} shards of its images; simulate with the same "
            "options and output to complete it."
        )
    for file in files:
        file.check()
    first_image = description.get("first_image", 0)
    whole = _result(network, settings, images, files, first_image)
    whole = dataclasses.replace(whole, timings_s=description.get("timings_s", {}))
    if len(files) == 1:
        return _in_memory(whole)
    parts = tuple(_result(network, settings, images[f.shard.start : f.shard.stop], [f], first_image) for f in files)
    return dataclasses.replace(whole, pieces=parts)


def _settings(path: Path, description: dict[str, Any]) -> Settings:
    """Return the settings of a description."""
    known, given = {field.name for field in dataclasses.fields(Settings)}, description["settings"]
    if unknown := sorted(set(given) - known):
        raise DataError(
            f"{path} is damaged (there is no setting {', '.join(unknown)}), or was written by a newer brian_snn, "
            "to which you may upgrade."
        )
    try:
        return Settings(**given)
    except SettingError as error:
        raise _damaged(path, str(error)) from error


def read_inputs(folder: Path, description: dict[str, Any]) -> tuple[Network, NDArray[np.generic]]:
    """Read what was simulated, in one pass to make sure that it is the same still; the images are a memory map.

    Raises
    ------
    DataError
        If a file is missing, damaged, or not that of the description.
    """
    if not (folder / NETWORK).is_file():
        raise DataError(f"{folder / NETWORK} is missing; put it back, or {_AGAIN}.")
    # An older version may have written it in another way, of which the description has the hash.
    network, sha256 = read_network(folder / NETWORK)
    _require(folder / NETWORK, sha256, description["network_sha256"])
    with _reading(folder / IMAGES):
        images = np.load(folder / IMAGES, mmap_mode="r", allow_pickle=False)
    if not isinstance(images, np.ndarray):
        raise _damaged(folder / IMAGES, "it is no array")
    _require(folder / IMAGES, images_digest(images), description["images_sha256"])
    return network, images


def _require(path: Path, sha256: str, expected: str) -> None:
    """Raise DataError unless two hashes are the same."""
    if sha256 != expected:
        reason = f"its SHA-256 is {sha256[:8]}..., that of what was simulated is {expected[:8]}..."
        raise _damaged(path, reason)


def images_digest(images: NDArray[np.generic]) -> str:
    """Return a hash of images, of their type and of their shape."""
    digest = hashlib.sha256(f"{images.dtype.str} {images.shape}".encode())
    for image in images:
        digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def _in_memory(result: Result) -> Result:
    """Return a result whose arrays have been read, each a writable one."""
    fields: dict[str, Any] = {
        name: {key: np.array(values) for key, values in getattr(result, name).items()} for name in ARRAYS_BY_NAME
    }
    return dataclasses.replace(result, images=np.array(result.images), **fields)


# --- arrays in a shard ----------------------------------------------------------------------------------------------


def _named_arrays(result: Result) -> dict[str, NDArray[Any]]:
    """Flatten the arrays of a result into one dictionary; populations by number, since their names may hold slashes.

    Potentials, charges and surpluses that are all zero are left out.
    """
    numbers = {population.name: number for number, population in enumerate(result.network.populations)}
    arrays: dict[str, NDArray[Any]] = {"checkpoints": result.checkpoints}
    if result.output_history is not None:
        arrays["output_history"] = result.output_history
    for field in ARRAYS_BY_NAME:
        for key, values in getattr(result, field).items():
            if field in _MAY_BE_ABSENT and not np.any(values):
                continue
            # Counts up to a step are keyed by the population and the step.
            name, *step = key if isinstance(key, tuple) else (key,)
            arrays[":".join(map(str, (field, numbers[name], *step)))] = values
    return arrays


_MAY_BE_ABSENT = ("potentials", "charge", "surplus")

#: What to do about a damaged shard.
_REDO = "delete it and simulate again"


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
        with _reading(self.path, _REDO), zipfile.ZipFile(self.path) as archive:
            found = json.loads(archive.read(_STAMP))
        for name, value in self.stamp().items():
            if not isinstance(found, dict) or found.get(name) != value:
                there = found.get(name) if isinstance(found, dict) else found
                raise _damaged(self.path, f"{name} is {there}; {value} was expected", _REDO)

    def names(self) -> list[str]:
        """Return the names of the arrays."""
        with _reading(self.path, _REDO), zipfile.ZipFile(self.path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]

    def read(self, name: str) -> NDArray[Any]:
        """Return one array."""
        with _reading(self.path, _REDO), self.path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            array = arrays[name]
            # NumPy returns the bytes of a member that is no .npy.
            if not isinstance(array, np.ndarray):
                raise ValueError(f"{name} is no array")
            return array


class _StoredArrays(Mapping[Any, NDArray[Any]]):
    """One field of a result on disk: arrays by population, read and joined when they are asked for."""

    def __init__(self, field: str, names: Mapping[Hashable, str], files: Sequence[ShardFile], network: Network) -> None:
        self._field, self._names, self._files, self._network = field, names, files, network

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Return the array of a population for all images; a copy, so that it is read-only."""
        name = self._names[key]
        start = self._files[0].shard.start
        arrays = [self._read(file, key, name) for file in self._files]
        array = join_arrays(self._field, arrays, [file.shard.start - start for file in self._files])
        array.setflags(write=False)
        return array

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the keys."""
        return iter(self._names)

    def __len__(self) -> int:
        """Return the number of arrays."""
        return len(self._names)

    def _read(self, file: ShardFile, key: Any, name: str) -> NDArray[Any]:
        """Return one shard's array; one that was left out is all zeros."""
        if self._field in _MAY_BE_ABSENT and name not in file.names():
            return np.zeros((len(file.shard), *self._network[key].shape))
        return file.read(name)


def _result(
    network: Network,
    settings: Settings,
    images: NDArray[np.generic],
    files: Sequence[ShardFile],
    first_image: int,
) -> Result:
    """Return a result that reads from some shards; `first_image` is the number of the first image of the folder."""
    stored = files[0].names()
    keys = _keys(files[0].path, stored, [population.name for population in network.populations])
    firsts = [file.shard.start - files[0].shard.start for file in files]
    history = None
    if "output_history" in stored:
        history = join_arrays("output_history", [file.read("output_history") for file in files], firsts)
    fields: dict[str, Any] = {field: _StoredArrays(field, keys[field], files, network) for field in ARRAYS_BY_NAME}
    checkpoints = files[0].read("checkpoints")
    number = first_image + files[0].shard.start
    return Result(
        network, settings, images, checkpoints=checkpoints, output_history=history, first_image=number, **fields
    )


def _keys(path: Path, stored: Sequence[str], names: Sequence[str]) -> dict[str, dict[Hashable, str]]:
    """Return, for each field, the names of its arrays in a shard by population, or population and step."""
    keys: dict[str, dict[Hashable, str]] = {field: {} for field in ARRAYS_BY_NAME}
    for field in _MAY_BE_ABSENT:
        keys[field] = {name: f"{field}:{number}" for number, name in enumerate(names)}
    for name in stored:
        field, *numbers = name.split(":")
        if field not in keys:
            continue
        if not all(map(str.isdecimal, numbers)) or len(numbers) not in (1, 2) or int(numbers[0]) >= len(names):
            raise _damaged(path, f"it holds {name}", _REDO)
        population, *step = names[int(numbers[0])], *map(int, numbers[1:])
        keys[field][(population, *step) if step else population] = name
    return keys

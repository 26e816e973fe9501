"""Results on disk: the files of a result folder, written one by one and read back as a `Result`.

A result folder holds ``network.npz``, ``images.npy``, ``result.json`` (format, versions, settings, recording, hashes,
timings), ``shards/``, which has one ``.npz`` of arrays for some consecutive images each, named by the number of the
first and with a ``shard.json`` that says which images of which run they are, ``labels.npy`` if the images came with
labels, and for people ``run.toml``, the settings that repeat it. Nothing in it is ever unpickled. Only the reading of
files is guarded against what damaged ones come to: an error behind it is our own.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import DataError
from brian_snn.files import whole_file
from brian_snn.network.file import read_network
from brian_snn.network.network import Network
from brian_snn.pixel_range import finite_range, is_far_outside
from brian_snn.reading import check_plain_file, parsed_json, read_text
from brian_snn.results.shards import AGAIN, ShardFile, damaged, reading
from brian_snn.settings import Recording, Settings
from brian_snn.settings_file import write_settings
from brian_snn.version import __version__

FORMAT = 3
DESCRIPTION, NETWORK, IMAGES, SHARDS, LABELS = "result.json", "network.npz", "images.npy", "shards", "labels.npy"
SETTINGS = "run.toml"

#: A folder within, while a new result takes the place of an earlier one.
ARRIVED = ".arrived"

#: What `result.json` holds besides the format, and what of it need not be there.
_ENTRIES = {
    "settings": dict,
    "shard_size": int,
    "network_sha256": str,
    "images_sha256": str,
    "recording": dict,
    "timings_s": dict,
    "first_image": int,
    "versions": dict,
}
_OPTIONAL = ("recording", "timings_s", "first_image")


def _without_infinity(value: Any) -> Any:
    """Return a setting as JSON can have it, which has no infinity."""
    return {math.inf: None, -math.inf: "-inf"}.get(value, value)


def _with_infinity(value: Any) -> Any:
    """Return a setting as it was before; whatever else a file holds stays as it is."""
    return math.inf if value is None else -math.inf if value == "-inf" else value


#: What tells one simulation from another; every shard carries a hash of it.
_IDENTITY = ("settings", "recording", "first_image", "network_sha256", "images_sha256")


@dataclass(frozen=True, eq=False)
class Inputs:
    """What is simulated, and how.

    Parameters
    ----------
    network : Network
    settings : Settings
    images : (n_images, *input_shape) array
    recording : Recording, optional
        What is kept besides what always is; none of a result that was made in memory.
    labels : (n_images, ...) int array, optional
        Classes of the images, kept with them.
    """

    network: Network
    settings: Settings
    images: NDArray[np.generic]
    recording: Recording | None = None
    labels: NDArray[np.int64] | None = None


def write_inputs(folder: Path, inputs: Inputs) -> None:
    """Write what is simulated, and the labels of the images if there are some."""
    inputs.network.save(folder / NETWORK)
    write_rows(folder / IMAGES, inputs.images)
    if inputs.labels is not None:
        write_rows(folder / LABELS, inputs.labels)
    n_images = len(inputs.images)
    far = is_far_outside(finite_range(inputs.images, "the images"), inputs.network.calibration_range)
    write_settings(folder / SETTINGS, inputs.settings, inputs.recording, images=n_images, any_range=far)


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
    settings = {name: _without_infinity(value) for name, value in description["settings"].items()}
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


def read_description(folder: Path) -> dict[str, Any]:
    """Read ``result.json``.

    Raises
    ------
    DataError
        If the folder is not a result, is damaged, or was written by a version with another format.
    """
    if not (folder / DESCRIPTION).is_file() and (folder / ARRIVED).is_dir():
        raise DataError(
            f"{folder} holds two results: one is taking the place of another, or was killed while it did; wait for it, "
            "or simulate again with the same options and output to complete it."
        )
    if not (folder / DESCRIPTION).is_file():
        raise DataError(
            f"{folder} is not a result folder: it has no {DESCRIPTION}. Make one with `brian-snn simulate`."
        )
    path = folder / DESCRIPTION
    with reading(path):
        description = parsed_json(read_text(path, str(path), DataError))
    if not isinstance(description, dict) or type(description.get("format")) is not int:
        raise damaged(path, "it names no format")
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
    return description | {"settings": {name: _with_infinity(value) for name, value in settings.items()}}


def _check_entries(path: Path, description: dict[str, Any]) -> None:
    """Raise DataError unless a description holds what it should, of the right types."""
    for name, kind in _ENTRIES.items():
        if name not in description and name in _OPTIONAL:
            continue
        # To Python a truth value is a whole number.
        if not isinstance(description.get(name), kind) or isinstance(description[name], bool):
            raise damaged(path, f"{name} is {description.get(name)!r}, of no use as {kind.__name__}")
    if description["shard_size"] < 1:
        raise damaged(path, f"shard_size is {description['shard_size']}; at least 1 was expected")
    if description.get("first_image", 0) < 0:
        raise damaged(path, f"first_image is {description['first_image']}; at least 0 was expected")
    for name, seconds in description.get("timings_s", {}).items():
        if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
            raise damaged(path, f"timings_s has {seconds!r} for {name}; seconds were expected")
    for name, number in description["versions"].items():
        if not isinstance(number, str):
            raise damaged(path, f"versions has {number!r} for {name}; a text was expected")


def read_inputs(folder: Path, description: dict[str, Any]) -> tuple[Network, NDArray[np.generic]]:
    """Read what was simulated, in one pass to make sure that it is the same still; the images are a memory map.

    Raises
    ------
    DataError
        If a file is missing, damaged, or not that of the description.
    """
    if not (folder / NETWORK).is_file():
        raise DataError(f"{folder / NETWORK} is missing; put it back, or {AGAIN}.")
    # An older version may have written it in another way, of which the description has the hash.
    network, sha256 = read_network(folder / NETWORK)
    _require(folder / NETWORK, sha256, description["network_sha256"])
    with reading(folder / IMAGES):
        if (folder / IMAGES).exists():
            check_plain_file(folder / IMAGES, str(folder / IMAGES), DataError)
        images = np.load(folder / IMAGES, mmap_mode="r", allow_pickle=False)
    if not isinstance(images, np.ndarray):
        raise damaged(folder / IMAGES, "it is no array")
    _require(folder / IMAGES, images_digest(images), description["images_sha256"])
    return network, images


def _require(path: Path, sha256: str, expected: str) -> None:
    """Raise DataError unless two hashes are the same."""
    if sha256 != expected:
        reason = f"its SHA-256 is {sha256[:8]}..., that of what was simulated is {expected[:8]}..."
        raise damaged(path, reason)


def images_digest(images: NDArray[np.generic]) -> str:
    """Return a hash of images, of their type and of their shape."""
    digest = hashlib.sha256(f"{images.dtype.str} {images.shape}".encode())
    for image in images:
        digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()

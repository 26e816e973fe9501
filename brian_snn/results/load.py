"""Read a result from its folder: whole, or array by array when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import READ_ERRORS, DataError, SettingError
from brian_snn.network.network import Network
from brian_snn.network.output import answer_of
from brian_snn.reading import check_plain_file
from brian_snn.results.arrays import ARRAYS_BY_NAME, Joined, as_fields
from brian_snn.results.result import Result
from brian_snn.results.shards import ShardFile, StoredArrays, array_names, checking, damaged
from brian_snn.results.store import DESCRIPTION, IMAGES, LABELS, read_description, read_inputs, shard_files
from brian_snn.results.stored_arrays import Expected, HeldArrays
from brian_snn.settings import Settings


def load_result(folder: str | Path) -> Result:
    """Read a result that `Result.save` or ``simulate(output=...)`` wrote.

    One that is a single shard is read into memory. The arrays of any other are read when they are asked for, and cannot
    be written to; see `Result.parts`.

    Raises
    ------
    DataError
        If the folder is not a result, is damaged, lacks shards, or has labels that do not fit; the message names the
        file.
    """
    folder = Path(folder)
    description = read_description(folder)
    network, images = read_inputs(folder, description)
    settings = _settings(folder / DESCRIPTION, description)
    expected = (settings.steps,) * (settings.input_coding == "frames") + network.input_shape
    if images.shape[1:] != expected:
        raise damaged(folder / IMAGES, f"its images have shape {images.shape[1:]}; {expected} was expected")
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
    labels = _labels(folder / LABELS, network, len(images))
    whole = replace(whole, timings_s=description.get("timings_s", {}), labels=labels)
    if len(files) == 1:
        return _in_memory(whole)
    parts = []
    for file in files:
        rows = slice(file.shard.start, file.shard.stop)
        part = _result(network, settings, images[rows], [file], first_image)
        parts.append(replace(part, labels=None if labels is None else labels[rows]))
    return replace(whole, pieces=tuple(parts))


def _labels(path: Path, network: Network, n_images: int) -> NDArray[np.int64] | None:
    """Return the labels of a run folder, if it has any that its network's output can be compared with."""
    if not path.is_file():
        return None
    check_plain_file(path, str(path), DataError)
    try:
        # Its header alone: what does not fit is not read.
        labels = np.load(path, mmap_mode="r", allow_pickle=False)
    except READ_ERRORS as error:
        raise DataError(f"{path} is damaged ({error}); simulate again, or delete it.") from error
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
        kind = getattr(labels, "dtype", type(labels).__name__)
        raise DataError(f"{path} holds labels of type {kind}; whole numbers were expected, one for each answer.")
    return answer_of(network).labels(labels, n_images, str(path))


def _settings(path: Path, description: dict[str, Any]) -> Settings:
    """Return the settings of a description."""
    given = description["settings"]
    if unknown := sorted(set(given) - set(Settings().numbers())):
        raise DataError(
            f"{path} is damaged (there is no setting {', '.join(unknown)}), or was written by a newer brian_snn, "
            "to which you may upgrade."
        )
    try:
        return Settings.from_numbers(given)
    except SettingError as error:
        raise damaged(path, str(error)) from error


def _in_memory(result: Result) -> Result:
    """Return a result whose arrays have been read, each a writable one."""
    fields: dict[str, Any] = {}
    for name in ARRAYS_BY_NAME:
        stored = result.by_population(name)
        assert isinstance(stored, StoredArrays), "it was opened from its folder just now"
        fields[name] = HeldArrays({key: np.array(values) for key, values in stored.items()}, stored.missing)
    return replace(result, images=np.array(result.images), **as_fields(fields))


def _result(
    network: Network,
    settings: Settings,
    images: NDArray[np.generic],
    files: Sequence[ShardFile],
    first_image: int,
) -> Result:
    """Return a result that reads from some shards; `first_image` is the number of the first image of the folder."""
    path, stored = files[0].path, files[0].names()
    keys = array_names(path, stored, network, settings)
    checkpoints = files[0].read("checkpoints")
    expected = Expected(network, settings, sum(len(file.shard) for file in files), len(np.atleast_1d(checkpoints)))
    with checking(path, "checkpoints"):
        expected.check_checkpoints(checkpoints)
    history = None
    if "output_history" in stored:
        with checking(path, "output_history"):
            joined = Joined("output_history", expected.n_images)
            for file in files:
                piece = file.read("output_history")
                replace(expected, n_images=len(file.shard)).check_history(piece)
                joined.add(piece, file.shard.start - files[0].shard.start)
            history = joined.array
    fields: dict[str, Any] = {field: StoredArrays(field, keys[field], files, expected) for field in ARRAYS_BY_NAME}
    number = first_image + files[0].shard.start
    return Result(
        network,
        settings,
        images,
        checkpoints=checkpoints,
        output_history=history,
        first_image=number,
        **as_fields(fields),
    )

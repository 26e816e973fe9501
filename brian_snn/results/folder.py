"""Results are written: one from memory whole, a simulation shard by shard, to go on where it stopped.

The folder is a result folder from the first moment (see `brian_snn.results.store`); what makes it incomplete is
only that shards are missing. Ctrl-C, a crash or a power cut lose the shards in flight and nothing else. The same
simulation, started again, finds the shards that there are; any other is refused, or replaces what there is when its
first shard has been written: an earlier result outlives a simulation that comes to nothing.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from brian_snn.errors import DataError, OutputError
from brian_snn.results.arrays import Shard
from brian_snn.results.own_folder import (
    COMING,
    MARK,
    beginning,
    check_replaceable,
    clear,
    finish_replacement,
    is_staged,
    is_unused,
    locked,
    staging,
    take_place,
    unstage,
)
from brian_snn.results.shards import ShardFile, write_shard
from brian_snn.results.store import (
    DESCRIPTION,
    LABELS,
    SHARDS,
    Inputs,
    images_digest,
    read_description,
    read_inputs,
    shard_files,
    write_description,
    write_inputs,
    write_rows,
)

_LOGGER = logging.getLogger(__name__)


class RunFolder:
    """An open result folder and what it is to hold.

    Parameters
    ----------
    path : Path
        The folder, absolute.
    missing : list of range
        The shards that are still to be simulated. One that a power cut has emptied or cut short is among them, and any
        other that is not what it should be.
    """

    def __init__(self, path: Path, description: dict[str, Any], n_images: int) -> None:
        # The program may go elsewhere while the run lasts.
        self.path, self._description = path.absolute(), description
        self._files = {file.shard: file for file in shard_files(path, description, n_images)}
        replaces = is_staged(path)
        self.missing = [shard for shard, file in self._files.items() if replaces or not _is_usable(file)]

    def write(self, shard: Shard, arrays: Mapping[str, Any]) -> None:
        """Write a shard, the arrays of `Result.arrays`; with the first the result takes the place of an earlier one."""
        file = self._files[shard]
        if not is_staged(self.path):
            write_shard(file, arrays)
            return
        write_shard(dataclasses.replace(file, path=self.path / COMING / SHARDS / file.path.name), arrays)
        take_place(self.path)

    def close(self, laps_s: dict[str, float]) -> None:
        """Note the time, and delete everything if there is no shard at all.

        The time is that of all calls, those that were interrupted included; of one that had nothing to simulate it is
        left out, unless the one before was killed and noted none. A result that this one has not replaced stays as it
        is.
        """
        if is_staged(self.path):
            unstage(self.path)
            return
        # Ctrl-C may have come between.
        finish_replacement(self.path)
        if not any((self.path / SHARDS).iterdir()):
            clear(self.path)
        elif self.missing or "timings_s" not in self._description:
            earlier = self._description.get("timings_s", {})
            total = {name: earlier.get(name, 0.0) + laps_s.get(name, 0.0) for name in {**earlier, **laps_s}}
            write_description(self.path, self._description | {"timings_s": total})


def _is_usable(file: ShardFile) -> bool:
    """Whether a shard is there and need not be simulated again."""
    if not file.path.is_file():
        return False
    try:
        file.check()
    except DataError as error:
        _LOGGER.warning("a shard is simulated again: %s", error)
        return False
    return True


@contextmanager
def open_run(
    path: Path,
    inputs: Inputs,
    shard_size: int,
    laps_s: dict[str, float],
    resume: bool = True,
    replace: bool = False,
) -> Iterator[RunFolder]:
    """Begin a result folder, or open the one that the same simulation began.

    Parameters
    ----------
    path : Path
        A folder that does not exist, is empty, or was begun by the same simulation.
    inputs : Inputs
        What is simulated, and how.
    shard_size : int
        Images per shard of a new folder; one that was begun keeps its own.
    laps_s : dict of str to float
        Seconds by stage, filled while the folder is open and noted in it when it is closed.
    resume : bool
        Whether a folder that was begun may be gone on with.
    replace : bool
        Whether what simulations wrote into the folder before is replaced; it stays until the first shard is written.

    Raises
    ------
    OutputError
        If the folder holds anything else or is being written by another process; the message says what differs.
    """
    with locked(path):
        run = _open(path, inputs, shard_size, resume, replace)
        try:
            yield run
        finally:
            run.close(laps_s)


def _open(path: Path, inputs: Inputs, shard_size: int, resume: bool, replace: bool) -> RunFolder:
    """Begin the folder or check that it is ours."""
    wanted = _description(inputs)
    finish_replacement(path)
    holds_result = (path / DESCRIPTION).is_file()
    if replace or not holds_result:
        description = wanted | {"shard_size": shard_size}
        with staging(path) if holds_result else beginning(path) as folder:
            (folder / SHARDS).mkdir()
            write_inputs(folder, inputs)
            # The last: with it the folder is a result.
            write_description(folder, description)
        return RunFolder(path, description, len(inputs.images))
    # That of a process that was killed before the first shard of another simulation.
    unstage(path)
    # That of a process that was killed after it had written the last file.
    (path / MARK).unlink(missing_ok=True)
    begun = read_description(path)
    # One that `Result.save` wrote does not say what was to be recorded, and has all its shards.
    if not resume or "recording" not in begun:
        raise OutputError(f"{path} holds an earlier result; name another folder, or delete this one (--force).")
    network, _ = read_inputs(path, begun)
    # An older version may have hashed the same network in another way, and did not note what its output means.
    same = inputs.network
    if network.output_activation == "unknown":
        same = dataclasses.replace(same, output_activation="unknown", calibration_range=None)
    found, expected = ({"network_sha256": each.digest()} for each in (network, same))
    differences = list(_differences(begun | found, wanted | expected))
    if differences:
        raise OutputError(
            f"{path} was begun with {differences[0]}; go on with the same options, name another folder, or delete this "
            "one (--force)."
        )
    (path / SHARDS).mkdir(exist_ok=True)
    if inputs.labels is not None:
        write_rows(path / LABELS, inputs.labels)
    return RunFolder(path, begun, len(inputs.images))


def _description(inputs: Inputs) -> dict[str, Any]:
    """Return what tells one simulation from another."""
    description = {
        "settings": inputs.settings.numbers(),
        "network_sha256": inputs.network.digest(),
        "images_sha256": images_digest(inputs.images),
    }
    if inputs.recording is not None:
        recording = dataclasses.asdict(inputs.recording)
        description["recording"] = {name.removeprefix("record_"): list(value) for name, value in recording.items()}
    return description


def _differences(begun: dict[str, Any], wanted: dict[str, Any]) -> Iterator[str]:
    """Yield what differs, in words."""
    for group in ("settings", "recording"):
        for name, value in wanted[group].items():
            before = begun.get(group, {}).get(name)
            if before != value:
                yield f"{name} = {before!r}, not {value!r}"
    for name in ("network", "images"):
        if begun.get(f"{name}_sha256") != wanted[f"{name}_sha256"]:
            yield f"another {name}" if name == "network" else "other images"


def write_result(folder: Path, inputs: Inputs, parts: Iterable[Mapping[str, Any]], notes: dict[str, Any]) -> None:
    """Write a result into a folder that does not exist yet or is empty; it is there whole or not at all.

    Parameters
    ----------
    parts : iterable of dict
        The arrays of consecutive images, from `Result.arrays`, all of as many images but the last.
    notes : dict
        What else the description holds: the size of a part, the number of the first image, seconds by stage.

    Raises
    ------
    OutputError
        If the folder holds anything, is being written by another process, or cannot be written.
    """
    description = _description(inputs) | notes
    with locked(folder):
        if not is_unused(folder):
            raise OutputError(f"{folder} exists already and is not an empty folder; choose another or remove it.")
        with beginning(folder):
            (folder / SHARDS).mkdir()
            for file, arrays in zip(shard_files(folder, description, len(inputs.images)), parts, strict=True):
                write_shard(file, arrays, compresslevel=1)
            write_inputs(folder, inputs)
            write_description(folder, description)


def discard(path: Path) -> None:
    """Delete a result folder, finished or not; of a link the content of the folder that it leads to.

    Raises
    ------
    OutputError
        If it holds anything that no simulation wrote, or is being written by another process; nothing is deleted then.
    """
    with locked(path):
        check_replaceable(path)
        clear(path)
    # A link cannot be removed like a folder, nor can a folder that another process has begun meanwhile.
    with suppress(OSError):
        path.rmdir()

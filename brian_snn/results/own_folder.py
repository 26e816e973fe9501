"""What in an output folder is a simulation's, and how it is locked, begun and emptied.

Nothing is deleted that no simulation wrote, and nothing while another process writes. A mark is there from before the
first file until after the last one that a folder begins with, and from before the first file that is deleted until
after the last: whatever a killed process leaves is known by it, and the next one begins anew.

A result that is to be replaced stays until the new one has a shard. Until then the new one grows in a folder within,
`COMING`. Renamed to `ARRIVED` it is the one that counts, and its files take the place of the others; where that was cut
short, whoever opens the folder next brings it to its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from brian_snn.errors import BrianSnnError, OutputError
from brian_snn.files import PART, remove_tree
from brian_snn.results.store import ARRIVED, DESCRIPTION, IMAGES, LABELS, NETWORK, SETTINGS, SHARDS

#: Kept in the folder while a process writes into it.
LOCK = ".lock"

#: There while the folder is begun or emptied.
MARK = ".unfinished"

#: Folders within: a result that has no shard yet, and `ARRIVED`, which has and takes the place of the other.
COMING = ".coming"

#: What a result folder holds.
_FILES = (DESCRIPTION, NETWORK, IMAGES, LABELS, SETTINGS)
_OWN = re.compile("|".join(map(re.escape, (*_FILES, SHARDS, LOCK, MARK, COMING, ARRIVED))))
_OWN_SHARD = re.compile(r"\d{9}\.npz")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made if it is not there; it is gone again if it was made and stays empty.

    Raises
    ------
    OutputError
        If another process holds the lock, the path is that of a file, the folder cannot be written, or anything in it
        is a link: what is written and deleted there would be elsewhere.
    """
    # The program may go elsewhere while it holds the lock.
    target = path.absolute()
    if target.exists() and not target.is_dir():
        raise OutputError(f"{path}: is a file; name another folder for the output.")
    _refuse_links(target)
    made = [folder for folder in (target, *target.parents) if not folder.exists()]
    try:
        target.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(target / LOCK, timeout=0):
            try:
                _delete_half_written(target)
                yield
            finally:
                # Inside the lock: whoever comes next makes a file of their own.
                (target / LOCK).unlink(missing_ok=True)
    except filelock.Timeout as error:
        raise OutputError(
            f"{path} is being written by another process; wait for it or choose another folder."
        ) from error
    except BrianSnnError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error}).") from error
    finally:
        for folder in made:
            # Only an empty folder can be removed.
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def beginning(path: Path) -> Iterator[Path]:
    """Empty a folder that is ours and yield it; empty it again unless all that it begins with is written inside.

    Raises
    ------
    OutputError
        If the folder holds anything that no simulation wrote; nothing is deleted then.
    """
    check_replaceable(path)
    clear(path)
    (path / MARK).touch()
    try:
        yield path
    except BaseException:
        clear(path)
        raise
    (path / MARK).unlink()


def is_unused(path: Path) -> bool:
    """Whether a folder is empty, or holds only what a process left that was killed before it had written a result."""
    return not (path / DESCRIPTION).exists() and not (path / ARRIVED).exists() and not _foreign(path)


def check_replaceable(path: Path) -> None:
    """Raise unless all that a folder holds was written by simulations, or was left by one that was killed."""
    foreign = _foreign(path)
    if foreign:
        raise OutputError(
            f"{path} holds files that no simulation wrote ({', '.join(sorted(foreign))}); name another folder for the "
            "output."
        )


def clear(path: Path) -> None:
    """Delete all that simulations write, but for the lock."""
    (path / MARK).touch()
    if (path / ARRIVED).exists():
        # It counts no more.
        _delete(path / COMING)
        (path / ARRIVED).rename(path / COMING)
    # First, so that a folder with a description is a result, whatever else there is.
    (path / DESCRIPTION).unlink(missing_ok=True)
    _delete_own(path, kept=(LOCK, MARK))
    (path / MARK).unlink()


@contextmanager
def staging(path: Path) -> Iterator[Path]:
    """Yield a new folder within that of a result, for the one that is to replace it; it is gone if anything fails.

    Raises
    ------
    OutputError
        If the folder holds anything that no simulation wrote.
    """
    check_replaceable(path)
    unstage(path)
    (path / COMING).mkdir()
    try:
        yield path / COMING
    except BaseException:
        unstage(path)
        raise


def is_staged(path: Path) -> bool:
    """Whether there is a new result that has no shard, beside the one that it is to replace."""
    return (path / COMING).is_dir()


def unstage(path: Path) -> None:
    """Delete a new result that has no shard."""
    _delete(path / COMING)


def take_place(path: Path) -> None:
    """Put the new result within the folder in the place of the one that the folder holds."""
    (path / COMING).rename(path / ARRIVED)
    finish_replacement(path)


def finish_replacement(path: Path) -> None:
    """Bring to its end what `take_place` has begun, if it was cut short; what is moved already is left alone."""
    arrived = path / ARRIVED
    if not arrived.exists():
        return
    names = (NETWORK, IMAGES, LABELS, SETTINGS, SHARDS, DESCRIPTION)
    if (arrived / DESCRIPTION).exists() and (path / DESCRIPTION).exists():
        # Nothing is moved yet. The labels go first: the new result may have none to replace them. Then the description,
        # so that there is none beside the files of another result.
        _delete_own(path, kept=(LOCK, MARK, ARRIVED, NETWORK, IMAGES, SHARDS, DESCRIPTION))
        (path / DESCRIPTION).unlink()
    for name in names:
        if (arrived / name).exists():
            _delete(path / name)
            (arrived / name).rename(path / name)
    _delete(arrived)


def _delete_half_written(path: Path) -> None:
    """Delete what killed processes left of files that they were writing; the caller holds the lock."""
    for place in (path, path / COMING, path / ARRIVED):
        for folder, own in ((place, _OWN), (place / SHARDS, _OWN_SHARD)):
            for found in list(folder.iterdir()) if folder.is_dir() else ():
                if _target(found.name) != found.name and own.fullmatch(_target(found.name)):
                    _delete(found)


def _target(name: str) -> str:
    """Return the name of the file that is being written under a name; of any other file that name itself."""
    match = PART.fullmatch(name)
    return match["target"] if match else name


def _refuse_links(path: Path) -> None:
    """Raise if anything in a result folder is a link."""
    for place in (path, path / COMING, path / ARRIVED):
        for folder in (place, place / SHARDS):
            for found in folder.iterdir() if folder.is_dir() else ():
                if found.is_symlink():
                    raise OutputError(
                        f"{found} is a link; what is written into a result folder would be elsewhere. Put what it "
                        "leads to in its place, or name another folder."
                    )


def _delete_own(path: Path, kept: tuple[str, ...]) -> None:
    """Delete what simulations write, but for what is to be kept."""
    for found in list(path.iterdir()):
        if found.name not in kept and _OWN.fullmatch(_target(found.name)):
            _delete(found)


def _delete(path: Path) -> None:
    """Delete a file, or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
        path.unlink(missing_ok=True)


def _foreign(path: Path) -> set[str]:
    """Return the names of what no simulation wrote."""
    names = {found.name for found in path.iterdir()} - {LOCK}
    if not names & {DESCRIPTION, MARK, ARRIVED}:
        return names
    foreign: set[str] = set()
    for place in (path, path / COMING, path / ARRIVED):
        for folder, own in ((place, _OWN), (place / SHARDS, _OWN_SHARD)):
            found = folder.iterdir() if folder.is_dir() else ()
            foreign |= {entry.relative_to(path).as_posix() for entry in found if not own.fullmatch(_target(entry.name))}
    return foreign

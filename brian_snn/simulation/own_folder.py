"""What in an output folder is a simulation's, and how it is locked, begun and emptied.

Nothing is deleted that no simulation wrote, and nothing while another process writes. A mark is there from before the
first file until after the last one that a folder begins with, and from before the first file that is deleted until
after the last: whatever a killed process leaves is known by it, and the next one begins anew.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from brian_snn.errors import BrianSnnError, OutputError
from brian_snn.simulation.storage import DESCRIPTION, SHARDS

#: Kept in the folder while a process writes into it.
LOCK = ".lock"

#: There while the folder is begun or emptied.
MARK = ".unfinished"

#: What a result folder holds, and what a killed process may leave of it half-written.
_OWN = re.compile(
    r"(result\.json|images\.npy)(\.partial)?|network\.npz|\.network\.npz\..+\.tmp|labels\.npy|\.labels\.npy\..+\.part"
    rf"|{SHARDS}|{re.escape(LOCK)}|{re.escape(MARK)}"
)
_OWN_SHARD = re.compile(r"\d{9}\.npz(\.partial)?")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made if it is not there; it is gone again if it was made and stays empty.

    Raises
    ------
    OutputError
        If another process holds the lock, the path is that of a file, or the folder cannot be written.
    """
    # The program may go elsewhere while it holds the lock.
    target = path.absolute()
    if target.exists() and not target.is_dir():
        raise OutputError(f"{path}: is a file; name another folder for the output.")
    made = [folder for folder in (target, *target.parents) if not folder.exists()]
    try:
        target.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(target / LOCK, timeout=0):
            try:
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
def beginning(path: Path) -> Iterator[None]:
    """Empty a folder that is ours, and once more unless all that it begins with is written inside the context.

    Raises
    ------
    OutputError
        If the folder holds anything that no simulation wrote; nothing is deleted then.
    """
    check_replaceable(path)
    clear(path)
    (path / MARK).touch()
    try:
        yield
    except BaseException:
        clear(path)
        raise
    (path / MARK).unlink()


def is_unused(path: Path) -> bool:
    """Whether a folder is empty, or holds only what a process left that was killed before it had written a result."""
    return not (path / DESCRIPTION).exists() and not _foreign(path)


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
    # First, so that a folder with a description is a result, whatever else there is.
    (path / DESCRIPTION).unlink(missing_ok=True)
    for found in list(path.iterdir()):
        if found.name in (LOCK, MARK) or not _OWN.fullmatch(found.name):
            continue
        if found.is_dir() and not found.is_symlink():
            shutil.rmtree(found)
        else:
            found.unlink()
    (path / MARK).unlink()


def _foreign(path: Path) -> set[str]:
    """Return the names of what no simulation wrote."""
    names = {found.name for found in path.iterdir()} - {LOCK}
    if not names & {DESCRIPTION, MARK}:
        return names
    shards = {found.name for found in (path / SHARDS).iterdir()} if (path / SHARDS).is_dir() else set()
    return {name for name in names if not _OWN.fullmatch(name)} | {
        f"{SHARDS}/{name}" for name in shards if not _OWN_SHARD.fullmatch(name)
    }

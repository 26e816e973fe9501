"""Write files and folders whole or not at all.

Everything is written into a folder of its own beside its target, ``.NAME.xxxxxxxx.part``, and renamed at the end, once
the disk has it for good: an error, a full disk, Ctrl-C, a killed process or a power cut leave neither half a result nor
a damaged old one. `check_target` comes first, before hours of simulation. What is needed for a while only lies in the
temporary folder of the system, as ``brian_snn_xxxxxxxx.part``.

Whoever writes holds a lock of that folder, which the system takes from a process that ends, however it ends. So a
folder of such a name that can be locked is what a killed process left, and the next one to write there deletes it.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from brian_snn.errors import BrianSnnError, OutputError
from brian_snn.limits import FULL, remedy

try:
    import fcntl
except ImportError:
    # Windows: nothing is locked there, and nothing that a killed process left is deleted.
    fcntl = None  # type: ignore[assignment]

#: Lists the files of a folder that we wrote. A folder that holds anything else is never replaced.
MANIFEST = "files.txt"

#: Names of the folders in which something is being written, and within them of what it is and of what it replaces.
PART = re.compile(r"\.(?P<target>.+)\.[0-9a-f]{8}\.part", re.DOTALL)
_CONTENT, _REPLACED = "content", "replaced"
_TEMPORARY, _TEMPORARY_PART = "brian_snn_", re.compile(r"brian_snn_[0-9a-f]{8}\.part")


def check_target(path: Path, kind: str, force: bool = False, replace_own: bool = False) -> None:
    """Raise unless `path` can be written as a file or a folder without the loss of anything.

    Parameters
    ----------
    path : Path
        Where the output will go.
    kind : str
        ``file`` or ``folder``.
    force : bool
        Whether an existing file, or a folder that an earlier run wrote, may be replaced.
    replace_own : bool
        Whether a folder that an earlier run wrote may be replaced without `force`.

    Raises
    ------
    OutputError
        Naming the path and what to do.
    """
    _sweep_beside(path)
    if path.is_dir():
        _check_folder(path, kind, force, replace_own)
    elif path.exists() and kind == "folder":
        raise OutputError(f"{path}: is a file; name another folder for the output.")
    elif path.exists() and not force:
        raise OutputError(f"{path}: exists already; name another file, or add --force to replace it.")
    if path.is_symlink() and not path.exists():
        raise OutputError(f"{path}: is a link that leads nowhere; name another path for the output.")
    with _parents(path):
        _give_up(*_sibling(path))


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Yield an open file that takes the place of `path` if all went well."""
    with staged_file(path) as staged, staged.open("wb") as file:
        yield file


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path of the same file name; move what was written there to `path` if all went well."""
    with _staging(path) as staging:
        yield staging / path.name
        flush(staging / path.name)
        (staging / path.name).replace(path)
        flush(path.absolute().parent)


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder; put it in the place of `path`, with a list of its files, if all went well."""
    with _staging(path) as staging:
        content = staging / _CONTENT
        content.mkdir()
        yield content
        names = files_in(content)
        (content / MANIFEST).write_text("".join(f"{name}\n" for name in names), "utf-8")
        for name in (*names, MANIFEST):
            flush(content / name)
        _swap(content, path, staging / _REPLACED)
        flush(path.absolute().parent)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield an empty folder in the temporary folder of the system, gone at the end.

    Raises
    ------
    OutputError
        If it cannot be made, or if the disk is full, then or later; names the temporary folder.
    """
    sweep_temporary()
    try:
        place = tempfile.gettempdir()
        folder, lock = _claim(Path(place), _TEMPORARY, 0o700)
    except OSError as error:
        raise OutputError(f"there is no temporary folder ({error.strerror or error}); {_in_words(error)}.") from error
    try:
        yield folder
    except BrianSnnError:
        raise
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise OutputError(f"the temporary folder {place} is full ({error.strerror}); {_in_words(error)}.") from error
    finally:
        _give_up(folder, lock)


def _in_words(error: OSError) -> str:
    """Return what to do about a temporary folder."""
    return f"{remedy(error, 'make one that can be written')} or set TMPDIR to another one"


def sweep_temporary() -> None:
    """Delete what killed processes left in the temporary folder of the system."""
    with suppress(OSError):
        for found in Path(tempfile.gettempdir()).iterdir():
            if _TEMPORARY_PART.fullmatch(found.name):
                _sweep(found)


def require_room(folder: Path, n_bytes: int = 2**16) -> None:
    """Raise OSError, as the system says it, if a file of some bytes cannot be written into a folder."""
    path = folder / f"room.{secrets.token_hex(4)}"
    try:
        with path.open("wb") as file:
            file.write(bytes(n_bytes))
            file.flush()
            os.fsync(file.fileno())
    finally:
        path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Delete what killed processes left of files and folders that they were writing into a folder, and nothing else."""
    for found in list(folder.iterdir()):
        if PART.fullmatch(found.name):
            _sweep(found)


def remove_tree(folder: Path) -> None:
    """Delete a folder with all that is in it; unlike `shutil.rmtree` it is content with one open file."""
    for found in list(folder.iterdir()):
        if found.is_dir() and not found.is_symlink():
            remove_tree(found)
        else:
            found.unlink(missing_ok=True)
    folder.rmdir()


def flush(path: Path) -> None:
    """Wait until a file, or the list of files in a folder, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def files_in(folder: Path) -> list[str]:
    """Return the files below a folder as sorted relative paths, without the manifest."""
    found = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir())
    return sorted(name for name in found if name != MANIFEST)


def _swap(content: Path, path: Path, replaced: Path) -> None:
    """Move an existing folder out of the way and `content` to its place; put it back if that fails."""
    if path.exists():
        path.rename(replaced)
    try:
        content.rename(path)
    except BaseException:
        if replaced.exists():
            replaced.rename(path)
        raise


def _check_folder(path: Path, kind: str, force: bool, replace_own: bool) -> None:
    """Raise unless the existing folder is empty, or ours and to be replaced."""
    if kind == "file":
        raise OutputError(f"{path}: is a folder; name a file for the output.")
    if not any(path.iterdir()):
        return
    manifest = path / MANIFEST
    if not manifest.is_file() or not set(files_in(path)) <= set(manifest.read_text().splitlines()):
        raise OutputError(f"{path}: holds files that brian-snn did not write; name another folder for the output.")
    if not (force or replace_own):
        raise OutputError(f"{path}: holds an earlier result; name another folder, or add --force to replace it.")


@contextmanager
def _staging(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path` that is gone at the end; failures of the disk name `path`."""
    with _parents(path):
        staging, lock = _sibling(path)
        try:
            yield staging
        except BrianSnnError:
            raise
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror or error}).") from error
        finally:
            _give_up(staging, lock)


@contextmanager
def _parents(path: Path) -> Iterator[None]:
    """Make the folders that `path` lies in; those that were not there and stay empty are gone at the end."""
    parents = [folder for folder in path.absolute().parents if not folder.exists()]
    try:
        with suppress(OSError):
            # What cannot be made is said where something is to be written there.
            path.absolute().parent.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for folder in parents:
            # Only an empty folder can be removed.
            with suppress(OSError):
                folder.rmdir()


def _sibling(path: Path) -> tuple[Path, int | None]:
    """Make an empty folder of an unused name beside `path` and lock it."""
    # The program may go elsewhere meanwhile.
    target = path.absolute()
    _sweep_beside(target)
    try:
        return _claim(target.parent, f".{target.name}.")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise OutputError(f"{path}: there is no folder {target.parent}, and none can be made.") from error
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); name another path for the output.") from error


def _claim(place: Path, prefix: str, mode: int = 0o777) -> tuple[Path, int | None]:
    """Make a folder of an unused name and lock it; the lock is None where there are no locks."""
    while True:
        folder = place / f"{prefix}{secrets.token_hex(4)}.part"
        folder.mkdir(mode)
        try:
            lock = _lock(folder)
        except (BlockingIOError, FileNotFoundError):
            # Not locked yet, it was taken for what a killed process left.
            continue
        except OSError:
            folder.rmdir()
            raise
        if lock is None or folder.exists():
            return folder, lock
        os.close(lock)


def _lock(folder: Path) -> int | None:
    """Lock a folder and return the descriptor that holds the lock; None where there are no locks.

    Raises
    ------
    BlockingIOError
        If another process holds it.
    """
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        # A network's file system may have none for folders.
        os.close(descriptor)
        return None
    return descriptor


def _sweep_beside(path: Path) -> None:
    """Delete what killed processes left that were writing `path`."""
    target = path.absolute()
    with suppress(OSError):
        for found in target.parent.iterdir():
            match = PART.fullmatch(found.name)
            if match and match["target"] == target.name:
                _sweep(found)


def _sweep(staging: Path) -> None:
    """Delete a folder that a killed process of this user left; what was to go into an empty place goes there first."""
    try:
        lock = _lock(staging)
    except OSError:
        return
    if lock is None:
        return
    # In a folder that all can write, such as /tmp, what others made could be exchanged while it is deleted.
    if os.fstat(lock).st_uid != os.geteuid():
        os.close(lock)
        return
    match = PART.fullmatch(staging.name)
    if match and (staging / _REPLACED).exists() and not (staging.parent / match["target"]).exists():
        with suppress(OSError):
            (staging / _CONTENT).rename(staging.parent / match["target"])
    _give_up(staging, lock)


def _give_up(staging: Path, lock: int | None) -> None:
    """Delete a folder with all that is in it, then its lock."""
    try:
        remove_tree(staging)
    except OSError:
        if lock is None:
            return
    if lock is not None:
        os.close(lock)
    # If no file could be opened, one can be now.
    with suppress(OSError):
        remove_tree(staging)

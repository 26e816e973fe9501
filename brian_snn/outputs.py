"""Write files and folders whole or not at all.

Everything is written beside its target under a temporary name and renamed at the end, so that an error, a full disk or
Ctrl-C leaves neither half a result nor a damaged old one. `check_target` comes first, before hours of simulation.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brian_snn.errors import OutputError

#: Lists the files of a folder that we wrote. A folder that holds anything else is never replaced.
MANIFEST = "files.txt"


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
    if path.is_dir():
        _check_folder(path, kind, force, replace_own)
    elif path.exists() and kind == "folder":
        raise OutputError(f"{path}: is a file; name another folder for the output.")
    elif path.exists() and not force:
        raise OutputError(f"{path}: exists already; name another file, or add --force to replace it.")
    if path.is_symlink() and not path.exists():
        raise OutputError(f"{path}: is a link that leads nowhere; name another path for the output.")
    _remove(_sibling(path))


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path of the same file name; move what was written there to `path` if all went well."""
    with _staging(path) as staging:
        yield staging / path.name
        (staging / path.name).replace(path)


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder; put it in the place of `path`, with a list of its files, if all went well."""
    with _staging(path) as staging:
        content = staging / "content"
        content.mkdir()
        yield content
        (content / MANIFEST).write_text("".join(f"{name}\n" for name in files_in(content)))
        _swap(content, path, staging / "replaced")


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
    staging = _sibling(path)
    try:
        yield staging
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error}).") from error
    finally:
        _remove(staging)


def _sibling(path: Path) -> Path:
    """Make an empty folder of an unused name beside `path`."""
    target = path.absolute()
    staging = target.parent / f".{target.name}.{secrets.token_hex(4)}.part"
    try:
        staging.mkdir()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise OutputError(f"{path}: there is no folder {target.parent}; make it first.") from error
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); name another path for the output.") from error
    return staging


def _remove(staging: Path) -> None:
    """Delete a staging folder with all that is in it."""
    shutil.rmtree(staging, ignore_errors=True)

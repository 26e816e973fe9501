"""Whose compiled programs are run: whoever can write a cache folder runs programs as those who use it.

A folder and a build in it are used if they belong to this user or to root, and neither their group nor others may write
them: nobody but these two can have put anything there. A lab whose members trust each other says so by `TRUST`.
"""

from __future__ import annotations

import os
import pwd
import shlex
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from brian_snn.errors import OutputError, SettingError

#: The environment variable that is set to 1 where everybody who can write the cache folder is trusted.
TRUST = "BRIAN_SNN_TRUST_CACHE"

_WRITABLE = stat.S_IWGRP | stat.S_IWOTH


def make_private(folder: Path) -> None:
    """Make a folder, and those above it, for this user alone; those that are there stay as they are."""
    for missing in reversed([place for place in (folder, *folder.parents) if not place.exists()]):
        with suppress(FileExistsError):
            missing.mkdir(0o700)
            # Whatever the umask.
            missing.chmod(0o700)


def close_to_others(folder: Path) -> None:
    """Let nobody but this user write what is in a folder, whatever the umask; who sees the one around it sees it."""
    for place, _, names in os.walk(folder):
        for path in (Path(place), *(Path(place, name) for name in names)):
            # Some file systems have no such permissions.
            with suppress(PermissionError):
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_WRITABLE)
    with suppress(PermissionError):
        folder.chmod(0o700 | (stat.S_IMODE(folder.parent.stat().st_mode) & 0o055))


def require_trusted(folder: Path) -> None:
    """Raise an `OutputError` for a cache folder that others can fill, and say what to do."""
    doubt = doubts([folder])
    if doubt:
        own = folder.stat().st_uid == os.geteuid()
        raise OutputError(
            f"{doubt}: others could put programs there, which would run as you. "
            f"{f'Run `chmod go-w {shlex.quote(str(folder))}`, set' if own else 'Set'} BRIAN_SNN_CACHE to a folder of "
            f"your own, or set {TRUST}=1 if you trust everybody who can write there."
        )


def doubts(paths: Iterable[Path]) -> str:
    """Return which of some files and folders others could have written, and why, in words; empty if there is none."""
    if _trusts_everybody():
        return ""
    return next((f"{path} {doubt}" for path in paths if (doubt := _doubt(path.stat()))), "")


def _trusts_everybody() -> bool:
    """Whether the user says that everybody who can write the cache folder is trusted."""
    value = os.environ.get(TRUST, "")
    if value not in ("", "0", "1"):
        raise SettingError(f"{TRUST} is {value!r}; it must be 1, to use a cache folder that others can write, or 0.")
    return value == "1"


def _doubt(status: os.stat_result) -> str:
    """Return why others could have written a file or folder, in words; empty if they could not."""
    if status.st_uid not in (0, os.geteuid()):
        return f"belongs to {_name(status.st_uid)}, not to you or root"
    if status.st_mode & _WRITABLE:
        return f"can be written by {'everybody' if status.st_mode & stat.S_IWOTH else 'its group'}"
    return ""


def _name(uid: int) -> str:
    """Return the name of a user, or the number of one without a name here."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"

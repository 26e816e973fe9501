"""Compiled simulations, kept in the user's cache folder: one per topology, compiler, processor, Brian2 and brian_snn.

The key is a hash of the topology and of the code that turns it into C++, not of the C++ itself: a warm start then
needs no code generation at all. A build is made in a folder of its own and renamed when it is complete, under a lock;
whatever was left by a killed build is removed by the next one.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import brian2
import filelock
import platformdirs

from brian_snn.backends.compiler import (
    Compiler,
    Progress,
    compile_project,
    compiler_identity,
    find_compiler,
    place_headers,
)
from brian_snn.backends.generator import generate_sources
from brian_snn.backends.manifest import MANIFEST, build_doubts, whole_manifest, write_manifest
from brian_snn.backends.trust import close_to_others, make_private, require_trusted
from brian_snn.errors import BrianSnnError, OutputError
from brian_snn.files import flush
from brian_snn.limits import remedy, starting
from brian_snn.simulation.topology import Topology

_PARTIAL = ".partial"

#: All code that has a part in what the program of a topology is and how it is run. Shapes are compiled in.
_CODE = (
    *(f"{package}/*.py" for package in ("network", "neurons", "simulation", "backends")),
    "backends/templates/*",
    "*.py",
)

#: Names of the folders of builds, and of those that are being made or deleted.
_NAME = re.compile(rf"[0-9a-f]{{32}}(?P<partial>(\.[0-9a-f]+)?{re.escape(_PARTIAL)})?")


@dataclass(frozen=True)
class Build:
    """A compiled topology: the folder with the binary ``main``, and whether it was compiled just now."""

    folder: Path
    is_new: bool


@dataclass(frozen=True)
class CachedBuild:
    """What `list_builds` says of a build.

    Parameters
    ----------
    folder : Path
    size_bytes : int
        On disk.
    last_used : datetime
    complete : bool
        False for what a killed compilation or another version left behind, which the next build replaces.
    layers, neurons : int
        Of its topology; 0 if incomplete.
    brian2 : str
        Version of Brian2 that generated it.
    """

    folder: Path
    size_bytes: int
    last_used: datetime
    complete: bool
    layers: int = 0
    neurons: int = 0
    brian2: str = ""


def cache_folder() -> Path:
    """Return the folder of all builds: ``$BRIAN_SNN_CACHE``, else the platform's cache folder for this user."""
    configured = os.environ.get("BRIAN_SNN_CACHE")
    if configured:
        # The compiler and the program that it makes each have a working directory of their own.
        return Path(configured).expanduser().absolute()
    return Path(platformdirs.user_cache_dir("brian_snn", appauthor=False)) / "builds"


def get_build(topology: Topology, progress: Progress | None = None) -> Build:
    """Return the build of a topology, compiling it if there is none yet.

    Parameters
    ----------
    progress : callable, optional
        Called with the number of files compiled and their total.

    Raises
    ------
    CompilerError
        If there is no compiler, or if it fails.
    OutputError
        If the cache folder cannot be written and has no such build, or others can write it.
    """
    compiler = find_compiler()
    folder = cache_folder() / build_key(topology, compiler)
    try:
        make_private(folder.parent)
        require_trusted(folder.parent)
        with filelock.FileLock(f"{folder}.lock"):
            is_new = whole_manifest(folder) is None
            if is_new:
                with _partial(folder) as partial:
                    _build(topology, partial, compiler, progress)
            # The list of builds shows when each was used last, as far as its owner lets this user say so.
            with suppress(PermissionError):
                os.utime(folder / MANIFEST)
            return Build(folder, is_new)
    except BrianSnnError:
        raise
    except OSError as error:
        # A cache that this user can read but not write cannot be locked, and need not be.
        if whole_manifest(folder):
            return Build(folder, False)
        raise OutputError(
            f"cannot build in {folder.parent}: {error.strerror or error}{_unused(folder)}; "
            f"{remedy(error, 'make it writable')} or set BRIAN_SNN_CACHE to a folder that can be written."
        ) from error


def _unused(folder: Path) -> str:
    """Return in brackets why the build that is there is not run; nothing if there is none."""
    with suppress(OSError):
        doubt = build_doubts(folder)
        return f" (the build there is not run, as {doubt})" if doubt else ""
    return ""


def list_builds() -> list[CachedBuild]:
    """Return the builds in the cache folder, the one used last first; what else is there is not ours."""
    builds = []
    for folder in filter(_is_ours, cache_folder().glob("*")):
        # It may be complete, and so have another name, or be deleted by now.
        with suppress(FileNotFoundError):
            builds.append(_describe(folder))
    return sorted(builds, key=lambda build: build.last_used, reverse=True)


def clear_builds() -> tuple[list[CachedBuild], list[CachedBuild]]:
    """Delete all builds and what killed ones left behind; return those deleted and those that are being made now."""
    deleted, busy = [], []
    for build in list_builds():
        lock = build.folder.with_name(build.folder.name.partition(".")[0] + ".lock")
        try:
            with filelock.FileLock(lock, timeout=0):
                _delete(build.folder)
                lock.unlink(missing_ok=True)
            deleted.append(build)
        except filelock.Timeout:
            busy.append(build)
        except OSError as error:
            raise OutputError(f"{build.folder} cannot be deleted: {error.strerror or error}.") from error
    return deleted, busy


def _is_ours(folder: Path) -> bool:
    """Whether a folder is a build, or one that is being made or deleted."""
    match = _NAME.fullmatch(folder.name)
    return bool(match and folder.is_dir() and (match["partial"] or (folder / MANIFEST).exists()))


def _delete(folder: Path) -> None:
    """Delete a build; if that is cut short, what is left does not look like one."""
    doomed = folder if folder.name.endswith(_PARTIAL) else _new_partial(folder)
    with suppress(FileNotFoundError):
        shutil.rmtree(folder.rename(doomed))


def _describe(folder: Path) -> CachedBuild:
    """Return what there is to say of a build."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            # A compiler that is at work deletes files of its own.
            with suppress(FileNotFoundError):
                size += os.stat(os.path.join(place, name)).st_size
    manifest = whole_manifest(folder)
    used = datetime.fromtimestamp((folder / MANIFEST if manifest else folder).stat().st_mtime)
    if manifest is None:
        return CachedBuild(folder, size, used, False)
    return CachedBuild(folder, size, used, True, manifest.layers, manifest.neurons, manifest.brian2)


def _new_partial(folder: Path) -> Path:
    """Return the path of a folder in which to make or to delete a build, one that nobody else uses."""
    return folder.with_name(f"{folder.name}.{uuid4().hex}{_PARTIAL}")


@contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    """Yield a folder beside `folder` to build in; rename it if all went well."""
    with suppress(FileNotFoundError):
        # What is somebody else's in this user's cache can be moved aside, though not deleted.
        folder.rename(_new_partial(folder))
    for leftover in folder.parent.glob(f"{folder.name}*{_PARTIAL}"):
        shutil.rmtree(leftover, ignore_errors=True)
    # A name of its own: the code generator of a killed process may still be writing into the folder of that one.
    partial = _new_partial(folder)
    partial.mkdir(0o700)
    try:
        yield partial
        close_to_others(partial)
        partial.rename(folder)
        flush(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _build(topology: Topology, partial: Path, compiler: Compiler, progress: Progress | None) -> None:
    """Generate and compile."""
    # Headers do not depend on what is generated.
    with ThreadPoolExecutor(1) as beside, starting("a thread"):
        placed = beside.submit(place_headers, partial, compiler)
        generate_sources(topology, partial)
    placed.result()
    compile_project(partial, compiler, progress)
    write_manifest(partial, topology)


def build_key(topology: Topology, compiler: Compiler) -> str:
    """Hash all that the binary depends on."""
    digest = hashlib.sha256(topology.digest().encode())
    digest.update(brian2.__version__.encode())
    digest.update(compiler_identity(compiler).encode())
    digest.update(code_digest().encode())
    return digest.hexdigest()[:32]


@functools.cache
def code_digest() -> str:
    """Hash the code of this package that turns a topology into C++, and that runs it."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _CODE for path in package.glob(pattern)):
        digest.update(path.read_bytes())
    return digest.hexdigest()

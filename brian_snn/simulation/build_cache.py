"""Compiled simulations, kept in the user's cache folder: one per topology, compiler, processor, Brian2 and brian_snn.

The key is a hash of the topology and of the code that turns it into C++, not of the C++ itself: a warm start then
needs no code generation at all. A build is made in a folder of its own and renamed when it is complete, under a lock;
whatever was left by a killed build is removed by the next one.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import brian2
import filelock
import platformdirs

from brian_snn.errors import BrianSnnError, CompilerError, OutputError
from brian_snn.simulation.compiler import Progress, compile_project, compiler_identity, find_compiler
from brian_snn.simulation.topology import Topology


@dataclass(frozen=True)
class Build:
    """A compiled topology: the folder with the binary ``main``, and whether it was compiled just now."""

    folder: Path
    is_new: bool


def cache_folder() -> Path:
    """Return the folder of all builds: ``$BRIAN_SNN_CACHE``, else the platform's cache folder for this user."""
    configured = os.environ.get("BRIAN_SNN_CACHE")
    if configured:
        return Path(configured)
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
        If the cache folder cannot be written.
    """
    compiler = find_compiler()
    folder = cache_folder() / _key(topology, compiler)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{folder}.lock"):
            if _is_complete(folder):
                return Build(folder, is_new=False)
            _build(topology, folder, compiler, progress)
            return Build(folder, is_new=True)
    except BrianSnnError:
        raise
    except OSError as error:
        raise OutputError(
            f"cannot build in {folder.parent}: {error.strerror or error}. Free some space or set BRIAN_SNN_CACHE to a "
            "folder that can be written."
        ) from error


def _build(topology: Topology, folder: Path, compiler: str, progress: Progress | None) -> None:
    """Generate and compile beside `folder`, then rename."""
    partial = folder.with_name(folder.name + ".partial")
    for leftover in (partial, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    try:
        _generate(topology, partial)
        compile_project(partial, compiler, progress)
        manifest = {"binary_bytes": (partial / "main").stat().st_size, "brian2": brian2.__version__}
        (partial / "manifest.json").write_text(json.dumps(manifest), "utf-8")
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _generate(topology: Topology, folder: Path) -> None:
    """Let a process of its own write the C++ sources."""
    command = [sys.executable, "-m", "brian_snn.simulation.codegen", str(folder)]
    done = subprocess.run(command, input=pickle.dumps(topology), capture_output=True)
    if done.returncode:
        message = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        if "No space left" in message[-1]:
            raise OSError(28, "No space left on device")
        raise CompilerError(f"Brian2 could not generate the C++ code: {message[-1]}")


def _is_complete(folder: Path) -> bool:
    """Whether the folder holds a binary of the size that was noted when it was built."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        return bool((folder / "main").stat().st_size == manifest["binary_bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _key(topology: Topology, compiler: str) -> str:
    """Hash all that the binary depends on."""
    digest = hashlib.sha256(topology.digest().encode())
    digest.update(brian2.__version__.encode())
    digest.update(compiler_identity(compiler).encode())
    package = Path(__file__).parent.parent
    for path in sorted(
        [
            *package.glob("simulation/**/*.py"),
            *package.glob("simulation/templates/*"),
            package / "conversion" / "linear_maps.py",
        ]
    ):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]

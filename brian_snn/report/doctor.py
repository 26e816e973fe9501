"""What this machine has for simulations, and what is wrong with it: the first thing that a report of a fault quotes.

Nothing that may be broken is imported before it is tried, Brian2 and NumPy among it. Paths in the user's folder begin
with ``~``, and no variable of the environment is shown but those that are named here.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from brian_snn.errors import BrianSnnError
from brian_snn.processors import installed_processors, usable_processors
from brian_snn.version import __version__, installed_versions

if TYPE_CHECKING:
    from brian_snn.network.network import Network

#: What a user may have besides what is always installed, by what it is for.
_MODELS = ("keras", "tensorflow", "onnx", "torch", "jax")
_EXTRAS = ("h5py", "nir", "pandas", "matplotlib", "rich", "pillow", "pyarrow", "distributed")

#: Less than this is a finding, in bytes.
_LEAST_FREE, _LEAST_MEMORY = 2**28, 2**30


@dataclass(frozen=True)
class Finding:
    """One line of `doctor`.

    Parameters
    ----------
    name : str
        What was looked at.
    found : str
        What there is.
    problem : str
        What is wrong and what to do about it; empty if all is well.
    """

    name: str
    found: str
    problem: str = ""


def doctor(self_test: bool = True) -> tuple[Finding, ...]:
    """Look at what simulations need on this machine, and try it.

    Parameters
    ----------
    self_test : bool
        Whether a small network is compiled in a cache of its own, verified, and compared with the runtime backend,
        which takes some ten seconds.

    Returns
    -------
    findings : tuple of Finding
        All is well if no `problem` is there.
    """
    checks = dict(_CHECKS)
    if not self_test:
        del checks["self-test"]
    return tuple(_looked_at(name, check) for name, check in checks.items())


def _looked_at(name: str, check: Callable[[], Finding]) -> Finding:
    """Return what a check finds; whatever it meets is a finding too."""
    try:
        finding = check()
    # What is broken on another machine raises anything.
    except Exception as error:
        kind = "" if isinstance(error, BrianSnnError) else f"{type(error).__name__}: "
        finding = Finding(name, "failed", f"{kind}{error}")
    return Finding(name, _at_home(finding.found), _at_home(finding.problem))


def _at_home(text: str) -> str:
    """Return a text in which the user's folder is ``~``."""
    home = str(Path.home()).rstrip("/")
    return text.replace(f"{home}/", "~/") if home else text


def _package() -> Finding:
    return Finding("brian_snn", f"{__version__}, {Path(__file__).parents[1]}")


def _python() -> Finding:
    found = f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}"
    problem = "" if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed."
    return Finding("Python", found, problem)


def _system() -> Finding:
    return Finding("system", platform.platform())


def _processors() -> Finding:
    return Finding("processors", f"{usable_processors()} usable of {installed_processors()}")


def _memory() -> Finding:
    from brian_snn.limits import require_memory
    from brian_snn.reading import memory_bytes

    require_memory()
    free = _available_memory()
    told = "" if free is None else f", {free / 2**30:.1f} GiB available"
    little = free is not None and free < _LEAST_MEMORY
    problem = "little memory is left; end other programs, or take fewer workers." if little else ""
    return Finding("memory", f"{memory_bytes() / 2**30:.1f} GiB{told}", problem)


def _available_memory() -> int | None:
    """Return the bytes that Linux has left for programs; None where there is no such number."""
    try:
        lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _numpy() -> Finding:
    import numpy as np

    return Finding("NumPy", np.__version__)


def _brian2() -> Finding:
    versions = installed_versions(("brian2", "numpy"))
    if "brian2" not in versions:
        return Finding("Brian2", "not installed", "install it: pip install brian2")
    from brian_snn.quiet_brian import import_brian2

    try:
        import_brian2()
    except (ImportError, AttributeError) as error:
        what = f"it cannot be imported ({error}) beside NumPy {versions.get('numpy', 'of no version')}"
        return Finding("Brian2", versions["brian2"], f"{what}; Brian2 2.9 needs an older one: pip install 'numpy<2.4'")
    return Finding("Brian2", versions["brian2"])


def _models() -> Finding:
    found = installed_versions(_MODELS)
    backend = os.environ.get("KERAS_BACKEND", "as ~/.keras/keras.json says, else tensorflow")
    problem = "" if "keras" in found else "without Keras its models cannot be converted: pip install keras tensorflow"
    return Finding("models", f"{_listed(found, _MODELS)}; Keras backend: {backend}", problem)


def _extras() -> Finding:
    return Finding("libraries", _listed(installed_versions(_EXTRAS), _EXTRAS))


def _listed(found: dict[str, str], names: tuple[str, ...]) -> str:
    """Return the versions of packages in words."""
    return ", ".join(f"{name} {found[name]}" if name in found else f"no {name}" for name in names)


def _compiler() -> Finding:
    from brian_snn.backends.compiler import compiler_identity, find_compiler

    compiler = find_compiler()
    compiler_identity(compiler)
    said = subprocess.run([*compiler, "--version"], capture_output=True, text=True, timeout=60).stdout.splitlines()
    return Finding("compiler", f"{shlex.join(compiler)}: {said[0] if said else 'tells no version'}")


def _cache() -> Finding:
    from brian_snn.backends.build_cache import cache_folder, list_builds

    builds = list_builds()
    size = sum(build.size_bytes for build in builds)
    remedy = "set BRIAN_SNN_CACHE to a folder that can be written"
    return _folder("cache", cache_folder(), f"{len(builds)} builds, {size / 1e6:.1f} MB", remedy)


def _temporary() -> Finding:
    return _folder("temporary folder", Path(tempfile.gettempdir()), "", "set TMPDIR to a folder that can be written")


def _folder(name: str, folder: Path, what: str, remedy: str) -> Finding:
    """Return what there is of a folder, or of the one that it would be made in, and whether files can be written."""
    from brian_snn.files import require_room

    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    found = ", ".join(filter(None, (str(folder), what, f"{free / 1e9:.1f} GB free")))
    try:
        require_room(there)
    except OSError as error:
        return Finding(name, found, f"it cannot be written ({error.strerror or error}); {remedy}.")
    return Finding(
        name, found, "" if free >= _LEAST_FREE else f"the disk is nearly full; free some space, or {remedy}."
    )


def _self_test() -> Finding:
    import numpy as np

    import brian_snn

    network, images, start = _small_network(), np.linspace(0, 1, 30).reshape(5, 6), time.perf_counter()
    with _own_cache():
        compiled = brian_snn.simulate(network, images, steps=100)
    took = time.perf_counter() - start
    plain = brian_snn.simulate(network, images, steps=100, backend="runtime")
    report = brian_snn.verify(compiled, replay="all")
    same = all(np.array_equal(compiled.spike_counts[name], counts) for name, counts in plain.spike_counts.items())
    found = (
        f"compiled and run in {took:.1f} s, {report['neurons'].sum():,} identities, largest residual "
        f"{report['max_residual_charge'].max():g}, the runtime backend {'agrees' if same else 'differs'}"
    )
    wrong = not (same and report["holds"].all())
    return Finding("self-test", found, "numbers are wrong on this machine; report it with this text." if wrong else "")


def _small_network() -> Network:
    """Return 6 pixels, 9 neurons that spike and 4 that are read out, with weights of fixed eighths."""
    import numpy as np

    from brian_snn.network.network import Network
    from brian_snn.network.records import INPUT, Geometry, Population, Projection

    def eighths(*shape: int) -> np.ndarray:
        return (np.arange(np.prod(shape)) * 7 % 11 - 4.0).reshape(shape) / 8

    hidden = Population("hidden", "spiking", (9,), eighths(9) / 8, 1)
    out = Population("out", "readout", (4,), eighths(4) / 8, 2)
    maps = (("hidden", INPUT, (6, 9)), ("out", "hidden", (9, 4)))
    projections = tuple(Projection(s, t, Geometry("dense", (n[0],), (n[1],)), eighths(*n)) for t, s, n in maps)
    return Network((hidden, out), projections, (6,), grid=2.0**-24)


@contextmanager
def _own_cache() -> Iterator[None]:
    """Compile in a folder that is gone afterwards, so that the compiler is tried and the cache stays as it is."""
    from brian_snn.files import temporary_folder

    before = os.environ.get("BRIAN_SNN_CACHE")
    with temporary_folder() as folder:
        os.environ["BRIAN_SNN_CACHE"] = str(folder / "builds")
        try:
            yield
        finally:
            del os.environ["BRIAN_SNN_CACHE"]
            if before is not None:
                os.environ["BRIAN_SNN_CACHE"] = before


_CHECKS: dict[str, Callable[[], Finding]] = {
    "brian_snn": _package,
    "Python": _python,
    "system": _system,
    "processors": _processors,
    "memory": _memory,
    "NumPy": _numpy,
    "Brian2": _brian2,
    "models": _models,
    "libraries": _extras,
    "compiler": _compiler,
    "cache": _cache,
    "temporary folder": _temporary,
    "self-test": _self_test,
}

"""The commands that are killed and starved: they run in a fork of the test, with a temporary folder of their own."""

import contextlib
import io
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from brian_snn import load_result
from brian_snn.backends import build_cache
from brian_snn.cli import main as cli
from brian_snn.results.arrays import ARRAYS_BY_NAME
from brian_snn.settings import Settings
from brian_snn.simulation.topology import topology
from tests.campaign.limits import run_limited
from tests.models import images_for, mlp
from tests.small_network import small_images, small_network

N_IMAGES, STEPS = 6, 4

#: What a run folder holds, and nothing else.
FILES = ["images.npy", "labels.npy", "network.npz", "result.json", "run.toml", "shards"]

#: Stands for a compiler where the program is not run: writes what it is told to make.
_COMPILER = """#!/bin/sh
[ "$1" = -w ] && shift
for last; do
    [ "$before" = -o ] && echo made > "$last" && chmod +x "$last"
    before=$last
done
"""


def fill(folder):
    """Put a network and images with labels into a folder, and folders for temporary files and builds beside them."""
    small_network().save(folder / "net.npz")
    np.savez(folder / "x.npz", x_test=small_images(N_IMAGES), y_test=np.arange(N_IMAGES) % 4)
    for name in ("tmp", "cache"):
        (folder / name).mkdir()


def simulate(folder, *options, reset="zero", backend="runtime"):
    """Run ``brian-snn simulate`` in this process, shard by shard; return the exit code and what it said of errors."""
    return call(command_line(folder, "--reset", reset, "--backend", backend, *options), folder)


def command_line(folder, *options):
    """Return the arguments of ``brian-snn simulate``."""
    inputs = [f"{folder}/net.npz", "--data", f"{folder}/x.npz"]
    usual = ["--steps", str(STEPS), "--shard-size", "2", "--reset", "zero"]
    return ["simulate", *inputs, *usual, "-o", f"{folder}/run", "--quiet", *options]


def fill_sweep(folder):
    """Put a model, labelled images and a grid of four points into a folder, and what `fill` puts beside them."""
    model = mlp()
    model.save(folder / "m.keras")
    images = images_for(model, N_IMAGES)
    np.savez(folder / "x.npz", x_test=images, y_test=np.arange(N_IMAGES) % 4)
    same = 'model = "m.keras"\ncalibration = "x.npz"\ndata = "x.npz"\nbackend = "runtime"\n'
    (folder / "grid.toml").write_text(same + '[grid]\nsteps = [2, 3]\nreset = ["subtraction", "zero"]\n')
    for name in ("tmp", "cache"):
        (folder / name).mkdir()


def sweep(folder):
    """Run ``brian-snn sweep`` in this process; return the exit code and what it said of errors."""
    return call(["sweep", f"{folder}/grid.toml", "-o", f"{folder}/run", "--quiet"], folder)


def call(arguments, folder):
    """Run a command in this process, with temporary files and builds in the folder."""
    place(folder)
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = cli.main(arguments)
    return code, said.getvalue()


def place(folder):
    """Let this process have its temporary files and builds in the folder."""
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder / "tmp")
    os.environ["BRIAN_SNN_CACHE"] = str(folder / "cache")


def build(folder, stand_in=True):
    """Build a topology, and return the hashes of what came out; with stand-ins for code generator and compiler."""
    place(folder)
    if stand_in:
        compiler = folder / "compiler"
        compiler.write_text(_COMPILER)
        compiler.chmod(0o755)
        os.environ["CXX"] = str(compiler)
        build_cache.generate_sources = _generate
    layout = topology(small_network(), Settings(STEPS), (), ())
    return build_cache.whole_manifest(build_cache.get_build(layout).folder).sha256


def _generate(_, folder):
    for name in ("main.cpp", "static_arrays/weights"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)


def arrays(folder):
    """Return all that a run folder says was measured, byte by byte, and the labels."""
    result = load_result(folder)
    found = {
        f"{field} {key}": np.asarray(values).tobytes()
        for field in ARRAYS_BY_NAME
        for key, values in result.by_population(field).items()
    }
    return found | {"labels": (folder / "labels.npy").read_bytes(), "reset": result.settings.reset}


def in_fork(function, *arguments, **options):
    """Call a function in a process of its own and return how it ended."""
    return run_limited(function, *arguments, **options)


def names(folder):
    """Return the names of what is in a folder."""
    return sorted(path.name for path in Path(folder).iterdir())


class Killer:
    """An audit hook that kills this process before its n-th change of what lies in a folder.

    Reading is no change: what is opened to be written, made, renamed and deleted is.
    """

    _CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"})

    def __init__(self, folder, n):
        self.folder, self.left = str(folder), n

    def __call__(self, event, arguments):
        if self._is_change(event, arguments):
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), 9)

    def _is_change(self, event, arguments):
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            return writes and isinstance(path, str) and path.startswith(self.folder)
        if event in self._CHANGES:
            # A tree is deleted by names relative to an open folder.
            path = os.fsdecode(arguments[0])
            return path.startswith(self.folder) or not path.startswith("/")
        return False


def killed_at(n, folder, function, *arguments, **options):
    """Call a function that ends before the n-th change of the folder."""
    sys.addaudithook(Killer(folder, n))
    return function(*arguments, **options)


def killed_after(seconds, function, *arguments, **options):
    """Call a function in a fork of this fork and kill that after some time; whether it was still at work."""
    process = os.fork()
    if not process:
        with contextlib.suppress(BaseException):
            function(*arguments, **options)
        os._exit(0)
    time.sleep(seconds)
    os.kill(process, 9)
    return os.WIFSIGNALED(os.waitpid(process, 0)[1])

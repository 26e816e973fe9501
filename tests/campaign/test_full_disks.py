"""Disks that are full at every size, and little of all else: an error of one line; the same command goes on later."""

import contextlib
import functools
import os
import resource
import shutil
import subprocess
import sys

import pytest

from tests.campaign.commands import FILES, arrays, command_line, fill, in_fork, names, simulate
from tests.campaign.limits import Limits, Outcome

PATIENT = Limits(wall_s=600)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return a folder with inputs and a result ``new``."""
    folder = tmp_path_factory.mktemp("undisturbed")
    fill(folder)
    assert in_fork(functools.partial(simulate, folder)).unwrap() == (0, "")
    (folder / "run").rename(folder / "new")
    return folder


def complains_in_one_line(outcome: Outcome):
    """Whether a command came to its end, or to exit code 2 with one line that is no guess in the dark."""
    assert outcome.kind == "returned", outcome
    code, said = outcome.value
    if code == 0:
        return False
    assert code == 2, outcome
    assert said.startswith("brian-snn: error: ") and said.count("\n") == 1, said
    assert "no message" not in said and "requested and" not in said, said
    return True


def goes_on(undisturbed, folder, backend="runtime"):
    """Check that nothing half-written is there, and that the same command without a limit completes the run."""
    assert names(folder / "tmp") == []
    run = folder / "run"
    if run.exists():
        assert set(names(run)) <= set(FILES)
        kept = {path.name: path.read_bytes() for path in (run / "shards").iterdir()}
    else:
        kept = {}
    assert in_fork(functools.partial(simulate, folder, backend=backend), limits=PATIENT).unwrap() == (0, "")
    assert arrays(run) == arrays(undisturbed / "new")
    assert kept.items() <= {path.name: path.read_bytes() for path in (run / "shards").iterdir()}.items()
    shutil.rmtree(run)


def starve(undisturbed, folder, limits, backend="runtime"):
    """Run under limits and then without; return how often the limits were too tight."""
    shutil.copytree(undisturbed, folder)
    n_failed = 0
    for limit in limits:
        outcome = in_fork(functools.partial(simulate, folder, backend=backend), limits=limit)
        n_failed += complains_in_one_line(outcome)
        goes_on(undisturbed, folder, backend)
    return n_failed


def test_a_few_sizes_of_files(undisturbed, tmp_path):
    assert starve(undisturbed, tmp_path / "x", [Limits(file_bytes=size) for size in (1000, 7000)]) == 2


@pytest.mark.campaign
@pytest.mark.parametrize("backend", ["runtime", "standalone"])
def test_every_size_of_files(undisturbed, tmp_path, backend):
    sizes = [*range(0, 12_000, 250), *range(12_000, 2_000_000, 200_000)]
    limits = [Limits(file_bytes=size, wall_s=600) for size in sizes]
    assert starve(undisturbed, tmp_path / "x", limits, backend) > 10


def test_few_open_files(undisturbed, tmp_path):
    taken = len(os.listdir("/proc/self/fd"))
    assert starve(undisturbed, tmp_path / "x", [Limits(n_files=taken + n) for n in (3, 5)]) >= 1


@pytest.mark.campaign
@pytest.mark.parametrize("backend", ["runtime", "standalone"])
def test_every_number_of_open_files(undisturbed, tmp_path, backend):
    taken = len(os.listdir("/proc/self/fd"))
    limits = [Limits(n_files=taken + n, wall_s=600) for n in range(3, 24)]
    assert starve(undisturbed, tmp_path / "x", limits, backend) > 2


@pytest.mark.campaign
def test_little_memory(undisturbed, tmp_path):
    """In processes that start anew: a fork has the locks of threads that it has not."""
    folder, codes = shutil.copytree(undisturbed, tmp_path / "x"), []
    command = [sys.executable, "-m", "brian_snn", *command_line(folder, "--backend", "runtime")]
    environment = os.environ | {"TMPDIR": str(folder / "tmp"), "PYTHONPATH": os.pathsep.join(sys.path)}
    for size in range(50, 850, 100):
        limit = Limits(memory_bytes=size * 2**20)
        done = subprocess.run(command, env=environment, preexec_fn=limit.apply, capture_output=True, text=True)
        codes.append(done.returncode)
        assert done.returncode in (0, 2), (size, done)
        # What OpenBLAS says of threads that it cannot have comes before.
        assert not done.returncode or done.stderr.splitlines()[-1].startswith("brian-snn: error: "), (size, done)
        assert "Traceback" not in done.stderr, (size, done)
        goes_on(undisturbed, folder)
    assert codes == sorted(codes, reverse=True) and set(codes) == {0, 2}


def as_nobody(first, second):
    """Call a function, then another as a user that the system holds to its limits; root it does not."""
    first()
    if not os.geteuid():
        os.setresuid(65534, 65534, 65534)
    return second()


@pytest.mark.campaign
def test_few_processes(undisturbed, tmp_path):
    """No process can be started, which a compiler and a compiled program need, and that is what is said."""
    folder = shutil.copytree(undisturbed, tmp_path / "x")
    subprocess.run(["chmod", "-R", "a+rwX", folder], check=True)
    for parent in folder.parents[:-2]:
        parent.chmod(parent.stat().st_mode | 0o555)
    # What is to be imported may lie where only root can read.
    once = functools.partial(simulate, shutil.copytree(undisturbed, tmp_path / "first"))
    run = functools.partial(simulate, folder, backend="standalone")
    outcome = in_fork(as_nobody, once, run, limits=Limits(n_processes=0, wall_s=600))
    assert complains_in_one_line(outcome)
    assert "ulimit -u" in outcome.value[1]
    goes_on(undisturbed, folder)


@contextlib.contextmanager
def small_disk(folder, n_bytes):
    """Mount a disk of some bytes on a folder; only root may."""
    options = ["-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", str(folder)]
    subprocess.run(["mount", *options], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.campaign
@pytest.mark.parametrize("backend", ["runtime", "standalone"])
@pytest.mark.parametrize("where", ["tmp", "run", "cache"])
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk; the sizes of files stand for it")
def test_every_size_of_a_disk(undisturbed, tmp_path, where, backend):
    folder = shutil.copytree(undisturbed, tmp_path / "x")
    page = resource.getpagesize()
    n_failed = 0
    for n_pages in (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 32, 64, 256):
        (folder / where).mkdir(exist_ok=True)
        with small_disk(folder / where, n_pages * page):
            outcome = in_fork(functools.partial(simulate, folder, backend=backend), limits=PATIENT)
            n_failed += complains_in_one_line(outcome)
            if outcome.value[0] and where == "tmp":
                # Of the compiled program, which writes little there, it may be the log of the compiler.
                assert "is full" in outcome.value[1] or "No space left" in outcome.value[1]
            assert where != "tmp" or names(folder / "tmp") == []
            kept = {path.name for path in (folder / "run").glob("*")} - {".lock"}
            assert where != "run" or kept <= set(FILES)
        if (folder / "run").exists():
            shutil.rmtree(folder / "run")
        goes_on(undisturbed, folder)
    assert n_failed > 0 or (where, backend) in {("tmp", "runtime"), ("cache", "runtime")}

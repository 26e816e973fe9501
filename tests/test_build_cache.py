"""Builds are made once, whole or not at all, and made again where something is wrong with them."""

import errno
import json
import os
import shutil
import subprocess
import sys

import filelock
import numpy as np
import pytest

from brian_snn import simulate
from brian_snn.backends import build_cache, standalone
from brian_snn.backends.build_cache import (
    Build,
    cache_folder,
    clear_builds,
    get_build,
    list_builds,
)
from brian_snn.backends.standalone import run_standalone
from brian_snn.errors import CompilerError, OutputError, SimulationError
from brian_snn.settings import Recording, Settings
from brian_snn.simulation.job import make_job
from brian_snn.simulation.topology import topology
from tests.simulation_cases import LAYOUT, tiny
from tests.small_network import STEPS, constant_network, differences, loop_result, small_images, small_network

#: As other tests simulate this network, so that one build serves all.
EXPLICIT = Settings(STEPS, "zero", projection="synapses")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BRIAN_SNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_another_weight_is_the_same_topology_and_another_shape_is_not():
    assert topology(tiny(0.5), Settings()).digest() == LAYOUT.digest()
    spiking = topology(tiny(), Settings(readout="spikes")).digest()
    zero = topology(tiny(), Settings(readout="spikes", reset="zero")).digest()
    assert len({LAYOUT.digest(), spiking, zero}) == 3


@pytest.fixture
def built(cache, tiny_build):
    """Return the folder of a build of the smallest network in a cache of its own."""
    cache.mkdir(0o700)
    return shutil.copytree(tiny_build, cache / tiny_build.name)


def largest_array(folder):
    """Return the largest file of connectivity of a build."""
    return max((folder / "static_arrays").iterdir(), key=lambda path: path.stat().st_size)


def zeros_of_its_size(path):
    """Overwrite a file by as many zeros."""
    path.write_bytes(bytes(path.stat().st_size))


DAMAGES = {
    "half a binary": lambda folder: os.truncate(folder / "main", 1000),
    "garbage for a binary": lambda folder: zeros_of_its_size(folder / "main"),
    "a binary that may not run": lambda folder: (folder / "main").chmod(0o644),
    "no connectivity": lambda folder: shutil.rmtree(folder / "static_arrays"),
    "half of the connectivity": lambda folder: os.truncate(largest_array(folder), 8),
    "other connectivity": lambda folder: zeros_of_its_size(largest_array(folder)),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "half a manifest": lambda folder: os.truncate(folder / "manifest.json", 20),
}


@pytest.fixture(scope="module")
def explicit_build(build_cache):
    """Return a build that reads its connectivity from files, and its topology."""
    layout = topology(small_network(), EXPLICIT)
    return get_build(layout).folder, layout


@pytest.fixture
def explicit(cache, monkeypatch, explicit_build):
    """Return its folder in a cache of its own, where a new build is a copy of it, its topology, and what was made."""
    made = []

    def make(_, partial, *__):
        shutil.copytree(intact, partial, dirs_exist_ok=True)
        made.append(partial)

    intact, layout = explicit_build
    monkeypatch.setattr(build_cache, "_build", make)
    cache.mkdir(0o700)
    return shutil.copytree(intact, cache / intact.name), layout, made


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_build_is_made_again(explicit, damage):
    folder, layout, made = explicit
    assert not get_build(layout).is_new
    DAMAGES[damage](folder)
    assert get_build(layout).is_new and len(made) == 1
    assert not get_build(layout).is_new


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["no connectivity", "garbage for a binary", "a binary that may not run", "no build"])
def test_a_build_that_is_lost_between_its_finding_and_the_start_is_made_again(explicit, damage):
    folder, _, made = explicit
    (DAMAGES | {"no build": shutil.rmtree})[damage](folder)
    job = make_job(small_network(), EXPLICIT, Recording())
    images = small_images()
    ((_, result),) = run_standalone(Build(folder, False), job, images, [range(len(images))], 1, lambda: None)
    assert differences(result, loop_result(small_network(), images, reset="zero")) == []
    assert len(made) == 1


@pytest.mark.slow
def test_connectivity_that_cannot_be_read_is_an_error(explicit, monkeypatch):
    """Brian2 says so on the standard output and goes on."""
    folder, _, _ = explicit
    missing = largest_array(folder)
    missing.unlink()
    job = make_job(small_network(), EXPLICIT, Recording())
    monkeypatch.setattr(standalone, "get_build", lambda *_, **__: Build(folder, False))
    with pytest.raises(SimulationError, match=rf"exit code 3: Error opening static array {missing.name}"):
        list(run_standalone(Build(folder, False), job, small_images(1), [range(1)], 1, lambda: None))


@pytest.mark.slow
def test_a_build_of_an_older_format_is_made_again(cache):
    manifest = get_build(LAYOUT).folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 1}))
    assert get_build(LAYOUT).is_new


@pytest.mark.slow
def test_builds_are_listed_and_cleared(cache, built):
    left = f"{'0123' * 8}.4567.partial"
    (cache / left).mkdir()
    (cache / left / "main.cpp").write_text("half a fi")
    listed = {build.folder.name: build for build in list_builds()}
    assert set(listed) == {built.name, left}
    assert (listed[built.name].complete, listed[built.name].layers, listed[built.name].neurons) == (True, 1, 1)
    assert not listed[left].complete
    assert listed[built.name].size_bytes == sum(f.stat().st_size for f in built.rglob("*") if f.is_file())
    with filelock.FileLock(cache / f"{'0123' * 8}.lock"):
        deleted, busy = clear_builds()
    assert [build.folder for build in deleted] == [built]
    assert [build.folder.name for build in busy] == [left]
    assert sorted(path.name for path in cache.iterdir()) == sorted([left, f"{'0123' * 8}.lock"])


def test_what_is_not_a_build_is_neither_listed_nor_cleared(cache):
    foreign = ["photos", "thesis.partial", "0123" * 8, "0123" * 9]
    for name in foreign:
        (cache / name).mkdir(parents=True)
    (cache / "photos" / "manifest.json").write_text("{}")
    assert (list_builds(), clear_builds()) == ([], ([], []))
    assert sorted(path.name for path in cache.iterdir()) == sorted(foreign)


@pytest.mark.parametrize("text", ["{}", "[]", '{"format": 3, "sha256": {}}', "half a ma"])
def test_a_build_whose_manifest_says_nothing_is_listed_as_unusable(cache, text):
    (cache / ("0123" * 8)).mkdir(parents=True)
    (cache / ("0123" * 8) / "manifest.json").write_text(text)
    assert [build.complete for build in list_builds()] == [False]
    assert len(clear_builds()[0]) == 1 and list(cache.iterdir()) == []


def test_builds_can_be_listed_while_files_and_folders_vanish(cache, monkeypatch):
    """As those of a compiler at work do, and the folder itself once it is complete."""
    for digit in "01":
        (cache / f"{digit * 32}.partial").mkdir(parents=True)
        (cache / f"{digit * 32}.partial" / "main.o").write_text("object")

    def vanish(folder):
        shutil.rmtree(folder) if folder.name.startswith("1") else (folder / "main.o").unlink()

    def walk(folder):
        found = list(os_walk(folder))
        vanish(folder)
        return found

    os_walk = os.walk
    monkeypatch.setattr(build_cache.os, "walk", walk)
    listed = list_builds()
    assert [(build.folder.name[0], build.size_bytes) for build in listed] == [("0", 0)]


@pytest.mark.slow
def test_what_a_loader_says_on_the_standard_error_is_no_failure(cache, monkeypatch):
    monkeypatch.setenv("LD_PRELOAD", "/nowhere/libjemalloc.so")
    assert simulate(tiny(), np.ones((1, 1)), steps=4).charge["out"].item() == 1.0


@pytest.mark.slow
def test_an_array_of_the_wrong_size_is_an_error(cache, monkeypatch):
    """Brian2 says so on the standard error and goes on."""
    job = make_job(constant_network([0.5, 0.25]), Settings(4), Recording())
    other = make_job(constant_network([0.5, 0.25, 0.125]), Settings(4), Recording())
    build = get_build(job.layout)
    monkeypatch.setattr(standalone, "get_build", lambda *_, **__: build)
    with pytest.raises(SimulationError, match=r"exit code 3: Error reading .* does not match expected size"):
        list(run_standalone(build, other, np.ones((1, 1)), [range(1)], 1, lambda: None))


@pytest.mark.slow
def test_what_a_killed_build_left_behind_does_no_harm(cache, monkeypatch):
    """Nor does its code generator, which still writes where it was told to."""
    folder = get_build(LAYOUT).folder
    left = folder.rename(folder.with_name(folder.name + ".partial"))
    (left / "main.cpp").write_text("half a fi")
    generate, in_use = build_cache.generate_sources, []

    def generate_beside_an_orphan(topology, partial):
        in_use.append(partial)
        generate(topology, partial)
        left.mkdir()
        (left / "main.cpp").write_text("half a fi")

    monkeypatch.setattr(build_cache, "generate_sources", generate_beside_an_orphan)
    assert get_build(LAYOUT).is_new
    assert in_use != [left] and list(left.iterdir()) == [left / "main.cpp"]
    (folder / "main").unlink()
    monkeypatch.setattr(build_cache, "generate_sources", generate)
    assert get_build(LAYOUT).is_new
    assert [path for path in cache.iterdir() if path.is_dir()] == [folder]


@pytest.mark.slow
def test_two_processes_build_the_same_topology_at_once(cache):
    imports = "from brian_snn.backends.build_cache import get_build\nfrom tests.simulation_cases import LAYOUT\n"
    script = f"{imports}print(get_build(LAYOUT).is_new)\n"
    root = os.path.dirname(os.path.dirname(__file__))
    processes = [
        subprocess.Popen([sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    answers = sorted(process.communicate()[0].strip().splitlines()[-1] for process in processes)
    assert answers == ["False", "True"]


def test_no_compiler_is_an_error_that_says_what_to_do(cache, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(CompilerError, match=r"no C\+\+ compiler found .* backend='runtime'"):
        simulate(tiny(), np.ones((1, 1)))


@pytest.mark.slow
def test_cxx_may_be_a_command_of_several_words(cache, monkeypatch):
    monkeypatch.setenv("CXX", "env 'PATH=/usr/bin:/bin' g++ -m64")
    assert simulate(tiny(), np.ones((1, 1)), steps=4).charge["out"].item() == 1.0


@pytest.mark.parametrize(
    ("configured", "message"),
    [
        ("no-such-tool g++", r"no C\+\+ compiler found \(looked for no-such-tool g\+\+\)"),
        ("'g++", "No closing quotation"),
    ],
)
def test_a_cxx_that_cannot_be_run_is_an_error_that_shows_it(cache, monkeypatch, configured, message):
    monkeypatch.setenv("CXX", configured)
    with pytest.raises(CompilerError, match=message):
        get_build(LAYOUT)


def test_a_compiler_that_does_not_run_is_an_error(cache, monkeypatch):
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(CompilerError, match="does not run"):
        get_build(LAYOUT)


@pytest.mark.slow
def test_a_compiler_error_shows_its_last_lines_and_leaves_nothing(cache, monkeypatch, tmp_path):
    # It describes itself as the real one does, then fails on every file.
    fake = tmp_path / "fake-g++"
    fake.write_text(
        '#!/bin/sh\ncase "$*" in *-dM*) exit 0;; esac\necho "line 1\nwidget.cpp: no such widget" >&2\nexit 1\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("CXX", str(fake))
    with pytest.raises(CompilerError, match="no such widget"):
        get_build(LAYOUT)
    assert [path.name for path in cache.iterdir() if path.is_dir()] == []


def test_a_cache_that_cannot_be_written_is_an_error_that_names_it(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BRIAN_SNN_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match=r"cannot build in .*file"):
        get_build(LAYOUT)


@pytest.mark.parametrize("configured", ["near/builds", "~/builds"])
def test_the_cache_may_be_named_relative_to_this_folder_or_to_home(monkeypatch, tmp_path, configured):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BRIAN_SNN_CACHE", configured)
    assert cache_folder() == tmp_path / configured.replace("~", "home")


@pytest.mark.slow
def test_a_simulation_runs_with_a_relative_cache(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRIAN_SNN_CACHE", "builds")
    assert simulate(tiny(), np.ones((1, 1)), steps=4).charge["out"].item() == 1.0


@pytest.mark.slow
def test_a_build_in_a_cache_that_cannot_be_written_is_used(built, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(build_cache.os, "utime", refuse)
    assert get_build(LAYOUT) == Build(built, False)
    # Nobody can open a folder for writing, not even root, to whom nothing else is forbidden.
    lock = built.with_name(built.name + ".lock")
    lock.unlink(missing_ok=True)
    lock.mkdir()
    assert get_build(LAYOUT) == Build(built, False)
    (built / "main").unlink()
    with pytest.raises(OutputError, match="cannot build in"):
        get_build(LAYOUT)

"""Builds are made once, whole or not at all, and made again where something is wrong with them."""

import os
import subprocess
import sys

import numpy as np
import pytest

from brian_snn import simulate
from brian_snn.conversion.graph import INPUT, Geometry, Network, Population, Projection
from brian_snn.errors import CompilerError, OutputError
from brian_snn.simulation.build_cache import get_build
from brian_snn.simulation.settings import Settings
from brian_snn.simulation.topology import topology


def tiny(weight=0.25):
    """Return one neuron that integrates a pixel."""
    population = Population("out", "readout", (1,), np.zeros(1), 1)
    projection = Projection(INPUT, "out", Geometry("dense", (1,), (1,)), np.array([[weight]]))
    return Network((population,), (projection,), (1,), grid=2.0**-24)


LAYOUT = topology(tiny(), Settings())


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BRIAN_SNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_another_weight_is_the_same_topology_and_another_shape_is_not():
    assert topology(tiny(0.5), Settings()).digest() == LAYOUT.digest()
    spiking = topology(tiny(), Settings(readout="spikes")).digest()
    zero = topology(tiny(), Settings(readout="spikes", reset="zero")).digest()
    assert len({LAYOUT.digest(), spiking, zero}) == 3


@pytest.mark.slow
def test_a_build_is_made_once(cache):
    assert get_build(LAYOUT).is_new
    assert not get_build(LAYOUT).is_new


@pytest.mark.slow
def test_a_damaged_build_is_made_again(cache):
    folder = get_build(LAYOUT).folder
    (folder / "main").write_bytes(b"half")
    assert get_build(LAYOUT).is_new
    assert simulate(tiny(), np.ones((1, 1)), 4).charge["out"].item() == 1.0


@pytest.mark.slow
def test_what_a_killed_build_left_behind_does_no_harm(cache):
    folder = get_build(LAYOUT).folder
    partial = folder.rename(folder.with_name(folder.name + ".partial"))
    (partial / "main.cpp").write_text("half a fi")
    assert get_build(LAYOUT).is_new
    assert not partial.exists()


@pytest.mark.slow
def test_two_processes_build_the_same_topology_at_once(cache):
    script = "from tests.test_build_cache import LAYOUT, get_build\nprint(get_build(LAYOUT).is_new)\n"
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

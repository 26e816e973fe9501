"""What the system refuses is said to be that, and not the fault of a folder."""

import errno
import os
import subprocess
import tempfile
import threading

import pytest

from brian_snn import simulate
from brian_snn.backends import build_cache, compiler, standalone
from brian_snn.errors import LimitError, OutputError
from brian_snn.limits import starting
from brian_snn.settings import Settings
from brian_snn.simulation.topology import topology
from tests.small_network import small_images, small_network


def failing(error):
    def fail(*_, **__):
        raise error

    return fail


def refused(number):
    return OSError(number, os.strerror(number))


@pytest.fixture
def layout(tmp_path, monkeypatch):
    monkeypatch.setenv("BRIAN_SNN_CACHE", str(tmp_path))
    compiler.compiler_identity(compiler.find_compiler())
    return topology(small_network(), Settings(5), (), ())


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
@pytest.mark.parametrize("where", ["generator", "compiler"])
def test_a_process_that_cannot_be_started_is_not_the_fault_of_the_cache(layout, tmp_path, monkeypatch, number, where):
    if where == "compiler":
        monkeypatch.setattr(build_cache, "generate_sources", lambda layout, folder: None)
    monkeypatch.setattr(subprocess, "run", failing(refused(number)))
    with pytest.raises(LimitError, match=rf"{where} cannot be started \({os.strerror(number)}\); .*ulimit"):
        build_cache.get_build(layout)
    assert list(tmp_path.rglob("*.partial")) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "name", "error"),
    [
        (standalone.subprocess, "Popen", refused(errno.EAGAIN)),
        (threading.Thread, "start", RuntimeError("can't start new thread")),
    ],
    ids=["process", "thread"],
)
def test_a_simulation_that_cannot_be_started_is_not_the_fault_of_the_disk(monkeypatch, place, name, error):
    def run():
        return simulate(small_network(), small_images(2), steps=5, reset="zero")

    run()
    with monkeypatch.context() as patch:
        patch.setattr(place, name, failing(error))
        with pytest.raises(LimitError, match=r"cannot be started \(.*\); .*ulimit -u"):
            run()
    run()


def test_other_errors_are_what_they_were():
    for error in (FileNotFoundError(errno.ENOENT, "no"), refused(errno.ENOSPC), RuntimeError("another")):
        with pytest.raises(type(error)) as caught, starting("a thing"):
            raise error
        assert caught.value is error


@pytest.mark.slow
@pytest.mark.parametrize("who", ["Python", "the compiled program"])
def test_a_full_temporary_folder_is_named(monkeypatch, tmp_path, who):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if who == "Python":
        monkeypatch.setattr(standalone, "write_array", failing(refused(errno.ENOSPC)))
    else:
        monkeypatch.setattr(standalone, "require_room", failing(refused(errno.ENOSPC)))
        monkeypatch.setattr(standalone.CompiledProcess, "collect", lambda self, *_: self._fail())
    with pytest.raises(OutputError, match=rf"the temporary folder {tmp_path} is full \(No space left on device\)"):
        simulate(small_network(), small_images(2), steps=5, reset="zero")
    assert list(tmp_path.iterdir()) == []

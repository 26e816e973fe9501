"""What a callback of the user's raises comes back as it is, whatever the simulation was doing when it was called."""

import pytest

from brian_snn import Execution, Settings, simulate, stream
from brian_snn.backends import build_cache
from brian_snn.errors import OutputError
from tests.small_network import STEPS, small_images, small_network

ERRORS = [
    OSError(28, "No space left on device"),
    FileNotFoundError("nowhere"),
    BrokenPipeError("my pipe"),
    OutputError("of a simulation within"),
    TypeError("mine"),
]


def failing(error, after=1):
    """Return a callback that raises the error when it is called for the n-th time."""
    calls = []

    def call(*progress):
        calls.append(progress)
        if len(calls) == after:
            raise error

    return call


@pytest.mark.parametrize("backend", ["runtime", pytest.param("standalone", marks=pytest.mark.slow)])
@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_an_error_of_the_progress_is_no_error_of_the_simulation(tmp_path, backend, error):
    for output in (None, tmp_path / "run"):
        with pytest.raises(type(error)) as raised:
            simulate(
                small_network(), small_images(), steps=STEPS, backend=backend, progress=failing(error, 2), output=output
            )
        assert raised.value is error


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_nor_is_it_in_a_stream(error):
    execution = Execution(progress=failing(error), shard_size=1)
    with pytest.raises(type(error)) as raised:
        list(stream(small_network(), small_images(), Settings(STEPS, backend="runtime"), **vars(execution)))
    assert raised.value is error


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_an_error_of_the_build_progress_is_no_error_of_the_build(tmp_path, monkeypatch, error):
    monkeypatch.setenv("BRIAN_SNN_CACHE", str(tmp_path))
    monkeypatch.setattr(build_cache, "_build", lambda topology, partial, compiler, progress: progress(1, 9))
    with pytest.raises(type(error)) as raised:
        simulate(small_network(), small_images(), steps=STEPS, build_progress=failing(error))
    assert raised.value is error

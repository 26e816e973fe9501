"""Shards by executors of `concurrent.futures`: the numbers of the plain loop, and words for executors that fail."""

import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from brian_snn import simulate, stream
from brian_snn.errors import SettingError, SimulationError
from brian_snn.running import executors
from tests.small_network import STEPS, differences, loop_result, small_images, small_network

N_IMAGES = 5


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def images():
    return small_images(N_IMAGES)


def pools():
    """Return how to make executors of each kind; processes are spawned, as compiled programs run beside threads."""
    return {
        "threads": lambda: ThreadPoolExecutor(2),
        "processes": lambda: ProcessPoolExecutor(2, get_context("spawn")),
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", pools())
def test_an_executor_computes_what_the_loop_does(build_cache, network, images, kind, tmp_path):
    seen = []
    options = {"reset": "zero", "shard_size": 2, "progress": lambda done, total: seen.append(done)}
    with pools()[kind]() as executor:
        result = simulate(network, images, steps=STEPS, executor=executor, output=tmp_path / "run", **options)
        parts = list(stream(network, images, steps=STEPS, executor=executor, reset="zero", shard_size=2))
    expected = loop_result(network, images, reset="zero")
    assert differences(result, expected) == []
    assert seen == sorted(seen) and seen[-1] == N_IMAGES
    assert [part.first_image for part in parts] == [0, 2, 4]


@pytest.mark.slow
def test_a_worker_that_dies_with_its_pool_says_which_images(network, images, monkeypatch):
    monkeypatch.setattr(executors, "_run_shard", os.abort)
    with (
        ProcessPoolExecutor(1, get_context("spawn")) as executor,
        pytest.raises(SimulationError, match=r"images \d to \d failed on the executor|takes no work"),
    ):
        simulate(network, images, steps=STEPS, reset="zero", executor=executor, shard_size=2)


def test_an_executor_that_was_shut_down_is_an_error_that_says_so(network, images):
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(SimulationError, match="the executor takes no work .*shutdown.*; make another"):
        simulate(network, images, steps=STEPS, executor=executor)


def test_the_runtime_backend_takes_none(network, images):
    with ThreadPoolExecutor(1) as executor, pytest.raises(SettingError, match="needs backend='standalone'"):
        simulate(network, images, steps=STEPS, executor=executor, backend="runtime")

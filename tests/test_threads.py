"""Threads within an image change no bit: every kind of map, with more threads than cores, and however little work."""

import os
import resource
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from brian2 import ms

from brian_snn import simulate
from brian_snn.backends import run_files, standalone
from brian_snn.backends.build_cache import get_build
from brian_snn.errors import SimulationError
from brian_snn.network.maps import output_length
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.settings import Recording, Settings
from brian_snn.simulation.job import make_job, run_inputs
from tests.simulation_cases import tiny
from tests.small_network import FINAL, GRID, differences, to_grid

#: 504 neurons: seven blocks of 64, and some that are left over.
SOURCE, N_SOURCE = (9, 7, 8), 504
STEPS = 12
NONE, SAME = ((0, 0), (0, 0)), ((1, 1), (1, 1))


def window(kind, channels, size=(3, 3), strides=(1, 1), dilation=(1, 1), padding=NONE, groups=1):
    """Return a window that slides over the source."""
    axes = zip(SOURCE[:2], size, strides, dilation, padding, strict=True)
    shape = (*(output_length(*axis) for axis in axes), channels)
    return Geometry(kind, SOURCE, shape, size, strides, dilation, padding, groups)


#: Whatever the code of a map depends on: shared out by row or by channel, windows that overlap or not, joined or not.
MAPS = {
    "dense": Geometry("dense", (N_SOURCE,), (150,)),
    "narrow": Geometry("dense", (N_SOURCE,), (9,)),
    "conv": window("conv2d", 6, padding=SAME),
    "wide": window("conv2d", 72, padding=SAME),
    "pointwise": window("conv2d", 12, size=(1, 1)),
    "wide_pointwise": window("conv2d", 100, size=(1, 1)),
    "grouped": window("conv2d", 8, padding=SAME, groups=4),
    "wide_grouped": window("conv2d", 128, padding=SAME, groups=2),
    "strided": window("conv2d", 70, strides=(2, 2), padding=((2, 1), (0, 1))),
    "skipping": window("conv2d", 4, size=(2, 1), strides=(3, 2), padding=((4, 0), (1, 0))),
    "dilated": window("conv2d", 5, size=(3, 2), dilation=(2, 3), padding=((3, 2), (0, 2))),
    "depthwise": window("depthwise", 16, padding=SAME),
    "average": window("average_pool", 8, size=(2, 3), strides=(2, 2)),
    "all_average": window("average_pool", 8, size=(9, 7)),
    "max": window("max_pool", 8, size=(2, 2), strides=(2, 2)),
    "max_overlap": window("max_pool", 8, padding=SAME),
    "identity": Geometry("identity", SOURCE, SOURCE),
}
#: Some inputs of the first are constant zeros and the others come in any order; outputs of the second go anywhere.
FROM_ANYWHERE, TO_ANYWHERE = ("wide", "dilated", "max", "identity"), ("wide_pointwise", "depthwise", "max_overlap")
RECORDED = ("source", "target", "pool", "second")


def network_of(maps):
    """Return a network in which a source reaches one target, or a pool, by every map, and these two a third layer."""
    rng = np.random.default_rng(0)
    ends = {name: "pool" if geometry.kind == "max_pool" else "target" for name, geometry in maps.items()}
    sizes = {end: max(maps[name].n_out for name in maps if ends[name] == end) for end in ("target", "pool")}
    links = [Projection(INPUT, "source", Geometry("identity", SOURCE, SOURCE), np.ones(SOURCE))]
    for name, geometry in maps.items():
        end = ends[name]
        weights = None if end == "pool" else to_grid(rng.normal(0, 0.3 / np.sqrt(N_SOURCE), geometry.weights_shape))
        routed = {}
        if name in FROM_ANYWHERE:
            routed["source_index"] = np.where(rng.random(N_SOURCE) < 0.2, -1, rng.permutation(N_SOURCE))
        if name in TO_ANYWHERE:
            routed["target_index"] = rng.permutation(sizes[end])[: geometry.n_out]
        links.append(Projection("source", end, geometry, weights, **routed))
    for end, size in sizes.items():
        weights = to_grid(rng.normal(0, 0.1, (size, 90)))
        links.append(Projection(end, "second", Geometry("dense", (size,), (90,)), weights))
    links.append(Projection("second", "out", Geometry("dense", (90,), (3,)), to_grid(rng.normal(size=(90, 3)))))
    populations = (
        Population("source", "spiking", SOURCE, np.zeros(SOURCE), 1),
        Population("target", "spiking", (sizes["target"],), to_grid(rng.uniform(-0.1, 0.4, sizes["target"])), 2),
        Population("pool", "max_pool", (sizes["pool"],), np.zeros(sizes["pool"]), 1),
        Population("second", "spiking", (90,), np.zeros(90), 3),
        Population("out", "readout", (3,), np.zeros(3), 4),
    )
    return Network(populations, tuple(links), SOURCE, grid=GRID)


@pytest.fixture
def smallest_work(monkeypatch):
    """Let threads share out whatever can be cut."""
    monkeypatch.setattr(run_files, "LEAST_WORK", 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reset": "zero", "clamp": 2, "v_init": 0.25},
        {"max_pool": "gate", "delay": 2 * ms, "refractory": 1 * ms, "tau_m": 20 * ms},
        {"schedule": "brian2"},
    ],
    ids=["plain", "zero", "gate_delay_leak", "brian2"],
)
def test_no_number_of_threads_changes_a_bit(smallest_work, options):
    network, images = network_of(MAPS), np.random.default_rng(1).uniform(-0.2, 0.9, (2, *SOURCE))
    options = {"steps": STEPS, "record_spikes": RECORDED, "projection": "shared", **options}
    expected = simulate(network, images, backend="runtime", **options)
    for threads in (1, 2, 3, 5):
        result = simulate(network, images, threads=threads, **options)
        assert differences(result, expected, (*FINAL, "spike_trains")) == [], threads
    assert all(100 < expected.spike_counts[name].sum() for name in RECORDED)


@pytest.fixture
def job(build_cache):
    """Return a job of one neuron and its build."""
    job = make_job(tiny(), Settings(3), Recording())
    return job, get_build(job.layout)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 3])
def test_a_process_has_as_many_threads(job, tmp_path, threads):
    (process,) = standalone.start_processes(job[1], job[0], [tmp_path], threads)
    inputs = run_inputs(job[0], np.ones((1, 1)), 0)
    try:
        process.submit(inputs)
        process.collect(range(1), lambda: None)
        assert len(os.listdir(f"/proc/{process._process.pid}/task")) == threads
    finally:
        process.kill()
        process.close()


@pytest.mark.slow
@pytest.mark.parametrize("executor", [None, ThreadPoolExecutor(1)], ids=["here", "executor"])
def test_threads_that_the_system_refuses_are_an_error_that_says_so(job, executor):
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    # A thread's stack is as large as the limit says: larger than all addresses there are.
    resource.setrlimit(resource.RLIMIT_STACK, (2**47, hard))
    try:
        with pytest.raises(SimulationError, match=r"cannot start 2 threads \(.*\); ask for fewer"):
            simulate(tiny(), np.ones((1, 1)), steps=3, threads=2, executor=executor)
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))

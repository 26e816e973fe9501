"""Both backends and both projections against a plain loop over dense matrices: everything recorded is equal."""

import threading
import time

import numpy as np
import pytest
from brian2 import DimensionMismatchError, ms, mV
from threadpoolctl import threadpool_info, threadpool_limits

from brian_snn import simulate, stream
from brian_snn.backends import standalone
from brian_snn.errors import DataError, SettingError
from brian_snn.settings import Recording, Settings
from brian_snn.simulation import job
from tests.simulation_cases import HISTORY, RECORDED, RUNS
from tests.small_network import FINAL, STEPS, differences, loop_result, small_images, small_network


def blas_threads():
    """Return the numbers of threads of the BLAS libraries of this process."""
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_settings_and_their_fields_by_name_are_the_same_call():
    network, images = small_network(), small_images(2)
    settings = Settings(STEPS, "zero", backend="runtime", tau_m=20 * ms)
    whole = simulate(network, images, settings)
    by_name = simulate(network, images, steps=STEPS, reset="zero", backend="runtime", tau_m=20 * ms)
    mixed = simulate(network, images, Settings(3, "zero", backend="runtime"), steps=STEPS, tau_m=20 * ms)
    assert by_name.settings == mixed.settings == settings
    assert differences(by_name, whole) == differences(mixed, whole) == []


@pytest.mark.parametrize("call", [simulate, stream])
@pytest.mark.parametrize("kind", [TypeError, SettingError])
def test_an_option_that_there_is_not_names_what_it_may_have_been(call, kind):
    with pytest.raises(kind, match="there is no option 'step'; did you mean steps?"):
        call(small_network(), small_images(1), step=3)


def test_a_number_is_no_settings():
    with pytest.raises(SettingError, match="settings is 30; it must be a Settings.*steps=200"):
        simulate(small_network(), small_images(1), 30)


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def images():
    return small_images()


@pytest.mark.parametrize("projection", ["synapses", "shared"])
@pytest.mark.parametrize("run", RUNS)
def test_in_process_run_equals_the_loop(network, images, run, projection):
    result = simulate(network, images, steps=STEPS, backend="runtime", projection=projection, **RUNS[run], **RECORDED)
    expected = loop_result(network, images, **RUNS[run])
    assert differences(result, expected, (*FINAL, *HISTORY)) == []
    assert all(np.array_equal(counts, expected.early_counts[key]) for key, counts in result.early_counts.items())


@pytest.mark.slow
@pytest.mark.parametrize("projection", ["synapses", "shared"])
@pytest.mark.parametrize("run", ["plain", "clamped", "clamped_zero", "brian2_zero"])
def test_compiled_run_equals_the_loop(network, images, run, projection):
    result = simulate(network, images, steps=STEPS, projection=projection, workers=2, **RUNS[run], **RECORDED)
    expected = loop_result(network, images, **RUNS[run])
    assert differences(result, expected, (*FINAL, *HISTORY)) == []
    assert all(np.array_equal(counts, expected.early_counts[key]) for key, counts in result.early_counts.items())


def test_potential_traces_follow_eq_4(network, images):
    result = simulate(network, images, steps=STEPS, backend="runtime", v_init=0.25, record_potentials=("out", "mixed"))
    # A readout's potential is what it received, and every trace ends in V(T).
    assert np.array_equal(result.potential_traces["out"][:, -1] - 0.25, result.charge["out"])
    assert np.array_equal(result.potential_traces["mixed"][:, -1], result.potentials["mixed"])


def test_logits_over_time_end_in_the_logits(network, images):
    result = simulate(network, images, steps=STEPS, backend="runtime", checkpoints=(STEPS, 1), clamp=2)
    assert result.checkpoints.tolist() == [1, STEPS]
    assert np.array_equal(result.output_history[-1], result.logits)
    assert not result.output_history[0].any()


@pytest.mark.parametrize("images_per_worker", [1, 2, 3])
def test_progress_counts_every_image(network, images, images_per_worker):
    seen = []
    simulate(network, images[:images_per_worker], steps=3, backend="runtime", progress=lambda *step: seen.append(step))
    assert seen == [(k + 1, images_per_worker) for k in range(images_per_worker)]


@pytest.mark.slow
def test_compiled_processes_share_the_cores_with_one_blas_thread(network, images, monkeypatch):
    seen = []

    def run_inputs(*arguments):
        seen.append(blas_threads())
        return job.run_inputs(*arguments)

    monkeypatch.setattr(standalone, "run_inputs", run_inputs)
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        simulate(network, images, steps=3, reset="zero", workers=2, shard_size=1)
        assert blas_threads() == before
    assert seen == [{1}] * len(images)


@pytest.mark.slow
def test_streams_that_are_read_by_turns_leave_the_blas_threads_as_they_were(network, images):
    with threadpool_limits(limits=2, user_api="blas"):
        first, second = (stream(network, images, Settings(3, "zero"), shard_size=1) for _ in range(2))
        next(first), next(second)
        assert blas_threads() == {1}
        first.close()
        assert blas_threads() == {1}
        second.close()
        assert blas_threads() == {2}


@pytest.mark.slow
def test_no_process_takes_two_of_the_last_shards_while_another_has_none(network, images, monkeypatch):
    taken, all_taken = [], threading.Event()
    submit, collect = standalone.CompiledProcess.submit, standalone.CompiledProcess.collect

    def submit_and_note(process, inputs):
        submit(process, inputs)
        taken.append(process)
        if len(taken) == 2:
            all_taken.set()

    def collect_once_all_are_taken(process, shard, on_image):
        assert all_taken.wait(timeout=60)
        return collect(process, shard, on_image)

    class ThreadAheadOfTheNext(threading.Thread):
        def start(self):
            super().start()
            time.sleep(0.3)

    monkeypatch.setattr(standalone.threading, "Thread", ThreadAheadOfTheNext)
    monkeypatch.setattr(standalone.CompiledProcess, "submit", submit_and_note)
    monkeypatch.setattr(standalone.CompiledProcess, "collect", collect_once_all_are_taken)
    simulate(network, images[:2], steps=3, reset="zero", workers=2, shard_size=1)
    assert len(set(taken)) == 2


@pytest.mark.parametrize(
    ("n_images", "workers", "sizes"),
    [
        # Eight shards a worker, of eight images at least; and of 256 at most.
        *((64, 1, [8] * 8), (100, 2, [9] * 11 + [1]), (640, 1, [80] * 8), (640, 2, [40] * 16), (4096, 1, [256] * 16)),
        *((15, 1, [15]), (5, 2, [3, 2]), (2, 4, [1, 1])),
    ],
)
def test_every_worker_gets_as_many_shards(network, n_images, workers, sizes):
    of_all = job.make_job(network, Settings(3), Recording())
    shards = job.cut(of_all, n_images, workers)
    assert [len(shard) for shard in shards] == sizes
    assert [image for shard in shards for image in shard] == list(range(n_images))


@pytest.mark.parametrize(
    ("recording", "bytes_a_neuron_and_step"),
    [(Recording(record_potentials=("conv",)), 8), (Recording(record_spikes=("conv",)), 12)],
    ids=["potentials", "spikes"],
)
def test_shards_of_long_recordings_are_small(network, recording, bytes_a_neuron_and_step):
    """The three maps of 5 x 4 neurons fill the 64 MB of a shard with a few images."""
    a_step = 5 * 4 * 3 * bytes_a_neuron_and_step
    of_all = job.make_job(network, Settings(2**26 // (5 * a_step)), recording)
    # What is recorded besides leaves room for four.
    assert [len(shard) for shard in job.cut(of_all, 8, 1)] == [4, 4]


def test_no_input_and_no_bias_give_no_spikes(network):
    from dataclasses import replace

    silent = replace(network, populations=tuple(replace(p, bias=0 * p.bias) for p in network.populations))
    result = simulate(silent, np.zeros((1, 5, 4, 2)), steps=50, backend="runtime")
    assert not any(counts.any() for counts in result.spike_counts.values())
    assert not any(potentials.any() for potentials in result.potentials.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"steps": 2.5}, "steps is 2.5"),
        ({"reset": "half"}, "reset is 'half'; it must be one of subtraction, zero"),
        ({"threshold": 0.0}, "threshold is 0.0"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"threshold": 1e-12}, "at least the grid"),
        ({"v_init": float("inf")}, "v_init is inf"),
        ({"clamp": -1}, "clamp is -1"),
        ({"dt": 0 * ms}, "dt is 0.0 s"),
        ({"workers": 0}, "workers is 0"),
        ({"projection": "sparse"}, "projection is 'sparse'"),
        ({"backend": "cuda"}, "backend is 'cuda'"),
        ({"checkpoints": (500,)}, "checkpoint 500 lies outside the run"),
        ({"record_spikes": ("nowhere",)}, "cannot record 'nowhere'"),
        ({"record_spikes": ("out",)}, "readout that only integrates"),
        ({"record_counts": ("out",), "checkpoints": (1,)}, "readout that only integrates"),
        ({"record_counts": ("conv",)}, r"record_counts is \('conv',\); .* checkpoints, of which there are none"),
        ({"record_potentials": ("pool",)}, "'max_pool' has no membrane"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_settings_outside_their_range_are_refused(network, images, options, message):
    with pytest.raises(SettingError, match=message):
        simulate(network, images, **{"steps": 10, "backend": "runtime", **options})


def test_a_dt_that_is_no_time_is_refused(network, images):
    with pytest.raises(DimensionMismatchError):
        simulate(network, images, dt=1 * mV)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 5, 4)), r"images have shape \(2, 5, 4\); the model's input is \(5, 4, 2\)"),
        (np.zeros((0, 5, 4, 2)), "empty|no images"),
        (np.full((1, 5, 4, 2), np.nan), "NaN"),
    ],
    ids=["shape", "empty", "nan"],
)
def test_images_that_do_not_fit_are_refused(network, images, message):
    with pytest.raises(DataError, match=message):
        simulate(network, images, backend="runtime")


def test_a_charge_that_could_leave_the_exact_range_is_refused(network, images):
    with pytest.raises(SettingError, match=r"population '.*' could gather a charge of .* in 1000000000 steps"):
        simulate(network, images, steps=10**9, backend="runtime")

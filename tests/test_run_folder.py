"""Simulations that are written shard by shard: nothing is lost, nothing is done twice, the numbers stay the same."""

import itertools
import json
import os
import shutil
from dataclasses import replace

import filelock
import numpy as np
import pytest

from brian_snn import Execution, Settings, load_result, stream, verify
from brian_snn.backends import standalone
from brian_snn.errors import CompilerError, DataError, OutputError, SettingError, SimulationError
from brian_snn.results.arrays import ARRAYS_BY_NAME
from brian_snn.running import execute as execution
from tests.folder_runs import N_IMAGES, differences, loop_of, run
from tests.small_network import STEPS, small_images, small_network


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def images():
    return small_images(N_IMAGES)


@pytest.fixture(scope="module")
def expected(network, images):
    return loop_of(network, images)


class _Interruption:
    """A progress callback that interrupts after some images, once."""

    def __init__(self, after):
        self.after, self.seen = after, []

    def __call__(self, done, total):
        self.seen.append(done)
        if done == self.after:
            self.after = None
            raise KeyboardInterrupt


@pytest.mark.parametrize("shard_size", [1, 2, 5, 7])
def test_a_result_on_disk_equals_the_loop(network, images, expected, tmp_path, shard_size):
    result = run(network, images, output=tmp_path / "run", shard_size=shard_size)
    assert differences(result, expected) == []
    assert len(result.parts()) == -(-N_IMAGES // shard_size)


def test_a_result_on_disk_equals_the_one_in_memory_in_every_field(network, images, tmp_path):
    memory = run(network, images)
    disk = run(network, images, output=tmp_path / "run", shard_size=2)
    for field in ARRAYS_BY_NAME:
        assert set(memory.by_population(field)) == set(disk.by_population(field)), field
        for key, values in memory.by_population(field).items():
            assert np.array_equal(values, disk.by_population(field)[key]), (field, key)
    for field in ("output_history", "checkpoints", "images", "logits", "predictions", "synaptic_events"):
        assert np.array_equal(getattr(memory, field), getattr(disk, field)), field


def test_what_was_interrupted_goes_on_where_it_stopped(network, images, expected, tmp_path):
    interruption = _Interruption(after=4)
    with pytest.raises(KeyboardInterrupt):
        run(network, images, output=tmp_path / "run", shard_size=2, progress=interruption)
    with pytest.raises(DataError, match="holds 1 of 3 shards"):
        load_result(tmp_path / "run")
    interruption.seen.clear()
    result = run(network, images, output=tmp_path / "run", progress=interruption)
    # The first shard of two images is not simulated again, and the folder keeps the size of its shards.
    assert interruption.seen == [2, 3, 4, 5]
    assert len(result.parts()) == 3
    assert differences(result, expected) == []


def test_the_time_is_that_of_all_calls(network, images, tmp_path, monkeypatch):
    # Each look at the clock takes a second.
    clock = itertools.count()
    monkeypatch.setattr(execution.time, "perf_counter", lambda: float(next(clock)))
    with pytest.raises(KeyboardInterrupt):
        run(network, images, output=tmp_path / "run", shard_size=2, progress=_Interruption(after=3))
    interrupted = json.loads((tmp_path / "run" / "result.json").read_text())["timings_s"]
    assert interrupted["run"] >= 1
    with pytest.raises(DataError, match="holds 1 of 3 shards"):
        load_result(tmp_path / "run")
    whole = run(network, images, output=tmp_path / "run").timings_s
    assert whole == {name: 2 * seconds for name, seconds in interrupted.items()}
    assert run(network, images, output=tmp_path / "run").timings_s == whole


def test_the_program_may_go_elsewhere_while_it_simulates_and_reads(network, images, expected, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    result = run(network, images, output="run", shard_size=2, progress=lambda *_: os.chdir(tmp_path / "elsewhere"))
    assert differences(result, expected) == []
    os.chdir(tmp_path)
    loaded = load_result("run")
    os.chdir(tmp_path / "elsewhere")
    assert differences(loaded, expected) == []
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (tmp_path / "run" / ".lock").exists()


def test_a_shard_that_is_gone_from_a_finished_run_is_said_to_be_missing(network, images, tmp_path):
    result = run(network, images, output=tmp_path / "run", shard_size=2)
    (tmp_path / "run" / "shards" / "000000002.npz").unlink()
    with pytest.raises(DataError, match="holds 2 of 3 shards"):
        load_result(tmp_path / "run")
    with pytest.raises(DataError, match=r"000000002\.npz is missing"):
        result.spike_counts["conv"].sum()


def test_a_complete_run_is_not_simulated_again(network, images, tmp_path):
    run(network, images, output=tmp_path / "run", shard_size=2)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "shards").iterdir()}
    run(network, images, output=tmp_path / "run")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "shards").iterdir()} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": STEPS + 1}, f"steps = {STEPS}, not {STEPS + 1}"),
        ({"reset": "subtraction"}, "reset = 'zero', not 'subtraction'"),
        ({"record_counts": ()}, r"counts = \['conv'\], not \[\]"),
    ],
)
def test_another_simulation_is_refused(network, images, tmp_path, changes, message):
    run(network, images, output=tmp_path / "run")
    with pytest.raises(OutputError, match=message):
        run(network, images, output=tmp_path / "run", **changes)


def test_other_images_and_another_network_are_refused(network, images, tmp_path):
    run(network, images, output=tmp_path / "run")
    with pytest.raises(OutputError, match="other images"):
        run(network, images + 2.0**-20, output=tmp_path / "run")
    first = replace(network.projections[0], weights=network.projections[0].weights * 2)
    with pytest.raises(OutputError, match="another network"):
        run(replace(network, projections=(first, *network.projections[1:])), images, output=tmp_path / "run")


def test_without_resume_a_folder_in_use_is_refused(network, images, tmp_path):
    run(network, images, output=tmp_path / "run")
    with pytest.raises(OutputError, match="holds an earlier result"):
        run(network, images, output=tmp_path / "run", resume=False)


def test_a_failure_before_the_first_shard_leaves_nothing(network, images, tmp_path, monkeypatch):
    def fail(*_):
        raise CompilerError("no compiler")

    monkeypatch.setattr(execution, "get_build", fail)
    (tmp_path / "mine").mkdir()
    for output in (tmp_path / "run", tmp_path / "made" / "run", tmp_path / "mine"):
        with pytest.raises(CompilerError, match="no compiler"):
            run(network, images, output=output, backend="standalone")
    # The user's own folder is not the simulation's to remove.
    assert list(tmp_path.rglob("*")) == [tmp_path / "mine"]


def test_two_processes_do_not_write_the_same_folder(network, images, tmp_path):
    run(network, images, output=tmp_path / "run")
    with filelock.FileLock(tmp_path / "run" / ".lock"), pytest.raises(OutputError, match="written by another process"):
        run(network, images, output=tmp_path / "run")


def test_a_damaged_shard_is_an_error_that_names_it(network, images, tmp_path):
    run(network, images, output=tmp_path / "run", shard_size=2)
    path = tmp_path / "run" / "shards" / "000000002.npz"
    data = bytearray(path.read_bytes())
    data[400:4000] = bytes(3600)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"000000002\.npz is damaged"):
        verify(load_result(tmp_path / "run"))


def _copy_over(folder, source, target):
    shutil.copy(folder / "shards" / source, folder / "shards" / target)


WRONG_SHARDS = {
    "empty": lambda folder: os.truncate(folder / "shards" / "000000002.npz", 0),
    "cut short": lambda folder: os.truncate(folder / "shards" / "000000002.npz", 500),
    "of other images": lambda folder: _copy_over(folder, "000000000.npz", "000000002.npz"),
    "of fewer images": lambda folder: _copy_over(folder, "000000004.npz", "000000002.npz"),
    "of another run": lambda folder: _copy_over(folder.with_name("other"), "000000002.npz", "../../run/shards"),
}


@pytest.mark.parametrize("what", WRONG_SHARDS)
def test_a_shard_that_is_not_what_it_should_be_is_an_error_and_simulated_again(
    network, images, expected, tmp_path, what, caplog
):
    run(network, images, output=tmp_path / "other", shard_size=2, steps=STEPS - 1, checkpoints=(), record_counts=())
    run(network, images, output=tmp_path / "run", shard_size=2)
    WRONG_SHARDS[what](tmp_path / "run")
    with pytest.raises(DataError, match=r"000000002\.npz is damaged"):
        load_result(tmp_path / "run")
    seen = []
    result = run(network, images, output=tmp_path / "run", progress=lambda done, total: seen.append(done))
    assert seen == [3, 4, 5]
    assert "000000002.npz" in caplog.text
    assert differences(result, expected) == []


@pytest.mark.parametrize("name", ["images.npy", "network.npz"])
@pytest.mark.parametrize("use", [load_result, None], ids=["load", "go on"])
def test_other_images_or_another_network_in_the_folder_are_an_error(network, images, tmp_path, name, use):
    first = replace(network.projections[0], weights=network.projections[0].weights * 2)
    other = replace(network, projections=(first, *network.projections[1:]))
    run(network, images, output=tmp_path / "run", shard_size=2)
    run(other, images[::-1], output=tmp_path / "other", steps=2, checkpoints=(), record_counts=())
    shutil.copy(tmp_path / "other" / name, tmp_path / "run" / name)
    with pytest.raises(DataError, match=f"run/{name} is damaged .its SHA-256"):
        use(tmp_path / "run") if use else run(network, images, output=tmp_path / "run")


def test_a_run_does_not_go_on_in_a_result_that_was_saved_whole(network, images, tmp_path):
    run(network, images).save(tmp_path / "run")
    with pytest.raises(OutputError, match="holds an earlier result"):
        run(network, images, output=tmp_path / "run")


@pytest.mark.parametrize("changes", [{"shard_size": None}, {"shard_size": 0}, {"recording": []}, {"timings_s": [1]}])
def test_a_damaged_description_is_an_error_that_names_it_on_going_on(network, images, tmp_path, changes):
    run(network, images, output=tmp_path / "run")
    path = tmp_path / "run" / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(DataError, match=r"result\.json is damaged"):
        run(network, images, output=tmp_path / "run")


def test_arrays_that_stay_on_disk_cannot_be_changed_by_mistake(network, images, tmp_path):
    result = run(network, images, output=tmp_path / "run", shard_size=2)
    with pytest.raises(ValueError, match="read-only"):
        result.spike_counts["conv"][0] += 1


def test_verification_reads_shard_by_shard_and_says_the_same(network, images, tmp_path):
    memory = verify(run(network, images))
    disk = verify(run(network, images, output=tmp_path / "run", shard_size=2))
    assert memory.equals(disk)
    assert bool(disk["holds"].all())


def test_an_error_in_one_shard_fails_the_verification(network, images, tmp_path):
    result = run(network, images, output=tmp_path / "run", shard_size=2)
    wrong = replace(result.parts()[2], potentials={n: v + 2.0**-24 for n, v in result.potentials.items()})
    wrong = replace(wrong, potentials={n: v[4:] for n, v in wrong.potentials.items()})
    report = verify(replace(result, pieces=(*result.parts()[:2], wrong)))
    assert set(report.loc[~report["holds"], "equation"]) == {"charge", "S9", "spikes"}


def test_a_memory_map_is_simulated_as_its_array(network, images, expected, tmp_path):
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert differences(run(network, mapped, output=tmp_path / "run"), expected) == []


def test_a_stream_yields_the_images_in_order(network, images, expected):
    settings = Settings(STEPS, "zero", 0.75, clamp=3, backend="runtime")
    parts = list(stream(network, images, settings, record_spikes=("conv",), shard_size=2))
    assert [len(part.images) for part in parts] == [2, 2, 1]
    counts = np.concatenate([part.spike_counts["mixed"] for part in parts])
    assert np.array_equal(counts, expected["spike_counts"]["mixed"])


def test_a_stream_says_what_is_wrong_when_it_is_asked_for(network, images):
    with pytest.raises(DataError, match="empty set"):
        stream(network, images[:0])


@pytest.mark.parametrize("numbers", [{"workers": 0}, {"shard_size": 0}, {"shard_size": 1.5}])
def test_an_execution_outside_its_range_is_refused(numbers):
    with pytest.raises(SettingError, match=next(iter(numbers))):
        Execution(**numbers)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "shard_size"), [(1, 2), (2, 1), (3, None)])
def test_workers_and_shards_change_nothing(network, images, expected, tmp_path, workers, shard_size):
    options = {"backend": "standalone", "workers": workers, "shard_size": shard_size}
    assert differences(run(network, images, **options), expected) == []
    assert differences(run(network, images, output=tmp_path / "run", **options), expected) == []


@pytest.mark.slow
def test_a_killed_process_costs_no_finished_shard(network, images, expected, tmp_path, monkeypatch):
    start, processes = standalone._start, []
    monkeypatch.setattr(standalone, "_start", lambda *args: processes.append(start(*args)) or processes[-1])

    def kill(done, total):
        if done == 3:
            processes[0].kill()

    options = {"backend": "standalone", "shard_size": 1, "output": tmp_path / "run"}
    with pytest.raises(SimulationError, match="exit code -9"):
        run(network, images, progress=kill, **options)
    kept = len(list((tmp_path / "run" / "shards").iterdir()))
    # The image that was reported last may belong to a shard that was not read yet.
    assert 1 <= kept < N_IMAGES
    seen = []
    result = run(network, images, progress=lambda done, total: seen.append(done), **options)
    assert seen[0] == kept
    assert differences(result, expected) == []

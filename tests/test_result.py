"""What a result says of itself, and its way to disk and back."""

import json
import math
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace

import numpy as np
import pytest
from brian2 import Hz, ms, second

from brian_snn import Network, Result, Settings, load_result, simulate
from brian_snn.errors import DataError, OutputError
from brian_snn.network.records import INPUT
from brian_snn.results import folder as run_folder
from brian_snn.results import load
from brian_snn.results import store as storage
from tests.small_network import differences, loop_result, projection_matrix, small_images, small_network


@pytest.fixture(scope="module")
def result():
    return loop_result(small_network(), small_images(), clamp=3, reset="zero", threshold=0.75)


def test_rates_are_counts_over_the_unclamped_window(result):
    assert np.array_equal(result.rates("mixed") / Hz, result.spike_counts["mixed"] / (24 * 1e-3))


def test_synaptic_events_are_the_nonzero_entries_that_spikes_meet(result):
    expected = np.zeros(3)
    network = result.network
    for p in network.projections:
        if p.source != INPUT:
            # A weight of one on every synapse leaves only the connectivity.
            ones = None if p.weights is None else np.ones_like(p.weights)
            matrix = projection_matrix(p, ones, network[p.source].size, network[p.target].size)
            expected += result.spike_counts[p.source].reshape(3, -1) @ (matrix != 0).sum(axis=1)
    assert np.array_equal(result.synaptic_events, expected)


def test_logits_of_a_readout_are_its_mean_charge_per_step(result):
    assert np.array_equal(result.logits, result.charge["out"] / (0.75 * (30 - 9)))


def test_a_tie_between_spiking_outputs_goes_to_the_higher_potential():

    result = loop_result(small_network(), small_images(1), readout="spikes", threshold=0.5)
    counts, potentials = np.array([[3, 5, 5, 5]], np.int32), np.array([[0.9, 0.1, 0.4, 0.2]])
    tied = replace(result, spike_counts={**result.spike_counts, "out": counts}, potentials={"out": potentials})
    assert tied.predictions.tolist() == [2]


def test_a_saved_result_comes_back_whole(result, tmp_path):
    result.save(tmp_path / "run")
    loaded = load_result(tmp_path / "run")
    for field in fields(result):
        before, after = getattr(result, field.name), getattr(loaded, field.name)
        if field.name in ("pieces", "booked"):
            continue
        if isinstance(before, Mapping) and field.name != "timings_s":
            assert before.keys() == after.keys(), field.name
            assert all(np.array_equal(before[key], after[key]) for key in before), field.name
        elif isinstance(before, np.ndarray):
            assert np.array_equal(before, after), field.name
        elif field.name != "network":
            assert before == after, field.name
    assert loaded.booked["surplus"].keys() == {p.name for p in result.network.populations if p.kind == "spiking"}
    assert differences(loaded, result, tuple(result.booked)) == []
    assert loaded.network["mixed"].bias.tolist() == result.network["mixed"].bias.tolist()


@pytest.mark.parametrize("tau_m", [math.inf * second, 50 * ms])
def test_the_description_is_json_of_any_reader(result, tmp_path, tau_m):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    leaky = simulate(small_network(), small_images(), steps=3, backend="runtime", tau_m=tau_m)
    leaky.save(tmp_path / "run")
    json.loads((tmp_path / "run" / "result.json").read_text(), parse_constant=refuse)
    assert load_result(tmp_path / "run").settings == leaky.settings


def test_a_folder_in_use_is_not_overwritten(result, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="is not an empty folder"):
        result.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt"]


@pytest.mark.parametrize("in_use", [True, False])
def test_a_folder_beside_is_not_touched_whatever_its_name(result, tmp_path, in_use):
    (tmp_path / "run.partial").mkdir()
    (tmp_path / "run.partial" / "notes.txt").write_text("mine")
    if in_use:
        (tmp_path / "run").write_text("in use")
        with pytest.raises(OutputError, match="run: is a file; name another folder"):
            result.save(tmp_path / "run")
    else:
        result.save(tmp_path / "run")
    assert (tmp_path / "run.partial" / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run.partial"]


@pytest.mark.parametrize("name", [".", ""])
def test_the_folder_may_be_the_current_one(result, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    result.save(name)
    assert np.array_equal(load_result(tmp_path).predictions, result.predictions)
    with pytest.raises(OutputError, match="is not an empty folder"):
        result.save(name)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("existed", [True, False])
def test_a_save_that_fails_leaves_all_as_it_was(result, tmp_path, monkeypatch, error, existed):
    def fail(*_):
        raise error

    if existed:
        (tmp_path / "run").mkdir()
    monkeypatch.setattr(run_folder, "write_description", fail)
    with pytest.raises((KeyboardInterrupt, OutputError)):
        result.save(tmp_path / "run")
    assert list(tmp_path.rglob("*")) == ([tmp_path / "run"] if existed else [])


def test_a_place_that_cannot_be_written_is_an_error_with_its_name(result, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/run"):
        result.save(tmp_path / "file" / "run")


def _truncate(path):
    path.write_bytes(path.read_bytes()[:200])


def _rewrite(**changes):
    """Return what changes entries of a description; None removes one."""

    def rewrite(path):
        entries = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({name: value for name, value in entries.items() if value is not None}))

    return rewrite


def _replace_member(name, content):
    """Return what replaces a member of a shard, or adds it."""

    def replace_member(path):
        with zipfile.ZipFile(path) as archive:
            members = {member: archive.read(member) for member in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for member, data in (members | {name: content}).items():
                archive.writestr(member, data)

    return replace_member


def _npy(header):
    """Return an array file with a header that was written by hand."""
    text = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("shards/000000000.npz", _truncate, "is damaged"),
        ("shards/000000000.npz", lambda path: path.unlink(), "000000000.npz is missing"),
        ("shards/000000000.npz", _replace_member("checkpoints.npy", b""), "000000000.npz is damaged"),
        ("shards/000000000.npz", _replace_member("checkpoints.npy", _npy("(1,")), "000000000.npz is damaged"),
        (
            "shards/000000000.npz",
            _replace_member("checkpoints.npy", _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (10**14,)}")),
            "000000000.npz is damaged",
        ),
        ("shards/000000000.npz", _replace_member("spike_counts:99.npy", b""), "000000000.npz is damaged"),
        ("shards/000000000.npz", _replace_member("spike_counts:x.npy", b""), "000000000.npz is damaged"),
        ("shards/000000000.npz", _replace_member("spike_counts.npy", b""), "000000000.npz is damaged"),
        ("images.npy", _truncate, "images.npy is damaged"),
        ("images.npy", lambda path: path.write_bytes(_npy("(1,")), "images.npy is damaged"),
        ("images.npy", lambda path: path.unlink(), "images.npy is missing"),
        ("result.json", lambda path: path.write_text("{"), "result.json is damaged"),
        ("result.json", lambda path: path.write_text("[]"), "result.json is damaged"),
        ("result.json", lambda path: path.write_bytes(b"\xff"), "result.json is damaged"),
        ("result.json", _rewrite(format=None), "result.json is damaged"),
        ("result.json", _rewrite(shard_size=None), "result.json is damaged .shard_size is None"),
        ("result.json", _rewrite(shard_size=0), "result.json is damaged .shard_size is 0"),
        ("result.json", _rewrite(shard_size="a"), "result.json is damaged .shard_size is 'a'"),
        ("result.json", _rewrite(recording=[]), r"result.json is damaged .recording is \[\]"),
        ("result.json", _rewrite(settings=[1]), r"result.json is damaged .settings is \[1\]"),
        ("result.json", _rewrite(settings={"stepps": 3}), "result.json is damaged .*stepps"),
        ("result.json", _rewrite(settings={"steps": -3}), "result.json is damaged .steps is -3"),
        ("result.json", _rewrite(timings_s=[1]), r"result.json is damaged .timings_s is \[1\]"),
        ("result.json", _rewrite(timings_s={"run": "x"}), "result.json is damaged"),
        ("result.json", lambda path: path.unlink(), "is not a result folder"),
        ("result.json", _rewrite(settings={"steps": [3]}), "result.json is damaged .steps is"),
        ("result.json", _rewrite(settings={"reset": ["zero"]}), "result.json is damaged .reset is"),
        ("result.json", _rewrite(settings={"dt_s": "x"}), "result.json is damaged .dt"),
        ("result.json", _rewrite(format="3"), "result.json is damaged"),
        ("result.json", _rewrite(format=99), "was written by a newer brian_snn: .* result format 99, .*; upgrade"),
        ("result.json", _rewrite(format=2), "has result format 2; this version reads 3"),
        ("network.npz", _truncate, "network.npz"),
    ],
)
def test_a_damaged_folder_is_an_error_with_its_name(result, tmp_path, name, damage, message):
    result.save(tmp_path / "run")
    damage(tmp_path / "run" / name)
    with pytest.raises(DataError, match=message):
        load_result(tmp_path / "run")


@pytest.mark.parametrize("name", ["shards/000000000.npz", "network.npz", "images.npy", "result.json"])
def test_whatever_is_damaged_is_an_error_of_ours(result, tmp_path, rng, name):
    result.save(tmp_path / "run")
    path = tmp_path / "run" / name
    whole = path.read_bytes()
    for _ in range(40):
        data, start = bytearray(whole), rng.integers(len(whole))
        data[start : start + 16] = rng.bytes(16)
        path.write_bytes(data)
        # What is stored beside the numbers may be damaged without harm.
        with suppress(DataError):
            loaded = load_result(tmp_path / "run")
            assert all(np.array_equal(loaded.charge[key], result.charge[key]) for key in result.charge)


OURS = [TypeError("ours"), AttributeError("ours"), KeyError("ours"), IndexError("ours"), RuntimeError("ours")]


@pytest.mark.parametrize("error", OURS, ids=repr)
@pytest.mark.parametrize(
    "place",
    ["Settings.__post_init__", "store.images_digest", "load.shard_files", "Network.__post_init__", "Result.__init__"],
)
def test_a_mistake_of_ours_is_no_damage(result, tmp_path, monkeypatch, place, error):
    def fail(*_, **__):
        raise error

    result.save(tmp_path / "run")
    owners = {"Settings": Settings, "Network": Network, "Result": Result, "store": storage, "load": load}
    owner, _, name = place.rpartition(".")
    monkeypatch.setattr(owners[owner], name, fail)
    with pytest.raises(type(error)) as raised:
        load_result(tmp_path / "run")
    assert raised.value is error

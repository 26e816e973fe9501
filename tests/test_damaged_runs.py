"""What of a run folder is not what it must be is an error that names it, for whoever reads or goes on with it."""

import io
import itertools
import json
import shutil
import zipfile

import numpy as np
import pytest
from brian2 import ms

from brian_snn import load_result
from brian_snn.errors import DataError
from tests import folder_runs
from tests.folder_runs import N_IMAGES
from tests.small_network import small_images, small_network

SHARD = "shards/000000000.npz"


def run(network, images, **options):
    """Simulate with a leak, a refractory period and a clamp, so that there is an array of every kind."""
    return folder_runs.run(network, images, **options | {"tau_m": 20 * ms, "refractory": 1 * ms})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    for name, size in (("one", N_IMAGES), ("several", 2)):
        run(small_network(), small_images(N_IMAGES), output=folder / name, shard_size=size)
    return folder


def change(path, name, edit):
    """Put another array, or none, in the place of one in a shard."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    array = edit(np.load(io.BytesIO(members.pop(f"{name}.npy"))))
    if array is not None:
        stream = io.BytesIO()
        np.save(stream, array)
        members[f"{name}.npy"] = stream.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)


ARRAYS = (
    "spike_counts:0",
    "early_counts",
    "potentials:0",
    "charge:0",
    "leaked:0",
    "missed:0",
    "count_history:0",
    "total_counts:0",
    "spike_trains:0",
    "potential_traces",
    "output_history",
    "checkpoints",
)
EDITS = {
    "of another length": lambda a: a[:-1] if len(a) > 1 else np.concatenate([a, a]),
    "with an axis more": lambda a: a[None],
    "of one number": lambda a: a.ravel()[0],
    "of texts": lambda a: np.full(a.shape, "x"),
    "of complex numbers": lambda a: a.astype(complex),
    "of times": lambda a: a.astype("m8[s]"),
    "of truth values": lambda a: a.astype(bool),
}


# A train may have any length.
@pytest.mark.parametrize(
    ("prefix", "edit"),
    [case for case in itertools.product(ARRAYS, EDITS) if case != ("spike_trains:0", next(iter(EDITS)))],
)
@pytest.mark.parametrize("folder", ["one", "several"])
def test_an_array_of_another_kind_is_an_error_that_names_it(whole, tmp_path, folder, prefix, edit):
    path = shutil.copytree(whole / folder, tmp_path / "run") / SHARD
    with zipfile.ZipFile(path) as archive:
        name = next(m.removesuffix(".npy") for m in archive.namelist() if m.startswith(prefix))
    change(path, name, EDITS[edit])
    # The number of checkpoints is that of their list.
    named = f"{name}|output_history" if prefix == "checkpoints" else name
    with pytest.raises(DataError, match=rf"000000000\.npz is damaged \(({named}): "):
        read_all(load_result(tmp_path / "run"))


def read_all(result):
    """Read every array of a result."""
    for part in result.parts():
        for field in ("spike_counts", "potentials", "charge", "surplus", "leaked", "missed", "early_counts"):
            dict(part.by_population(field))
        for field in ("count_history", "total_counts", "spike_trains", "potential_traces"):
            dict(getattr(part, field))


@pytest.mark.parametrize("value", [-1, 31, 2**31 - 1])
@pytest.mark.parametrize("name", ["spike_counts:0", "count_history:0", "spike_trains:0", "checkpoints"])
def test_a_number_outside_its_range_is_an_error(whole, tmp_path, name, value):
    path = shutil.copytree(whole / "several", tmp_path / "run") / SHARD

    def edit(array):
        array[..., -1] = value if name != "spike_trains:0" or value < 0 else 2**20
        return array

    change(path, name, edit)
    with pytest.raises(DataError, match=rf"{name}: numbers from"):
        read_all(load_result(tmp_path / "run"))


@pytest.mark.parametrize("name", ["spike_counts:1", "early_counts", "checkpoints", "leaked:0", "missed:0"])
@pytest.mark.parametrize("folder", ["one", "several"])
def test_an_array_that_is_missing_is_an_error(whole, tmp_path, folder, name):
    path = shutil.copytree(whole / folder, tmp_path / "run") / SHARD
    with zipfile.ZipFile(path) as archive:
        found = next(m.removesuffix(".npy") for m in archive.namelist() if m.startswith(name))
    change(path, found, lambda array: None)
    with pytest.raises(DataError, match=r"000000000\.npz is damaged"):
        load_result(tmp_path / "run")


DESCRIPTIONS = [
    {"versions": []},
    {"versions": {"brian2": {"major": 2}}},
    {"versions": None},
    {"timings_s": {"run": "long"}},
    {"timings_s": {"run": float("nan")}},
    {"timings_s": {"run": [1]}},
    {"timings_s": {"run": True}},
    {"shard_size": True},
    {"first_image": -1},
    {"first_image": False},
]


@pytest.mark.parametrize("changes", DESCRIPTIONS, ids=map(str, DESCRIPTIONS))
def test_a_description_that_says_something_else_is_an_error_for_all(whole, tmp_path, changes):
    path = shutil.copytree(whole / "several", tmp_path / "run") / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    for use in (load_result, lambda folder: run(small_network(), small_images(N_IMAGES), output=folder)):
        with pytest.raises(DataError, match=rf"result\.json is damaged \({next(iter(changes))}"):
            use(tmp_path / "run")


def test_a_run_that_was_killed_before_it_noted_its_time_is_finished(whole, tmp_path):
    path = shutil.copytree(whole / "several", tmp_path / "run") / "result.json"
    description = json.loads(path.read_text())
    del description["timings_s"]
    path.write_text(json.dumps(description))
    result = run(small_network(), small_images(N_IMAGES), output=tmp_path / "run")
    assert set(result.timings_s) == {"prepare", "run"}

"""Formats of recorded runs, and files that are none."""

import zipfile

import h5py
import numpy as np
import pandas as pd
import pytest
from brian2 import ms

import brian_snn
from brian_snn.errors import DataError, SettingError
from brian_snn.referee.runs import read_run
from tests.campaign.limits import Limits, run_limited
from tests.planted import STEPS, planted_images, planted_network, record
from tests.test_hostile_data import npy_header

NETWORK, IMAGES = planted_network(), planted_images()
RUN = record(NETWORK, IMAGES, ("> instead of >=",))


def rows_of(spikes):
    """Return image, step from 1, neuron, count of spikes (n_images, steps, *shape)."""
    flat = spikes.reshape(*spikes.shape[:2], -1)
    places = np.argwhere(flat)
    return np.column_stack([places + np.array([0, 1, 0]), flat[tuple(places.T)]])


def channels_first(spikes):
    """Return (n_images, steps, channels, rows, columns)."""
    return np.moveaxis(spikes, -1, 2) if spikes.ndim == 5 else spikes


def write_npz(path, kind="spikes", layout="hwc"):
    """Write the run as arrays or events."""
    arrays = {}
    for name, spikes in RUN.items():
        ordered = channels_first(spikes) if layout == "chw" else spikes
        arrays[f"{kind}/{name}"] = ordered if kind == "spikes" else rows_of(ordered)[:, :3]
    np.savez_compressed(path, **arrays)


def write_csv(path):
    """Write the run as a table, in no order."""
    tables = [
        pd.DataFrame(rows_of(s), columns=["image", "step", "neuron", "count"]).assign(population=name)
        for name, s in RUN.items()
    ]
    pd.concat(tables).sample(frac=1, random_state=0).to_csv(path, index=False)


def write_nirdata(path, dt=1e-3, shift=0.0, gridded=False):
    """Write the run as `nir.write_data` of nir 1.0.8 does."""
    with h5py.File(path, "w") as file:
        file.attrs["__type__"] = "NIRGraphData"
        nodes = file.create_group("nodes")
        for name, spikes in RUN.items():
            node = nodes.create_group(name)
            node.attrs["__type__"] = "NIRNodeData"
            group = node.create_group("observables").create_group("spikes")
            flat = spikes.reshape(*spikes.shape[:2], -1)
            if gridded:
                group.attrs["__type__"], group.attrs["dt"] = "TimeGriddedData", dt
                group.create_dataset("data", data=flat.astype(bool), compression="gzip")
                continue
            group.attrs["__type__"], group.attrs["n_neurons"] = "EventData", flat.shape[2]
            group.attrs["t_max"] = STEPS * dt
            most = int(flat.sum(axis=(1, 2)).max())
            index, time = np.full((len(flat), most), -1), np.full((len(flat), most), np.inf)
            for image, frames in enumerate(flat):
                steps, neurons = np.nonzero(frames)
                index[image, : len(steps)], time[image, : len(steps)] = neurons, (steps + shift) * dt
            group.create_dataset("idx", data=index, compression="gzip")
            group.create_dataset("time", data=time, compression="gzip")


FORMATS = {
    "spikes.npz": (write_npz, {}),
    "events.npz": (lambda path: write_npz(path, "events"), {"steps": STEPS}),
    "chw.npz": (lambda path: write_npz(path, "spikes", "chw"), {"layout": "chw"}),
    "events_chw.npz": (lambda path: write_npz(path, "events", "chw"), {"layout": "chw", "steps": STEPS}),
    "run.csv": (write_csv, {"steps": STEPS}),
    "times.h5": (write_nirdata, {"dt": 1e-3}),
    "times_by_steps.h5": (write_nirdata, {"steps": STEPS}),
    "frames.hdf5": (lambda path: write_nirdata(path, gridded=True), {}),
}


@pytest.mark.parametrize("name", FORMATS)
def test_all_formats_say_the_same(tmp_path, name):
    write, options = FORMATS[name]
    write(tmp_path / name)
    found = brian_snn.check(NETWORK, tmp_path / name, IMAGES, **options)
    pd.testing.assert_frame_equal(found.table, brian_snn.check(NETWORK, RUN, IMAGES).table)
    assert found.rule == "> instead of >="


@pytest.mark.parametrize("recorded", [("conv", "pool", "average", "hidden", "out"), ()], ids=["trains", "counts"])
def test_our_own_run_is_the_same(tmp_path, recorded):
    options = {"steps": STEPS, "backend": "runtime", "record_spikes": recorded}
    brian_snn.simulate(NETWORK, IMAGES, output=tmp_path / "run", **options)
    found = brian_snn.check(NETWORK, tmp_path / "run", IMAGES)
    assert (found.same, found.rule, len(found.table)) == (True, "Eq. (4b)", 5)


OURS = {
    "Brian2's own order": {"schedule": "brian2", "reset": "zero"},
    "reset by subtraction": {},
    "clamp of 2 steps a layer": {"clamp": 2, "reset": "zero"},
    "lag of a step a layer": {"delay": 1 * ms, "reset": "zero"},
    "leak, beta = 0.95": {"tau_m": 20 * ms, "reset": "zero"},
}


@pytest.mark.parametrize("rule", OURS)
def test_our_own_run_in_another_way_is_named(tmp_path, rule):
    options = {"steps": STEPS, "backend": "runtime", "record_spikes": tuple(RUN)}
    brian_snn.simulate(NETWORK, IMAGES, output=tmp_path / "run", **options, **OURS[rule])
    found = brian_snn.check(NETWORK, tmp_path / "run", IMAGES, reset="zero")
    # exp(-1 / 20) is 0.9512.
    assert found.rule is not None and found.rule.startswith(rule)


def test_a_run_with_another_threshold_is_refused(tmp_path):
    brian_snn.simulate(NETWORK, IMAGES, output=tmp_path / "run", steps=3, backend="runtime", threshold=2)
    with pytest.raises(DataError, match="another threshold than 1"):
        brian_snn.check(NETWORK, tmp_path / "run", IMAGES)


def test_arrays_in_fortran_order_are_read(tmp_path):
    np.savez(tmp_path / "run.npz", **{f"spikes/{name}": np.asfortranarray(spikes) for name, spikes in RUN.items()})
    assert brian_snn.check(NETWORK, tmp_path / "run.npz", IMAGES).rule == "> instead of >="


def test_names_are_mapped_and_left_out(tmp_path):
    named = {f"module.{name}": spikes for name, spikes in RUN.items()} | {"input": IMAGES}
    names = {f"module.{name}": name for name in RUN} | {"input": ""}
    named["input"] = np.zeros((3, STEPS, 5))
    assert brian_snn.check(NETWORK, named, IMAGES, names=names).rule == "> instead of >="
    with pytest.raises(DataError, match="'module.conv', which is no population of the network; there are average"):
        brian_snn.check(NETWORK, named, IMAGES)


REFUSED = {
    "of another size": ({"spikes/out": np.zeros((3, STEPS, 4))}, r"shape \(4,\); \(5,\) was expected"),
    "channels first": ({"spikes/conv": np.zeros((3, STEPS, 3, 4, 4))}, "is its layout chw"),
    "of another length": ({"spikes/out": np.zeros((3, STEPS, 5)), "spikes/hidden": np.zeros((3, 9, 10))}, "alike"),
    "of too many images": ({"spikes/out": np.zeros((4, STEPS, 5))}, "4 images; there are 3"),
    "negative": ({"spikes/out": np.full((3, STEPS, 5), -1)}, "negative numbers of spikes"),
    "no whole numbers": ({"spikes/out": np.full((3, STEPS, 5), 0.5)}, "no whole spikes"),
    "not finite": ({"spikes/out": np.full((3, STEPS, 5), np.nan)}, "no whole spikes"),
    "text": ({"spikes/out": np.full((3, STEPS, 5), "x")}, "numbers were expected"),
    "flat": ({"spikes/out": np.zeros(5)}, r"\(n_images, steps, \*shape\) was expected"),
    "unknown": ({"voltage/out": np.zeros((3, STEPS, 5))}, "spikes/NAME"),
    "a neuron too far": ({"events/out": np.array([[0, 1, 5]])}, "neuron 5; 0 to 4"),
    "step 0": ({"events/out": np.array([[0, 0, 1]])}, "steps count from 1"),
    "a step too far": ({"events/out": np.array([[0, STEPS + 1, 1]])}, "steps 1 to 24"),
    "an image too far": ({"events/out": np.array([[3, 1, 1]])}, "images 0 to 2"),
    "events that are no rows": ({"events/out": np.zeros((4, 2), int)}, r"\(n, 3\) were expected"),
    "a name that moves the cursor": ({"spikes/\x1b[2J": np.zeros((3, STEPS, 5))}, r"\\x1b\[2J"),
    "empty": ({}, "no spikes of any population"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_run_that_does_not_fit_is_refused(tmp_path, what):
    arrays, message = REFUSED[what]
    np.savez(tmp_path / "run.npz", **arrays)
    with pytest.raises(DataError, match=message):
        brian_snn.check(NETWORK, tmp_path / "run.npz", IMAGES, steps=STEPS)


def test_pickles_are_not_opened(tmp_path):
    np.savez(tmp_path / "run.npz", **{"events/out": np.array([print], dtype=object)})
    with pytest.raises(DataError, match="cannot be read"):
        read_run(tmp_path / "run.npz", NETWORK)


def test_a_run_without_a_length_asks_for_it(tmp_path):
    np.savez(tmp_path / "run.npz", **{"events/out": np.array([[0, 1, 1]])})
    with pytest.raises(SettingError, match="--steps"):
        brian_snn.check(NETWORK, tmp_path / "run.npz", IMAGES)


TABLES = {
    # Counts of one place add up, and no sum may wrap around.
    "too many": (
        "image,step,population,neuron,count\n" + "0,1,out,0,2147483647\n" * 3,
        "more than 2[*][*]31 spikes in all",
    ),
    "lacks a column": ("image,step,neuron\n0,1,1\n", "no column population"),
    "no number": ("image,step,population,neuron\n0,1,out,=1+1\n", "neuron is '=1\\+1'"),
    "a huge number": ("image,step,population,neuron\n0,1,out,99999999999999999999\n", "a whole number fits"),
    "above 2**31": ("image,step,population,neuron\n0,9999999999,out,1\n", "above 2\\*\\*31"),
    "no table": ("\x00\x01", "cannot be read|no column"),
}


@pytest.mark.parametrize("what", TABLES)
def test_a_table_that_is_none_is_refused(tmp_path, what):
    text, message = TABLES[what]
    (tmp_path / "run.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_run(tmp_path / "run.csv", NETWORK)


def test_times_between_steps_are_refused(tmp_path):
    write_nirdata(tmp_path / "run.h5", shift=0.02)
    with pytest.raises(DataError, match="further than 0.01 steps"):
        brian_snn.check(NETWORK, tmp_path / "run.h5", IMAGES, dt=1e-3)
    with pytest.raises(DataError, match="give the steps of the run, or dt"):
        brian_snn.check(NETWORK, tmp_path / "run.h5", IMAGES)


def external(file):
    """Put an array that lies in another file into a file of NIRData."""
    file.create_dataset("data", shape=(3, STEPS, 5), dtype="u1", external=[("/etc/hostname", 0, 3 * STEPS * 5)])


def virtual(file):
    """Put one that is made of another file's."""
    layout = h5py.VirtualLayout(shape=(3, STEPS, 5), dtype="u1")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(3, STEPS, 5))
    file.create_virtual_dataset("data", layout)


def soft(file):
    """Put a link in its place."""
    file["data"] = h5py.ExternalLink("other.h5", "/x")


def huge(file):
    """Put one that is terabytes long and stored as nothing."""
    file.create_dataset("data", shape=(3, 2**30, 500), dtype="u1", chunks=(1, 1024, 500), compression="gzip")


@pytest.mark.parametrize("put", [external, virtual, soft, huge])
def test_hostile_nirdata_is_refused_before_it_is_read(tmp_path, put):
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file.attrs["__type__"] = "NIRGraphData"
        node = file.create_group("nodes/out")
        node.attrs["__type__"] = "NIRNodeData"
        group = node.create_group("observables/spikes")
        group.attrs["__type__"], group.attrs["dt"] = "TimeGriddedData", 1e-3
        put(group)
    outcome = run_limited(read_run, tmp_path / "run.h5", NETWORK, limits=Limits(2**30, cpu_s=20))
    assert outcome.kind == "raised" and "DataError" in (type(outcome.value).__name__, str(outcome.value).split("(")[0])


def test_a_graph_that_holds_itself_is_refused(tmp_path):
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file.attrs["__type__"] = "NIRGraphData"
        inner = file.create_group("nodes/g")
        inner.attrs["__type__"] = "NIRGraphData"
        inner["nodes"] = file["nodes"]
    with pytest.raises(DataError, match="there under two names, perhaps within itself"):
        read_run(tmp_path / "run.h5", NETWORK)


@pytest.mark.parametrize("kind", ["spikes", "events", "counts"])
def test_an_npz_of_terabytes_is_refused_at_once(tmp_path, kind):
    shape = (3, 2**20, 2**20) if kind != "events" else (2**40, 3)
    with zipfile.ZipFile(tmp_path / "run.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{kind}/out.npy", npy_header(shape) + bytes(1000))
    with pytest.raises(DataError):
        read_run(tmp_path / "run.npz", NETWORK)


@pytest.mark.parametrize("name", ["run.txt", "missing.npz", "run.npz", "run.h5", "run.csv"])
def test_what_is_no_run_is_refused(tmp_path, name):
    for made in ("run.txt", "run.npz", "run.h5", "run.csv"):
        (tmp_path / made).write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(DataError, match=name):
        read_run(tmp_path / name, NETWORK)

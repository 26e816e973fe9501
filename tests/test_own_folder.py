"""Folders that are begun, emptied and locked: only what a simulation wrote is deleted, never while another writes."""

import errno
import os
import resource
import shutil
import signal
from pathlib import Path

import filelock
import numpy as np
import pytest

from brian_snn.errors import OutputError
from brian_snn.network.network import Network
from brian_snn.results import store as storage
from brian_snn.results.folder import discard
from tests.folder_runs import N_IMAGES, differences, loop_of, run
from tests.small_network import small_images, small_network


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def images():
    return small_images(N_IMAGES)


@pytest.fixture(scope="module")
def expected(network, images):
    return loop_of(network, images)


def test_foreign_files_are_neither_joined_nor_deleted(network, images, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="no simulation wrote"):
        run(network, images, output=tmp_path)
    run(network, images, output=tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        discard(tmp_path / "run")
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"
    (tmp_path / "run" / "notes.txt").unlink()
    discard(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_another_process_writes_is_not_deleted(network, images, tmp_path):
    run(network, images, output=tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with filelock.FileLock(tmp_path / "run" / ".lock"):
        with pytest.raises(OutputError, match="written by another process"):
            discard(tmp_path / "run")
        assert {path: path.read_bytes() for path in before} == before


def test_what_a_link_leads_to_is_deleted_and_the_link_stays(network, images, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "run")
    run(network, images, output=tmp_path / "run")
    discard(tmp_path / "link")
    assert list((tmp_path / "run").iterdir()) == []
    assert (tmp_path / "link").is_symlink()


def test_a_foreign_file_among_the_shards_is_not_deleted(network, images, tmp_path):
    run(network, images, output=tmp_path / "run")
    (tmp_path / "run" / "shards" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"shards/notes\.txt"):
        discard(tmp_path / "run")
    assert (tmp_path / "run" / "shards" / "notes.txt").read_text() == "mine"


class _Snapshots:
    """Copies of a run folder as a killed process would leave it: before and after each file is written."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.copies = folder, []
        replace_file = Path.replace
        monkeypatch.setattr(Path, "replace", lambda *paths: self._around(replace_file, *paths))
        for place, name in ((Network, "save"), (storage, "write_rows")):
            write = getattr(place, name)
            monkeypatch.setattr(place, name, lambda *args, write=write: self._around(write, *args))

    def _around(self, write, *args):
        self._copy()
        write(*args)
        self._copy()

    def _copy(self):
        if not (self.folder / "shards").is_dir() or not any((self.folder / "shards").iterdir()):
            self.copies.append(self.folder.with_name(f"copy{len(self.copies)}"))
            shutil.copytree(self.folder, self.copies[-1])


def test_what_a_process_left_that_was_killed_while_it_began_is_begun_anew(
    network, images, expected, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        snapshots = _Snapshots(tmp_path / "run", patch)
        run(network, images, output=tmp_path / "run")
    # Before and after three files and two renames.
    assert len(snapshots.copies) >= 8
    for left in snapshots.copies:
        assert {".lock"} <= set(os.listdir(left))
        shutil.copytree(left, left.with_name("discarded"))
        discard(left.with_name("discarded"))
        assert not left.with_name("discarded").exists()
        assert differences(run(network, images, output=left), expected) == []
        assert sorted(os.listdir(left)) == ["images.npy", "network.npz", "result.json", "run.toml", "shards"]


def test_a_folder_that_holds_only_a_lock_is_empty(network, images, expected, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").touch()
    assert differences(run(network, images, output=tmp_path / "run"), expected) == []


def test_files_of_these_names_that_no_simulation_wrote_are_kept(network, images, tmp_path):
    (tmp_path / "network.npz").write_text("mine")
    for delete in (discard, lambda path: run(network, images, output=path)):
        with pytest.raises(OutputError, match=r"no simulation wrote \(network\.npz\)"):
            delete(tmp_path)
    assert (tmp_path / "network.npz").read_text() == "mine"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("target", ["folder.write_inputs", "store.write_rows", "folder.write_description"])
def test_a_beginning_that_fails_leaves_nothing(network, images, tmp_path, monkeypatch, target, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(f"brian_snn.results.{target}", fail)
    with pytest.raises((KeyboardInterrupt, OutputError)):
        run(network, images, output=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_is_said_to_be(tmp_path):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256, before[1]))
    try:
        with pytest.raises(OutputError, match=r"x\.npy: cannot be written \(File too large\)"):
            storage.write_rows(tmp_path / "x.npy", np.zeros((4, 900)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


ENTRIES = [
    "result.json",
    "network.npz",
    "images.npy",
    "labels.npy",
    "run.toml",
    "shards",
    ".lock",
    ".unfinished",
    ".coming",
]


@pytest.mark.parametrize("name", [*ENTRIES, ".arrived", "shards/000000000.npz"])
def test_nothing_is_written_or_deleted_through_a_link(network, images, tmp_path, name):
    run(network, images, output=tmp_path / "run")
    entry, elsewhere = tmp_path / "run" / name, tmp_path / "elsewhere"
    if entry.exists():
        entry.rename(elsewhere)
    else:
        elsewhere.mkdir()
        (elsewhere / "000000000.npz").write_text("mine")
    entry.symlink_to(elsewhere)
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    for act in (discard, lambda path: run(network, images, output=path), run(network, images).save):
        with pytest.raises(OutputError, match=f"{name} is a link"):
            act(tmp_path / "run")
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("dtype", [">f4", "u1", "?", "f2", "f8"])
def test_rows_are_written_as_numpy_reads_them(tmp_path, rng, dtype):
    array = np.asfortranarray(rng.uniform(0, 9, (4, 3, 2)).astype(dtype))
    storage.write_rows(tmp_path / "x.npy", array[::-2])
    read = np.load(tmp_path / "x.npy")
    assert read.dtype == array.dtype
    assert np.array_equal(read, array[::-2])

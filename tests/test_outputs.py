"""Tests of writing whole or not at all: what is on the disk afterwards."""

import errno
import os
import signal
import tempfile

import pytest

from brian_snn import files as outputs
from brian_snn.errors import OutputError
from brian_snn.files import (
    MANIFEST,
    check_target,
    files_in,
    staged_file,
    staged_folder,
    sweep,
    sweep_temporary,
    temporary_folder,
)
from tests.campaign.limits import run_limited


def tree(folder):
    """Return the contents of all files below a folder by relative path."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def write_folder(path, **contents):
    """Write a folder as the program does."""
    with staged_folder(path) as folder:
        for name, text in contents.items():
            (folder / name).write_text(text)


class TestStaged:
    def test_a_folder_holds_what_was_written_and_a_list_of_it(self, tmp_path):
        write_folder(tmp_path / "run", a="1", b="2")
        assert tree(tmp_path) == {"run/a": "1", "run/b": "2", f"run/{MANIFEST}": "a\nb\n"}

    def test_a_folder_in_the_same_place_is_replaced(self, tmp_path):
        write_folder(tmp_path / "run", a="1")
        write_folder(tmp_path / "run", b="2")
        assert files_in(tmp_path / "run") == ["b"]

    def test_a_file_is_moved_to_its_place(self, tmp_path):
        with staged_file(tmp_path / "net.npz") as path:
            path.write_text("new")
        assert tree(tmp_path) == {"net.npz": "new"}

    @pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
    def test_an_interruption_leaves_the_old_folder_as_it_was(self, tmp_path, error):
        write_folder(tmp_path / "run", a="1")
        before = tree(tmp_path)
        with pytest.raises(error), staged_folder(tmp_path / "run") as folder:
            (folder / "a").write_text("half")
            raise error
        assert tree(tmp_path) == before
        assert os.listdir(tmp_path) == ["run"]

    def test_a_full_disk_is_named_with_the_path_and_leaves_nothing(self, tmp_path):
        with (
            pytest.raises(OutputError, match=r"run: cannot be written \(No space left on device\)"),
            staged_folder(tmp_path / "run") as folder,
        ):
            (folder / "a").write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")
        assert os.listdir(tmp_path) == []

    def test_a_folder_has_the_permissions_of_any_new_folder(self, tmp_path):
        (tmp_path / "plain").mkdir()
        write_folder(tmp_path / "run", a="1")
        assert (tmp_path / "run").stat().st_mode == (tmp_path / "plain").stat().st_mode


class TestKilled:
    """What processes leave that are killed; their locks are gone, those of the living are not."""

    def left_by_a_killed_process(self, act, *arguments):
        outcome = run_limited(killed_in, act, *arguments)
        assert outcome.value == "SIGKILL", outcome

    @pytest.mark.parametrize("writer", [staged_file, staged_folder])
    def test_the_next_one_to_write_there_deletes_it_and_nothing_else(self, tmp_path, writer):
        for name in ("run", "other"):
            self.left_by_a_killed_process(writer, tmp_path / name)
        (tmp_path / ".run.part").write_text("mine")
        (tmp_path / ".run.12345678.part.txt").write_text("mine")
        with staged_file(tmp_path / "run"):
            # Of a living process.
            assert len(os.listdir(tmp_path)) == 4
            check_target(tmp_path / "run", "file")
            assert len(os.listdir(tmp_path)) == 4
            sweep(tmp_path)
            assert len(os.listdir(tmp_path)) == 3
            (next(tmp_path.glob(".run.*.part/")) / "run").write_text("new")
        assert tree(tmp_path) == {"run": "new", ".run.part": "mine", ".run.12345678.part.txt": "mine"}

    def test_temporary_folders_are_deleted_at_the_next_start(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        self.left_by_a_killed_process(temporary_folder)
        assert len(os.listdir(tmp_path)) == 1
        (tmp_path / "brian_snn_race_12345678").mkdir()
        with temporary_folder() as folder:
            sweep_temporary()
            assert sorted(os.listdir(tmp_path)) == sorted([folder.name, "brian_snn_race_12345678"])

    def test_a_folder_that_was_killed_between_the_old_and_the_new_one_is_the_new_one(self, tmp_path, monkeypatch):
        write_folder(tmp_path / "run", a="old")

        def swap(content, path, replaced):
            path.rename(replaced)
            os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(outputs, "_swap", swap)
        assert run_limited(lambda: write_folder(tmp_path / "run", a="new")).value == "SIGKILL"
        assert not (tmp_path / "run").exists()
        with pytest.raises(OutputError, match="--force"):
            check_target(tmp_path / "run", "folder")
        assert tree(tmp_path) == {"run/a": "new", f"run/{MANIFEST}": "a\n"}


def killed_in(manager, *arguments):
    """Die within a context."""
    with manager(*arguments) as path:
        (path / "x" if path.is_dir() else path).write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)


class TestCheckTarget:
    def test_nothing_is_left_behind(self, tmp_path):
        check_target(tmp_path / "run", "folder")
        assert os.listdir(tmp_path) == []

    def test_an_empty_folder_may_be_filled(self, tmp_path):
        check_target(tmp_path, "folder")
        write_folder(tmp_path / "run")
        assert tree(tmp_path) == {f"run/{MANIFEST}": ""}

    def test_a_folder_of_ours_needs_force(self, tmp_path):
        write_folder(tmp_path / "run", a="1")
        with pytest.raises(OutputError, match="--force"):
            check_target(tmp_path / "run", "folder")
        check_target(tmp_path / "run", "folder", force=True)
        check_target(tmp_path / "run", "folder", replace_own=True)

    @pytest.mark.parametrize("ours_too", [True, False])
    def test_a_folder_with_anything_else_in_it_is_never_replaced(self, tmp_path, ours_too):
        if ours_too:
            write_folder(tmp_path / "run", a="1")
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / "thesis.tex").write_text("mine")
        with pytest.raises(OutputError, match="did not write"):
            check_target(tmp_path / "run", "folder", force=True, replace_own=True)

    def test_an_existing_file_needs_force(self, tmp_path):
        (tmp_path / "net.npz").write_text("old")
        with pytest.raises(OutputError, match="--force"):
            check_target(tmp_path / "net.npz", "file")
        check_target(tmp_path / "net.npz", "file", force=True)

    @pytest.mark.parametrize(("kind", "match"), [("file", "is a folder"), ("folder", "is a file")])
    def test_a_file_is_no_folder(self, tmp_path, kind, match):
        (tmp_path / "folder").mkdir()
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match=match):
            check_target(tmp_path / ("folder" if kind == "file" else "file"), kind, force=True)

    @pytest.mark.parametrize("kind", ["file", "folder"])
    def test_a_missing_parent_is_made_when_something_is_written(self, tmp_path, kind):
        target = tmp_path / "missing" / "too" / "x"
        check_target(target, kind)
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(KeyError), staged_file(target):
            raise KeyError
        assert list(tmp_path.iterdir()) == []
        with staged_file(target) as staged:
            staged.write_text("here")
        assert target.read_text() == "here" and [path.name for path in target.parent.iterdir()] == ["x"]

    def test_a_place_below_a_file_is_refused(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="there is no folder"):
            check_target(tmp_path / "file" / "run", "folder")


def test_what_a_killed_process_left_in_the_temporary_folder_is_deleted_by_its_user_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, user = tmp_path / "brian_snn_01234567.part", os.geteuid()
    left.mkdir()
    (left / "images.bin").touch()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    sweep_temporary()
    assert (left / "images.bin").exists()
    monkeypatch.setattr(os, "geteuid", lambda: user)
    sweep_temporary()
    assert not left.exists()

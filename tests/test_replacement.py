"""A result is replaced when the new one has a shard: until then it is there whole, whatever goes wrong."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from brian_snn import Settings, load_result
from brian_snn.cli import console
from brian_snn.cli import main as cli
from brian_snn.errors import CompilerError, DataError, OutputError, SettingError
from brian_snn.results import folder as run_folder
from brian_snn.results import own_folder
from brian_snn.results.folder import discard
from brian_snn.running import execute as execution
from brian_snn.running.simulate import simulate
from tests.command_line import simulate_command
from tests.folder_runs import N_IMAGES
from tests.small_network import STEPS, differences, loop_result, small_images, small_network

OLD, NEW = Settings(STEPS, backend="runtime"), Settings(STEPS, "zero", backend="runtime")
FILES = ["images.npy", "network.npz", "result.json", "run.toml", "shards"]


@pytest.fixture(scope="module")
def images():
    return small_images(N_IMAGES)


@pytest.fixture(scope="module")
def expected(images):
    return {settings: loop_result(small_network(), images, reset=settings.reset) for settings in (OLD, NEW)}


def rewrite(folder, images, settings, replace=True, **options):
    return simulate(small_network(), images, settings, shard_size=2, **options, output=folder, replace=replace)


def content(folder):
    """Return what is in a folder, by path."""
    return {p.relative_to(folder).as_posix(): p.is_file() and p.read_bytes() for p in folder.rglob("*")}


@pytest.fixture(scope="module")
def old(tmp_path_factory, images):
    """Return the folder of a whole result with labels."""
    folder = tmp_path_factory.mktemp("old") / "run"
    rewrite(folder, images, OLD)
    np.save(folder / "labels.npy", np.arange(N_IMAGES))
    return folder


@pytest.fixture
def folder(old, tmp_path):
    return shutil.copytree(old, tmp_path / "run")


def failing(error):
    def fail(*_, **__):
        raise error

    return fail


FULL = OSError(errno.ENOSPC, "No space left on device")
FAILURES = {
    "no compiler": (execution, "get_build", CompilerError("none"), {"backend": "standalone"}),
    "a first shard that fails": (execution, "run_inputs", SettingError("too much charge"), {}),
    "Ctrl-C in the first shard": (execution, "shard_result", KeyboardInterrupt(), {}),
    "a disk that is full at once": (run_folder, "write_inputs", FULL, {}),
    "a disk that is full at the end of the beginning": (run_folder, "write_description", FULL, {}),
    "a disk that is full at the first shard": (run_folder, "write_shard", FULL, {}),
    "our own mistake": (execution, "run_runtime", TypeError("ours"), {}),
}


@pytest.mark.parametrize(("module", "name", "error", "changes"), FAILURES.values(), ids=FAILURES)
def test_what_comes_to_nothing_leaves_the_earlier_result(folder, images, monkeypatch, module, name, error, changes):
    before = content(folder)
    monkeypatch.setattr(module, name, failing(error))
    with pytest.raises((type(error), OutputError)):
        rewrite(folder, images, Settings(**{**NEW.__dict__, **changes}))
    assert content(folder) == before


def test_too_many_steps_leave_the_earlier_result(folder, images):
    before = content(folder)
    with pytest.raises(SettingError, match="could gather a charge"):
        rewrite(folder, images, Settings(10**9, backend="runtime"))
    assert content(folder) == before


def test_the_first_shard_replaces_all_of_it(folder, images, expected):
    seen = []

    def look(done, total):
        seen.append((done, (folder / "labels.npy").exists(), len(list((folder / "shards").iterdir()))))

    assert differences(rewrite(folder, images, NEW, progress=look), expected[NEW]) == []
    # Two images a shard; the third image is simulated when the first shard has been written.
    assert seen == [(1, True, 3), (2, True, 3), (3, False, 1), (4, False, 1), (5, False, 2)]
    assert sorted(os.listdir(folder)) == FILES


def test_after_the_first_shard_it_goes_on_without_replacing(folder, images, expected):
    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rewrite(folder, images, NEW, progress=stop)
    seen = []
    result = rewrite(folder, images, NEW, replace=False, progress=lambda done, total: seen.append(done))
    assert seen == [2, 3, 4, 5]
    assert differences(result, expected[NEW]) == []


def test_foreign_files_are_not_replaced(folder, images):
    for name in ("notes.txt", "shards/notes.txt"):
        (folder / name).write_text("mine")
        before = content(folder)
        with pytest.raises(OutputError, match=name):
            rewrite(folder, images, NEW)
        assert content(folder) == before
        (folder / name).unlink()


def states(folder, monkeypatch, act):
    """Return copies of a folder as a killed process would leave it: before every change that `act` makes, and after."""
    copies = []

    def snapshot():
        copies.append(shutil.copytree(folder, folder.with_name(f"copy{len(copies)}"), symlinks=True))

    def watched(change):
        def call(*args, **options):
            snapshot()
            return change(*args, **options)

        return call

    with monkeypatch.context() as patch:
        for name in ("rename", "replace", "unlink", "mkdir", "rmdir", "touch"):
            patch.setattr(Path, name, watched(getattr(Path, name)))
        patch.setattr(os, "replace", watched(os.replace))
        act()
    snapshot()
    return copies


def is_whole(folder, old):
    """Whether the earlier result is there with all that belongs to it."""
    found, whole = content(folder), content(old)
    return all(found.get(name) == data for name, data in whole.items())


@pytest.mark.parametrize("replace", [True, False], ids=["with --force", "without"])
def test_a_process_may_be_killed_at_any_moment(folder, images, expected, old, monkeypatch, replace):
    copies = states(folder, monkeypatch, lambda: rewrite(folder, images, NEW))
    assert len(copies) > 25
    wholes = [is_whole(copy, old) for copy in copies]
    # Whole until a moment after which the new one is there.
    assert wholes == sorted(wholes, reverse=True) and wholes[0] and not wholes[-1]
    arrived = [(copy / own_folder.ARRIVED).exists() for copy in copies]
    for copy, whole, has_come in zip(copies, wholes, arrived, strict=True):
        if whole:
            assert differences(load_result(copy), expected[OLD]) == []
        else:
            _read_what_is_there(copy, expected)
        # Where the new one has come, it only has to take its place.
        if whole and not has_come and not replace:
            with pytest.raises(OutputError, match=r"begun with reset = 'subtraction', not 'zero'.*--force"):
                rewrite(copy, images, NEW, replace=False)
            assert content(copy).items() >= content(old).items()
        else:
            assert differences(rewrite(copy, images, NEW, replace=replace), expected[NEW]) == []
            assert sorted(os.listdir(copy)) == FILES


def _read_what_is_there(copy, expected):
    """Read a folder in which the new result takes the place of the earlier one: one of them, or what to do about it."""
    try:
        result = load_result(copy)
        assert differences(result, expected[NEW if result.settings == NEW else OLD]) == []
    except DataError as error:
        says = ("simulate again with the same options and output to complete it", "shards of its images; simulate with")
        assert any(text in str(error) for text in says), error


@pytest.mark.campaign
def test_what_a_killed_process_left_is_finished_only_once(folder, images, expected, monkeypatch):
    """It may be killed again while it finishes, or be deleted instead, and that be cut short too."""
    copies = states(folder, monkeypatch, lambda: rewrite(folder, images, NEW))
    cut_short = [copy for copy in copies if (copy / own_folder.ARRIVED).exists()]
    assert len(cut_short) > 5
    for number, copy in enumerate(cut_short):
        moved = shutil.copytree(copy, copy.with_name(f"again{number}") / "run")
        for again in states(moved, monkeypatch, lambda moved=moved: own_folder.finish_replacement(moved)):
            assert differences(rewrite(again, images, NEW, replace=False), expected[NEW]) == []
    moved = shutil.copytree(cut_short[1], folder.with_name("deleted") / "run")
    for again in states(moved, monkeypatch, lambda: own_folder.clear(moved)):
        discard(again)
        assert not again.exists()


def test_a_result_is_not_saved_where_one_is_about_to_arrive(folder, images, monkeypatch):
    copies = states(folder, monkeypatch, lambda: rewrite(folder, images, NEW))
    copy = next(c for c in copies if (c / own_folder.ARRIVED).exists() and not (c / "result.json").exists())
    with pytest.raises(OutputError, match="not an empty folder"):
        load_result(folder).save(copy)


class TestCommand:
    @pytest.fixture
    def run(self, cli_folder, tmp_path):
        return shutil.copytree(cli_folder / "run", tmp_path / "run")

    def test_ctrl_c_before_the_first_shard_says_that_the_earlier_result_is_there(
        self, cli_folder, run, capsys, monkeypatch
    ):
        (run / "labels.npy").write_bytes(b"of the earlier result")
        before = content(run)
        monkeypatch.setattr(console.Simulation, "ran", failing(KeyboardInterrupt()))
        assert cli.main([*simulate_command(cli_folder), "--force", "-o", str(run)]) == 2
        assert f"interrupted; {run} holds the earlier result as before." in capsys.readouterr().err
        assert content(run) == before

    def test_an_impossible_simulation_is_an_error_and_no_loss(self, cli_folder, run, capsys):
        before = content(run)
        assert cli.main([*simulate_command(cli_folder), "--force", "--steps", "1000000000", "-o", str(run)]) == 2
        assert "could gather a charge" in capsys.readouterr().err
        assert content(run) == before

    @pytest.mark.parametrize("labelled", [True, False])
    def test_labels_are_those_of_the_new_images_or_none(self, cli_folder, run, tmp_path, labelled):
        (run / "labels.npy").write_bytes(b"of the earlier result")
        data = np.load(cli_folder / "x.npz")
        kept = {"x_test": data["x_test"]} | ({"y_test": data["y_test"]} if labelled else {})
        np.savez(tmp_path / "x.npz", **kept)
        command = [*simulate_command(cli_folder), "--data", f"{tmp_path}/x.npz", "--force", "-o", str(run)]
        assert cli.main(command) == 0
        assert (run / "labels.npy").exists() == labelled
        assert not labelled or np.array_equal(np.load(run / "labels.npy"), data["y_test"])

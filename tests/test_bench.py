"""`brian-snn bench`: the rows of its table, what they are computed from, and what it says when spike counts differ."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import brian_snn
from brian_snn.__main__ import main
from brian_snn.cli import bench
from brian_snn.datasets import Dataset
from brian_snn.processors import usable_processors
from tests.command_line import fails_cleanly

SETTINGS = ["--steps", "30"]
COARSE = 2.0**-12


@pytest.fixture(scope="module")
def coarse(cli_folder):
    """Return a network of 6-9-7-4 neurons on a grid on which float32 is exact."""
    options = ["--grid", f"{COARSE}", "-o", f"{cli_folder}/coarse.npz"]
    assert main(["convert", f"{cli_folder}/model.keras", "--data", f"{cli_folder}/x.npz", *options]) == 0
    return cli_folder / "coarse.npz"


def command(network, *options):
    return ["bench", f"{network}", "--data", f"{network.parent}/x.npz", *SETTINGS, *map(str, options)]


def events_by_hand(network_file):
    """Return the synaptic events per image: each of 9 neurons has 7 targets, each of these 4."""
    images = np.load(network_file.parent / "x.npz")["x_test"]
    result = brian_snn.simulate(brian_snn.load_network(network_file), images, steps=30, backend="runtime")
    return (7 * result.spike_counts["hidden"].sum() + 4 * result.spike_counts["second"].sum()) / len(images)


@pytest.fixture
def in_process(monkeypatch):
    """Simulate in process, where nothing is compiled; return a list of the calls and one of the times they say."""
    calls, seconds = [], []
    simulate = bench.simulate

    def simulate_here(network, images, settings, **options):
        calls.append((options["projection"], options["float_type"], options["workers"], options["threads"]))
        result = simulate(network, images, settings, **options | {"backend": "runtime"})
        return replace(result, timings_s={"run": seconds.pop(0) if seconds else 1.0})

    monkeypatch.setattr(bench, "simulate", simulate_here)
    return calls, seconds


@pytest.fixture(scope="module")
def measured(coarse, tmp_path_factory):
    """Return the table and the exit code of a compiled run: both projections, both types, one and two workers."""
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        # In the cache of the tests another one may have left the same program.
        patch.setenv("BRIAN_SNN_CACHE", str(folder / "cache"))
        code = main(command(coarse, "--rounds", 2, "--workers", 2, 1, "-o", folder / "table.csv"))
    return pd.read_csv(folder / "table.csv"), code


@pytest.mark.slow
class TestCompiled:
    """All that is measured, of compiled programs."""

    def test_there_is_a_row_for_every_combination(self, measured):
        rows = measured[0][["projection", "float_type", "workers"]].values.tolist()
        types, projections = ("float64", "float32"), ("synapses", "shared")
        assert rows == [[p, t, w] for p in projections for t in types for w in (1, 2)]

    def test_spike_counts_are_the_same(self, measured):
        assert measured[0]["same_counts"].all() and measured[1] == 0

    def test_each_program_is_compiled_once(self, measured):
        compiled = measured[0].set_index("workers")["compile_s"]
        assert (compiled[1] > 0.1).all() and compiled[2].isna().all()

    def test_time_and_events_agree(self, measured, coarse):
        table = measured[0]
        assert (table["events_per_image"] == events_by_hand(coarse)).all()
        assert np.allclose(table["ns_per_event"] * table["events_per_image"], table["ms_per_image"] * 1e6, rtol=1e-12)
        assert np.allclose(table["images_per_s"] * table["ms_per_image"], 1000, rtol=1e-12)
        assert (table["ms_min"] <= table["ms_per_image"]).all() and (table["ms_per_image"] <= table["ms_max"]).all()


def test_the_csv_says_what_was_measured(coarse, in_process, tmp_path):
    assert main(command(coarse, "--reset", "zero", "--images", 3, "--rounds", 1, "-o", tmp_path / "t.csv")) == 0
    table = pd.read_csv(tmp_path / "t.csv")
    expected = {"network": "coarse.npz", "neurons": 20, "synapses": 9 * 7 + 7 * 4, "images": 3, "steps": 30}
    expected |= {"settings": "--steps 30 --reset zero", "rounds": 1, "cores": usable_processors()}
    assert all((table[name] == value).all() for name, value in expected.items())
    assert set(table["workers"]) == {1, usable_processors()}


def test_the_rounds_take_turns_and_the_first_call_does_not_count(coarse, in_process, tmp_path, capsys):
    calls, seconds = in_process
    # Of each round the rows take as long as their number, times that of the round.
    seconds += [99.0] * 4 + [row * lap for lap in (5, 1, 2) for row in (1, 2, 3, 4)]
    assert main(command(coarse, "--workers", 1, "--rounds", 3, "--images", 2, "-o", tmp_path / "t.csv")) == 0
    ways = [(p, t, 1, 1) for p in ("synapses", "shared") for t in ("float64", "float32")]
    assert calls == 4 * ways
    table = pd.read_csv(tmp_path / "t.csv")
    per_second = 1000 / 2
    assert table["ms_per_image"].tolist() == [2 * row * per_second for row in (1, 2, 3, 4)]
    assert table["ms_min"].tolist() == [row * per_second for row in (1, 2, 3, 4)]
    assert table["ms_max"].tolist() == [5 * row * per_second for row in (1, 2, 3, 4)]
    said = " ".join(capsys.readouterr().out.split())
    assert "shared float32 1 1 in cache 4,000.00 2,000.00 to 10,000.00 0.2 " in said


def test_equal_counts_are_said(coarse, in_process, capsys):
    assert main(command(coarse, "--workers", 1, "--images", 2, "--rounds", 1)) == 0
    assert "spike counts are the same in all rows, bit for bit" in capsys.readouterr().out


def test_one_count_that_differs_in_one_round_is_named_and_exits_1(coarse, in_process, tmp_path, monkeypatch, capsys):
    simulate, calls = bench.simulate, in_process[0]

    def miscount(*arguments, **options):
        result = simulate(*arguments, **options)
        if len(calls) == 7:
            result.spike_counts["second"].flat[-1] += 1
        return result

    monkeypatch.setattr(bench, "simulate", miscount)
    assert main(command(coarse, "--workers", 1, "--images", 2, "--rounds", 1, "-o", tmp_path / "t.csv")) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("DIFFER ") == 2
    assert "SPIKE COUNTS DIFFER from those of the first call: shared, float64, workers 1, threads 1 wrote" in said
    assert pd.read_csv(tmp_path / "t.csv")["same_counts"].tolist() == [True, True, False, True]


def test_float32_is_left_out_where_it_is_refused(cli_folder, in_process, capsys):
    assert main(command(cli_folder / "net.npz", "--images", 2, "--rounds", 1, "--workers", 1)) == 0
    assert {call[:2] for call in in_process[0]} == {("synapses", "float64"), ("shared", "float64")}
    assert "no rows for float32: population " in capsys.readouterr().out


def test_explicit_synapses_are_left_out_where_there_are_too_many(coarse, in_process, capsys, monkeypatch):
    monkeypatch.setattr("brian_snn.cli.bench.EXPLICIT_LIMIT", 9 * 7 + 7 * 4 - 1)
    assert main(command(coarse, "--images", 2, "--rounds", 1, "--workers", 1)) == 0
    assert {call[:2] for call in in_process[0]} == {("shared", "float64"), ("shared", "float32")}
    assert "no rows for explicit synapses" in capsys.readouterr().out


def test_without_a_spike_there_is_no_time_per_event(coarse, in_process, tmp_path, capsys):
    assert (
        main(command(coarse, "--workers", 1, "--images", 2, "--rounds", 1, "--v-init", -1000, "-o", tmp_path / "t.csv"))
        == 0
    )
    table = pd.read_csv(tmp_path / "t.csv")
    assert (table["events_per_image"] == 0).all() and table["ns_per_event"].isna().all()


def test_without_a_network_it_takes_that_of_the_demo(cli_folder, in_process, monkeypatch, capsys):
    with np.load(cli_folder / "x.npz") as data:
        digits = Dataset(data["x_test"], data["y_test"], "x_test"), Dataset(data["x_norm"], None, "x_norm")
    monkeypatch.setattr(bench, "load_demo", lambda: (cli_folder / "model.keras", *digits))
    assert main(["bench", "--rounds", "1", "--images", "2", *SETTINGS]) == 0
    said = capsys.readouterr().out
    assert "model.keras: 20 neurons, 91 synapses" in said and "2 images of 30 steps, 1 round(s), on " in said


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--rounds", 0], "--rounds is 0; it must be a whole number of at least 1"),
        (["--images", 0], "--images is 0; it must be at least 1"),
        (["--workers", 1, 0], "--workers is 0; it must be a whole number of at least 1"),
        (["--steps", 0], "steps is 0"),
    ],
)
def test_numbers_below_one_are_named(coarse, tmp_path, capsys, options, match):
    assert match in fails_cleanly(capsys, command(coarse, *options, "-o", tmp_path / "t.csv"), tmp_path / "t.csv")


def test_images_of_another_shape_are_named(coarse, tmp_path, capsys):
    np.savez(tmp_path / "x.npz", x_test=np.zeros((3, 5)))
    error = fails_cleanly(capsys, ["bench", coarse, "--data", tmp_path / "x.npz"], tmp_path / "t.csv")
    assert "x.npz" in error and "(3, 5)" in error and "(6,)" in error


def test_a_network_needs_images(coarse, tmp_path, capsys):
    assert "coarse.npz: there are no images" in fails_cleanly(capsys, ["bench", coarse], tmp_path / "t.csv")


def test_an_earlier_table_is_replaced_with_force_only(coarse, in_process, tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("mine")
    assert "--force" in fails_cleanly(capsys, command(coarse, "-o", path), path)
    assert path.read_text() == "mine" and not in_process[0]
    assert main(command(coarse, "--workers", 1, "--images", 2, "--rounds", 1, "-o", path, "--force")) == 0
    assert len(pd.read_csv(path)) == 4

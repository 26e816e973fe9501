"""The figure of the departures from the ideal neuron: single runs, where accuracy falls, and the stored results."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from brian2 import ms

import brian_snn
from brian_snn.__main__ import main
from brian_snn.frontends.table import reference_activations
from brian_snn.plotting.biophysics import plot_biophysics
from brian_snn.plotting.error_account import TERM_STYLES
from brian_snn.running.simulate import simulate
from brian_snn.settings import Execution, Settings
from brian_snn.studies import biophysics
from brian_snn.studies.biophysics import DEPARTURES, PLAIN, between, limits
from tests import models
from tests.oracles import wilson_by_roots

FOLDER = Path(__file__).resolve().parents[1] / "experiments" / "biophysics"
STEPS = 12


@pytest.fixture(scope="module")
def shown(cnn_model):
    images = models.images_for(cnn_model, 5).astype(float)
    network = brian_snn.convert(cnn_model, images)
    activations = reference_activations(cnn_model, network, images)
    return biophysics.Shown(network, images, np.arange(5) % 3, np.arange(5) % 2, activations)


@pytest.mark.parametrize("name", DEPARTURES)
def test_a_run_is_counted_as_a_simulation_in_one_piece_says(shown, name):
    changes = DEPARTURES[name].changes(DEPARTURES[name].small[0]) | {"seed": 7}
    settings = Settings(STEPS, backend="runtime", **changes)
    row, causes, report = biophysics.measure_run(shown, settings, Execution(), verified=2)
    whole = simulate(shown.network, shown.images, settings)
    assert (row["images"], row["right"]) == (5, np.sum(whole.predictions == shown.labels))
    assert row["agree"] == np.sum(whole.predictions == shown.answers)
    rates = whole.spike_counts["conv_c"] / STEPS
    targets = shown.activations["conv_c"] / shown.network["conv_c"].scale
    assert row["mean_error"] == pytest.approx(rates.mean() - targets.mean(), rel=1e-9)
    assert row["rmse"] == pytest.approx(np.linalg.norm(rates - targets) / np.sqrt(rates.size), rel=1e-12)
    # The shares of the terms are those of the whole error.
    assert causes["share"].sum() == pytest.approx(1)
    assert row["largest"] == causes.loc[causes["share"].idxmax(), "term"]
    assert report["holds"].all()
    assert set(report[report["equation"] == "spikes"]["images"]) == {2}


@pytest.mark.parametrize("name", DEPARTURES)
def test_a_size_is_a_setting_with_its_unit(name):
    departure = DEPARTURES[name]
    value = departure.changes(3)[departure.setting]
    assert value == (3 * ms if departure.unit == "ms" else 3)
    assert departure.drawn == ("mismatch" in name or "noise" in name)


def table_of(sweeps):
    """Return points and causes of sweeps of (size, seed, right of 100)."""
    rows = [{"departure": name, "unit": "ms", "size": size, "seed": seed, "images": 100, "right": right}
            for name, sweep in sweeps.items() for size, seed, right in sweep]  # fmt: skip
    points = pd.DataFrame(rows)
    shares = [{"term": term, "share": share} for term, share in (("leak", 0.7), ("noise", 0.3))]
    keys = ["departure", "size", "seed"]
    return points, pd.DataFrame([row | share for row in points[keys].to_dict("records") for share in shares])


SWEEPS = {
    PLAIN: [(0, 0, 99)],
    "leak": [(1, 0, 99), (2, 0, 98), (3, 0, 90), (4, 0, 89)],
    "membrane noise": [(1, 1, 98), (1, 2, 99), (2, 1, 97), (2, 2, 99), (3, 1, 90), (3, 2, 88)],
    "delay": [(9, 0, 50), (5, 0, 99)],
    "alpha synapse": [(1, 0, 100), (2, 0, 99)],
}
FOUND = {
    "leak": (1, 2, 3, 4),
    "membrane noise": (1, 2, 2, 3),
    "delay": (None, 9, None, 9),
    "alpha synapse": (2, None, 2, None),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_fall_is_where_the_mean_is_so_far_below_plain_neurons_for_the_first_time(name):
    row = limits(*table_of(SWEEPS)).set_index("departure").loc[name]
    found = row[["within_1", "beyond_1", "within_10", "beyond_10"]]
    assert tuple(None if np.isnan(size) else size for size in found) == FOUND[name]
    assert (row["cause"], row["share"]) == ("leak", 0.7)


def test_a_mismatch_of_leaks_is_compared_with_the_leak_alone():
    sweeps = {PLAIN: [(0, 0, 99)], "leak": [(30, 0, 95)], "mismatch of leaks": [(1, 1, 95), (2, 1, 94), (3, 1, 85)]}
    row = limits(*table_of(sweeps)).set_index("departure").loc["mismatch of leaks"]
    assert row[["within_1", "beyond_1", "within_10", "beyond_10"]].tolist() == [1, 2, 2, 3]


@pytest.mark.parametrize(
    ("sizes", "text"),
    [((1, 2), "between 1 and 2 ms"), ((np.nan, 2), "already at 2 ms"), ((1, np.nan), "not even at 1 ms")],
)
def test_a_fall_in_words(sizes, text):
    assert between(*sizes, "ms") == text


def test_a_panel_shows_its_sweep_and_the_colour_of_the_largest_cause():
    points = table_of(SWEEPS)[0].assign(low=0.5, high=0.995, largest="leak")
    points["steps"] = 10
    longer = points[points["size"] == 3].assign(steps=50, right=96)[-1:]
    figure = plot_biophysics(points, pd.DataFrame([{"images": 100, "right": 97}]), longer)
    assert [axes.get_title(loc="left")[5:] for axes in figure.axes] == list(FOUND)
    axes = figure.axes[1]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "2", "3"]
    plain, trained, means, *dots, hollow = axes.lines
    assert (hollow.get_xdata()[0], hollow.get_ydata()[0]) == (2, pytest.approx(4))
    assert (list(trained.get_ydata()), list(plain.get_ydata())) == (pytest.approx([3, 3]), pytest.approx([1, 1]))
    assert list(means.get_ydata()) == pytest.approx([1.5, 2, 11])
    assert [line.get_ydata()[0] for line in dots] == pytest.approx([2, 1, 3, 1, 10, 12])
    assert {line.get_color() for line in dots} == {TERM_STYLES["leak"][0]}
    # No error at all is half an image, and an interval ends at what it says.
    harmless = figure.axes[3]
    assert harmless.lines[3].get_ydata()[0] == pytest.approx(0.5)
    (bar,) = harmless.containers[0].lines[2]
    assert bar.get_segments()[0][:, 1] == pytest.approx([0.5, 50])


def test_the_command_draws_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(biophysics.SMALL, "sizes", {"leak": [30], "membrane noise": [0.1]})
    command = [
        "figure",
        "biophysics",
        "--images",
        "3",
        "--steps",
        "20",
        "--backend",
        "runtime",
        "-o",
        f"{tmp_path}/out",
    ]
    assert main(command) == 0
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"biophysics.png", "biophysics.pdf", "points.csv", "causes.csv", "limits.csv", "longer.csv"} < written
    points = pd.read_csv(tmp_path / "out" / "points.csv")
    assert points[["departure", "size"]].to_numpy().tolist() == [["plain", 0], ["leak", 30], ["membrane noise", 0.1]]
    assert "verified: " in capsys.readouterr().out


@pytest.fixture(scope="module")
def tables():
    return {path.stem: pd.read_csv(path) for path in (FOLDER / "results").glob("*.csv")}


@pytest.fixture(scope="module")
def readme():
    return " ".join((FOLDER / "README.md").read_text("utf-8").split())


class TestStoredResults:
    def test_there_is_a_run_for_every_size_and_seed(self, tables):
        params, points = json.loads((FOLDER / "params.json").read_text("utf-8")), tables["points"]
        assert json.loads((FOLDER / "results" / "biophysics.json").read_text("utf-8"))["params"] == params
        for name, sizes in params["sizes"].items():
            runs = points[points["departure"] == name]
            seeds = params["seeds"] if DEPARTURES[name].drawn else [0]
            assert runs[["size", "seed"]].to_numpy().tolist() == [[size, seed] for size in sizes for seed in seeds]
        assert set(points["images"]) == {params["images"]}
        beyond = tables["limits"].dropna(subset="beyond_10")
        longer = tables["longer"].iloc[1:]
        assert (
            longer[["departure", "size"]].to_numpy().tolist() == beyond[["departure", "beyond_10"]].to_numpy().tolist()
        )
        assert set(longer["steps"]) == {params["longer"]["times"] * params["steps"]}

    def test_intervals_are_those_of_wilson(self, tables):
        for row in pd.concat([tables["points"], tables["longer"]]).itertuples():
            assert [row.low, row.high] == pytest.approx(wilson_by_roots(row.right, row.images), abs=1e-5)

    def test_shares_add_up_and_the_largest_is_named(self, tables):
        keys = ["departure", "size", "seed"]
        points = tables["points"].set_index(keys)
        for key, rows in tables["causes"].groupby(keys):
            # Each has four digits.
            assert rows["share"].sum() == pytest.approx(1, abs=5e-4 * rows["share"].abs().sum())
            assert points.loc[key, "largest"] == rows.loc[rows["share"].idxmax(), "term"]

    def test_the_falls_are_those_of_the_points(self, tables):
        found = limits(tables["points"], tables["causes"])
        pd.testing.assert_frame_equal(found, tables["limits"], rtol=1e-3)

    def test_the_readme_has_the_numbers_of_the_results(self, tables, readme):
        longer = tables["longer"].set_index("departure")["right"]
        for row in tables["limits"].to_dict("records"):
            name = row["departure"]
            cells = [between(row[f"within_{n}"], row[f"beyond_{n}"], row["unit"]) for n in biophysics.FALLS]
            last = f"{longer[name]} at {row['beyond_10']:g}" if name in longer else "-"
            assert f"| {name} | {cells[0]} | {cells[1]} | {row['cause']}, {row['share']:.2f} | {last} |" in readme
        record = json.loads((FOLDER / "results" / "biophysics.json").read_text("utf-8"))
        assert record["all_hold"]
        assert f"{record['runs']} runs" in readme and f"{record['checks']:,} checks" in readme
        plain, trained = tables["points"].iloc[0], tables["trained"].iloc[0]
        assert f"The trained network reads {trained['right']} of them, plain neurons {plain['right']}." in readme

    def test_what_the_readme_says_of_rates_and_answers(self, tables, readme):
        points = tables["points"]
        lost = (points["right"].iloc[0] - points["right"]) / 10
        assert "All runs with a correlation of 0.98 or more lose less than a point" in readme
        assert lost[points["pearson_r"] >= 0.98].max() < 1
        off = (points["agree"] - points["right"]).abs().max()
        assert f"by at most {off} images" in readme
        assert (
            f"largest rms error with which a run loses less than a point is {points['rmse'][lost < 1].max():.3f}"
            in readme
        )


def test_the_guide_has_the_bursts_that_were_measured():
    table = pd.read_csv(FOLDER / "results" / "bursts.csv")
    table["error"] = 100 * table["wrong"] / table["images"]
    rows = table.pivot(index=["percentile", "steps"], columns="burst", values="error").iterrows()
    expected = [
        f"| {p} | {steps} | " + " | ".join(f"{error:.1f} %" for error in row) + " |" for (p, steps), row in rows
    ]
    guide = (FOLDER.parents[1] / "docs" / "neurons.md").read_text("utf-8").splitlines()
    assert [line for line in guide if line.startswith("| 90 |")] == expected

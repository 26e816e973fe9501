"""A search finds the front that all points of its grid have, says what it rests on, and can be repeated."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import brian_snn
from brian_snn.analysis.operations import snn_operations
from brian_snn.cli.main import main
from brian_snn.errors import BrianSnnError, DataError, SettingError
from brian_snn.tuning.advice import advised
from brian_snn.tuning.optimiser import Optimiser
from brian_snn.tuning.space import Point, Space
from brian_snn.tuning.tune import shown_in_rounds
from tests.models import images_for, mlp
from tests.small_network import exact_current

STEPS, PERCENTILES, V_INITS, CLAMPS = 8, (60.0, 100.0), (0.0, 0.5), (0, 1)
CHOICES = {"percentiles": PERCENTILES, "normalisations": "layer", "v_inits": V_INITS, "clamps": CLAMPS}
OPTIONS = {**CHOICES, "steps": STEPS, "backend": "runtime", "points": 100, "rounds": 1, "within": 0.0}
AXES = ["percentile", "normalisation", "v_init", "clamp"]


@pytest.fixture(scope="module")
def model():
    """Return a dense network of three layers."""
    return mlp()


@pytest.fixture(scope="module")
def images(model):
    """Return images to tune on; `calibration` has others."""
    return images_for(model, 12, seed=2).astype(float)


@pytest.fixture(scope="module")
def calibration(model):
    """Return calibration images."""
    return images_for(model, 8, seed=1).astype(float)


@pytest.fixture(scope="module")
def found(model, calibration, images):
    """Return what a search of the whole grid finds."""
    return brian_snn.tune(model, calibration, images, **OPTIONS)


def by_loop(network, images, v_init, clamp):
    """Return answers and operations after every step, by Eq. (4b) in plain loops."""
    populations = network.populations
    weights = {p.target: p.weights for p in network.projections}
    current = exact_current(weights[populations[0].name], populations[0].bias, images)
    v = [np.full((len(images), p.size), v_init) for p in populations]
    operations = np.full(len(images), weights[populations[0].name].size)
    answers, costs = [], []
    for step in range(1, STEPS + 1):
        drive = current
        for depth, (own, population) in enumerate(zip(v, populations, strict=True)):
            spikes = np.zeros(own.shape)
            if step > clamp * depth:
                own += drive
                if population.kind == "spiking":
                    spikes = (own >= 1).astype(float)
                    own -= spikes
            if population.kind == "spiking":
                after = populations[depth + 1]
                drive = spikes @ weights[after.name] + after.bias
                operations = operations + spikes.sum(axis=1) * after.size
        answers.append(v[-1].argmax(axis=1))
        costs.append(operations.mean())
    return np.array(answers), np.array(costs)


def test_the_front_is_that_of_all_points_of_the_grid(model, calibration, images, found):
    searched = images[found.searched]
    trained = np.asarray(model(searched.astype(np.float32))).argmax(axis=1)
    rows = []
    for percentile, v_init, clamp in itertools.product(PERCENTILES, V_INITS, CLAMPS):
        network = brian_snn.convert(model, calibration, percentile=percentile)
        answers, costs = by_loop(network, searched, v_init, clamp)
        wrong = (answers != trained).sum(axis=1)
        rows += [(costs[t], wrong[t:].max() / len(trained)) for t in range(2 * clamp, STEPS)]
    front = {(c, e) for c, e in rows if not any((d < c and f <= e) or (d <= c and f < e) for d, f in rows)}
    assert len(front) > 2
    assert set(zip(found.front["operations"], found.front["error"], strict=True)) == front
    assert found.n_tried == len(PERCENTILES) * len(V_INITS) * len(CLAMPS)
    meets = [cost for cost, error in front if error == 0]
    assert found.met and found.chosen["operations"] == min(meets)


def test_what_was_chosen_is_measured_on_images_that_the_search_did_not_see(model, images, found):
    assert sorted([*found.searched, *found.held_out]) == list(range(len(images)))
    result = brian_snn.simulate(found.network, images[found.held_out], found.settings)
    trained = np.asarray(model(images[found.held_out].astype(np.float32))).argmax(axis=1)
    assert found.chosen["held_out_error"] == np.mean(result.predictions != trained)
    for count, name in (("synapses", "operations"), ("paper", "paper_operations")):
        assert found.chosen[f"held_out_{name}"] == snn_operations(result, count).mean()
    assert "on 6 images that it did not see" in found.verdict() and "best of 8 settings" in found.verdict()


def test_a_search_is_the_same_for_a_seed_and_goes_on_where_it_was(model, calibration, images, tmp_path):
    options = {**OPTIONS, "points": 3, "rounds": 2, "search_seed": 4}
    lines = []
    first = brian_snn.tune(model, calibration, images, **options, kept=tmp_path, say=lines.append)
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    second = brian_snn.tune(model, calibration, images, **options, kept=tmp_path)
    for name in ("front", "tried", "account"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name), check_exact=True)
    assert first.n_tried == 3 and {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == kept
    assert first.network.digest() == second.network.digest() and first.settings == second.settings
    assert sum("of 3, percentile" in line for line in lines) == 3


@pytest.fixture(scope="module")
def folder(model, calibration, images, tmp_path_factory):
    """Return a folder with the model and the images as files."""
    folder = tmp_path_factory.mktemp("tune")
    model.save(folder / "model.keras")
    np.savez(folder / "calibration.npz", x_norm=calibration)
    labels = np.asarray(model(images.astype(np.float32))).argmax(axis=1)
    np.savez(folder / "x.npz", x_test=images, y_test=labels)
    return folder


def command(folder, output, *more):
    """Return the command with few choices."""
    choices = ["--percentiles", "100", "--v-inits", "0", "0.5", "--clamps", "0", "--normalisations", "layer"]
    files = [f"{folder}/model.keras", "--data", f"{folder}/x.npz", "--calibration", f"{folder}/calibration.npz"]
    return ["tune", *files, *choices, "--steps", "8", "--backend", "runtime", "-o", str(output), *more]


def test_simulate_repeats_what_the_command_wrote(folder, images, tmp_path, capsys):
    out = tmp_path / "tuned"
    assert main(command(folder, out, "--within", "20", "--held-out", "0.25")) == 0
    shown = capsys.readouterr()
    assert "chosen: percentile 100 by layer" in shown.out and "1 of 24, percentile 100" in shown.err
    record = json.loads((out / "tuning.json").read_text("utf-8"))
    assert record["met"] and record["measure"] == "error" and len(record["held_out"]) == 3
    np.savez(tmp_path / "held_out.npz", x_test=images[record["held_out"]])
    files = [f"{out}/network.npz", "--data", f"{tmp_path}/held_out.npz", "--settings", f"{out}/settings.toml"]
    assert main(["simulate", *files, "-o", f"{tmp_path}/run"]) == 0
    result = brian_snn.load_result(tmp_path / "run")
    assert result.settings.backend == "runtime" and result.settings.steps == record["chosen"]["steps"]
    assert record["chosen"]["held_out_operations"] == snn_operations(result).mean()
    own = brian_snn.convert(folder / "model.keras", folder / "calibration.npz", percentile=100)
    assert result.network.digest() == own.digest() == brian_snn.load_network(out / "network.npz").digest()
    names = {"network.npz", "settings.toml", "front.csv", "tried.csv", "account.csv", "front.png", "front.pdf"}
    assert names | {"tuning.json", "files.txt"} == {path.name for path in out.iterdir()}
    capsys.readouterr()
    assert main(command(folder, out)) == 2
    assert "holds an earlier result; name another folder" in capsys.readouterr().err


def test_a_target_that_nothing_meets_is_said_with_the_best_that_was_found(folder, tmp_path, capsys):
    assert main([*command(folder, tmp_path / "out", "--within", "0"), "--steps", "1"]) == 1
    shown = capsys.readouterr().out
    assert "no setting met the target; the best found: percentile 100 by layer" in shown
    assert "the target is at most 0.00 %" in shown
    front = pd.read_csv(tmp_path / "out" / "front.csv")
    assert (front["missed"] > 0).all()
    assert main([*command(folder, tmp_path / "out", "--within", "0"), "--steps", "1", "--force", "--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert not record["met"] and record == json.loads((tmp_path / "out" / "tuning.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"percentile": 99}, SettingError, "percentile is what is searched for; give the choice, percentiles"),
        ({"percentiles": ()}, SettingError, "percentiles is .*; it must be a sequence of numbers, at least one"),
        ({"percentiles": (0,)}, SettingError, "percentile is 0.0; it must be above 0"),
        ({"clamps": (9,)}, SettingError, "clamps is .*; with each the output rests for all 8 steps"),
        ({"clamps": (0.5,)}, SettingError, "clamps is 0.5; it must be a whole number"),
        ({"v_inits": (1.5,)}, SettingError, "v_inits is .*; each must lie between -1 and 1 thresholds"),
        ({"within": -1}, SettingError, "within is -1.0"),
        ({"held_out": 1}, SettingError, "held_out is 1.0"),
        ({"point": 3}, SettingError, "there is no option 'point'; did you mean points"),
        ({"polarity": "signed"}, SettingError, "operations over time are known of positive spikes only"),
        ({"measure": "error"}, DataError, "there are no labels; give them, or measure the agreement"),
        ({"labels": np.zeros(3, int)}, DataError, r"labels have shape \(3,\)"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(model, calibration, images, options, error, match):
    with pytest.raises(error, match=match) as caught:
        brian_snn.tune(model, calibration, images, **{**OPTIONS, **options}, say=lambda line: pytest.fail(line))
    assert isinstance(caught.value, BrianSnnError)


def test_images_too_few_to_hold_some_out_are_refused(model, calibration, images):
    with pytest.raises(DataError, match="there are 3 images; at least 4 are needed"):
        brian_snn.tune(model, calibration, images[:3], **OPTIONS)


SPACE = Space(
    {
        "percentile": (99.0, 99.9, 99.99, 100.0),
        "normalisation": ("layer", "channel"),
        "v_init": (0.0, 0.25, 0.5),
        "clamp": (0, 1, 2, 5, 10),
    }
)


def told(space, seed, best, tries):
    """Return the points that an optimiser tries of a smooth task with one best point."""
    optimiser, points = Optimiser(space, seed), []
    place = space.place(best)
    for _ in range(tries):
        point, _ = optimiser.ask()
        apart = [abs(number - place[axis]) for axis, number in space.place(point).items()]
        optimiser.tell(point, float(sum(apart)), float(sum(apart)))
        points.append(point)
    return points


def test_the_optimiser_tries_no_point_twice_and_in_the_end_all():
    space = Space({**SPACE.axes, "percentile": (99.9,), "clamp": (0, 1, 5)})
    points = told(space, 0, Point(99.9, "channel", 0.25, 5), 18)
    assert len(set(points)) == 18 == len(space.points)
    assert told(space, 0, Point(99.9, "channel", 0.25, 5), 9) == points[:9]


def test_the_optimiser_finds_the_best_of_120_points_in_45_for_any_seed():
    best = Point(100.0, "channel", 0.5, 10)
    assert [best in told(SPACE, seed, best, 45) for seed in range(3)] == [True] * 3


@pytest.mark.parametrize(
    ("term", "start", "advice"),
    [
        ("saturation", Point(99.9, "layer", 0.5, 0), Point(99.99, "layer", 0.5, 0)),
        ("saturation", Point(100.0, "channel", 0.5, 0), Point(100.0, "layer", 0.5, 0)),
        ("residual", Point(99.9, "layer", 0.0, 0), Point(99.9, "layer", 0.5, 0)),
        ("residual", Point(99.9, "layer", 0.5, 0), Point(99.9, "channel", 0.5, 0)),
        ("residual", Point(99.9, "channel", 0.5, 0), Point(99.0, "channel", 0.5, 0)),
        ("transient", Point(99.9, "layer", 0.5, 2), Point(99.9, "layer", 0.5, 5)),
        ("window", Point(99.9, "layer", 0.5, 2), Point(99.9, "layer", 0.5, 1)),
    ],
)
def test_the_largest_term_says_which_knob_to_turn(term, start, advice):
    account = pd.DataFrame({"term": [term, "grid"], "share": [0.9, 0.1]})
    assert list(advised(account, SPACE, start)) == [(advice, f"account: {term}")]


def test_a_knob_at_its_end_and_a_small_term_are_left_alone():
    account = pd.DataFrame({"term": ["transient", "residual"], "share": [0.9, 0.01]})
    assert list(advised(account, SPACE, Point(99.9, "layer", 0.0, 10))) == []


@pytest.mark.parametrize(("n", "n_rounds", "sizes"), [(900, 3, [100, 300, 900]), (5, 3, [2, 5]), (7, 1, [7])])
def test_each_round_shows_three_times_the_images(n, n_rounds, sizes):
    assert shown_in_rounds(n, n_rounds) == sizes


def test_the_example_of_the_guide_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[1] / "docs" / "tune.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(example, {})


def test_the_figure_shows_the_front_on_both_parts_of_the_images(found):
    (axes,) = found.figure().axes
    lines = {line.get_label(): line.get_xydata() for line in axes.lines}
    n, front = len(found.searched), found.front
    # A logarithm has no place for 0.
    shown = [[row.operations, 100 * max(row.error, 0.5 / n)] for row in front.itertuples()]
    assert lines[f"front, {n} images of the search"].tolist() == shown
    (bars,) = axes.containers
    measured = 100 * np.maximum(front["held_out_error"], 0.5 / len(found.held_out))
    assert bars[0].get_xydata().tolist() == list(map(list, zip(front["held_out_operations"], measured, strict=True)))
    assert found.chosen["error"] == 0 and lines["chosen"].tolist() == [[found.chosen["operations"], 100 * (0.5 / n)]]

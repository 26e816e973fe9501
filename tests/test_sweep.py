"""A sweep is the table of its single simulations, and no simulation is done twice."""

import numpy as np
import pandas as pd
import pytest

import brian_snn
from brian_snn.analysis.operations import ann_operations, snn_operations
from brian_snn.cli import sweep
from brian_snn.cli.main import main
from brian_snn.errors import SettingError
from tests.models import mlp

GRID = """
calibration = "x.npz"
data = "x.npz"
backend = "runtime"
images = 8
{top}

[grid]
{grid}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with two models and labelled images."""
    folder = tmp_path_factory.mktemp("sweep")
    rng = np.random.default_rng(3)
    model = mlp()
    model.save(folder / "a.keras")
    model.set_weights([1.5 * w for w in model.get_weights()])
    model.save(folder / "b.keras")
    np.savez(folder / "x.npz", x_test=rng.uniform(0, 1, (10, *model.input_shape[1:])), y_test=rng.integers(0, 4, 10))
    return folder


def write(folder, grid, top='model = "a.keras"'):
    (folder / "sweep.toml").write_text(GRID.format(grid=grid, top=top))
    return folder / "sweep.toml"


def test_every_row_is_the_simulation_of_its_point(folder, tmp_path, capsys):
    grid = 'model = ["a.keras", "b.keras"]\nreset = ["subtraction", "zero"]\nsteps = [5, 9]'
    assert main(["sweep", str(write(folder, grid, top="percentile = 90.0")), "-o", str(tmp_path / "out")]) == 0
    table = pd.read_csv(tmp_path / "out" / "sweep.csv")
    assert len(table) == 8
    assert table.drop_duplicates(["model", "reset", "steps"]).shape[0] == 8
    with np.load(folder / "x.npz") as data:
        images, labels = data["x_test"], data["y_test"]
    for _, row in table.iterrows():
        network = brian_snn.convert(folder / row["model"], images, percentile=row["percentile"])
        result = brian_snn.simulate(network, images[:8], steps=int(row["steps"]), reset=row["reset"], backend="runtime")
        assert row["accuracy"] == np.mean(result.predictions == labels[:8])
        assert row["operations_per_image"] == snn_operations(result).mean()
        assert row["paper_operations_per_image"] == snn_operations(result, "paper").mean()
        assert row["ann_operations"] == ann_operations(result.network)
        assert row["ann_paper_operations"] == ann_operations(result.network, "paper")
        assert row["verified"] and row["max_residual_charge"] == 0
        assert row["identities"] == brian_snn.verify(result)["neurons"].sum()
    parquet = pd.read_parquet(tmp_path / "out" / "sweep.parquet")
    pd.testing.assert_frame_equal(parquet, table, check_dtype=False)


def test_bits_of_weights_and_potentials_may_vary(folder, tmp_path):
    grid = "weight_bits = [3, 8]\naccumulator_bits = [9, 12]\ngrid = [0.0078125]"
    top = 'model = "a.keras"\nsteps = 9\noverflow = "wrap"\nweight_scales = "channel"'
    assert main(["sweep", str(write(folder, grid, top)), "-o", str(tmp_path / "out")]) == 0
    table = pd.read_csv(tmp_path / "out" / "sweep.csv")
    with np.load(folder / "x.npz") as data:
        images, labels = data["x_test"], data["y_test"]
    assert table[["weight_bits", "accumulator_bits"]].values.tolist() == [[3, 9], [3, 12], [8, 9], [8, 12]]
    for row in table.itertuples():
        how = {"weight_bits": row.weight_bits, "weight_scales": "channel", "grid": 2.0**-7}
        network = brian_snn.convert(folder / "a.keras", images, **how)
        bits = {"accumulator_bits": row.accumulator_bits, "overflow": "wrap"}
        result = brian_snn.simulate(network, images[:8], steps=9, backend="runtime", **bits)
        assert row.accuracy == np.mean(result.predictions == labels[:8])
        assert row.operations_per_image == snn_operations(result).mean() and row.verified


def test_without_pyarrow_there_is_the_csv_alone(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sweep, "find_spec", lambda name: None)
    assert main(["sweep", str(write(folder, "steps = [3]")), "-o", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["points", "sweep.csv"]
    assert f"wrote {tmp_path / 'out' / 'sweep.csv'}\n" in capsys.readouterr().out.replace("\n/", "/")


def test_more_values_simulate_only_what_is_new(folder, tmp_path, monkeypatch):
    simulated, simulate = [], sweep.simulate
    monkeypatch.setattr(sweep, "simulate", lambda *a, **kw: simulated.append(a[2].steps) or simulate(*a, **kw))
    out = ["-o", str(tmp_path / "out")]
    assert main(["sweep", str(write(folder, "steps = [3, 5]")), *out]) == 0
    assert main(["sweep", str(write(folder, "steps = [3, 4, 5]")), *out]) == 0
    assert simulated == [3, 5, 4]
    assert pd.read_csv(tmp_path / "out" / "sweep.csv")["steps"].tolist() == [3, 4, 5]


def test_an_interrupted_sweep_goes_on(folder, tmp_path, monkeypatch, capsys):
    simulate = sweep.simulate

    def interrupt(network, images, settings, **options):
        if settings.steps == 5:
            raise KeyboardInterrupt
        return simulate(network, images, settings, **options)

    command = ["sweep", str(write(folder, "steps = [3, 5]")), "-o", str(tmp_path / "out")]
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "simulate", interrupt)
        assert main(command) == 2
    assert f"{tmp_path / 'out'} keeps 1 point(s), and the same command goes on" in capsys.readouterr().err
    assert len(list((tmp_path / "out" / "points").iterdir())) == 1
    assert main(command) == 0
    assert pd.read_csv(tmp_path / "out" / "sweep.csv")["steps"].tolist() == [3, 5]


def test_what_an_interrupted_point_left_does_not_stand_in_the_way_of_others(folder, tmp_path, monkeypatch, capsys):
    simulate = sweep.simulate

    def interrupt(*arguments, **options):
        simulate(*arguments, **options)
        raise KeyboardInterrupt

    out = ["-o", str(tmp_path / "out")]
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "simulate", interrupt)
        assert main(["sweep", str(write(folder, "steps = [3]")), *out]) == 2
    assert main(["sweep", str(write(folder, "steps = [4, 5]")), *out]) == 0
    assert pd.read_csv(tmp_path / "out" / "sweep.csv")["steps"].tolist() == [4, 5]
    assert len(list((tmp_path / "out" / "running").iterdir())) == 1


def test_a_model_is_read_once_and_classifies_once(folder, tmp_path, monkeypatch, capsys):
    import keras

    read, classified, load_model, predict = [], [], sweep.load_model, keras.Model.predict

    def count(model, images, **options):
        classified.append(len(images))
        return predict(model, images, **options)

    monkeypatch.setattr(sweep, "load_model", lambda path: read.append(path.name) or load_model(path))
    monkeypatch.setattr(keras.Model, "predict", count)
    path = write(folder, "percentile = [80, 90, 100]\nsteps = [2, 3]")
    assert main(["sweep", str(path), "-o", str(tmp_path / "out")]) == 0
    assert read == ["a.keras"] and classified.count(8) == 1


@pytest.mark.parametrize(
    ("top", "grid", "message"),
    [
        ('model = "a.keras"', "stepps = [1]", r"'stepps' is unknown at \[grid\]"),
        ('model = "a.keras"\nsteep = 1', "steps = [1]", "'steep' is unknown at the top"),
        ('model = "a.keras"', "steps = 1", r"steps in \[grid\] is 1; a list"),
        ('model = "a.keras"\nsteps = 2', "steps = [1]", r"steps stands at the top and in \[grid\]"),
        ('model = "a.keras"', "steps = [0]", "steps is 0"),
        ('model = "a.keras"', 'reset = ["soft"]', "reset is 'soft'"),
        ('model = "a.keras"', 'threshold = ["high"]', "sweep.toml: threshold is 'high'; it must be a number"),
        ('model = "a.keras"', 'percentile = ["high"]', "sweep.toml: percentile is 'high'; it must be a number"),
        ('model = "a.keras"', "percentile = [0]", "sweep.toml: percentile is 0.0; it must be above 0"),
        ('model = "a.keras"', "grid = [0.3]", "sweep.toml: grid is 0.3; it must be a power of two"),
        ('model = "a.keras"', "normalisation = [1]", "sweep.toml: normalisation is 1; it must be one of"),
        ('model = "a.keras"\nverify = "no"', "steps = [1]", "sweep.toml: verify is 'no'; it must be true or false"),
        ("", "model = [1]", "sweep.toml: model is 1; it must be the name of a file"),
        ("", 'model = ["a.keras", "c.keras"]', "sweep.toml: model is 'c.keras'; there is no such file in"),
        ('model = "a.keras"', "steps = [5, 6, 5.0]", "sweep.toml: .* gives {'steps': 5} twice"),
        ("", "steps = [1]", "model is missing"),
        ("model =", "steps = [1]", "no TOML file"),
    ],
)
def test_a_bad_entry_is_named(folder, top, grid, message):
    with pytest.raises(SettingError, match=message):
        sweep.read_sweep(write(folder, grid, top))


def test_a_folder_of_something_else_is_refused(folder, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["sweep", str(write(folder, "steps = [1]")), "-o", str(tmp_path)]) == 2
    assert "notes.txt" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_row_that_a_power_cut_damaged_is_made_again(folder, tmp_path, capsys):
    command = ["sweep", str(write(folder, "steps = [3, 5]")), "-o", str(tmp_path / "out")]
    assert main(command) == 0
    before = pd.read_csv(tmp_path / "out" / "sweep.csv").drop(columns="seconds")
    next((tmp_path / "out" / "points").iterdir()).write_text('{"accuracy": 0.')
    (tmp_path / "out" / ".sweep.csv.x.part").touch()
    assert main(command) == 0
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out" / "sweep.csv").drop(columns="seconds"), before)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("images = true", "images is True; it must be a whole number"),
        ('images = "ten"', "images is 'ten'"),
        ("images = 2.5", "images is 2.5"),
        ('data = "y.npz"', "data is 'y.npz'; there is no such file"),
        ("calibration = 3", "calibration is 3; it must be the name of a file"),
    ],
)
def test_a_bad_entry_at_the_top_is_named(folder, line, message):
    path = write(folder, "steps = [1]")
    name = line.split(" =")[0]
    lines = [line if old.startswith(f"{name} =") else old for old in path.read_text().splitlines()]
    path.write_text("\n".join(lines))
    with pytest.raises(SettingError, match=f"sweep.toml: {message}"):
        sweep.read_sweep(path)

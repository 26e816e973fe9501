"""Figure S1 from end to end on a small stand-in for Inception-V3, and the weights it can be given."""

import importlib.util
import json
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers as k
from PIL import Image

from brian_snn.cli import figure
from brian_snn.cli.main import main
from brian_snn.errors import DataError, ModelError, OutputError, SettingError
from brian_snn.frontends.keras import applications as keras_applications
from brian_snn.frontends.keras.applications import Inception, load_inception, pool_branch_layer
from brian_snn.plotting.figure_s1 import FigureS1, load_data, plot_figure_s1, tile
from brian_snn.settings import Execution
from brian_snn.studies import s1
from tests.models import outputs_of, trained_like

SIDE, STEPS, CLAMP = 9, 60, 4
FILES = {"figure_s1.json", "figure_s1.npz", "figure_s1.pdf", "figure_s1.png", "files.txt"}
SCRIPTS = Path(__file__).resolve().parents[1] / "figures"


def stand_in():
    """Return a model with a concatenation called mixed0 whose last branch pools, and more layers behind it."""
    image = keras.Input((SIDE, SIDE, 3))
    x = k.Conv2D(4, 2, activation="relu", name="stem")(image)
    pooled = k.AveragePooling2D(3, 1, padding="same", name="average")(x)
    branches = []
    for name, source in (("one", x), ("pool", pooled)):
        y = k.Conv2D(3, 1, use_bias=False, name=f"{name}_conv")(source)
        branches.append(k.Activation("relu", name=f"{name}_relu")(k.BatchNormalization(name=f"{name}_norm")(y)))
    mixed = k.Concatenate(name="mixed0")(branches)
    return trained_like(keras.Model(image, k.LSTM(2)(k.Reshape((-1, 6))(mixed))), 7)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Return a folder of four photos."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(3)
    for name in "abcd":
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def model():
    """Return the stand-in."""
    return stand_in()


@contextmanager
def in_place_of_inception(model):
    """Give the command a model with pixels from -1 to 1 instead of Inception-V3."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s1, "load_inception", lambda weights: Inception(model, "made up", (-1.0, 1.0)))
        yield


@pytest.fixture
def small(model):
    """Put the stand-in in the place of Inception-V3 for one test."""
    with in_place_of_inception(model):
        yield


def draw(photos, output, **changes):
    """Draw the figure from a short run that needs no compiler; return the exit code."""
    given = {"weights": "w.h5", "photo": photos / "b.png", "percentile": 99.0}
    short = {"steps": STEPS, "clamp": CLAMP, "backend": "runtime"}
    return figure.draw(figure.FIGURES[0], given | short | changes, Execution(), output)


@pytest.fixture(scope="module")
def drawn(photos, tmp_path_factory, model):
    """Return the folder that the command wrote."""
    folder = tmp_path_factory.mktemp("drawn") / "out"
    with in_place_of_inception(model):
        assert draw(photos, folder) == 0
    return folder


def test_it_writes_the_figure_its_numbers_and_what_it_shows(drawn):
    assert {path.name for path in drawn.iterdir()} == FILES


def test_the_numbers_are_those_of_the_stored_rates(drawn):
    summary = json.loads((drawn / "figure_s1.json").read_text())
    data = load_data(drawn / "figure_s1.npz", summary)
    for name, rates in (("unclamped", data.rates_unclamped), ("clamped", data.rates_clamped)):
        offsets = (rates - data.activations).reshape(-1, 3).mean(axis=0)
        assert summary[f"map_offset_{name}"] == pytest.approx(np.abs(offsets).mean(), abs=1e-6)
        correlation = np.corrcoef(rates.ravel(), data.activations.ravel())[0, 1]
        assert summary[f"pearson_{name}"] == pytest.approx(correlation, abs=1e-6)


def test_the_rates_are_whole_numbers_of_spikes_over_each_window(drawn):
    data = load_data(drawn / "figure_s1.npz", {})
    # Three layers: the last one is clamped for two times the clamp.
    for rates, window in ((data.rates_unclamped, STEPS), (data.rates_clamped, STEPS - 2 * CLAMP)):
        counts = rates * window
        np.testing.assert_allclose(counts, np.rint(counts), atol=1e-4)
        assert counts.max() >= 1


def test_the_settings_are_noted(drawn):
    summary = json.loads((drawn / "figure_s1.json").read_text())
    expected = {"steps": STEPS, "clamp": CLAMP, "percentile": 99.0, "weights": "made up", "photo": "b.png"}
    assert {name: summary[name] for name in expected} == expected
    assert summary["calibration_photos"] == 4


@pytest.mark.parametrize("name", ["unclamped", "clamped"])
def test_what_was_verified_is_noted(drawn, name):
    summary = json.loads((drawn / "figure_s1.json").read_text())
    assert summary[f"max_residual_charge_{name}"] == 0
    # Charge and synapses of every neuron; S11 only where the input is constant.
    assert 2 * summary["neurons"] <= summary[f"checks_{name}"] <= 4 * summary["neurons"]


def test_the_activations_are_those_of_keras_over_lambda(drawn, model, photos):
    pixels = np.asarray(Image.open(photos / "b.png"), float) / 127.5 - 1
    everything = np.stack([np.asarray(Image.open(photos / f"{n}.png"), float) / 127.5 - 1 for n in "abcd"])
    relu = keras.Model(model.inputs, model.get_layer("pool_relu").output)
    positive = outputs_of(relu, everything)
    scale = np.percentile(positive[positive > 0], 99.0)
    found = load_data(drawn / "figure_s1.npz", {}).activations
    np.testing.assert_allclose(found, outputs_of(relu, pixels[None])[0] / scale, rtol=1e-4, atol=1e-5)


def test_the_script_draws_the_same_figure_again(drawn, tmp_path):
    again = tmp_path / "again"
    again.mkdir()
    for name in ("figure_s1.json", "figure_s1.npz"):
        shutil.copy(drawn / name, again)
    script("figure_s1").main(again)
    first, second = (np.asarray(Image.open(folder / "figure_s1.png"), float) for folder in (drawn, again))
    # Stored in single precision, so that a colour may be rounded to its neighbour.
    assert np.abs(first - second).mean() < 0.1


def test_the_sweep_is_drawn_from_its_table(tmp_path):
    depths = {"shallow": 1, "deep": 2}
    rows = [
        {"reset": reset, "clamp": clamp, "step": step, "population": name, "depth": depth}
        | {"mean_abs_offset": depth / step, "pearson_r": 1 - 1 / step}
        for reset in ("subtraction", "zero")
        for clamp in (0, 10)
        for step in (100, 200)
        for name, depth in depths.items()
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "offsets.csv", index=False)
    script("clamp_transients").main(tmp_path, tmp_path)
    assert (tmp_path / "clamp_transients.png").stat().st_size > 10_000


def script(name):
    """Import a figure script."""
    spec = importlib.util.spec_from_file_location(f"figures_{name}", SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("change", [{"clamp": 0}, {"steps": 8}], ids=["no clamp", "clamped to the end"])
def test_settings_without_a_figure_are_refused(photos, tmp_path, small, change):
    with pytest.raises(SettingError, match="clamp is"):
        draw(photos, tmp_path / "out", **change)
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_files_is_left_alone(photos, tmp_path, small):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError):
        draw(photos, tmp_path)


def test_a_missing_photo_is_refused(photos, tmp_path, small):
    with pytest.raises(DataError, match=r"z\.png: there is no such file"):
        draw(photos, tmp_path / "out", photo=photos / "z.png")


class TestWeights:
    def test_the_layer_is_found_whatever_its_name(self):
        assert pool_branch_layer(stand_in()) == "pool_relu"

    @pytest.mark.parametrize(
        ("content", "match"), [(None, "no such file"), (b"not a weights file", "cannot load them.*check the file")]
    )
    def test_files_that_are_no_weights_are_refused(self, tmp_path, monkeypatch, content, match):
        path = tmp_path / "inception.weights.h5"
        if content is not None:
            path.write_bytes(content)
        monkeypatch.setattr(keras.applications, "InceptionV3", lambda **_: stand_in())
        with pytest.raises(ModelError, match=match):
            load_inception(str(path))

    def test_a_failed_download_says_what_to_do(self, monkeypatch):
        def offline(**_):
            raise Exception("URL fetch failure on https://example.org: None -- [Errno -2] Name or service not known")

        monkeypatch.setattr(keras.applications, "InceptionV3", offline)
        with pytest.raises(ModelError, match="'imagenet': .*URL fetch failure.*without a network, give the path"):
            load_inception("imagenet")

    @pytest.mark.parametrize(
        ("known", "label", "pixels"), [(False, "own.weights.h5", (0.0, 1.0)), (True, "well known", (-1.0, 1.0))]
    )
    def test_weights_are_known_by_their_hash(self, tmp_path, monkeypatch, known, label, pixels):
        import hashlib

        model = stand_in()
        model.save_weights(tmp_path / "own.weights.h5")
        digest = hashlib.md5((tmp_path / "own.weights.h5").read_bytes()).hexdigest()
        files = {digest: ("well known", (-1.0, 1.0))} if known else {}
        monkeypatch.setattr(keras_applications, "_KNOWN_FILES", files)
        monkeypatch.setattr(keras.applications, "InceptionV3", lambda **_: stand_in())
        inception = load_inception(str(tmp_path / "own.weights.h5"))
        assert (inception.weights, inception.pixels) == (label, pixels)
        for loaded, saved in zip(inception.model.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(loaded, saved)

    def test_imagenet_weights_take_pixels_from_minus_one_to_one(self, monkeypatch):
        monkeypatch.setattr(keras.applications, "InceptionV3", lambda **given: given["weights"])
        inception = load_inception("imagenet")
        assert (inception.model, inception.pixels) == ("imagenet", (-1.0, 1.0))


def test_the_command_line_names_what_is_wrong(tmp_path, photos, capsys):
    arguments = ["--weights", f"{tmp_path}/no.h5", "--photo", f"{photos}/a.png", "-o", f"{tmp_path}/out"]
    assert main(["figure", "s1", *arguments]) == 2
    assert "no.h5: there is no such file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


class TestPlot:
    @pytest.fixture
    def data(self):
        rng = np.random.default_rng(1)
        maps = [rng.uniform(size=(4, 5, 6)) for _ in range(3)]
        numbers = {f"{a}_{b}": 0.25 for a in ("pearson", "map_offset") for b in ("unclamped", "clamped")}
        summary = numbers | {"steps": 50, "clamp": 7, "percentile": 99.9, "weights": "somebody's"}
        return FigureS1(np.zeros((8, 8, 3), np.uint8), *maps, rng.normal(size=6), summary)

    @pytest.fixture
    def panels(self, data):
        axes = plot_figure_s1(data).axes
        return {a.get_title(loc="left")[:3]: a for a in axes if a.get_title(loc="left")}

    def test_there_are_six_panels(self, panels):
        assert sorted(panels) == ["(a)", "(b)", "(c)", "(d)", "(e)", "(f)"]

    def test_the_heat_maps_hold_every_map_in_its_place(self, panels, data):
        for letter, maps in zip("ace", (data.activations, data.rates_unclamped, data.rates_clamped), strict=True):
            (image,) = panels[f"({letter})"].images
            for number in range(6):
                left = 6 * number
                assert (image.get_array()[:4, left : left + 5] == maps[:, :, number]).all()

    def test_the_heat_maps_have_one_colour_scale(self, panels):
        limits = {panels[f"({letter})"].images[0].get_clim() for letter in "ace"}
        assert len(limits) == 1

    def test_the_correlations_show_every_neuron(self, panels, data):
        for letter, rates in (("d", data.rates_unclamped), ("f", data.rates_clamped)):
            (points,) = panels[f"({letter})"].collections
            found = {tuple(point) for point in points.get_offsets().tolist()}
            assert found == set(zip(data.activations.ravel().tolist(), rates.ravel().tolist(), strict=True))

    @pytest.mark.parametrize(("factor", "named"), [(0.9, True), (1.1, False)])
    def test_saturation_is_named_where_the_largest_are_below_the_diagonal(self, data, factor, named):
        rates = data.activations * factor
        panel = plot_figure_s1(replace(data, rates_unclamped=rates)).axes[4]
        assert panel.get_title(loc="left").startswith("(d)")
        assert any("saturation" in text.get_text() for text in panel.texts) == named

    def test_maps_fill_row_after_row_with_a_gap_between_them(self):
        image = tile(np.arange(1.0, 4.0) * np.ones((2, 2, 3)), columns=2)
        gap = np.nan
        rows = [[1, 1, gap, 2, 2]] * 2 + [[gap] * 5] + [[3, 3, gap, gap, gap]] * 2
        np.testing.assert_array_equal(image, rows)

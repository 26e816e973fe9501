"""`brian-snn demo` on a small model: what it writes, and what it says when a check fails."""

import numpy as np
import pandas as pd
import pytest

import brian_snn
from brian_snn.__main__ import main
from brian_snn.cli import demo
from brian_snn.datasets import Dataset
from tests import models


@pytest.fixture(scope="module")
def small_demo(tmp_path_factory):
    """Return load_demo's answer for a small CNN and four random images, the first with a wrong label."""
    import keras

    layers = [keras.layers.Conv2D(2, 3, activation="relu", name="conv"), keras.layers.MaxPooling2D(2, name="pool")]
    head = [keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax", name="logits")]
    model = models.trained_like(keras.Sequential([keras.Input((6, 6, 1)), *layers, *head]), seed=3)
    path = tmp_path_factory.mktemp("demo") / "small.keras"
    model.save(path)
    images = models.images_for(model, 4).astype(float)
    labels = np.asarray(model(images)).argmax(axis=1)
    labels[0] = (labels[0] + 1) % 3
    return path, Dataset(images, labels, "random"), Dataset(images, None, "random")


@pytest.fixture(scope="module")
def output(tmp_path_factory, small_demo):
    """Return the folder of a demo of the small model, run without a compiler."""
    output = tmp_path_factory.mktemp("demo") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "load_demo", lambda: small_demo)
        assert main(command(output)) == 0
    return output


def command(output):
    return ["demo", "--backend", "runtime", "--steps", "4", "-o", f"{output}"]


def test_it_writes_network_results_tables_and_figures(output):
    names = {path.name for path in output.iterdir()}
    assert names >= {"network.npz", "result_subtraction", "result_zero", "digits.png", "rate_equations.png"}
    assert names >= {"populations.csv", "verification.csv", "summary.csv", "accuracy_over_time.csv"}
    assert names >= {"correlation_zero.png", "correlation_subtraction.png", "spike_raster.png"}


@pytest.mark.parametrize("reset", demo.RESETS)
def test_the_operations_are_those_counted_by_hand(output, reset):
    # 3x3 on 6x6 pixels leaves 4x4 in two channels; each neuron is in one window of 2x2, whose unit has 3 targets.
    table = pd.read_csv(output / "operations.csv").query("reset == @reset")
    sizes = [["conv", 32, 32 * 9], ["pool", 8, 32], ["logits", 3, 8 * 3]]
    assert table[["population", "neurons", "synapses"]].values.tolist() == sizes
    counts = brian_snn.load_result(output / f"result_{reset}").spike_counts
    sent = [counts["conv"].sum() / 4, counts["pool"].sum() / 4 * 3, 0]
    assert table["events_per_image"].tolist() == sent and min(sent[:2]) > 0


@pytest.mark.parametrize("reset", demo.RESETS)
def test_each_result_has_its_reset_and_holds(output, reset):
    result = brian_snn.load_result(output / f"result_{reset}")
    assert result.settings.reset == reset
    assert brian_snn.verify(result)["holds"].all()


@pytest.mark.parametrize("reset", demo.RESETS)
def test_each_result_has_the_labels_that_a_report_needs(output, reset, small_demo):
    assert (np.load(output / f"result_{reset}" / "labels.npy") == small_demo[1].labels).all()


def test_the_summary_has_the_accuracy_of_keras(output):
    # One of the four labels was made wrong.
    assert pd.read_csv(output / "summary.csv").iloc[0, 1] == "75.00 %"


@pytest.mark.parametrize("reset", demo.RESETS)
def test_the_accuracy_curve_ends_at_the_accuracy(output, reset, small_demo):
    curve = pd.read_csv(output / "accuracy_over_time.csv")
    right = brian_snn.load_result(output / f"result_{reset}").predictions == small_demo[1].labels
    assert curve["time_ms"].tolist() == [1, 2, 3, 4]
    assert curve[reset].iloc[-1] == right.mean()


def test_a_failed_verification_is_said_exits_1_and_replaces_the_folder(output, small_demo, monkeypatch, capsys):
    simulate = demo.simulate

    def miscount(*arguments, **options):
        result = simulate(*arguments, **options)
        result.spike_counts["conv"].flat[0] += 1
        return result

    monkeypatch.setattr(demo, "simulate", miscount)
    monkeypatch.setattr(demo, "load_demo", lambda: small_demo)
    assert main(command(output)) == 1
    assert "VERIFICATION FAILED" in capsys.readouterr().out
    assert not pd.read_csv(output / "verification.csv")["holds"].all()

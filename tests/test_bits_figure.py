"""The figure of the bits: what it counts, and what is on its axes."""

import numpy as np
import pandas as pd
import pytest

import brian_snn
from brian_snn.analysis.energy import EnergyModel, energy
from brian_snn.datasets import Dataset
from brian_snn.plotting.bits import plot_bits
from brian_snn.settings import Execution, Settings
from brian_snn.studies import bits
from brian_snn.studies.subjects import Classifier
from tests import models

PARAMS = {"scales": "channel", "finer_biases": 1, "grid": 2.0**-8}
SETTINGS = Settings(12, backend="runtime")


@pytest.fixture(scope="module")
def digits(cnn_model):
    images = models.images_for(cnn_model, 5).astype(float)
    return Classifier(cnn_model, Dataset(images, np.arange(5) % 3, "five images"), images)


@pytest.fixture(scope="module")
def network(digits):
    return bits.rounded_network(digits.network(), 4, PARAMS)


def test_zero_bits_are_the_network_as_it_is(digits, network):
    plain = digits.network()
    assert bits.rounded_network(plain, 0, PARAMS) is plain
    assert network.provenance["weight_bits"] == "4 by channel, biases 1 finer" and network.grid == 2.0**-8


def test_errors_and_energy_are_those_of_the_runs(digits, network):
    model = EnergyModel(weight_bits=4, potential_bits=10)
    curve, end = bits.error_curve(network, digits, SETTINGS, Execution(shard_size=2), 3, model)
    assert curve["steps"].tolist() == [1, 3, 12]
    for row in curve.itertuples():
        run = brian_snn.simulate(network, digits.test.images, steps=row.steps, backend="runtime")
        assert (row.wrong, row.images) == (np.sum(run.predictions != digits.labels), 5)
        assert row.low <= row.wrong / 5 <= row.high
    estimate = energy(run, model).set_index("network")
    assert end["additions"].item() == pytest.approx(run.synaptic_events.mean(), rel=1e-12)
    assert end["spiking_nj"].item() == pytest.approx(estimate.loc["spiking", "total_nj"], rel=1e-12)
    assert end["trained_nj"].item() == pytest.approx(estimate.loc["trained", "total_nj"], rel=1e-12)


def test_the_bits_taken_are_those_of_every_step(digits, network):
    widths, report = bits.potential_widths(network, digits, SETTINGS, 2)
    assert report["holds"].all()
    names = list(widths["population"])
    run = brian_snn.simulate(network, digits.test.images[:2], steps=12, backend="runtime", record_potentials=names)
    for row in widths.itertuples():
        trace = np.asarray(run.potential_traces[row.population]) / row.unit
        assert np.array_equal(trace, np.rint(trace))
        half = 2.0 ** (row.measured_bits - 1)
        assert -half <= trace.min() and trace.max() < half
        assert trace.min() < -half / 2 or trace.max() >= half / 2
        assert row.measured_bits <= row.bits


def test_what_is_drawn():
    curves = pd.DataFrame(
        [
            {"weight_bits": n, "steps": steps, "wrong": wrong, "images": 50, "low": 0.1, "high": 0.5}
            for n, last in ((4, 5), (0, 0))
            for steps, wrong in ((1, 20), (10, last))
        ]
    )
    widths = pd.DataFrame({"population": ["a", "b"], "bits": [12, 15], "measured_bits": [9, 14], "weight_bits": 4})
    narrow = pd.DataFrame(
        [
            {"overflow": overflow, "potential_bits": n, "wrong": n - 8, "images": 50, "low": 0.0, "high": 0.9}
            for overflow in ("saturate", "wrap")
            for n in (8, 10)
        ]
    )
    steps, widths_axes, errors = plot_bits(curves, widths, narrow).axes
    lines = {line.get_label(): list(line.get_ydata()) for line in steps.lines}
    # No error is drawn as half an image.
    assert lines == {"4 bits": [40, 10], "not rounded": [40, 1]}
    assert widths_axes.get_title(loc="left") == "(b)  width of V, weights of 4 bits"
    proved, taken = (collection.get_offsets().tolist() for collection in widths_axes.collections[1:3])
    assert (proved, taken) == ([[12, 1], [15, 0]], [[9, 1], [14, 0]])
    assert [label.get_text() for label in widths_axes.get_yticklabels()] == ["a", "b"]
    upright = {line.get_label(): line.get_xdata()[0] for line in errors.lines if line.get_label().startswith("most")}
    assert upright == {"most bits taken": 14, "most bits proved": 15}
    drawn = {box.get_label(): list(box.lines[0].get_ydata()) for box in errors.containers}
    assert drawn == {"saturates": [1, 4], "wraps": [1, 4]}

"""The spiking softmax: how often each output neuron is chosen, and what `verify` says of it."""

import numpy as np
import pandas as pd
import pytest

from brian_snn import simulate, verify
from brian_snn.analysis.ann import compare_with_ann
from brian_snn.errors import SettingError
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from tests.small_network import GRID, STEPS, small_images, small_network, to_grid


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def images():
    return small_images()


def readout_network(currents):
    """Return an output layer with constant currents, which the image does not change."""
    size = len(currents)
    image = Projection(INPUT, "out", Geometry("dense", (1,), (size,)), np.zeros((1, size)))
    return Network((Population("out", "readout", (size,), to_grid(currents), 1),), (image,), (1,), grid=GRID)


def run(currents, n_images, steps, **options):
    """Return the result of images that say nothing."""
    images = np.zeros((n_images, 1))
    return simulate(readout_network(currents), images, steps=steps, backend="runtime", readout="softmax", **options)


@pytest.mark.parametrize("threshold", [1.0, 1.75])
def test_a_neuron_is_chosen_with_the_probability_of_the_softmax(threshold):
    currents, n_images = np.array([0.5, 1.5, -1.0, 0.0]), 2000
    # One step, so that all potentials are known; every image has draws of its own.
    counts = run(currents, n_images, 1, threshold=threshold, output_rate=1.0).spike_counts["out"]
    probabilities = np.exp(currents) / np.exp(currents).sum()
    assert (counts.sum(axis=1) == 1).all()
    chi_squared = np.sum((counts.sum(axis=0) - n_images * probabilities) ** 2 / (n_images * probabilities))
    # 21.1 is passed once in 10,000 seeds at three degrees of freedom.
    assert chi_squared < 21.1


def test_the_generator_has_its_rate():
    counts = run(np.zeros(3), 20, 500, output_rate=0.2).spike_counts["out"]
    # 10,000 steps: five standard deviations are 200.
    assert abs(counts.sum() - 2000) < 200
    assert np.ptp(counts.sum(axis=0)) < 200


def test_with_time_the_softmax_becomes_a_maximum():
    result = run([0.25, 0.75, -0.5], 2, 400, record_spikes=("out",))
    late = result.spike_trains["out"][result.spike_trains["out"][:, 1] > 100]
    # After 100 steps the largest potential leads by 50 thresholds.
    assert (late[:, 2] == 1).all() and len(late)
    assert result.predictions.tolist() == [1, 1]


def test_it_answers_where_all_potentials_are_negative():
    spiking = simulate(readout_network([-0.5, -0.25]), np.zeros((1, 1)), steps=50, backend="runtime", readout="spikes")
    assert not spiking.spike_counts["out"].any()
    assert run([-0.5, -0.25], 1, 50).predictions.tolist() == [1]


def test_it_leaves_the_potentials_as_they_are(network, images):
    potential, softmax = (
        simulate(network, images, steps=STEPS, backend="runtime", readout=readout)
        for readout in ("potential", "softmax")
    )
    for name in ("out", "mixed"):
        assert np.array_equal(potential.potentials[name], softmax.potentials[name])
    activations = {"out": np.linspace(-1, 1, 12).reshape(3, 4)}
    pd.testing.assert_frame_equal(compare_with_ann(potential, activations), compare_with_ann(softmax, activations))


def test_every_row_of_verify_holds_exactly(network, images):
    report = verify(simulate(network, images, steps=STEPS, backend="runtime", readout="softmax", clamp=2))
    rows = report[report["population"] == "out"].set_index("equation")
    assert rows.loc[["charge", "synapses", "softmax"], "applicable"].all()
    assert (rows.loc[["charge", "synapses", "softmax"], "max_residual_charge"] == 0).all() and report["holds"].all()


def test_a_wrong_spike_is_found(network, images):
    result = simulate(network, images, steps=STEPS, backend="runtime", readout="softmax")
    result.spike_counts["out"][2, 1] += 1
    failed = verify(result).query("not holds")
    assert failed[["population", "equation"]].values.tolist() == [["out", "softmax"], ["out", "spikes"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_rate": 0.0}, "output_rate is 0.0; it must be above 0 and at most 1"),
        ({"output_rate": 1.5}, "output_rate is 1.5"),
        ({"schedule": "brian2"}, "readout is 'softmax'; with schedule='brian2'"),
    ],
)
def test_settings_outside_their_range_are_refused(options, message):
    with pytest.raises(SettingError, match=message):
        run([0.5], 1, 5, **options)

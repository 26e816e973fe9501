"""What Brian2's default order of a step (thresholds, synapses, resets) loses, and why it is not the default here."""

import numpy as np
import pytest

import brian_snn
from tests.models import images_for, mlp
from tests.oracles import simulate_oracle

STEPS = 200


@pytest.fixture(scope="module")
def model():
    return mlp(seed=0)


@pytest.fixture(scope="module")
def images(model):
    return images_for(model, 4, seed=3)


@pytest.fixture(scope="module")
def network(model):
    return brian_snn.convert(model, images_for(model, 50), percentile=100.0)


@pytest.fixture(scope="module")
def counts(network, images):
    """Return spike counts by (schedule, reset)."""
    return {
        (schedule, reset): brian_snn.simulate(
            network, images, steps=STEPS, reset=reset, schedule=schedule, backend="runtime"
        ).spike_counts
        for schedule in ("same_step", "brian2")
        for reset in ("subtraction", "zero")
    }


def test_the_first_layer_loses_at_most_one_spike(counts):
    # Its input is a current: only the step at the end of the run may differ.
    for reset in ("subtraction", "zero"):
        difference = counts["same_step", reset]["hidden"] - counts["brian2", reset]["hidden"]
        assert np.abs(difference).max() <= 1


def test_reset_to_zero_loses_spikes_in_brian2s_order(counts):
    for name in ("hidden", "second"):
        assert counts["brian2", "zero"][name].sum() <= counts["same_step", "zero"][name].sum()
    assert counts["brian2", "zero"]["second"].sum() < counts["same_step", "zero"]["second"].sum()


@pytest.mark.parametrize(
    ("schedule", "reset", "expected"),
    [
        ("same_step", "subtraction", [200, 200, 200]),
        ("same_step", "zero", [200, 200, 200]),
        # A layer fires a step after its source: two layers down, the last two spikes of the run are missing.
        ("brian2", "subtraction", [200, 199, 198]),
        # The charge that arrives with a spike is wiped out: the second layer fires in every other step. What it sends
        # falls into the steps between the third layer's spikes, which all get through but the last, too late to fire.
        ("brian2", "zero", [200, 100, 99]),
    ],
)
def test_a_chain_of_saturated_neurons_shows_the_loss(schedule, reset, expected):
    network = brian_snn.convert(chain(), np.ones((1, 1)), percentile=100.0)
    result = brian_snn.simulate(
        network, np.ones((1, 1)), steps=STEPS, reset=reset, schedule=schedule, backend="runtime"
    )
    assert [int(result.spike_counts[name].sum()) for name in ("first", "second", "third")] == expected


def chain():
    """Return three single neurons in a row, joined by weights of 1."""
    import keras

    stack = [keras.layers.Dense(1, activation="relu", name=name) for name in ("first", "second", "third")]
    model = keras.Sequential([keras.Input((1,)), *stack, keras.layers.Dense(1, name="logits")])
    for layer in model.layers:
        layer.set_weights([np.ones((1, 1)), np.zeros(1)])
    return model


def test_reset_by_subtraction_loses_at_most_the_lag(counts, network):
    difference = counts["same_step", "subtraction"]["second"] - counts["brian2", "subtraction"]["second"]
    weights = network.into("second")[0].weights
    # One step of lag withholds at most one spike of every source.
    assert np.abs(difference).max() <= np.ceil(np.abs(weights).sum(axis=0).max()) + 1


def test_the_default_schedule_is_that_of_the_rate_equations(model, network, images):
    result = brian_snn.simulate(network, images, steps=STEPS, reset="zero", backend="runtime")
    scales = {population.name: population.scale for population in network.populations}
    trace = simulate_oracle(model, scales, images, STEPS, reset="zero")
    assert np.array_equal(result.spike_counts["second"], trace["second"].counts)

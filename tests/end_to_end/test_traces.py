"""S1 to S11 step by step, on what Brian2 recorded of every neuron of a first hidden layer."""

import numpy as np
import pytest

from brian_snn import simulate
from brian_snn.analysis import equations
from brian_snn.network.parameters import input_currents, scaled_parameters
from tests.small_network import small_images, small_network

STEPS = 60


def recorded(reset, threshold, v_init):
    """Simulate two images and return the trace of the layer, its final measures and its current."""
    network, images = small_network(), small_images(2)
    result = simulate(
        network,
        images,
        steps=STEPS,
        reset=reset,
        threshold=threshold,
        v_init=v_init,
        backend="runtime",
        record_spikes=("conv",),
        record_potentials=("conv",),
    )
    parameters = scaled_parameters(network, result.settings)
    shape = result.spike_counts["conv"].shape
    spikes = np.zeros((STEPS, shape[0], network["conv"].size), int)
    image, step, neuron = result.spike_trains["conv"].T
    spikes[step - 1, image, neuron] = 1
    after = np.moveaxis(result.potential_traces["conv"], 1, 0)
    potentials = np.concatenate([np.full((1, *shape), parameters.v_init), after])
    current = input_currents(parameters, images)["conv"]
    return equations.Trace(potentials, spikes.reshape(STEPS, *shape), current, parameters.threshold), result


@pytest.fixture(scope="module")
def zero():
    return recorded("zero", 0.875, 0.0)


@pytest.fixture(scope="module")
def subtraction():
    return recorded("subtraction", 1.25, 0.375)


@pytest.mark.parametrize("number", ["s1", "s2"])
def test_sums_over_a_run_with_reset_to_zero_leave_nothing_over(zero, number):
    assert not getattr(equations, f"residual_{number}")(zero[0]).any()


@pytest.mark.parametrize("number", ["s3", "s4", "s5"])
def test_rates_over_a_run_with_reset_to_zero_leave_nothing_over(zero, number):
    trace, _ = zero
    residual = getattr(equations, f"residual_{number}")(trace)
    assert not residual[trace.current > 0].any()


@pytest.mark.parametrize("number", ["s6", "s8", "s9"])
def test_rate_laws_of_reset_to_zero_leave_nothing_over(zero, number):
    trace, result = zero
    counts, v_end = result.spike_counts["conv"], result.potentials["conv"]
    law = getattr(equations, f"residual_{number}")
    residual = law(counts, trace.current, STEPS, v_end, 0.0, trace.threshold)
    assert not residual[trace.current > 0].any()
    assert (trace.current > 0).sum() > 20


def test_reset_by_subtraction_leaves_nothing_over(subtraction):
    trace, result = subtraction
    counts, v_end = result.spike_counts["conv"], result.potentials["conv"]
    assert not equations.residual_s10(trace).any()
    assert not equations.residual_s11(counts, trace.current, STEPS, v_end, 0.375, trace.threshold).any()


def test_potential_before_a_spike_is_a_multiple_of_the_current(zero):
    trace, _ = zero
    n = equations.steps_to_threshold(trace.current, trace.threshold)
    before = trace.before[trace.spikes == 1]
    expected = np.broadcast_to((n - 1) * trace.current, trace.before.shape)[trace.spikes == 1]
    assert np.array_equal(before, expected)
    assert len(before) > 100

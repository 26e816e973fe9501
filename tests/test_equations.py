"""Equations S1 to S11 on traces of a plain loop of Eq. (4a)/(4b): every residual is exactly zero where it applies."""

import numpy as np
import pytest
from brian2 import Hz, ms, mV
from brian2.units.fundamentalunits import DimensionMismatchError
from hypothesis import given
from hypothesis import strategies as st

from brian_snn.analysis import equations, rates
from brian_snn.analysis.equations import Trace, steps_to_threshold, surplus_s7
from brian_snn.errors import DataError

GRID = 2.0**-24

dyadic_current = st.integers(round(-0.2 / GRID), round(1.5 / GRID)).map(lambda k: k * GRID)
dyadic_positive = st.integers(1, round(1.5 / GRID)).map(lambda k: k * GRID)
dyadic_threshold = st.integers(round(0.25 / GRID), round(3 / GRID)).map(lambda k: k * GRID)
dyadic_start = st.integers(round(-1.0 / GRID), round(2.0 / GRID)).map(lambda k: k * GRID)
durations = st.integers(1, 300)


def on_grid(number):
    return round(number / GRID) * GRID


def run(currents, v_init, threshold, reset):
    """One neuron, step by step; `currents` has a charge for every step."""
    potentials, spikes = [v_init], []
    for z in currents:
        u = potentials[-1] + z
        spike = u >= threshold
        after_spike = 0.0 if reset == "zero" else u - threshold
        potentials.append(after_spike if spike else u)
        spikes.append(int(spike))
    return np.array(potentials), np.array(spikes)


def constant_run(z, n_steps, v_init, threshold, reset):
    potentials, spikes = run([z] * n_steps, v_init, threshold, reset)
    return Trace(potentials, spikes, np.array(z), threshold)


def ending(trace):
    """N, z, T, V(T), V(0), V_thr: what the rate equations are asked about."""
    return trace.counts, trace.current, trace.n_steps, trace.potentials[-1], trace.potentials[0], trace.threshold


# --- step by step ---------------------------------------------------------------------------------------------------


@given(st.lists(dyadic_current, min_size=1, max_size=60), dyadic_start, dyadic_threshold)
def test_s1_is_exact_for_a_current_that_changes(currents, v_init, threshold):
    potentials, spikes = run(currents, v_init, threshold, "zero")
    assert equations.residual_s1(Trace(potentials, spikes, np.array(currents), threshold)) == 0


@pytest.mark.parametrize("number", ["s1", "s2", "s3", "s4"])
@given(dyadic_current, durations, dyadic_start, dyadic_threshold)
def test_reset_to_zero_is_exact_for_any_start(number, z, n_steps, v_init, threshold):
    trace = constant_run(z, n_steps, v_init, threshold, "zero")
    assert getattr(equations, f"residual_{number}")(trace) == 0


@given(dyadic_positive, durations, dyadic_threshold)
def test_s5_is_exact_from_zero(z, n_steps, threshold):
    assert equations.residual_s5(constant_run(z, n_steps, 0.0, threshold, "zero")) == 0


@given(dyadic_current, durations, dyadic_start, dyadic_threshold)
def test_s10_is_exact_for_any_start(z, n_steps, v_init, threshold):
    assert equations.residual_s10(constant_run(z, n_steps, v_init, threshold, "subtraction")) == 0


@pytest.mark.parametrize("number", ["s1", "s2", "s3", "s4", "s5", "s10"])
def test_a_spike_that_was_not_there_is_seen(number):
    reset = "subtraction" if number == "s10" else "zero"
    trace = constant_run(on_grid(0.3), 20, 0.0, 1.0, reset)
    spikes = trace.spikes.copy()
    spikes[1] = 1
    corrupt = Trace(trace.potentials, spikes, trace.current, trace.threshold)
    assert getattr(equations, f"residual_{number}")(corrupt) != 0


@pytest.mark.parametrize("number", ["s2", "s3", "s4", "s5", "s10"])
def test_a_current_that_changes_is_refused(number):
    currents = np.array([0.5, 0.5, 0.25])
    potentials, spikes = run(currents, 0.0, 1.0, "zero")
    with pytest.raises(DataError, match="constant"):
        getattr(equations, f"residual_{number}")(Trace(potentials, spikes, currents))


def test_traces_of_many_neurons_are_treated_one_by_one():
    currents = np.array([[0.5, -0.25, 1.25], [0.125, 0.75, 0.0]])
    potentials, spikes = np.zeros((41, 2, 3)), np.zeros((40, 2, 3), int)
    for index, z in np.ndenumerate(currents):
        potentials[:, *index], spikes[:, *index] = run([z] * 40, 0.0, 1.0, "zero")
    np.testing.assert_array_equal(equations.residual_s4(Trace(potentials, spikes, currents)), np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("potentials", "current", "word"), [((5,), (), "potentials"), ((6,), (3,), "current")], ids=["short", "odd"]
)
def test_shapes_that_do_not_fit_are_refused(potentials, current, word):
    with pytest.raises(DataError, match=word):
        Trace(np.zeros(potentials), np.zeros(5, int), np.zeros(current))


# --- n and epsilon --------------------------------------------------------------------------------------------------


@given(dyadic_positive, dyadic_threshold)
def test_n_is_the_exact_ceiling(z, threshold):
    whole_z, whole_threshold = int(z / GRID), int(threshold / GRID)
    assert steps_to_threshold(z, threshold) == -(-whole_threshold // whole_z)


@given(st.integers(1, 2**12), st.integers(1, 2**16))
def test_n_is_exact_where_the_threshold_is_a_multiple_of_z(n, whole_z):
    assert steps_to_threshold(whole_z * GRID, n * whole_z * GRID) == n


def test_a_tenth_on_the_grid_needs_ten_steps():
    _, spikes = run([on_grid(0.1)] * 12, 0.0, 1.0, "zero")
    assert steps_to_threshold(on_grid(0.1)) == 10 == np.argmax(spikes) + 1


def test_a_tenth_in_floating_point_needs_eleven_steps():
    _, spikes = run([0.1] * 12, 0.0, 1.0, "zero")
    assert np.argmax(spikes) + 1 == 11


@given(st.integers(round(0.02 / GRID), round(1.5 / GRID)).map(lambda k: k * GRID), dyadic_threshold)
def test_s7_is_the_surplus_at_the_first_spike(z, threshold):
    u = 0.0
    while u < threshold:
        u += z
    assert surplus_s7(z, threshold) == u - threshold


def test_without_a_positive_current_there_is_no_n():
    np.testing.assert_array_equal(np.isnan(steps_to_threshold(np.array([-0.5, 0.0, 0.5]))), [True, True, False])


# --- the rate laws --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["s6", "s8", "s9"])
@given(dyadic_positive, durations, dyadic_threshold)
def test_rate_laws_of_reset_to_zero_are_exact(number, z, n_steps, threshold):
    trace = constant_run(z, n_steps, 0.0, threshold, "zero")
    assert getattr(equations, f"residual_{number}")(*ending(trace)) == 0


@given(dyadic_current, durations, dyadic_start, dyadic_threshold)
def test_s11_is_exact_for_any_current_and_start(z, n_steps, v_init, threshold):
    assert equations.residual_s11(*ending(constant_run(z, n_steps, v_init, threshold, "subtraction"))) == 0


@pytest.mark.parametrize("number", ["s6", "s8", "s9", "s11"])
def test_a_surplus_spike_leaves_the_charge_of_a_spike(number):
    trace = constant_run(0.375, 20, 0.0, 1.0, "subtraction" if number == "s11" else "zero")
    counts, *rest = ending(trace)
    assert getattr(equations, f"residual_{number}")(counts + 1, *rest) == (1.0 if number == "s11" else 3 * 0.375)


@pytest.mark.parametrize("reset", ["zero", "subtraction"])
@given(st.lists(dyadic_current, min_size=1, max_size=60), dyadic_start, dyadic_threshold)
def test_the_charge_balance_is_exact_for_any_input(reset, currents, v_init, threshold):
    potentials, spikes = run(currents, v_init, threshold, reset)
    thrown_away = (potentials[:-1] + currents - threshold)[spikes == 1] if reset == "zero" else np.zeros(1)
    balance = equations.charge_balance(
        spikes.sum(), sum(currents), potentials[-1], potentials[0], thrown_away.sum(), threshold
    )
    assert balance == 0


@pytest.mark.parametrize("number", ["s6", "s8", "s9", "s11"])
@given(dyadic_positive, durations, dyadic_threshold)
def test_predicted_rates_are_the_measured_ones(number, z, n_steps, threshold):
    trace = constant_run(z, n_steps, 0.0, threshold, "subtraction" if number == "s11" else "zero")
    dt = 0.5 * ms
    rate = getattr(rates, f"rate_{number}")(z, trace.potentials[-1], 0.0, threshold, dt, n_steps * dt)
    # Rounded sums of terms of size a r_max: some ten roundings of the largest.
    bound = 1e-14 * (1 + z / threshold) * max(1.0, threshold / z) / float(dt)
    assert abs(float(rate / Hz) - float(trace.counts) / (n_steps * float(dt))) <= bound


def test_s11_holds_where_a_neuron_is_saturated():
    trace = constant_run(1.5, 10, 0.0, 1.0, "subtraction")
    assert (trace.counts, trace.potentials[-1], float(equations.residual_s11(*ending(trace)))) == (10, 5.0, 0.0)


@pytest.mark.parametrize("law", [rates.rate_s6, rates.rate_s8])
def test_s6_and_s8_as_printed_fail_for_another_start(law):
    """The supplement's counter-example: one spike in two steps, predicted 0.5417 r_max."""
    z = on_grid(0.4)
    trace = constant_run(z, 2, 0.5, 1.0, "zero")
    predicted = law(z, trace.potentials[-1], 0.5, 1.0, 1 * ms, 2 * ms, as_printed=True)
    assert trace.counts == 1
    assert float(predicted / (1000 * Hz)) == pytest.approx(0.4 / 1.2 * (1 + 0.5 / 0.8), abs=1e-7)


@pytest.mark.parametrize("number", ["s6", "s8", "s9"])
def test_rates_refuse_another_start(number):
    with pytest.raises(DataError, match=number.upper()):
        getattr(rates, f"rate_{number}")(0.4, 0.0, 0.5, 1.0, 1 * ms, 2 * ms)


@pytest.mark.parametrize("number", ["s6", "s8", "s9"])
def test_residuals_refuse_another_start(number):
    with pytest.raises(DataError, match=number.upper()):
        getattr(equations, f"residual_{number}")(1, 0.4, 2, 0.0, 0.5, 1.0)


def test_s5_refuses_another_start():
    with pytest.raises(DataError, match="S5"):
        equations.residual_s5(constant_run(0.25, 5, 0.5, 1.0, "zero"))


@pytest.mark.parametrize("number", ["s6", "s8", "s9"])
def test_rates_of_reset_to_zero_are_nan_for_neurons_without_drive(number):
    z = np.array([-0.25, 0.0, 0.25])
    rate = getattr(rates, f"rate_{number}")(z, np.array([-1.0, 0.0, 0.0]), 0.0, 1.0, 1 * ms, 4 * ms)
    np.testing.assert_array_equal(np.asarray(rate), [np.nan, np.nan, 250.0])


@pytest.mark.parametrize("number", ["s6", "s8", "s9", "s11"])
@pytest.mark.parametrize(("dt", "duration"), [(1.0, 4 * ms), (1 * ms, 4 * mV)], ids=["dt", "duration"])
def test_rates_refuse_what_is_not_a_time(number, dt, duration):
    with pytest.raises(DimensionMismatchError):
        getattr(rates, f"rate_{number}")(0.25, 0.0, 0.0, 1.0, dt, duration)


def test_reset_to_zero_is_a_staircase():
    """A current between V_thr / n and V_thr / (n - 1) gives one spike every n steps, whatever it is."""
    currents = np.array([on_grid(z) for z in (0.26, 0.3, 0.33, 0.34, 0.4, 0.49, 0.51, 0.8, 0.99, 1.0, 1.4)])
    ends = np.array([constant_run(z, 12, 0.0, 1.0, "zero").potentials[-1] for z in currents])
    rate = rates.rate_s9(currents, ends, 0.0, 1.0, 1 * ms, 12 * ms)
    np.testing.assert_allclose(np.asarray(rate) / 1000, [1 / 4] * 3 + [1 / 3] * 3 + [1 / 2] * 3 + [1] * 2, rtol=1e-12)

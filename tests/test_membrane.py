"""Millivolts: the linear map, and a run of it against Brian2's own leaky integrate-and-fire neuron in mV."""

import brian2
import numpy as np
import pytest
from brian2 import DimensionMismatchError, Mohm, coulomb, ms, mV, nS, pA, pF, volt

from brian_snn import Membrane, simulate
from brian_snn.errors import SettingError
from tests.small_network import constant_network

pC = 1e-12 * coulomb
MEMBRANE = Membrane(-65 * mV, -50 * mV)


def test_rest_and_threshold_are_0_and_v_thr():
    np.testing.assert_allclose(MEMBRANE.voltage([0.0, 1.75, -1.75], 1.75) / mV, [-65, -50, -80], rtol=1e-14)
    assert MEMBRANE.potential(-65 * mV) == 0
    assert MEMBRANE.potential(-57.5 * mV, threshold=2.0) == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("reset", ["zero", "subtraction"])
def test_a_run_in_mv_is_that_of_a_brian2_neuron_in_mv(reset):
    currents, steps, tau = np.array([0.05, 0.11, 0.3, 0.45, -0.2]), 80, 12 * ms
    result = simulate(
        constant_network(currents),
        np.zeros((1, 1)),
        steps=steps,
        reset=reset,
        v_init=MEMBRANE.potential(-60 * mV),
        tau_m=tau,
        refractory=2 * ms,
        backend="runtime",
        record_potentials=("layer",),
    )
    # Each step: decay over 1 ms, then the step's input, by an exact solution of the same equation.
    group = brian2.NeuronGroup(
        len(currents),
        "du/dt = (u_rest - u) / tau_m : volt (unless refractory)\nstep : volt (constant)",
        threshold="u > u_thr - 1e-12 * volt",
        reset={"zero": "u = u_rest", "subtraction": "u -= u_thr - u_rest"}[reset],
        # Brian2 counts the step of the spike too.
        refractory=3 * ms,
        method="exact",
        dt=1 * ms,
        namespace={"u_rest": -65 * mV, "u_thr": -50 * mV, "tau_m": tau},
    )
    group.u, group.step = -60 * mV, currents * 15 * mV
    group.run_regularly("u += step * int(not_refractory)", dt=1 * ms, when="after_groups")
    monitor = brian2.StateMonitor(group, "u", record=True, dt=1 * ms, when="end")
    counter = brian2.SpikeMonitor(group)
    brian2.Network(group, monitor, counter).run(steps * ms)
    assert counter.count[:].tolist() == result.spike_counts["layer"][0].tolist()
    assert counter.num_spikes > 20
    simulated = MEMBRANE.voltage(result.potential_traces["layer"][0].T)
    # Rounding to the grid of 2**-24 thresholds, at most half of it in each of 80 steps and in the current.
    np.testing.assert_allclose(simulated / mV, monitor.u / mV, atol=15 * 80 * 2.0**-24)


def test_charges_currents_and_conductances_are_those_of_the_membrane():
    membrane = Membrane(-65 * mV, -50 * mV, 200 * pF)
    # 15 mV on 200 pF are 3 pC, and 3 pC in 1 ms are 3 nA.
    assert membrane.charge(1.0) / pC == pytest.approx(3.0, rel=1e-14)
    assert membrane.deflection([0.5, -1.0], 2.0) / mV == pytest.approx([3.75, -7.5], rel=1e-14)
    assert membrane.current(0.1, 1 * ms) / pA == pytest.approx(300.0, rel=1e-14)
    assert membrane.drive(300 * pA, 1 * ms) == pytest.approx(0.1, rel=1e-14)
    assert membrane.drive(membrane.current([0.3, -2.0], 0.5 * ms, 1.75), 0.5 * ms, 1.75) == pytest.approx([0.3, -2.0])
    # G (E - U_rest) exp(-t / tau) brings G (E - U_rest) tau in all.
    height = membrane.conductance(0.1, 0 * mV, 5 * ms)
    assert height * 65 * mV * 5 * ms / pC == pytest.approx(0.3, rel=1e-14)
    assert height / nS == pytest.approx(0.3e-12 / (65e-3 * 5e-3) / 1e-9, rel=1e-14)
    assert membrane.reversal_potential(0 * mV) == pytest.approx(65 / 15, rel=1e-14)
    assert membrane.resistance(20 * ms) / Mohm == pytest.approx(100.0, rel=1e-14)


def test_a_leaky_run_has_the_voltage_of_ohms_law():
    # Below the threshold U settles at U_rest + R I; a step of dt brings R I (1 - exp(-dt / tau_m)) of it.
    membrane, tau = Membrane(-65 * mV, -50 * mV, 200 * pF), 20 * ms
    current = 100 * pA
    steady = membrane.resistance(tau) * current
    part = 1 - np.exp(-float(1 * ms / tau))
    drive = membrane.drive(steady * part / (1 * ms) * membrane.capacitance, 1 * ms)
    result = simulate(constant_network([float(drive)]), np.zeros((1, 1)), steps=600, tau_m=tau, backend="runtime")
    voltage = membrane.voltage(result.potentials["layer"]).item()
    # Each step rounds the leak, and what was rounded leaks away again.
    assert voltage / volt == pytest.approx(float(-65 * mV + steady), abs=15e-3 * 2.0**-24 / part)


def test_without_a_capacitance_there_are_no_charges():
    for call in (
        lambda: MEMBRANE.charge(1.0),
        lambda: MEMBRANE.resistance(1 * ms),
        lambda: MEMBRANE.drive(1 * pA, 1 * ms),
    ):
        with pytest.raises(SettingError, match="no capacitance"):
            call()
    with pytest.raises(SettingError, match="capacitance is -1. pF"):
        Membrane(-65 * mV, -50 * mV, -1 * pF)
    with pytest.raises(DimensionMismatchError, match="capacitance must be a capacitance"):
        Membrane(-65 * mV, -50 * mV, 1 * ms)
    membrane = Membrane(-65 * mV, -50 * mV, 1 * pF)
    with pytest.raises(DimensionMismatchError, match="current must be a current"):
        membrane.drive(1 * mV, 1 * ms)
    with pytest.raises(DimensionMismatchError, match="dt must be a time"):
        membrane.current(1.0, 1 * mV)


def test_what_is_no_voltage_is_refused():
    with pytest.raises(DimensionMismatchError, match="rest must be a voltage"):
        Membrane(-65 * ms, -50 * mV)
    with pytest.raises(DimensionMismatchError, match="voltage"):
        MEMBRANE.potential(0.5)


@pytest.mark.parametrize("threshold", [-65 * mV, -66 * mV, np.nan * mV])
def test_a_threshold_at_or_below_rest_is_refused(threshold):
    with pytest.raises(SettingError, match="it must lie above the rest"):
        Membrane(-65 * mV, threshold)

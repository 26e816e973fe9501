"""What the analyses say of the neuron variants: the account of the error goes on adding up, proofs are refused."""

import numpy as np
import pytest
from brian2 import ms

from brian_snn import simulate
from brian_snn.analysis.bounds import rate_bounds
from brian_snn.analysis.early_stopping import earliest_certain_step
from brian_snn.analysis.error import error_account, error_origins, error_terms, knob
from brian_snn.errors import SettingError
from brian_snn.plotting.error_account import TERM_STYLES
from brian_snn.settings import Settings
from tests.error_cases import wild_network
from tests.error_oracle import dense_activations
from tests.simulation_cases import PARTS
from tests.small_network import STEPS, small_images

VARIANTS = {
    "leak": {"tau_m": 12.5 * ms, "clamp": 1},
    "leak, zero": {"tau_m": 12.5 * ms, "reset": "zero", "v_init": 0.25},
    "refractory": {"refractory": 2 * ms, "threshold": 1.5},
    **PARTS,
    "delay": {"delay": 3 * ms, "readout": "spikes"},
    "poisson": {"input_coding": "poisson", "seed": 2},
    "softmax": {"readout": "softmax_generator"},
    "gate": {"max_pool": "gate"},
    "saturating": {"accumulator_bits": 26},
    "wrapping": {"accumulator_bits": 26, "overflow": "wrap", "reset": "zero"},
    "bursts": {"burst": 3, "v_init": 0.5, "clamp": 1},
}


@pytest.fixture(scope="module")
def network():
    return wild_network()


@pytest.fixture(scope="module")
def activations(network):
    return dense_activations(network, small_images())


def simulated(network, **options):
    """Return a simulation in process."""
    return simulate(network, small_images(), steps=STEPS, backend="runtime", **options)


@pytest.mark.parametrize("variant", VARIANTS)
def test_terms_add_up_to_the_error(network, activations, variant):
    account = error_account(simulated(network, **VARIANTS[variant]), activations)
    unexplained = account[account["term"] == "unexplained"]
    # Sums of some hundred numbers of order 10, in units of 2**-53.
    assert (unexplained["rms"] < 1e-13).all()
    assert set(account["term"]) - set(TERM_STYLES) == {"unexplained", "error"}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("by", ["term", "population"])
def test_origins_add_up_to_the_error(network, activations, variant, by):
    origins = error_origins(simulated(network, **VARIANTS[variant]), activations, by)
    shares = origins[origins[by.replace("population", "origin")] != "error"].groupby("population")["share"].sum()
    np.testing.assert_allclose(shares, 1.0, rtol=1e-12)


def test_the_leak_is_what_leaked_and_the_rest_what_was_missed(network, activations):
    result = simulated(network, tau_m=12.5 * ms, refractory=1 * ms)
    terms = error_terms(result, activations, "mixed")
    assert np.array_equal(terms["leak"], -result.booked["leaked"]["mixed"] / STEPS) and terms["leak"].any()
    assert np.array_equal(terms["refractory"], -result.booked["missed"]["mixed"] / STEPS) and terms["refractory"].any()


def test_sampling_is_all_that_is_wrong_with_poisson_input(network, activations):
    result = simulated(network, **VARIANTS["poisson"])
    terms = error_terms(result, activations, "input_spikes")
    assert list(terms) == ["sampling"]
    assert np.array_equal(terms["sampling"], result.spike_counts["input_spikes"] / STEPS - small_images())


@pytest.mark.parametrize("term", ["leak", "refractory", "sampling"])
def test_every_new_term_has_a_knob(network, term):
    assert knob(term, Settings(), network)


@pytest.mark.parametrize("variant", VARIANTS)
def test_bounds_are_refused(network, variant):
    settings = simulated(network, **VARIANTS[variant]).settings
    with pytest.raises(SettingError, match="bounds are not proved for"):
        rate_bounds(network, small_images(), settings)


def test_the_class_of_a_softmax_is_never_certain(network):
    result = simulated(network, readout="softmax_generator", checkpoints=(10,))
    with pytest.raises(SettingError, match="bounds are not proved for readout 'softmax_generator'"):
        earliest_certain_step(result)


def test_a_seed_that_is_not_used_changes_no_bound(network):
    one, two = (rate_bounds(network, small_images(), Settings(STEPS, seed=seed)) for seed in (0, 1))
    assert all(np.array_equal(one[name], two[name]) for name in one)

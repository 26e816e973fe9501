"""Runs of the small network that are compared with its loop: what is recorded, and every kind of run.

Options are those of `brian_snn.simulate`.
"""

import numpy as np
from brian2 import ms

from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.settings import Settings
from brian_snn.simulation.topology import topology
from tests.small_network import CHECKPOINTS, small_network

POPULATIONS = ("conv", "pool", "average", "mixed")
RECORDED = {
    "record_spikes": POPULATIONS,
    "record_potentials": ("conv", "out"),
    "record_counts": POPULATIONS,
    "checkpoints": CHECKPOINTS,
}
RUNS = {
    "plain": {},
    "zero": {"reset": "zero"},
    "clamped": {"clamp": 3, "v_init": 0.5, "threshold": 1.75},
    "clamped_zero": {"clamp": 4, "reset": "zero", "threshold": 0.5, "v_init": -0.25},
    "brian2": {"schedule": "brian2", "clamp": 2},
    "brian2_zero": {"schedule": "brian2", "reset": "zero"},
}
HISTORY = ("spike_trains", "count_history", "total_counts")

#: Each part that a neuron may have, one after the other.
PARTS = {
    "exponential synapses": {"tau_syn": 4 * ms, "readout": "spikes"},
    "alpha synapses, zero": {"tau_syn": 3 * ms, "synapse": "alpha", "reset": "zero", "clamp": 1},
    "refractory, kept": {"refractory": 2 * ms, "refractory_input": "kept"},
    "adaptive threshold": {"adaptation_step": 0.25, "tau_adaptation": 8 * ms},
    "adaptation current": {"adaptation_step": 0.05, "adaptation": "current", "reset": "zero"},
    "conductance": {"reversal_excitatory": 4.0, "reversal_inhibitory": -0.5, "tau_syn": 2 * ms},
    "mismatch": {"threshold_mismatch": 0.2, "leak_mismatch": 0.2, "tau_m": 20 * ms, "seed": 4},
    "noise": {"noise": 0.1, "seed": 6, "clamp": 2},
}

LEAK = {"tau_m": 12.5 * ms}
REST = {"refractory": 2 * ms}
VARIANTS = {
    "leak": LEAK,
    "leak_zero": {**LEAK, "reset": "zero", "threshold": 1.75, "v_init": 0.25, "clamp": 1},
    "refractory": {**REST, "readout": "spikes"},
    "leak_refractory_zero": {**LEAK, **REST, "reset": "zero", "v_init": 0.5, "clamp": 1},
    "poisson": {"input_coding": "poisson", "seed": 5},
    "poisson_clamped_zero": {"input_coding": "poisson", "threshold": 1.75, "reset": "zero", "clamp": 2},
    "softmax": {"readout": "softmax", "seed": 11},
    "softmax_clamped": {"readout": "softmax", "output_rate": 0.75, "threshold": 1.75, "v_init": 0.5, "clamp": 2},
    "delay": {"delay": 3 * ms, "readout": "spikes"},
    "delay_clamped_zero": {"delay": 2 * ms, "clamp": 2, "reset": "zero", "threshold": 0.5},
    "delays": {"delay": 4 * ms, "delay_mismatch": 0.6, "seed": 2, "readout": "spikes"},
    "delays_gate": {
        **{"delay": 3 * ms, "delay_mismatch": 1.5, "clamp": 2, "reset": "zero", "max_pool": "gate", "seed": 5},
        **{"input_coding": "poisson", "tau_syn": 2 * ms},
    },
    "everything": {
        **{"delay": 1 * ms, "delay_mismatch": 0.5, "clamp": 1, "max_pool": "gate"},
        **{"reset": "zero", "v_init": 0.25, "threshold": 0.75},
        **{"input_coding": "poisson", "readout": "softmax", "seed": 3, **LEAK, **REST},
        **{"tau_syn": 1 * ms, "synapse": "alpha", "adaptation": "current", "adaptation_step": 0.03, "noise": 0.05},
        **{"threshold_mismatch": 0.1, "leak_mismatch": 0.1, "reversal_excitatory": 4.0, "reversal_inhibitory": -1.5},
    },
    "exponential": {"tau_syn": 4 * ms, "readout": "spikes"},
    "alpha": {"tau_syn": 3 * ms, "synapse": "alpha", "clamp": 2, "threshold": 0.75, **LEAK},
    "alpha_missed": {"tau_syn": 2 * ms, "synapse": "alpha", **REST, "reset": "zero", "delay": 1 * ms},
    "conductance": {"reversal_excitatory": 4.5, "reversal_inhibitory": -0.75, "readout": "spikes"},
    "conductance_alpha": {
        **{"reversal_excitatory": 2.0, "reversal_inhibitory": -0.25, "tau_syn": 2 * ms, "synapse": "alpha", "clamp": 1},
        **{"threshold": 1.75, "v_init": 0.25, **LEAK, **REST},
    },
    "conductance_exponential": {"reversal_inhibitory": -0.5, "tau_syn": 3 * ms, "reset": "zero", "delay": 1 * ms},
    "kept": {**REST, "refractory_input": "kept"},
    "kept_zero": {**REST, "refractory_input": "kept", "reset": "zero", "clamp": 1, **LEAK},
    "adaptive_threshold": {"adaptation_step": 0.3, "tau_adaptation": 10 * ms, "threshold": 1.75},
    "adaptive_threshold_zero": {"adaptation_step": 0.3, "tau_adaptation": 10 * ms, "reset": "zero", "clamp": 1},
    "adaptation_current": {"adaptation_step": 0.05, "adaptation": "current", "tau_adaptation": 15 * ms, **REST},
    "mismatch": {"threshold_mismatch": 0.2, "leak_mismatch": 0.3, "seed": 4, "readout": "spikes", **LEAK},
    "mismatch_zero": {"threshold_mismatch": 0.6, "reset": "zero", "seed": 9, "threshold": 0.5},
    "noise": {"noise": 0.1, "seed": 6, "clamp": 2, **REST},
    "all_parts": {
        **{"tau_syn": 2 * ms, "noise": 0.05, "adaptation_step": 0.1, "adaptation": "current", "v_init": 0.25},
        **{"threshold_mismatch": 0.1, "leak_mismatch": 0.1, "clamp": 1, "readout": "spikes", **LEAK, **REST},
    },
    "gate": {"max_pool": "gate"},
    "gate_clamped_zero": {"max_pool": "gate", "clamp": 2, "reset": "zero", "threshold": 0.5},
    "bursts": {"burst": 3, "readout": "spikes"},
    "bursts_clamped": {"burst": 2, "clamp": 2, "threshold": 1.75, "v_init": 5.5, "tau_syn": 3 * ms},
    "bursts_of_pixels": {"burst": 100, "input_coding": "poisson", "seed": 8, "noise": 0.1, **LEAK},
    "bursts_adapting": {"burst": 4, "adaptation_step": 0.3, "threshold_mismatch": 0.3, "seed": 4, "readout": "spikes"},
    "bursts_parts": {
        **{"burst": 3, "reversal_excitatory": 4.0, "reversal_inhibitory": -1.0, "adaptation": "current"},
        **{"adaptation_step": 0.1, "tau_adaptation": 5 * ms, "tau_syn": 2 * ms, "clamp": 1},
    },
    "signed_mismatch": {"polarity": "signed", "burst": 2, "threshold_mismatch": 0.4, "seed": 3, "v_init": 1.5},
    "signed": {"polarity": "signed", "readout": "spikes", "v_init": 1.5},
    "signed_parts": {"polarity": "signed", "clamp": 1, "threshold": 0.75, "tau_syn": 2 * ms, "noise": 0.3, **LEAK},
    "signed_bursts": {"polarity": "signed", "burst": 4, "readout": "softmax", "input_coding": "poisson", "noise": 0.2},
}


def variant_network(options):
    """Return the small network; with bursts and signed spikes one of larger charges, so that there are such."""
    graded = options.get("polarity") == "signed" or options.get("burst", 1) > 1
    return small_network(gain=3.0 if graded else 1.0)


def tiny(weight=0.25):
    """Return one neuron that integrates a pixel."""
    population = Population("out", "readout", (1,), np.zeros(1), 1)
    projection = Projection(INPUT, "out", Geometry("dense", (1,), (1,)), np.array([[weight]]))
    return Network((population,), (projection,), (1,), grid=2.0**-24)


LAYOUT = topology(tiny(), Settings())

"""Keras models converted and simulated: the error is accounted for to rounding, and no rate leaves its limits."""

import numpy as np
import pytest

from brian_snn import convert, simulate
from brian_snn.analysis.bounds import bounds
from brian_snn.analysis.error import error_account
from brian_snn.frontends.table import reference_activations
from tests.models import HAND_PICKED, images_for

# At most a few hundred terms of size 1 to 10 are added up for one neuron.
ROUNDING = 1e3 * 2.0**-52
# Keras computes in float32; so many of its units in the last place can gather on the way through a small model.
FLOAT32 = 32 * 2.0**-24


@pytest.mark.parametrize("options", [{"clamp": 2}, {"reset": "zero", "readout": "spikes"}])
@pytest.mark.parametrize("name", ["odd_pooling", "inception_block", "relu6"])
def test_keras_models_are_accounted_for_and_within_their_bounds(name, options):
    model = HAND_PICKED[name]()
    images = images_for(model, 12)
    network = convert(model, images, normalisation="channel", percentile=95)
    result = simulate(network, images[:4], steps=30, backend="runtime", **options)
    activations = reference_activations(model, network, images[:4])
    account = error_account(result, activations)
    assert account[account.term == "unexplained"].rms.max() < ROUNDING
    assert account[account.term == "grid"].rms.max() < FLOAT32
    assert account[account.term == "error"].rms.max() > 1e-3
    errors = account[account.term == "error"].set_index("population").rms
    for population in network.populations:
        if population.kind == "spiking":
            rate = result.spike_counts[population.name] / result.window_steps(population.name)
            target = activations[population.name] / population.scale
            assert errors[population.name] == pytest.approx(np.sqrt(np.mean((rate - target) ** 2)), rel=1e-9)
    assert bounds(result, activations).holds.all()

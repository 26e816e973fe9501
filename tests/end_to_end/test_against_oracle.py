"""Every spike of every neuron against the NumPy loop over Keras' own layers: equality, not closeness."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis.strategies import sampled_from

import brian_snn
from tests.keras_units import percentile_scales, spiking_units
from tests.models import HAND_PICKED, images_for
from tests.oracles import simulate_oracle
from tests.strategies import Run, architectures, runs


def random(n_examples):
    """Return settings for so many examples."""
    return settings(
        max_examples=n_examples,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )


PLAIN = Run(40, "subtraction", 1.0, 0.0, 0, "potential", 99.9)
HARD = Run(30, "zero", 1.75, 0.5, 2, "spikes", 90.0)


def mismatches(model, run, backend="runtime", normalisation="layer", n_images=2, projection="auto"):
    """Return what differs between the simulation and the oracle, as (population, quantity, neurons)."""
    images = images_for(model, n_images, seed=7)
    network = brian_snn.convert(model, images_for(model, 20), percentile=run.percentile, normalisation=normalisation)
    result = brian_snn.simulate(network, images, backend=backend, projection=projection, **run.simulation())
    scales = {population.name: population.scale for population in network.populations}
    traces = simulate_oracle(model, scales, images, **run.simulation())
    found = [("populations", name, 0) for name in scales.keys() ^ traces.keys()]
    if found:
        return found
    for name, trace in traces.items():
        pairs = {
            "counts": (result.spike_counts[name], trace.counts),
            "potentials": (result.potentials[name], trace.potentials),
            "charge": (result.charge[name], trace.charge),
            "surplus": (result.booked["surplus"].get(name, np.zeros_like(trace.surplus)), trace.surplus),
        }
        found += [(name, what, np.sum(a != b)) for what, (a, b) in pairs.items() if (a != b).any()]
    # What the oracle finds right, the replay of `verify` must too.
    replayed = brian_snn.verify(result, replay="all").query("equation == 'spikes'")
    return found + [(row.population, "replay", row.neurons) for row in replayed.itertuples() if not row.holds]


# Hypothesis likes to vary an example a little and try it again; one model of each outline tells more.
FIRST_OF_OUTLINE = {}


@random(8)
@given(architecture=architectures(), run=runs(), projection=sampled_from(["synapses", "shared"]))
def test_random_architectures_spike_as_the_oracle_does(architecture, run, projection):
    assume(FIRST_OF_OUTLINE.setdefault(architecture.outline, architecture) == architecture)
    assert mismatches(architecture.build(), run, projection=projection) == []


@random(24)
@given(architecture=architectures(), run=runs(), projection=sampled_from(["synapses", "shared"]))
def test_more_random_architectures_spike_as_the_oracle_does(architecture, run, projection):
    assume(FIRST_OF_OUTLINE.setdefault(architecture.outline, architecture) == architecture)
    assert mismatches(architecture.build(), run, projection=projection) == []


@pytest.mark.parametrize(
    ("run", "n_images", "projection"), [(PLAIN, 1, "shared"), (HARD, 2, "synapses")], ids=["plain", "hard"]
)
@pytest.mark.parametrize("name", HAND_PICKED)
def test_hand_picked_models_spike_as_the_oracle_does(name, run, n_images, projection):
    assert mismatches(HAND_PICKED[name](seed=1), run, n_images=n_images, projection=projection) == []


@pytest.mark.parametrize("name", ["odd_pooling", "norm_after_relu", "inception_block", "resnet_block"])
def test_channel_normalised_models_spike_as_the_oracle_does(name):
    assert mismatches(HAND_PICKED[name](seed=2), PLAIN, normalisation="channel") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "run", "projection"),
    [("odd_pooling", PLAIN, "synapses"), ("norm_after_relu", HARD, "shared")],
    ids=["plain", "hard"],
)
def test_compiled_models_spike_as_the_oracle_does(name, run, projection):
    assert mismatches(HAND_PICKED[name](seed=1), run, backend="standalone", projection=projection) == []


@pytest.mark.parametrize("name", ["mlp", "odd_pooling"])
@pytest.mark.parametrize("percentile", [100.0, 99.9, 75.0])
def test_scales_are_percentiles_of_the_positive_activations(name, percentile):
    model = HAND_PICKED[name](seed=4)
    images = images_for(model, 20)
    network = brian_snn.convert(model, images, percentile=percentile)
    units = spiking_units(model)
    expected = percentile_scales(units, images, percentile)
    spiking = [unit.name for unit in units if unit.kind == "spiking"]
    measured = [network[name].scale for name in spiking]
    # Keras computes in float32, the oracle in float64.
    np.testing.assert_allclose(measured, [expected[name] for name in spiking], rtol=1e-5)


def test_the_ceiling_bounds_the_scale():
    model = HAND_PICKED["relu6"](seed=1)
    assert brian_snn.convert(model, images_for(model, 20), percentile=100.0)["conv"].scale == 6.0

"""The oracle judged on its own: against `model.predict`, the charge balance and the limit of many steps."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tests.keras_units import activations, percentile_scales, spiking_units
from tests.models import HAND_PICKED, images_for, mlp, outputs_of, relu6
from tests.oracles import simulate_oracle
from tests.strategies import architectures

STEPS = 24

#: float32 keeps 24 bits; a handful of layers loses a few of them.
FLOAT32 = {"rtol": 2e-5, "atol": 2e-5}


@pytest.mark.parametrize("name", HAND_PICKED)
def test_measured_units_reproduce_the_models_output(name):
    output, expected = outputs(HAND_PICKED[name](seed=3))
    np.testing.assert_allclose(output, expected, **FLOAT32)


@settings(max_examples=12, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(architecture=architectures())
def test_measured_units_reproduce_the_output_of_random_models(architecture):
    output, expected = outputs(architecture.build())
    np.testing.assert_allclose(output, expected, **FLOAT32)


def outputs(model):
    """Return the oracle's readout, through the softmax where the model has one, and `model.predict`."""
    import keras

    images = images_for(model, 5)
    units = spiking_units(model)
    logits = activations(units, images)[units[-1].name]
    last = model.layers[-1]
    probabilities = isinstance(last, keras.layers.Softmax) or last.activation.__name__ == "softmax"
    output = np.asarray(keras.ops.softmax(logits)) if probabilities else logits
    return output, outputs_of(model, images)


@pytest.mark.parametrize("reset", ["subtraction", "zero"])
@pytest.mark.parametrize("name", HAND_PICKED)
def test_charge_balance_is_exact(name, reset):
    model = HAND_PICKED[name](seed=1)
    images = images_for(model, 2)
    units = spiking_units(model)
    scales = percentile_scales(units, images)
    trace = simulate_oracle(model, scales, images, STEPS, reset=reset, threshold=1.75, v_init=0.5, clamp=2)
    for unit in units:
        one = trace[unit.name]
        if unit.kind == "spiking":
            balance = one.charge - (one.potentials - 0.5) - one.surplus
            assert (one.counts * 1.75 == balance).all()
            assert (one.surplus == 0).all() == (reset == "subtraction" or not one.counts.any())


@pytest.mark.parametrize("name", HAND_PICKED)
def test_max_pool_counts_are_the_maximum_at_every_step(name):
    model = HAND_PICKED[name](seed=1)
    images = images_for(model, 2)
    units = spiking_units(model)
    trace = simulate_oracle(model, percentile_scales(units, images), images, STEPS)
    for unit in [unit for unit in units if unit.kind == "max_pool"]:
        counted = {name: trace[name].spikes.cumsum(axis=0) for name, _ in unit.drive.terms}
        for step in range(STEPS):
            laid_out = sum(
                counted[source][step].reshape(2, -1) @ matrix.reshape(len(matrix), -1)
                for source, matrix in unit.drive.terms
            )
            expected = np.asarray(unit.pool(laid_out.reshape(2, *unit.drive.shape)))
            assert (trace[unit.name].spikes[: step + 1].sum(axis=0) == expected).all()


def test_rates_approach_the_activations_as_one_over_t():
    model = mlp(seed=0)
    images = images_for(model, 4)
    units = spiking_units(model)
    scales = percentile_scales(units, images, percentile=100)
    exact = activations(units, images)["hidden"] / scales["hidden"]
    for steps in (10, 100, 1000):
        trace = simulate_oracle(model, scales, images, steps)["hidden"]
        # After its last spike a neuron holds less than one threshold: the rate is below a by less than 1 / T.
        shortfall = exact - trace.counts / steps
        assert (shortfall < 1 / steps + 1e-6).all() and (shortfall > -1e-6).all()


def test_the_ceiling_is_saturation():
    model = relu6(seed=0)
    images = images_for(model, 3)
    units = spiking_units(model)
    scales = percentile_scales(units, images, percentile=100)
    trace = simulate_oracle(model, scales, images, 20)["conv"]
    saturated = activations(units, images)["conv"] == 6.0
    assert saturated.any() and scales["conv"] == 6.0
    assert (trace.counts[saturated] == 20).all()

"""Leaky ReLUs: a population for what is above zero and one for what is below, against Keras and the rate laws."""

import keras
import numpy as np
import pytest

import brian_snn
from brian_snn.conversion.fold import fold
from brian_snn.frontends.keras.reader import read_model
from brian_snn.frontends.table import reference_activations
from brian_snn.network.forward import forward
from tests.models import images_for, layers, outputs_of, sequential, trained_like


def shared_slopes(k):
    """Return a PReLU with a slope per channel, some of them zero and some negative."""
    layer = k.PReLU(shared_axes=(1, 2), name="leaky")
    layer.build((None, 4, 4, 4))
    layer.set_weights([np.array([0.25, 0.0, -0.5, 1.0]).reshape(1, 1, 4)])
    return layer


STACKS = {
    "LeakyReLU": lambda k: [k.Conv2D(4, 3, name="a"), k.LeakyReLU(0.25), k.Conv2D(3, 2, activation="relu")],
    "PReLU per channel": lambda k: [k.Conv2D(4, 3, name="a"), shared_slopes(k), k.Conv2D(3, 2, activation="relu")],
    "PReLU per neuron": lambda k: [k.Dense(5), k.Flatten(), k.Dense(6), k.PReLU(alpha_initializer="ones")],
    "negative slope": lambda k: [k.Conv2D(4, 3), k.BatchNormalization(), k.ReLU(negative_slope=0.1), k.Flatten()],
    "a ceiling": lambda k: [k.Conv2D(4, 3), k.ReLU(0.3, negative_slope=0.25), k.MaxPooling2D(2), k.Conv2D(3, 2)],
    "a ceiling, dense": lambda k: [k.Dense(5), k.ReLU(0.3, negative_slope=0.1, threshold=0), k.AveragePooling2D(2)],
    "a ceiling of a ReLU": lambda k: [k.Conv2D(4, 3, activation="relu"), k.ReLU(0.3, 0.5), k.Conv2D(3, 2)],
    "by name": lambda k: [k.Conv2D(4, 3, activation="leaky_relu"), k.BatchNormalization(), k.Conv2D(3, 2)],
    "averages": lambda k: [k.Conv2D(4, 3), k.LeakyReLU(0.25), k.AveragePooling2D(2), k.Conv2D(3, 2), k.LeakyReLU(0.5)],
    "a mean": lambda k: [k.Conv2D(4, 3, padding="same"), k.LeakyReLU(0.25), k.GlobalAveragePooling2D()],
    "a norm, a mean": lambda k: [k.Conv2D(4, 3), k.LeakyReLU(0.25), k.BatchNormalization(), k.GlobalAveragePooling2D()],
    "upsampling": lambda k: [k.Conv2D(4, 3), k.LeakyReLU(0.25), k.UpSampling2D(2), k.Conv2D(3, 3), k.LeakyReLU(0.1)],
    "twice": lambda k: [k.Conv2D(4, 3), k.LeakyReLU(0.25), k.LeakyReLU(0.5), k.Conv2D(3, 2), k.ReLU()],
    "a maximum": lambda k: [k.Conv2D(4, 3), k.LeakyReLU(0.25), k.MaxPooling2D(3, 2, padding="same"), k.Conv2D(3, 2)],
    "the output": lambda k: [k.Conv2D(4, 3), k.ReLU(), k.Flatten(), k.Dense(5), k.LeakyReLU(0.25)],
}


def model_of(name):
    """Return a model with weights as training leaves them, the slopes as they are."""
    model = sequential(
        *STACKS[name](layers()), *([] if name == "the output" else [layers().Flatten(), layers().Dense(3)])
    )
    slopes = [layer.get_weights() for layer in model.layers if isinstance(layer, keras.layers.PReLU)]
    model = trained_like(model, seed=1)
    for layer, weights in zip((p for p in model.layers if isinstance(p, keras.layers.PReLU)), slopes, strict=True):
        layer.set_weights(weights)
    return model


@pytest.mark.parametrize("name", STACKS)
def test_every_population_is_what_keras_computes(name):
    model = model_of(name)
    network, images = fold(read_model(model)), images_for(model, 5)
    expected = reference_activations(model, network, images, dtype="float64")
    found = forward(network, images)
    for population in network.populations:
        assert np.abs(found[population.name] - expected[population.name]).max() <= 1e-7, population.name
    predicted = outputs_of(model, images)
    np.testing.assert_allclose(found[network.output.name], predicted, rtol=0, atol=1e-5 * np.abs(predicted).max())


@pytest.mark.parametrize("projection", ["synapses", "shared"])
@pytest.mark.parametrize("reset", ["subtraction", "zero"])
def test_the_equations_hold_for_both_populations(reset, projection):
    model = model_of("averages")
    images = images_for(model, 3)
    network = brian_snn.convert(model, images)
    assert sum(population.name.endswith("_below") for population in network.populations) == 2
    result = brian_snn.simulate(
        network, images, steps=40, reset=reset, backend="runtime", projection=projection, checkpoints=[20, 40]
    )
    report = brian_snn.verify(result, replay=3)
    assert report["holds"].all() and report["max_residual_charge"].max() == 0


def test_logits_tend_to_those_of_keras():
    model = model_of("PReLU per channel")
    images = images_for(model, 4)
    network = brian_snn.convert(model, images, percentile=100)
    result = brian_snn.simulate(network, images, steps=2000, backend="runtime")
    expected = outputs_of(model, images)
    found = result.logits.reshape(expected.shape) * network.output.scale
    scale = np.abs(expected).max()
    assert np.abs(found - expected).max() < 0.02 * scale

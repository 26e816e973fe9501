"""Averages as populations, or as a part of the next linear layer."""

import numpy as np
import pytest

import brian_snn
from brian_snn.conversion.fold import fold
from brian_snn.frontends.keras.reader import read_model
from brian_snn.frontends.table import reference_activations
from brian_snn.network.forward import forward
from tests.models import images_for, layers, outputs_of, sequential, trained_like

STACKS = {
    "under a convolution": lambda k: [k.AveragePooling2D(2), k.Conv2D(3, 2, activation="relu")],
    "with padding": lambda k: [k.AveragePooling2D(3, 2, padding="same"), k.Conv2D(3, 2, activation="relu")],
    "under a dense layer": lambda k: [k.AveragePooling2D((2, 1), strides=(1, 2))],
    "of everything": lambda k: [k.GlobalAveragePooling2D()],
    "of a norm": lambda k: [k.BatchNormalization(), k.AveragePooling2D(2), k.Conv2D(3, 2, activation="relu")],
    "twice": lambda k: [k.AveragePooling2D(2), k.AveragePooling2D(2)],
    "under a maximum": lambda k: [k.AveragePooling2D(2), k.MaxPooling2D(2), k.Conv2D(2, 1)],
}


def model_of(name):
    """Return a model with an average of what a ReLU yields."""
    k = layers()
    before = [k.Conv2D(4, 3, padding="same", activation="relu", name="before")]
    return trained_like(sequential(*before, *STACKS[name](k), k.Flatten(), k.Dense(3), shape=(8, 8, 2)), seed=1)


@pytest.mark.parametrize("name", STACKS)
def test_a_linear_average_is_what_keras_computes(name):
    model = model_of(name)
    images = images_for(model, 5)
    network = fold(read_model(model), "linear")
    found, predicted = forward(network, images), outputs_of(model, images)
    np.testing.assert_allclose(found[network.output.name], predicted, rtol=0, atol=1e-5 * np.abs(predicted).max())
    for population, values in reference_activations(model, network, images, dtype="float64").items():
        assert np.abs(found[population] - values).max() <= 1e-7, population


def test_it_has_fewer_populations_and_says_so():
    model = model_of("under a convolution")
    images = images_for(model, 5)
    spiking, linear = (brian_snn.convert(model, images, average_pooling=how) for how in ("spiking", "linear"))
    assert len(spiking.populations) == len(linear.populations) + 1
    assert "average_pooling" not in spiking.provenance and linear.provenance["average_pooling"] == "linear"
    report = brian_snn.verify(brian_snn.simulate(linear, images, steps=30, backend="runtime"))
    assert report["holds"].all() and report["max_residual_charge"].max() == 0


def test_another_way_is_refused():
    model = model_of("twice")
    with pytest.raises(brian_snn.errors.SettingError, match="average_pooling is 'none'; .*spiking.*linear"):
        brian_snn.convert(model, images_for(model, 2), average_pooling="none")

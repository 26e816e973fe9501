"""Convolutions and poolings along a single axis, as for sound: they are converted and verified like those of images."""

import numpy as np
import pytest

import brian_snn
from tests.models import images_for, layers, outputs_of, trained_like


def sound_model():
    """Return a model with every layer along one axis: strides, dilation, groups, paddings, pools, a shortcut."""
    import keras

    k = layers()
    sound = keras.Input((24, 2))
    x = k.Conv1D(4, 5, strides=2, padding="same", activation="relu", name="first")(k.ZeroPadding1D((1, 2))(sound))
    y = k.Conv1D(4, 3, dilation_rate=2, padding="same", use_bias=False, name="dilated")(x)
    x = k.ReLU()(k.Add(name="sum")([x, k.BatchNormalization()(y)]))
    x = k.MaxPooling1D(2, name="largest")(x)
    x = k.Conv1D(4, 2, groups=2, name="grouped")(x)
    x = k.ReLU()(k.BatchNormalization()(k.MaxPooling1D(2, strides=1, padding="same", name="before_relu")(x)))
    x = k.AveragePooling1D(2, padding="same", name="mean")(k.Cropping1D((1, 0))(x))
    x = k.Conv1D(5, 1, activation="relu", name="last")(x)
    x = k.Concatenate()([k.GlobalAveragePooling1D()(x), k.GlobalMaxPooling1D()(x), k.Flatten()(x)])
    return trained_like(keras.Model(sound, k.Dense(3)(x)), seed=3)


@pytest.fixture(scope="module")
def model():
    return sound_model()


@pytest.fixture(scope="module")
def network(model):
    return brian_snn.convert(model, images_for(model, 8))


def test_arrays_have_the_shapes_of_the_layers(model, network):
    for name in ("first", "largest", "grouped", "last"):
        assert network[name].shape == model.get_layer(name).output.shape[1:]


def test_logits_tend_to_those_of_keras(model):
    sounds = images_for(model, 3)
    # With the largest activation as lambda, none of these saturates.
    network = brian_snn.convert(model, sounds, percentile=100)
    expected = outputs_of(model, sounds)
    errors = [
        np.abs(brian_snn.simulate(network, sounds, steps=n_steps, backend="runtime").logits - expected).max()
        for n_steps in (100, 1600)
    ]
    assert errors[1] < 0.2 * errors[0] and errors[1] < 0.02 * np.abs(expected).max()


@pytest.mark.parametrize("reset", ["subtraction", "zero"])
@pytest.mark.parametrize("projection", ["synapses", "shared"])
def test_every_neuron_is_verified(model, network, reset, projection):
    result = brian_snn.simulate(
        network, images_for(model, 2), steps=40, reset=reset, clamp=1, projection=projection, backend="runtime"
    )
    report = brian_snn.verify(result)
    assert report.holds.all() and (report.loc[report.applicable, "max_residual_charge"] == 0).all()

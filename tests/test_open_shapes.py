"""Models that take images of any size: the calibration images say which it is."""

import keras
import numpy as np
import pytest

import brian_snn
from brian_snn.errors import ModelError
from brian_snn.frontends.table import reference_activations
from brian_snn.network.forward import forward
from tests.models import images_for, layers, outputs_of, trained_like


def fully_convolutional(shape=(None, None, 2)):
    """Return a model that takes images of any size, with another one within."""
    k = layers()
    stack = [
        k.Conv2D(4, 3, activation="relu", name="first"),
        k.MaxPooling2D(2, name="pool"),
        k.Conv2D(3, 2, name="last"),
    ]
    inner = keras.Sequential([keras.Input(shape), *stack], name="inner")
    head = [k.ReLU(name="relu"), k.GlobalAveragePooling2D(name="mean"), k.Dense(3, name="logits")]
    return trained_like(keras.Sequential([keras.Input(shape), inner, *head]), seed=1)


@pytest.mark.parametrize("shape", [(9, 7, 2), (12, 12, 2)])
def test_it_is_what_the_model_computes_for_images_of_that_size(shape, tmp_path):
    model, fixed = fully_convolutional(), fully_convolutional(shape)
    fixed.set_weights(model.get_weights())
    images = images_for(fixed, 4)
    model.save(tmp_path / "model.keras")
    network = brian_snn.convert(tmp_path / "model.keras", images)
    assert network.input_shape == shape
    expected = brian_snn.convert(fixed, images)
    assert network.digest() == expected.digest()
    found = forward(network, images)[network.output.name] * network.output.scale
    assert np.allclose(found, outputs_of(model, images), rtol=0, atol=1e-4)
    activations = reference_activations(model, network, images)
    assert activations["first"].shape == (4, shape[0] - 2, shape[1] - 2, 4)


def test_images_of_another_rank_or_too_small_are_refused():
    model = fully_convolutional()
    with pytest.raises(ModelError, match=r"takes images of shape \(None, None, 2\), .* have shape \(9, 7, 3\)"):
        brian_snn.convert(model, np.zeros((2, 9, 7, 3)))
    with pytest.raises(ModelError, match=r"images of shape \(2, 2, 2\) do not go through it"):
        brian_snn.convert(model, np.zeros((2, 2, 2, 2)))


def test_data_are_read_from_a_file_too(tmp_path):
    model = fully_convolutional()
    images = np.random.default_rng(1).uniform(size=(3, 10, 8, 2))
    np.save(tmp_path / "x.npy", images)
    assert brian_snn.convert(model, tmp_path / "x.npy").digest() == brian_snn.convert(model, images).digest()

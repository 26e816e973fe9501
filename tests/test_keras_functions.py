"""Calculations in a functional model, written without layers: the network computes what the model does."""

import numpy as np
import pytest

from brian_snn import convert
from brian_snn.conversion.fold import fold
from brian_snn.errors import ModelError
from brian_snn.frontends.keras.reader import read_model
from brian_snn.network.forward import forward
from tests.models import images_for, layers, outputs_of, trained_like

CALCULATIONS = {
    "x / number": lambda ops, x: x / 4.0,
    "x * number": lambda ops, x: x * 2.0,
    "number * x": lambda ops, x: 2 * x,
    "x - number": lambda ops, x: x - 0.25,
    "number - x": lambda ops, x: 1 - x,
    "number + x": lambda ops, x: 0.5 + x,
    "-x": lambda ops, x: -x,
    "a number per channel": lambda ops, x: (x - np.array([0.1, 0.4])) / np.array([0.5, 2.0]),
    "a number per pixel": lambda ops, x: x + np.linspace(0.5, 1, 60).reshape(6, 5, 2) - np.ones((1, 6, 5, 1)),
    "channels in reverse order": lambda ops, x: x[..., ::-1],
    "flip": lambda ops, x: ops.flip(x, axis=-1) * 2,
    "rows in reverse order": lambda ops, x: ops.flip(x, axis=(1, 2)),
    "one channel": lambda ops, x: x[:, :, :, 1:],
    "concatenate": lambda ops, x: ops.concatenate([x, x / 2], axis=-1),
    "reshape": lambda ops, x: ops.reshape(x, (-1, 3, 10, 2)),
}


def model_of(calculation):
    """Return a model with a calculation on the image, and the mean over rows and columns before the last layer."""
    import keras

    k = layers()
    image = keras.Input((6, 5, 2))
    x = k.Conv2D(4, 3, activation="relu")(calculation(keras.ops, image))
    x = keras.ops.mean(k.Conv2D(3, 1, activation="relu")(x * 0.5), axis=(1, 2))
    return trained_like(keras.Model(image, k.Dense(3)(x)), seed=1)


RECTIFIED = {
    "clip": lambda ops, x: ops.clip(x, 0.0, 0.5),
    "maximum": lambda ops, x: ops.maximum(x, 0.0),
    "maximum, turned": lambda ops, x: ops.maximum(0.0, x),
    "leaky without a slope": lambda ops, x: ops.leaky_relu(x, 0.0),
}


@pytest.mark.parametrize("rectify", RECTIFIED.values(), ids=RECTIFIED)
def test_what_rectifies_is_a_population(rectify):
    import keras

    k, image = layers(), keras.Input((6, 5, 2))
    x = rectify(keras.ops, k.Conv2D(4, 3, name="hidden")(image))
    model = trained_like(keras.Model(image, k.Dense(3)(k.Flatten()(x))), seed=1)
    network, images = fold(read_model(model)), images_for(model, 4)
    assert [population.kind for population in network.populations] == ["spiking", "readout"]
    expected = outputs_of(model, images)
    output = forward(network, images)[network.output.name]
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("calculation", CALCULATIONS.values(), ids=CALCULATIONS)
def test_a_calculation_is_what_keras_computes(calculation):
    model = model_of(calculation)
    network, images = fold(read_model(model)), images_for(model, 4)
    expected = outputs_of(model, images)
    output = forward(network, images)[network.output.name]
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_saved_model_is_converted_the_same(tmp_path):
    model = model_of(CALCULATIONS["x / number"])
    images = images_for(model, 4)
    model.save(tmp_path / "model.keras")
    networks = convert(model, images), convert(tmp_path / "model.keras", images)
    for one, other in zip(*(network.projections for network in networks), strict=True):
        assert np.array_equal(one.weights, other.weights)


@pytest.mark.parametrize(
    "calculation",
    [
        lambda ops, x: 1 / (x + 2),
        lambda ops, x: x * x,
        lambda ops, x: ops.sqrt(x),
        lambda ops, x: x[:, ::2],
        lambda ops, x: ops.clip(x, 0.1, 1.0),
        lambda ops, x: ops.maximum(x, 0.5),
    ],
    ids=["number / x", "x * x", "sqrt", "every other row", "clip above zero", "maximum"],
)
def test_what_is_not_linear_by_channel_is_refused_by_name(calculation):
    with pytest.raises(ModelError, match=r"^layer .* \((TrueDivide|Multiply|Sqrt|GetItem|Clip|Maximum)\): "):
        read_model(model_of(calculation))

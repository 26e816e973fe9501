"""Layers that make images larger or smaller, and convolutions along time: folded, they are what Keras computes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import brian_snn
from brian_snn.conversion.fold import fold
from brian_snn.errors import ModelError
from brian_snn.frontends.keras.reader import read_model
from brian_snn.frontends.table import reference_activations
from brian_snn.network.forward import forward
from tests.models import images_for, layers, outputs_of, sequential, trained_like

IMAGE, SERIES = (6, 4, 3), (9, 2)


def relu_then(*stack):
    """Return a convolution with a ReLU, then what is tried, then one more convolution with a ReLU."""
    k = layers()
    return [k.Conv2D(4, 3, padding="same", activation="relu", name="before"), *stack, k.Conv2D(3, 3, name="after")]


def along_time(*stack):
    """Return a convolution along time with a ReLU, then what is tried, and a dense layer."""
    k = layers()
    return [k.Conv1D(4, 3, padding="same", activation="relu", name="before"), *stack, k.Flatten(), k.Dense(3)]


IMAGES = {
    "nearest": lambda k: relu_then(k.UpSampling2D((2, 3))),
    "nearest of a norm": lambda k: relu_then(k.BatchNormalization(), k.UpSampling2D(2)),
    "nearest, then a ReLU": lambda k: [k.Conv2D(4, 3), k.UpSampling2D(2), k.ReLU(), k.Conv2D(2, 2)],
    "bilinear": lambda k: relu_then(k.UpSampling2D((2, 3), interpolation="bilinear")),
    "bilinear of a norm": lambda k: relu_then(k.BatchNormalization(), k.UpSampling2D((4, 1), interpolation="bilinear")),
    "bilinear by five": lambda k: relu_then(k.UpSampling2D(5, interpolation="bilinear")),
    "nearest of the image": lambda k: [k.UpSampling2D(2), k.Conv2D(4, 3, activation="relu"), k.Flatten(), k.Dense(2)],
    "of a linear layer": lambda k: [k.Conv2D(4, 3), k.UpSampling2D(2), k.Conv2D(2, 2)],
    "bilinear of a linear layer": lambda k: [k.Conv2D(4, 3), k.UpSampling2D(2, interpolation="bilinear"), k.ReLU()],
    "bilinear of the image": lambda k: [
        k.UpSampling2D(2, interpolation="bilinear"),
        k.Conv2D(4, 3, activation="relu"),
        k.Flatten(),
        k.Dense(2),
    ],
    "larger": lambda k: relu_then(k.Resizing(12, 12)),
    "smaller, nearest": lambda k: relu_then(k.Resizing(3, 4, interpolation="nearest")),
    "smaller, bilinear": lambda k: relu_then(k.Resizing(3, 4)),
    "half and half": lambda k: [k.Conv2D(4, 3, padding="same", activation="relu"), k.Resizing(3, 2), k.Conv2D(2, 2)],
    "a third": lambda k: [k.Conv2D(4, 3, padding="same", activation="relu"), k.Resizing(2, 4), k.Conv2D(2, 2)],
    "cropped": lambda k: relu_then(k.CenterCrop(3, 4)),
    "transposed": lambda k: relu_then(k.Conv2DTranspose(5, 3, activation="relu")),
    "transposed with strides": lambda k: relu_then(k.Conv2DTranspose(5, (3, 4), strides=2, activation="relu")),
    "transposed, same": lambda k: relu_then(k.Conv2DTranspose(5, 3, strides=2, padding="same", activation="relu")),
    "transposed, even": lambda k: relu_then(k.Conv2DTranspose(5, 4, strides=(2, 3), padding="same"), k.ReLU()),
    "transposed, one wide": lambda k: relu_then(k.Conv2DTranspose(5, 1, strides=2, padding="same", activation="relu")),
    "transposed, strides alone": lambda k: relu_then(k.Conv2DTranspose(5, 2, strides=3, activation="relu")),
    "transposed, more output": lambda k: relu_then(
        k.Conv2DTranspose(5, 3, strides=2, output_padding=1, padding="same", activation="relu")
    ),
    "maximum of the image": lambda k: [k.MaxPooling2D(2), k.Conv2D(4, 2, activation="relu"), k.Flatten(), k.Dense(2)],
    "slopes of zero": lambda k: [k.Conv2D(4, 3), k.PReLU(), k.Conv2D(3, 2), k.LeakyReLU(0.0), k.Flatten(), k.Dense(2)],
    "transposed of the image": lambda k: [k.Conv2DTranspose(5, 3, strides=2, activation="relu"), k.Conv2D(2, 3)],
}
TIMES = {
    "repeated in time": lambda k: along_time(k.UpSampling1D(3)),
    "transposed in time": lambda k: along_time(k.Conv1DTranspose(3, 4, strides=2, padding="same", activation="relu")),
    "causal": lambda k: along_time(k.Conv1D(5, 3, padding="causal", dilation_rate=2, activation="relu")),
    "causal with strides": lambda k: along_time(k.Conv1D(5, 4, padding="causal", strides=2, activation="relu")),
    "depthwise": lambda k: along_time(
        k.DepthwiseConv1D(3, strides=2, depth_multiplier=2, padding="same", activation="relu")
    ),
    "separable": lambda k: along_time(k.SeparableConv1D(6, 3, depth_multiplier=2, padding="same", activation="relu")),
    "timed dense": lambda k: along_time(k.TimeDistributed(k.Dense(3, activation="relu"))),
    "a vector repeated": lambda k: [
        k.Flatten(),
        k.Dense(5, activation="relu"),
        k.RepeatVector(4),
        k.Conv1D(3, 2, activation="relu"),
        k.Flatten(),
        k.Dense(3),
    ],
}
FILM = (3, 6, 5, 2)
FILMS = {
    "convolution": lambda k: [k.TimeDistributed(k.Conv2D(4, 3, strides=2, padding="same", activation="relu"))],
    "groups": lambda k: [k.TimeDistributed(k.Conv2D(4, (3, 2), groups=2, activation="relu"))],
    "depthwise": lambda k: [k.TimeDistributed(k.DepthwiseConv2D(3, depth_multiplier=2, activation="relu"))],
    "pools": lambda k: [
        k.TimeDistributed(k.Conv2D(4, 3, padding="same")),
        k.TimeDistributed(k.BatchNormalization()),
        k.ReLU(),
        k.TimeDistributed(k.MaxPooling2D(2)),
        k.TimeDistributed(k.GlobalAveragePooling2D()),
        k.Conv1D(4, 2, activation="relu"),
    ],
    "windows along one axis": lambda k: [
        k.TimeDistributed(k.Reshape((6, 10))),
        k.TimeDistributed(k.Conv1D(4, 3, activation="relu")),
        k.TimeDistributed(k.AveragePooling1D(2)),
        k.TimeDistributed(k.Flatten()),
        k.TimeDistributed(k.Dropout(0.5)),
    ],
}
CASES = {name: (IMAGE, stack) for name, stack in IMAGES.items()} | {n: (SERIES, stack) for n, stack in TIMES.items()}
CASES |= {
    f"timed {n}": (FILM, lambda k, stack=stack: [*stack(k), k.Flatten(), k.Dense(3)]) for n, stack in FILMS.items()
}


def agrees(model, n_images=4):
    """Fold a model, compare output and all populations with Keras, and return the network."""
    network, images = fold(read_model(model)), images_for(model, n_images)
    found, expected = forward(network, images), reference_activations(model, network, images, dtype="float64")
    for population in network.populations:
        scale = np.abs(expected[population.name]).max()
        error = np.abs(found[population.name] - expected[population.name]).max()
        assert error <= 1e-6 * scale, population.name
    predicted = outputs_of(model, images)
    np.testing.assert_allclose(found[network.output.name], predicted, rtol=0, atol=1e-5 * np.abs(predicted).max())
    return network


@pytest.mark.parametrize("name", CASES)
def test_every_population_is_what_keras_computes(name):
    shape, stack = CASES[name]
    agrees(trained_like(sequential(*stack(layers()), shape=shape), seed=1))


@pytest.mark.parametrize("name", ["bilinear of a norm", "transposed, same", "larger", "a vector repeated"])
def test_compiled_or_not_the_equations_hold(name):
    shape, stack = CASES[name]
    model = trained_like(sequential(*stack(layers()), shape=shape), seed=2)
    images = images_for(model, 3)
    network = brian_snn.convert(model, images)
    result = brian_snn.simulate(network, images, steps=30, backend="runtime")
    report = brian_snn.verify(result)
    assert report["holds"].all() and report["max_residual_charge"].max() == 0


@settings(max_examples=25, derandomize=True, deadline=None)
@given(data=st.data())
def test_a_transposed_convolution_of_any_window(data):
    k, pairs = layers(), st.tuples(st.integers(1, 4), st.integers(1, 4))
    # TensorFlow has none with a dilation on a CPU.
    padding = data.draw(st.sampled_from(["same", "valid"]))
    layer = k.Conv2DTranspose(2, data.draw(pairs), data.draw(pairs), padding, activation="relu")
    agrees(trained_like(sequential(layer, shape=(data.draw(st.integers(1, 5)), 4, 2)), seed=1))


def test_an_autoencoder_converts():
    k = layers()
    down = [k.Conv2D(4, 3, padding="same", activation="relu"), k.MaxPooling2D(2), k.Conv2D(6, 3, padding="same")]
    middle = [k.BatchNormalization(), k.ReLU(), k.MaxPooling2D(2), k.Conv2D(6, 3, padding="same", activation="relu")]
    up = [k.UpSampling2D(2), k.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")]
    model = trained_like(sequential(*down, *middle, *up, k.Conv2D(2, 3, padding="same"), shape=(8, 8, 2)), seed=1)
    assert agrees(model).output.shape == (8, 8, 2)


def test_a_u_net_converts():
    import keras

    k, image = layers(), keras.Input((8, 8, 1))
    first = k.Conv2D(3, 3, padding="same", activation="relu")(image)
    second = k.Conv2D(4, 3, padding="same", activation="relu")(k.MaxPooling2D(2)(first))
    third = k.Conv2D(5, 3, padding="same", activation="relu")(k.MaxPooling2D(2)(second))
    up = k.Concatenate()([k.UpSampling2D(2, interpolation="bilinear")(third), second])
    up = k.Conv2D(4, 3, padding="same", activation="relu")(up)
    up = k.Concatenate()([k.Conv2DTranspose(3, 2, strides=2, padding="same", activation="relu")(up), first])
    model = trained_like(keras.Model(image, k.Conv2D(2, 1, activation="softmax")(up)), seed=1)
    network, images = fold(read_model(model)), images_for(model, 4)
    expected = reference_activations(model, network, images, dtype="float64")
    for name, found in forward(network, images).items():
        assert np.abs(found - expected[name]).max() <= 1e-6 * np.abs(expected[name]).max(), name


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (lambda k: relu_then(k.UpSampling2D(2, interpolation="bicubic")), r"layer 'tried' .* is 'bicubic'; 'nearest'"),
        (lambda k: relu_then(k.Resizing(5, 5)), r"layer 'tried' \(Resizing\): it resizes \(6, 4\) to \(5, 5\)"),
        (lambda k: relu_then(k.Resizing(12, 8, antialias=True)), r"layer 'tried' .* its antialias is True"),
        (lambda k: relu_then(k.CenterCrop(8, 4)), r"layer 'tried' .* it crops \(6, 4, 4\) to 8"),
    ],
)
def test_what_cannot_be_said_in_rates_is_refused(stack, message):
    stack = stack(layers())
    next(layer for layer in stack if type(layer).__name__ in ("UpSampling2D", "Resizing", "CenterCrop")).name = "tried"
    with pytest.raises(ModelError, match=message):
        fold(read_model(sequential(*stack, shape=IMAGE)))

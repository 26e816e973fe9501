"""Currents of the image, and what the forward pass refuses."""

import numpy as np
import pytest

from brian_snn.conversion.fold import fold
from brian_snn.conversion.normalise import round_to_grid
from brian_snn.errors import DataError
from brian_snn.frontends.keras.reader import read_model
from brian_snn.network.forward import forward, input_currents
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from tests.conversion_cases import CASES
from tests.models import images_for

GRID = 2.0**-24


@pytest.fixture(scope="module")
def two_inputs():
    """Return a network in which the image feeds two populations, and images."""
    model = CASES["image_as_numbers"]()
    return round_to_grid(fold(read_model(model)), GRID), images_for(model, 5)


def test_currents_of_what_the_image_feeds(two_inputs):
    assert list(input_currents(*two_inputs)) == ["conv", "of_thumb"]


def test_currents_are_the_activation_before_the_relu(two_inputs):
    currents, activations = input_currents(*two_inputs), forward(*two_inputs)
    for name, values in currents.items():
        np.testing.assert_allclose(np.maximum(values, 0.0), activations[name], rtol=0, atol=1e-13)


def test_rounded_currents_do_not_depend_on_the_order_of_the_sum():
    rng = np.random.default_rng(5)
    pixels, order = rng.uniform(-3, 3, (4, 400)), rng.permutation(400)
    weights = np.round(rng.normal(size=(400, 7)) / GRID) * GRID
    bias = np.round(rng.normal(size=7) / GRID) * GRID

    def rounded(x, w):
        geometry = Geometry("dense", (400,), (7,))
        network = Network(
            (Population("out", "readout", (7,), bias, 1),), (Projection(INPUT, "out", geometry, w),), (400,)
        )
        return np.round(input_currents(network, x)["out"] / GRID) * GRID

    assert np.array_equal(rounded(pixels, weights), rounded(pixels[:, order], weights[order]))


@pytest.mark.parametrize(
    "images, message",
    [
        (np.zeros((2, 30)), r"images have shape \(2, 30\); the model's input is \(5, 6, 2\)"),
        (np.full((1, 5, 6, 2), np.nan), "NaN or infinite"),
        (np.full((1, 5, 6, 2), np.inf), "NaN or infinite"),
        (np.full((1, 5, 6, 2), "x"), "real numbers"),
        (np.zeros((1, 5, 6, 2), complex), "real numbers"),
    ],
)
@pytest.mark.parametrize("function", [forward, input_currents])
def test_bad_images_are_refused(two_inputs, function, images, message):
    with pytest.raises(DataError, match=message):
        function(two_inputs[0], images)

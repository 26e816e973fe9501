"""Random images on which a conversion is checked: what they exercise, and errors that no calibration image shows."""

from dataclasses import replace

import numpy as np
import pytest

from brian_snn.conversion.convert import convert
from brian_snn.conversion.normalise import Calibration
from brian_snn.conversion.probes import probe_images
from brian_snn.errors import ModelError
from brian_snn.network.forward import forward
from tests.models import layers, sequential


@pytest.fixture
def dark(rng):
    """Return images whose left column is always black."""
    images = rng.uniform(0.0, 1.0, (20, 6, 6, 2))
    images[:, :, 0] = 0.0
    return images


@pytest.mark.parametrize("low, high", [(0.0, 1.0), (-3.0, 250.0), (5.0, 5.0), (0.0, 1e308), (-1.7e308, 1.7e308)])
def test_every_pixel_goes_to_both_sides_of_the_middle(rng, low, high):
    images = rng.choice([low, high], (4, 5, 3, 2))
    pairs = list(probe_images(images))
    middle, reach = low / 2 + high / 2, high / 2 - low / 2 or 1.0
    for first, second in pairs:
        assert np.isfinite(first).all() and np.isfinite(second).all()
        assert ((first > middle) != (second > middle)).all()
    assert (np.abs(pairs[0] - middle) <= reach * (1 + 1e-15)).all()
    assert {value for pixel in pairs[1].reshape(2, -1).T for value in pixel} <= {middle - reach, middle + reach}
    assert (pairs[1][0] != pairs[1][1]).all()


def test_the_images_are_the_same_every_time(dark):
    for first, second in zip(probe_images(dark), probe_images(dark), strict=True):
        assert (first == second).all()


def rectifying_model():
    """Return a model with ceilings whose second unit fires for no image in the range; the third never does."""
    k = layers()
    stack = [k.Flatten(), k.Dense(3, activation="relu", name="hidden"), k.Dense(4, name="capped"), k.ReLU(6.0)]
    model = sequential(*stack, k.Dense(2, name="logits"))
    rng = np.random.default_rng(4)
    hidden = rng.normal(size=(72, 3)) / 72
    hidden[:, 2] = 0.0
    weights = (hidden, np.array([0.0, -2.0, -1.0]), rng.uniform(0.1, 1.0, (3, 4)), np.zeros(4), rng.normal(size=(4, 2)))
    model.set_weights([*weights, np.zeros(2)])
    return model


def planted(monkeypatch, target, change):
    """Let the stage before the check change the weights of the projection onto one population."""
    normalised = Calibration.normalised

    def spoilt(*arguments):
        network = normalised(*arguments)
        projections = tuple(
            replace(p, weights=change(p.weights.copy())) if p.target == target else p for p in network.projections
        )
        return replace(network, projections=projections)

    monkeypatch.setattr(Calibration, "normalised", spoilt)


def wrong_row(row, factor):
    """Return the change of one row of a matrix."""

    def change(weights):
        weights[row] *= factor
        return weights

    return change


def test_the_faithful_network_passes(dark):
    convert(rectifying_model(), dark)


@pytest.mark.parametrize("factor", [1.001, -1.0, 0.0])
@pytest.mark.parametrize("row", [0, 1, 24], ids=["corner", "its other channel", "left column"])
def test_an_error_behind_a_pixel_that_is_always_black_is_found(monkeypatch, dark, row, factor):
    planted(monkeypatch, "hidden", wrong_row(row, factor))
    with pytest.raises(ModelError, match="population 'hidden': it differs .* on random images"):
        convert(rectifying_model(), dark)


@pytest.mark.parametrize("factor", [1.001, -1.0, 0.0])
def test_an_error_behind_a_unit_that_is_silent_on_all_images_is_found(monkeypatch, dark, factor):
    network = convert(rectifying_model(), dark)
    assert not forward(network, dark)["hidden"][:, 1].any()
    planted(monkeypatch, "capped", wrong_row(1, factor))
    with pytest.raises(ModelError, match="population 'capped': it differs .* on random images"):
        convert(rectifying_model(), dark)


def test_an_error_that_shows_on_black_images_alone_is_found(monkeypatch):
    planted(monkeypatch, "hidden", wrong_row(40, 1.001))
    with pytest.raises(ModelError, match="population 'hidden'"):
        convert(rectifying_model(), np.zeros((3, 6, 6, 2)))

"""Normalisation: the same activations in other units, at the percentile asked for."""

import numpy as np
import pytest

from brian_snn.conversion.check import check_against_reference
from brian_snn.conversion.fold import fold
from brian_snn.conversion.normalise import normalise, round_to_grid
from brian_snn.errors import DataError, ModelError, SettingError
from brian_snn.frontends.keras.reader import read_model
from brian_snn.network.forward import forward
from tests.conversion_cases import CASES
from tests.models import HAND_PICKED, images_for

MODELS = {**HAND_PICKED, **CASES}
# Its max pooling meets several channels in one window, which channel-wise scales cannot.
MIXES_CHANNELS = "reordered"
BOTH = [(name, kind) for name in MODELS for kind in ("layer", "channel") if (name, kind) != (MIXES_CHANNELS, "channel")]


@pytest.fixture(scope="module")
def cases():
    """Return a function that folds a model once: (model, network, images)."""
    kept = {}

    def case(name):
        if name not in kept:
            model = MODELS[name]()
            kept[name] = model, fold(read_model(model)), images_for(model, 6)
        return kept[name]

    return case


@pytest.mark.parametrize("name, normalisation", BOTH)
def test_activations_are_unchanged_up_to_the_scale(cases, name, normalisation):
    _, network, images = cases(name)
    scaled = normalise(network, images, 90.0, normalisation)
    before, after = forward(network, images), forward(scaled, images)
    for population in scaled.populations:
        if population.ceiling is None or np.all(population.scale < population.ceiling):
            expected = before[population.name]
            error = np.abs(after[population.name] * population.scale - expected).max()
            assert error <= 1e-12 * np.abs(expected).max(), population.name


@pytest.mark.parametrize("name, normalisation", BOTH)
def test_normalised_network_agrees_with_keras(cases, name, normalisation):
    model, network, images = cases(name)
    errors = check_against_reference(model, normalise(network, images, 99.9, normalisation), images, 1e-5)
    assert max(errors.values()) < 1e-12


@pytest.mark.parametrize("percentile", [50.0, 99.0, 100.0])
def test_scale_of_a_layer_is_the_percentile_of_what_is_positive(cases, percentile):
    _, network, images = cases("odd_pooling")
    scaled, activations = normalise(network, images, percentile, "layer"), forward(network, images)
    for name in ("conv_a", "conv_b", "average_pool"):
        positive = activations[name][activations[name] > 0]
        assert scaled[name].scale == np.percentile(positive, percentile)


def test_scale_of_a_channel_is_the_percentile_of_what_is_positive(cases):
    _, network, images = cases("odd_pooling")
    scaled, activations = normalise(network, images, 80.0, "channel"), forward(network, images)
    for channel, scale in enumerate(scaled["conv_b"].scale):
        values = activations["conv_b"][..., channel]
        assert scale == np.percentile(values[values > 0], 80.0)


def silenced(network, name, channel):
    """Return a network in which one channel of a population (or all) never is active."""
    from dataclasses import replace

    def change(population):
        if population.name != name:
            return population
        bias = population.bias.copy()
        bias[..., channel] = -1e6
        return replace(population, bias=bias)

    return replace(network, populations=tuple(change(p) for p in network.populations))


def test_a_silent_channel_gets_the_scale_of_its_layer(cases):
    _, network, images = cases("odd_pooling")
    network = silenced(network, "conv_b", 1)
    of_layer = normalise(network, images, 80.0, "layer")["conv_b"].scale
    assert normalise(network, images, 80.0, "channel")["conv_b"].scale[1] == of_layer


@pytest.mark.parametrize("normalisation", ["layer", "channel"])
def test_a_silent_layer_gets_a_scale_of_one(cases, normalisation):
    _, network, images = cases("odd_pooling")
    assert np.all(normalise(silenced(network, "conv_b", slice(None)), images, 80.0, normalisation)["conv_b"].scale == 1)


def test_the_ceiling_limits_the_scale(cases):
    _, network, images = cases("relu6")
    assert normalise(network, images, 100.0, "layer")["conv"].scale == 6.0


@pytest.mark.parametrize("name", ["mlp", "ends_in_average"])
def test_a_readout_keeps_a_scale_of_one(cases, name):
    _, network, images = cases(name)
    assert normalise(network, images, 99.9, "layer").output.scale == 1.0


def test_a_spiking_output_is_scaled(cases):
    _, network, images = cases("ends_in_relu")
    assert normalise(network, images, 100.0, "layer").output.scale == forward(network, images)["top"].max()


def test_max_pooling_inherits_the_scale(cases):
    _, network, images = cases("odd_pooling")
    scaled = normalise(network, images, 99.9, "layer")
    assert scaled["max_pool"].scale == scaled["conv_a"].scale
    assert scaled["pool_of_pool"].scale == scaled["average_pool"].scale


def test_max_pooling_of_a_concatenation_inherits_by_channel(cases):
    _, network, images = cases("inception_block")
    scaled = normalise(network, images, 99.9, "layer")
    branches = [scaled[name].scale for name in ("one", "three_b", "five_c", "pool_projection")]
    assert np.array_equal(scaled["reduce"].scale, np.repeat(branches, [2, 3, 2, 2]))


def test_max_pooling_across_scales_is_refused(cases):
    _, network, images = cases(MIXES_CHANNELS)
    with pytest.raises(ModelError, match="max pooling 'max_pool': neurons of different scale meet"):
        normalise(network, images, 99.9, "channel")


@pytest.mark.parametrize("percentile", [0.0, -1.0, 100.1, float("nan")])
def test_percentile_outside_its_range(cases, percentile):
    with pytest.raises(SettingError, match=r"percentile is .*above 0 and at most 100"):
        normalise(*cases("mlp")[1:], percentile, "layer")


def test_unknown_normalisation(cases):
    with pytest.raises(SettingError, match="normalisation is 'neuron'"):
        normalise(*cases("mlp")[1:], 99.9, "neuron")


def test_a_second_normalisation_is_refused(cases):
    _, network, images = cases("mlp")
    with pytest.raises(SettingError, match="normalised already"):
        normalise(normalise(network, images, 99.9, "layer"), images, 99.9, "layer")


@pytest.mark.parametrize(
    "images, message",
    [
        (np.zeros((0, 6)), "there are no calibration images"),
        (np.zeros((5, 2, 3)), r"calibration images have shape \(5, 2, 3\); the model's input is \(6,\)"),
        (np.full((2, 6), np.nan), "calibration images hold NaN"),
        (np.full((2, 6), None), "calibration images are of type object"),
    ],
)
def test_bad_calibration_images(cases, images, message):
    with pytest.raises(DataError, match=message):
        normalise(cases("mlp")[1], images, 99.9, "layer")


# --- rounding -------------------------------------------------------------------------------------------------------


def test_weights_and_biases_are_multiples_of_the_grid(cases):
    _, network, images = cases("norm_after_relu")
    rounded = round_to_grid(normalise(network, images, 99.9, "layer"), 2.0**-10)
    arrays = [p.bias for p in rounded.populations] + [p.weights for p in rounded.projections if p.weights is not None]
    assert all(np.array_equal(array * 1024, np.rint(array * 1024)) for array in arrays)


def test_rounding_moves_nothing_by_more_than_half_the_grid(cases):
    network = cases("norm_after_relu")[1]
    for before, after in zip(network.projections, round_to_grid(network, 2.0**-10).projections, strict=True):
        if before.weights is not None:
            assert np.abs(before.weights - after.weights).max() <= 2.0**-11


@pytest.mark.parametrize("grid", [0.0, -0.5, 0.3, 2.0, float("inf"), float("nan")])
def test_a_grid_that_is_no_power_of_two(cases, grid):
    with pytest.raises(SettingError, match=r"grid is .*power of two"):
        round_to_grid(cases("mlp")[1], grid)


def test_the_grid_is_recorded(cases):
    assert round_to_grid(cases("mlp")[1], 1.0).grid == 1.0

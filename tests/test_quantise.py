"""Weights of a few bits, against a search over powers of two in whole numbers and fractions."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import brian_snn
from brian_snn.__main__ import main
from brian_snn.errors import SettingError
from brian_snn.network.records import Geometry, Population, Projection
from tests.small_network import GRID, STEPS, loop_result, map_matrix, small_images, small_network, taps

BITS = (2, 3, 5, 8)


def output_channels(geometry):
    """Return for each weight the output channels that it reaches, by its place."""
    reached = defaultdict(set)
    if geometry.kind == "dense":
        return {place: {place[1]} for place in np.ndindex(*geometry.weights_shape)}
    if geometry.kind == "identity":
        return {place: {place[-1]} for place in np.ndindex(*geometry.weights_shape)}
    for _, target, kernel in taps(geometry):
        reached[target if geometry.kind == "average_pool" else kernel].add(target[2])
    return reached


def best_unit(weights, bits):
    """Return the smallest power of two, on the grid, of which all weights are as many as an integer of the bits."""
    if not any(weights):
        return Fraction(1)
    unit = Fraction(GRID)
    while not all(-(2 ** (bits - 1)) <= round(Fraction(w) / unit) < 2 ** (bits - 1) for w in weights):
        unit *= 2
    return unit


def expected_units(projection, bits, scales):
    """Return the unit of each output channel."""
    channels = output_channels(projection.geometry)
    groups = defaultdict(list)
    for place, reached in channels.items():
        (channel,) = reached
        groups[channel].append(float(projection.weights[place]))
    if scales == "layer":
        unit = best_unit(list(itertools.chain.from_iterable(groups.values())), bits)
        return dict.fromkeys(groups, unit)
    return {channel: best_unit(weights, bits) for channel, weights in groups.items()}


@pytest.mark.parametrize("scales", ["layer", "channel"])
@pytest.mark.parametrize("bits", BITS)
def test_weights_are_integers_of_the_smallest_unit_that_holds_them_all(bits, scales):
    network = small_network()
    rounded = brian_snn.quantise(network, bits, scales)
    for before, after in zip(network.projections, rounded.projections, strict=True):
        if before.weights is None:
            assert after.weights is None
            continue
        units = expected_units(before, bits, scales)
        for place, (channel,) in output_channels(before.geometry).items():
            expected = round(Fraction(before.weights[place]) / units[channel]) * units[channel]
            assert Fraction(after.weights[place]) == expected, (before.label, place)
    assert rounded.provenance["weight_bits"] == f"{bits} by {scales}"


@pytest.mark.parametrize("finer", [0, 3])
@pytest.mark.parametrize("scales", ["layer", "channel"])
def test_a_bias_is_a_multiple_of_the_finest_unit_that_reaches_its_neuron(scales, finer):
    network = small_network()
    rounded = brian_snn.quantise(network, 4, scales, finer)
    finest = {p.name: np.full(p.size, np.inf) for p in network.populations}
    for projection in network.projections:
        if projection.weights is not None:
            units = expected_units(projection, 4, scales)
            n_out = projection.geometry.n_out
            targets = np.arange(n_out) if projection.target_index is None else projection.target_index
            for output, target in enumerate(targets):
                unit = float(units[output % projection.geometry.output_shape[-1]])
                finest[projection.target][target] = min(finest[projection.target][target], unit)
    for before, after in zip(network.populations, rounded.populations, strict=True):
        for bias, got, unit in zip(before.bias.flat, after.bias.flat, finest[before.name], strict=True):
            step = Fraction(GRID) if np.isinf(unit) else max(Fraction(unit) / 2**finer, Fraction(GRID))
            assert Fraction(got) == round(Fraction(bias) / step) * step, before.name


@pytest.mark.parametrize(
    ("weights", "bits", "expected"),
    [
        # The most negative integer is there, its opposite is not.
        ([-1.0, 0.25], 3, [-1.0, 0.25]),
        ([1.0, 0.25], 3, [1.0, 0.0]),
        # 3.5 units of 2**-2 are 4, which does not fit; of 2**-1 a tie goes to the even integer.
        ([0.875, -0.75], 3, [1.0, -1.0]),
        ([0.0, 0.0], 3, [0.0, 0.0]),
    ],
)
def test_ends_and_ties(weights, bits, expected):
    network = dense_network(weights)
    assert brian_snn.quantise(network, bits).projections[0].weights.ravel().tolist() == expected


def dense_network(weights):
    """Return one neuron that reads pixels."""
    neuron = Population("out", "readout", (1,), np.zeros(1), 1)
    image = Projection(None, "out", Geometry("dense", (len(weights),), (1,)), np.reshape(weights, (-1, 1)))
    return brian_snn.Network((neuron,), (image,), (len(weights),), grid=GRID)


def test_nothing_is_finer_than_the_grid():
    network = replace(dense_network([2.0**-10, 2.0**-12]), grid=2.0**-12)
    assert np.array_equal(brian_snn.quantise(network, 8).projections[0].weights, network.projections[0].weights)
    coarse = brian_snn.quantise(network, 8, grid=2.0**-11)
    assert coarse.grid == 2.0**-11 and coarse.projections[0].weights.ravel().tolist() == [2.0**-10, 0.0]


@pytest.mark.parametrize("reset", ["subtraction", "zero"])
def test_a_quantised_network_spikes_as_the_plain_loop(reset):
    network, images = brian_snn.quantise(small_network(), 4, "channel"), small_images()
    result = brian_snn.simulate(network, images, steps=STEPS, reset=reset, backend="runtime")
    expected = loop_result(network, images, reset=reset)
    for name, counts in expected.spike_counts.items():
        assert np.array_equal(result.spike_counts[name], counts)
        assert np.array_equal(result.potentials[name], expected.potentials[name])
    assert brian_snn.verify(result, replay="all")["holds"].all()


def test_convert_rounds_once():
    import keras

    layers = [keras.Input((6,)), keras.layers.Dense(5, "relu", name="hidden"), keras.layers.Dense(3, name="logits")]
    model, images = keras.Sequential(layers), np.random.default_rng(0).uniform(size=(8, 6))
    fine = brian_snn.convert(model, images, grid=2.0**-40)
    network = brian_snn.convert(model, images, weight_bits=3, weight_scales="channel", finer_biases=2)
    assert network.grid == 2.0**-24 and network.provenance["weight_bits"] == "3 by channel, biases 2 finer"
    for before, after in zip(fine.projections, network.projections, strict=True):
        for column in range(before.weights.shape[1]):
            unit = best_unit(before.weights[:, column], 3)
            expected = [float(round(Fraction(w) / unit) * unit) for w in before.weights[:, column]]
            assert map_matrix(after.geometry, after.weights)[:, column].tolist() == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_bits": 1}, "weight_bits is 1"),
        ({"weight_bits": 33}, "weight_bits is 33; it must be at most 32"),
        ({"weight_bits": 4, "scales": "row"}, "weight_scales is 'row'"),
        ({"weight_bits": 4, "finer_biases": -1}, "finer_biases is -1"),
        ({"weight_bits": 4, "grid": 0.3}, "grid is 0.3"),
    ],
)
def test_bad_values_are_named(options, message):
    with pytest.raises(SettingError, match=message):
        brian_snn.quantise(small_network(), **options)


def test_two_ways_to_round_weights_are_refused():
    with pytest.raises(SettingError, match="weight_bits and weight_grid both"):
        brian_snn.Conversion(weight_bits=4, weight_grid=2.0**-4)
    with pytest.raises(SettingError, match="finer_biases is 2, which says nothing without weight_bits"):
        brian_snn.Conversion(finer_biases=2)


def test_the_option_of_convert(tmp_path, capsys):
    from brian_snn.datasets import load_demo

    path, _, calibration = load_demo()
    np.savez(tmp_path / "x_norm.npz", calibration.images[:20])
    options = ["--data", f"{tmp_path}/x_norm.npz", "--weight-bits", "4", "-o", f"{tmp_path}/net.npz"]
    assert main(["convert", str(path), *options]) == 0
    network = brian_snn.load_network(tmp_path / "net.npz")
    assert network.provenance["weight_bits"] == "4 by layer"
    for projection in network.projections:
        if projection.weights is not None:
            assert len(np.unique(projection.weights)) <= 16

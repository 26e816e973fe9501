"""Activations of some levels (QCFS): read, converted and accounted for, against Keras and closed forms."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from brian_snn.analysis.causes import NAMES, error_causes
from brian_snn.analysis.error import error_account
from brian_snn.analysis.verdict import holds
from brian_snn.analysis.verify import verify
from brian_snn.conversion.convert import convert
from brian_snn.errors import ModelError
from brian_snn.frontends.keras.clip_floor_shift import ClipFloorShift
from brian_snn.frontends.table import load_model, reference_activations
from brian_snn.network.file import load_network
from brian_snn.network.records import Population
from brian_snn.running.simulate import simulate

LEVELS = 4


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Return a network with levels behind a batch norm, and before a maximum."""
    stack = [
        layers.Conv2D(3, 3, name="first"),
        layers.BatchNormalization(name="norm"),
        ClipFloorShift(LEVELS, 0.7, name="levels_1"),
        layers.MaxPooling2D(2, name="pool"),
        layers.Flatten(name="flat"),
        layers.Dense(7, name="second"),
        ClipFloorShift(LEVELS, 0.5, name="levels_2"),
        layers.Dense(3, name="out"),
    ]
    model, rng = keras.Sequential([keras.Input((8, 8, 1)), *stack]), np.random.default_rng(5)
    for layer in stack:
        if not isinstance(layer, ClipFloorShift):
            spread = rng.uniform if isinstance(layer, layers.BatchNormalization) else rng.normal
            layer.set_weights([spread(0.2, 0.6, weights.shape) for weights in layer.get_weights()])
    return model


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(6).uniform(size=(10, 8, 8, 1))


def test_the_layer_is_the_rate_of_a_neuron_that_starts_half_a_threshold_ahead():
    layer, inputs = ClipFloorShift(LEVELS, 0.75), np.arange(-64, 96) / 64
    expected = []
    for x in inputs:
        v, n = 0.5, 0
        for _ in range(LEVELS):
            v += x / 0.75
            n, v = (n + 1, v - 1) if v >= 1 - 1e-12 else (n, v)
        expected.append(0.75 * n / LEVELS)
    assert np.allclose(np.asarray(layer(inputs.astype(np.float32))), expected, atol=1e-6)


def test_gradients_are_those_of_the_clip():
    import tensorflow as tf

    layer, inputs = ClipFloorShift(LEVELS, 0.5), tf.constant([-0.2, 0.1, 0.3, 0.9])
    layer.build((4,))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=True)
    assert np.array_equal(outputs, [0.0, 0.125, 0.25, 0.5])
    assert np.array_equal(tape.gradient(outputs, inputs), [0.0, 1.0, 1.0, 0.0])


def test_a_file_keeps_levels_and_the_threshold_that_was_trained(model, images, tmp_path):
    model.save(tmp_path / "model.keras")
    network = convert(load_model(tmp_path / "model.keras"), images, percentile=50)
    assert [(p.name, p.levels, p.v_init) for p in network.populations] == [
        ("first", LEVELS, 0.5),
        ("pool", None, None),
        ("second", LEVELS, 0.5),
        ("out", None, None),
    ]
    assert (network["first"].scale, network["second"].scale) == (np.float32(0.7), 0.5)
    network.save(tmp_path / "network.npz")
    assert load_network(tmp_path / "network.npz").digest() == network.digest()


def test_as_many_steps_as_levels_give_the_activations_of_a_layer_with_constant_input(model, images):
    network = convert(model, images)
    result = simulate(network, images, steps=LEVELS, backend="runtime")
    activations = reference_activations(model, network, images)
    numbers = np.rint(activations["first"] / network["first"].scale * LEVELS)
    assert np.array_equal(result.spike_counts["first"], numbers)
    assert 0 < numbers.mean() < LEVELS
    assert holds(verify(result))
    account = error_account(result, activations).set_index(["population", "term"])
    assert account.loc[("first", "error"), "rms"] < 1e-7
    assert account.loc[("first", "residual"), "rms"] == account.loc[("first", "levels"), "rms"] > 0.01
    assert account.loc[("second", "unexplained"), "rms"] < 1e-14


def test_causes_are_the_terms_by_the_names_of_later_papers(model, images):
    network = convert(model, images)
    result = simulate(network, images, steps=3, backend="runtime")
    causes = error_causes(result, reference_activations(model, network, images)).set_index("population")
    first = causes.loc["first"]
    # An input that is constant comes evenly, and a trained threshold clips nothing.
    assert first["quantisation"] == pytest.approx(1.0, abs=1e-6)
    assert (first["clipping"], first["unevenness"]) == (0.0, 0.0)
    assert causes.loc["out", list(NAMES)].sum() == pytest.approx(1.0)
    assert causes.loc["second", "unevenness"] != 0.0


def test_levels_without_a_ceiling_are_refused():
    with pytest.raises(ModelError, match="'a': it has 4 levels"):
        Population("a", "spiking", (2,), np.zeros(2), 1, levels=4)

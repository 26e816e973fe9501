"""Sub-networks, against Keras models that end at the same layer and against the whole network."""

import keras
import numpy as np
import pytest
from keras import layers as k

from brian_snn import convert, simulate
from brian_snn.cli.main import main
from brian_snn.errors import ModelError
from brian_snn.network.forward import forward
from tests import models
from tests.models import HAND_PICKED, images_for, outputs_of, trained_like

NAMES = {
    ("odd_pooling", "conv_a"): ["conv_a"],
    ("odd_pooling", "conv_b"): ["conv_a", "max_pool", "conv_b"],
    ("inception_block", "pool_projection"): ["stem", "pool", "pool_projection"],
    ("inception_block", "five_b"): ["stem", "five_a", "five_b"],
    ("norm_after_relu", "norm_a"): ["conv_a"],
    ("norm_after_relu", "norm_c"): ["conv_a", "conv_b", "max_pool", "conv_c"],
    ("depthwise", "relu"): ["conv", "depthwise"],
    ("nested_model", "features/inner_b"): ["stem", "inner_b"],
    ("nested_model", "inner_b"): ["stem", "inner_b"],
    ("nested_model", "features"): ["stem", "inner_a", "inner_b"],
    ("separable", "average"): ["separable_a", "separable_b", "average"],
}


def converted(case, until, n_images=5):
    """Return a model of the collection, images for it, and the network of a part of it."""
    model = HAND_PICKED[case]()
    images = images_for(model, n_images).astype(float)
    return model, images, convert(model, images, until=until)


def sequential(*stack):
    return trained_like(keras.Sequential([keras.Input((6, 5, 2)), *stack]), 3)


@pytest.mark.parametrize(("case", "until"), NAMES, ids="-".join)
def test_only_what_the_layer_needs_is_converted(case, until):
    assert [population.name for population in converted(case, until)[2].populations] == NAMES[case, until]


@pytest.mark.parametrize(
    ("case", "until", "relu"),
    [
        ("odd_pooling", "conv_b", "conv_b"),
        ("odd_pooling", "average_pool", "average_pool"),
        ("odd_pooling", "pool_of_pool", "pool_of_pool"),
        ("inception_block", "pool_projection", "pool_projection"),
        ("depthwise", "depthwise", "relu"),
        ("depthwise", "norm", "relu"),
        ("separable", "separable_b", "relu"),
    ],
)
def test_the_output_is_that_of_a_model_that_ends_at_its_relu(case, until, relu):
    model, images, network = converted(case, until)
    expected = outputs_of(keras.Model(model.inputs, model.get_layer(relu).output), images)
    found = forward(network, images)[network.output.name] * network.output.scale
    # Keras computes in float32.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(("case", "until"), NAMES, ids="-".join)
def test_the_output_spikes(case, until):
    assert converted(case, until)[2].output.kind == "spiking"


@pytest.mark.parametrize("until", ["conv_c", "average_pool", "pool_of_pool"])
def test_a_part_spikes_as_it_does_in_the_whole(until):
    model, images, part = converted("odd_pooling", until)
    options = {"steps": 40, "backend": "runtime", "clamp": 2}
    whole, alone = (simulate(network, images, **options) for network in (convert(model, images), part))
    for population in part.populations:
        assert whole.spike_counts[population.name].any()
        np.testing.assert_array_equal(
            alone.spike_counts[population.name], whole.spike_counts[population.name], population.name
        )


def test_logits_of_a_part_are_its_activations_by_rate():
    _, images, part = converted("odd_pooling", "conv_b")
    result = simulate(part, images, steps=30, backend="runtime")
    np.testing.assert_array_equal(result.logits, result.spike_counts["conv_b"] / 30 * part.output.scale)


def test_what_comes_after_the_layer_may_be_anything():
    model = sequential(
        k.Conv2D(3, 2, name="conv"),
        k.BatchNormalization(name="norm"),
        k.ReLU(name="relu"),
        k.Reshape((10, 6)),
        k.LSTM(4, name="lstm"),
    )
    images = images_for(model, 4).astype(float)
    with pytest.raises(ModelError, match="lstm"):
        convert(model, images)
    assert [p.name for p in convert(model, images, until="conv").populations] == ["conv"]


def test_a_layer_that_is_read_twice_finds_its_relu():
    image = keras.Input((6, 5, 2))
    conv = k.Conv2D(3, 2, name="conv")(image)
    gate = k.Activation("sigmoid", name="gate")(conv)
    model = trained_like(keras.Model(image, k.Multiply()([k.ReLU(name="relu")(conv), gate])), 4)
    network = convert(model, images_for(model, 3).astype(float), until="conv")
    assert [p.name for p in network.populations] == ["conv"]


def test_the_last_layer_is_the_whole_model():
    model, images, part = converted("odd_pooling", "logits")
    assert [p.name for p in part.populations] == [p.name for p in convert(model, images).populations]
    assert part.output.kind == "readout"


def test_the_part_is_noted():
    assert converted("odd_pooling", "conv_b")[2].provenance["until"] == "conv_b"


def test_unknown_layers_are_refused_with_names_like_them():
    with pytest.raises(ModelError, match=r"no layer 'conv_d' .*conv_c"):
        converted("odd_pooling", "conv_d")


def test_a_layer_before_the_first_weights_is_refused():
    with pytest.raises(ModelError, match="'rescaling' .*no neurons"):
        converted("nested_model", "rescaling")


def test_a_linear_layer_without_a_relu_of_its_own_is_refused():
    image = keras.Input((6, 5, 2))
    left, right = (k.Conv2D(3, 2, name=name)(image) for name in ("left", "right"))
    x = k.ReLU(name="relu")(k.Add(name="sum")([left, right]))
    model = trained_like(keras.Model(image, k.Dense(2, name="top")(k.Flatten()(x))), 5)
    images = images_for(model, 3).astype(float)
    with pytest.raises(ModelError, match="'left' .*no neurons of its own"):
        convert(model, images, until="left")
    assert [p.name for p in convert(model, images, until="sum").populations] == ["sum"]


def test_the_command_line_converts_a_part(tmp_path, capsys):
    model = models.odd_pooling()
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "x.npz", x_norm=images_for(model, 4))
    paths = [f"{tmp_path}/model.keras", "--data", f"{tmp_path}/x.npz", "-o", f"{tmp_path}/net.npz"]
    assert main(["convert", *paths, "--until", "conv_b"]) == 0
    assert "conv_b" in capsys.readouterr().out
    with np.load(tmp_path / "net.npz") as stored:
        assert "logits" not in str({name: stored[name] for name in stored.files})


def two_heads():
    """Return a model with classes and a number, of which the first is rectified on the way to the other."""
    image = keras.Input((6, 5, 2))
    x = k.Flatten()(k.Conv2D(4, 3, activation="relu", name="shared")(image))
    hidden = k.Dense(5, name="hidden")(x)
    classes = k.Dense(3, activation="softmax", name="classes")(k.ReLU()(hidden))
    return trained_like(keras.Model(image, [classes, k.Dense(1, name="number")(x), hidden]), 3)


@pytest.mark.parametrize(
    ("until", "output", "names"),
    [
        ("classes", 0, ["shared", "hidden", "classes"]),
        ("number", 1, ["shared", "number"]),
        ("hidden", 2, ["shared", "hidden"]),
    ],
)
def test_one_of_several_outputs_is_a_readout(until, output, names):
    model = two_heads()
    images = images_for(model, 5)
    network = convert(model, images, until=until)
    assert [population.name for population in network.populations] == names
    assert network.output.kind == "readout"
    expected = outputs_of(model, images)[output]
    found = forward(network, images)[until] * network.output.scale
    found = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True) if until == "classes" else found
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_all_of_several_outputs_are_read_out_unless_one_is_chosen():
    model = two_heads()
    heads = convert(model, images_for(model, 2)).heads
    assert [name for name, _ in heads] == ["classes", "number", "hidden_output"]


@pytest.mark.parametrize(("until", "activation"), [("leaky", k.LeakyReLU), ("linear", None)])
def test_what_two_populations_stand_for_is_read_out(until, activation):
    """A leaky ReLU, and what is cropped before its ReLU, which no one map does."""
    between = [] if activation is None else [activation(0.25, name="leaky")]
    model = sequential(k.Conv2D(4, 3, name="linear"), *between, k.Cropping2D(1), k.ReLU(), k.Conv2D(3, 1))
    images = images_for(model, 4)
    network = convert(model, images, until=until)
    assert network.output.kind == "readout"
    assert {population.name for population in network.populations} >= {"linear", "linear_below"}
    found = forward(network, images)[network.output.name] * network.output.scale
    expected = outputs_of(keras.Model(model.inputs, model.get_layer(until).output), images)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())

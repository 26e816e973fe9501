"""What a model ends in is left off, noted, and applied again: against `model.predict`."""

import json
from dataclasses import replace

import numpy as np
import pytest

import brian_snn
from brian_snn.conversion.fold import fold
from brian_snn.errors import DataError, ModelError
from brian_snn.frontends.keras.reader import read_model
from brian_snn.frontends.table import reference_activations
from brian_snn.network.file import read_network
from brian_snn.network.forward import forward
from brian_snn.network.output import activate
from tests.models import images_for, layers, outputs_of, trained_like

ACTIVATIONS = ["linear", "softmax", "log_softmax", "sigmoid", "tanh"]


def nested(k, x, activation):
    """Return the end of a model inside another model."""
    import keras

    inner = keras.Input(x.shape[1:])
    return keras.Model(inner, k.Activation(activation)(k.Dense(3)(inner)), name="head")(x)


def by_function(module):
    """Return an ending that calls a function of a module of Keras."""

    def ending(k, x, activation):
        import keras

        return getattr(getattr(keras, module), activation)(k.Dense(3)(x))

    return ending


#: From Keras' layers, a vector and the name of an activation to the output.
ENDINGS = {
    "fused": lambda k, x, activation: k.Dense(3, activation=activation)(x),
    "Activation": lambda k, x, activation: k.Activation(activation)(k.Dense(3)(x)),
    "a layer as the activation": lambda k, x, activation: k.Dense(3, activation=k.Activation(activation))(x),
    "Activation in float32": lambda k, x, activation: k.Activation(activation, dtype="float32")(k.Dense(3)(x)),
    "nested": nested,
    "keras.ops": by_function("ops"),
    "keras.activations": by_function("activations"),
    "dropout behind": lambda k, x, activation: k.Dropout(0.5)(k.Dense(3, activation=activation)(x)),
    "reshape behind": lambda k, x, activation: k.Reshape((1, 3))(k.Dense(3, activation=activation)(x)),
    "one unit": lambda k, x, activation: k.Dense(1, activation=activation)(x),
    "behind a ReLU": lambda k, x, activation: k.Activation(activation)(k.Dense(3, activation="relu")(x)),
}

#: From a feature map to the output.
IMAGE_ENDINGS = {
    "fused": lambda k, x, activation: k.Conv2D(3, 1, activation=activation)(x),
    "a pixel a row": lambda k, x, activation: k.Activation(activation)(k.Reshape((16, 3))(k.Conv2D(3, 1)(x))),
    "a pixel a row behind": lambda k, x, activation: k.Reshape((16, 3))(k.Conv2D(3, 1, activation=activation)(x)),
    "batch norm between": lambda k, x, activation: k.Activation(activation)(k.BatchNormalization()(k.Conv2D(3, 1)(x))),
}


def model_of(ending, activation, flat=True):
    import keras

    k = layers()
    image = keras.Input((6, 6, 2))
    x = k.Conv2D(4, 3, activation="relu", name="conv")(image)
    return trained_like(keras.Model(image, ending(k, k.Flatten()(x) if flat else x, activation)), seed=3)


#: Moves single elements, so that an activation of each may as well come behind.
MOVES = {
    "reshape": lambda k, x: k.Reshape((4, 16))(x),
    "permute": lambda k, x: k.Permute((2, 1, 3))(x),
    "crop": lambda k, x: k.Cropping2D(1)(x),
    "flatten": lambda k, x: k.Flatten()(x),
}

CASES = {
    (where, activation): (ending, activation, where[0] == "vector")
    for place, endings in (("vector", ENDINGS), ("image", IMAGE_ENDINGS))
    for name, ending in endings.items()
    for where in ((place, name),)
    for activation in ACTIVATIONS
    if (name, activation) != ("keras.ops", "linear")
}


def check(model, activation):
    """Check that a model is converted, with the activation left off; return the network."""
    images = images_for(model, 5)
    network = brian_snn.convert(model, images)
    assert network.output_activation == activation
    logits = forward(network, images)[network.output.name] * network.output.scale
    expected = outputs_of(model, images)
    np.testing.assert_allclose(activate(network, logits), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    reference = reference_activations(model, network, images)[network.output.name]
    np.testing.assert_allclose(reference, logits, rtol=0, atol=1e-4 * np.abs(logits).max())
    return network


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1")
@pytest.mark.parametrize(("ending", "activation", "flat"), CASES.values(), ids=["-".join((*w, a)) for w, a in CASES])
def test_the_activation_is_noted_and_applied_again(ending, activation, flat, tmp_path):
    network = check(model_of(ending, activation, flat), activation)
    network.save(tmp_path / "net.npz")
    assert brian_snn.load_network(tmp_path / "net.npz").output_activation == activation


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_elements_may_move_behind_an_activation_of_each(move, activation):
    def ending(k, x, activation):
        return move(k, k.Activation(activation)(k.AveragePooling2D(2, 1, padding="same")(x)))

    check(model_of(ending, activation, flat=False), activation)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "log_softmax"])
def test_functions_of_tensorflow_are_known_at_the_output(name):
    import tensorflow as tf

    check(model_of(lambda k, x, a: k.Dense(3, activation=getattr(tf.nn, name))(x), name), name)


def test_a_model_file_is_converted_the_same(tmp_path):
    model = model_of(ENDINGS["keras.activations"], "sigmoid")
    model.save(tmp_path / "model.keras")
    assert brian_snn.convert(tmp_path / "model.keras", images_for(model, 3)).output_activation == "sigmoid"


# --- what is refused ------------------------------------------------------------------------------------------------

INSIDE = {
    "under a dense layer": lambda k, x, a: k.Dense(2)(k.Dense(3, activation=a, name="inside")(x)),
    "under a rescaling": lambda k, x, a: k.Rescaling(2.0)(k.Dense(3, activation=a, name="inside")(x)),
    "twice": lambda k, x, a: k.Activation("softmax")(k.Activation(a, name="inside")(k.Dense(3)(x))),
    "in a branch": lambda k, x, a: k.Add()([k.Activation(a, name="inside")(k.Dense(3)(x)), k.Dense(3)(x)]),
}


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "log_softmax"])
@pytest.mark.parametrize("ending", INSIDE.values(), ids=INSIDE)
def test_inside_a_model_it_is_refused_as_any_other(ending, activation):
    message = (
        f"^layer 'inside' .*: the activation '{activation}' has no rate-coded form; replace it by ReLU and retrain"
    )
    with pytest.raises(ModelError, match=message):
        fold(read_model(model_of(ending, activation)))


@pytest.mark.parametrize("activation", ["softmax", "log_softmax"])
def test_a_softmax_whose_classes_are_torn_apart_is_refused(activation):
    ending = lambda k, x, a: k.Flatten()(k.Conv2D(3, 1, activation=a, name="inside")(x))  # noqa: E731
    with pytest.raises(ModelError, match="layer 'inside'"):
        fold(read_model(model_of(ending, activation, flat=False)))


def test_a_layer_inside_a_model_has_no_activation_of_the_output():
    model = model_of(ENDINGS["fused"], "sigmoid")
    assert brian_snn.convert(model, images_for(model, 3), until="conv").output_activation == "hidden"


# --- numbers and files ----------------------------------------------------------------------------------------------


def with_activation(activation, n=3):
    """Return a network of a single readout with that activation."""
    from tests.small_network import small_network

    return replace(small_network(), output_activation=activation)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_large_logits_neither_overflow_nor_lose_what_is_small(activation):
    logits = np.array([[-800.0, 0.0, 800.0], [1e4, 1e4, 1e4], [-1e4, -1e4 - 40, -1e4]])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        outputs = activate(with_activation(activation), logits)
    small = np.exp(-40)
    expected = {
        "linear": logits,
        "softmax": [[0, 0, 1], [1 / 3] * 3, [1 / (2 + small), small / (2 + small), 1 / (2 + small)]],
        "log_softmax": [[-1600, -800, 0], [-np.log(3)] * 3, [-np.log(2), -40 - np.log(2), -np.log(2)]],
        "sigmoid": [[0, 0.5, 1], [1] * 3, [0] * 3],
        "tanh": [[-1, 0, 1], [1] * 3, [-1] * 3],
    }[activation]
    np.testing.assert_allclose(outputs, expected, rtol=1e-14, atol=1e-300)


def without_meaning(path):
    """Rewrite a network file as the format before wrote it."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    structure = json.loads(arrays["structure"].tobytes())
    del structure["output_activation"], structure["calibration_range"]
    structure["version"] = 1
    for population in structure["populations"]:
        population["reference"] = " > ".join("/".join(names) for names, _ in population["reference"])
    for projection in structure["projections"]:
        projection["source"] = projection["source"] or "<input>"
    arrays["structure"] = np.frombuffer(json.dumps(structure).encode(), dtype=np.uint8)
    np.savez(path, **arrays)


def test_a_file_of_the_format_before_is_read_and_keeps_its_hash(tmp_path):
    network = with_activation("softmax")
    network.save(tmp_path / "net.npz")
    without_meaning(tmp_path / "net.npz")
    old = brian_snn.load_network(tmp_path / "net.npz")
    assert old.output_activation == "unknown"
    for one, other in zip(old.populations, network.populations, strict=True):
        assert one.name == other.name and np.array_equal(one.bias, other.bias)
    with pytest.raises(DataError, match="does not say what activation .* convert the model again"):
        activate(old, np.zeros((1, 3)))
    old.save(tmp_path / "again.npz")
    again = brian_snn.load_network(tmp_path / "again.npz")
    assert again.output_activation == "unknown"
    assert again.digest() == old.digest() != network.digest()


def test_the_hash_of_the_format_before_is_that_which_it_had(tmp_path):
    """Of the arrays as they stand in the file, whose structure has no provenance, as it always was."""
    import hashlib

    network = with_activation("softmax")
    network.save(tmp_path / "net.npz")
    without_meaning(tmp_path / "net.npz")
    digest = hashlib.sha256()
    with np.load(tmp_path / "net.npz") as file:
        for name in sorted(file.files):
            digest.update(name.encode() + str(file[name].dtype).encode() + file[name].tobytes())
    assert read_network(tmp_path / "net.npz")[1] == digest.hexdigest()


def test_an_activation_that_is_none_is_a_damaged_file(tmp_path):
    with pytest.raises(ModelError, match="output_activation is 'swish'; it must be one of"):
        with_activation("swish")
    with_activation("tanh").save(tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as file:
        arrays = {name: file[name] for name in file.files}
    text = arrays["structure"].tobytes().replace(b'"tanh"', b'"swish"')
    np.savez(tmp_path / "net.npz", **arrays | {"structure": np.frombuffer(text, np.uint8)})
    with pytest.raises(DataError, match="damaged .output_activation is 'swish'"):
        brian_snn.load_network(tmp_path / "net.npz")

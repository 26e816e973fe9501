"""Models that take several inputs: against what Keras and onnxruntime make of them, end to end and by their files."""

import keras
import numpy as np
import pytest
from keras import layers

import brian_snn
from brian_snn import convert, load_network, load_result, simulate, verify
from brian_snn.__main__ import main
from brian_snn.errors import DataError, ModelError
from brian_snn.frontends.table import reference_activations, scores_of
from brian_snn.inputs import as_one, by_input
from tests.models import outputs_of

IN_PROCESS = {"backend": "runtime"}


def siamese():
    """Return two images through the same convolution, their sum and a vector of features into one classifier."""
    left, right = keras.Input((6, 6, 1), name="left"), keras.Input((6, 6, 1), name="right")
    features = keras.Input((5,), name="features")
    shared = keras.Sequential(
        [keras.Input((6, 6, 1)), layers.Conv2D(3, 3, activation="relu"), layers.Flatten()], name="shared"
    )
    joined = layers.Concatenate()([shared(left), shared(right), layers.Dense(4, activation="relu")(features)])
    return keras.Model([left, right, features], layers.Dense(3, activation="softmax", name="classes")(joined))


def two_sizes():
    """Return images of two sizes and their own layers, added."""
    large, small = keras.Input((8, 8, 2), name="large"), keras.Input((4, 4, 2), name="tiny")
    pooled = layers.AveragePooling2D(2)(layers.Conv2D(4, 3, padding="same", activation="relu")(large))
    both = layers.Add()([pooled, layers.Conv2D(4, 1, activation="relu")(small)])
    both = layers.ReLU()(layers.Conv2D(2, 3)(both))
    return keras.Model({"tiny": small, "large": large}, layers.Dense(2)(layers.Flatten()(both)))


def raw():
    """Return features that are put beside pixels before any layer with weights, and once more at the end."""
    image, features = keras.Input((3, 3, 1), name="image"), keras.Input((4,), name="features")
    flat = layers.Concatenate()([layers.Flatten()(image), features])
    hidden = layers.Dense(6, activation="relu")(flat)
    return keras.Model([image, features], layers.Dense(2)(layers.Concatenate()([hidden, features])))


MODELS = {"siamese": siamese, "two sizes": two_sizes, "raw": raw}


def names_of(model):
    """Return what the inputs are called."""
    given = model._inputs_struct
    if not isinstance(given, dict):
        return [tensor.name for tensor in given]
    return [name for tensor in model.inputs for name in given if given[name] is tensor]


def images_for(model, n_images=6, seed=0):
    """Return images of every input, by its name."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.uniform(size=(n_images, *t.shape[1:])) for name, t in zip(names_of(model), model.inputs, strict=True)
    }


def predicted(model, images):
    """Return what Keras makes of images."""
    given = model._inputs_struct
    return outputs_of(model, images if isinstance(given, dict) else [images[t.name] for t in given])


@pytest.fixture(scope="module", params=MODELS)
def case(request):
    keras.utils.set_random_seed(3)
    model = MODELS[request.param]()
    images = images_for(model)
    return model, images, convert(model, images, percentile=100)


def test_every_population_is_what_keras_computes(case):
    model, images, network = case
    assert dict(network.inputs) == {name: given.shape[1:] for name, given in images.items()}
    own = brian_snn.network.forward.forward(network, images)
    expected = reference_activations(model, network, as_one(images, network.inputs), dtype="float64")
    for name, values in own.items():
        assert np.abs(values * network[name].scale - expected[name]).max() < 1e-5 * max(1, np.abs(expected[name]).max())
    np.testing.assert_allclose(scores_of(model, as_one(images, network.inputs)), predicted(model, images), rtol=1e-6)


def test_it_spikes_and_verifies(case, tmp_path):
    model, images, network = case
    network.save(tmp_path / "net.npz")
    again = load_network(tmp_path / "net.npz")
    assert again.inputs == network.inputs and again.digest() == network.digest()
    result = simulate(again, images, steps=1500, **IN_PROCESS, output=tmp_path / "run")
    assert verify(load_result(tmp_path / "run"))["holds"].all()
    expected = predicted(model, images)
    found = result.outputs
    assert np.abs(found - expected).max() < 0.05 * max(1.0, np.abs(expected).max())
    parts = by_input(result.images, network.inputs)
    assert all((parts[name] == given).all() for name, given in images.items())


def test_poisson_input_and_frames(case):
    _, images, network = case
    for reset in ("subtraction", "zero"):
        result = simulate(network, images, steps=20, input_coding="poisson", reset=reset, **IN_PROCESS)
        assert verify(result)["holds"].all()
    moving = {name: np.repeat(given[:, None], 15, axis=1) for name, given in images.items()}
    still = simulate(network, images, steps=15, **IN_PROCESS)
    found = simulate(network, moving, **IN_PROCESS)
    assert all((counts == still.spike_counts[name]).all() for name, counts in found.spike_counts.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.pop("left"), "images lack 'left'; the model's inputs are 'left', 'right', 'features'"),
        (lambda x: x.update(depth=x["left"]), "images have 'depth'"),
        (lambda x: x.update(left=x["left"][:2]), "different numbers: 'left' has (2,)"),
        (lambda x: x.update(left=x["left"][..., 0]), "input 'left': of shape (6, 6, 6); (number of images, 6, 6, 1)"),
        (lambda x: x.update(left=np.array(["a"])), "input 'left': of type <U1"),
        (lambda x: x.update(left=x["left"] * np.nan), "NaN"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    network = convert(siamese(), images_for(siamese()))
    images = images_for(siamese(), 6)
    change(images)
    with pytest.raises(DataError) as error:
        simulate(network, images, **IN_PROCESS)
    assert message in str(error.value)


def test_one_array_for_several_and_several_for_one_are_refused():
    network = convert(siamese(), list(images_for(siamese()).values()))
    with pytest.raises(DataError, match="3 inputs, so a dict with the arrays 'left', 'right', 'features'"):
        simulate(network, np.ones((2, 6, 6, 1)), **IN_PROCESS)
    one = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(DataError, match="a dict of 'x'; the model has one input"):
        convert(one, {"x": np.ones((2, 4))})


def test_inputs_of_any_size_are_those_of_the_calibration():
    image, mask = keras.Input((None, None, 2), name="image"), keras.Input((None, None, 1), name="mask")
    both = layers.Concatenate()([layers.Conv2D(3, 3, padding="same", activation="relu")(image), mask])
    model = keras.Model([image, mask], layers.Conv2D(2, 1)(both))
    rng = np.random.default_rng(0)
    network = convert(model, {"image": rng.uniform(size=(3, 5, 7, 2)), "mask": rng.uniform(size=(3, 5, 7, 1))})
    assert network.inputs == (("image", (5, 7, 2)), ("mask", (5, 7, 1)))


def test_a_dict_of_inputs_of_any_size_keeps_its_names():
    image, mask = keras.Input((None, None, 2), name="an_image"), keras.Input((None, None, 1), name="z_mask")
    both = layers.Concatenate()([layers.Conv2D(3, 3, padding="same", activation="relu")(image), mask])
    with pytest.warns(UserWarning, match="all keys in the dict must match the names"):
        model = keras.Model({"picture": image, "above": mask}, layers.Conv2D(2, 1)(both))
    rng = np.random.default_rng(0)
    images = {"above": rng.uniform(size=(3, 5, 7, 1)), "picture": rng.uniform(size=(3, 5, 7, 2))}
    network = convert(model, images, percentile=100)
    assert dict(network.inputs) == {"above": (5, 7, 1), "picture": (5, 7, 2)}
    result = simulate(network, images, steps=2000, **IN_PROCESS)
    expected = outputs_of(model, images)
    assert np.abs(result.logits - expected).max() < 0.01 * np.abs(expected).max()


def test_a_layer_at_which_to_stop_keeps_all_inputs():
    network = convert(siamese(), images_for(siamese()), until="shared")
    assert [name for name, _ in network.inputs] == ["left", "right", "features"]


def test_the_command_line_takes_an_npz_of_the_inputs(tmp_path, capsys):
    model = siamese()
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "x.npz", **images_for(model), y=np.arange(6) % 3)
    np.savez(tmp_path / "less.npz", left=np.ones((2, 6, 6, 1)))
    folder = str(tmp_path)
    convert_command = ["convert", f"{folder}/model.keras", "-o", f"{folder}/net.npz", "--data"]
    assert main([*convert_command, f"{folder}/less.npz"]) == 2
    assert "an .npz with the arrays ['left', 'right', 'features']" in " ".join(capsys.readouterr().err.split())
    assert main([*convert_command, f"{folder}/x.npz"]) == 0
    simulate_command = ["simulate", f"{folder}/net.npz", "--data", f"{folder}/x.npz", "-o", f"{folder}/run"]
    assert main([*simulate_command, "--backend", "runtime", "--steps", "30"]) == 0
    assert "accuracy on 6 images" in capsys.readouterr().out
    assert main(["report", f"{folder}/run", "--model", f"{folder}/model.keras", "-o", f"{folder}/r.html"]) == 0


@pytest.mark.parametrize(
    "inputs",
    [[["a", [4]]], [["a", [4]], ["a", [5]]], [["a", [4]], ["b", [4]]], "left", [["a"]], [[1, [4]], ["b", [5]]], 5],
)
def test_a_file_with_other_inputs_is_damaged(inputs, tmp_path):
    import json

    network = convert(raw(), images_for(raw()))
    network.save(tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as stored:
        arrays = dict(stored)
    structure = json.loads(arrays["structure"].tobytes()) | {"inputs": inputs}
    arrays["structure"] = np.frombuffer(json.dumps(structure).encode(), np.uint8)
    np.savez(tmp_path / "net.npz", **arrays)
    with pytest.raises(DataError, match="damaged"):
        load_network(tmp_path / "net.npz")


# --- ONNX -----------------------------------------------------------------------------------------------------------


def onnx_model(opset=17, batch="N", kinds=(1, 1)):
    """Return an ONNX graph of two inputs: a convolution of one beside a vector, into a dense layer."""
    onnx = pytest.importorskip("onnx")
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(size=(3, 2, 3, 3)),
        "b": rng.normal(size=3),
        "v": rng.normal(size=(3 * 16 + 5, 4)),
    }
    nodes = [
        onnx.helper.make_node("Conv", ["picture/x", "w", "b"], ["c"]),
        onnx.helper.make_node("Relu", ["c"], ["r"]),
        onnx.helper.make_node("Flatten", ["r"], ["f"]),
        onnx.helper.make_node("Concat", ["f", "features"], ["j"], axis=1),
        onnx.helper.make_node("MatMul", ["j", "v"], ["out"]),
    ]
    make = onnx.helper.make_tensor_value_info
    given = [make("picture/x", kinds[0], [batch, 2, 6, 6]), make("features", kinds[1], [batch, 5])]
    stored = [onnx.numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]
    graph = onnx.helper.make_graph(nodes, "two", given, [make("out", 1, [batch, 4])], stored)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.parametrize("batch", ["N", 1, 3])
@pytest.mark.parametrize("opset", [11, 17])
def test_an_onnx_model_of_two_inputs(batch, opset, tmp_path):
    import onnx
    from onnx.reference import ReferenceEvaluator

    model = onnx_model(opset, batch)
    rng = np.random.default_rng(1)
    images = {"picture/x": rng.uniform(size=(6, 2, 6, 6)), "features": rng.uniform(size=(6, 5))}
    onnx.save(model, tmp_path / "m.onnx")
    network = convert(tmp_path / "m.onnx", images)
    assert network.inputs == (("picture/x", (2, 6, 6)), ("features", (5,)))
    result = simulate(network, images, steps=2000, **IN_PROCESS)
    assert verify(result)["holds"].all()
    run = ReferenceEvaluator(onnx_model(opset)).run
    (expected,) = run(None, {name: array.astype(np.float32) for name, array in images.items()})
    assert np.abs(result.logits - expected).max() < 0.02 * np.abs(expected).max()
    np.testing.assert_allclose(scores_of(model, as_one(images, network.inputs)), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: onnx_model(9), "version 9 of the operators"),
        (lambda: onnx_model(kinds=(1, 11)), "different types"),
        (lambda: onnx_model(kinds=(1, 7)), "no tensor of floats"),
    ],
)
def test_onnx_inputs_that_cannot_be_joined_are_refused(model, message):
    with pytest.raises(ModelError, match=message):
        convert(model(), {"picture/x": np.ones((2, 2, 6, 6)), "features": np.ones((2, 5))})

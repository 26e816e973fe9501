"""Models with several outputs: a readout each, against Keras and onnx; one of them, and layers inside, by name."""

import keras
import numpy as np
import pytest
from keras import layers

from brian_snn import convert, load_network, load_result, simulate, verify
from brian_snn.__main__ import main
from brian_snn.errors import DataError, ModelError, SettingError
from brian_snn.frontends.table import reference_activations, scores_of
from tests.models import outputs_of

IN_PROCESS = {"backend": "runtime"}


def two_heads():
    """Return a classifier whose hidden layer also feeds a regression, one layer deeper."""
    image = keras.Input((6, 6, 1))
    hidden = layers.Flatten()(layers.Conv2D(4, 3, activation="relu", name="conv")(image))
    deeper = layers.Dense(5, activation="relu", name="deeper")(hidden)
    heads = [layers.Dense(3, activation="softmax", name="classes")(hidden), layers.Dense(2, name="place")(deeper)]
    return keras.Model(image, heads, name="twofold")


def used_inside():
    """Return a model of which one output is a layer that others read, another a sigmoid of its own."""
    features = keras.Input((7,))
    hidden = layers.Dense(6, activation="relu", name="hidden")(features)
    yes = layers.Activation("sigmoid", name="yes")(layers.Dense(1, name="unit")(hidden))
    return keras.Model(features, {"hidden": hidden, "yes": yes})


def maps():
    """Return a model whose outputs are images: a max pooling, and a mask in logits behind an addition."""
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(3, 3, padding="same", activation="relu", name="x")(image)
    pooled = layers.MaxPooling2D(2, name="pooled")(x)
    mask = layers.Add(name="sum")([layers.Conv2D(2, 1, name="mask")(x), layers.Conv2D(2, 1)(image)])
    return keras.Model(image, [pooled, mask])


def nested():
    """Return a model around one of two outputs, which is called twice and of which one output is a head itself."""
    given = keras.Input((7,))
    hidden = layers.Dense(6, activation="relu")(given)
    ends = {"wide": layers.Dense(7, activation="relu", name="wide")(hidden), "map": layers.Dense(3, name="map")(hidden)}
    inner = keras.Model(given, ends, name="inner")
    features = keras.Input((7,))
    first = inner(features)
    second = inner(first["wide"])
    both = layers.Concatenate()([layers.ReLU()(first["map"]), second["wide"]])
    return keras.Model(features, [layers.Dense(2, activation="softmax", name="classes")(both), second["map"]])


MODELS = {"two heads": two_heads, "used inside": used_inside, "maps": maps, "nested": nested}


def images_for(model, n_images=6):
    """Return images of either sign."""
    return np.random.default_rng(5).normal(0.4, 0.5, (n_images, *model.inputs[0].shape[1:]))


@pytest.fixture(scope="module", params=MODELS)
def case(request):
    keras.utils.set_random_seed(4)
    model = MODELS[request.param]()
    return model, images_for(model), convert(model, images_for(model), percentile=100)


def test_each_output_has_a_readout_that_comes_to_what_keras_says(case, tmp_path):
    model, images, network = case
    network.save(tmp_path / "net.npz")
    assert load_network(tmp_path / "net.npz").heads == network.heads
    result = simulate(network, images, steps=2500, **IN_PROCESS, output=tmp_path / "run")
    found = load_result(tmp_path / "run").heads
    expected = keras.tree.flatten(outputs_of(model, images))
    assert len(found) == len(expected) == 2
    for (name, head), values in zip(found.items(), expected, strict=True):
        assert name == network.heads[list(found).index(name)][0]
        assert np.abs(head.outputs - values).max() < 0.02 * max(1.0, np.abs(values).max())
    assert verify(result, replay="all")["holds"].all()


def test_every_population_is_what_keras_computes(case):
    model, images, network = case
    from brian_snn.network.forward import forward

    expected = reference_activations(model, network, images, dtype="float64")
    for name, values in forward(network, images).items():
        assert np.abs(values * network[name].scale - expected[name]).max() < 1e-5 * max(1, np.abs(expected[name]).max())
    together = np.concatenate([v.reshape(len(v), -1) for v in keras.tree.flatten(outputs_of(model, images))], 1)
    np.testing.assert_allclose(scores_of(model, images), together, rtol=1e-6)


def test_what_they_mean_is_told_apart():
    network = convert(two_heads(), images_for(two_heads()))
    assert network.heads == (("classes", "softmax"), ("place", "linear"))
    result = simulate(network, images_for(two_heads()), steps=40, checkpoints=[10, 40], **IN_PROCESS)
    assert result.predictions is None
    classes, place = result.heads["classes"], result.heads["place"]
    np.testing.assert_allclose(classes.outputs.sum(axis=1), 1.0)
    assert (classes.predictions == classes.logits.argmax(axis=1)).all() and place.predictions is not None
    np.testing.assert_array_equal(result.output_history[-1], np.concatenate([classes.logits, place.logits], axis=1))
    for what in ("logits", "outputs"):
        with pytest.raises(DataError, match="outputs 'classes', 'place'; result.heads"):
            getattr(result, what)
    yes = simulate(convert(used_inside(), images_for(used_inside())), images_for(used_inside()), steps=9, **IN_PROCESS)
    assert list(yes.heads) == ["hidden_output", "unit"]
    assert yes.heads["unit"].predictions.shape == (6,)


@pytest.mark.slow
def test_compiled_heads_are_those_of_the_process():
    network, images = convert(two_heads(), images_for(two_heads())), images_for(two_heads())
    options = {"steps": 30, "reset": "zero", "checkpoints": [7, 30]}
    compiled, in_process = (simulate(network, images, **options, **more) for more in ({}, IN_PROCESS))
    assert (compiled.output_history == in_process.output_history).all()
    assert all((compiled.potentials[name] == v).all() for name, v in in_process.potentials.items())


def test_one_network_of_one_output_has_a_head_too():
    network = convert(two_heads(), images_for(two_heads()), outputs=["classes"])
    assert not network.heads and network.output_activation == "softmax" and "deeper" not in repr(network)
    result = simulate(network, images_for(two_heads()), steps=20, **IN_PROCESS)
    assert (result.heads["classes"].outputs == result.outputs).all()
    assert (result.heads["classes"].predictions == result.predictions).all()


def test_layers_inside_are_read_out_by_name():
    model, images = two_heads(), images_for(two_heads())
    network = convert(model, images, percentile=100, outputs=["conv", "place", "deeper"])
    assert [name for name, _ in network.heads] == ["conv_output", "place", "deeper_output"]
    assert "classes" not in [p.name for p in network.populations]
    result = simulate(network, images, steps=2000, **IN_PROCESS)
    inside = outputs_of(keras.Model(model.inputs, model.get_layer("conv").output), images)
    assert np.abs(result.heads["conv_output"].outputs - inside).max() < 0.01 * inside.max()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"outputs": ["nowhere"]}, ModelError, "no layer 'nowhere'"),
        ({"outputs": ["place", "place"]}, ModelError, "two are the same layer"),
        ({"outputs": ["place"], "until": "conv"}, SettingError, "until and outputs"),
        ({"outputs": "place"}, SettingError, r"as \('place',\)"),
    ],
)
def test_what_cannot_be_read_out_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        convert(two_heads(), images_for(two_heads()), **options)


def test_a_softmax_that_spikes_has_one_output():
    with pytest.raises(SettingError, match="has 2 outputs"):
        simulate(convert(two_heads(), images_for(two_heads())), images_for(two_heads()), readout="softmax")


def test_the_command_line_reads_out_several(tmp_path, capsys):
    two_heads().save(tmp_path / "m.keras")
    np.savez(tmp_path / "x.npz", x=images_for(two_heads()), y=np.arange(6) % 3)
    folder = str(tmp_path)
    data = ["--data", f"{folder}/x.npz"]
    assert main(["convert", f"{folder}/m.keras", *data, "-o", f"{folder}/net.npz"]) == 0
    assert main(["simulate", f"{folder}/net.npz", *data, "-o", f"{folder}/run", "--backend", "runtime"]) == 0
    assert main(["verify", f"{folder}/run"]) == 0
    assert main(["report", f"{folder}/run", "--model", f"{folder}/m.keras", "-o", f"{folder}/r.html"]) == 0
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "The output place, of shape (2,)" in page and "The output classes, of shape (3,)" in page
    chosen = ["--outputs", "place", "conv", "-o", f"{folder}/two.npz"]
    assert main(["convert", f"{folder}/m.keras", *data, *chosen]) == 0
    assert [name for name, _ in load_network(tmp_path / "two.npz").heads] == ["place", "conv_output"]


def test_onnx_outputs(tmp_path):
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    rng, make = np.random.default_rng(0), onnx.helper.make_tensor_value_info
    stored = {"w": rng.normal(size=(6, 5)), "v": rng.normal(size=(5, 3)), "u": rng.normal(size=(5, 2))}
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "w"], ["a"]),
        onnx.helper.make_node("Relu", ["a"], ["h"]),
        onnx.helper.make_node("MatMul", ["h", "v"], ["b"]),
        onnx.helper.make_node("Softmax", ["b"], ["p"], axis=-1),
        onnx.helper.make_node("MatMul", ["h", "u"], ["q"]),
    ]
    weights = [onnx.numpy_helper.from_array(array.astype(np.float32), name) for name, array in stored.items()]
    outputs = [make("p", 1, ["n", 3]), make("q", 1, ["n", 2])]
    graph = onnx.helper.make_graph(nodes, "two", [make("x", 1, ["n", 6])], outputs, weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    images = rng.uniform(size=(5, 6))
    network = convert(tmp_path / "m.onnx", images, percentile=100)
    expected = ReferenceEvaluator(model).run(None, {"x": images.astype(np.float32)})
    heads = simulate(network, images, steps=3000, **IN_PROCESS).heads
    assert [kind for _, kind in network.heads] == ["softmax", "linear"]
    for head, values in zip(heads.values(), expected, strict=True):
        assert np.abs(head.outputs - values).max() < 0.02 * max(1.0, np.abs(values).max())

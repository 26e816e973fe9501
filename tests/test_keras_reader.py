"""Reading and loading Keras models: faithful records, refusals that name the layer, no code from files."""

import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from brian_snn.conversion.fold import fold
from brian_snn.conversion.forward import forward
from brian_snn.conversion.graph import INPUT
from brian_snn.conversion.keras_reader import check_against_keras, load_model, read_model, reference_activations
from brian_snn.conversion.normalise import normalise
from brian_snn.errors import ModelError
from tests.conversion_cases import CASES
from tests.models import HAND_PICKED, images_for, layers, trained_like


def sequential(*stack, shape=(6, 6, 2)):
    """Return a Sequential model."""
    import keras

    return keras.Sequential([keras.Input(shape), *stack])


# --- records --------------------------------------------------------------------------------------------------------


def test_nodes_are_in_topological_order_and_end_in_the_output():
    graph = read_model(HAND_PICKED["inception_block"]())
    assert all(source < position for position, node in enumerate(graph.nodes) for source in node.inputs)
    assert graph.nodes[-1].operation == "softmax"


def test_a_fused_activation_is_a_node_of_its_own():
    assert [node.operation for node in read_model(HAND_PICKED["mlp"]()).nodes] == [
        "input",
        "dense",
        "relu",
        "dense",
        "relu",
        "identity",
        "dense",
        "softmax",
    ]


def test_nested_layers_have_the_path_of_their_model():
    paths = [node.path for node in read_model(HAND_PICKED["nested_model"]()).nodes]
    assert "features/inner_a" in paths
    assert "stem" in paths


def test_the_second_use_of_a_layer_is_numbered():
    paths = [node.path for node in read_model(CASES["shared_layers"]()).nodes]
    assert {"twice", "twice:1", "relu:2", "inner/conv:1"} <= set(paths)


def test_batch_norm_is_a_gain_and_a_shift():
    model = trained_like(sequential(layers().BatchNormalization(epsilon=0.02, name="norm")), seed=4)
    gamma, beta, mean, variance = (np.float64(w) for w in model.get_layer("norm").get_weights())
    (node,) = (n for n in read_model(model).nodes if n.name == "norm")
    x = np.array([0.3, -1.7])
    expected = gamma * (x - mean) / np.sqrt(variance + 0.02) + beta
    np.testing.assert_allclose(x * node.parameters["gain"] + node.parameters["shift"], expected, rtol=1e-14)


def test_a_separable_kernel_is_the_product_of_its_two():
    model = trained_like(sequential(layers().SeparableConv2D(3, 3, depth_multiplier=2, name="both")), seed=4)
    depthwise, pointwise = (np.float64(w) for w in model.get_layer("both").get_weights()[:2])
    kernel = read_model(model).nodes[1].parameters["kernel"]
    expected = [
        [sum(depthwise[1, 2, c, m] * pointwise[0, 0, 2 * c + m, f] for m in range(2)) for f in range(3)]
        for c in range(2)
    ]
    np.testing.assert_allclose(kernel[1, 2], expected, rtol=1e-14)


@pytest.mark.parametrize("case", ["nested_model", "norm_after_relu"])
def test_reading_leaves_the_model_as_it_was(case):
    model = HAND_PICKED[case]()
    config, weights, trainable = model.to_json(), model.get_weights(), [layer.trainable for layer in model.layers]
    network = fold(read_model(model))
    check_against_keras(model, network, images_for(model, 2))
    assert model.to_json() == config
    assert [layer.trainable for layer in model.layers] == trainable
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), weights, strict=True))


# --- layers that are refused ----------------------------------------------------------------------------------------

REFUSED = {
    "lstm": (lambda k: [k.Reshape((6, 12)), k.LSTM(3, name="memory")], r"layer 'memory' \(LSTM\): recurrent layers"),
    "sigmoid": (lambda k: [k.Flatten(), k.Dense(1, "sigmoid", name="yes")], r"layer 'yes' \(Dense\).*sigmoid"),
    "tanh": (lambda k: [k.Conv2D(2, 3, activation="tanh", name="c")], r"layer 'c' \(Conv2D\).*'tanh'.*and retrain"),
    "swish": (lambda k: [k.Activation("swish", name="a")], r"layer 'a' \(Activation\).*replace it by ReLU"),
    "gelu": (lambda k: [k.Activation("gelu", name="a")], r"layer 'a' \(Activation\).*'gelu'"),
    "leaky layer": (lambda k: [k.LeakyReLU(name="leak")], r"layer 'leak' \(LeakyReLU\): .*replace it by ReLU"),
    "leaky slope": (lambda k: [k.ReLU(negative_slope=0.1, name="r")], r"layer 'r' \(ReLU\): its negative slope is 0.1"),
    "threshold": (lambda k: [k.ReLU(threshold=0.5, name="r")], r"layer 'r' \(ReLU\): .*threshold 0.5"),
    "prelu": (lambda k: [k.PReLU(name="p")], r"layer 'p' \(PReLU\)"),
    "lambda": (lambda k: [k.Lambda(lambda x: x, output_shape=(6, 6, 2), name="f")], r"layer 'f' \(Lambda\): .*code"),
    "layer norm": (lambda k: [k.LayerNormalization(name="n")], r"layer 'n' \(LayerNormalization\): .*these can: "),
    "transpose": (lambda k: [k.Conv2DTranspose(2, 3, name="up")], r"layer 'up' \(Conv2DTranspose\)"),
    "upsampling": (lambda k: [k.UpSampling2D(name="up")], r"layer 'up' \(UpSampling2D\)"),
    "conv1d": (lambda k: [k.Reshape((6, 12)), k.Conv1D(2, 3, name="c")], r"layer 'c' \(Conv1D\)"),
    "norm axis": (lambda k: [k.BatchNormalization(axis=1, name="n")], r"layer 'n' \(BatchNormalization\): .*axis 1"),
    "softmax axis": (lambda k: [k.Softmax(axis=1, name="s")], r"layer 's' \(Softmax\): its axis is 1"),
    "channels first": (lambda k: [k.Flatten(data_format="channels_first", name="f")], r"layer 'f'.*channels_first"),
}


@pytest.mark.parametrize("stack, message", REFUSED.values(), ids=REFUSED)
def test_layers_without_a_spiking_form_are_refused(stack, message):
    with pytest.raises(ModelError, match=message):
        read_model(sequential(*stack(layers())))


def test_a_class_with_a_name_of_keras_is_refused():
    class Dense(layers().Dense):
        def call(self, x):
            return super().call(x) + 1.0

    with pytest.raises(ModelError, match=r"layer 'own' \(Dense\): layers of this class cannot"):
        read_model(sequential(Dense(3, name="own")))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value):
    model = sequential(layers().Conv2D(2, 3, name="conv"))
    kernel, bias = model.get_weights()
    kernel[0, 0, 1, 1] = value
    model.set_weights([kernel, bias])
    with pytest.raises(ModelError, match=r"layer 'conv' \(Conv2D\): its kernel holds NaN or infinite"):
        read_model(model)


def two_inputs(keras):
    """Return a model with two inputs."""
    a, b = keras.Input((3,)), keras.Input((3,))
    return keras.Model([a, b], keras.layers.Add()([a, b]), name="twofold")


def two_outputs(keras):
    """Return a model with two outputs."""
    a = keras.Input((3,))
    return keras.Model(a, [keras.layers.Dense(2)(a), keras.layers.Dense(2)(a)], name="twofold")


def no_fixed_size(keras):
    """Return a model for images of any size."""
    a = keras.Input((None, None, 3))
    return keras.Model(a, keras.layers.Conv2D(2, 3)(a), name="loose")


def subclassed(keras):
    """Return a model with code of its own."""

    class Own(keras.Model):
        def call(self, x):
            return x

    return Own(name="own")


@pytest.mark.parametrize(
    "make, message",
    [
        (two_inputs, r"model 'twofold': it has 2 inputs; only one"),
        (two_outputs, r"model 'twofold': it has 2 outputs; only one"),
        (no_fixed_size, r"model 'loose': its input has shape \(None, None, 3\); build .* fixed input shape"),
        (subclassed, r"model 'own' \(Own\): only functional and Sequential"),
        (lambda keras: keras.Sequential([keras.layers.Dense(2)], name="open"), r"model 'open': it has no input shape"),
    ],
)
def test_models_of_another_kind_are_refused(make, message):
    import keras

    with pytest.raises(ModelError, match=message):
        read_model(make(keras))


def test_a_calculation_with_a_number_is_refused():
    import keras

    image = keras.Input((3,))
    with pytest.raises(ModelError, match=r"\(Add\): it cannot be called on 1 tensors alone.*as a layer"):
        read_model(keras.Model(image, image + 1.0))


def test_an_adapted_normalization_is_read():
    import keras

    rng = np.random.default_rng(8)
    norm = layers().Normalization()
    norm.adapt(rng.normal(3.0, 2.0, (50, 4, 4, 2)))
    model = keras.Sequential([keras.Input((4, 4, 2)), norm, layers().Conv2D(2, 3), layers().Flatten()])
    network, images = fold(read_model(model)), images_for(model, 3)
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(forward(network, images)[network.output.name], expected, rtol=0, atol=1e-5)
    assert max(check_against_keras(model, network, images).values()) < 1e-12


# --- files ----------------------------------------------------------------------------------------------------------


SAVED = ["inception_block", "nested_model", "image_as_numbers", "shared_layers"]


@pytest.mark.parametrize(
    "case, suffix",
    # HDF5 files cannot hold a sum written as x + y: Keras itself fails to read it back.
    [*((case, suffix) for case in SAVED for suffix in (".keras", ".h5", ".hdf5")), ("sums_of_spikes", ".keras")],
)
def test_a_saved_model_comes_back(tmp_path, case, suffix):
    model = {**HAND_PICKED, **CASES}[case]()
    path, images = tmp_path / f"model{suffix}", images_for(model, 3)
    model.save(path)
    assert np.array_equal(load_model(path).predict(images, verbose=0), model.predict(images, verbose=0))


def test_a_compiled_model_comes_back(tmp_path):
    model = HAND_PICKED["mlp"]()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.save(tmp_path / "model.keras")
    assert not load_model(str(tmp_path / "model.keras")).compiled


def as_keras_2(path):
    """Write the configuration of an HDF5 file as Keras 2 did."""
    import h5py

    def old(part):
        if isinstance(part, list):
            return [old(item) for item in part]
        if not isinstance(part, dict):
            return part
        if part.get("class_name") == "DTypePolicy":
            return part["config"]["name"]
        dropped = ("module", "registered_name", "build_config")
        renamed = {"batch_shape": "batch_input_shape"}
        return {renamed.get(key, key): old(value) for key, value in part.items() if key not in dropped}

    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(old(config))
        file.attrs["keras_version"] = "2.11.0"


def test_a_keras_2_file_comes_back(tmp_path):
    model = HAND_PICKED["odd_pooling"]()
    model.save(tmp_path / "model.h5")
    as_keras_2(tmp_path / "model.h5")
    images, loaded = images_for(model, 3), load_model(tmp_path / "model.h5")
    assert np.array_equal(loaded.predict(images, verbose=0), model.predict(images, verbose=0))


def lambda_model():
    """Return a model with code in it."""
    k = layers()
    return sequential(k.Lambda(lambda x: x * 2.0, output_shape=(6, 6, 2), name="code"), k.Flatten())


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_layer_is_refused_before_keras_sees_it(tmp_path, suffix, monkeypatch):
    import keras

    path = tmp_path / f"model{suffix}"
    lambda_model().save(path)
    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: pytest.fail("the file reached Keras"))
    with pytest.raises(ModelError, match=r"layer 'code' \(Lambda\) holds code .*never run"):
        load_model(path)


def edited(path, change):
    """Save a small model whose configuration was changed by hand."""
    sequential(layers().Dense(2, name="dense")).save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    (layer,) = (part for part in config["config"]["layers"] if part["class_name"] == "Dense")
    change(config, layer)
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


FUNCTION = {"class_name": "function", "config": "get_file", "module": "keras.utils", "registered_name": "function"}


@pytest.mark.parametrize(
    "change",
    [
        lambda config, layer: layer.update(module="os", class_name="system"),
        lambda config, layer: layer.update(module="my_project.layers"),
        lambda config, layer: layer.update(module="keras_evil"),
        lambda config, layer: layer.update(module="keras.utils"),
        lambda config, layer: layer.update(registered_name="mine>Dense"),
        lambda config, layer: layer.update(class_name="TFSMLayer"),
        lambda config, layer: layer["config"].update(activation=FUNCTION),
        lambda config, layer: layer["config"].update(activation={"class_name": "__lambda__", "config": {}}),
        lambda config, layer: layer["config"].update(bias_initializer={"module": "subprocess", "class_name": "Popen"}),
        lambda config, layer: config.update(class_name="MyModel"),
        lambda config, layer: config.update(module="my_project", registered_name="Model"),
    ],
)
def test_foreign_objects_are_refused_before_keras_sees_them(tmp_path, change, monkeypatch):
    import keras

    edited(tmp_path / "model.keras", change)
    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: pytest.fail("the file reached Keras"))
    with pytest.raises(ModelError, match=r"model.keras: .*(never run|code of its own)"):
        load_model(tmp_path / "model.keras")


def test_an_unsupported_layer_in_a_file_is_named(tmp_path):
    sequential(layers().Conv2DTranspose(2, 3, name="up")).save(tmp_path / "model.keras")
    with pytest.raises(ModelError, match=r"model.keras: layer 'up' \(Conv2DTranspose\): layers of this class"):
        load_model(tmp_path / "model.keras")


def test_a_saved_model_folder_is_explained(tmp_path):
    with pytest.raises(ModelError, match=r"SavedModel.*save it again with model.save\('model.keras'\)"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model"])
def test_a_missing_file(tmp_path, name):
    with pytest.raises(ModelError, match=f"{name}: there is no such file"):
        load_model(tmp_path / name)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize("content", [b"", b"nothing of the kind"])
def test_a_damaged_file(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name}: the file is damaged"):
        load_model(tmp_path / name)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize("part", [0.5, 0.95])
def test_a_truncated_file(tmp_path, name, part):
    path = tmp_path / name
    HAND_PICKED["mlp"]().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ModelError, match=f"{name}: (the file is damaged|Keras cannot read it)"):
        load_model(path)


def test_a_file_of_another_name(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"model.onnx: its name ends in '.onnx'"):
        load_model(tmp_path / "model.onnx")


def test_a_file_with_weights_only(tmp_path):
    HAND_PICKED["mlp"]().save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ModelError, match="it holds weights only, no architecture"):
        load_model(tmp_path / "model.weights.h5")


def test_loading_says_nothing(tmp_path):
    model = HAND_PICKED["mlp"]()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.save(tmp_path / "model.h5")
    script = (
        "import sys; from brian_snn.conversion.keras_reader import load_model, read_model; "
        "print(len(read_model(load_model(sys.argv[1])).nodes))"
    )
    command = [sys.executable, "-c", script, tmp_path / "model.h5"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("8\n", "")


# --- agreement ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [*HAND_PICKED, *CASES])
def test_references_in_both_precisions_are_the_same(case):
    model = {**HAND_PICKED, **CASES}[case]()
    network, images = fold(read_model(model)), images_for(model, 5)
    single = reference_activations(model, network, images, batch_size=2)
    double = reference_activations(model, network, images, dtype="float64")
    for name, values in double.items():
        assert single[name].shape == (5, *network[name].shape)
        assert np.abs(single[name] - values).max() <= 1e-5 * np.abs(values).max(), name


def test_the_reference_of_the_readout_is_taken_before_the_softmax():
    model = HAND_PICKED["odd_pooling"]()
    network, images = fold(read_model(model)), images_for(model, 4)
    logits = reference_activations(model, network, images)["logits"]
    powers = np.exp(logits)
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(powers / powers.sum(axis=1, keepdims=True), expected, rtol=1e-5)


@pytest.mark.parametrize("target", ["conv_a", "conv_b", "hidden", "logits"])
def test_wrong_weights_are_found(target):
    model = HAND_PICKED["norm_after_relu"]()
    images = images_for(model, 4)
    network = normalise(fold(read_model(model)), images, 99.9, "layer")

    active = {INPUT: images, **forward(network, images)}

    def broken(projection):
        if projection.target != target:
            return projection
        weights = projection.weights.copy()
        # In the middle of a kernel; in a dense layer, from the neuron that is most active.
        strongest = int(np.argmax(active[projection.source].sum(axis=0)))
        rows = weights.reshape(-1, weights.shape[-1])
        rows[strongest if projection.geometry.kind == "dense" else len(rows) // 2] += 0.01
        return replace(projection, weights=weights)

    network = replace(network, projections=tuple(broken(p) for p in network.projections))
    with pytest.raises(ModelError, match=f"population '{target}': it differs from what Keras computes"):
        check_against_keras(model, network, images)


DEEP = {
    "inception": lambda apps: apps.InceptionV3(weights=None, include_top=False, input_shape=(75, 75, 3)),
    "mobilenet": lambda apps: apps.MobileNet(weights=None, input_shape=(32, 32, 3), alpha=0.25, classes=10),
    "mobilenet_v2": lambda apps: apps.MobileNetV2(weights=None, input_shape=(32, 32, 3), alpha=0.35, classes=10),
    "resnet50": lambda apps: apps.ResNet50(weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg"),
}


@pytest.mark.slow
@pytest.mark.parametrize("build", DEEP.values(), ids=DEEP)
def test_deep_networks_agree_with_keras(build):
    import keras

    model = trained_like(build(keras.applications), seed=2)
    errors = check_against_keras(model, fold(read_model(model)), images_for(model, 1))
    assert max(errors.values()) < 1e-10

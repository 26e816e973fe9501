"""Reading and loading Keras models: faithful records, refusals that name the layer, no code from files."""

from dataclasses import replace

import numpy as np
import pytest

from brian_snn.conversion.check import check_against_reference
from brian_snn.conversion.fold import fold
from brian_snn.conversion.normalise import normalise
from brian_snn.errors import ModelError
from brian_snn.frontends.keras.reader import read_model
from brian_snn.frontends.table import reference_activations
from brian_snn.network.forward import forward
from brian_snn.network.records import INPUT
from tests.conversion_cases import CASES
from tests.models import HAND_PICKED, images_for, layers, outputs_of, sequential, trained_like

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
    paths = [str(node.path) for node in read_model(HAND_PICKED["nested_model"]()).nodes]
    assert "features/inner_a" in paths
    assert "stem" in paths


def test_the_second_use_of_a_layer_is_numbered():
    paths = [str(node.path) for node in read_model(CASES["shared_layers"]()).nodes]
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
    check_against_reference(model, network, images_for(model, 2))
    assert model.to_json() == config
    assert [layer.trainable for layer in model.layers] == trainable
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), weights, strict=True))


# --- layers that are refused ----------------------------------------------------------------------------------------

REFUSED = {
    "lstm": (lambda k: [k.Reshape((6, 12)), k.LSTM(3, name="memory")], r"layer 'memory' \(LSTM\): recurrent layers"),
    "softplus": (lambda k: [k.Flatten(), k.Dense(1, "softplus", name="yes")], r"layer 'yes' \(Dense\).*softplus"),
    "elu": (lambda k: [k.Conv2D(2, 3, activation="elu", name="c")], r"layer 'c' \(Conv2D\).*'elu'.*and retrain"),
    "swish": (lambda k: [k.Activation("swish", name="a")], r"layer 'a' \(Activation\).*replace it by ReLU"),
    "gelu": (lambda k: [k.Activation("gelu", name="a")], r"layer 'a' \(Activation\).*'gelu'"),
    "threshold": (lambda k: [k.ReLU(threshold=0.5, name="r")], r"layer 'r' \(ReLU\): its value jumps .* of 0.5"),
    "timed": (
        lambda k: [k.TimeDistributed(k.LayerNormalization(), name="t")],
        r"layer 't' \(TimeDistributed\): it divides by a statistic",
    ),
    "lambda": (lambda k: [k.Lambda(lambda x: x, output_shape=(6, 6, 2), name="f")], r"layer 'f' \(Lambda\): .*code"),
    "layer norm": (lambda k: [k.LayerNormalization(name="n")], r"layer 'n' \(LayerNormalization\): .*BatchNorm"),
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
        (no_fixed_size, r"model 'loose': its input has shape \(None, None, 3\); build .* fixed input shape"),
        (subclassed, r"model 'own' \(Own\): only functional and Sequential"),
        (lambda keras: keras.Sequential([keras.layers.Dense(2)], name="open"), r"model 'open': it has no input shape"),
    ],
)
def test_models_of_another_kind_are_refused(make, message):
    import keras

    with pytest.raises(ModelError, match=message):
        read_model(make(keras))


def test_a_layer_of_ones_own_that_tells_no_shape_is_refused_by_its_name():
    import keras

    class Gated(keras.layers.Layer):
        def call(self, x, gate):
            return x * gate

        def compute_output_shape(self, x_shape, gate_shape):
            return x_shape

    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2)(Gated(name="gated")(inputs, inputs)))
    with pytest.raises(ModelError, match=r"layer 'gated' \(Gated\): layers of this class cannot be converted"):
        read_model(model)


def test_an_adapted_normalization_is_read():
    import keras

    rng = np.random.default_rng(8)
    norm = layers().Normalization()
    norm.adapt(rng.normal(3.0, 2.0, (50, 4, 4, 2)))
    model = keras.Sequential([keras.Input((4, 4, 2)), norm, layers().Conv2D(2, 3), layers().Flatten()])
    network, images = fold(read_model(model)), images_for(model, 3)
    expected = outputs_of(model, images)
    np.testing.assert_allclose(forward(network, images)[network.output.name], expected, rtol=0, atol=1e-5)
    assert max(check_against_reference(model, network, images).values()) < 1e-12


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
    expected = outputs_of(model, images)
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
        check_against_reference(model, network, images)


DEEP = {
    "densenet": lambda apps: apps.DenseNet121(weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg"),
    "inception": lambda apps: apps.InceptionV3(weights=None, include_top=False, input_shape=(75, 75, 3)),
    "mobilenet": lambda apps: apps.MobileNet(weights=None, input_shape=(32, 32, 3), alpha=0.25, classes=10),
    "mobilenet_v2": lambda apps: apps.MobileNetV2(weights=None, input_shape=(32, 32, 3), alpha=0.35, classes=10),
    # Its first max pooling takes convolutions without a ReLU, padded with zeros that the batch norm then shifts.
    "resnet50_v2": lambda apps: apps.ResNet50V2(weights=None, input_shape=(32, 32, 3), classes=10),
    "resnet50": lambda apps: apps.ResNet50(weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg"),
    # These pool values that may be negative.
    "xception": lambda apps: apps.Xception(weights=None, include_top=False, input_shape=(71, 71, 3), pooling="avg"),
    "nasnet_mobile": lambda apps: apps.NASNetMobile(weights=None, input_shape=(32, 32, 3), classes=10),
    "inception_resnet_v2": lambda apps: apps.InceptionResNetV2(
        weights=None, include_top=False, input_shape=(75, 75, 3), pooling="avg"
    ),
    "vgg16": lambda apps: apps.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg"),
}


@pytest.mark.slow
@pytest.mark.parametrize("build", DEEP.values(), ids=DEEP)
def test_deep_networks_agree_with_keras(build):
    import keras

    model = trained_like(build(keras.applications), seed=2)
    errors = check_against_reference(model, fold(read_model(model)), images_for(model, 1))
    assert max(errors.values()) < 1e-10


@pytest.mark.parametrize(
    ("name", "operation", "ceiling"),
    [("relu", "relu", None), ("relu6", "relu", 6.0), ("softmax", "softmax", None)],
)
def test_functions_of_tensorflow_are_activations(name, operation, ceiling):
    import keras
    import tensorflow as tf

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation=getattr(tf.nn, name))])
    images = np.random.default_rng(1).normal(size=(5, 3))
    last = read_model(model).nodes[-1]
    assert (last.operation, last.parameters.get("ceiling")) == (operation, ceiling)
    check_against_reference(model, fold(read_model(model)), images)

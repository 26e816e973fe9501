"""Folding against Keras: every population of the folded network is what the model computes there."""

import numpy as np
import pytest

from brian_snn.conversion.fold import fold
from brian_snn.errors import ModelError
from brian_snn.frontends.keras.reader import read_model
from brian_snn.frontends.table import reference_activations
from brian_snn.network.forward import forward
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT
from tests.conversion_cases import CASES
from tests.models import HAND_PICKED, images_for, layers, outputs_of, trained_like

MODELS = {**HAND_PICKED, **CASES}


@pytest.fixture(scope="module", params=MODELS.values(), ids=MODELS)
def folded(request):
    """Return a model, the network that it folds into, and images."""
    model = request.param()
    return model, fold(read_model(model)), images_for(model, 6)


def sequential(shape, *stack):
    """Return a Sequential model with weights as training leaves them."""
    import keras

    return trained_like(keras.Sequential([keras.Input(shape), *stack]), seed=1)


def fold_of(shape, *stack):
    """Fold a Sequential model."""
    return fold(read_model(sequential(shape, *stack)))


def names(network: Network):
    """Return the names of the populations."""
    return [population.name for population in network.populations]


# --- the numbers ----------------------------------------------------------------------------------------------------


def softmax(logits):
    """Return the softmax over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def ends_in_softmax(model):
    """Whether the last layer applies a softmax."""
    last = model.layers[-1]
    activation = getattr(last, "activation", None)
    named = (getattr(activation, "__name__", ""), type(activation).__name__.lower(), type(last).__name__.lower())
    return "softmax" in named


def test_output_is_that_of_predict(folded):
    model, network, images = folded
    output = forward(network, images)[network.output.name]
    expected = outputs_of(model, images)
    output = softmax(output) if ends_in_softmax(model) else output
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_every_population_is_what_its_layer_predicts(folded):
    import keras

    model, network, images = folded
    activations = forward(network, images)
    # The image, layers inside nested models, layers used twice, and pools of scaled spikes have no output to ask for.
    layers = {p: [path.names[0] for path in p.reference if len(path.names) == 1] for p in network.populations[:-1]}
    plain = {p: model.get_layer(names[0]) for p, names in layers.items() if len(names) == len(p.reference) == 1}
    plain = {p: layer for p, layer in plain.items() if len(layer._inbound_nodes) == 1}
    probe = keras.Model(model.inputs, [layer.output for layer in plain.values()])
    predicted = outputs_of(probe, images)
    for population, values in zip(plain, predicted if len(plain) > 1 else [predicted], strict=True):
        expected = np.clip(values, 0.0, population.ceiling).reshape(-1, *population.shape)
        error = np.abs(activations[population.name] - expected).max()
        assert error <= 1e-5 * np.abs(expected).max(), population.name


def test_populations_are_in_topological_order(folded):
    network = folded[1]
    order = [INPUT, *names(network)]
    assert all(order.index(p.source) < order.index(p.target) for p in network.projections)


def test_every_population_reaches_the_output(folded):
    network = folded[1]
    assert all(network.out_of(name) for name in names(network)[:-1])


def test_no_neuron_feeds_two_inputs(folded):
    for projection in folded[1].projections:
        if projection.source_index is not None:
            real = projection.source_index[projection.source_index >= 0]
            assert len(np.unique(real)) == len(real), (projection.source, projection.target)


def test_padding_is_what_the_windows_reach(folded):
    for projection in (p for p in folded[1].projections if p.geometry.is_window):
        g = projection.geometry
        axes = zip(g.input_shape, g.output_shape, g.kernel_size, g.strides, g.dilation, g.padding, strict=False)
        for n_in, n_out, kernel, stride, dilation, padding in list(axes)[:2]:
            assert (n_in + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1 == n_out


# --- what becomes a population, and under which name ------------------------------------------------------------------


@pytest.mark.parametrize(
    "case, expected",
    [
        ("resnet_block", ["stem", "first_a", "first_add", "second_a", "second_add", "average", "logits"]),
        ("norm_after_relu", ["conv_a", "conv_b", "max_pool", "conv_c", "hidden", "logits"]),
        ("nested_model", ["stem", "inner_a", "inner_b", "max_pool", "logits"]),
        ("two_norms_of_one", ["conv", "right"]),
        ("late_ceiling", ["alone", "shared", "cut"]),
        ("ends_in_relu", ["top"]),
        ("ends_in_average", ["conv", "average"]),
        ("ends_in_norm", ["hidden", "top"]),
    ],
)
def test_populations_are_named_after_the_linear_layer(case, expected):
    found = names(fold(read_model(MODELS[case]())))
    assert [name for name in found if not name.startswith("dense")] == expected


@pytest.mark.parametrize(
    "case, kind",
    [("mlp", "readout"), ("ends_in_relu", "spiking"), ("ends_in_average", "readout"), ("ends_in_norm", "readout")],
)
def test_kind_of_the_output(case, kind):
    assert fold(read_model(MODELS[case]())).output.kind == kind


def test_a_model_that_ends_in_a_relu_has_no_readout():
    assert [p.kind for p in fold(read_model(MODELS["ends_in_relu"]())).populations] == ["spiking", "spiking"]


def test_depth_counts_membranes_on_the_longest_path():
    network = fold(read_model(MODELS["inception_block"]()))
    depth = {p.name: p.depth for p in network.populations}
    # stem, five_a, five_b, five_c, (reduce has none), last, logits
    assert [depth[n] for n in ("stem", "one", "five_c", "reduce", "last", "logits")] == [1, 2, 4, 4, 5, 6]


def test_concatenated_branches_get_slices_of_the_kernel():
    network = fold(read_model(MODELS["nested_concat"]()))
    shapes = {p.source: p.geometry.input_shape for p in network.into("last")}
    assert shapes == {"a": (5, 5, 2), "b": (5, 5, 3), "c": (5, 5, 2)}
    assert all(p.source_index is None and p.target_index is None for p in network.into("last"))


def test_zero_padding_becomes_padding_of_the_kernel():
    k = layers()
    network = fold_of(
        (4, 4, 2),
        k.Conv2D(2, 1, activation="relu"),
        k.ZeroPadding2D(((1, 2), (0, 3))),
        k.Conv2D(2, 2, activation="relu", name="padded"),
        k.Flatten(),
        k.Dense(2),
    )
    (projection,) = network.into("padded")
    assert projection.geometry.input_shape == (4, 4, 2)
    assert projection.geometry.padding == ((1, 2), (0, 3))
    assert projection.source_index is None


def test_shift_after_the_relu_varies_at_the_border_of_a_padded_convolution():
    bias = fold(read_model(HAND_PICKED["norm_after_relu"]()))["conv_b"].bias
    assert not np.allclose(bias[0, 0], bias[2, 2])
    assert np.all(bias[1:-1, 1:-1] == bias[2, 2]) or np.allclose(bias[1:-1, 1:-1], bias[2, 2], rtol=1e-14)


def test_a_grouped_kernel_is_cut_to_the_groups_of_a_branch():
    network = fold(read_model(CASES["grouped_concatenation"]()))
    of_depthwise = {p.source: p.geometry.output_shape[2] for p in network.into("apart")}
    assert of_depthwise == {"a": 6, "b": 10}


def test_a_ceiling_reaches_the_population():
    network = fold(read_model(HAND_PICKED["relu6"]()))
    assert [p.ceiling for p in network.populations] == [6.0, 6.0, None]


def test_a_layer_that_does_not_reach_the_output_is_left_out():
    import keras

    k = layers()
    image = keras.Input((3,))
    x = k.Dense(3, activation="relu", name="used")(image)
    k.Dense(3, activation="relu", name="unused")(image)
    assert names(fold(read_model(keras.Model(image, k.Dense(2, name="top")(x))))) == ["used", "top"]


# --- what is refused ------------------------------------------------------------------------------------------------


def negative_norm(k):
    """Return a batch norm with one negative factor."""
    return k.BatchNormalization(
        name="flip", gamma_initializer=lambda shape, dtype=None: np.array([1.0, -1.0, 2.0], dtype=np.float32)
    )


DIFFERENCES = {
    "linear convolution under a convolution that pads": (
        lambda k: [k.Conv2D(2, 3, name="first"), k.Conv2D(2, 3, padding="same"), k.Flatten()],
        ["first", "first_below"],
    ),
    "linear convolution under an average that pads": (
        lambda k: [k.Conv2D(2, 3, name="first"), k.AveragePooling2D(3, padding="same", name="mean"), k.Flatten()],
        ["first", "first_below", "mean", "mean_1"],
    ),
    "average of the image that pads, under a convolution": (
        lambda k: [k.AveragePooling2D(4, padding="same", name="thumb"), k.Conv2D(2, 1), k.Flatten()],
        ["thumb", "thumb_below"],
    ),
    "linear convolution under a maximum": (
        lambda k: [k.Conv2D(2, 3, name="first"), k.MaxPooling2D(2, name="top"), k.Flatten(), k.Dense(2)],
        ["first", "first_below", "top_excess", "top_excess_1"],
    ),
    "maximum that overlaps and pads": (
        lambda k: [k.Conv2D(2, 3), k.MaxPooling2D(3, 2, padding="same"), k.Conv2D(2, 2), k.ReLU(), k.Flatten()],
        None,
    ),
    "maximum at every place": (
        lambda k: [k.Conv2D(2, 3), k.MaxPooling2D(3, 1, padding="same"), k.Conv2D(2, 2), k.ReLU(), k.Flatten()],
        None,
    ),
    "maximum of one row": (
        lambda k: [k.Conv2D(2, 3), k.MaxPooling2D((1, 3), (2, 1)), k.Flatten(), k.Dense(2)],
        None,
    ),
    "maximum of a shifted image": (
        lambda k: [k.Rescaling(2, -1), k.MaxPooling2D(2, name="top"), k.Conv2D(2, 2, activation="relu"), k.Flatten()],
        None,
    ),
    "shift, padding, maximum": (
        lambda k: [
            k.Conv2D(2, 1, activation="relu"),
            k.BatchNormalization(name="norm"),
            k.ZeroPadding2D(1),
            k.MaxPooling2D(2, name="top"),
            k.Flatten(),
        ],
        None,
    ),
    "cropping of a linear layer": (
        lambda k: [k.Conv2D(2, 1, name="linear"), k.Cropping2D(1, name="crop"), k.ReLU(name="relu"), k.Flatten()],
        ["linear", "linear_below", "relu"],
    ),
    "leaky, then a maximum": (
        lambda k: [k.Conv2D(2, 3), k.LeakyReLU(0.25), k.MaxPooling2D(2), k.Conv2D(3, 2), k.LeakyReLU(0.5), k.Flatten()],
        None,
    ),
}


@pytest.mark.parametrize("stack, expected", DIFFERENCES.values(), ids=DIFFERENCES)
def test_what_is_no_one_map_spikes_in_between(stack, expected):
    model = sequential((6, 6, 2), *stack(layers()), layers().Dense(3, name="top_layer"))
    network, images = fold(read_model(model)), images_for(model, 5)
    assert expected is None or names(network)[: len(expected)] == expected
    found = forward(network, images)
    predicted = outputs_of(model, images)
    np.testing.assert_allclose(found[network.output.name], predicted, rtol=0, atol=1e-5 * np.abs(predicted).max())
    for name, values in reference_activations(model, network, images, dtype="float64").items():
        assert np.abs(found[name] - values).max() <= 1e-6 * max(1, np.abs(values).max()), name


def test_an_activation_inside_is_refused():
    k = layers()
    stack = [k.Flatten(), k.Dense(3, activation="softmax", name="early"), k.Dense(2)]
    with pytest.raises(ModelError, match=r"layer 'early' \(Dense\): a softmax is converted at the end"):
        fold_of((6, 6, 2), *stack)


@pytest.mark.parametrize("order", [["norm", "top"], ["top", "norm"]])
def test_a_negative_factor_at_a_maximum_is_carried(order):
    import keras

    k = layers()
    stack = {"norm": negative_norm(k), "top": k.MaxPooling2D(2, name="top")}
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), k.Conv2D(3, 1), k.ReLU(), *(stack[name] for name in order), k.ReLU(), k.Flatten()]
    )
    network, images = fold(read_model(model)), images_for(model, 4)
    expected = outputs_of(model, images)
    np.testing.assert_allclose(forward(network, images)[network.output.name], expected, rtol=0, atol=1e-5)


def test_a_negative_factor_before_an_average_is_carried():
    import keras

    k = layers()
    stack = [k.Conv2D(3, 1, activation="relu"), negative_norm(k), k.AveragePooling2D(2), k.Flatten(), k.Dense(2)]
    model = keras.Sequential([keras.Input((4, 4, 1)), *stack])
    network, images = fold(read_model(model)), images_for(model, 4)
    expected = outputs_of(model, images)
    np.testing.assert_allclose(forward(network, images)[network.output.name], expected, rtol=0, atol=1e-5)

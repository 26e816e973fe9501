"""Every operator of ONNX that is read, against onnxruntime and in every population against onnx.reference."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.onnx_models import Sketch, check, images_for, weights

SHAPE = (3, 7, 8)


def checked(sketch, **options):
    return check(sketch.model(), images_for(sketch.shape), **options)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"pads": [1, 1, 1, 1]},
        {"pads": [0, 2, 1, 0]},
        {"strides": [2, 2], "pads": [1, 1, 1, 1]},
        {"strides": [2, 3]},
        {"dilations": [2, 1], "pads": [2, 1, 2, 1]},
        {"dilations": [2, 2], "strides": [2, 2], "pads": [2, 2, 2, 2]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
        {"auto_pad": "VALID"},
    ],
    ids=str,
)
@pytest.mark.parametrize("behind_relu", [False, True])
def test_convolutions(attributes, behind_relu):
    sketch = Sketch(SHAPE)
    source = sketch.relu_conv("x", 3) if behind_relu else "x"
    sketch.node("Conv", source, weights(4, 3, 3, 3), weights(4), **attributes)
    checked(sketch)


@pytest.mark.parametrize(("n_in", "n_out", "groups"), [(4, 6, 2), (4, 4, 4), (4, 8, 4), (1, 3, 1), (6, 3, 3)])
def test_convolutions_in_groups(n_in, n_out, groups):
    sketch = Sketch((n_in, 6, 5))
    sketch.node("Conv", "x", weights(n_out, n_in // groups, 3, 3), weights(n_out), group=groups, pads=[1] * 4)
    network = checked(sketch)
    depthwise = groups > 1 and n_in == groups
    assert network.projections[-1].geometry.kind == ("depthwise" if depthwise else "conv2d")


@pytest.mark.parametrize("attributes", [{}, {"pads": [1, 2]}, {"strides": [2], "pads": [1, 1]}, {"dilations": [2]}])
def test_convolutions_along_one_axis(attributes):
    sketch = Sketch((3, 11))
    first = sketch.node("Relu", sketch.node("Conv", "x", weights(4, 3, 3), weights(4), **attributes))
    pooled = sketch.node("MaxPool", first, kernel_shape=[2], strides=[1])
    sketch.node("Conv", pooled, weights(2, 4, 3))
    checked(sketch)


@pytest.mark.parametrize("bias", [None, weights(5), weights(1, 5), np.float32(0.3), weights(1)], ids=np.shape)
@pytest.mark.parametrize("attributes", [{}, {"transB": 1}, {"alpha": 0.5, "beta": 2.0}], ids=str)
def test_gemm(bias, attributes):
    sketch = Sketch((6,))
    matrix = weights(5, 6) if "transB" in attributes else weights(6, 5)
    sketch.node("Gemm", "x", matrix, *([] if bias is None else [bias]), **attributes)
    checked(sketch)


def test_matrix_products_over_the_last_axis():
    sketch = Sketch((4, 6))
    hidden = sketch.node("Relu", sketch.node("Add", sketch.node("MatMul", "x", weights(6, 5)), weights(5)))
    sketch.node("MatMul", hidden, weights(5, 3))
    checked(sketch, channel_axis=2)


# A constant divided by the image is no linear map.
@pytest.mark.parametrize(
    ("op_type", "first"),
    [(op_type, first) for op_type in ("Add", "Sub", "Mul", "Div") for first in (False, True)][:-1],
)
@pytest.mark.parametrize(
    "constant", [np.float32(0.7), weights(3, 1, 1), weights(1, 3, 1, 1), weights(7, 8)], ids=np.shape
)
def test_arithmetic_with_constants(op_type, first, constant):
    sketch = Sketch(SHAPE)
    changed = sketch.node(op_type, *((constant, "x") if first else ("x", constant)))
    sketch.node("Gemm", sketch.node("Flatten", changed), weights(168, 4))
    checked(sketch)


@pytest.mark.parametrize(("op_type", "n_inputs"), [("Add", 2), ("Sub", 2), ("Sum", 3), ("Mean", 3), ("Sum", 1)])
def test_sums_of_tensors(op_type, n_inputs):
    sketch = Sketch(SHAPE)
    sources = [sketch.relu_conv("x", 3) for _ in range(n_inputs)]
    sketch.node("Relu", sketch.node(op_type, *sources))
    checked(sketch)


def test_a_sum_of_tensors_with_their_axes_in_other_orders():
    sketch = Sketch((3, 3, 3))
    turned = sketch.node("Transpose", sketch.relu_conv("x", 3), perm=[0, 2, 3, 1])
    sketch.node("Add", sketch.relu_conv("x", 3), turned)
    checked(sketch)


@pytest.mark.parametrize("where", ["image", "before", "behind", "vector"])
@pytest.mark.parametrize("opset", [8, 11, 17])
def test_batch_norms(where, opset):
    shape = (5,) if where == "vector" else SHAPE
    sketch, n = Sketch(shape, opset), shape[0]

    def norm(source):
        variance = np.abs(weights(n)) + 0.3
        return sketch.node("BatchNormalization", source, weights(n), weights(n), weights(n), variance, epsilon=1e-2)

    if where == "vector":
        sketch.node("Gemm", sketch.node("Relu", norm("x")), weights(5, 4), weights(4))
    elif where == "before":
        sketch.node("Relu", norm(sketch.node("Conv", "x", weights(3, 3, 3, 3))))
    else:
        sketch.node("Conv", norm("x" if where == "image" else sketch.relu_conv("x", 3)), weights(2, 3, 3, 3))
    checked(sketch)


@pytest.mark.parametrize(
    ("opset", "inputs", "attributes"),
    [(11, [0.0, 6.0], {}), (13, [0.0], {}), (6, [], {"min": 0.0, "max": 0.5}), (6, [], {"min": 0.0})],
    ids=str,
)
def test_clips(opset, inputs, attributes):
    sketch = Sketch(SHAPE, opset)
    convolved = sketch.node("Conv", "x", weights(4, 3, 3, 3, spread=3))
    sketch.node("Clip", convolved, *map(np.float32, inputs), **attributes)
    network = checked(sketch)
    assert network.populations[0].ceiling == (inputs[1] if len(inputs) > 1 else attributes.get("max"))


POOLS = [
    {"kernel_shape": [2, 2]},
    {"kernel_shape": [2, 2], "strides": [2, 2]},
    {"kernel_shape": [3, 2], "strides": [1, 2]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
    {"kernel_shape": [3, 3], "pads": [0, 1, 2, 0]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
    {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
]


@pytest.mark.parametrize("attributes", [*POOLS, {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}], ids=str)
def test_max_pooling(attributes):
    sketch = Sketch(SHAPE)
    pooled = sketch.node("MaxPool", sketch.relu_conv("x", 3), **attributes)
    sketch.node("Conv", pooled, weights(2, 3, 2, 2))
    checked(sketch)


def test_max_pooling_before_the_relu_and_a_norm_between_them():
    sketch = Sketch(SHAPE)
    convolved = sketch.node("Conv", "x", weights(3, 3, 3, 3), weights(3))
    pooled = sketch.node("MaxPool", convolved, kernel_shape=[2, 2], strides=[2, 2])
    positive = np.abs(weights(3)) + 0.5
    norm = sketch.node("BatchNormalization", pooled, positive, weights(3), weights(3), positive)
    sketch.node("Conv", sketch.node("Relu", norm), weights(2, 3, 2, 2))
    checked(sketch)


def test_pooling_of_what_a_norm_has_scaled():
    sketch = Sketch(SHAPE)
    positive = np.abs(weights(3)) + 0.5
    for op_type in ("MaxPool", "AveragePool"):
        norm = sketch.node("BatchNormalization", sketch.relu_conv("x", 3), positive, weights(3), weights(3), positive)
        sketch.node(op_type, norm, kernel_shape=[2, 2], strides=[2, 2])
    sketch.node("Conv", sketch.node("Add", "maxpool_3_out", "averagepool_7_out"), weights(2, 3, 2, 2))
    checked(sketch)


@pytest.mark.parametrize("counts", [0, 1])
@pytest.mark.parametrize("attributes", POOLS[:5] + POOLS[7:], ids=str)
def test_average_pooling(attributes, counts):
    if not counts and attributes.get("strides") == [2, 2] and attributes.get("pads"):
        attributes = attributes | {"pads": [1, 1, 1, 1]}
    sketch = Sketch((3, 7, 7))
    pooled = sketch.node("AveragePool", sketch.relu_conv("x", 3), count_include_pad=counts, **attributes)
    sketch.node("Conv", pooled, weights(2, 3, 2, 2))
    checked(sketch)


@pytest.mark.parametrize("op_type", ["GlobalAveragePool", "GlobalMaxPool"])
@pytest.mark.parametrize("rank", [1, 2])
def test_global_pooling(op_type, rank):
    sketch = Sketch((3, 9, 8)[: rank + 1])
    hidden = sketch.node("Relu", sketch.node("Conv", "x", weights(4, 3, *[3] * rank)))
    sketch.node("Gemm", sketch.node("Flatten", sketch.node(op_type, hidden)), weights(4, 2))
    checked(sketch)


@pytest.mark.parametrize("op_type", ["ReduceMean", "ReduceMax"])
@pytest.mark.parametrize(("opset", "axes"), [(13, [3, 2]), (18, [-1, -2]), (18, [2, 3])])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_reductions_over_rows_and_columns(op_type, opset, axes, keepdims):
    sketch = Sketch(SHAPE, opset)
    hidden = sketch.relu_conv("x", 3)
    given = {"axes": axes} if opset < 18 else {}
    reduced = sketch.node(op_type, hidden, *([] if given else [axes]), keepdims=keepdims, **given)
    flat = sketch.node("Flatten", reduced) if keepdims else reduced
    sketch.node("Gemm", flat, weights(3, 2))
    checked(sketch)


def test_a_mean_over_rows_and_columns_that_come_first():
    sketch = Sketch(SHAPE)
    turned = sketch.node("Transpose", sketch.relu_conv("x", 3), perm=[0, 2, 3, 1])
    sketch.node("Gemm", sketch.node("ReduceMean", turned, axes=[1, 2], keepdims=0), weights(3, 2))
    checked(sketch)


@pytest.mark.parametrize("op_type", ["Softmax", "LogSoftmax", "Sigmoid", "Tanh"])
@pytest.mark.parametrize("opset", [11, 17])
def test_activations_of_the_output_are_left_off(op_type, opset):
    sketch = Sketch((6,), opset)
    logits = sketch.node("Gemm", "x", weights(6, 4))
    sketch.node(op_type, logits)
    network = checked_logits(sketch, logits)
    assert network.output_activation == {"LogSoftmax": "log_softmax"}.get(op_type, op_type.lower())


def test_a_softmax_over_the_classes_of_every_pixel():
    sketch = Sketch(SHAPE)
    logits = sketch.node("Conv", sketch.relu_conv("x", 3), weights(4, 3, 1, 1))
    sketch.node("Softmax", logits, axis=1)
    assert checked_logits(sketch, logits).output_activation == "softmax"


def checked_logits(sketch, logits):
    from tests.onnx_models import converted, forward, run

    model, images = sketch.model(), images_for(sketch.shape)
    network = converted(model, images)
    (expected,) = run(model, images, [logits])
    found = list(forward(network, images).values())[-1]
    np.testing.assert_allclose(found, np.moveaxis(expected, 1, -1), rtol=0, atol=1e-5 * np.abs(expected).max())
    return network


@pytest.mark.parametrize("to", [TensorProto.DOUBLE, TensorProto.FLOAT])
def test_what_changes_nothing(to):
    sketch = Sketch(SHAPE)
    same = sketch.node("Dropout", sketch.node("Identity", sketch.relu_conv("x", 3)))
    cast = sketch.node("Cast", sketch.node("Cast", same, to=to), to=TensorProto.FLOAT)
    sketch.node("Neg", sketch.node("Conv", cast, weights(2, 3, 2, 2)))
    checked(sketch)


def test_constants_that_are_nodes():
    sketch = Sketch((6,))
    for attributes in (
        {"value_floats": [0.1] * 6},
        {"value_float": 0.5},
        {"value": helper.make_tensor("v", 1, [6], [2.0] * 6)},
    ):
        sketch.node("Add", sketch.nodes[-1].output[0] if sketch.nodes else "x", sketch.node("Constant", **attributes))
    sketch.node("Gemm", sketch.nodes[-1].output[0], weights(6, 3))
    # The first node reads what stands before it.
    sketch.nodes[1].input[0] = "x"
    sketch.nodes[3].input[0], sketch.nodes[5].input[0] = sketch.nodes[1].output[0], sketch.nodes[3].output[0]
    checked(sketch)

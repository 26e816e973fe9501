"""What cannot be converted of an ONNX model is named, with what to do, and only where it is needed."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import brian_snn
from brian_snn.errors import ModelError, SettingError
from brian_snn.frontends.onnx.reader import read_layers
from brian_snn.frontends.table import convertible
from tests.onnx_models import Sketch, images_for, weights

SHAPE = (3, 7, 8)


def refused(sketch, match):
    with pytest.raises(ModelError, match=match) as raised:
        convertible(read_layers(sketch.model()))
    assert "\n" not in str(raised.value)


NODES = [
    ("Elu", "the activation 'Elu' has no rate-coded form", {}),
    ("Erf", "the activation 'Erf' has no rate-coded form", {}),
    ("HardSwish", "the activation 'HardSwish' has no rate-coded form", {}),
    ("ThresholdedRelu", "its value jumps from 0 to its threshold of 1,", {}),
    ("ThresholdedRelu", "its value jumps from 0 to its threshold of -0.5,", {"alpha": -0.5}),
    ("MaxPool", r"its windows have a dilation of \(2, 2\)", {"kernel_shape": [2, 2], "dilations": [2, 2]}),
    ("MaxPool", r"its padding of .* is as wide", {"kernel_shape": [2, 2], "pads": [2, 2, 2, 2]}),
    ("MaxPool", r"its window of \(9, 9\) does not fit", {"kernel_shape": [9, 9]}),
    ("MaxPool", "its attribute kernel_shape is .* 2 numbers", {"kernel_shape": [2]}),
    ("MaxPool", "its attribute strides is", {"kernel_shape": [2, 2], "strides": [0, 1]}),
    ("MaxPool", "its attribute strides is", {"kernel_shape": [2, 2], "strides": [-1, 1]}),
    ("ReduceMean", "it reduces axes", {"axes": [3]}),
    ("ReduceMean", "it reduces axes", {"axes": [0, 2, 3]}),
    ("ReduceMean", "its axes .* are not those", {"axes": [7]}),
    ("Flatten", "it flattens from axis 2", {"axis": 2}),
    ("Transpose", "its perm is", {"perm": [0, 1]}),
    ("Transpose", "its axes .* are not those", {"perm": [0, 1, 1, 2]}),
    ("LRN", "the image at hand", {"size": 3}),
    ("ArgMax", "gives the scores themselves", {}),
    ("Exp", "this operator cannot be converted; these can: Add, AveragePool", {}),
    ("Cast", "whole numbers", {"to": TensorProto.INT64}),
]


@pytest.mark.parametrize(("op_type", "match", "attributes"), NODES)
def test_an_operator_is_named_with_what_is_wrong(op_type, match, attributes):
    sketch = Sketch(SHAPE)
    sketch.node(op_type, sketch.node("Conv", "x", weights(3, 3, 3, 3), pads=[1] * 4), **attributes)
    refused(sketch, rf"layer '{op_type.lower()}_1' \({op_type}\): .*{match}")


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes", "match"),
    [
        ("Clip", [np.float32(-1), np.float32(1)], {}, "it clips to the range from -1.0 to 1.0"),
        ("Clip", ["", np.float32(6)], {}, "it clips to the range from None to 6.0"),
        ("Reshape", [[2, -1]], {}, "the first axis, of images, must stay"),
        ("Reshape", [[-1, -1]], {}, "which there is not"),
        ("Reshape", [[1, 5]], {}, "the first axis, of images, must stay"),
        ("Slice", [[0], [7], [2], [2]], {}, r"its steps are \(2,\)"),
        ("Slice", [[0], [1], [2], [1]], {}, None),
        ("Slice", [[5], [1], [2], [1]], {}, "nothing is left of axis 2"),
        ("Slice", [[1], [2], [0], [1]], {}, "leaves out images"),
        ("Pad", [[0, 0, 1, 1, 0, 0, 1, 1]], {"mode": "reflect"}, "something else than zeros"),
        ("Pad", [[0, 0, 1, 1, 0, 0, 1, 1], np.float32(2)], {}, "something else than zeros"),
        ("Pad", [[1, 0, 0, 0, 0, 0, 0, 0]], {}, "adds some"),
        ("Pad", [[0, 0, -7, 0, 0, 0, 0, 0]], {}, "nothing is left"),
        ("Squeeze", [[2]], {}, "they must be 1"),
        ("Add", [weights(2, 1, 3, 7, 8)], {}, "which does not fit"),
        ("Add", [weights(5, 3, 7, 8)], {}, "which does not fit"),
        ("Mul", [np.float32(np.nan)], {}, "NaN or infinite"),
        ("Div", [np.float32(0)], {}, "it divides by what is zero"),
        ("Conv", [weights(4, 2, 3, 3)], {}, "does not fit its input"),
        ("Conv", [weights(4, 3, 3, 3), weights(5)], {}, "its bias has the shape"),
        ("Conv", [weights(4, 3, 3, 3)], {"kernel_shape": [2, 2]}, "its attribute|its kernel_shape"),
        ("Conv", [weights(4, 3, 3, 3)], {"group": 0}, "in 0 groups"),
        ("MatMul", [weights(7, 3)], {}, "its matrix has the shape"),
        ("QuantizeLinear", [np.float32(0.1)], {}, "the model is quantised"),
        ("Softmax", [], {"axis": 0}, "it is taken over axis 0"),
    ],
)
def test_an_operator_with_constants_is_named_with_what_is_wrong(op_type, inputs, attributes, match):
    sketch = Sketch(SHAPE)
    sketch.node(op_type, sketch.relu_conv("x", 3), *inputs, **attributes)
    if match is None:
        convertible(read_layers(sketch.model()))
    else:
        refused(sketch, rf"layer '{op_type.lower()}_2' \({op_type}\): .*({match})")


@pytest.mark.parametrize("op_type", ["Mul", "Div", "MatMul"])
def test_two_tensors_are_not_multiplied(op_type):
    sketch = Sketch((3, 4, 4))
    sketch.node(op_type, sketch.relu_conv("x", 3), sketch.relu_conv("x", 3))
    refused(sketch, f"layer '{op_type.lower()}_4'.*two tensors that depend on the image")


def test_a_constant_is_not_divided_by_a_tensor():
    sketch = Sketch((4,))
    sketch.node("Div", np.float32(1), "x")
    refused(sketch, r"layer 'div_0' \(Div\): it divides by what is zero or depends on the image")


def test_recurrent_layers():
    sketch = Sketch((4, 5))
    sketch.node("LSTM", "x", weights(1, 8, 5), weights(1, 8, 2), hidden_size=2)
    refused(sketch, r"layer 'lstm_0' \(LSTM\): recurrent layers")


def test_control_flow():
    sketch = Sketch((4,))
    branch = helper.make_graph([], "b", [], [])
    sketch.node("If", sketch.constant(True), then_branch=branch, else_branch=branch)
    refused(sketch, r"layer 'if_0' \(If\): it decides what is computed while the model runs")


def test_operators_of_other_domains():
    sketch = Sketch((4,))
    sketch.node("Secret", "x", domain="com.example")
    refused(sketch, r"layer 'secret_0' \(Secret\): it is of 'com.example'")


def test_a_sigmoid_within_a_model():
    sketch = Sketch((4,))
    sketch.node("Gemm", sketch.node("Sigmoid", sketch.node("Gemm", "x", weights(4, 4))), weights(4, 2))
    with pytest.raises(ModelError, match=r"layer 'sigmoid_1' \(Sigmoid\): the activation 'sigmoid' has no"):
        brian_snn.convert(sketch.model(), images_for((4,)))


def test_what_comes_after_a_layer_does_not_matter_to_a_part_of_a_model():
    sketch = Sketch(SHAPE)
    sketch.node("Elu", sketch.relu_conv("x", 3))
    network = brian_snn.convert(sketch.model(), images_for(SHAPE), until="conv_0")
    assert [population.name for population in network.populations] == ["conv_0"]


def test_what_does_not_lead_to_the_output_does_not_matter():
    sketch = Sketch(SHAPE)
    hidden = sketch.relu_conv("x", 3)
    sketch.node("Elu", hidden)
    assert [node.class_name for node in read_layers(sketch.model(hidden)).nodes] == ["Input", "Conv", "Conv", "Relu"]


def test_a_loaded_model_is_known_as_one_of_onnx(monkeypatch):
    model = Sketch((4,))
    model.node("Gemm", "x", weights(4, 2))
    proto = onnx.load_from_string(model.model().SerializeToString())
    assert brian_snn.convert(proto, images_for((4,))).populations[0].name == "gemm_0"


def test_without_onnx_there_is_one_clear_sentence(tmp_path, monkeypatch):
    import sys

    (tmp_path / "model.onnx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(SettingError, match=r"pip install 'brian_snn\[onnx\]'"):
        brian_snn.convert(tmp_path / "model.onnx", images_for((4,)))

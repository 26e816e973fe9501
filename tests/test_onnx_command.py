"""ONNX files of strangers at the command line: one line and nothing left behind. The readers: test_onnx_files.py."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from brian_snn.frontends.onnx.reader import read_layers
from brian_snn.frontends.table import convertible
from tests.command_line import fails_cleanly
from tests.onnx_models import Sketch, weights


def good():
    """Return a model with a dense layer, a ReLU and another dense layer."""
    sketch = Sketch((6,))
    hidden = sketch.node("Relu", sketch.node("Gemm", "x", weights(6, 5), weights(5)))
    sketch.node("Gemm", hidden, weights(5, 3))
    return sketch.model()


def external(location, length=None):
    """Return a change that keeps the first weights in another file."""

    def change(model):
        tensor = model.graph.initializer[0]
        raw = tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entries = {"location": location, "offset": "0", "length": str(len(raw) if length is None else length)}
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=value)

    return change


def with_node(op_type, *inputs, **attributes):
    """Return a change that puts a node behind the output."""

    def change(model):
        last = model.graph.node[-1].output[0]
        node = helper.make_node(op_type, [last, *inputs], ["behind"], name="added", **attributes)
        model.graph.node.append(node)
        model.graph.output[0].name = "behind"

    return change


def changed(**fields):
    """Return a change of fields of the first weights."""

    def change(model):
        for name, value in fields.items():
            if name == "dims":
                del model.graph.initializer[0].dims[:]
                model.graph.initializer[0].dims.extend(value)
            else:
                setattr(model.graph.initializer[0], name, value)

    return change


def cycle(model):
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]


def missing_weights(model):
    del model.graph.initializer[0]


def twice(model):
    model.graph.node[1].output[0] = model.graph.node[0].output[0]


def two_inputs(model):
    model.graph.input.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [1, 6]))
    model.graph.node[1].op_type = "Add"
    model.graph.node[1].input.append("other")


def two_outputs(model):
    model.graph.output.append(model.graph.output[0])


def open_shape(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "width"


def huge_image(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2**40


def own_domain(model):
    model.graph.node[1].domain = "com.example"


CHANGES = {
    "weights elsewhere": external("../secret"),
    "weights at an absolute place": external("/etc/passwd"),
    "weights that are not there": external("model.onnx.data"),
    "more weights than are there": changed(dims=[2**31, 2**31]),
    "negative weights": changed(dims=[-6, -5]),
    "short weights": changed(raw_data=b"1234"),
    "weights of texts": changed(data_type=TensorProto.STRING),
    "weights of an unknown type": changed(data_type=99),
    "NaN": lambda model: model.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.full((6, 5), np.nan, np.float32), model.graph.initializer[0].name)
    ),
    "a circle": cycle,
    "no weights": missing_weights,
    "a name twice": twice,
    "two inputs": two_inputs,
    "the same output twice": two_outputs,
    "an open shape": open_shape,
    "a huge image": huge_image,
    "another domain": own_domain,
    "a loop": with_node("Loop", body=helper.make_graph([], "b", [], [])),
    "a quantised layer": with_node("QuantizeLinear"),
    "an LSTM": with_node("LSTM", hidden_size=3),
    "a reshape to nothing": with_node("Reshape", "nowhere"),
    "an operator of a terminal": with_node("\x1b[31mred"),
    "no nodes": lambda model: model.graph.ClearField("node"),
    "no opset": lambda model: model.ClearField("opset_import"),
    "a future opset": lambda model: setattr(model.opset_import[0], "version", 2**40),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_no_model_has_is_refused_in_one_line(name, tmp_path, capsys):
    model = good()
    CHANGES[name](model)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    np.save(tmp_path / "x.npy", np.random.default_rng(1).uniform(size=(4, 6)))
    command = ["convert", path, "--data", tmp_path / "x.npy", "-o", tmp_path / "net.npz"]
    line = fails_cleanly(capsys, command, tmp_path / "net.npz")
    assert line.strip().isprintable() and len(line) < 600


def test_the_good_model_converts():
    assert len(convertible(read_layers(good())).nodes) > 3

"""ONNX files from strangers: no other file is read, nothing grows, and every fault is one line that names the file."""

import hashlib
import os
import random
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from brian_snn import convert
from brian_snn.conversion.fold import fold
from brian_snn.errors import ModelError
from brian_snn.frontends.onnx.reader import read_layers
from brian_snn.frontends.table import convertible, load_model
from brian_snn.network.forward import forward
from tests.onnx_models import Sketch, images_for, run, weights

EXPORT = Path(__file__).parent / "data" / "onnx" / "vgg_old.onnx"


def perceptron():
    sketch = Sketch((6,))
    sketch.node("Gemm", sketch.node("Relu", sketch.node("Gemm", "x", weights(6, 5), weights(5))), weights(5, 3))
    return sketch.model()


def saved(path, model):
    path.write_bytes(model.SerializeToString())
    return path


def refused(path, match):
    with pytest.raises(ModelError, match=match) as raised:
        convertible(read_layers(load_model(path)))
    assert str(raised.value).startswith(f"model {path}: ")
    assert "\n" not in str(raised.value)


# --- the file -------------------------------------------------------------------------------------------------------


def test_what_is_no_plain_file(tmp_path):
    refused(tmp_path / "none.onnx", "there is no such file")
    (tmp_path / "folder.onnx").mkdir()
    refused(tmp_path / "folder.onnx", "is a folder")
    os.mkfifo(tmp_path / "pipe.onnx")
    refused(tmp_path / "pipe.onnx", "is a device, a pipe")


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 99, b"no protobuf at all", b"\x3a" * 5000, b"\x0a\xff\xff\xff\xff\x0f"]
)
def test_what_is_no_model(tmp_path, content):
    (tmp_path / "model.onnx").write_bytes(content)
    refused(tmp_path / "model.onnx", "damaged or no ONNX file|no input for images")


def test_groups_that_lie_deep_in_one_another(tmp_path):
    deep = b""
    for _ in range(20_000):
        # A graph in an attribute of a node of a graph.
        for field in (6 << 3 | 2, 5 << 3 | 2, 1 << 3 | 2):
            size, length = len(deep), b""
            while size > 127:
                length, size = length + bytes([size & 127 | 128]), size >> 7
            deep = bytes([field]) + length + bytes([size]) + deep
        if len(deep) > 2_000_000:
            break
    size, length = len(deep), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    (tmp_path / "model.onnx").write_bytes(bytes([7 << 3 | 2]) + length + bytes([size]) + deep)
    refused(tmp_path / "model.onnx", "damaged or no ONNX file")


def test_a_file_that_is_cut_off(tmp_path):
    whole = EXPORT.read_bytes()
    for length in range(1, len(whole), 997):
        (tmp_path / "model.onnx").write_bytes(whole[:length])
        with pytest.raises(ModelError):
            load_model(tmp_path / "model.onnx")


@pytest.mark.parametrize("seed", range(150))
def test_changed_bytes_never_end_in_anything_but_a_model_or_an_error_in_words(tmp_path, seed):
    rng, content = random.Random(seed), bytearray((perceptron() if seed % 2 else onnx.load(EXPORT)).SerializeToString())
    for _ in range(rng.randint(1, 6)):
        # Structure is rare among weights, so half of the changes are where names are.
        place = rng.randrange(len(content)) if rng.random() < 0.5 else content.find(bytes([rng.randrange(32, 127)]))
        content[place] = rng.randrange(256)
    (tmp_path / "model.onnx").write_bytes(content)
    try:
        network = fold(convertible(read_layers(load_model(tmp_path / "model.onnx"))))
    except ModelError as error:
        assert "\n" not in str(error)
    else:
        assert network.populations


# --- weights in another file ----------------------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path):
    """Return a model whose weights are in a file beside it, and a function that changes where they are."""
    path, model = tmp_path / "model.onnx", perceptron()
    for tensor in model.graph.initializer:
        tensor.raw_data = np.ascontiguousarray(onnx.numpy_helper.to_array(tensor)).tobytes()
    onnx.save(model, path, save_as_external_data=True, location="model.onnx.data", size_threshold=0)

    def change(**entries):
        changed = onnx.load(path, load_external_data=False)
        for tensor in changed.graph.initializer:
            known = {entry.key: entry.value for entry in tensor.external_data} | entries
            del tensor.external_data[:]
            for key, value in known.items():
                tensor.external_data.add(key=key, value=value)
        return saved(path, changed)

    return path, change


def test_weights_beside_the_model_are_read(outside):
    path, _ = outside
    images = images_for((6,))
    network = fold(convertible(read_layers(load_model(path))))
    np.testing.assert_allclose(forward(network, images)["gemm_2"], run(perceptron(), images)[0], rtol=0, atol=1e-5)


def test_the_hashes_of_both_files_are_noted(outside):
    path, _ = outside
    found = convert(path, images_for((6,))).provenance
    for key, file in (("sha256", path), ("weights_sha256", path.with_name("model.onnx.data"))):
        assert found[key] == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "location",
    ["/etc/passwd", "../secret", "other.data", "", ".", "./model.onnx.data", "a/../model.onnx.data", "\x1b[2J\n"],
)
def test_weights_elsewhere_are_not_read(outside, location):
    path, change = outside
    (path.parent / "other.data").write_bytes(b"\1" * 1000)
    refused(change(location=location), "only 'model.onnx.data' beside the model is read")


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_links_are_not_followed(outside, make):
    path, _ = outside
    data = path.with_name("model.onnx.data")
    data.rename(path.with_name("elsewhere"))
    make(path.with_name("elsewhere"), data)
    refused(path, "'model.onnx.data', where its weights should be, is a link or no file")


def test_weights_that_are_not_there(outside):
    path, _ = outside
    path.with_name("model.onnx.data").unlink()
    refused(path, "copy that file too")
    os.mkfifo(path.with_name("model.onnx.data"))
    refused(path, "is a link or no file")


@pytest.mark.parametrize(
    ("entries", "match"),
    [
        ({"offset": "1000000"}, "cut off"),
        ({"offset": "-4"}, "bytes were expected"),
        ({"offset": "9" * 30}, "bytes were expected"),
        ({"length": "4"}, "bytes were expected"),
        ({"length": "x"}, "bytes were expected"),
    ],
)
def test_places_that_do_not_fit(outside, entries, match):
    refused(outside[1](**entries), match)


def test_a_loaded_model_without_its_weights(outside):
    with pytest.raises(
        ModelError, match=r"the model: its tensor 'w0' is in another file; load the model with onnx.load"
    ):
        read_layers(onnx.load(outside[0], load_external_data=False))


# --- what is in it --------------------------------------------------------------------------------------------------


def set_dims(model, *dims):
    model.graph.initializer[0].dims[:] = dims


def add_input(model):
    model.graph.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6]))


def add_output(model):
    model.graph.output.append(helper.make_tensor_value_info("gemm_2_out", TensorProto.FLOAT, ["n", 5]))


def input_of(*shape, kind=TensorProto.FLOAT):
    def change(model):
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", kind, shape))

    return change


def rename(model):
    model.graph.node[1].output[0] = "gemm_0_out"


def circle(model):
    model.graph.node[0].input[0] = model.graph.node[2].output[0]


def twice(model):
    model.graph.initializer.append(model.graph.initializer[0])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda m: set_dims(m, 2**40, 2**40), "another number of elements"),
        (lambda m: set_dims(m, -1, 5), r"the shape \(-1, 5\), which no tensor has"),
        (lambda m: set_dims(m, 6, 4), "another number of elements"),
        (lambda m: set_dims(m, *[1] * 40), "which no tensor has"),
        (lambda m: setattr(m.graph.initializer[0], "data_type", TensorProto.STRING), "is of type STRING"),
        (lambda m: setattr(m.graph.initializer[0], "data_type", TensorProto.INT4), "is of type INT4"),
        (lambda m: setattr(m.graph.initializer[0], "data_type", 99), "is of type 99"),
        (twice, "holds the weights 'w0' twice"),
        (lambda m: m.graph.initializer.pop(0), "reads 'w0', which nothing before it makes"),
        (circle, "which nothing before it makes"),
        (rename, "'gemm_0_out' is made twice"),
        (add_input, "two of its inputs have the same name"),
        (add_output, "it has 2 outputs; one was expected, or several of different names"),
        (lambda m: m.graph.output.pop(), "it has 0 outputs"),
        (lambda m: m.graph.ClearField("node"), "nothing makes its output"),
        (lambda m: m.ClearField("opset_import"), "which version of the operators"),
        (lambda m: m.graph.sparse_initializer.add(), "sparse tensors"),
        (input_of("n", "features"), "along features is open"),
        (input_of("n", -6), "is open"),
        (input_of("n"), "has 1 axes"),
        (input_of("n", *[1] * 20), "has 21 axes"),
        (input_of("n", 6, kind=TensorProto.UINT8), "is no tensor of floats"),
    ],
)
def test_a_model_that_is_not_sound(tmp_path, change, match):
    model = perceptron()
    change(model)
    refused(saved(tmp_path / "model.onnx", model), match)


def test_weights_that_are_listed_as_inputs_are_none(tmp_path):
    model = perceptron()
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, tensor.dims))
    read_layers(load_model(saved(tmp_path / "model.onnx", model)))


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes"),
    [
        ("ConstantOfShape", [[2**31, 2**31]], {}),
        ("Expand", [np.zeros((1, 1), np.float32), [2**31, 2**31]], {}),
        ("Range", [np.int64(0), np.int64(2**62), np.int64(1)], {}),
        ("Gather", [weights(2000, 2000), np.zeros((2000, 2000), np.int64)], {}),
        ("Add", [np.zeros((2**20, 1), np.float32), np.zeros((1, 2**20), np.float32)], {}),
    ],
)
def test_constants_of_any_size_are_not_computed(op_type, inputs, attributes):
    sketch = Sketch((4,))
    sketch.node("Add", "x", sketch.node(op_type, *inputs, **attributes))
    start = time.perf_counter()
    with pytest.raises(
        ModelError, match=rf"layer '{op_type.lower()}_0' \({op_type}\): it makes a constant of more than"
    ):
        convertible(read_layers(sketch.model()))
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes"),
    [
        ("Conv", [weights(4, 3, 3, 3)], {"pads": [2**40] * 4}),
        ("Conv", [weights(4, 3, 3, 3)], {"pads": [2**30] * 4, "dilations": [2**29] * 2, "strides": [2, 2]}),
        ("Pad", [[0, 0, 2**40, 0, 0, 0, 0, 0]], {}),
        ("MaxPool", [], {"kernel_shape": [2**40, 2], "pads": [2**39, 0, 2**39, 1]}),
        ("Reshape", [[0, 2**40, -1]], {}),
        ("Unsqueeze", [[2**62]], {}),
        ("Slice", [[-(2**63)], [2**63 - 1], [-(2**63)]], {}),
        ("Transpose", [], {"perm": [2**62, 0, 1, 2]}),
    ],
)
def test_numbers_of_any_size_are_refused_at_once(op_type, inputs, attributes):
    sketch = Sketch((3, 7, 8))
    sketch.node(op_type, sketch.relu_conv("x", 3), *inputs, **attributes)
    start = time.perf_counter()
    with pytest.raises(ModelError, match=f"layer '{op_type.lower()}_2'"):
        convertible(read_layers(sketch.model()))
    assert time.perf_counter() - start < 5


def test_names_that_move_the_cursor_are_shown_as_text(tmp_path):
    model = perceptron()
    model.graph.node[0].input[0] = "\x1b[2Jgone"
    with pytest.raises(ModelError) as raised:
        load_model(saved(tmp_path / "model.onnx", model))
    assert "\x1b" not in str(raised.value)

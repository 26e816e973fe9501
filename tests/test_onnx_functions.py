"""Functions that an ONNX model defines itself: written out as onnxruntime runs them, or refused at once.

What onnxruntime does not take (overloads, an output that is an input) is compared with NumPy.
"""

import time

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from brian_snn import convert, simulate, verify
from brian_snn.errors import ModelError
from brian_snn.frontends.onnx.graph import open_graph
from brian_snn.frontends.onnx.reader import read_layers
from brian_snn.frontends.table import convertible, load_model
from tests.onnx_models import weights

node = helper.make_node
OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]


def function(name, inputs, outputs, nodes, attributes=(), defaults=(), opsets=OPSETS):
    """Return a function of the domain own."""
    defaults = [helper.make_attribute(*pair) for pair in defaults]
    return helper.make_function(
        "own", name, inputs, outputs, nodes, opsets, list(attributes), attribute_protos=defaults
    )


def call(name, inputs, outputs, **attributes):
    """Return a node that calls a function; an attribute whose value begins with @ is that of the function around it."""
    made = node(name, inputs, outputs, domain="own")
    for key, value in attributes.items():
        made.attribute.append(_attribute(key, value))
    return made


def _attribute(key, value):
    if isinstance(value, str) and value.startswith("@"):
        made = onnx.AttributeProto(name=key, ref_attr_name=value[1:], type=onnx.AttributeProto.FLOAT)
        return made
    return helper.make_attribute(key, value)


def leaky(source, target, slope):
    """Return a LeakyRelu whose slope is a number, or an attribute of the function around it."""
    made = node("LeakyRelu", [source], [target])
    made.attribute.append(_attribute("alpha", slope))
    return made


def model_of(functions, nodes, n_in=6, n_out=4, stored=None):
    """Return a model from x, of vectors, to y."""
    make = helper.make_tensor_value_info
    stored = {"w": weights(6, 5), "v": weights(5, 4)} if stored is None else stored
    graph = helper.make_graph(
        nodes,
        "g",
        [make("x", 1, ["n", n_in])],
        [make("y", 1, ["n", n_out])],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    return helper.make_model(graph, opset_imports=OPSETS, ir_version=10, functions=functions)


def dense(name="dense"):
    """Return a function of a dense layer, whose tensors have the names of the graph's."""
    return function(name, ["v", "w"], ["y"], [node("MatMul", ["v", "w"], ["x"]), node("Identity", ["x"], ["y"])])


def named_alike():
    return model_of(
        [dense()], [call("dense", ["x", "w"], ["h"]), node("Relu", ["h"], ["r"]), call("dense", ["r", "v"], ["y"])]
    )


def attributes_by_default():
    """Return slopes that are given, by default, handed on, and handed on where nothing was given."""
    inner = function("inner", ["a"], ["b"], [leaky("a", "b", "@s")], defaults=[("s", 0.75)])
    outer = function("outer", ["a"], ["b"], [call("inner", ["a"], ["b"], s="@t")], attributes=["t"])
    given = function("given", ["a"], ["b"], [leaky("a", "b", "@s")], attributes=["s"])
    chain = [
        node("MatMul", ["x", "w"], ["h0"]),
        call("inner", ["h0"], ["h1"]),
        node("MatMul", ["h1", "w2"], ["h2"]),
        call("outer", ["h2"], ["h3"], t=0.5),
        node("MatMul", ["h3", "w2"], ["h4"]),
        call("outer", ["h4"], ["h5"]),
        node("MatMul", ["h5", "w2"], ["h6"]),
        call("given", ["h6"], ["h7"]),
        node("MatMul", ["h7", "v"], ["y"]),
    ]
    return model_of([inner, outer, given], chain, stored={"w": weights(6, 5), "w2": weights(5, 5), "v": weights(5, 4)})


def left_out_and_passed_on():
    """Return functions with an input left out, an output left out, and one that is an input."""
    both = function(
        "both",
        ["a", "least", "most"],
        ["a", "c", "d"],
        [node("Clip", ["a", "least", "most"], ["c"]), node("Neg", ["a"], ["d"])],
    )
    chain = [
        node("MatMul", ["x", "w"], ["h"]),
        call("both", ["h", "zero"], ["same", "clipped"]),
        call("both", ["h", "zero", ""], ["", "again", "turned"]),
        node("Relu", ["turned"], ["below"]),
        node("Sum", ["clipped", "again", "below"], ["s"]),
        node("Relu", ["same"], ["r"]),
        node("Add", ["r", "s"], ["t"]),
        node("MatMul", ["t", "v"], ["y"]),
    ]
    return model_of([both], chain, stored={"w": weights(6, 5), "v": weights(5, 4), "zero": np.zeros((), np.float32)})


def overloads():
    """Return two functions of one name, one calling the other."""
    plain = function("act", ["a"], ["b"], [node("Relu", ["a"], ["b"])])
    plain.overload = "relu"
    inner = call("act", ["t"], ["b"])
    inner.overload = "relu"
    shifted = function("act", ["a", "w"], ["b"], [node("MatMul", ["a", "w"], ["t"]), inner])
    shifted.overload = "dense"
    outer = call("act", ["x", "w"], ["t"])
    outer.overload = "dense"
    return model_of([plain, shifted], [outer, node("MatMul", ["t", "v"], ["y"])])


def ran(model, images):
    """Return what onnxruntime, which reads functions itself, makes of images."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": images.astype(np.float32)})[0]


def of_left_out(images):
    hidden = images @ weights(6, 5)
    return (3 * np.maximum(hidden, 0) + np.maximum(-hidden, 0)) @ weights(5, 4)


def of_overloads(images):
    return np.maximum(images @ weights(6, 5), 0) @ weights(5, 4)


MODELS = {
    named_alike: None,
    attributes_by_default: None,
    left_out_and_passed_on: of_left_out,
    overloads: of_overloads,
}


@pytest.mark.parametrize("make", MODELS)
def test_a_model_with_functions_is_what_others_make_of_it(make, tmp_path):
    model, images = make(), np.random.default_rng(1).normal(size=(7, 6))
    expected = ran(model, images) if MODELS[make] is None else MODELS[make](images)
    before = model.SerializeToString(deterministic=True)
    flat = open_graph(model).model
    assert not flat.functions and {found.domain for found in flat.graph.node} == {""}
    np.testing.assert_allclose(ran(flat, images), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    onnx.save(model, tmp_path / "m.onnx")
    network = convert(tmp_path / "m.onnx", images, percentile=100)
    assert model.SerializeToString(deterministic=True) == before
    result = simulate(network, images, steps=1000, backend="runtime")
    assert np.abs(result.logits - expected).max() < 0.01 * np.abs(expected).max()
    assert verify(result)["holds"].all()


def test_nodes_are_named_after_the_calls_around_them():
    model = named_alike()
    model.graph.node[0].name = "/first"
    made = [found.name for found in open_graph(model).model.graph.node]
    assert made == ["/first/x", "/first/y", "", "y/x", "y/y"]


# --- what is refused ------------------------------------------------------------------------------------------------


def alone(*functions, calls=("f",)):
    """Return a model that calls functions one after the other."""
    tensors = ["x", *(f"h{k}" for k in range(1, len(calls))), "y"]
    nodes = [call(name, [tensors[k]], [tensors[k + 1]]) for k, name in enumerate(calls)]
    return model_of(functions, nodes, n_out=6, stored={})


def doubling(levels, *leaf):
    """Return functions that each call the one before twice."""
    functions = [function("f0", ["a"], ["b"], leaf)]
    for k in range(1, levels):
        calls = [call(f"f{k - 1}", ["a"], ["c"]), call(f"f{k - 1}", ["c"], ["b"])]
        functions.append(function(f"f{k}", ["a"], ["b"], calls))
    return alone(*functions, calls=[f"f{levels - 1}"])


def large():
    """Return a constant of a megabyte that is written out a thousand times."""
    constant = numpy_helper.from_array(np.zeros(2**18, np.float32))
    body = [node("Constant", [], ["c"], value=constant), node("Relu", ["a"], ["b"])]
    return alone(function("f", ["a"], ["b"], body), calls=["f"] * 1000)


def chain(levels):
    """Return functions that each call the one before."""
    functions = [function("f0", ["a"], ["b"], [node("Relu", ["a"], ["b"])])]
    functions += [function(f"f{k}", ["a"], ["b"], [call(f"f{k - 1}", ["a"], ["b"])]) for k in range(1, levels)]
    return alone(*functions, calls=[f"f{levels - 1}"])


def standard():
    model = alone(function("Relu", ["a"], ["b"], [node("Neg", ["a"], ["b"])]), calls=["Relu"])
    model.functions[0].domain = model.graph.node[0].domain = ""
    return model


PLAIN = function("f", ["a"], ["b"], [node("Relu", ["a"], ["b"])])
REFUSED = {
    "itself": (lambda: alone(function("f", ["a"], ["b"], [call("f", ["a"], ["b"])])), "'y/b' .* calls itself"),
    "deep": (lambda: chain(5000), "more than 50 levels deep"),
    "doubling": (lambda: doubling(45, node("Relu", ["a"], ["b"])), "more than 100,000 nodes"),
    "doubling nothing": (lambda: doubling(45), "more than 100,000 nodes"),
    "large": (large, "more than 256 MiB"),
    "twice": (lambda: alone(PLAIN, PLAIN), "function 'f' is defined twice"),
    "standard": (standard, "function 'Relu' has the name of an operator of ONNX itself"),
    "another version": (
        lambda: alone(function("f", ["a"], ["b"], [node("Relu", ["a"], ["b"])], opsets=[helper.make_opsetid("", 13)])),
        "function 'f' uses version 13 of the operators, and the model 17",
    ),
    "more inputs": (
        lambda: model_of([PLAIN], [call("f", ["x", "x"], ["y"])], n_out=6, stored={}),
        r"layer 'y' \(f\): it takes 2 tensors, and its function 1",
    ),
    "more outputs": (
        lambda: model_of([PLAIN], [call("f", ["x"], ["q", "y"])], n_out=6, stored={}),
        r"layer 'q' \(f\): it returns 2 tensors, and its function 1",
    ),
    "a name from outside": (
        lambda: alone(function("f", ["a"], ["b"], [node("Add", ["a", "x"], ["b"])])),
        "node 'y/b' .* reads 'y/x', which nothing before it makes",
    ),
    "nothing made": (lambda: alone(function("f", ["a"], ["b"], [node("Relu", ["a"], ["c"])])), "nothing makes its out"),
    "made twice": (
        lambda: alone(function("f", ["a"], ["b"], [node("Relu", ["a"], ["b"]), node("Neg", ["a"], ["b"])])),
        "the tensor 'y' is made twice",
    ),
    "an input made": (lambda: alone(function("f", ["a"], ["b"], [node("Relu", ["a"], ["a"])])), "made twice|nothing"),
    "not there": (lambda: alone(PLAIN, calls=["g"]), "'own', neither an operator of ONNX itself nor a function of the"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_functions_that_cannot_be_written_out_are_refused_at_once(case, tmp_path):
    make, match = REFUSED[case]
    onnx.save(make(), tmp_path / "m.onnx")
    start = time.perf_counter()
    with pytest.raises(ModelError, match=match) as raised:
        convertible(read_layers(load_model(tmp_path / "m.onnx")))
    assert "\n" not in str(raised.value) and time.perf_counter() - start < 10


def test_an_attribute_of_no_function_is_refused():
    with pytest.raises(ModelError, match=r"layer 'y' \(LeakyRelu\): its 'alpha' is that of a function"):
        convertible(read_layers(model_of([], [leaky("x", "y", "@s")], n_out=6, stored={})))


def test_names_in_functions_are_shown_as_text(tmp_path):
    model = alone(function("\x1b[2J", ["a"], ["b"], [call("\x1b[2J", ["a"], ["b"])]), calls=["\x1b[2J"])
    model.graph.node[0].name = "\x1b[2J"
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="calls itself") as raised:
        load_model(tmp_path / "m.onnx")
    assert "\x1b" not in str(raised.value)

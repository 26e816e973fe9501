"""Files of Keras 2 from strangers: they are built anew, and nothing in them is run, looked up, or taken for granted."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import tests.hostile as hostile
from brian_snn.errors import ModelError
from brian_snn.frontends.keras.files import load_model
from tests.keras2 import FOLDER, assert_computes_the_same

SUFFIXES = [".h5", ".keras"]

#: A function of Python, as Keras 2 wrote it: its compiled code.
CODE = ["4wEAAAAAAAAAAAAAAAEAAAACAAAAQwAAAHMIAAAAfAB0ABQAUwA=", None, None]


def copied(name, folder):
    return Path(shutil.copy(FOLDER / name, folder))


def refused(path, match):
    with pytest.raises(ModelError, match=match) as raised:
        load_model(path)
    assert str(raised.value).startswith(f"model {path}: ")
    return str(raised.value)


def layer_of(whole, class_name):
    return next(part for part in whole["config"]["layers"] if part["class_name"] == class_name)


# --- the configuration ----------------------------------------------------------------------------------------------


def replaced(class_name, /, **by):
    """Return a change to the first layer of a class."""
    return lambda whole: layer_of(whole, class_name).update(by)


def reconfigured(class_name, /, **by):
    """Return a change to the configuration of the first layer of a class."""
    return lambda whole: layer_of(whole, class_name)["config"].update(by)


def function_of(name):
    return lambda whole: layer_of(whole, "TFOpLambda")["config"].update(function=name)


EVIL = {
    "lambda": (replaced("ReLU", class_name="Lambda", config={"name": "x", "function": CODE}), "'x' .Lambda.*code"),
    "nested lambda": (
        reconfigured("Conv2D", activation={"class_name": "Lambda", "config": {"function": CODE}}),
        r"\(Conv2D\).*code",
    ),
    "foreign class": (replaced("Dense", class_name="Mine"), "'dense' .Mine.*cannot be converted"),
    "foreign module": (replaced("Dense", module="mine.layers"), "'dense' .Dense.*not Keras' own"),
    "module that begins alike": (replaced("Dense", module="tf_keras_mine.layers"), "'dense' .Dense.*not Keras' own"),
    "registered": (replaced("Dense", registered_name="mine>Dense"), "'dense' .Dense.*not Keras' own"),
    "activation elsewhere": (
        reconfigured("Conv2D", activation={"module": "os", "class_name": "system", "config": "ls"}),
        r"\(Conv2D\).*not Keras' own",
    ),
    "activation by name": (reconfigured("Conv2D", activation="os.system"), "'os.system' is a function outside Keras"),
    "reader of files": (replaced("Dense", class_name="StringLookup"), "'dense' .StringLookup.*cannot be converted"),
    "no configuration": (replaced("Dense", config=None), "damaged"),
    "large": (reconfigured("Dense", units=2**20), "'dense' .Dense.*more than the file holds"),
    "larger": (reconfigured("Dense", units=2**40), "'dense' .Dense.*more than the file holds"),
    "shape of texts": (reconfigured("InputLayer", batch_input_shape=["x", "y"]), "cannot read it"),
    "name that is none": (reconfigured("Dense", name=["dense"]), "has no name"),
    "name that is there": (reconfigured("Dense", name="flatten"), "have the same name"),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("case", EVIL)
def test_what_is_not_known_to_be_harmless_is_not_built(tmp_path, case, suffix):
    change, match = EVIL[case]
    path = copied(f"plain{suffix}", tmp_path)
    hostile.change_config(path, change)
    refused(path, match)


@pytest.mark.parametrize(
    "function",
    ["io.read_file", "py_function", "numpy_function", "os.system", "math.truediv.x", "", None, "exp"],
)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_functions_are_found_in_a_table_or_refused(tmp_path, function, suffix):
    path = copied(f"operations{suffix}", tmp_path)
    hostile.change_config(path, function_of(function))
    assert f"the function '{function}' is never run" in refused(path, r"'tf.cast' \(TFOpLambda\)")


@pytest.mark.parametrize("kind", ["ReadFile", "PyFunc", "Exp", None, "math.truediv"])
def test_nodes_are_found_in_a_table_or_refused(tmp_path, kind):
    path = copied("graph.h5", tmp_path)
    hostile.change_config(
        path, lambda whole: layer_of(whole, "TensorFlowOpLayer")["config"]["node_def"].update(op=kind)
    )
    assert f"the node '{kind}' is never run" in refused(path, r"'tf_op_layer_truediv' \(TensorFlowOpLayer\)")


@pytest.mark.parametrize("constants", [{}, {"0": 1, "1": 2}, {"x": 1.0}, {"9": [[1.0]]}, [1.0], {"1": "x"}])
def test_nodes_are_read_with_known_inputs_alone(tmp_path, constants):
    path = copied("graph.h5", tmp_path)
    hostile.change_config(
        path, lambda whole: layer_of(whole, "TensorFlowOpLayer")["config"].update(constants=constants)
    )
    refused(path, "tf_op_layer_truediv|Keras cannot read it")


@pytest.mark.parametrize(
    "keywords",
    [
        {"y": ["tf.cast", 0]},
        {"y": "tf.cast"},
        {"x": 2.0},
        {"y": [[1.0]]},
        {"y": 2.0, "out": "x"},
        {"y": {"a": 1}},
        {},
    ],
)
def test_functions_are_read_with_known_arguments_alone(tmp_path, keywords):
    path = copied("operations.h5", tmp_path)

    def change(whole):
        node = next(part for part in whole["config"]["layers"] if part["name"] == "tf.math.truediv")["inbound_nodes"][0]
        node[3] = keywords

    hostile.change_config(path, change)
    refused(path, "tf.math.truediv|Keras cannot read it")


def test_initializers_and_the_like_are_left_out(tmp_path):
    evil = {"module": "os", "class_name": "mkdir", "config": {"path": str(tmp_path / "ran")}}
    path = copied("plain.h5", tmp_path)
    places = ("kernel_initializer", "bias_regularizer", "kernel_constraint", "activity_regularizer")
    hostile.change_config(path, reconfigured("Dense", **dict.fromkeys(places, evil)))
    assert_computes_the_same(path, "plain")
    assert not (tmp_path / "ran").exists()


# --- the weights ----------------------------------------------------------------------------------------------------


def first_of(file, ending):
    """Return the name of the first array whose name ends so, as an .h5 or the weights of a .keras file have it."""
    names = []
    file.visit(names.append)
    return next(name for name in names if name.endswith(ending))


def swapped_names(file):
    """Let the list of names say that beta comes before gamma."""
    group = file["model_weights/batch_normalization"]
    names = list(group.attrs["weight_names"])
    group.attrs["weight_names"] = [names[1], names[0], *names[2:]]


def unlisted(file):
    group = file["model_weights/dense"]
    group.attrs["weight_names"] = group.attrs["weight_names"][:1]


def missing(file):
    file["spare"] = np.zeros(1000)
    del file[first_of(file, "dense/kernel:0")]


def without_group(file):
    file["spare"] = np.zeros(1000)
    del file["model_weights/dense"]


def of_another_shape(file):
    name = first_of(file, "dense/kernel:0")
    values = file[name][()]
    del file[name]
    file[name] = values.T


def of_texts(file):
    name = first_of(file, "dense/bias:0")
    del file[name]
    file[name] = np.array([b"x"] * 4)


def linked(file):
    name = first_of(file, "dense/kernel:0")
    del file[name]
    file[name] = h5py.ExternalLink("other.h5", "/x")


def elsewhere(file):
    """Name, as the weight of a layer, what lies outside its group."""
    file["model_weights/dense"].attrs["weight_names"] = [b"/model_weights/conv2d/conv2d/kernel:0", b"../x"]


LISTED = {
    "swapped names": (swapped_names, "'batch_normalization' .*gamma .*beta:0"),
    "unlisted": (unlisted, "'dense' .Dense.: it has 2 weights, and the file holds 1"),
    "missing": (missing, "'dense' .Dense.: its weight 'dense/kernel:0' is missing"),
    "without group": (without_group, "'dense' .Dense.: its weights are not in the file"),
    "another shape": (of_another_shape, "'dense' .Dense.: its kernel has shape .*of shape"),
    "texts": (of_texts, "Keras cannot read it"),
    "link": (linked, "is a link to elsewhere"),
    "elsewhere": (elsewhere, "'dense'"),
}


@pytest.mark.parametrize("case", LISTED)
def test_weights_that_do_not_fit_are_named(tmp_path, case):
    change, match = LISTED[case]
    path = copied("plain.h5", tmp_path)
    hostile.change_weights(path, change, tmp_path)
    refused(path, match)


def linked_in_tree(file):
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.ExternalLink("other.h5", "/x")


def without_tree(file):
    file["spare"] = np.zeros(1000)
    del file["layers/dense"]


def turned_in_tree(file):
    values = file["layers/dense/vars/0"][()]
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = values.T


TREE = {
    "missing": (lambda file: file.__delitem__("layers/dense/vars/1"), "'dense' .*2 weights, and the file holds 1"),
    "without group": (without_tree, "'dense' .*2 weights, and the file holds 0"),
    "another shape": (turned_in_tree, "'dense' .*its kernel has shape"),
    "link": (linked_in_tree, "is a link to elsewhere"),
}


@pytest.mark.parametrize("case", TREE)
def test_weights_of_a_tree_that_do_not_fit_are_named(tmp_path, case):
    change, match = TREE[case]
    path = copied("plain.keras", tmp_path)
    hostile.change_weights(path, change, tmp_path)
    refused(path, match)

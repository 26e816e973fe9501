"""What is said of a model that cannot be read: why, and what to do, in a sentence that fits it."""

from pathlib import Path

import keras
import numpy as np
import pytest

from brian_snn import convert
from brian_snn.errors import ModelError
from brian_snn.frontends.keras.files import load_model, telling_line
from brian_snn.frontends.keras.hints import unsupported
from brian_snn.frontends.keras.layers import READERS
from brian_snn.frontends.keras.reader import read_model
from tests import hostile
from tests.models import sequential

#: Of `keras.layers`: what holds others, reads other formats, or stands for nothing by itself.
_NONE_OF_THEIR_OWN = set(
    "Layer InputLayer InputSpec Wrapper Pipeline TFSMLayer TorchModuleWrapper JaxLayer FlaxLayer Identity".split()
)
CLASSES = sorted(
    name
    for name, kind in vars(keras.layers).items()
    if isinstance(kind, type) and kind.__name__ == name and name not in (*READERS, *_NONE_OF_THEIR_OWN)
)


@pytest.mark.parametrize("class_name", CLASSES)
def test_every_layer_of_keras_has_a_hint_of_its_own(class_name):
    message = str(unsupported("layer 'x'", class_name))
    assert "layers of this class" not in message and len(message) < 160


@keras.saving.register_keras_serializable("mine")
def half(x):
    return x / 2


@keras.saving.register_keras_serializable("mine")
class Own(keras.layers.Layer):
    def call(self, x):
        return x


def quantised():
    model = sequential(keras.layers.Dense(3), shape=(4,))
    with pytest.warns(UserWarning, match="quantize"):
        model.quantize("int8")
    return model


FILES = {
    "int8": (quantised, r"\(Dense\) has quantised weights .*before quantize\(\)"),
    "function": (lambda: sequential(keras.layers.Dense(3, activation=half), shape=(4,)), r"\(Dense\) calls '.*half'"),
    "Lambda": (lambda: sequential(keras.layers.Lambda(half), shape=(4,)), r"\(Lambda\) holds code"),
    "own": (lambda: sequential(Own(), keras.layers.Dense(3), shape=(4,)), r"\(.*Own\) .* not Keras' own"),
}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("case", FILES)
def test_what_a_file_may_not_hold_is_told_in_a_sentence_of_its_own(tmp_path, case, suffix):
    build, match = FILES[case]
    build().save(tmp_path / f"m{suffix}")
    with pytest.raises(ModelError, match=f"model .*m{suffix}: layer '.*' {match}"):
        load_model(tmp_path / f"m{suffix}")


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_for_an_activation_is_called_one(tmp_path, suffix):
    sequential(keras.layers.Dense(3, activation=lambda x: x, name="d"), shape=(4,)).save(tmp_path / f"m{suffix}")
    with pytest.raises(ModelError, match=r"layer 'd' \(Dense\) has a lambda, which is Python code and never run"):
        load_model(tmp_path / f"m{suffix}")


def test_quantised_weights_in_memory_are_named():
    with pytest.raises(ModelError, match=r"\(Dense\): its weights are quantised \(int8\); .* before quantize"):
        read_model(quantised())


@pytest.mark.parametrize("module", ["tf_keras.src.engine.sequential", "keras.src.engine.functional"])
def test_a_model_of_keras_2_in_memory_is_to_be_saved(module):
    model = type("Sequential", (), {"__module__": module, "name": "old"})()
    with pytest.raises(ModelError, match=r"model 'old': it is a model of Keras 2 in memory, .*model.save\('m.h5'\)"):
        convert(model, np.zeros((2, 3)))


# --- the line that says why -----------------------------------------------------------------------------------------


def test_the_cause_is_told_and_not_what_keras_was_doing(tmp_path):
    path = Path(tmp_path / "m.keras")
    sequential(keras.layers.Dense(3, name="d"), shape=(4,)).save(path)
    hostile.change_config(path, lambda whole: whole["config"]["layers"][1]["config"].update(spin=2))
    with pytest.raises(
        ModelError, match=r"cannot read it \(Unrecognized keyword arguments passed to Dense: {'spin': 2}"
    ):
        load_model(path)


def test_the_weight_that_is_missing_is_told(tmp_path):
    path = Path(tmp_path / "m.keras")
    sequential(keras.layers.Dense(3, name="d"), shape=(4,)).save(path)

    def without_bias(file):
        del file["layers/dense/vars/1"]
        file["spare"] = np.zeros(100)

    hostile.change_weights(path, without_bias, tmp_path)
    with pytest.raises(ModelError, match=r"cannot read it \(Layer 'd' expected 2 variables, but received 1"):
        load_model(path)


@pytest.mark.parametrize(
    "text, line",
    [
        ("", "ValueError"),
        ("one\ntwo", "one"),
        ("a\n\nException encountered: b\n\nException encountered: c\nd", "c"),
        ("Exception encountered when calling X.call().\n\n\x1b[1mbecause\x1b[0m\n\nArguments: ...", "because"),
        ("2 objects could not be loaded. Example error message for object <x>:\n\nwhy\n\nList of objects", "why"),
    ],
)
def test_the_last_cause_is_the_one(text, line):
    assert telling_line(ValueError(text)) == line

"""The table of front ends: who reads which file and which model, and what is said of others."""

from pathlib import Path

import keras
import pytest

import brian_snn
from brian_snn.errors import ModelError
from brian_snn.frontends import table
from tests.models import HAND_PICKED


@pytest.mark.parametrize("model", [5, None, [1.0], object(), pytest])
def test_what_is_no_model_of_a_known_framework_is_named_with_those_that_are(model):
    with pytest.raises(ModelError, match=f"the model is a {type(model).__module__}.*models of keras, tensorflow"):
        brian_snn.convert(model, [[0.0]])


def test_a_model_is_known_by_its_class_and_by_those_it_is_derived_from():
    class Own(keras.Model):
        pass

    assert table.front_end_of(HAND_PICKED["mlp"]()).name == table.front_end_of(Own()).name == "Keras"


@pytest.mark.parametrize("line", table.FRONT_ENDS, ids=lambda line: line.module)
def test_a_file_is_known_by_its_suffix(line):
    for suffix in line.suffixes:
        assert table.front_end_of_file(Path(f"there is none{suffix.upper()}")) is line.front_end()


def test_a_file_of_another_kind_is_named_with_the_suffixes_there_are(tmp_path):
    (tmp_path / "model.xyz").touch()
    with pytest.raises(ModelError, match=r"ends in '.xyz'; model files end in .keras, .h5, .hdf5 or .onnx.$"):
        table.load_model(tmp_path / "model.xyz")


@pytest.mark.parametrize(
    ("suffix", "advice"),
    [
        (".pt", "torch.onnx.export"),
        (".PTH", "pickles"),
        (".tflite", "tf2onnx"),
        (".pb", "model.save"),
        (".json", "weights"),
    ],
)
def test_of_files_that_others_write_it_is_said_what_to_do(tmp_path, suffix, advice):
    (tmp_path / f"model{suffix}").touch()
    with pytest.raises(ModelError, match=rf"ends in '{suffix}'; model files end in .*\. .*{advice}"):
        table.load_model(tmp_path / f"model{suffix}")

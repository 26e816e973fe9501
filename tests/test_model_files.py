"""Loading model files: what was saved comes back, and no code from a file is run."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from brian_snn.errors import ModelError
from brian_snn.frontends.keras.files import load_model
from tests.conversion_cases import CASES
from tests.models import HAND_PICKED, images_for, layers, outputs_of, sequential

SAVED = ["inception_block", "nested_model", "image_as_numbers", "shared_layers"]


@pytest.mark.parametrize(
    "case, suffix",
    # HDF5 files cannot hold a sum written as x + y: Keras itself fails to read it back.
    [*((case, suffix) for case in SAVED for suffix in (".keras", ".h5", ".hdf5")), ("sums_of_spikes", ".keras")],
)
def test_a_saved_model_comes_back(tmp_path, case, suffix):
    model = {**HAND_PICKED, **CASES}[case]()
    path, images = tmp_path / f"model{suffix}", images_for(model, 3)
    model.save(path)
    assert np.array_equal(outputs_of(load_model(path), images), outputs_of(model, images))


def test_a_compiled_model_comes_back(tmp_path):
    model = HAND_PICKED["mlp"]()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.save(tmp_path / "model.keras")
    assert not load_model(str(tmp_path / "model.keras")).compiled


def as_keras_2(path):
    """Write the configuration of an HDF5 file as Keras 2 did."""
    import h5py

    def old(part):
        if isinstance(part, list):
            return [old(item) for item in part]
        if not isinstance(part, dict):
            return part
        if part.get("class_name") == "DTypePolicy":
            return part["config"]["name"]
        dropped = ("module", "registered_name", "build_config")
        renamed = {"batch_shape": "batch_input_shape"}
        return {renamed.get(key, key): old(value) for key, value in part.items() if key not in dropped}

    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(old(config))
        file.attrs["keras_version"] = "2.11.0"


def test_a_keras_2_file_comes_back(tmp_path):
    model = HAND_PICKED["odd_pooling"]()
    model.save(tmp_path / "model.h5")
    as_keras_2(tmp_path / "model.h5")
    images, loaded = images_for(model, 3), load_model(tmp_path / "model.h5")
    assert np.array_equal(outputs_of(loaded, images), outputs_of(model, images))


def lambda_model():
    """Return a model with code in it."""
    k = layers()
    return sequential(k.Lambda(lambda x: x * 2.0, output_shape=(6, 6, 2), name="code"), k.Flatten())


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_layer_is_refused_before_keras_sees_it(tmp_path, suffix, monkeypatch):
    import keras

    path = tmp_path / f"model{suffix}"
    lambda_model().save(path)
    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: pytest.fail("the file reached Keras"))
    with pytest.raises(ModelError, match=r"layer 'code' \(Lambda\) holds code .*never run"):
        load_model(path)


def edited(path, change):
    """Save a small model whose configuration was changed by hand."""
    sequential(layers().Dense(2, name="dense")).save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    (layer,) = (part for part in config["config"]["layers"] if part["class_name"] == "Dense")
    change(config, layer)
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


FUNCTION = {"class_name": "function", "config": "get_file", "module": "keras.utils", "registered_name": "function"}


@pytest.mark.parametrize(
    "change",
    [
        lambda config, layer: layer.update(module="os", class_name="system"),
        lambda config, layer: layer.update(module="my_project.layers"),
        lambda config, layer: layer.update(module="keras_evil"),
        lambda config, layer: layer.update(module="keras.utils"),
        lambda config, layer: layer.update(registered_name="mine>Dense"),
        lambda config, layer: layer.update(class_name="TFSMLayer"),
        lambda config, layer: layer["config"].update(activation=FUNCTION),
        lambda config, layer: layer["config"].update(activation={"class_name": "__lambda__", "config": {}}),
        lambda config, layer: layer["config"].update(bias_initializer={"module": "subprocess", "class_name": "Popen"}),
        lambda config, layer: config.update(class_name="MyModel"),
        lambda config, layer: config.update(module="my_project", registered_name="Model"),
    ],
)
def test_foreign_objects_are_refused_before_keras_sees_them(tmp_path, change, monkeypatch):
    import keras

    edited(tmp_path / "model.keras", change)
    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: pytest.fail("the file reached Keras"))
    with pytest.raises(ModelError, match=r"model.keras: .*(never run|code of its own)"):
        load_model(tmp_path / "model.keras")


def test_an_unsupported_layer_in_a_file_is_named(tmp_path):
    sequential(layers().LayerNormalization(name="up")).save(tmp_path / "model.keras")
    with pytest.raises(ModelError, match=r"model.keras: layer 'up' \(LayerNormalization\): it divides by a statistic"):
        load_model(tmp_path / "model.keras")


def test_a_saved_model_folder_is_explained(tmp_path):
    with pytest.raises(ModelError, match=r"SavedModel.*save it again with model.save\('model.keras'\), or .* tf2onnx"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model"])
def test_a_missing_file(tmp_path, name):
    with pytest.raises(ModelError, match=f"{name}: there is no such file"):
        load_model(tmp_path / name)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize("content", [b"", b"nothing of the kind"])
def test_a_damaged_file(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name}: the file is damaged"):
        load_model(tmp_path / name)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize("part", [0.5, 0.95])
def test_a_truncated_file(tmp_path, name, part):
    path = tmp_path / name
    HAND_PICKED["mlp"]().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ModelError, match=f"{name}: (the file is damaged|Keras cannot read it)"):
        load_model(path)


def test_a_file_of_another_name(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"model.onnx: its name ends in '.onnx'"):
        load_model(tmp_path / "model.onnx")


def test_a_file_with_weights_only(tmp_path):
    HAND_PICKED["mlp"]().save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ModelError, match="it holds weights only, no architecture"):
        load_model(tmp_path / "model.weights.h5")


def test_loading_says_nothing(tmp_path):
    model = HAND_PICKED["mlp"]()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.save(tmp_path / "model.h5")
    script = (
        "import sys; from brian_snn.frontends.keras.files import load_model\n"
        "from brian_snn.frontends.keras.reader import read_model\n"
        "print(len(read_model(load_model(sys.argv[1])).nodes))"
    )
    command = [sys.executable, "-c", script, tmp_path / "model.h5"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("8\n", "")


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_the_sums_of_inception_resnet_are_read_from_files(suffix, tmp_path):
    import keras
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

    from brian_snn import convert
    from brian_snn.network.forward import forward

    image = keras.Input((4,))
    x = keras.layers.Dense(4)(image)
    scaled = CustomScaleLayer(scale=0.25)([x, keras.layers.Dense(4)(x)])
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.ReLU()(scaled)))
    model.save(tmp_path / f"model.{suffix}")
    images = np.random.default_rng(0).uniform(size=(3, 4))
    network = convert(tmp_path / f"model.{suffix}", images)
    found = forward(network, images)[network.output.name]
    np.testing.assert_allclose(found, outputs_of(model, images), atol=1e-5)

"""Model files from strangers: nothing in them is run, reads another file, or takes what the file has not."""

import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tests.hostile as hostile
from brian_snn.errors import ModelError
from brian_snn.frontends.keras.applications import load_inception
from brian_snn.frontends.keras.files import load_model
from tests.models import HAND_PICKED, layers, sequential

SUFFIXES = [".keras", ".h5"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return a folder with a good model in both formats."""
    folder = tmp_path_factory.mktemp("models")
    for suffix in SUFFIXES:
        HAND_PICKED["mlp"]().save(folder / f"model{suffix}")
    return folder


@pytest.fixture
def model(saved, tmp_path, monkeypatch):
    """Return a function that copies the model; Keras may not be given it."""
    import keras

    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: pytest.fail("the file reached Keras"))

    def copy(suffix):
        return Path(shutil.copy(saved / f"model{suffix}", tmp_path))

    return copy


def refused(path, match):
    with pytest.raises(ModelError, match=match) as raised:
        load_model(path)
    assert f"model {path}" in str(raised.value)


# --- the zip file ---------------------------------------------------------------------------------------------------


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        """Keep the path."""
        self.path = path

    def __reduce__(self):
        """Return the call that unpickling makes."""
        return os.mkdir, (str(self.path),)


def test_pickled_weights_are_never_opened(model, tmp_path):
    path = model(".keras")
    parts = hostile.read_parts(path)
    del parts[hostile.WEIGHTS]
    evil = io.BytesIO()
    np.savez(evil, x=np.array([Touch(tmp_path / "ran")], dtype=object))
    hostile.write_parts(path, parts | {"model.weights.npz": evil.getvalue()})
    refused(path, "'model.weights.npz'; config.json, metadata.json, model.weights.h5 are all")
    assert not (tmp_path / "ran").exists()
    # Whoever unpickles it runs it.
    np.load(io.BytesIO(evil.getvalue()), allow_pickle=True)["x"]
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name", ["../out", "/tmp/out", "assets/layer/words.txt", "model.weights.json", "config.json/x"]
)
def test_no_other_member_is_let_through(model, name):
    path = model(".keras")
    hostile.write_parts(path, hostile.read_parts(path) | {name: b"x"})
    refused(path, "are all that it may hold")


@pytest.mark.parametrize("name", [hostile.CONFIG, hostile.METADATA, hostile.WEIGHTS])
def test_a_member_that_is_there_twice_or_not_is_refused(model, name):
    path = model(".keras")
    parts = hostile.read_parts(path)
    with pytest.warns(UserWarning, match="Duplicate name"):
        hostile.write_parts(path, [*parts.items(), (name, parts[name])])
    refused(path, f"holds '{name}' twice")
    hostile.write_parts(path, {other: content for other, content in parts.items() if other != name})
    refused(path, "damaged or no .keras file")


def test_an_encrypted_or_oddly_packed_member_is_refused(model):
    path = model(".keras")
    parts = hostile.read_parts(path)
    hostile.write_parts(path, parts, zipfile.ZIP_BZIP2)
    refused(path, "encrypted, or packed")
    hostile.write_parts(path, parts)
    content = bytearray(path.read_bytes())
    # The first bit of the flags in the central directory says that a member is encrypted.
    content[content.rindex(b"PK\x01\x02", 0, content.rindex(b"PK\x01\x02")) + 8] |= 1
    path.write_bytes(content)
    refused(path, "encrypted, or packed")


# --- the weights ----------------------------------------------------------------------------------------------------


def external(file):
    """Keep the first array in a file of the user's."""
    group, name = hostile.first_array(file)
    shape, dtype = group[name].shape, group[name].dtype
    del group[name]
    secret = Path(file.filename).with_name("secret")
    secret.write_bytes(bytes(4096))
    group.create_dataset(name, shape, dtype, external=[(str(secret), 0, 4096)])


def virtual(file):
    """Take the first array from another HDF5 file."""
    import h5py

    group, name = hostile.first_array(file)
    shape = group[name].shape
    del group[name]
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource("other.h5", "x", shape)
    group.create_virtual_dataset(name, layout)


def linked(link):
    """Return a change that puts a link in the place of the first array."""

    def change(file):
        group, name = hostile.first_array(file)
        del group[name]
        group[name] = link

    return change


def within_itself(file):
    """Let a group hold itself."""
    group, _ = hostile.first_array(file)
    group["again"] = group


def deep(file):
    """Nest groups."""
    for _ in range(200):
        file = file.create_group("g")


def filled(file):
    """Add an array of 4 TB of which nothing is stored."""
    file.create_dataset("more", (2**20, 2**20), "f4", chunks=(1024, 1024), compression="gzip")


def records(file):
    """Add an array of a type that is no number."""
    file["more"] = np.zeros(3, [("a", "i4"), ("b", "f8")])


def reference(file):
    """Add an attribute that refers to an object."""
    file.attrs["more"] = file["/"].ref


def external_link():
    import h5py

    return h5py.ExternalLink("other.h5", "/x")


def soft_link():
    import h5py

    return h5py.SoftLink("/elsewhere")


CHANGES = {
    "external storage": (external, "in another file, which is never read"),
    "virtual": (virtual, "in another file, which is never read"),
    "external link": (lambda file: linked(external_link())(file), "is a link to elsewhere"),
    "soft link": (lambda file: linked(soft_link())(file), "is a link to elsewhere"),
    "within itself": (within_itself, "under two names"),
    "deep": (deep, "deep in one another"),
    "filled": (filled, "would become 4,096.0 GiB"),
    "records": (records, "is of type"),
    "reference": (reference, "is of type"),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("case", CHANGES)
def test_weights_stand_for_themselves(model, tmp_path, suffix, case):
    change, match = CHANGES[case]
    path = model(suffix)
    hostile.change_weights(path, change, tmp_path)
    refused(path, match)


@pytest.mark.parametrize("case", CHANGES)
def test_weights_without_a_model_stand_for_themselves(model, tmp_path, monkeypatch, case):
    import keras

    change, match = CHANGES[case]
    hostile.change_weights(model(".h5"), change, tmp_path)
    monkeypatch.setattr(keras.applications, "InceptionV3", lambda **_: HAND_PICKED["mlp"]())
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_: pytest.fail("the file reached Keras"))
    with pytest.raises(ModelError, match=f"weights .*{match}"):
        load_inception(str(tmp_path / "model.h5"))


def test_weights_are_not_read_from_a_zip_file(model, tmp_path, monkeypatch):
    import keras

    monkeypatch.setattr(keras.applications, "InceptionV3", lambda **_: HAND_PICKED["mlp"]())
    with pytest.raises(ModelError, match="cannot load them"):
        load_inception(str(model(".keras")))


@pytest.mark.parametrize(
    "suffix, dtype",
    # What Keras writes to HDF5 of the first it does not read back.
    [(".keras", "bfloat16"), *((suffix, dtype) for suffix in SUFFIXES for dtype in ("float16", "float64"))],
)
def test_weights_of_every_precision_come_back(tmp_path, suffix, dtype):
    given = sequential(layers().Dense(3, dtype=dtype), shape=(4,))
    given.save(tmp_path / f"model{suffix}")
    for loaded, weights in zip(load_model(tmp_path / f"model{suffix}").weights, given.weights, strict=True):
        assert np.array_equal(np.asarray(loaded, "f8"), np.asarray(weights, "f8"))


# --- the configuration ----------------------------------------------------------------------------------------------


def first_dense(config):
    return next(part for part in config["config"]["layers"] if part["class_name"] == "Dense")


def in_the_initializer(module, class_name, **config):
    """Return a change that puts an object where the initializer of a layer should be."""

    def change(whole):
        first_dense(whole)["config"]["kernel_initializer"] = {
            "module": module,
            "class_name": class_name,
            "config": config,
            "registered_name": None,
        }

    return change


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "change",
    [
        in_the_initializer("keras.layers", "StringLookup", vocabulary="/etc/hostname"),
        in_the_initializer("keras.layers", "TextVectorization", vocabulary="/etc/hostname"),
        in_the_initializer("keras.src.layers.preprocessing.string_lookup", "StringLookup", vocabulary="/etc/hostname"),
        in_the_initializer("keras.layers", "Lambda", function={"class_name": "__lambda__", "config": {"value": "x"}}),
        in_the_initializer("keras.models", "load_model"),
        in_the_initializer("keras", "Variable", initializer="zeros"),
        in_the_initializer("keras.src.saving.saving_lib", "load_model"),
        in_the_initializer("keras.layers/../../evil", "Dense"),
        in_the_initializer("keras.", "Dense"),
        in_the_initializer("keras.src", "os"),
        in_the_initializer("os", "system"),
        in_the_initializer("builtins", "exec"),
        in_the_initializer("", "__typespec__"),
        lambda whole: first_dense(whole).update(build_config={"class_name": "function", "config": "exec"}),
    ],
)
def test_nothing_else_is_rebuilt_wherever_it_stands(model, suffix, change):
    path = model(suffix)
    hostile.change_config(path, change)
    refused(path, "layer '.*' .*(never run|cannot be converted)")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("entry", ["Dense", None, 1, [], {}, {"class_name": ["Dense"]}, {"class_name": "Dense"}])
def test_a_layer_that_is_none_is_refused(model, suffix, entry):
    path = model(suffix)
    hostile.change_config(path, lambda whole: whole["config"]["layers"].append(entry))
    refused(path, "its configuration is damaged")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("layers", ["Dense", None, 1, {"a": 1}])
def test_layers_that_are_none_are_refused(model, suffix, layers):
    path = model(suffix)
    hostile.change_config(path, lambda whole: whole["config"].update(layers=layers))
    refused(path, "its configuration is damaged")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("config", [None, [], "x", 1, {"class_name": "Sequential", "config": []}])
def test_a_configuration_that_is_none_is_refused(model, suffix, config):
    path = model(suffix)
    hostile.change_config(path, lambda _: [] if config is None else config)
    refused(path, "its configuration is damaged")


def nested(depth):
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_half_a_character_in_a_name_is_refused(model, suffix):
    path = model(suffix)
    hostile.change_config(path, lambda whole: first_dense(whole)["config"].update(name="a\udcffb"))
    refused(path, "surrogates not allowed")


@pytest.mark.parametrize("depth", [300, 100_000])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_configuration_that_is_too_deep_is_refused(model, suffix, depth):
    import h5py

    path = model(suffix)
    if suffix == ".keras":
        hostile.write_parts(path, hostile.read_parts(path) | {hostile.CONFIG: nested(depth)})
    else:
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = nested(depth).decode()
    refused(path, "deep in one another")


@pytest.mark.parametrize("name", [hostile.CONFIG, hostile.METADATA])
def test_a_configuration_of_blanks_is_refused(model, name):
    path = model(".keras")
    parts = hostile.read_parts(path)
    blanks = parts | {name: b" " * 2**27 + parts[name]}
    hostile.write_parts(path, blanks, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    refused(path, "64.0 MiB are read")


@pytest.mark.parametrize("value", [7, 1.5, [1, 2], np.zeros((3, 3)), b"", "x"])
def test_a_configuration_of_another_type_is_refused(model, value):
    import h5py

    path = model(".h5")
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = value
    refused(path, "damaged or no HDF5 file")


@pytest.mark.parametrize("metadata", [[], None, 1, {}, "x"])
def test_metadata_of_another_type_are_refused(model, metadata):
    path = model(".keras")
    hostile.write_parts(path, hostile.read_parts(path) | {hostile.METADATA: json.dumps(metadata).encode()})
    refused(path, "damaged or no .keras file")


# --- sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("units", [10, 2**20, 2**40])
def test_no_layer_is_larger_than_the_weights_of_its_file(saved, tmp_path, suffix, units):
    path = Path(shutil.copy(saved / f"model{suffix}", tmp_path))
    hostile.change_config(path, lambda whole: first_dense(whole)["config"].update(units=units))
    refused(path, r"layer '\w+' \(Dense\) has weights of shape .*more than the file holds|Keras cannot read it")

"""Files that Keras 2 wrote, and older layouts of them, against what Keras 2 computed.

`tests/data/keras2/make_models.py` made both with tf_keras.
"""

import json
import shutil
import zipfile

import numpy as np
import pytest

from brian_snn.conversion.fold import fold
from brian_snn.errors import ModelError
from brian_snn.frontends.keras.files import load_model
from brian_snn.frontends.keras.reader import read_model
from brian_snn.frontends.table import load_model as load_any_model
from tests.keras2 import FILES, FOLDER, assert_computes_the_same, edited
from tests.models import HAND_PICKED

#: With half precision Keras 2 itself is 2^-11 off at every step; the network is not.
TOLERANCES = {"mixed": 1e-2}


@pytest.mark.parametrize("file", FILES)
def test_a_model_computes_what_keras_2_computed(file):
    name = file.split(".")[0]
    assert_computes_the_same(FOLDER / file, name, TOLERANCES.get(name, 1e-5))


# --- older layouts --------------------------------------------------------------------------------------------------


def without_input_layers(part):
    """Let the first layer of a Sequential carry the shape of its input, as before TensorFlow 2.2."""
    if part.get("class_name") != "Sequential":
        return part
    first, *others = part["config"]["layers"]
    if first["class_name"] != "InputLayer":
        return part
    if others[0]["class_name"] not in ("Sequential", "Model", "Functional"):
        others[0]["config"]["batch_input_shape"] = first["config"]["batch_input_shape"]
    return part | {"config": part["config"] | {"layers": others}}


def as_a_list(part):
    """Let the configuration of a Sequential be the list of its layers, as before Keras 2.2.3."""
    return part | {"config": part["config"]["layers"]} if part.get("class_name") == "Sequential" else part


def with_old_names(part):
    """Call functional models Model, and give initializers a precision, as TensorFlow 1.13 to 2.0 did."""
    part = {key: value for key, value in part.items() if key not in ("module", "registered_name", "build_config")}
    if part.get("class_name") == "Functional":
        part["class_name"] = "Model"
    for key, value in part.items():
        if key.endswith("_initializer"):
            value["config"]["dtype"] = "float32"
        if key in ("negative_slope", "threshold") and value is not None:
            part[key] = {"type": "ndarray", "value": value}
    return part


OLDER = [
    "plain",
    "augmented",
    "teachable",
    "frozen",
    "along_one_axis",
    "mixed",
    "channels_first",
    "twice",
    "graph",
]


@pytest.mark.parametrize("name", OLDER)
@pytest.mark.parametrize(
    "changes",
    [(without_input_layers,), (as_a_list,), (with_old_names,), (with_old_names, without_input_layers, as_a_list)],
    ids=["no input layers", "lists", "old names", "all"],
)
def test_older_layouts_are_read(tmp_path, name, changes):
    path = edited(f"{name}.h5", tmp_path, *changes)
    assert_computes_the_same(path, name, TOLERANCES.get(name, 1e-5))


def test_the_shape_with_which_a_model_was_built_is_that_of_its_images(tmp_path):
    def built_later(part):
        """Let a model note with which shape it was built, and no layer."""
        if part.get("class_name") != "Sequential":
            return part
        first, *others = part["config"]["layers"]
        return part | {"config": {"layers": others, "build_input_shape": first["config"]["batch_input_shape"]}}

    assert_computes_the_same(edited("built_later.h5", tmp_path, built_later), "built_later")


def test_names_of_the_file_stay_where_others_become_the_same(tmp_path):
    """A layer `a/b` is built before a layer `a_b`, whose name stays."""
    import h5py

    path = edited("slashes.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        text = file.attrs["model_config"]
        file.attrs["model_config"] = text.replace("relu/2", "block_conv").replace("top/flatten", "block_conv_2")
    assert_computes_the_same(path, "slashes")
    names = [layer.name for layer in load_model(path).layers]
    assert names == [
        "in_put",
        "block_conv_1",
        "block_conv_2_1",
        "block_conv_2_2",
        "block_sum",
        "block_conv",
        "block_conv_2",
        "top_dense",
    ]


def without_data_format(part):
    """Leave out the order of axes of a Flatten, which it had none of before Keras 2.2."""
    if part.get("class_name") == "Flatten":
        del part["config"]["data_format"]
    return part


def with_rows_as_they_are(file):
    """Order the rows of the kernel after a Flatten by channels first, as it left them before Keras 2.2."""
    name = next(name for name in file["model_weights"] if name.startswith("dense"))
    kernel = file[f"model_weights/{name}/{name}/kernel:0"]
    # (rows, columns, channels, units), rows and columns of the last convolution's output.
    kernel[...] = kernel[()].reshape(3, 2, 5, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)


def with_theano(file):
    """Turn kernels around, as Theano's convolution does."""
    for place in (file, file["model_weights"]):
        place.attrs["backend"] = np.bytes_("theano")
    for name, group in file["model_weights"].items():
        if name.startswith("conv"):
            kernel = group[f"{name}/kernel:0"]
            kernel[...] = kernel[()][::-1, ::-1]


@pytest.mark.parametrize(
    "edits",
    [(with_rows_as_they_are,), (with_rows_as_they_are, with_theano)],
    ids=["TensorFlow", "Theano"],
)
@pytest.mark.parametrize("changes", [(), (with_old_names, without_input_layers, as_a_list)], ids=["new", "old"])
def test_channels_first_of_before_keras_2_2_are_read(tmp_path, changes, edits):
    import h5py

    path = edited("channels_first.h5", tmp_path, without_data_format, *changes)
    with h5py.File(path, "r+") as file:
        for edit in edits:
            edit(file)
        file.attrs["keras_version"] = np.bytes_("2.0.8")
    assert_computes_the_same(path, "channels_first")


def test_keras_1_is_told_to_be_what_it_is(tmp_path):
    import h5py

    path = edited("plain.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = np.bytes_("1.2.2")
    with pytest.raises(ModelError, match="Keras 1.2.2 wrote it, .* load it with Keras 2"):
        load_model(path)


def test_long_lists_of_names_are_put_together(tmp_path):
    import h5py

    path = edited("teachable.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        for group in file["model_weights"].values():
            names = group.attrs.pop("weight_names") if "weight_names" in group.attrs else []
            for i, part in enumerate(np.array_split(np.asarray(names, "S"), 3) if len(names) else []):
                group.attrs[f"weight_names{i}"] = part
    assert_computes_the_same(path, "teachable")


def test_the_separators_of_windows_are_read(tmp_path):
    import h5py

    with zipfile.ZipFile(FOLDER / "plain.keras") as source, zipfile.ZipFile(tmp_path / "plain.keras", "w") as target:
        (tmp_path / "weights.h5").write_bytes(source.read("model.weights.h5"))
        with h5py.File(tmp_path / "weights.h5") as old, h5py.File(tmp_path / "new.h5", "w") as new:
            for name, group in old["layers"].items():
                for i, values in group.get("vars", {}).items():
                    new[f"_layer_checkpoint_dependencies\\{name}/vars/{i}"] = values[()]
        for name in ("config.json", "metadata.json"):
            target.writestr(name, source.read(name))
        target.write(tmp_path / "new.h5", "model.weights.h5")
    assert_computes_the_same(tmp_path / "plain.keras", "plain")


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["plain.h5", "plain.keras"])
@pytest.mark.parametrize("change", [str.upper, lambda name: name.replace("h5", "HDF5"), lambda name: f"{name}.H5"])
def test_what_a_file_is_called_does_not_matter(tmp_path, file, change):
    path = shutil.copy(FOLDER / file, tmp_path / change(file))
    assert_computes_the_same(path, "plain")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("called", ["MODEL.KERAS", "model.H5", "model.HDF5", "model.keras"])
def test_what_a_file_of_keras_3_is_called_does_not_matter(tmp_path, suffix, called):
    model = HAND_PICKED["mlp"]()
    model.save(tmp_path / f"saved{suffix}")
    loaded = load_any_model(shutil.move(tmp_path / f"saved{suffix}", tmp_path / called))
    assert all(np.array_equal(*pair) for pair in zip(loaded.get_weights(), model.get_weights(), strict=True))


def test_names_of_layers_keep_all_but_their_slashes():
    network = fold(read_model(load_model(FOLDER / "slashes.h5")))
    assert [population.name for population in network.populations] == ["block_conv", "block_sum", "top_dense"]


@pytest.mark.parametrize(
    "change, match",
    [
        (lambda config: config["layers"][3]["inbound_nodes"].clear(), "layers? .*"),
        (lambda config: config["layers"][1]["inbound_nodes"][0][0].__setitem__(0, "block/sum"), "wait for one another"),
        (lambda config: config["layers"][1]["inbound_nodes"][0][0].__setitem__(0, "nowhere"), "nowhere"),
        (lambda config: config["layers"][1]["inbound_nodes"][0][0][3].update(training=True), "'block/conv'.*training"),
        (lambda config: config["layers"][1]["config"].update(spin=3), "'block/conv' .*spin=3"),
        (lambda config: config["layers"][1]["config"].update(activation="mine"), "'block/conv' .*'mine' is a function"),
    ],
)
def test_a_graph_that_is_none_is_named(tmp_path, change, match):
    import h5py

    path = edited("slashes.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config["config"])
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ModelError, match=f"model .*slashes.h5: .*{match}"):
        load_model(path)

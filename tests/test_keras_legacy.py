"""Files that Keras 2 wrote, against what Keras 2 computed; `tests/data/make_keras2_models.py` made both."""

from pathlib import Path

import numpy as np
import pytest

from brian_snn.conversion.fold import fold
from brian_snn.errors import ModelError
from brian_snn.frontends.keras.files import load_model
from brian_snn.frontends.keras.legacy import is_legacy, readable_weights
from brian_snn.frontends.keras.reader import read_model
from brian_snn.network.forward import forward

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def outputs():
    with np.load(DATA / "keras2_outputs.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize("name", ["sequential", "functional"])
def test_a_keras_2_model_computes_what_keras_2_computed(outputs, name, suffix):
    network = fold(read_model(load_model(DATA / f"keras2_{name}.{suffix}")))
    images = outputs["images"] / (1 if name == "sequential" else 255)
    logits = forward(network, images)[network.output.name]
    if name == "sequential":
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        logits = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(logits, outputs[name], rtol=1e-5, atol=1e-5 * np.abs(outputs[name]).max())


@pytest.mark.parametrize(("version", "legacy"), [("2.15.0", True), ("1.2", True), ("", True), ("3.15.1", False)])
def test_versions_before_three_are_legacy(version, legacy):
    assert is_legacy(version) is legacy


# --- Theano ---------------------------------------------------------------------------------------------------------


def written_with(backend, path, folder, places=("/", "model_weights"), turn=True):
    """Return a copy of an HDF5 file as Keras 2 wrote it with another backend: Theano stored kernels turned around."""
    import h5py

    copy = folder / f"copy_{path.name}"
    copy.write_bytes(path.read_bytes())
    with h5py.File(copy, "r+") as file:
        for place in places:
            file[place].attrs["backend"] = backend
        for name in every_array(file) if turn else ():
            # What Keras 2 turned around on loading: the kernels of Conv1D and Conv2D, not the depthwise ones.
            if name.endswith("/kernel:0") and file[name].ndim == 3:
                file[name][...] = file[name][()][::-1]
            elif name.endswith("/kernel:0") and file[name].ndim == 4:
                file[name][...] = file[name][()][::-1, ::-1]
    return copy


def every_array(file):
    """Return the names of the arrays in an open HDF5 file."""
    names = []
    file.visit(names.append)
    return [name for name in names if hasattr(file[name], "shape")]


def assert_same_weights(one, other):
    """Compare the weights of two files of models."""
    weights = load_model(one).get_weights(), load_model(other).get_weights()
    assert len(weights[0]) > 2
    assert all(np.array_equal(first, second) for first, second in zip(*weights, strict=True))


@pytest.mark.parametrize("places", [("/", "model_weights"), ("/",), ("model_weights",)], ids=str)
@pytest.mark.parametrize("name", ["sequential", "functional"])
@pytest.mark.parametrize("backend", ["theano", np.bytes_("theano")], ids=["text", "bytes"])
def test_kernels_of_theano_are_turned_around(tmp_path, name, backend, places):
    path = DATA / f"keras2_{name}.h5"
    before = written_with(backend, path, tmp_path, places).read_bytes()
    copy = written_with(backend, path, tmp_path, places)
    assert_same_weights(copy, path)
    assert copy.read_bytes() == before


def test_kernels_of_theano_along_one_axis_are_turned_around(tmp_path):
    path = DATA / "keras2" / "along_one_axis.h5"
    assert_same_weights(written_with("theano", path, tmp_path), path)


@pytest.mark.parametrize("backend", ["tensorflow", "cntk", "jax", "torch", np.bytes_("cntk")], ids=str)
def test_kernels_of_other_backends_stay(tmp_path, backend):
    path = DATA / "keras2_functional.h5"
    assert_same_weights(written_with(backend, path, tmp_path, turn=False), path)


@pytest.mark.parametrize("backend", ["mxnet", "plaidml.keras.backend", np.bytes_("Theano2"), 7])
@pytest.mark.parametrize("places", [("/",), ("model_weights",)], ids=str)
def test_an_unknown_backend_is_named(tmp_path, backend, places):
    copy = written_with(backend, DATA / "keras2_functional.h5", tmp_path, places, turn=False)
    with pytest.raises(
        ModelError, match=r"copy_keras2_functional.h5: it was written with the backend .* save it again"
    ):
        load_model(copy)


def weights_of(path, target):
    """Write the weights of a model alone."""
    import h5py

    with h5py.File(path) as source, h5py.File(target, "w") as file:
        for name in source["model_weights"]:
            source.copy(f"model_weights/{name}", file)
        file.attrs.update(source["model_weights"].attrs)
    return target


def test_an_array_that_may_be_a_kernel_of_theano_is_named(tmp_path):
    import h5py

    weights = weights_of(DATA / "keras2_functional.h5", tmp_path / "weights.h5")
    copy = written_with("theano", weights, tmp_path, ("/",))
    with h5py.File(copy, "r+") as file:
        file["conv2d_1/conv2d_1"].move("kernel:0", "param_0")
    (tmp_path / "readable").mkdir()
    with pytest.raises(ModelError, match=r"array .*conv2d_1/param_0' of shape \(3, 3, 3, 6\).* cannot be told"):
        readable_weights(copy, tmp_path / "readable")


@pytest.mark.parametrize("theano", [True, False])
def test_a_file_of_weights_is_turned_around_too(tmp_path, theano):
    model = load_model(DATA / "keras2_functional.h5")
    path = weights_of(DATA / "keras2_functional.h5", tmp_path / "weights.h5")
    copy = written_with("theano" if theano else "cntk", path, tmp_path, ("/",), turn=theano)
    (tmp_path / "readable").mkdir()
    expected = [np.array(weight) for weight in model.get_weights()]
    model.set_weights([np.zeros_like(weight) for weight in expected])
    model.load_weights(readable_weights(copy, tmp_path / "readable"))
    assert all(np.array_equal(*pair) for pair in zip(model.get_weights(), expected, strict=True))


def test_a_version_in_bytes_is_read(tmp_path):
    import h5py

    copy = written_with("tensorflow", DATA / "keras2_sequential.h5", tmp_path, turn=False)
    with h5py.File(copy, "r+") as file:
        file.attrs["keras_version"] = np.bytes_("2.1.6")
    assert_same_weights(copy, DATA / "keras2_sequential.h5")

"""What Keras is set to on a machine: another backend is refused in words, other types and formats change nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from brian_snn.conversion.convert import convert
from brian_snn.conversion.fold import fold
from brian_snn.errors import SettingError
from brian_snn.frontends.keras.files import import_keras, load_model
from brian_snn.frontends.keras.reader import read_model
from tests.conversion_cases import CASES
from tests.models import HAND_PICKED, images_for

DATA = Path(__file__).parent / "data"
CONVERT = ["-m", "brian_snn", "convert", str(DATA / "keras2_sequential.h5"), "--data", "x.npy", "-o", "net.npz"]


def converted(folder, settings="", **environment):
    """Run ``brian-snn convert`` where keras.json holds these settings."""
    (folder / "keras.json").write_text(settings)
    np.save(folder / "x.npy", np.random.default_rng(0).uniform(0, 255, (2, 12, 12, 3)))
    kept = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    env = kept | {"KERAS_HOME": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)} | environment
    return subprocess.run([sys.executable, *CONVERT], cwd=folder, env=env, capture_output=True, text=True)


@pytest.mark.parametrize("backend", ["torch", "jax", "numpy", "openvino", "theano"])
def test_another_backend_is_refused_in_one_line(tmp_path, backend):
    done = converted(tmp_path, KERAS_BACKEND=backend)
    assert done.returncode == 2
    assert f"backend {backend!r}" in done.stderr and "Set KERAS_BACKEND=tensorflow" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not (tmp_path / "net.npz").exists()


@pytest.mark.parametrize(
    "settings",
    [{"backend": "openvino"}, {"backend": "none"}, {"backend": "numpy"}, {"floatx": "bfloat16"}, [], {"epsilon": 0}],
    ids=str,
)
def test_settings_with_which_keras_cannot_compute_are_refused_in_one_line(tmp_path, settings):
    done = converted(tmp_path, json.dumps(settings))
    assert done.returncode == 2
    assert "keras.json" in done.stderr and "KERAS_BACKEND=tensorflow" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not (tmp_path / "net.npz").exists()


def test_the_environment_has_the_last_word(tmp_path):
    done = converted(tmp_path, json.dumps({"backend": "none"}), KERAS_BACKEND="tensorflow")
    assert (done.returncode, (tmp_path / "net.npz").exists()) == (0, True)


@pytest.fixture(params=["float16", "float32", "float64"])
def floatx(request):
    """Set the default type of Keras."""
    config, before = import_keras().config, import_keras().config.floatx()
    config.set_floatx(request.param)
    yield request.param
    config.set_floatx(before)


@pytest.fixture
def channels_first():
    """Set the default order of axes in Keras."""
    config = import_keras().config
    config.set_image_data_format("channels_first")
    yield
    config.set_image_data_format("channels_last")


def without_types_and_formats(path, folder):
    """Return a copy of an HDF5 file that leaves type and order of axes open, as Keras 1 did."""
    import h5py

    def stripped(part):
        if isinstance(part, list):
            return [stripped(item) for item in part]
        if not isinstance(part, dict):
            return part
        return {key: stripped(value) for key, value in part.items() if key not in ("dtype", "data_format")}

    copy = folder / "open.h5"
    copy.write_bytes(path.read_bytes())
    with h5py.File(copy, "r+") as file:
        file.attrs["model_config"] = json.dumps(stripped(json.loads(file.attrs["model_config"])))
    return copy


def assert_same_maps(networks):
    """Compare the weights and biases of two networks."""
    first, second = networks
    for one, other in zip(first.projections, second.projections, strict=True):
        assert np.array_equal(one.weights, other.weights) if one.weights is not None else other.weights is None
    for one, other in zip(first.populations, second.populations, strict=True):
        assert np.array_equal(one.bias, other.bias)


@pytest.mark.parametrize("name", ["sequential", "functional"])
def test_a_file_that_leaves_types_open_is_read_exactly(tmp_path, floatx, channels_first, name):
    path = DATA / f"keras2_{name}.h5"
    models = (load_model(file) for file in (path, without_types_and_formats(path, tmp_path)))
    assert_same_maps([fold(read_model(model)) for model in models])
    assert import_keras().config.floatx() == floatx
    assert import_keras().config.image_data_format() == "channels_first"


@pytest.mark.parametrize("case", ["odd_pooling", "norm_after_relu", "inception_block"])
def test_defaults_of_keras_do_not_change_a_conversion(tmp_path, floatx, case):
    model = {**HAND_PICKED, **CASES}[case]()
    model.save(tmp_path / "model.keras")
    images = images_for(model, 5)
    first = convert(tmp_path / "model.keras", images)
    import_keras().config.set_image_data_format("channels_first")
    try:
        assert_same_maps([first, convert(tmp_path / "model.keras", images)])
    finally:
        import_keras().config.set_image_data_format("channels_last")


def test_a_backend_chosen_after_the_import_is_seen(monkeypatch):
    monkeypatch.setattr(import_keras().config, "backend", lambda: "torch")
    with pytest.raises(SettingError, match="Keras is set to the backend 'torch'"):
        import_keras()

"""Models of sizes that no machine simulates, files that are none, and what must be let through still."""

import os
import socket

import keras
import numpy as np
import pytest

from brian_snn.conversion.fold import fold
from brian_snn.errors import ModelError
from brian_snn.frontends.keras.files import load_model
from brian_snn.frontends.keras.reader import read_model
from brian_snn.frontends.onnx.reader import read_layers
from brian_snn.frontends.table import convertible
from tests.command_line import fails_cleanly
from tests.models import layers, outputs_of, sequential
from tests.onnx_models import Sketch

SUFFIXES = [".keras", ".h5"]


@pytest.mark.parametrize("kind", ["MaxPooling2D", "AveragePooling2D"])
def test_a_window_far_beyond_its_input_is_refused(kind):
    model = sequential(getattr(layers(), kind)(20_000, padding="same", name="pool"), layers().Flatten())
    with pytest.raises(ModelError, match=r"layer 'pool' .*20000.*more than twice its input"):
        read_model(model)


@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(("size", "pads"), [(20_000, 19_999), (20_000, 6_000), (9_000, 8_999)])
def test_padding_in_numbers_is_looked_at_too(op_type, size, pads):
    sketch = Sketch((1, 8_001, 8_001))
    sketch.node(op_type, "x", kernel_shape=[size, size], strides=[size, size], pads=[pads] * 4)
    with pytest.raises(ModelError, match=rf"\({op_type}\): (its window of .* twice|with shape .* numbers for)"):
        convertible(read_layers(sketch.model()))


@pytest.mark.parametrize(
    "build",
    [
        lambda k: sequential(k.ReLU(name="big"), shape=(20_000, 20_000, 1)),
        lambda k: sequential(k.ZeroPadding2D(10_000, name="big")),
        lambda k: sequential(k.DepthwiseConv2D(3, dilation_rate=10_000, padding="same", name="big")),
    ],
)
def test_a_tensor_that_no_machine_simulates_is_refused(build):
    with pytest.raises(ModelError, match="(layer 'big' .*|the image): with shape .* numbers for one image"):
        read_model(build(layers()))


def test_a_map_that_takes_an_image_hours_is_refused():
    model = sequential(layers().Conv2D(1, 3000, name="huge"), shape=(6000, 6000, 1))
    with pytest.raises(ModelError, match="layer 'huge' .* operations for one image"):
        read_model(model)


@pytest.mark.parametrize(
    "build",
    [
        lambda k: sequential(k.Conv2D(1, 600, name="linear"), k.Conv2D(1, 600, name="next"), shape=(1300, 1300, 1)),
        lambda k: sequential(
            k.DepthwiseConv2D(1, name="linear"), k.DepthwiseConv2D(1, name="next"), shape=(1, 1, 2**15)
        ),
        lambda k: sequential(
            k.Conv2D(1, 17, name="linear"), k.GlobalAveragePooling2D(name="next"), shape=(1024, 1024, 1)
        ),
    ],
    ids=["convolutions", "channels", "mean"],
)
def test_two_linear_maps_that_are_too_large_together_stay_two(build):
    network = fold(read_model(build(layers())))
    assert [population.name for population in network.populations[:2]] == ["linear", "linear_below"]


def test_a_window_twice_its_input_is_converted_still():
    for size, shape in ((8, (6, 6, 2)), (3, (1, 1, 4))):
        model = sequential(layers().MaxPooling2D(size, padding="same"), layers().Flatten(), shape=shape)
        assert len(read_model(model).nodes) == 3


@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "folder", "nothing"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_only_plain_files_are_opened(tmp_path, capsys, suffix, kind):
    path = tmp_path / f"model{suffix}"
    with socket.socket(socket.AF_UNIX) as unix:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "device":
            path.symlink_to("/dev/zero")
        elif kind == "socket":
            unix.bind(str(path))
        elif kind == "folder":
            path.mkdir()
        arguments = ["convert", path, "--data", path, "-o", tmp_path / "net.npz"]
        line = fails_cleanly(capsys, arguments, tmp_path / "net.npz")
    assert {"folder": "a folder", "nothing": "no such file"}.get(kind, "a device, a pipe or a socket") in line


def _functional(k):
    image = keras.Input((4,))
    return keras.Model(image, k.BatchNormalization()(k.Dense(3, activation="relu")(image)), name="inner")


def _sequential(k):
    return keras.Sequential([keras.Input((4,)), k.Dense(3, activation="relu")], name="inner")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("build", [_functional, _sequential])
def test_a_nested_model_that_was_compiled_comes_back(tmp_path, build, suffix):
    k, images = layers(), np.ones((2, 4))
    inner = build(k)
    inner.compile("adam", keras.losses.MeanSquaredError(), metrics=["accuracy", keras.metrics.MeanAbsoluteError()])
    inner.fit(images, np.ones((2, 3)), verbose=0)
    outer = keras.Sequential([keras.Input((4,)), inner, k.Dense(2)])
    outer.compile("sgd", "mse")
    outer.save(tmp_path / f"model{suffix}")
    loaded = load_model(tmp_path / f"model{suffix}")
    assert np.array_equal(outputs_of(loaded, images), outputs_of(outer, images))

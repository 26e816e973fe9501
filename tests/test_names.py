"""Layers may have any name that Keras allows: nothing is read out of it, and none is the name of something of ours."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers as k

from brian_snn import convert, load_network, load_result, simulate, verify
from brian_snn.errors import ModelError
from brian_snn.frontends.keras.reader import read_model
from brian_snn.network.file import read_network
from brian_snn.network.forward import forward
from brian_snn.network.records import INPUT, LayerPath
from tests.models import images_for, trained_like
from tests.test_storage import rewritten

PLAIN = ("first", "norm", "second", "last")
NAMES = {
    "an arrow": ("a > b", "b", "a", "a > b > c"),
    "the image": ("<input>", "input", "image", "None"),
    "nothing": ("", "norm", "x", "_1"),
    "numbers of uses": ("a:1", "a", "a:0", ":1"),
    "names that are made here": ("input_spikes", "input_spikes_", "input_spikes_sum", "layer_1"),
    "marks of programs": ("[red]", "$\\frac$", "{x}", "%s"),
    "paths": ("..", ".", "~", "C:\\nul"),
    "other letters": ("größe", "层", "\u202eabc", "é"),
    "one letter in two ways": ("\u00e9", "e\u0301", "E", "e"),
    "what cannot be seen": ("a b", "\t", "a\nb", "\x00"),
    "long ones": ("x" * 300, "x" * 299, "x" * 298, "x" * 297),
    "fields of results": ("spike_counts:0", "potentials", "structure", "bias_0"),
}


def model_of(names):
    """Return a model whose convolution and norm are two layers around a pooling, of these names."""
    first, norm, second, last = names
    stack = [
        k.Conv2D(3, 3, name=first),
        k.MaxPooling2D(2),
        k.BatchNormalization(name=norm),
        k.ReLU(),
        k.Conv2D(4, 2, activation="relu", name=second),
        k.Flatten(),
        k.Dense(3, name=last),
    ]
    return trained_like(keras.Sequential([keras.Input((8, 7, 2)), *stack]), 1)


@pytest.fixture(scope="module")
def plain():
    model = model_of(PLAIN)
    images = images_for(model, 3).astype(float)
    return images, simulate(convert(model, images), images, steps=20, backend="runtime", input_coding="poisson")


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_whatever_layers_are_called_they_convert_simulate_and_verify(plain, names, tmp_path):
    images, expected = plain
    network = convert(model_of(names), images)
    network.save(tmp_path / "net.npz")
    assert load_network(tmp_path / "net.npz").digest() == network.digest()
    simulate(
        network, images, steps=20, backend="runtime", input_coding="poisson", output=tmp_path / "run", shard_size=2
    )
    result = load_result(tmp_path / "run")
    assert len({p.name for p in result.network.populations}) == len(expected.network.populations)
    for ours, theirs in zip(result.network.populations, expected.network.populations, strict=True):
        assert np.array_equal(result.spike_counts[ours.name], expected.spike_counts[theirs.name])
    assert bool(verify(result)["holds"].all())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.npz", "run"]


def test_a_layer_that_is_used_twice_beside_one_that_is_called_like_its_second_use():
    image = keras.Input((6,))
    twice, other = k.Dense(6, activation="relu", name="a"), k.Dense(6, activation="relu", name="a:1")
    model = trained_like(keras.Model(image, k.Dense(3, name="out")(other(twice(twice(image))))), 2)
    images = images_for(model, 4).astype(float)
    network = convert(model, images)
    found, expected = forward(network, images)["out"], images
    for layer in (twice, twice, other):
        kernel, bias = layer.get_weights()
        expected = np.maximum(expected @ kernel + bias, 0)
    kernel, bias = model.get_layer("out").get_weights()
    np.testing.assert_allclose(found, expected @ kernel + bias, rtol=0, atol=1e-5 * np.abs(found).max())
    references = [population.reference for population in network.populations]
    assert len(set(references)) == 4 and references[:2] == [(LayerPath(("a",)),), (LayerPath(("a",), 1),)]
    with pytest.raises(ModelError, match=r"several layers 'a:1': 'a:1' \(Dense\), 'a:1' \(Dense\)"):
        convert(model, images, until="a:1")
    assert convert(model, images, until="a").output.reference == (LayerPath(("a",)),)


def test_calculations_in_a_model_that_is_used_twice_have_paths_of_their_own():
    inside = keras.Input((5,))
    inner = keras.Model(inside, k.ReLU(name="relu")(k.Dense(5, name="dense")(inside) * 0.5), name="inner")
    image = keras.Input((5,))
    model = trained_like(keras.Model(image, k.Dense(2)(inner(inner(image)))), 3)
    paths = [node.path for node in read_model(model).nodes if node.class_name == "Rescaling"]
    assert len(paths) == len(set(paths)) == 2
    images = images_for(model, 3).astype(float)
    assert len(convert(model, images).populations) == 3


def test_no_name_equals_the_image():
    assert all(INPUT != name for names in NAMES.values() for name in names)


def as_version_1(structure, arrays):
    """Write a network as the first version did."""
    structure["version"] = 1
    del structure["output_activation"], structure["calibration_range"]
    for projection in structure["projections"]:
        projection["source"] = projection["source"] or "<input>"
    for population in structure["populations"]:
        paths = [LayerPath(tuple(names), use) for names, use in population["reference"]]
        population["reference"] = " > ".join(map(str, paths))


def test_a_network_of_an_older_version_is_read(tmp_path):
    inner = keras.Sequential([keras.Input((4, 3, 3)), k.Conv2D(3, 1, name="conv", activation="relu")], name="inner")
    image = keras.Input((8, 7, 2))
    x = k.ReLU()(k.BatchNormalization(name="norm")(k.MaxPooling2D(2)(k.Conv2D(3, 1, name="c")(image))))
    model = trained_like(keras.Model(image, k.Dense(2)(k.Flatten()(inner(inner(x))))), 4)
    network = convert(model, images_for(model, 3).astype(float))
    network.save(tmp_path / "net.npz")
    rewritten(tmp_path / "net.npz", as_version_1)
    with np.load(tmp_path / "net.npz") as file:
        structure = json.loads(file["structure"].tobytes())
    texts = [population["reference"] for population in structure["populations"]]
    assert {"c > norm", "inner/conv:1"} <= set(texts)
    assert load_network(tmp_path / "net.npz").digest() == without_meaning(network).digest()


def without_meaning(network):
    """Return a network as the first version wrote it: without what its output means and what it was calibrated on."""
    return replace(network, output_activation="unknown", calibration_range=None)


def test_a_result_of_an_older_version_is_read_and_gone_on_with(plain, tmp_path):
    images, _ = plain
    options = {"steps": 20, "backend": "runtime", "output": tmp_path / "run"}
    network = convert(model_of(PLAIN), images)
    simulate(network, images, **options)
    rewritten(tmp_path / "run" / "network.npz", as_version_1)
    description = json.loads((tmp_path / "run" / "result.json").read_text())
    old = read_network(tmp_path / "run" / "network.npz")[1]
    assert old != network.digest()
    (tmp_path / "run" / "result.json").write_text(json.dumps(description | {"network_sha256": old}))
    for shard in (tmp_path / "run" / "shards").iterdir():
        shard.unlink()
    result = simulate(network, images, **options)
    assert result.network.digest() == without_meaning(network).digest()
    assert load_result(tmp_path / "run").network.digest() == without_meaning(network).digest()

"""Saved networks come back bit for bit; other files are refused with a sentence."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from brian_snn.conversion.fold import fold
from brian_snn.conversion.normalise import normalise, round_to_grid
from brian_snn.errors import DataError, OutputError
from brian_snn.frontends.keras.reader import read_model
from brian_snn.network.file import load_network
from tests.conversion_cases import CASES
from tests.models import HAND_PICKED, images_for

MODELS = {**HAND_PICKED, **CASES}


def converted(name, normalisation="layer"):
    """Return a converted network."""
    model = MODELS[name]()
    scaled = normalise(fold(read_model(model)), images_for(model, 4), 99.9, normalisation)
    return replace(round_to_grid(scaled, 2.0**-24), provenance={"model": "mödel", "hash": "0af"})


@pytest.fixture(scope="module")
def network():
    """Return a network with indices, a ceiling and scales by channel."""
    return converted("late_ceiling", "channel")


def same(a, b):
    """Whether two fields are equal, arrays element by element and of the same type."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and a == b


@pytest.mark.parametrize(
    "name, normalisation",
    [("late_ceiling", "channel"), ("inception_block", "layer"), ("grouped_concatenation", "layer"), ("mlp", "channel")],
)
def test_every_field_comes_back(tmp_path, name, normalisation):
    network = converted(name, normalisation)
    network.save(tmp_path / "net.npz")
    loaded = load_network(tmp_path / "net.npz")
    pairs = [
        (network, loaded),
        *zip(network.populations, loaded.populations, strict=True),
        *zip(network.projections, loaded.projections, strict=True),
    ]
    for before, after in pairs:
        plain = [f.name for f in fields(before) if f.name not in ("populations", "projections")]
        assert all(same(getattr(before, field), getattr(after, field)) for field in plain)


def test_the_file_is_the_only_one_left(tmp_path, network):
    network.save(tmp_path / "net.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["net.npz"]


def test_the_file_gets_the_name_asked_for(tmp_path, network):
    network.save(tmp_path / "network")
    assert load_network(str(tmp_path / "network")).input_shape == network.input_shape


def test_a_missing_folder_is_made_and_one_that_cannot_be_is_named(tmp_path, network):
    network.save(tmp_path / "nowhere" / "net.npz")
    assert (tmp_path / "nowhere" / "net.npz").is_file()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/net.npz: it cannot be written"):
        network.save(tmp_path / "file" / "net.npz")


def test_a_failed_write_leaves_the_old_file(tmp_path, network, monkeypatch):
    path = tmp_path / "net.npz"
    path.write_bytes(b"old")

    def disk_full(*args, **arrays):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", disk_full)
    with pytest.raises(OutputError, match="No space left"):
        network.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["net.npz"]
    assert path.read_bytes() == b"old"


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        load_network(tmp_path / "net.npz")


@pytest.mark.parametrize("content", [b"", b"not a network", b"PK\x03\x04 not a network"])
def test_a_file_of_another_kind(tmp_path, content):
    (tmp_path / "net.npz").write_bytes(content)
    with pytest.raises(DataError, match="damaged or no network file"):
        load_network(tmp_path / "net.npz")


def test_an_array_of_another_kind(tmp_path):
    np.save(tmp_path / "net.npy", np.zeros(3))
    with pytest.raises(DataError, match="damaged or no network file"):
        load_network(tmp_path / "net.npy")


@pytest.mark.parametrize("part", [0.3, 0.6, 0.99])
def test_a_truncated_file(tmp_path, network, part):
    path = tmp_path / "net.npz"
    network.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(DataError, match="damaged"):
        load_network(path)


def test_an_npz_of_something_else(tmp_path):
    np.savez(tmp_path / "net.npz", x_test=np.zeros(3))
    with pytest.raises(DataError, match="holds no network"):
        load_network(tmp_path / "net.npz")


def test_a_pickle_inside_is_not_run(tmp_path):
    np.savez(tmp_path / "net.npz", structure=np.array([{"format": 1}], dtype=object))
    with pytest.raises(DataError, match="damaged or no network file"):
        load_network(tmp_path / "net.npz")


def rewritten(path, change):
    """Change the structure or the arrays inside a file."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    structure = json.loads(arrays["structure"].tobytes())
    change(structure, arrays)
    arrays["structure"] = np.frombuffer(json.dumps(structure).encode(), dtype=np.uint8)
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda structure, arrays: structure.update(version=99),
            "by a newer brian_snn: .* 99, .* 2; upgrade",
        ),
        (lambda structure, arrays: structure.update(format="recipes"), "holds 'recipes', not a network"),
        (lambda structure, arrays: structure.pop("grid"), "damaged"),
        (lambda structure, arrays: arrays.pop("bias_0"), "damaged"),
        (lambda structure, arrays: arrays.update(weights_0=np.zeros(3)), "damaged .*do not have the shape"),
    ],
)
def test_a_changed_file(tmp_path, network, change, message):
    path = tmp_path / "net.npz"
    network.save(path)
    rewritten(path, change)
    with pytest.raises(DataError, match=message):
        load_network(path)


@pytest.mark.parametrize("name", MODELS)
def test_every_conversion_holds_what_is_asked_of_a_file(tmp_path, name):
    network = converted(name)
    network.save(tmp_path / "net.npz")
    assert load_network(tmp_path / "net.npz").digest() == network.digest()


def set_first(field, value):
    """Return a change that puts a value into the first element of an array, or in the place of it."""

    def change(structure, arrays):
        array = arrays[field].copy()
        array.flat[0] = value
        arrays[field] = array

    return change


def set_structure(*path, value):
    """Return a change that sets an entry of the structure."""

    def change(structure, arrays):
        for key in path[:-1]:
            structure = structure[key]
        structure[path[-1]] = value

    return change


CHANGES = {
    "weights that are no numbers": (set_first("weights_0", np.nan), r"weights: finite numbers in float64"),
    "weights off the grid": (set_first("weights_0", 0.1), r"weights: some are no multiples of the grid"),
    "complex weights": (
        lambda structure, arrays: arrays.update(weights_0=arrays["weights_0"] * 1j),
        "weights_0: finite numbers in float64",
    ),
    "infinite bias": (set_first("bias_0", np.inf), "bias: finite numbers in float64"),
    "negative scale": (set_first("scale_0", -1.0), "one positive number"),
    "a grid that is no power of two": (set_structure("grid", value=0.1), "grid is 0.1"),
    "an unknown normalisation": (set_structure("normalisation", value="batch"), "normalisation is 'batch'"),
    "no populations": (set_structure("populations", value=[]), "there are no populations"),
    "an unknown kind": (set_structure("populations", 0, "kind", value="LIF"), "its kind is 'LIF'"),
    "a wrong depth": (set_structure("populations", 0, "depth", value=3), "its depth is 3, its longest path has 1"),
    "a name that is there twice": (
        lambda structure, arrays: structure["populations"][1].update(name=structure["populations"][0]["name"]),
        "there are two populations",
    ),
    "an empty image": (set_structure("input_shape", value=[0, 3]), r"the image has the shape \(0, 3\)"),
    "a source that is none": (set_structure("projections", 0, "source", value="x"), "no population before it"),
    "a target that is none": (set_structure("projections", 0, "target", value="x"), "lead to .'x'."),
    "a map of an unknown kind": (set_structure("projections", 0, "geometry", "kind", value="fft"), "of kind 'fft'"),
    "a geometry that is a list": (set_structure("projections", 0, "geometry", value=[1]), ""),
    "more windows than fit": (
        lambda structure, arrays: structure["projections"][0]["geometry"].update(strides=[50, 50]),
        "windows do not fit",
    ),
    "no strides": (
        lambda structure, arrays: structure["projections"][0]["geometry"].update(strides=[0, 0]),
        "strides is 0; a whole number of at least 1",
    ),
    "a kind that is a list": (set_structure("populations", 0, "kind", value=["spiking"]), "its kind is"),
    "a name that is a number": (set_structure("populations", 0, "name", value=3), "name is 3; str was expected"),
    "a depth that is text": (set_structure("populations", 0, "depth", value="1"), "depth is '1'; int was expected"),
    "a reference of another version": (
        set_structure("populations", 0, "reference", value="conv"),
        "reference is 'conv'",
    ),
    "a reference that is no path": (set_structure("populations", 0, "reference", value=["conv"]), "no path of a layer"),
    "a geometry with more to it": (
        lambda structure, arrays: structure["projections"][0]["geometry"].update(causal=True),
        "a geometry has the entries",
    ),
    "populations that are one": (set_structure("populations", value={}), "populations is {}; list was expected"),
    "a version that is text": (set_structure("version", value="2"), "its version is '2'"),
}


@pytest.mark.parametrize("change, message", CHANGES.values(), ids=CHANGES)
def test_what_no_conversion_makes_is_refused(tmp_path, network, change, message):
    path = tmp_path / "net.npz"
    network.save(path)
    rewritten(path, change)
    with pytest.raises(DataError, match=f"network file .*net.npz: it is damaged .*{message}"):
        load_network(path)


def test_an_index_outside_its_population_is_refused(tmp_path):
    network = converted("grouped_concatenation")
    k = next(k for k, p in enumerate(network.projections) if p.source_index is not None)
    for value, message in ((10**6, "neurons from 0 to"), (-2, "neurons from 0 to")):
        path = tmp_path / f"{value}.npz"
        network.save(path)
        rewritten(path, set_first(f"source_index_{k}", value))
        with pytest.raises(DataError, match=message):
            load_network(path)


@pytest.mark.parametrize("seed", range(40))
def test_a_file_with_random_bytes_in_it_is_refused_or_the_same(tmp_path, network, seed):
    path, rng = tmp_path / "net.npz", np.random.default_rng(seed)
    network.save(path)
    content = bytearray(path.read_bytes())
    start = int(rng.integers(len(content) - 64))
    content[start : start + 64] = rng.bytes(64)
    path.write_bytes(content)
    try:
        assert load_network(path).digest() == network.digest()
    except DataError as error:
        assert "net.npz" in str(error)

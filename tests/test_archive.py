"""Network files that say they are small and are not: nothing is read that the structure does not name, or too much."""

import io
import json
import resource
import struct
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from brian_snn.errors import DataError
from brian_snn.network.file import load_network
from brian_snn.network.network import Network
from brian_snn.network.records import Population
from tests.campaign.limits import Limits, run_limited
from tests.small_network import GRID, small_network
from tests.test_storage import rewritten

LIMITS = Limits(2**28, cpu_s=20)


@pytest.fixture
def path(tmp_path):
    """Return a network file."""
    small_network().save(tmp_path / "net.npz")
    return tmp_path / "net.npz"


def header(shape, descr="<f8"):
    """Return the head of an ``.npy``."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


def put(path, name, head, n_zeros=0):
    """Put a member into a file, in the place of another of that name, with zeros at its end."""
    with zipfile.ZipFile(path) as archive:
        kept = {member: archive.read(member) for member in archive.namelist() if member != name}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in kept.items():
            archive.writestr(member, content)
        with archive.open(name, "w", force_zip64=True) as file:
            file.write(head)
            for _ in range(0, n_zeros, 2**20):
                file.write(bytes(2**20))


def refused(path, match="damaged"):
    """Load a file that must be refused, within limits."""
    with pytest.raises(DataError, match=match) as error:
        run_limited(load_network, path, limits=LIMITS).unwrap()
    assert str(path) in str(error.value) and len(str(error.value)) < 1000


def loaded_digest(path):
    return load_network(path).digest()


@pytest.mark.parametrize("name", ["unused.npy", "unused.txt", "weights_99.npy"])
def test_what_the_structure_does_not_name_is_not_read(path, name):
    put(path, name, header((2**26,)), 2**29)
    assert path.stat().st_size < 2**20
    start = time.process_time()
    assert run_limited(loaded_digest, path, limits=LIMITS).unwrap() == small_network().digest()
    assert time.process_time() - start < 10


@pytest.mark.parametrize("name", ["bias_0", "scale_0", "weights_0", "source_index_5", "structure"])
@pytest.mark.parametrize("shape", [(2**26,), (2**60,), (2**13, 2**13), (2**62, 2**62), (2**40, 0)])
def test_an_array_of_another_size_is_not_read(path, name, shape):
    put(path, f"{name}.npy", header(shape, "|u1" if name == "structure" else "<f8"), 2**22)
    refused(path)


@pytest.mark.parametrize("n_zeros", [0, 2**20])
def test_an_array_that_is_shorter_or_longer_than_it_says_is_damaged(path, n_zeros):
    put(path, "bias_0.npy", header((5, 4, 3)), n_zeros)
    refused(path, "damaged or no network file")


@pytest.mark.parametrize("descr", ["|O", "<c16", "|S8", "|V8", "<M8[s]", [("a", "<f8")], "|V2147483647"])
def test_an_array_of_another_kind_is_not_read(path, descr):
    put(path, "bias_0.npy", header((5, 4, 3), descr) + bytes(480))
    refused(path)


def test_a_longer_header_is_not_read(path):
    put(path, "bias_0.npy", b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31), 2**27)
    refused(path, "damaged or no network file")


def test_a_deep_header_is_damaged(path):
    text = b"(" * 60_000
    put(path, "bias_0.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
    refused(path, "damaged or no network file")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_is_packed_in_another_way_is_not_unpacked(path, method):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    refused(path, "damaged or no network file")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name_are_damage(path):
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("bias_0.npy", archive.read("bias_0.npy"))
    refused(path, "damaged or no network file")


def test_an_array_in_the_other_order_is_read_as_it_is_meant(path):
    rewritten(path, lambda structure, arrays: arrays.update(weights_0=np.asfortranarray(arrays["weights_0"])))
    assert np.array_equal(load_network(path).projections[0].weights, small_network().projections[0].weights)


def constant(n_neurons):
    """Return a network of so many neurons without inputs, which takes next to nothing in a file."""
    return Network((Population("layer", "spiking", (n_neurons,), np.zeros(n_neurons), 1),), (), (1,), grid=GRID)


def test_a_network_that_shrinks_a_thousandfold_is_read_up_to_a_size(tmp_path):
    constant(2**20).save(tmp_path / "net.npz")
    assert load_network(tmp_path / "net.npz").output.size == 2**20
    small_network().save(tmp_path / "large.npz")

    def many(structure, arrays):
        structure["populations"][0]["shape"] = [5, 4, 2**23]

    rewritten(tmp_path / "large.npz", many)
    put(tmp_path / "large.npz", "bias_0.npy", header((5, 4, 2**23)), 20 * 2**26)
    assert (tmp_path / "large.npz").stat().st_size < 2**21
    refused(tmp_path / "large.npz", "bias_0: it takes 1342177280 bytes, more than there is")


def test_a_structure_of_blanks_is_not_read(path):
    text = 2**25
    put(path, "structure.npy", header((text,), "|u1"), text)
    refused(path, "structure: it takes")


def replaced(path, text):
    """Replace the structure of a file."""
    content = text.encode()
    put(path, "structure.npy", header((len(content),), "|u1") + content)


def structure_of(path):
    with np.load(path) as file:
        return json.loads(file["structure"].tobytes())


@pytest.mark.parametrize("depth", [100, 900, 1100, 5_000, 200_000])
@pytest.mark.parametrize("place", ["all", "shape", "padding", "calibration_range", "unknown", "reference", "kind"])
def test_lists_within_lists_are_a_sentence(path, depth, place):
    structure = structure_of(path)
    holder = {"shape": structure["populations"][0], "padding": structure["projections"][0]["geometry"]}
    holder |= {"reference": structure["populations"][0], "kind": structure["populations"][0]}
    holder.get(place, structure)[place] = "HERE"
    deep = "[" * depth + "]" * depth
    replaced(path, deep if place == "all" else json.dumps(structure).replace('"HERE"', deep))
    if place == "unknown" and depth < 1000:
        assert load_network(path).grid == GRID
    else:
        refused(path, "damaged|holds no network")


@pytest.mark.parametrize("text", ["", "null", "3", '"x"', "[]", "{}", "NaN", "\x00", "{" * 10, "9" * 10_000])
def test_a_structure_of_something_else_is_a_sentence(path, text):
    replaced(path, text)
    refused(path, "holds no network|damaged")


@pytest.mark.parametrize("arrays", [[[]], [{}], [3], ["bias"], ["weights", "weights_0"], {}, "weights", [None]])
@pytest.mark.parametrize("number", [0, 1])
def test_a_list_of_arrays_with_something_else_is_a_sentence(path, number, arrays):
    """The second map is that of a maximum, which has no weights."""
    structure = structure_of(path)
    structure["projections"][number]["arrays"] = arrays
    replaced(path, json.dumps(structure))
    refused(path)


def test_a_structure_of_too_many_records_is_a_sentence(path):
    structure = structure_of(path)
    structure["populations"] *= 10_000
    replaced(path, json.dumps(structure))
    refused(path, "there are 50000 populations")


@pytest.mark.parametrize("value", [True, [], "6", {}, 10**400, 1e999, -1, [[1.0]], float("nan")])
@pytest.mark.parametrize(
    "place", ["ceiling", "depth", "shape", "percentile", "grid", "calibration_range", "output_activation", "provenance"]
)
def test_values_of_another_type_are_a_sentence(path, place, value):
    structure = structure_of(path)
    holder = structure["populations"][0] if place in ("ceiling", "depth", "shape") else structure
    holder[place] = [value] if (place, value) == ("provenance", {}) else value
    replaced(path, json.dumps(structure))
    refused(path)


def test_as_many_bytes_as_weights_take_are_free(tmp_path):
    """Weights on the grid hardly shrink: a file of them is never too small for what is in it."""
    network, rng = small_network(), np.random.default_rng(0)
    weights = np.round(rng.normal(size=network.projections[0].weights.shape) / GRID) * GRID
    network = replace(network, projections=(replace(network.projections[0], weights=weights), *network.projections[1:]))
    network.save(tmp_path / "net.npz")
    with zipfile.ZipFile(tmp_path / "net.npz") as archive:
        member = archive.getinfo("weights_0.npy")
    assert member.file_size < 4 * member.compress_size


def test_little_memory_is_taken_for_what_is_not_read(path):
    put(path, "unused.npy", header((2**26,)), 2**29)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    load_network(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**17

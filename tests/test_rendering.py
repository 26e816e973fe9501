"""Nothing but numbers of 32 bits and names becomes C++; no text of a network file gets there, or into a file name."""

import dataclasses
import json
import os
from dataclasses import replace

import numpy as np
import pytest

from brian_snn import load_network, simulate
from brian_snn.backends.generator import generate_sources
from brian_snn.backends.rendering import rendered
from brian_snn.errors import CompilerError, ModelError
from brian_snn.network.records import Geometry, LayerPath
from brian_snn.settings import Settings
from brian_snn.simulation.topology import topology
from tests.small_network import STEPS, small_images, small_network

MARKER = "m4rk3r"


class Liar(int):
    """A number that is written as something else."""

    def __str__(self):
        return "0; system()"


class Text(str):
    """A name that is written as something else."""

    def __str__(self):
        return "0; system()"


@pytest.mark.parametrize(
    "value", [0, 2**31 - 1, True, None, "double", "_array_population_0_v", "std::vector", [1, "v"]]
)
def test_numbers_and_names_are_written(value):
    assert rendered(value) is value or rendered(value) == value


@pytest.mark.parametrize(
    "value",
    [-1, 2**31, 1.0, np.nan, np.int64(3), Liar(3), Text("v"), "0; system()", "a b", "", "1x", "v\n", "a::", b"v", {1}],
)
@pytest.mark.parametrize("around", [lambda value: value, lambda value: [value], lambda value: {"g": {"top": value}}])
def test_nothing_else_is(value, around):
    with pytest.raises(ModelError, match="not written into C"):
        rendered(around(value))


def forged(record, **values):
    """Return a copy of a record with values in it that it would refuse."""
    copy = dataclasses.replace(record)
    for name, value in values.items():
        object.__setattr__(copy, name, value)
    return copy


ATTACK = '0; system("touch m4rk3r")'


@pytest.mark.parametrize(
    "values",
    [
        {"padding": ((ATTACK, 0), (0, 0))},
        {"padding": ((-1, 0), (0, 0))},
        {"strides": (1, ATTACK)},
        {"dilation": (2**31, 1)},
    ],
)
def test_what_gets_past_the_records_is_not_written_into_a_program(tmp_path, values):
    network = small_network()
    layout = topology(network, Settings(steps=STEPS, projection="shared"))
    links = [
        replace(link, geometry=forged(link.geometry, **values)) if link.geometry.kind == "conv2d" else link
        for link in layout.links
    ]
    # Some numbers are calculated with before they are written, where text fails of itself.
    with pytest.raises(CompilerError):
        generate_sources(replace(layout, links=tuple(links)), tmp_path)
    assert not any(MARKER in path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())


def test_a_size_that_is_none_is_not_written_into_a_program(tmp_path):
    layout = topology(small_network(), Settings(steps=STEPS))
    layers = (forged(layout.layers[0], size=ATTACK), *layout.layers[1:])
    with pytest.raises(CompilerError, match="not written into C"):
        generate_sources(replace(layout, layers=layers), tmp_path)


def marked_network(path):
    """Return a network from a file that has a marker in all of its text."""
    names = {None: None} | {
        p.name: f"{MARKER}\"; system('{MARKER}'); // ../../{p.name}\n{{{{ 7 * 7 }}}}"
        for p in small_network().populations
    }
    small = small_network()
    network = replace(
        small,
        populations=tuple(
            replace(p, name=names[p.name], reference=(LayerPath((f"{MARKER}/../x", MARKER)),))
            for p in small.populations
        ),
        projections=tuple(replace(p, source=names[p.source], target=names[p.target]) for p in small.projections),
        provenance={"file": f"../{MARKER}", f"{MARKER};": f"$({MARKER})"},
    )
    network.save(path)
    with np.load(path) as file:
        structure = json.loads(file["structure"].tobytes())
    assert json.dumps(structure).count(MARKER) > 20
    return load_network(path)


@pytest.mark.parametrize(
    "options",
    [{}, {"projection": "shared", "input_coding": "poisson"}, {"projection": "shared", "readout": "softmax_generator"}],
)
def test_no_text_of_a_file_is_in_the_program_that_is_made_of_it(tmp_path, options):
    network = marked_network(tmp_path / "net.npz")
    names = [p.name for p in network.populations[:1]]
    layout = topology(network, Settings(steps=STEPS, **options), names, names)
    folder = tmp_path / "program"
    folder.mkdir()
    generate_sources(layout, folder)
    sources = [path for path in folder.rglob("*") if path.is_file()]
    assert {"main.cpp", "objects.cpp"} <= {path.name for path in sources}
    assert [path for path in sources if MARKER.encode() in path.read_bytes() or MARKER in path.name] == []


def test_no_text_of_a_file_is_in_the_name_of_another(tmp_path):
    network = marked_network(tmp_path / "net.npz")
    options = {"record_spikes": [network.populations[0].name], "output": tmp_path / "run"}
    result = simulate(network, small_images(), steps=STEPS, backend="runtime", **options)
    assert result.spike_counts.keys() == {p.name for p in network.populations}
    made = [name for _, folders, files in os.walk(tmp_path) for name in (*folders, *files)]
    assert "shards" in made and [name for name in made if MARKER in name] == []


KINDS = {
    "dense": Geometry("dense", (4,), (3,)),
    "identity": Geometry("identity", (4,), (4,)),
    "average_pool": Geometry("average_pool", (4, 4, 1), (2, 2, 1), (2, 2), (2, 2)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "values",
    [
        {"padding": [["0; system(1)", 0], [0, 0]]},
        {"padding": ((1, 0), (0, 0))},
        {"kernel_size": (2, 2)},
        {"strides": (1, 2)},
        {"dilation": (2, 1)},
        {"groups": 2},
        {"groups": ATTACK},
        {"strides": (2**31, 1)},
        {"padding": ((0, 2**32 - 1), (0, 0))},
        {"dilation": (True, 1)},
        {"kernel_size": (0.5, 1)},
        {"kernel_size": (np.nan, 1)},
    ],
)
def test_numbers_that_say_nothing_of_a_map_are_neutral(kind, values):
    geometry = KINDS[kind]
    allowed = geometry.is_window and set(values) <= {"padding", "kernel_size", "strides", "dilation"}
    try:
        made = replace(geometry, **values)
    except ModelError as error:
        assert f"a {kind} map" in str(error)
        return
    assert allowed and all(isinstance(n, int) for pair in made.padding for n in pair)

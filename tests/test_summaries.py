"""What a network and a result print of themselves: a few lines, whatever their size, with names made harmless."""

from dataclasses import replace

import numpy as np
import pytest

import brian_snn
from brian_snn import Network, Population, Projection
from brian_snn.network.records import INPUT, Geometry
from tests.small_network import GRID, loop_result, small_images, small_network


def chain(n, name="layer_{}"):
    """Return a network of layers in a row."""
    names = [name.format(k) for k in range(n)]
    populations = [Population(each, "spiking", (2,), np.zeros(2), depth=k + 1) for k, each in enumerate(names)]
    dense = Geometry("dense", (2,), (2,))
    ends = zip([INPUT, *names[:-1]], names, strict=True)
    projections = [Projection(source, target, dense, np.eye(2)) for source, target in ends]
    return Network(tuple(populations), tuple(projections), (2,), grid=GRID)


def test_a_network_is_a_line_a_population():
    lines = repr(small_network()).splitlines()
    assert lines[0] == "Network of 5 populations and 124 neurons for images (5, 4, 2)"
    assert [line.split()[0] for line in lines[1:-1]] == [p.name for p in small_network().populations]


@pytest.mark.parametrize("n", [1, 10, 11, 300])
def test_a_long_network_is_a_few_lines(n):
    lines = repr(chain(n)).splitlines()
    assert len(lines) <= 12 and lines[1].split()[0] == "layer_0" and lines[-2].split()[0] == f"layer_{n - 1}"
    assert any("more" in line for line in lines) == (n > 10)


def test_a_result_says_what_it_is_of():
    text = repr(loop_result(small_network(), small_images(3), reset="zero"))
    assert "3 images in 30 steps" in text and "reset zero" in text and "spike trains of conv" in text
    assert len(text.splitlines()) < 12


@pytest.mark.parametrize("name", ["<b>{}</b>", "a\x1b[31m{}", "a\n{}"])
def test_names_are_text_in_both_forms(name):
    network = chain(2, name)
    assert len(repr(network).splitlines()) == 4
    assert not set("\x1b\n") & set(network._repr_html_()) and "<b>0" not in network._repr_html_()


def test_a_population_that_there_is_not_is_an_error_that_lists_those_there_are():
    result = loop_result(small_network(), small_images(1))
    for arrays in (result.network, result.spike_counts, result.potentials, result.booked["surplus"]):
        with pytest.raises(KeyError, match="conv.*mixed"):
            arrays["nowhere"]
    with pytest.raises(KeyError, match="conv.*mixed"):
        replace(result, first_image=1).rates("nowhere")


def test_packages_are_attributes():
    assert brian_snn.analysis.__name__ == "brian_snn.analysis"

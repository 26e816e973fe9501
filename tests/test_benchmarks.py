"""The yardstick of the benchmarks: the hand-written C++ loop against Brian2, and what the peers are given."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from brian_snn import simulate

BENCHMARKS = Path(__file__).resolve().parents[1] / "experiments" / "benchmarks"
MODULES = ("networks", "cpp_loop", "peers.exchange", "scaling")
PARAMS = {"seed": 3, "steps": 40, "reset": "subtraction", "percentile": 99.9}
LAYERS = [["conv", 4, 3, 2, "valid"], ["max", 2], ["conv", 5, 3, 1, "same"], ["average", 2], ["dense", 6]]


@pytest.fixture(scope="module")
def benchmarks():
    """Return the modules of the experiment, which import each other by their bare names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS.parent))
        patch.syspath_prepend(str(BENCHMARKS))
        yield SimpleNamespace(**{name.split(".")[-1]: importlib.import_module(name) for name in MODULES})
    # Other experiments have modules of the same bare names.
    for name, module in list(sys.modules.items()):
        if str(BENCHMARKS) in str(getattr(module, "__file__", "")):
            del sys.modules[name]


@pytest.fixture(scope="module")
def case(benchmarks):
    """Return a network with every kind of layer that the loop has code for, and three images."""
    return benchmarks.networks.random_case("small", [17, 15, 2], LAYERS, 3, PARAMS)


@pytest.fixture(scope="module")
def result(case):
    """Return what Brian2 makes of it, without compiling."""
    return simulate(case.network, case.images, steps=case.steps, backend="runtime")


@pytest.mark.slow
def test_the_loop_gives_every_neuron_the_spikes_of_brian2(benchmarks, case, result, tmp_path):
    loop = benchmarks.cpp_loop
    binary = loop.compile_loop(tmp_path, "double")
    loop.write_input(case, tmp_path, 1)
    done = loop.run_loop(binary, tmp_path, 1, len(case.images))
    for name, counts in loop.read_counts(case, tmp_path):
        np.testing.assert_array_equal(counts, result.spike_counts[name], err_msg=name)
    assert sum(done.events) == result.synaptic_events.sum()
    rows = loop.compile_loop(tmp_path, "double", "row_limit")
    assert loop.run_rows(rows, case, done.events, 1) > 0
    assert loop.read_predictions(case, tmp_path) == result.predictions.tolist()


def test_a_workload_is_read_as_it_was_written(benchmarks, case, tmp_path):
    case.write(tmp_path)
    workload = benchmarks.exchange.read_workload(tmp_path / "workload.npz")
    np.testing.assert_array_equal(workload.images, case.images)
    for layer, population in zip(workload.layers, case.network.populations, strict=True):
        (projection,) = case.network.into(population.name)
        assert layer.map == projection.geometry.kind and layer.neurons == population.kind
        if projection.weights is not None:
            np.testing.assert_array_equal(layer.weights, projection.weights)
            np.testing.assert_array_equal(np.broadcast_to(layer.bias, population.shape), population.bias)


def test_the_scale_of_an_average_moves_into_the_weights_behind_it(benchmarks):
    layer = benchmarks.exchange.Layer
    # Windows of 2 x 2 over 3 x 3: those at the border hold fewer inputs, and have larger weights.
    inside, edge, corner = 0.5 / 4, 0.5 / 2, 0.5
    weights = np.array([[inside, edge], [edge, corner]])[..., None]
    average = layer("average_pool", "spiking", [3, 3, 1], [2, 2, 1], [2, 2], [2, 2], [[0, 1], [0, 1]], weights)
    dense = layer(
        "dense", "readout", [2, 2, 1], [1], [1, 1], [1, 1], [[0, 0], [0, 0]], np.full((4, 1), 3.0), np.ones(1)
    )
    _, plain = benchmarks.exchange.plain_layers([average, dense])
    np.testing.assert_array_equal(plain.weights, np.full((4, 1), 1.5))
    np.testing.assert_array_equal(plain.bias, dense.bias)


def test_points_on_a_line_and_on_a_power_law_are_fitted_exactly(benchmarks):
    work = [1.0, 10.0, 100.0]
    line = benchmarks.scaling.fit(work, [3 + 2 * w for w in work])
    assert [line["constant_s"], line["unit_s"], line["deviation"]] == pytest.approx([3, 2, 0])
    assert benchmarks.scaling.fit(work, [5 * w**1.5 for w in work])["slope"] == pytest.approx(1.5)


def test_a_network_that_is_no_chain_is_refused_by_name(case, tmp_path):
    first = case.network.projections[0]
    branched = replace(case, network=replace(case.network, projections=(*case.network.projections, first)))
    with pytest.raises(ValueError, match=f"population '{first.target}': the peers take chains"):
        branched.write(tmp_path)

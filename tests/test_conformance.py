"""The conformance experiment: what the simulators are given, one of them in this process, and the figure."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from brian_snn import check
from brian_snn.network.forward import forward

EXPERIMENT = Path(__file__).resolve().parents[1] / "experiments" / "conformance"
MODULES = ("workloads", "peers.exchange", "peers.dense", "peers.on_brian2", "run")


@pytest.fixture(scope="module")
def scripts():
    """Return the modules of the experiment, which import each other by their bare names."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in (EXPERIMENT.parent, EXPERIMENT / "peers", EXPERIMENT):
            patch.syspath_prepend(str(folder))
        known = set(sys.modules)
        yield SimpleNamespace(**{name.split(".")[-1]: importlib.import_module(name) for name in MODULES})
    # Other experiments have modules of the same bare names.
    for name in set(sys.modules) - known:
        if str(EXPERIMENT.parent) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture(scope="module")
def workload(scripts):
    """Return a chain of a convolution, an average and a dense layer, on a grid of 2**-6."""
    rng = np.random.default_rng(2)

    def drawn(*shape):
        return (np.round(rng.normal(0.15, 0.5, shape) * 64) / 64).astype(np.float32)

    layers = [
        scripts.exchange.Layer("conv", "conv2d", [4, 4, 3], [3, 3], [1, 1], drawn(3, 3, 2, 3) / 2, drawn(3) / 4),
        scripts.exchange.Layer("average", "average_pool", [2, 2, 3], [2, 2], [2, 2]),
        scripts.exchange.Layer("dense", "dense", [5], [], [], drawn(12, 5), drawn(5) / 4),
    ]
    images = (rng.integers(0, 17, (2, 6, 6, 2)) / 16).astype(np.float32)
    return scripts.exchange.Workload(layers, images, 30)


def test_what_is_written_is_read(scripts, workload, tmp_path):
    scripts.exchange.write_workload(workload, tmp_path / "w.npz")
    again = scripts.exchange.read_workload(tmp_path / "w.npz")
    assert again.steps == 30 and (again.images == workload.images).all()
    assert all(json.dumps(a.shape) == json.dumps(b.shape) for a, b in zip(again.layers, workload.layers, strict=True))
    assert (again.layers[2].weights == workload.layers[2].weights).all() and again.layers[1].weights is None


@pytest.mark.parametrize("average_pooling", ["linear", "spiking"])
def test_the_network_is_that_of_the_matrices(scripts, workload, average_pooling):
    network = scripts.workloads.as_network(workload, average_pooling)
    x, expected = workload.images.astype(np.float64), {}
    for layer in workload.layers:
        x = scripts.dense.apply(layer, x) + (0 if layer.bias is None else layer.bias)
        x = expected[layer.name] = np.maximum(x, 0)
    found = forward(network, workload.images)
    assert set(found) == {"conv", "dense", *["average"] * (average_pooling == "spiking")}
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-12, atol=1e-12)


def test_brian2_by_hand_follows_its_own_order(scripts, workload):
    import brian2

    before = brian2.prefs.codegen.target, brian2.defaultclock.dt
    brian2.prefs.codegen.target, brian2.defaultclock.dt = "numpy", 1 * brian2.ms
    try:
        runs = [scripts.on_brian2.run_image(workload, image, "v -= 1") for image in workload.images]
    finally:
        brian2.prefs.codegen.target, brian2.defaultclock.dt = before
    spikes = {name: np.stack([run[name] for run in runs]) for name in runs[0]}
    found = check(scripts.workloads.as_network(workload, "linear"), spikes, workload.images)
    assert not found.same
    # Of two layers that are reset by subtraction, a lag of a step is the same.
    assert any("Brian2's own order" in rule for rule in (found.rule, *found.alike))


def test_the_table_and_the_figure_say_what_was_judged(scripts):
    record = {
        "peers": {"a": "simulator a", "b": "simulator b", "c": "simulator c"},
        "networks": {
            "cnn": {
                "a": {
                    "verdict": "reset to zero",
                    "rule": "reset to zero",
                    "alike": ["V not below 0"],
                    "decisions": 200,
                    "versions": {"a": "1.0"},
                    "rules": [
                        {"rule": "Eq. (4b)", "differing": 20, "whole_run": True},
                        {"rule": "reset to zero", "differing": 0, "whole_run": True},
                    ],
                },
                "b": {"absent": "no wheel"},
            }
        },
    }
    text = scripts.run.table(record)
    assert "| simulator a | reset to zero (200 decisions; not told apart from: V not below 0; a 1.0) |" in text
    assert "| simulator b | absent: no wheel |" in text and "| simulator c | not run |" in text
    drawing = importlib.util.spec_from_file_location(
        "conformance", EXPERIMENT.parents[1] / "figures" / "conformance.py"
    )
    module = importlib.util.module_from_spec(drawing)
    drawing.loader.exec_module(module)
    (axes,) = module.plot_conformance(record).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["simulator a"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Eq. (4b)", "reset to zero"]
    assert [text.get_text() for text in axes.texts] == ["10", "0"]

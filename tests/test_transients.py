"""Offsets of feature maps, on results with planted rates and against plain loops and pandas."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from brian_snn.analysis.transients import layer_offsets, offsets_over_time
from brian_snn.errors import DataError
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.plotting.transients import plot_transients
from brian_snn.results.result import Result
from brian_snn.settings import Settings
from tests.small_network import CHECKPOINTS, loop_result, small_images, small_network

SHAPE, SCALE, STEPS, CLAMP = (2, 3, 4), 2.5, 80, 8
BIAS = np.array([-0.5, 0.25, 0.0, 1.0])


def planted(offsets, clamp=CLAMP, depth=3, seed=0):
    """Return a result and activations in which every neuron of a map is off by the same number of spikes."""
    pixels = (2, 3, 1)
    before = [Population(f"before{k}", "spiking", pixels, np.zeros(pixels), k) for k in range(1, depth)]
    sources = [INPUT, *(p.name for p in before)]
    same, geometry = Geometry("identity", pixels, pixels), Geometry("conv2d", pixels, SHAPE)
    links = [Projection(s, p.name, same, np.ones(pixels)) for s, p in zip(sources, before, strict=False)]
    conv = Population("conv", "spiking", SHAPE, np.broadcast_to(BIAS, SHAPE).copy(), depth, SCALE)
    last = Projection(sources[-1], "conv", geometry, np.ones((1, 1, 1, 4)))
    network = Network((*before, conv), (*links, last), pixels)
    target = np.random.default_rng(seed).integers(10, 40, (2, *SHAPE))
    settings = Settings(steps=STEPS, clamp=clamp)
    zeros = {"conv": np.zeros((2, *SHAPE))}
    result = Result(network, settings, np.zeros((2, 2, 3, 1)), {"conv": target + offsets}, zeros, zeros, zeros)
    return result, {"conv": target * SCALE / (STEPS - clamp * (depth - 1))}


class TestPlantedOffsets:
    """The window is 80 - 8 * 2 = 64 steps, so an offset of n spikes is n / 64, exactly."""

    spikes = np.array([-2, 1, 0, 4])

    def test_the_root_mean_square_error_is_that_of_the_offsets(self):
        row = layer_offsets(*planted(self.spikes)).iloc[0]
        assert row["rmse"] == pytest.approx(np.sqrt(21 / 4) / 64, rel=1e-12)

    def test_the_mean_absolute_offset(self):
        row = layer_offsets(*planted(self.spikes)).iloc[0]
        assert row["mean_abs_offset"] == pytest.approx(7 / 4 / 64, rel=1e-12)

    def test_offsets_proportional_to_the_bias_correlate_with_it_perfectly(self):
        row = layer_offsets(*planted(np.rint(4 * BIAS).astype(int))).iloc[0]
        assert row["bias_correlation"] == pytest.approx(1, rel=1e-12)

    def test_no_offset_has_no_correlation_with_the_bias(self):
        row = layer_offsets(*planted(np.zeros(4, int), clamp=0)).iloc[0]
        assert row["pearson_r"] == pytest.approx(1, rel=1e-12)
        assert row["mean_abs_offset"] == pytest.approx(0, abs=1e-15)


@pytest.fixture(scope="module")
def result():
    """Return a clamped simulation with everything recorded."""
    return loop_result(small_network(), small_images(), clamp=2)


@pytest.fixture(scope="module")
def activations():
    """Return made-up activations for the spiking populations."""
    rng = np.random.default_rng(5)
    shapes = {p.name: p.shape for p in small_network().populations if p.kind != "readout"}
    return {name: rng.uniform(size=(3, *shape)) for name, shape in shapes.items()}


def long_table(result, activations, name, counts, n_steps):
    """Return one row per neuron: its map, rate and target."""
    population = result.network[name]
    index = np.indices(counts.shape)[-1].ravel()
    target = activations[name].ravel() / population.scale
    return pd.DataFrame({"map": index, "rate": counts.ravel() / n_steps, "target": target})


@pytest.mark.parametrize("name", ["conv", "average", "mixed"])
def test_layers_agree_with_pandas(result, activations, name):
    row = layer_offsets(result, {name: activations[name]}).iloc[0]
    start = 2 * (result.network[name].depth - 1)
    neurons = long_table(result, activations, name, result.spike_counts[name], result.settings.steps - start)
    assert row["pearson_r"] == pytest.approx(neurons["rate"].corr(neurons["target"]), rel=1e-10)
    assert row["rmse"] == pytest.approx(np.sqrt(((neurons["rate"] - neurons["target"]) ** 2).mean()), rel=1e-10)
    offsets = neurons.groupby("map").mean().eval("rate - target")
    assert row["mean_abs_offset"] == pytest.approx(offsets.abs().mean(), rel=1e-10)


def test_time_counts_from_the_end_of_the_clamp(result, activations):
    table = offsets_over_time(result, activations)
    for name in activations:
        start = 2 * (result.network[name].depth - 1)
        rows = table[table["population"] == name]
        assert rows["step"].tolist() == [step for step in CHECKPOINTS if step > start]
        for step, rmse in zip(rows["step"], rows["rmse"], strict=True):
            counts = result.count_history[name][CHECKPOINTS.index(step)]
            neurons = long_table(result, activations, name, counts, step - start)
            assert rmse == pytest.approx(np.sqrt(((neurons["rate"] - neurons["target"]) ** 2).mean()), rel=1e-10)


def test_the_last_checkpoint_is_the_whole_run(activations):
    result = loop_result(small_network(), small_images(), clamp=1)
    result = replace(
        result,
        checkpoints=np.array([result.settings.steps]),
        count_history={name: counts[None] for name, counts in result.spike_counts.items()},
    )
    table = offsets_over_time(result, activations).drop(columns="step")
    pd.testing.assert_frame_equal(table, layer_offsets(result, activations))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda a: {**a, "elsewhere": a["conv"]}, "elsewhere"),
        (lambda a: {"out": np.zeros((3, 4))}, "out"),
        (lambda a: {"conv": a["conv"][:, 1:]}, r"'conv': activations have shape \(3, 4, 4, 3\)"),
        (lambda a: {}, "activations of"),
    ],
    ids=["unknown", "readout", "shape", "none"],
)
def test_activations_that_do_not_fit_are_refused(result, activations, change, match):
    with pytest.raises(DataError, match=match):
        layer_offsets(result, change(activations))


def test_counts_over_time_must_have_been_recorded(result, activations):
    bare = replace(result, count_history={})
    with pytest.raises(DataError, match=r"'conv': .*record_counts=\['conv'\]"):
        offsets_over_time(bare, activations)


class TestPlot:
    @pytest.fixture
    def table(self):
        rng = np.random.default_rng(2)
        rows = [
            {"reset": reset, "clamp": clamp, "step": step, "population": name, "depth": depth}
            | {"mean_abs_offset": rng.uniform(), "pearson_r": rng.uniform()}
            for reset in ("subtraction", "zero")
            for clamp in (0, 4)
            for step in (50, 100, 200)
            for name, depth in (("conv", 1), ("last", 2))
        ]
        return pd.DataFrame(rows)

    @pytest.mark.parametrize(
        ("panel", "reset", "column"),
        [(0, "subtraction", "mean_abs_offset"), (1, "subtraction", "distance"), (3, "zero", "pearson_r")],
    )
    def test_a_line_per_clamp_shows_the_layer_over_time(self, table, panel, reset, column):
        axes = plot_transients(table, "last", (0, 4), 100).axes[panel]
        table = table.assign(distance=1 - table["pearson_r"])
        for line, clamp in zip(axes.lines[:2], (0, 4), strict=True):
            rows = table[(table["population"] == "last") & (table["reset"] == reset) & (table["clamp"] == clamp)]
            assert line.get_xdata().tolist() == [50, 100, 200]
            assert line.get_ydata().tolist() == rows[column].tolist()

    def test_the_offset_over_depth_is_that_of_the_step(self, table):
        axes = plot_transients(table, "last", (0, 4), 100).axes[2]
        for line, clamp in zip(axes.lines, (0, 4), strict=True):
            rows = table[(table["reset"] == "subtraction") & (table["step"] == 100) & (table["clamp"] == clamp)]
            assert line.get_ydata().tolist() == rows.sort_values("depth")["mean_abs_offset"].tolist()

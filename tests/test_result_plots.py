"""Pictures of a result: what is on the Axes, against NumPy and loops over the small network's own loop."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from brian_snn import plotting
from brian_snn.errors import DataError
from tests.small_network import STEPS, loop_result, small_images, small_network


@pytest.fixture(scope="module")
def result():
    found = loop_result(small_network(), small_images(3))
    history = np.random.default_rng(5).normal(size=(len(found.checkpoints), 3, 4))
    return replace(found, labels=np.array([0, 3, 1]), output_history=history)


@pytest.fixture
def ax():
    return Figure().add_subplot()


def test_rates_lie_over_what_they_stand_for(result, ax):
    targets = {p.name: np.full((3, *p.shape), 0.25) * p.scale for p in result.network.populations}
    targets["conv"] = np.random.default_rng(1).uniform(size=(3, 5, 4, 3))
    assert plotting.correlation_plot(result, targets, ["conv"], ax=ax) is ax
    points = ax.lines[0]
    assert np.array_equal(points.get_xdata(), targets["conv"].ravel())
    assert np.allclose(points.get_ydata() * STEPS, result.spike_counts["conv"].ravel(), rtol=1e-12)
    r = np.corrcoef(points.get_xdata(), points.get_ydata())[0, 1]
    assert f"conv, r = {r:.4f}" in ax.get_legend_handles_labels()[1]


def test_every_spike_of_an_image_is_drawn_at_the_end_of_its_step(result, ax):
    plotting.raster_plot(result, image=1, populations=["conv", "mixed"], ax=ax)
    for line, name in zip(ax.lines, ("mixed", "conv"), strict=True):
        expected = sorted(step for image, step, _ in result.spike_trains[name].tolist() if image == 1)
        assert sorted(line.get_xdata()) == expected


def test_accuracy_over_steps_and_operations_is_counted(result, tmp_path, ax):
    plotting.accuracy_plot(result, ax=ax)
    (curve,) = [line for line in ax.lines if len(line.get_xdata()) == len(result.checkpoints)]
    assert curve.get_xdata().tolist() == result.checkpoints.tolist()
    right = [np.mean(logits.argmax(axis=1) == result.labels) for logits in result.output_history[:-1]]
    assert np.allclose(curve.get_ydata()[:-1], 100 * np.array(right))
    result.save(tmp_path / "run")
    again = plotting.accuracy_plot(tmp_path / "run", over="operations", ax=Figure().add_subplot())
    assert "synapses used per image" in again.get_xlabel()


def test_the_causes_of_the_error_add_up(result, ax):
    plotting.error_plot(result, ax=ax)
    widths = {}
    for bar in ax.patches:
        row = round(bar.get_y() + bar.get_height() / 2)
        widths[row] = widths.get(row, 0.0) + bar.get_width()
    assert len(widths) == len(result.network.populations)
    # Terms that nobody could see are left out.
    assert all(abs(total - 100) < 2 for total in widths.values())


def test_without_axes_there_is_a_new_figure(result):
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    ax = plotting.raster_plot(result)
    assert len(pyplot.get_fignums()) == len(before) + 1
    pyplot.close(ax.figure)


def test_what_is_missing_is_named(result, ax):
    with pytest.raises(DataError, match="record_spikes"):
        plotting.raster_plot(replace(result, spike_trains={}), ax=ax)
    with pytest.raises(DataError, match="simulate with labels="):
        plotting.accuracy_plot(replace(result, labels=None), ax=ax)
    with pytest.raises(DataError, match="simulate with checkpoints="):
        plotting.accuracy_plot(replace(result, checkpoints=np.zeros(0, int), output_history=None), ax=ax)

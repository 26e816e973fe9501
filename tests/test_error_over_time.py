"""The error over steps and operations: what is kept for it by default, its numbers against plain NumPy, its figure."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from brian_snn import simulate
from brian_snn.analysis.operations import snn_operations
from brian_snn.analysis.summary import error_over_time
from brian_snn.errors import DataError, SettingError
from brian_snn.plotting.error_over_time import plot_error_over_time
from brian_snn.settings import Recording, Settings
from brian_snn.simulation.job import make_job
from tests.oracles import wilson_by_roots
from tests.simulation_cases import RECORDED
from tests.small_network import CHECKPOINTS, STEPS, small_images, small_network

LABELS = np.array([0, 1, 2, 0, 1, 2])


def kept(network, backend="standalone", steps=200, **recording):
    """Return the checkpoints of a simulation that is prepared and not run."""
    return make_job(network, Settings(steps, backend=backend), Recording(**recording)).recording.checkpoints


class TestDefault:
    @pytest.mark.parametrize("steps", [1, 7, 200, 5000])
    def test_there_are_some_from_the_first_step_to_the_last(self, steps):
        found = kept(small_network(), steps=steps)
        assert found[0] == 1 and found[-1] == steps and len(found) <= 32
        # Never further apart than a third of the time until then.
        assert all(later - before <= 1 + before / 3 for before, later in itertools.pairwise(found))

    def test_what_is_asked_for_is_kept(self):
        assert kept(small_network(), checkpoints=(3, 9)) == (3, 9)
        assert kept(small_network(), checkpoints=()) == ()

    def test_in_process_where_a_stop_is_slow_there_are_none(self):
        assert kept(small_network(), "runtime") == ()

    def test_an_output_of_numbers_has_none(self):
        assert kept(replace(small_network(), output_activation="hidden")) == ()

    def test_counts_of_neurons_are_noted_where_it_was_said(self):
        with pytest.raises(SettingError, match="counts are noted at checkpoints, of which there are none"):
            kept(small_network(), record_counts=["conv"])


@pytest.fixture(scope="module")
def result():
    return simulate(small_network(), small_images(6), steps=STEPS, backend="runtime", **RECORDED)


def test_the_numbers_are_those_of_runs_that_end_there(result):
    curve = error_over_time(result, LABELS)
    assert curve["step"].tolist() == list(CHECKPOINTS)
    for k, row in curve.iterrows():
        named = result.output_history[k].reshape(6, -1).argmax(axis=1)
        spikes = {name: counts[k] for name, counts in result.count_history.items()}
        ended = replace(result, spike_counts=spikes | {"out": result.spike_counts["out"]})
        wrong = int((named != LABELS).sum())
        assert (row.answers, row.wrong, row.error) == (6, wrong, pytest.approx(wrong / 6))
        assert (1 - row.high, 1 - row.low) == pytest.approx(wilson_by_roots(6 - wrong, 6))
        assert row.operations == snn_operations(ended).mean()
        assert row.paper_operations == snn_operations(ended, "paper").mean()


def test_labels_of_another_number_are_refused(result):
    with pytest.raises(DataError):
        error_over_time(result, LABELS[:5])


def test_no_error_at_all_has_a_place_in_the_figure(result):
    curve = error_over_time(result, LABELS).assign(wrong=0, error=0.0, low=0.0)
    steps, operations = plot_error_over_time(curve, 0.0, 1000).axes
    for axes, column in ((steps, "step"), (operations, "operations")):
        x, y = axes.lines[0].get_data()
        assert x.tolist() == curve[column].tolist() and y == pytest.approx(100 * 0.5 / 6)
        assert axes.get_ylim()[0] < y[0]


def test_operations_that_are_not_known_have_no_panel(result):
    curve = error_over_time(result, LABELS).assign(operations=np.nan)
    assert len(plot_error_over_time(curve, 0.1, 1000).axes) == 1


def test_the_last_step_is_that_of_the_run(result):
    assert error_over_time(result, LABELS)["time_ms"].iloc[-1] == pytest.approx(STEPS)

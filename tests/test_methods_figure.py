"""The comparison of conversion methods: means over networks, and what the figure shows of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from brian_snn.analysis.causes import NAMES
from brian_snn.plotting.methods import plot_methods
from brian_snn.studies.methods import durations, summary

PLAIN, LEVELS = "percentile 99.9", "levels"


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return points of two networks and their twins with levels, and what these got wrong before."""
    points = pd.DataFrame(
        [
            {"dataset": "A", "seed": seed, "method": method, "steps": steps, "wrong": wrong, "images": 50}
            | {"events": 10.0 * steps, "rms": 1.0, "relative": 0.5}
            | dict(zip(NAMES, (0.1, 0.5 + seed / 10, 0.2, 0.0, 0.2 - seed / 10), strict=True))
            for seed in (1, 2)
            for method, steps, wrong in ((PLAIN, 1, 20), (PLAIN, 2, 10 + seed), (LEVELS, 1, 5), (LEVELS, 2, 4))
        ]
    )
    trained = pd.DataFrame(
        [
            {"dataset": "A", "seed": seed, "levels": levels, "wrong": 2 + levels, "images": 50}
            for seed in (1, 2)
            for levels in (False, True)
        ]
    )
    return points, trained


def test_durations_are_the_powers_of_two_up_to_a_number_of_steps():
    assert [durations(1), durations(7), durations(64)] == [[1], [1, 2, 4], [1, 2, 4, 8, 16, 32, 64]]


def test_errors_are_above_those_of_the_network_that_was_converted(tables):
    rows = summary(*tables).set_index(["method", "steps"])
    # 11 and 12 of 50 were wrong; 2 of 50 before.
    assert rows.loc[(PLAIN, 2), "error"] == pytest.approx(23)
    assert rows.loc[(PLAIN, 2), "above"] == pytest.approx(19)
    assert (rows.loc[(PLAIN, 2), "error_low"], rows.loc[(PLAIN, 2), "error_high"]) == (22, 24)
    assert rows.loc[(LEVELS, 1), "above"] == pytest.approx(4)
    assert rows.loc[(LEVELS, 1), "lead"] == pytest.approx(0.65 - 0.2)
    assert set(rows["networks"]) == {2}


def test_the_figure_shows_the_means_and_the_trained_networks(tables):
    table = summary(*tables)
    errors, causes = plot_methods(table, tables[1]).axes[:2]
    level, *lines = errors.get_lines()
    assert list(np.unique(level.get_ydata())) == [4.0]
    drawn = {tuple(line.get_ydata()) for line in lines}
    assert {(40.0, 23.0), (10.0, 8.0)} <= drawn
    named = [label.get_text() for label in causes.get_yticklabels()]
    assert named == [PLAIN, LEVELS]
    shown = {tuple(np.round(np.asarray(line.get_xdata(), np.float64), 3)) for line in causes.get_lines()}
    assert {(0.1, 0.1), (0.65, 0.65), (0.2, 0.2)} <= shown

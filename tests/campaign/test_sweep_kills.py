"""SIGKILL before every single change that a sweep makes on the disk, and at random moments: nothing is lost or left.

The same command again gives the same table, bit by bit but for the seconds, and simulates only what has no row yet.
"""

import shutil

import numpy as np
import pandas as pd
import pytest

from tests.campaign.commands import fill_sweep, in_fork, killed_after, killed_at, names, sweep
from tests.campaign.limits import Limits, untouched_python

PATIENT = Limits(wall_s=120)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Return a folder with the inputs of a sweep and, in ``run``, what an undisturbed one wrote."""
    folder = tmp_path_factory.mktemp("swept")
    with untouched_python("brian_snn.cli.sweep") as python:
        assert python.submit(in_fork, fill_sweep, folder, limits=PATIENT).result().kind == "returned"
        assert python.submit(in_fork, sweep, folder, limits=PATIENT).result().unwrap() == (0, "")
    return folder


def elsewhere(function, *arguments):
    """Call a function that forks in a Python where TensorFlow has not been at work."""
    with untouched_python("brian_snn.cli.sweep") as python:
        return python.submit(function, *arguments).result()


def measured(run):
    """Return the table of a sweep but for the seconds that it took."""
    return pd.read_csv(run / "sweep.csv").drop(columns="seconds")


def begin(swept, place):
    """Copy the inputs of a sweep."""
    return shutil.copytree(swept, place, ignore=shutil.ignore_patterns("run"))


def finish(swept, place):
    """Give the same command again and look at what it leaves: the same table and rows, and nothing else."""
    assert in_fork(sweep, place, limits=PATIENT).unwrap() == (0, "")
    pd.testing.assert_frame_equal(measured(place / "run"), measured(swept / "run"), check_exact=True)
    assert names(place / "run") == names(swept / "run")
    assert names(place / "run" / "points") == names(swept / "run" / "points")
    assert names(place) == names(swept) and names(place / "tmp") == []
    shutil.rmtree(place)


def kill_at_changes(swept, folder, numbers):
    """Kill a sweep before changes of these numbers until one comes through; return how many were killed."""
    for n in numbers:
        place = begin(swept, folder / str(n))
        outcome = in_fork(killed_at, n, place, sweep, place, limits=PATIENT)
        assert outcome.kind == "returned" or outcome.value == "SIGKILL", (n, outcome)
        finish(swept, place)
        if outcome.kind == "returned":
            return n - 1
    return len(numbers)


def kill_at_random(swept, folder, n_series, longest_s):
    """Kill sweeps at random moments, each three times before it may end; return how many were killed."""
    rng, n_killed = np.random.default_rng(n_series), 0
    for number in range(n_series):
        place = begin(swept, folder / str(number))
        for seconds in rng.uniform(0, longest_s, 3):
            n_killed += in_fork(killed_after, seconds, sweep, place, limits=PATIENT).unwrap()
        finish(swept, place)
    return n_killed


def test_a_moment_of_a_sweep(swept, tmp_path):
    assert elsewhere(kill_at_changes, swept, tmp_path, [30]) == 1


@pytest.mark.campaign
def test_every_moment_of_a_sweep(swept, tmp_path):
    assert elsewhere(kill_at_changes, swept, tmp_path, range(1, 1000)) > 20


@pytest.mark.campaign
def test_random_moments_of_a_sweep(swept, tmp_path):
    assert elsewhere(kill_at_random, swept, tmp_path, 12, 3.0) >= 12

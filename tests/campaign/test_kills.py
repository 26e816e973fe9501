"""SIGKILL before every single change that a run or a build makes on the disk, and at random moments.

Whatever the moment, the earlier result or the new one is there, and the same command again gives the same bits as one
that nothing disturbed, and leaves nothing behind.
"""

import functools
import shutil

import numpy as np
import pytest

from brian_snn import load_result
from brian_snn.errors import DataError
from tests.campaign.commands import (
    FILES,
    arrays,
    build,
    fill,
    in_fork,
    killed_after,
    killed_at,
    names,
    simulate,
)
from tests.campaign.limits import Limits

PATIENT = Limits(wall_s=600)

#: How each run begins: nothing, a finished one of other settings, one of which a shard is missing, one that was killed
#: before it noted its time.
BEGINNINGS = {"fresh": (), "replacing": ("--force",), "resumed": (), "untimed": ()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return a folder with inputs, an earlier result ``old`` and a new one ``new``."""
    folder = tmp_path_factory.mktemp("undisturbed")
    fill(folder)
    for reset, name in (("subtraction", "old"), ("zero", "new")):
        assert in_fork(functools.partial(simulate, folder, reset=reset)).unwrap() == (0, "")
        (folder / "run").rename(folder / name)
    return folder


def begin(undisturbed, folder, how):
    """Fill a folder for a run that begins in a certain way."""
    shutil.copytree(undisturbed, folder)
    earlier = {"replacing": "old", "resumed": "new", "untimed": "new"}.get(how)
    if earlier:
        shutil.copytree(folder / earlier, folder / "run")
    if how == "resumed":
        (folder / "run" / "shards" / "000000002.npz").unlink()
    if how == "untimed":
        path = folder / "run" / "result.json"
        path.write_text(path.read_text().replace('"timings_s"', '"first"'))
    return folder


def stands(folder, undisturbed, how):
    """Whether the earlier result is there as it was, or else the new one has a shard or is about to arrive."""
    run = folder / "run"
    if how == "fresh":
        return True
    try:
        return arrays(run) in (arrays(undisturbed / "old"), arrays(undisturbed / "new"))
    except (DataError, FileNotFoundError):
        return any(run.glob("shards/*.npz")) or any(run.glob(".arrived/shards/*.npz"))


def kill_at_every_change(undisturbed, folder, how, numbers):
    """Kill a run before changes of these numbers until one comes through; return how many were killed."""
    expected = arrays(undisturbed / "new")
    for n in numbers:
        place = begin(undisturbed, folder / str(n), how)
        options = BEGINNINGS[how]
        outcome = in_fork(killed_at, n, place, simulate, place, *options, limits=PATIENT)
        assert stands(place, undisturbed, how), (how, n)
        # Another time, killed at another place: what is left of two of them is no more trouble.
        in_fork(killed_at, 1 + n // 2, place, simulate, place, *options, limits=PATIENT)
        assert stands(place, undisturbed, how), (how, n)
        assert in_fork(simulate, place, *options, limits=PATIENT).unwrap() == (0, ""), (how, n)
        assert arrays(place / "run") == expected, (how, n)
        assert load_result(place / "run").timings_s["run"] >= 0
        assert names(place / "run") == FILES, (how, n)
        assert names(place / "run" / "shards") == names(undisturbed / "new" / "shards"), (how, n)
        assert names(place) == sorted([*names(undisturbed), "run"]) and names(place / "tmp") == [], (how, n)
        shutil.rmtree(place)
        if outcome.kind == "returned":
            return n - 1
        assert outcome.value == "SIGKILL", (how, n, outcome)
    return len(numbers)


@pytest.mark.parametrize(("how", "n"), [("fresh", 20), ("replacing", 30), ("resumed", 9), ("untimed", 5)])
def test_a_moment_of_a_run(undisturbed, tmp_path, how, n):
    assert kill_at_every_change(undisturbed, tmp_path, how, [n]) == 1


@pytest.mark.campaign
@pytest.mark.parametrize("how", BEGINNINGS)
def test_every_moment_of_a_run(undisturbed, tmp_path, how):
    assert kill_at_every_change(undisturbed, tmp_path, how, range(1, 1000)) > 10


def kill_builds(folder, numbers, stand_in):
    """Kill a build before changes of these numbers until one comes through; return how many were killed."""
    (folder / "cache").mkdir()
    (folder / "tmp").mkdir()
    expected = in_fork(build, folder, stand_in, limits=PATIENT).unwrap()
    for n in numbers:
        shutil.rmtree(folder / "cache")
        outcome = in_fork(killed_at, n, folder / "cache", build, folder, stand_in, limits=PATIENT)
        assert in_fork(build, folder, stand_in, limits=PATIENT).unwrap() == expected, n
        assert len([name for name in names(folder / "cache") if not name.endswith(".lock")]) == 1, n
        assert names(folder / "tmp") == [], n
        if outcome.kind == "returned":
            return n - 1
        assert outcome.value == "SIGKILL", (n, outcome)
    return len(numbers)


def test_a_few_moments_of_a_build(tmp_path):
    assert kill_builds(tmp_path, (1, 2, 4, 7), stand_in=True) == 4


@pytest.mark.campaign
@pytest.mark.parametrize("stand_in", [True, False])
def test_every_moment_of_a_build(tmp_path, stand_in):
    assert kill_builds(tmp_path, range(1, 1000), stand_in) > 5


def kill_at_random(undisturbed, folder, n_series, backend, longest_s):
    """Kill the same run again and again at random moments, then let it come to its end; return how many were killed."""
    expected, rng, n_killed = arrays(undisturbed / "new"), np.random.default_rng(n_series), 0
    for number in range(n_series):
        place = begin(undisturbed, folder / str(number), "fresh")
        run = functools.partial(simulate, place, backend=backend)
        for seconds in rng.uniform(0, longest_s, 3):
            n_killed += in_fork(killed_after, seconds, run, limits=PATIENT).unwrap()
        assert in_fork(run, limits=PATIENT).unwrap() == (0, "")
        found = arrays(place / "run")
        # Settings say which backend it was; the numbers are the same.
        assert found == expected
        assert names(place / "run") == FILES
        assert names(place / "tmp") == []
        shutil.rmtree(place)
    return n_killed


def test_a_few_random_moments(undisturbed, tmp_path):
    assert kill_at_random(undisturbed, tmp_path, 1, "runtime", 0.2) >= 1


@pytest.mark.campaign
@pytest.mark.parametrize(("backend", "longest_s"), [("runtime", 1), ("standalone", 12)])
def test_many_random_moments(undisturbed, tmp_path, backend, longest_s):
    assert kill_at_random(undisturbed, tmp_path, 12, backend, longest_s) >= 12

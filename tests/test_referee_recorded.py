"""Runs that other simulators gave, recorded by tests/data/referee/record_runs.py: the verdicts on their neurons."""

from pathlib import Path

import numpy as np
import pytest

import brian_snn
from brian_snn.network.records import INPUT, Geometry, Population, Projection

FOLDER = Path(__file__).resolve().parent / "data" / "referee"


@pytest.fixture(scope="module")
def cnn():
    """Return the network and its images, channels last."""
    arrays = np.load(FOLDER / "cnn.npz")
    shapes = {"conv1": (12, 12, 4), "conv2": (5, 5, 8), "out": (10,)}
    populations = tuple(
        Population(name, "spiking", shape, np.broadcast_to(arrays[f"{name}_bias"], shape).astype(float), depth)
        for depth, (name, shape) in enumerate(shapes.items(), start=1)
    )
    rows = arrays["out"].reshape(10, 8, 5, 5).transpose(2, 3, 1, 0).reshape(200, 10)
    maps = (
        (INPUT, "conv1", Geometry("conv2d", (14, 14, 1), (12, 12, 4), (3, 3)), arrays["conv1"].transpose(2, 3, 1, 0)),
        (
            "conv1",
            "conv2",
            Geometry("conv2d", (12, 12, 4), (5, 5, 8), (3, 3), (2, 2)),
            arrays["conv2"].transpose(2, 3, 1, 0),
        ),
        ("conv2", "out", Geometry("dense", (200,), (10,)), rows),
    )
    projections = tuple(Projection(s, t, g, np.asarray(w, float)) for s, t, g, w in maps)
    network = brian_snn.Network(populations, projections, (14, 14, 1), grid=2.0**-24)
    return network, arrays["images"].transpose(0, 2, 3, 1)


VERDICTS = {
    "sinabs": "many spikes a step",
    "sinabs_single": "Eq. (4b)",
    "sinabs_single_zero": "reset to zero",
    "snntorch": "> instead of >=",
    "snntorch_no_delay": "> instead of >= and withheld spike",
    "snntorch_zero": "reset to zero and > instead of >=",
    "spikingjelly_soft": "Eq. (4b)",
    "spikingjelly_hard": "reset to zero",
}


@pytest.mark.parametrize("name", VERDICTS)
def test_a_recorded_run_is_given_its_rule(cnn, name):
    network, images = cnn
    found = brian_snn.check(network, FOLDER / f"{name}.npz", images, layout="chw")
    assert (found.rule, found.rounding) == (VERDICTS[name], 0)
    assert found.same == (VERDICTS[name] == "Eq. (4b)")


def test_what_is_expected_may_be_the_other_reset(cnn):
    network, images = cnn
    found = brian_snn.check(network, FOLDER / "spikingjelly_hard.npz", images, layout="chw", reset="zero")
    assert (found.rule, found.same) == ("Eq. (4a)", True)

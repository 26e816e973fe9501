"""One simulation that is written into a folder, and what a plain loop says of it."""

import numpy as np

from brian_snn import simulate
from tests.small_network import CHECKPOINTS, STEPS, loop_result

N_IMAGES = 5
OPTIONS = {
    "steps": STEPS,
    "reset": "zero",
    "clamp": 3,
    "threshold": 0.75,
    "record_spikes": ("conv", "pool"),
    "record_potentials": ("out",),
    "record_counts": ("conv",),
    "checkpoints": CHECKPOINTS,
}


def loop_of(network, images):
    """Return what the plain loop computes, by field."""
    loop = loop_result(network, images, clamp=3, reset="zero", threshold=0.75)
    return {
        field: loop.by_population(field)
        for field in ("spike_counts", "potentials", "charge", "surplus", "spike_trains")
    }


def run(network, images, **changes):
    return simulate(network, images, **{"backend": "runtime", **OPTIONS, **changes})


def differences(result, expected):
    """Return what differs from the plain loop."""
    return [
        (field, name)
        for field, arrays in expected.items()
        for name, values in result.by_population(field).items()
        if not np.array_equal(values, arrays[name])
    ]

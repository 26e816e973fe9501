"""Networks in which every term of the error arises, and settings to simulate them with by a plain loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from tests.error_oracle import dense_activations
from tests.small_network import loop_result, small_images, small_network, to_grid

CASES = {
    "subtraction": {},
    "zero": {"reset": "zero"},
    "threshold": {"threshold": 1.7},
    "threshold and start, zero": {"threshold": 0.7, "v_init": 0.3, "reset": "zero"},
    "start above threshold": {"v_init": 1.5},
    "start below zero": {"v_init": -0.5, "reset": "zero"},
    "clamp": {"clamp": 4},
    "clamp, zero": {"clamp": 2, "reset": "zero"},
    "clamped to the end": {"clamp": 12},
    "spiking readout": {"readout": "spikes"},
    "Brian2's order": {"schedule": "brian2", "clamp": 2},
}


def wild_network():
    """Return the small network with silent and saturated neurons, a ceiling, and scales other than 1."""
    network = small_network()
    bias = to_grid(network["conv"].bias + np.linspace(-1, 1.5, 60).reshape(5, 4, 3))
    changes = {
        "conv": {"bias": bias, "scale": 2.0},
        "mixed": {"scale": 0.5, "ceiling": 0.75},
        "out": {"bias": to_grid([-0.6, 0.2, 1.1, 0.0])},
    }
    return replace(network, populations=tuple(replace(p, **changes.get(p.name, {})) for p in network.populations))


def two_depth_pool():
    """Return a network whose max pool takes neurons of the first and of the second layer into one window."""
    rng = np.random.default_rng(11)
    shapes = {"first": (2, 2, 1), "second": (2, 2, 1), "pool": (1, 2, 1), "out": (3,)}
    window = Geometry("max_pool", (2, 2, 1), (1, 2, 1), (2, 1))
    dense = {("first", "second"): (4, 4), (INPUT, "first"): (40, 4), ("pool", "out"): (2, 3)}
    projections = [
        Projection(s, t, Geometry("dense", (n,), (m,)), to_grid(rng.uniform(0, 2 / n, (n, m))))
        for (s, t), (n, m) in dense.items()
    ]
    projections += [Projection(source, "pool", window, None) for source in ("first", "second")]
    kinds, depths = {"pool": "max_pool", "out": "readout"}, {"first": 1, "second": 2, "pool": 2, "out": 3}
    populations = tuple(
        Population(n, kinds.get(n, "spiking"), shape, to_grid(0.02 * np.ones(shape)) * (n != "pool"), depths[n])
        for n, shape in shapes.items()
    )
    return Network(populations, tuple(projections), (5, 4, 2), grid=2.0**-24)


def uneven_network():
    """Return a second layer of 60 neurons with large weights of both signs, whose input sways."""
    rng = np.random.default_rng(8)
    maps = {(INPUT, "conv"): to_grid(rng.uniform(0, 1 / 20, (40, 12))), ("conv", "mixed"): rng.normal(0, 3, (12, 60))}
    projections = tuple(
        Projection(s, t, Geometry("dense", (len(w),), (w.shape[1],)), to_grid(w)) for (s, t), w in maps.items()
    )
    populations = (
        Population("conv", "spiking", (12,), np.zeros(12), 1),
        Population("mixed", "spiking", (60,), np.zeros(60), 2),
    )
    return Network(populations, projections, (5, 4, 2), grid=2.0**-24)


def simulated(network=None, **options):
    """Return a simulation and the ANN's activations."""
    network = wild_network() if network is None else network
    images = small_images()
    return loop_result(network, images, **options), dense_activations(network, images)

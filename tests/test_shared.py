"""Shared kernels against explicit synapses: many geometries in one compiled network, equal to the last bit."""

import numpy as np
import pytest

from brian_snn import simulate
from brian_snn.backends.shared_kernel import input_of_source
from brian_snn.network.maps import output_length
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.simulation.topology import Link
from tests.small_network import GRID, differences, to_grid

SOURCE = (7, 6, 4)
N_GEOMETRIES = 30


def random_geometry(rng):
    """Draw a window over the source that fits at least once."""
    kind = rng.choice(["conv2d", "depthwise", "average_pool", "max_pool"])
    # Neighbouring windows of all channels have code of their own.
    is_plain = kind == "conv2d" and rng.random() < 0.5
    kernel, strides, dilation, paddings = [], [], [], []
    for length in SOURCE[:2]:
        kernel.append(int(rng.integers(1, 5)))
        strides.append(1 if is_plain else int(rng.integers(1, 4)))
        dilation.append(1 if is_plain or "pool" in kind else int(rng.integers(1, 3)))
        reach = dilation[-1] * (kernel[-1] - 1)
        # A pooling window must hold at least one input.
        most = max(0, kernel[-1] - 1) if "pool" in kind else 3
        before, after = (int(n) for n in rng.integers(0, most + 1, 2))
        paddings.append((before, max(after, reach + 1 - length - before)))
    lengths = [output_length(n, *rest) for n, *rest in zip(SOURCE, kernel, strides, dilation, paddings, strict=False)]
    groups = int(rng.choice([1, 2, 4])) if kind == "conv2d" and not is_plain else 1
    channels = {"conv2d": groups * int(rng.integers(1, 4)), "depthwise": 4 * int(rng.integers(1, 3))}.get(kind, 4)
    sizes = tuple(kernel), tuple(strides), tuple(dilation), tuple(paddings)
    return Geometry(str(kind), SOURCE, (*lengths, channels), *sizes, groups)


def random_network(seed):
    """Return a network in which one population feeds many others, each through another geometry."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(SOURCE))
    identity = Geometry("identity", SOURCE, SOURCE)
    populations = [Population("source", "spiking", SOURCE, np.zeros(SOURCE), 1)]
    projections = [Projection(INPUT, "source", identity, np.ones(SOURCE))]
    for number in range(N_GEOMETRIES):
        geometry = random_geometry(rng)
        name, shape = f"target{number}", geometry.output_shape
        kind = "max_pool" if geometry.kind == "max_pool" else "spiking"
        weights = None if kind == "max_pool" else to_grid(rng.normal(0.1, 0.4, geometry.weights_shape))
        routed = {}
        if number % 3 == 0:
            # Some inputs are constant zeros, the others come in any order.
            index = rng.permutation(size).astype(np.int32)
            index[rng.random(size) < 0.2] = -1
            routed["source_index"] = index
        if number % 5 == 0:
            routed["target_index"] = rng.permutation(geometry.n_out).astype(np.int32)
        bias = np.zeros(shape) if kind == "max_pool" else to_grid(rng.normal(0, 0.1, shape))
        populations.append(Population(name, kind, shape, bias, 1 if kind == "max_pool" else 2))
        projections.append(Projection("source", name, geometry, weights, **routed))
    populations.append(Population("out", "readout", (3,), np.zeros(3), 2))
    projections.append(
        Projection("source", "out", Geometry("dense", (size,), (3,)), to_grid(rng.normal(size=(size, 3))))
    )
    return Network(tuple(populations), tuple(projections), SOURCE, grid=GRID)


@pytest.mark.parametrize("seed", range(4))
def test_in_process_kernels_spike_as_synapses_do(seed):
    network, images = random_network(seed), np.random.default_rng(seed).uniform(-0.2, 1.2, (1, *SOURCE))
    shared, synapses = (
        simulate(network, images, steps=12, backend="runtime", projection=p) for p in ("shared", "synapses")
    )
    assert differences(shared, synapses) == []
    assert sum(int(counts.sum()) for counts in shared.spike_counts.values()) > 1000


@pytest.mark.slow
def test_compiled_kernels_spike_as_synapses_do():
    network, images = random_network(20), np.random.default_rng(20).uniform(-0.2, 1.2, (2, *SOURCE))
    shared = simulate(network, images, steps=20, reset="zero", projection="shared")
    synapses = simulate(network, images, steps=20, reset="zero", projection="synapses", backend="runtime")
    assert differences(shared, synapses) == []


def test_the_inverse_of_a_source_index_leads_back():
    link = Link(0, 0, 1, True, Geometry("dense", (4,), (1,)), np.array([5, -1, 0, 2], np.int32), None)
    assert input_of_source(link, 6).tolist() == [2, -1, 3, -1, -1, 0]

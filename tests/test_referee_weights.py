"""What the referee takes other simulators to do to weights, and how it reads a large run."""

import zipfile
from itertools import pairwise

import numpy as np
import pytest

from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.referee.replay import Judging
from brian_snn.referee.run_npz import read
from brian_snn.referee.sources import Clock
from brian_snn.referee.weights import CHANGES, channels_first
from tests.campaign.limits import Limits, run_limited
from tests.test_hostile_data import npy_header

RNG = np.random.default_rng(0)


def one_map(geometry, weights, source_shape):
    """Return image -> source (as it is) -> target, and the second map."""
    size = int(np.prod(source_shape))
    populations = (
        Population("source", "spiking", source_shape, np.zeros(source_shape), 1),
        Population("target", "spiking", geometry.output_shape, np.zeros(geometry.output_shape), 2),
    )
    image = Projection(INPUT, "source", Geometry("identity", (size,), (size,)), np.ones(size))
    return Network(populations, (image, Projection("source", "target", geometry, weights)), (size,))


def changed(name, network):
    """Return the weights of the second map after a change."""
    assert CHANGES[name].applies(network)
    return CHANGES[name].network(network).projections[1].weights


def test_an_average_composed_into_a_convolution_is_found():
    kernel = RNG.normal(size=(3, 3, 2, 4))
    composed = np.kron(kernel.transpose(2, 3, 0, 1), np.full((2, 2), 0.25)).transpose(2, 3, 0, 1)
    network = one_map(Geometry("conv2d", (8, 8, 2), (2, 2, 4), (6, 6), (2, 2)), composed, (8, 8, 2))
    assert np.array_equal(changed("average pooling as a sum", network), 4 * composed)
    assert np.array_equal(changed("sum pooling as an average", network), composed / 4)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_an_average_composed_into_a_dense_layer_is_found(size):
    rows = RNG.normal(size=(2, 2, 3, 5))
    composed = (rows / size**2).repeat(size, axis=0).repeat(size, axis=1)
    shape = composed.shape[:3]
    n = int(np.prod(shape))
    network = one_map(Geometry("dense", (n,), (5,)), composed.reshape(n, 5), shape)
    assert np.array_equal(changed("average pooling as a sum", network), composed.reshape(n, 5) * size**2)


def test_plain_weights_are_no_average():
    network = one_map(Geometry("dense", (16,), (5,)), RNG.normal(size=(16, 5)), (4, 4, 1))
    assert not CHANGES["average pooling as a sum"].applies(network)
    assert not CHANGES["sum pooling as an average"].applies(network)
    # With one channel both orders are the same.
    assert not CHANGES["flattened channels first"].applies(network)


def test_the_order_of_flattening_is_that_of_a_transposed_array():
    shape, names = (2, 3, 4), ("flattened channels first", "rows of a channels-first model, flattened channels last")
    spikes, weights = RNG.normal(size=shape), RNG.normal(size=(24, 5))
    network = one_map(Geometry("dense", (24,), (5,)), weights, shape)
    first, last = (changed(name, network) for name in names)
    assert np.allclose(spikes.ravel() @ first, spikes.transpose(2, 0, 1).ravel() @ weights)
    assert np.array_equal(last[channels_first(shape)], weights)


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_weights_of_few_bits_have_so_many_levels(bits):
    network = one_map(Geometry("dense", (40,), (50,)), RNG.normal(size=(40, 50)), (40,))
    weights = network.projections[1].weights
    rounded = changed(f"weights of {bits} bits", network)
    step = np.abs(weights).max() / (2 ** (bits - 1) - 1)
    assert np.abs(rounded - weights).max() <= step / 2 * (1 + 1e-12)
    assert len(np.unique(rounded)) <= 2**bits - 1
    power = changed(f"weights of {bits} bits, step a power of two", network)
    unit = 2.0 ** np.ceil(np.log2(step))
    assert np.array_equal(power / unit, np.rint(power / unit)) and np.abs(power - weights).max() <= unit / 2


def last_step(path):
    """Return the spikes of the last step of the first image."""
    return read(path, Clock()).trains["out"].block(slice(0, 1), slice(99, 100)).shape


def test_a_step_of_a_large_run_is_read_alone(tmp_path):
    with zipfile.ZipFile(tmp_path / "run.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("spikes/out.npy", "w", force_zip64=True) as file:
            file.write(npy_header((2, 100, 2**22)))
            for _ in range(200):
                file.write(bytes(2**22))
    outcome = run_limited(last_step, tmp_path / "run.npz", limits=Limits(2**26, cpu_s=30))
    assert (outcome.kind, outcome.value) == ("returned", (1, 1, 2**22))


class Nothing:
    """A run of which nothing is read."""

    trains, counted = (), ("target",)


@pytest.mark.parametrize("steps", [1, 7, 10_000])
@pytest.mark.parametrize("n_images", [1, 5])
def test_blocks_hold_some_million_numbers_and_leave_nothing_out(steps, n_images):
    network = one_map(Geometry("dense", (3,), (2**18,)), np.ones((3, 2**18)), (3,))
    judging = Judging(network, np.zeros((n_images, 3)), Nothing(), steps)
    blocks = list(judging.blocks())
    places = [(image, step) for images, span in blocks for image in range(images.start, images.stop) for step in span]
    assert all((i.stop - i.start) * len(s) * judging.n_neurons <= 2**22 for i, s in blocks)
    assert sorted(places) == [(image, step) for image in range(n_images) for step in range(steps)]
    assert all(a[0].start <= b[0].start for a, b in pairwise(blocks))

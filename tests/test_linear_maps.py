"""The list of synapses against the map itself, and the maps against loops over every synapse."""

import numpy as np
import pytest

from brian_snn.errors import ModelError, SettingError
from brian_snn.network.maps import apply_map, gather_inputs, output_length, same_padding, scatter_outputs
from brian_snn.network.network import Network
from brian_snn.network.records import Geometry, Population, Projection
from brian_snn.network.synapses import fan_out, n_synapses, synapses, uses_shared_kernels
from brian_snn.settings import Settings

# Size, kernel, strides, dilation, padding: uneven in every direction; the last one has unread rows at the end.
WINDOWS = {
    "strided": ((7, 6), (3, 3), (2, 2), (1, 1), ((1, 1), (0, 1))),
    "even kernel": ((5, 8), (2, 3), (1, 3), (1, 1), ((0, 1), (2, 2))),
    "dilated": ((9, 9), (3, 2), (1, 1), (2, 3), ((2, 2), (0, 0))),
    "pointwise": ((7, 7), (1, 1), (2, 3), (1, 1), ((0, 0), (0, 0))),
    "wide padding": ((2, 3), (3, 3), (1, 2), (1, 1), ((4, 3), (3, 4))),
}


def window(kind, name, n_in=4, n_out=4, groups=1):
    """Return a geometry that slides one of the windows."""
    size, kernel, strides, dilation, padding = WINDOWS[name]
    lengths = [output_length(*axis) for axis in zip(size, kernel, strides, dilation, padding, strict=True)]
    return Geometry(kind, (*size, n_in), (*lengths, n_out), kernel, strides, dilation, padding, groups)


GEOMETRIES = {
    "dense": Geometry("dense", (11,), (5,)),
    "identity": Geometry("identity", (3, 4, 2), (3, 4, 2)),
    **{f"conv2d {name}": window("conv2d", name, n_out=6) for name in WINDOWS},
    **{f"grouped {name}": window("conv2d", name, n_out=6, groups=2) for name in WINDOWS},
    **{f"depthwise {name}": window("depthwise", name, n_out=12) for name in WINDOWS},
    **{f"average {name}": window("average_pool", name) for name in WINDOWS},
    **{f"max {name}": window("max_pool", name) for name in WINDOWS},
}

CASES = [
    pytest.param(geometry, rerouted, id=f"{name}{' rerouted' * rerouted}")
    for name, geometry in GEOMETRIES.items()
    for rerouted in (False, True)
]


def projection_of(geometry, rerouted, rng):
    """Return a projection, its number of sources and of targets; rerouted: shuffled, with holes and spare neurons."""
    weights = None if geometry.weights_shape is None else rng.normal(size=geometry.weights_shape)
    if not rerouted:
        return Projection("a", "b", geometry, weights), geometry.n_in, geometry.n_out
    source = rng.permutation(geometry.n_in + 7)[: geometry.n_in].astype(np.int32)
    source[rng.uniform(size=geometry.n_in) < 0.2] = -1
    target = rng.permutation(geometry.n_out + 5)[: geometry.n_out].astype(np.int32)
    return Projection("a", "b", geometry, weights, source, target), geometry.n_in + 7, geometry.n_out + 5


def loop_over_map(geometry, weights, x):
    """Compute a map of one input element by element."""
    if geometry.kind == "dense":
        return np.array([sum(x[i] * weights[i, j] for i in range(len(x))) for j in range(geometry.n_out)])
    if geometry.kind == "identity":
        return x * weights
    y = np.zeros(geometry.output_shape)
    per_group = geometry.input_shape[2] // geometry.groups
    for row, column, channel in np.ndindex(*geometry.output_shape):
        seen = []
        for i, j in np.ndindex(*geometry.kernel_size):
            h = row * geometry.strides[0] + i * geometry.dilation[0] - geometry.padding[0][0]
            w = column * geometry.strides[1] + j * geometry.dilation[1] - geometry.padding[1][0]
            if not (0 <= h < geometry.input_shape[0] and 0 <= w < geometry.input_shape[1]):
                continue
            if geometry.kind == "conv2d":
                first = channel // (geometry.output_shape[2] // geometry.groups) * per_group
                seen += [x[h, w, first + c] * weights[i, j, c, channel] for c in range(per_group)]
            elif geometry.kind == "depthwise":
                c, m = divmod(channel, weights.shape[3])
                seen.append(x[h, w, c] * weights[i, j, c, m])
            else:
                seen.append(x[h, w, channel])
        if geometry.kind == "max_pool":
            y[row, column, channel] = max(seen, default=0.0)
        else:
            factor = weights[row, column, channel] if geometry.kind == "average_pool" else 1.0
            y[row, column, channel] = sum(seen) * factor
    return y


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_apply_map_equals_a_loop(geometry, rng):
    weights = None if geometry.weights_shape is None else rng.normal(size=geometry.weights_shape)
    x = rng.normal(size=(2, *geometry.input_shape))
    expected = [loop_over_map(geometry, weights, image) for image in x]
    np.testing.assert_allclose(apply_map(geometry, weights, x), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("geometry, rerouted", CASES)
def test_synapses_carry_what_the_map_carries(geometry, rerouted, rng):
    projection, n_source, n_target = projection_of(geometry, rerouted, rng)
    pre, post, index = synapses(projection, n_source)
    # Small whole numbers: sums are exact in any order.
    activity = rng.integers(0, 9, (1, n_source)).astype(float)
    expected, carried = np.zeros((1, n_target)), np.zeros(n_target)
    if geometry.kind == "max_pool":
        np.maximum.at(carried, post, activity[0, pre])
        weights = None
    else:
        weights = rng.integers(-9, 9, geometry.weights_shape).astype(float)
        np.add.at(carried, post, weights.ravel()[index] * activity[0, pre])
    scatter_outputs(projection, apply_map(geometry, weights, gather_inputs(projection, activity)), expected)
    assert np.array_equal(carried, expected[0])


@pytest.mark.parametrize("geometry, rerouted", CASES)
def test_synapses_are_ordered_and_unique(geometry, rerouted, rng):
    projection, n_source, n_target = projection_of(geometry, rerouted, rng)
    pre, post, _ = synapses(projection, n_source)
    assert np.all(np.diff(pre.astype(np.int64) * n_target + post) > 0)


@pytest.mark.parametrize("geometry, rerouted", CASES)
def test_fan_out_counts_the_synapses(geometry, rerouted, rng):
    projection, n_source, _ = projection_of(geometry, rerouted, rng)
    pre, _, _ = synapses(projection, n_source)
    assert np.array_equal(fan_out(projection, n_source), np.bincount(pre, minlength=n_source))


@pytest.mark.parametrize("geometry, rerouted", CASES)
def test_synapses_are_counted_without_listing_them(geometry, rerouted, rng):
    projection, n_source, n_target = projection_of(geometry, rerouted, rng)
    kind = "max_pool" if geometry.kind == "max_pool" else "spiking"
    populations = (
        Population("a", "spiking", (n_source,), np.zeros(n_source), 1),
        Population("b", kind, (n_target,), np.zeros(n_target), 1 + (kind == "spiking")),
    )
    network = Network(populations, (projection,), (1,))
    assert n_synapses(network, projection) == len(synapses(projection, n_source)[0])


def test_more_synapses_than_can_be_numbered_are_refused():
    shape, around = (300, 300, 1), (149, 149)
    pool = Projection("a", "b", Geometry("max_pool", shape, shape, (299, 299), padding=(around, around)), None)
    populations = (
        Population("a", "spiking", shape, np.zeros(shape), 1),
        Population("b", "max_pool", shape, np.zeros(shape), 1),
    )
    network = Network(populations, (pool,), (1,))
    expected = sum(min(149, k) + min(149, 299 - k) + 1 for k in range(300)) ** 2
    assert n_synapses(network, pool) == expected > 2**31
    assert uses_shared_kernels(network, Settings())
    with pytest.raises(SettingError, match=f"a projection has {expected} synapses"):
        uses_shared_kernels(network, Settings(projection="synapses"))


def test_max_pooling_has_no_weight_index(rng):
    projection, n_source, _ = projection_of(GEOMETRIES["max strided"], False, rng)
    assert synapses(projection, n_source)[2] is None


def test_a_neuron_that_does_not_exist_is_named(rng):
    index = np.array([0, 1, 2, 3, 9], dtype=np.int32)
    geometry = Geometry("dense", (5,), (2,))
    with pytest.raises(ModelError, match="reads neuron 9; its source has 5"):
        synapses(Projection("a", "b", geometry, np.ones((5, 2)), index), 5)


@pytest.mark.parametrize(
    "length, kernel, stride, expected",
    [(7, 3, 2, (1, 1)), (6, 3, 2, (0, 1)), (5, 1, 3, (0, 0)), (5, 4, 1, (1, 2)), (4, 2, 4, (0, 0))],
)
def test_same_padding_is_that_of_keras(length, kernel, stride, expected):
    assert same_padding(length, kernel, stride, 1) == expected

"""Operations counted against the non-zero entries of dense matrices and against numbers worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from brian_snn import stream
from brian_snn.analysis.operations import (
    ann_operations,
    operations_by_population,
    operations_over_time,
    snn_operations,
    uneven_fan_out,
)
from brian_snn.errors import DataError, SettingError
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from tests.small_network import CHECKPOINTS, loop_result, projection_matrix, small_images, small_network


@pytest.fixture(scope="module")
def result():
    """Return a simulation with everything recorded."""
    return loop_result(small_network(), small_images())


def synapse_matrices(network):
    """Return {(source, target): matrix of ones and zeros}."""
    sizes = {INPUT: int(np.prod(network.input_shape)), **{p.name: p.size for p in network.populations}}
    return {
        (p.source, p.target): projection_matrix(
            p,
            None if p.weights is None else np.ones_like(p.weights),
            sizes[p.source],
            sizes[p.target],
        )
        for p in network.projections
    }


def test_ann_operations_are_the_synapses_that_multiply_or_add():
    matrices = synapse_matrices(small_network())
    assert ann_operations(small_network()) == sum(m.sum() for pair, m in matrices.items() if pair[1] != "pool")


def test_taps_on_the_padding_are_left_out():
    """A 3x3 kernel on a 3x3 image, 'same': 4 corners with 4 taps, 4 edges with 6, one centre with 9."""
    geometry = Geometry("conv2d", (3, 3, 2), (3, 3, 5), (3, 3), padding=((1, 1), (1, 1)))
    population = Population("conv", "readout", (3, 3, 5), np.zeros((3, 3, 5)), 1)
    network = Network((population,), (Projection(INPUT, "conv", geometry, np.ones((3, 3, 2, 5))),), (3, 3, 2))
    assert ann_operations(network) == (4 * 4 + 4 * 6 + 9) * 2 * 5


def test_snn_operations_are_one_per_spike_and_synapse(result):
    expected = np.zeros(3)
    for (source, _), matrix in synapse_matrices(result.network).items():
        if source == INPUT:
            expected += matrix.sum()
        else:
            expected += (result.spike_counts[source].reshape(3, -1) @ matrix).sum(axis=1)
    np.testing.assert_array_equal(snn_operations(result), expected)


def test_snn_operations_are_the_synaptic_events_and_the_first_layer(result):
    first_layer = synapse_matrices(result.network)[INPUT, "conv"].sum()
    np.testing.assert_array_equal(snn_operations(result), result.synaptic_events + first_layer)


def test_the_table_adds_up_to_the_operations(result):
    table = operations_by_population(result)
    first_layer = synapse_matrices(result.network)[INPUT, "conv"].sum()
    assert table.events_per_image.sum() + first_layer == pytest.approx(snn_operations(result).mean(), rel=1e-12)


def test_the_table_lists_incoming_synapses(result):
    matrices = synapse_matrices(result.network)
    table = operations_by_population(result).set_index("population")
    for name in ("conv", "pool", "average", "mixed", "out"):
        assert table.synapses[name] == sum(m.sum() for pair, m in matrices.items() if pair[1] == name)


def test_the_table_has_means_per_neuron(result):
    conv = operations_by_population(result).set_index("population").loc["conv"]
    spikes = result.spike_counts["conv"].sum() / (3 * 60)
    assert (conv.neurons, conv.spikes_per_neuron) == (60, spikes)
    assert conv.mean_rate_hz == pytest.approx(spikes / 30e-3, rel=1e-12)


def test_a_result_in_pieces_has_the_table_and_the_operations_of_the_whole(result):
    settings = replace(result.settings, backend="runtime")
    parts = tuple(stream(result.network, result.images, settings, shard_size=2))
    assert [len(part.images) for part in parts] == [2, 1]
    pieces = replace(result, spike_counts={}, pieces=parts)
    assert operations_by_population(pieces).equals(operations_by_population(result))
    np.testing.assert_array_equal(snn_operations(pieces), snn_operations(result))


def test_operations_at_a_checkpoint_are_those_of_a_shorter_run(result):
    shorter = [
        snn_operations(replace(result, spike_counts={n: h[k] for n, h in result.count_history.items()}))
        for k in range(len(CHECKPOINTS))
    ]
    np.testing.assert_array_equal(operations_over_time(result), shorter)


def test_the_last_checkpoint_is_the_whole_run(result):
    np.testing.assert_array_equal(operations_over_time(result)[-1], snn_operations(result))


def test_what_is_estimated_is_exact_at_the_end_and_between_the_least_and_the_most(result):
    bare = replace(result, count_history={})
    estimated, whole = operations_over_time(bare, estimate=True), operations_over_time(result)
    np.testing.assert_array_equal(estimated[-1], whole[-1])
    assert (np.diff(estimated, axis=0) >= 0).all() and (estimated[:-1] != whole[:-1]).any()
    np.testing.assert_allclose(estimated, whole, rtol=0.25)


def test_what_is_recorded_is_not_estimated(result):
    np.testing.assert_array_equal(operations_over_time(result, estimate=True), operations_over_time(result))


def test_a_uniform_fan_out_needs_totals_only():
    populations = (
        Population("first", "spiking", (6,), np.full(6, 0.375), 1),
        Population("second", "spiking", (4,), np.full(4, 0.375), 2),
    )
    projections = (
        Projection(INPUT, "first", Geometry("dense", (40,), (6,)), np.full((40, 6), 2.0**-6)),
        Projection("first", "second", Geometry("dense", (6,), (4,)), np.full((6, 4), 2.0**-3)),
    )
    full = loop_result(Network(populations, projections, (5, 4, 2), grid=2.0**-24), small_images())
    np.testing.assert_array_equal(operations_over_time(replace(full, count_history={})), operations_over_time(full))


def test_counts_that_are_needed_and_missing_are_named(result):
    history = {name: counts for name, counts in result.count_history.items() if name != "conv"}
    with pytest.raises(DataError, match="'conv'"):
        operations_over_time(replace(result, count_history=history))


def test_counts_are_needed_where_neurons_of_a_population_differ_in_fan_out(result):
    fan_out = {name: np.zeros(population.size) for name, population in by_name(result.network).items()}
    for (source, _), matrix in synapse_matrices(result.network).items():
        if source != INPUT:
            fan_out[source] += matrix.sum(axis=1)
    assert uneven_fan_out(result.network) == tuple(name for name, fan in fan_out.items() if len(set(fan)) > 1)
    needed = {name: result.count_history[name] for name in uneven_fan_out(result.network)}
    np.testing.assert_array_equal(
        operations_over_time(replace(result, count_history=needed)), operations_over_time(result)
    )


def by_name(network):
    """Return the populations by their names."""
    return {population.name: population for population in network.populations}


# --- the paper's count ----------------------------------------------------------------------------------------------


def test_the_paper_counts_a_small_cnn_in_closed_form():
    """Conv 3x3 'same' to 4 maps of 6x5, pooling, depthwise 2x2 to 8 maps of 3x2, dense: the sum of (2 f_in + 1) n."""
    conv = Geometry("conv2d", (6, 5, 2), (6, 5, 4), (3, 3), padding=((1, 1), (1, 1)))
    pool = Geometry("max_pool", (6, 5, 4), (4, 3, 4), (3, 3))
    mean = Geometry("average_pool", (4, 3, 4), (4, 3, 4), (1, 1))
    depthwise = Geometry("depthwise", (4, 3, 4), (3, 2, 8), (2, 2))
    grouped = Geometry("conv2d", (3, 2, 8), (3, 2, 6), (1, 1), groups=2)
    shortcut = Geometry("identity", (3, 2, 6), (3, 2, 6))
    dense = Geometry("dense", (36,), (5,))
    layers = [("conv", conv), ("pool", pool), ("mean", mean), ("depthwise", depthwise), ("grouped", grouped)]
    layers += [("sum", shortcut), ("out", dense)]
    populations, projections, source, depth = [], [], INPUT, 0
    for name, geometry in layers:
        depth += name != "pool"
        kind = "max_pool" if name == "pool" else "readout" if name == "out" else "spiking"
        populations.append(Population(name, kind, geometry.output_shape, np.zeros(geometry.output_shape), depth))
        shape = geometry.weights_shape if geometry.weights_shape is not None else ()
        weights = None if name == "pool" else np.ones(shape)
        projections.append(Projection(source, name, geometry, weights))
        source = name
    network = Network(tuple(populations), tuple(projections), (6, 5, 2))
    f_in = {"conv": 3 * 3 * 2, "depthwise": 2 * 2, "grouped": 8 // 2, "out": 36}
    n = {"conv": 6 * 5 * 4, "depthwise": 3 * 2 * 8, "grouped": 3 * 2 * 6, "out": 5}
    assert ann_operations(network, "paper") == sum((2 * f_in[name] + 1) * n[name] for name in f_in)


def test_several_projections_onto_a_population_share_its_bias():
    """An image and its other half, each through a matrix, into the same four neurons."""
    population = Population("out", "readout", (4,), np.zeros(4), 1)
    projections = tuple(Projection(INPUT, "out", Geometry("dense", (n,), (4,)), np.ones((n, 4))) for n in (3, 5))
    network = Network((population,), projections, (8,))
    assert ann_operations(network, "paper") == 2 * 3 * 4 + 2 * 5 * 4 + 4
    assert ann_operations(network) == ann_operations(network, "synapses") == 3 * 4 + 5 * 4


def test_the_paper_counts_the_fan_out_of_every_spike(result):
    expected = np.zeros(3, int)
    for (source, _), matrix in synapse_matrices(result.network).items():
        if source != INPUT:
            for image, counts in enumerate(result.spike_counts[source].reshape(3, -1)):
                for neuron, spikes in enumerate(counts):
                    expected[image] += spikes * int(np.count_nonzero(matrix[neuron]))
    assert np.array_equal(snn_operations(result, "paper"), expected)
    assert np.array_equal(snn_operations(result, "paper"), result.synaptic_events)


def test_the_counts_differ_by_the_first_layer(result):
    first_layer = synapse_matrices(result.network)[INPUT, "conv"].sum()
    assert np.array_equal(snn_operations(result) - snn_operations(result, "paper"), [first_layer] * 3)
    over_time = operations_over_time(result), operations_over_time(result, "paper")
    assert np.array_equal(over_time[0] - over_time[1], np.full_like(over_time[0], first_layer))


@pytest.mark.parametrize("function", [ann_operations, snn_operations, operations_over_time])
def test_an_unknown_count_is_named(result, function):
    given = result.network if function is ann_operations else result
    with pytest.raises(SettingError, match="count is 'flops'; it must be one of synapses, paper"):
        function(given, "flops")

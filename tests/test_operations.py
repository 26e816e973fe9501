"""Operations counted against the non-zero entries of dense matrices and against numbers worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from brian_snn import Execution, stream
from brian_snn.analysis.operations import (
    ann_operations,
    operations_by_population,
    operations_over_time,
    snn_operations,
    uneven_fan_out,
)
from brian_snn.conversion.graph import INPUT, Geometry, Network, Population, Projection
from brian_snn.errors import DataError
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
    parts = tuple(stream(result.network, result.images, settings, execution=Execution(shard_size=2)))
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

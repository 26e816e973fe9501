"""The charge of plain neurons, which is worked out after the run, and what `verify` can and cannot say of it."""

from dataclasses import replace

import numpy as np
import pytest
from brian2 import ms

from brian_snn import simulate, verify
from brian_snn.results.charges import Charges
from tests.small_network import small_network

IN_PROCESS = {"backend": "runtime", "steps": 30}


@pytest.fixture(scope="module")
def images():
    network = small_network()
    return np.random.default_rng(0).integers(0, 17, (7, *network.input_shape)) / 16


@pytest.mark.parametrize("shard_size", [7, 3])
@pytest.mark.parametrize("reset", ["subtraction", "zero"])
def test_it_is_what_has_been_through_the_membrane(images, reset, shard_size):
    result = simulate(small_network(), images, reset=reset, v_init=0.25, clamp=2, shard_size=shard_size, **IN_PROCESS)
    assert isinstance(result.charge, Charges) and not result.charge.summed
    for population in result.network.populations:
        name = population.name
        balance = result.spike_counts[name] + result.potentials[name] - 0.25
        if name in result.booked["surplus"]:
            balance = balance + result.booked["surplus"][name]
        if population.kind == "max_pool":
            balance = np.zeros_like(balance)
        elif population.kind == "readout":
            balance = result.potentials[name] - 0.25
        assert np.array_equal(result.charge[name], balance), name
    # It is the same array when it is asked for again.
    assert result.charge["conv"] is result.charge["conv"]
    assert list(result.charge) == list(result.spike_counts) and len(result.charge) == len(result.spike_counts)
    assert verify(result)["holds"].all()


@pytest.mark.parametrize("readout", ["potential", "spikes"])
@pytest.mark.parametrize("threshold", [0.3, 0.7, 1.1, 1.9, np.pi / 2])
def test_thresholds_are_those_of_the_run(images, threshold, readout):
    # Neither is on the grid, nor is their product: each is rounded, and the charge has to be of the same roundings.
    plain = small_network()
    own = {p.name: 1.3 + 0.1 * k for k, p in enumerate(plain.populations) if p.kind != "max_pool"}
    populations = tuple(replace(p, threshold=own.get(p.name, 1.0)) for p in plain.populations)
    result = simulate(
        replace(plain, populations=populations),
        images,
        threshold=threshold,
        readout=readout,
        checkpoints=[30],
        **IN_PROCESS,
    )
    assert verify(result, replay="all")["holds"].all()
    assert np.array_equal(result.output_history[-1], result.logits)


def test_neurons_that_leak_sum_it_step_by_step(images):
    result = simulate(small_network(), images, tau_m=10 * ms, shard_size=3, **IN_PROCESS)
    assert set(result.charge.summed) == {p.name for p in result.network.populations if p.kind == "spiking"}
    assert verify(result)["holds"].all()


def test_a_wrong_potential_shows_in_what_reached_the_neuron(images):
    result = simulate(small_network(), images, **IN_PROCESS)
    result.potentials["mixed"].flat[0] += 2.0**-24
    report = verify(result).set_index(["population", "equation"])
    assert set(report.index[~report["holds"]]) == {("mixed", "synapses"), ("mixed", "spikes")}
    assert "holds by construction" in report.loc[("mixed", "charge"), "note"]


def test_a_population_that_there_is_not_is_named(images):
    result = simulate(small_network(), images, **IN_PROCESS)
    with pytest.raises(KeyError, match="conv"):
        result.charge["no such layer"]

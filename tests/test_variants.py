"""The neuron variants, each against the plain loop: every spike, potential and charge is equal."""

import numpy as np
import pytest

from brian_snn import simulate, verify
from brian_snn.conversion.graph import INPUT, Geometry, Network, Population, Projection
from brian_snn.errors import SettingError
from tests.small_network import GRID, STEPS, loop_result, small_images, small_network, to_grid
from tests.test_simulate import FINAL, HISTORY, RECORDED, differences
from tests.variant_oracles import VariantLoop

RUNS = {
    "gate": {"max_pool": "gate"},
    "gate_clamped_zero": {"max_pool": "gate", "clamp": 2, "reset": "zero", "threshold": 0.5},
}


def pooled_network(windows, biases):
    """Return layers of constant current, each with one projection onto a max pooling of 1 x 2 inputs."""
    layers = tuple(
        Population(name, "spiking", (len(bias),), to_grid(np.array(bias)), 1) for name, bias in biases.items()
    )
    geometry = Geometry("max_pool", (1, 2, 1), (1, 1, 1), (1, 2))
    pools = tuple(
        Projection(name, "pool", geometry, None, source_index=np.array(index, np.int32))
        for name, index in windows.items()
    )
    image = tuple(Projection(INPUT, p.name, Geometry("dense", (1,), p.shape), np.zeros((1, p.size))) for p in layers)
    out = Projection("pool", "out", Geometry("dense", (1,), (1,)), np.ones((1, 1)))
    populations = (
        *layers,
        Population("pool", "max_pool", (1, 1, 1), np.zeros((1, 1, 1)), 1),
        Population("out", "readout", (1,), np.zeros(1), 2),
    )
    return Network(populations, (*image, *pools, out), (1,), grid=GRID)


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def images():
    return small_images()


@pytest.mark.parametrize("projection", ["synapses", "shared"])
@pytest.mark.parametrize("run", RUNS)
def test_in_process_run_equals_the_loop(network, images, run, projection):
    result = simulate(network, images, STEPS, backend="runtime", projection=projection, **RUNS[run], **RECORDED)
    expected = loop_result(network, images, VariantLoop, **RUNS[run])
    assert differences(result, expected, (*FINAL, *HISTORY)) == []
    assert all(np.array_equal(counts, expected.early_counts[key]) for key, counts in result.early_counts.items())


class TestGate:
    def test_it_passes_at_least_as_many_spikes_as_the_largest_of_its_inputs(self, network, images):
        exact, gate = (simulate(network, images, STEPS, backend="runtime", max_pool=m) for m in ("exact", "gate"))
        assert np.array_equal(exact.spike_counts["conv"], gate.spike_counts["conv"])
        surplus = gate.spike_counts["pool"] - exact.spike_counts["pool"]
        assert surplus.min() >= 0 and surplus.max() > 0

    def test_its_row_says_why_the_identity_does_not_apply(self, network, images):
        report = verify(simulate(network, images, STEPS, backend="runtime", max_pool="gate"))
        row = report[report["equation"] == "max_pool"].iloc[0]
        assert not row["applicable"] and "gate" in row["note"]
        assert report["holds"].all()

    @pytest.mark.parametrize("projection", ["synapses", "shared"])
    def test_of_inputs_that_are_level_the_first_in_the_network_leads(self, projection):
        # A window over neuron 1 of the first layer and neuron 0 of the second: both spike in steps 2, 4, 6, the second
        # layer's in step 5 too, after which it leads; the first catches up in step 6 and leads again.
        biases = {"a": [0.0, 0.5], "b": [0.6]}
        network = pooled_network({"a": [1, -1], "b": [-1, 0]}, biases)
        result = simulate(
            network, np.zeros((1, 1)), 6, backend="runtime", max_pool="gate", projection=projection,
            record_spikes=("a", "b", "pool"),
        )  # fmt: skip
        steps = {name: train[:, 1].tolist() for name, train in result.spike_trains.items()}
        assert steps == {"a": [2, 4, 6], "b": [2, 4, 5], "pool": [2, 4, 5, 6]}

    def test_brian2s_own_schedule_is_refused(self, network, images):
        with pytest.raises(SettingError, match="max_pool is 'gate'.*same_step"):
            simulate(network, images, backend="runtime", max_pool="gate", schedule="brian2")

"""The neuron variants, each against the plain loop: every spike, potential and charge is equal."""

from dataclasses import replace

import numpy as np
import pytest
from brian2 import DimensionMismatchError, ms, mV, second

from brian_snn import Settings, load_result, simulate, verify
from brian_snn.errors import SettingError
from brian_snn.network.delays import delays
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.simulation.topology import topology
from tests.simulation_cases import HISTORY, RECORDED, REST, VARIANTS, variant_network
from tests.small_network import (
    FINAL,
    GRID,
    STEPS,
    constant_network,
    differences,
    loop_result,
    small_images,
    small_network,
    to_grid,
)  # fmt: skip
from tests.variant_oracles import VariantLoop

LEAK_15 = {"tau_m": 15 * ms}


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


def run_constant(currents, steps, **options):
    """Return the result of one image that says nothing."""
    return simulate(constant_network(currents), np.zeros((1, 1)), steps=steps, backend="runtime", **options)


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def images():
    return small_images()


@pytest.mark.parametrize("projection", ["synapses", "shared"])
@pytest.mark.parametrize("run", VARIANTS)
def test_in_process_run_equals_the_loop(images, run, projection):
    options, recorded = VARIANTS[run], dict(RECORDED)
    if options.get("polarity") == "signed":
        # Rows of spikes have no sign.
        del recorded["record_spikes"]
    options = {"steps": STEPS, "projection": projection, **options}
    result = simulate(variant_network(options), images, backend="runtime", **options, **recorded)
    expected = loop_result(result.network, images, VariantLoop, **options)
    assert differences(result, expected, (*FINAL, "negative_counts", *VariantLoop.books, *HISTORY)) == []
    assert all(np.array_equal(counts, expected.early_counts[key]) for key, counts in result.early_counts.items())
    assert verify(result, replay="all")["holds"].all()


@pytest.mark.slow
@pytest.mark.parametrize("projection", ["synapses", "shared"])
def test_compiled_run_equals_the_loop(network, images, projection):
    options = {"projection": projection, "workers": 2, **VARIANTS["everything"]}
    result = simulate(network, images, steps=STEPS, **options, **RECORDED)
    expected = loop_result(result.network, images, VariantLoop, **VARIANTS["everything"])
    assert differences(result, expected, (*FINAL, *VariantLoop.books, *HISTORY)) == []
    assert all(np.array_equal(counts, expected.early_counts[key]) for key, counts in result.early_counts.items())
    assert all(counts.any() for counts in result.spike_counts.values()) and verify(result)["holds"].all()


def test_half_a_threshold_at_the_start_rounds_the_count_to_the_nearest():
    currents = to_grid(np.linspace(-0.3, 1.3, 161))
    counts = run_constant(currents, 37, v_init=0.5).spike_counts["layer"][0]
    assert np.array_equal(counts, np.clip(np.floor(currents * 37 + 0.5), 0, 37))
    counts = run_constant(currents, 37).spike_counts["layer"][0]
    assert np.array_equal(counts, np.clip(np.floor(currents * 37), 0, 37))


class TestLeak:
    def test_a_leaky_neuron_spikes_with_the_period_of_its_closed_form(self):
        # V after k steps from zero is z (1 - d**k) / (1 - d); where its limit is below the threshold there is no spike.
        decay, currents = np.exp(-1 / 15), np.linspace(0.03, 0.9, 30)
        counts = run_constant(currents, 200, reset="zero", **LEAK_15).spike_counts["layer"][0]
        with np.errstate(invalid="ignore"):
            period = np.ceil(np.log(1 - (1 - decay) / currents) / np.log(decay))
        assert np.array_equal(counts, np.where(np.isnan(period), 0, 200 // np.nan_to_num(period, nan=1)))
        assert counts.min() == 0 < counts.max()

    def test_below_its_threshold_the_potential_ends_at_its_limit(self):
        result = run_constant([0.05, -0.4], 600, **LEAK_15)
        limit = np.array([0.05, -0.4]) / (1 - np.exp(-1 / 15))
        # Each step rounds the leak by half a grid step, and what was rounded leaks away again.
        np.testing.assert_allclose(result.potentials["layer"][0], limit, atol=0.5 * GRID / (1 - np.exp(-1 / 15)))

    def test_no_leak_at_all_is_an_infinite_time_constant(self, network, images):
        endless, plain = (
            simulate(network, images, steps=STEPS, backend="runtime", **options)
            for options in ({"tau_m": 1e15 * second}, {})
        )
        assert differences(plain, endless, FINAL) == []
        assert plain.booked["leaked"] == {} and not any(leaked.any() for leaked in endless.booked["leaked"].values())

    def test_one_topology_serves_every_time_constant_and_refractory_period(self, network):
        one, two, plain = (
            topology(network, Settings(**times)).digest()
            for times in ({"tau_m": 10 * ms, "refractory": 1 * ms}, {"tau_m": 20 * ms, "refractory": 3 * ms}, {})
        )
        assert one == two != plain


class TestRefractory:
    @pytest.mark.parametrize("steps", [29, 30, 31, 32, 33])
    def test_the_period_is_the_time_to_threshold_plus_the_refractory_one(self, steps):
        # Three steps of 0.375 reach the threshold; then two of rest: spikes in steps 3, 8, 13 ...
        result = run_constant([0.375], steps, reset="zero", **REST)
        assert result.spike_counts["layer"].item() == (steps + 2) // 5
        assert result.booked["missed"]["layer"].item() == 0.375 * (2 * ((steps + 2) // 5) - max(0, 2 - (steps - 3) % 5))

    def test_a_neuron_far_above_its_threshold_spikes_whenever_it_wakes(self):
        counts = run_constant([5.0], 30, refractory=3 * ms).spike_counts["layer"]
        assert counts.item() == 8

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"refractory": 1.5 * ms}, r"refractory is 0.0015 s; it must be a whole number of steps of 0.001 s"),
            ({"refractory": -1 * ms}, "refractory is -0.001 s"),
            ({"tau_m": 0 * ms}, "tau_m is 0.0 s; it must be a positive time"),
            ({"tau_m": float("nan") * ms}, "tau_m is nan s"),
            ({"tau_m": 20 * ms, "schedule": "brian2"}, "tau_m is 0.02; with schedule='brian2' it must be inf"),
        ],
    )
    def test_times_outside_their_range_are_refused(self, options, message):
        with pytest.raises(SettingError, match=message):
            run_constant([0.5], 5, **options)

    def test_a_refractory_period_is_a_time(self):
        with pytest.raises(DimensionMismatchError):
            run_constant([0.5], 5, refractory=1 * mV)


class TestBooks:
    """What `verify` says of leaky and refractory neurons."""

    @pytest.mark.parametrize("run", ["leak", "leak_zero", "refractory", "leak_refractory_zero"])
    def test_charge_and_synapses_hold_exactly(self, network, images, run):
        report = verify(simulate(network, images, steps=STEPS, backend="runtime", **VARIANTS[run]))
        exact = report[report["equation"].isin(["charge", "synapses"])]
        assert exact["applicable"].all() and (exact["max_residual_charge"] == 0).all() and report["holds"].all()

    @pytest.mark.parametrize(("run", "reason"), [("leak", "leaks"), ("refractory", "refractory")])
    def test_the_rate_law_says_why_it_does_not_apply(self, network, images, run, reason):
        report = verify(simulate(network, images, steps=STEPS, backend="runtime", **VARIANTS[run]))
        law = report[(report["equation"] == "S11") & (report["population"] == "conv")].iloc[0]
        assert not law["applicable"] and reason in law["note"]

    @pytest.mark.parametrize(("field", "equation"), [("leaked", "charge"), ("missed", "synapses")])
    def test_a_wrong_book_is_found(self, network, images, field, equation):
        result = simulate(network, images, steps=STEPS, backend="runtime", **VARIANTS["leak_refractory_zero"])
        result.booked[field]["mixed"][1, 3] += GRID
        report = verify(result)
        failed = report[~report["holds"]]
        assert failed[["population", "equation"]].values.tolist() == [["mixed", equation]]
        assert failed["max_residual_charge"].item() == GRID

    def test_the_books_are_saved(self, network, images, tmp_path):
        result = simulate(network, images, steps=STEPS, backend="runtime", **VARIANTS["leak_refractory_zero"])
        result.save(tmp_path / "run")
        loaded = load_result(tmp_path / "run")
        assert loaded.settings == result.settings
        assert differences(result, loaded, ("leaked", "missed")) == []


class TestDelay:
    @pytest.mark.parametrize("projection", ["synapses", "shared"])
    @pytest.mark.parametrize("steps", [0, 1, 4, 50])
    def test_a_spike_arrives_a_delay_after_it_was_sent(self, steps, projection):
        # 0.5 a step: spikes in steps 2, 4, 6 ... of 60, each of which brings the output 0.25.
        options = {"delay": steps * ms, "projection": projection, "record_potentials": ("out",)}
        trace = run_constant([0.5], 60, **options).potential_traces["out"][0, :, 0]
        assert np.array_equal(trace, 0.25 * (np.maximum(np.arange(1, 61) - steps, 0) // 2))

    @pytest.mark.parametrize("projection", ["synapses", "shared"])
    def test_a_spike_arrives_after_the_delay_of_its_own_neuron(self, projection):
        options = {"delay": 20 * ms, "delay_mismatch": 0.8, "seed": 3, "projection": projection}
        result = run_constant(np.full(40, 0.5), 60, record_potentials=("out",), **options)
        population = result.network["layer"]
        own = VariantLoop(result.network, np.zeros((1, 1)), result.settings).late["layer"]
        assert own == delays(population, result.settings).tolist() and {0, 50} < set(own)
        arrived = np.maximum(np.arange(1, 61)[:, None] - own, 0) // 2
        assert np.array_equal(result.potential_traces["out"][0, :, 0], 0.25 * arrived.sum(axis=1))
        assert np.array_equal(result.arrived_counts("layer")[0], arrived[-1])
        assert verify(result, replay="all")["holds"].all()

    def test_verify_finds_counts_of_another_delay(self, network, images):
        result = simulate(network, images, steps=STEPS, backend="runtime", **VARIANTS["delays"])
        early = dict(result.early_counts)
        first, last = min(step for name, step in early if name == "mixed"), STEPS - 1
        early["mixed", first], early["mixed", last] = early["mixed", last], early["mixed", first]
        report = verify(replace(result, early_counts=early))
        assert report[~report["holds"]][["population", "equation"]].to_numpy().tolist() == [["out", "synapses"]]

    def test_a_delay_longer_than_the_run_brings_nothing(self, network, images):
        result = simulate(network, images, steps=8, backend="runtime", delay=9 * ms)
        assert not result.spike_counts["pool"].any() and result.spike_counts["conv"].any()
        assert verify(result)["holds"].all()

    @pytest.mark.parametrize("run", ["delay", "delay_clamped_zero"])
    def test_charge_synapses_and_max_pooling_hold_exactly(self, network, images, run):
        report = verify(simulate(network, images, steps=STEPS, backend="runtime", **VARIANTS[run]))
        exact = report[report["equation"].isin(["charge", "synapses", "max_pool"])]
        assert exact["applicable"].all() and (exact["max_residual_charge"] == 0).all() and report["holds"].all()

    def test_what_is_under_way_at_the_end_does_not_count_as_received(self, network, images):
        result = simulate(network, images, steps=STEPS, backend="runtime", **VARIANTS["delay"])
        train = result.early_counts["mixed", STEPS - 3]
        assert (train <= result.spike_counts["mixed"]).all() and (train < result.spike_counts["mixed"]).any()
        assert np.array_equal(result.counts_in_window("mixed", "out"), train)

    @pytest.mark.parametrize("delay", [2.5, -1, 51])
    def test_delays_outside_their_range_are_refused(self, delay):
        with pytest.raises(SettingError, match="delay is "):
            run_constant([0.5], 5, delay=delay * ms)


class TestGate:
    def test_it_passes_at_least_as_many_spikes_as_the_largest_of_its_inputs(self, network, images):
        exact, gate = (simulate(network, images, steps=STEPS, backend="runtime", max_pool=m) for m in ("exact", "gate"))
        assert np.array_equal(exact.spike_counts["conv"], gate.spike_counts["conv"])
        surplus = gate.spike_counts["pool"] - exact.spike_counts["pool"]
        assert surplus.min() >= 0 and surplus.max() > 0

    def test_its_row_says_why_the_identity_does_not_apply(self, network, images):
        report = verify(simulate(network, images, steps=STEPS, backend="runtime", max_pool="gate"))
        row = report[report["equation"] == "max_pool"].iloc[0]
        assert not row["applicable"] and "gate" in row["note"]
        assert report["holds"].all()

    @pytest.mark.parametrize("projection", ["synapses", "shared"])
    def test_of_inputs_that_are_level_the_first_in_the_network_leads(self, projection):
        # A window over neuron 1 of the first layer and neuron 0 of the second: both spike in steps 2, 4, 6, the second
        # layer's in step 5 too, after which it leads; the first catches up in step 6 and leads again.
        biases = {"a": [0.0, 0.5], "b": [0.6]}
        network = pooled_network({"a": [1, -1], "b": [-1, 0]}, biases)
        options = {"backend": "runtime", "max_pool": "gate", "projection": projection}
        result = simulate(network, np.zeros((1, 1)), steps=6, record_spikes=("a", "b", "pool"), **options)
        steps = {name: train[:, 1].tolist() for name, train in result.spike_trains.items()}
        assert steps == {"a": [2, 4, 6], "b": [2, 4, 5], "pool": [2, 4, 5, 6]}

    def test_brian2s_own_schedule_is_refused(self, network, images):
        with pytest.raises(SettingError, match="max_pool is 'gate'; with schedule='brian2' it must be 'exact'"):
            simulate(network, images, backend="runtime", max_pool="gate", schedule="brian2")

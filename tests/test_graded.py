"""Bursts and signed spikes: closed forms, counts, verification, refusals; tests/test_variants.py has their runs."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from brian2 import ms

from brian_snn import Settings, load_result, simulate, verify
from brian_snn.analysis.bounds import rate_bounds
from brian_snn.analysis.closed_forms import constant_input
from brian_snn.analysis.error import error_account, error_terms
from brian_snn.analysis.operations import operations_over_time, saturated_share, snn_operations
from brian_snn.cli.main import main
from brian_snn.errors import DataError, SettingError
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.referee.run_folder import read
from brian_snn.referee.sources import Clock
from brian_snn.simulation.topology import topology
from tests.error_oracle import dense_activations
from tests.simulation_cases import CHECKPOINTS, HISTORY, RECORDED, VARIANTS, variant_network
from tests.small_network import (
    FINAL,
    GRID,
    STEPS,
    constant_network,
    differences,
    loop_result,
    projection_matrix,
    small_images,
    small_network,
    to_grid,
)
from tests.variant_oracles import VariantLoop

BURSTS, SIGNED = VARIANTS["bursts"], VARIANTS["signed"]
BOTH = {"burst": 3, "polarity": "signed", "v_init": 2.5, "readout": "spikes"}


def stepped(currents, burst=1, v_init=0, signed=False):
    """Return N, V(T) and the number of negative spikes of a neuron that gets these charges, V_thr = 1, in fractions."""
    v, count, negative = Fraction(v_init), 0, 0
    for z in currents:
        v += Fraction(z)
        sent = 0
        while sent < burst and v >= 1:
            v, sent = v - 1, sent + 1
        if signed and v <= -1 and count > 0 and not sent:
            v, sent, negative = v + 1, -1, negative + 1
        count += sent
    return count, v, negative


def frames_network(size):
    """Return neurons that each see one pixel as it is, and a readout."""
    populations = (Population("layer", "spiking", (size,), np.zeros(size), 1),)
    populations += (Population("out", "readout", (1,), np.zeros(1), 2),)
    image = Projection(INPUT, "layer", Geometry("identity", (size,), (size,)), np.ones(size))
    out = Projection("layer", "out", Geometry("dense", (size,), (1,)), to_grid(np.full((size, 1), 0.25)))
    return Network(populations, (image, out), (size,), grid=GRID)


def shown(frames, **options):
    """Return the result of one image whose frames, (steps, size), are the charges themselves."""
    network = frames_network(frames.shape[1])
    options |= {"steps": len(frames), "input_coding": "frames", "backend": "runtime"}
    return simulate(network, frames[None], any_range=True, **options)


@pytest.fixture(scope="module")
def images():
    return small_images()


class TestClosedForms:
    @pytest.mark.parametrize("burst", [1, 2, 5])
    @pytest.mark.parametrize("v_init", [-2.25, 0, 0.5, 3.75, 12.5])
    def test_n_of_a_constant_input_is_that_of_the_definition(self, burst, v_init):
        currents = np.arange(-5, 13) / 2 + 0.0625
        for steps in (1, 2, 3, 10):
            counts, v_end = constant_input(currents, steps, v_init, 1.0, "subtraction", burst)
            expected = [stepped([z] * steps, burst, v_init) for z in currents]
            assert counts.tolist() == [count for count, _, _ in expected]
            assert v_end.tolist() == [float(v) for _, v, _ in expected]

    @pytest.mark.parametrize("burst", [2, 3, 7])
    def test_a_constant_input_gives_all_whole_thresholds_up_to_k_a_step(self, burst):
        currents, steps = to_grid(np.linspace(-1, 9, 101)), 23
        result = simulate(constant_network(currents), np.zeros((1, 1)), steps=steps, burst=burst, backend="runtime")
        counts = result.spike_counts["layer"][0]
        assert np.array_equal(counts, np.clip(np.floor(currents * steps), 0, burst * steps))
        assert counts.max() == burst * steps
        assert result.rates("layer").max() == burst / (1 * ms)
        report = verify(result)
        law = report[(report["equation"] == "S11") & (report["population"] == "layer")].iloc[0]
        assert law["applicable"] and report["holds"].all() and (report["max_residual_charge"].fillna(0) == 0).all()
        assert saturated_share(result) == np.mean(counts == burst * steps)

    @pytest.mark.parametrize("threshold", [0.375, 1.0, 3.0])
    def test_a_quotient_one_grid_step_below_a_whole_number_is_not_rounded_up(self, threshold):
        # V(0) + z is n V_thr - one step, n V_thr, and one step more.
        n = np.arange(1, 101)
        whole = n * threshold - 1000 * threshold
        currents = np.concatenate([whole - GRID, whole, whole + GRID]) + 1000 * threshold
        result = simulate(
            constant_network(currents / threshold), np.zeros((1, 1)), threshold=threshold, steps=1, burst=127,
            backend="runtime",
        )  # fmt: skip
        # Currents over the threshold are rounded to the grid, so they are taken as simulated.
        simulated = [Fraction(float(to_grid(threshold * z))) for z in to_grid(currents / threshold)]
        assert result.spike_counts["layer"][0].tolist() == [max(0, z // Fraction(threshold)) for z in simulated]

    def test_a_neuron_that_takes_spikes_back_comes_down_to_what_is_left(self):
        # The charge rises to a largest value and falls to a last one: N is the floor of one, or the ceil of the other.
        rise, fall = to_grid(np.linspace(0.1, 0.9, 9)), to_grid(np.linspace(-0.95, -0.05, 9))
        frames = np.concatenate([np.tile(rise, (20, 1)), np.tile(fall, (15, 1))])
        largest, last = 20 * rise, 20 * rise + 15 * fall
        positive, signed = shown(frames), shown(frames, polarity="signed")
        assert np.array_equal(positive.spike_counts["layer"][0], np.floor(largest))
        expected = np.minimum(np.floor(largest), np.maximum(np.ceil(last), 0))
        assert np.array_equal(signed.spike_counts["layer"][0], expected)
        assert np.array_equal(signed.negative_counts["layer"][0], np.floor(largest) - expected)
        assert (expected == 0).any() and (expected > 0).any()
        assert verify(signed, replay="all")["holds"].all()

    @pytest.mark.parametrize("burst", [1, 4])
    def test_net_counts_of_any_input_are_those_of_the_definition(self, rng, burst):
        frames = to_grid(rng.normal(0.1, 1.5, (40, 30)))
        result = shown(frames, polarity="signed", burst=burst, v_init=1.25)
        expected = [stepped(column, burst, 1.25, signed=True) for column in frames.T]
        assert result.spike_counts["layer"][0].tolist() == [count for count, _, _ in expected]
        assert result.potentials["layer"][0].tolist() == [float(v) for _, v, _ in expected]
        assert result.negative_counts["layer"][0].tolist() == [negative for _, _, negative in expected]
        assert min(count for count, _, _ in expected) == 0 < max(negative for _, _, negative in expected)

    def test_spikes_that_v_init_brings_about_are_taken_back_under_a_constant_input(self):
        result = simulate(constant_network([-0.25, -1.5, 0.5]), np.zeros((1, 1)), steps=9, v_init=3.5,
                          polarity="signed", burst=2, backend="runtime")  # fmt: skip
        expected = [stepped([z] * 9, 2, 3.5, signed=True) for z in (-0.25, -1.5, 0.5)]
        assert result.spike_counts["layer"][0].tolist() == [count for count, _, _ in expected]
        assert result.negative_counts["layer"][0].any() and verify(result)["holds"].all()


@pytest.mark.slow
@pytest.mark.parametrize("projection", ["synapses", "shared"])
def test_compiled_run_equals_the_loop(images, projection):
    options = {"steps": STEPS, "projection": projection, "workers": 2}
    for variant, recorded in (({**BURSTS, "clamp": 1}, RECORDED), (BOTH, {"checkpoints": CHECKPOINTS})):
        result = simulate(variant_network(variant), images, **options, **variant, **recorded)
        expected = loop_result(result.network, images, VariantLoop, **variant)
        fields = (*FINAL, "negative_counts", *VariantLoop.books, *HISTORY)
        assert differences(result, expected, fields) == []
        assert verify(result)["holds"].all()


def test_neurons_that_never_have_two_thresholds_spike_as_plain_ones_do(images):
    network, options = small_network(gain=0.25), {"steps": STEPS, "backend": "runtime", **RECORDED}
    plain, bursting = (simulate(network, images, **options, burst=burst) for burst in (1, 127))
    assert differences(plain, bursting, (*FINAL, *HISTORY)) == []
    assert plain.spike_counts["conv"].any() and plain.negative_counts == bursting.negative_counts == {}


class TestCounts:
    def test_events_are_sizes_times_fan_out_without_their_sign(self, images):
        result = simulate(variant_network(BOTH), images, steps=STEPS, backend="runtime", **BOTH)
        network, loop = result.network, VariantLoop(result.network, images, result.settings)
        sent = {name: np.zeros_like(counts) for name, counts in loop.counts.items()}
        for step in range(1, STEPS + 1):
            loop.same_step(step)
            sent = {name: sent[name] + np.abs(spikes) for name, spikes in loop.spikes.items()}
        events = np.zeros(len(images))
        for p in network.projections:
            if p.source != INPUT:
                ones = None if p.weights is None else np.ones(p.geometry.weights_shape)
                fan = projection_matrix(p, ones, network[p.source].size, network[p.target].size).sum(axis=1)
                events += sent[p.source] @ fan
        assert np.array_equal(result.synaptic_events, events)
        assert all(np.array_equal(result.sent_counts(n).reshape(len(images), -1), sent[n]) for n in sent)
        assert snn_operations(result, "paper").tolist() == events.tolist()
        assert any(negative.any() for negative in result.negative_counts.values())

    def test_a_burst_is_as_many_rows_as_it_has_spikes(self, images):
        result = simulate(variant_network(BURSTS), images, steps=STEPS, backend="runtime", **BURSTS, **RECORDED)
        for name, rows in result.spike_trains.items():
            counts = np.zeros((len(images), result.network[name].size), int)
            np.add.at(counts, (rows[:, 0], rows[:, 2]), 1)
            assert np.array_equal(counts.reshape(result.spike_counts[name].shape), result.spike_counts[name])
            assert len(np.unique(rows, axis=0)) < len(rows)

    def test_operations_over_time_are_known_where_counts_only_grow(self, images):
        options = {"steps": STEPS, "backend": "runtime", "record_counts": ("conv", "pool", "average", "mixed")}
        bursting = simulate(variant_network(BURSTS), images, **options, checkpoints=[STEPS], **BURSTS)
        assert np.array_equal(operations_over_time(bursting)[-1], snn_operations(bursting))
        signed = simulate(variant_network(SIGNED), images, **options, checkpoints=[STEPS], **SIGNED)
        with pytest.raises(DataError, match="'conv': its spike counts at the checkpoints are net of negative spikes"):
            operations_over_time(signed)


class TestVerification:
    @pytest.mark.parametrize("variant", [BURSTS, BOTH], ids=["bursts", "both"])
    def test_a_spike_more_and_a_charge_to_fit_it_is_found(self, images, variant):
        result = simulate(variant_network(variant), images, steps=STEPS, backend="runtime", **variant)
        counts, potentials = dict(result.spike_counts), dict(result.potentials)
        for name in ("conv", "mixed"):
            counts[name], potentials[name] = counts[name].copy(), potentials[name].copy()
            counts[name].flat[0] += 1
            potentials[name].flat[0] -= 1.0
        report = verify(dataclasses.replace(result, spike_counts=counts, potentials=potentials), replay="all")
        rows = report[report["equation"] == "spikes"].set_index("population")
        assert not rows.loc["conv", "holds"] and not rows.loc["mixed", "holds"]
        # The books hold of it, which is why there is the dynamics.
        assert report[report["equation"] == "charge"]["holds"].all()

    def test_a_negative_spike_too_many_is_found(self, images):
        result = simulate(variant_network(BOTH), images, steps=STEPS, backend="runtime", **BOTH)
        negative = {name: counts + (name == "average") for name, counts in result.negative_counts.items()}
        report = verify(dataclasses.replace(result, negative_counts=negative), replay="all")
        assert report[~report["holds"]][["population", "equation"]].to_numpy().tolist() == [["average", "spikes"]]

    def test_two_spikes_that_change_their_step_are_found(self, images):
        result = simulate(variant_network(BURSTS), images, steps=STEPS, backend="runtime", **BURSTS, **RECORDED)
        rows = result.spike_trains["mixed"].copy()
        _, first, sizes = np.unique(rows, axis=0, return_index=True, return_counts=True)
        double = first[np.argmax(sizes == 2)]
        rows[double, 1] += 1 if rows[double, 1] < STEPS else -1
        trains = {**result.spike_trains, "mixed": rows}
        report = verify(dataclasses.replace(result, spike_trains=trains))
        assert not report[(report["population"] == "mixed") & (report["equation"] == "spikes")]["holds"].item()

    def test_a_result_on_disk_is_the_same(self, images, tmp_path):
        options = {"steps": STEPS, "backend": "runtime", "shard_size": 2, "checkpoints": [7], **BOTH}
        result = simulate(variant_network(BOTH), images, **options)
        simulate(variant_network(BOTH), images, **options, output=tmp_path / "run")
        loaded = load_result(tmp_path / "run")
        assert loaded.settings == result.settings and len(loaded.parts()) == 2
        assert differences(loaded, result, (*FINAL, "negative_counts")) == []
        assert verify(loaded, replay="all")["holds"].all()


@pytest.mark.parametrize("variant", [BURSTS, BOTH], ids=["bursts", "both"])
def test_a_report_is_written_of_them(images, tmp_path, variant):
    simulate(variant_network(variant), images, steps=STEPS, backend="runtime", output=tmp_path / "run", **variant)
    assert main(["report", str(tmp_path / "run"), "-o", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text("utf-8")
    assert ("Left out: the spikes are signed" in page) == ("polarity" in variant)
    assert "gave other spike counts" not in page and "do not belong together" not in page


def test_the_referee_judges_runs_of_single_spikes(tmp_path):
    simulate(small_network(), small_images(1), steps=5, burst=2, backend="runtime", output=tmp_path / "run")
    with pytest.raises(DataError, match="bursts or signed spikes"):
        read(tmp_path / "run", Clock())


class TestErrorAccount:
    @pytest.mark.parametrize("variant", [BURSTS, BOTH], ids=["bursts", "both"])
    def test_terms_add_up(self, images, variant):
        network = variant_network(variant)
        activations = dense_activations(network, images)
        account = error_account(simulate(network, images, steps=STEPS, backend="runtime", **variant), activations)
        assert (account[account["term"] == "unexplained"]["rms"] < 1e-13).all()

    def test_saturation_is_what_lies_above_k_spikes_a_step(self):
        network = constant_network([0.5, 1.5, 2.5, 6.0])
        result = simulate(network, np.zeros((1, 1)), steps=16, burst=2, backend="runtime")
        activations = {"layer": np.array([[0.5, 1.5, 2.5, 6.0]]), "out": np.zeros((1, 1))}
        terms = error_terms(result, activations, "layer")
        assert terms["saturation"].tolist() == [[0.0, 0.0, -0.5, -4.0]]
        assert not any(values.any() for name, values in terms.items() if name not in ("saturation", "error"))


class TestRefusals:
    @pytest.mark.parametrize("graded", [{"burst": 2}, {"polarity": "signed"}], ids=["bursts", "signed"])
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"reset": "zero"}, "reset is 'zero'; with .* it must be 'subtraction': a reset to zero throws away"),
            ({"max_pool": "gate"}, "max_pool is 'gate'; with .* it must be 'exact': the gate lets spikes pass one by"),
            ({"refractory": 1 * ms}, "refractory is 0.001; with .* it must be 0.0: a neuron that rests"),
            ({"delay": 1 * ms}, "delay is 0.001; with .* it must be 0.0: spikes under way are bits"),
            ({"schedule": "brian2"}, "with schedule='brian2' it must be"),
        ],
    )
    def test_what_is_not_defined_with_sizes_says_why(self, graded, options, message):
        with pytest.raises(SettingError, match=message):
            Settings(**graded, **options)

    @pytest.mark.parametrize("name", ["adaptation_step", "reversal_excitatory"])
    def test_what_is_not_defined_with_negative_spikes_says_why(self, name):
        Settings(burst=2, **{name: 1.5})
        with pytest.raises(SettingError, match=f"{name} is 1.5; with polarity='signed' it must be .*: .* take"):
            Settings(polarity="signed", **{name: 1.5})

    @pytest.mark.parametrize("burst", [0, 128, 1.5])
    def test_bursts_of_no_size_are_refused(self, burst):
        with pytest.raises(SettingError, match=f"burst is {burst}"):
            Settings(burst=burst)

    def test_counts_stay_in_32_bits(self):
        with pytest.raises(SettingError, match="burst is 127; .* in all 2147483647"):
            Settings(burst=127, steps=2**25)

    def test_trains_of_signed_spikes_are_refused(self, images):
        with pytest.raises(SettingError, match="cannot record the spikes of 'conv': a row .* has no sign"):
            simulate(variant_network(SIGNED), images, steps=5, backend="runtime", record_spikes=["conv"], **SIGNED)

    def test_bounds_are_not_proved(self, images):
        with pytest.raises(SettingError, match="burst 2; only for 1"):
            rate_bounds(small_network(), images, Settings(burst=2))
        with pytest.raises(SettingError, match="polarity 'signed'; only for 'positive'"):
            rate_bounds(small_network(), images, Settings(polarity="signed"))

    def test_the_exact_range_is_that_of_the_largest_bursts(self):
        network = constant_network([0.5])
        heavy = dataclasses.replace(network.projections[1], weights=np.array([[2.0**20]]))
        network = dataclasses.replace(network, projections=(network.projections[0], heavy))
        simulate(network, np.zeros((1, 1)), steps=10, backend="runtime")
        # 10 steps, 127 spikes, 2**20 each.
        with pytest.raises(SettingError, match=r"'out' could gather a charge of 1\.33e\+09 in 10 steps"):
            simulate(network, np.zeros((1, 1)), steps=10, burst=127, backend="runtime")


def test_one_program_serves_all_bursts():
    digests = [topology(small_network(), Settings(burst=burst)).digest() for burst in (1, 2, 90)]
    assert digests[1] == digests[2] != digests[0]


def test_rates_are_in_hertz():
    result = simulate(constant_network([2.5]), np.zeros((1, 1)), steps=10, burst=4, dt=0.5 * ms, backend="runtime")
    assert float(result.rates("layer").item()) == 5000

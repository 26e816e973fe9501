"""Synaptic currents, adaptation, mismatch, noise and a refractory period that keeps its input, against closed forms.

`tests/test_variants.py` holds each of them against a plain loop, step by step.
"""

import zlib
from dataclasses import replace

import numpy as np
import pytest
from brian2 import ms

from brian_snn import simulate, verify
from brian_snn.errors import SettingError
from brian_snn.network.records import Geometry, Population, Projection
from brian_snn.randomness import Purpose, Stream, binomial, normal, stream_keys
from tests.small_network import GRID, constant_network, small_images, small_network, to_grid

CURRENTS = np.linspace(-0.2, 1.2, 57)
STEPS = 60


def run(currents=CURRENTS, steps=STEPS, **options):
    """Return the result of neurons with constant input, one image that says nothing."""
    return simulate(constant_network(currents), np.zeros((1, 1)), steps=steps, backend="runtime", **options)


def run_two(currents, weight, steps, bias=0.0, **options):
    """Return the result of neurons of constant input that reach one more, of which V(t) is recorded."""
    network = constant_network(currents)
    second = Population("second", "spiking", (1,), to_grid([bias]), 2)
    first, out = network.populations
    image, last = network.projections
    between = Projection("layer", "second", last.geometry, to_grid(np.full((len(currents), 1), weight)))
    end = Projection("second", "out", Geometry("dense", (1,), (1,)), np.ones((1, 1)))
    network = replace(network, populations=(first, second, replace(out, depth=3)), projections=(image, between, end))
    result = simulate(
        network, np.zeros((1, 1)), steps=steps, backend="runtime", record_potentials=["second"], **options
    )
    assert verify(result, replay="all")["holds"].all()
    return result


def rows_of(result, population="layer"):
    """Return what `verify` says of a population, by equation."""
    report = verify(result, replay="all").set_index(["population", "equation"]).loc[population]
    assert report["holds"].all()
    return report


def key_of(words, seed):
    """Return the key of the stream from which something is drawn once for every neuron."""
    number = zlib.crc32(words.encode())
    return stream_keys(seed, Purpose.MISMATCH, range(number, number + 1))[0]


class TestSynapse:
    @pytest.mark.parametrize("shape", ["exponential", "alpha"])
    def test_all_charge_arrives_once_the_synapses_have_drained(self, shape):
        # Ten steps with input, and two hundred without.
        network = small_network()
        network = replace(network, populations=tuple(replace(p, bias=p.bias * 0) for p in network.populations))
        frames = np.zeros((1, 210, 5, 4, 2))
        frames[0, :10] = small_images(1)[0]
        delayed = simulate(network, frames, backend="runtime", tau_syn=3 * ms, synapse=shape)
        stages = 2 if shape == "alpha" else 1
        # Less than half a grid step over the rate waits for ever in each stage.
        most = 0.5 * GRID / (1 - np.exp(-1 / 3)) * stages
        for waiting in delayed.booked["waiting"].values():
            assert np.abs(waiting).max() <= most
        assert rows_of(delayed, "mixed").loc["synapses", "holds"]
        assert delayed.spike_counts["average"].any()

    def test_a_constant_rate_arrives_as_without_them_but_later(self):
        # The layer spikes in every step, so the readout gets 0.25 a neuron and step; X tends to w (1 - r) / r.
        result = run([1.0, 1.0], 200, tau_syn=5 * ms)
        rate = 1 - np.exp(-1 / 5)
        waiting = result.booked["waiting"]["out"].item()
        np.testing.assert_allclose(waiting, 0.5 * (1 - rate) / rate, atol=GRID / rate)
        assert result.potentials["out"].item() == 0.5 * 200 - waiting

    def test_the_law_of_constant_input_is_untouched(self):
        assert np.array_equal(run(tau_syn=5 * ms).spike_counts["layer"], run().spike_counts["layer"])


class TestConductance:
    def test_inhibition_carries_a_membrane_to_its_reversal_potential(self):
        # The layer spikes in every step, and takes J = 0.25 a step from the next: V_k = E_i (1 - (1 - J / |E_i|)^k).
        result = run_two([1.0], -0.25, 40, reversal_inhibitory=-0.8)
        expected = -0.8 * (1 - (1 - 0.25 / 0.8) ** np.arange(1, 41))
        np.testing.assert_allclose(result.potential_traces["second"][0, :, 0], expected, atol=3 * GRID)
        shunted = result.booked["shunted"]["second"].item()
        assert shunted == -0.25 * 40 - result.potentials["second"].item()

    def test_excitation_brings_less_the_higher_the_potential(self):
        # From V(0) = 0 the second spike brings (1 - V / E_e) of the first.
        result = run_two([1.0], 0.25, 3, reversal_excitatory=2.0)
        np.testing.assert_allclose(
            result.potential_traces["second"][0, :, 0], 2 * (1 - (1 - 0.125) ** np.arange(1, 4)), atol=2 * GRID
        )

    def test_no_spike_carries_a_membrane_beyond(self):
        assert run_two([1.0], -50.0, 5, reversal_inhibitory=-0.8).potentials["second"].item() == to_grid(-0.8)
        # A constant current does.
        below = run_two([1.0], -50.0, 50, bias=-0.125, reversal_inhibitory=-0.8)
        assert below.potentials["second"].item() < -0.9

    def test_far_reversal_potentials_leave_currents(self):
        plain, far = (run_two([0.6], 0.3, 60, **o) for o in ({}, {"reversal_excitatory": 1e4}))
        # Of 0.3 that a spike brings a part V / E_e is missing, of a V below V_thr.
        assert 0 <= (plain.potentials["second"] - far.potentials["second"]).item() <= 60 * (0.3 * 1e-4 + GRID)
        assert np.array_equal(far.spike_counts["second"], plain.spike_counts["second"])


class TestRefractoryPeriodThatKeepsItsInput:
    def test_it_spikes_as_often_as_the_law_says_up_to_its_highest_rate(self):
        result = run(refractory=2 * ms, refractory_input="kept")
        # A spike comes as soon as the charge for it is there and the rest after the last one is over.
        expected = []
        for current in to_grid(CURRENTS):
            last, count = -np.inf, 0
            for step in range(1, STEPS + 1):
                if current * step >= count + 1 and step > last + 2:
                    last, count = step, count + 1
            expected.append(count)
        assert np.array_equal(result.spike_counts["layer"][0], expected)
        assert max(expected) == STEPS // 3

    def test_s11_holds_and_nothing_is_missed(self):
        result = run(refractory=2 * ms, refractory_input="kept")
        assert rows_of(result).loc["S11", "applicable"] and "layer" not in result.booked["missed"]
        assert not rows_of(run(refractory=2 * ms, refractory_input="kept", reset="zero")).loc["S9", "applicable"]


class TestAdaptation:
    def test_a_threshold_that_rises_delays_charge_and_loses_none(self):
        result = run(steps=400, adaptation_step=0.5, tau_adaptation=20 * ms)
        assert rows_of(result).loc["S11", "applicable"]
        # A of a spike in every step is the largest that there is; so much more than V_thr may wait in V.
        most = 1 + 0.5 / (1 - np.exp(-1 / 20))
        plain, adapts = run(steps=400).spike_counts["layer"], result.spike_counts["layer"]
        assert (adapts <= plain).all() and (adapts < plain).any()
        inside = (to_grid(CURRENTS) > 0) & (to_grid(CURRENTS) < 1)
        assert (plain - adapts)[0][inside].max() <= most

    def test_a_current_takes_what_a_spike_adds_over_its_course(self):
        # A spike adds a, and takes a (1 + d + d^2 + ...) = a / (1 - d) in all, less what is still to come.
        result = run(CURRENTS[CURRENTS < 0.6], 400, adaptation="current", adaptation_step=0.02, tau_adaptation=10 * ms)
        decay = np.exp(-1 / 10)
        taken, counts = result.booked["adapted"]["layer"], result.spike_counts["layer"]
        # The current acts from the step after the spike on, once it has decayed.
        assert (taken <= counts * 0.02 * decay / (1 - decay) + 400 * GRID / (1 - decay)).all()
        assert (taken >= (counts - 1 / (1 - decay)) * 0.02 * decay / (1 - decay) - 400 * GRID / (1 - decay)).all()
        assert taken.max() > 1
        assert "takes charge" in rows_of(result).loc["S11", "note"]


class TestMismatch:
    def test_every_neuron_counts_by_its_own_threshold(self):
        # Below saturation N is the largest number of thresholds that z T holds.
        result = run(np.full(200, 0.3), 500, threshold_mismatch=0.2, seed=5)
        key = key_of("threshold of layer", seed=5)
        thresholds = 1 + to_grid(np.maximum(0.2 * normal(key, 200), 1 / 16 - 1))
        assert np.array_equal(result.spike_counts["layer"][0], np.floor(to_grid(0.3) * 500 / thresholds))
        assert np.array_equal(result.booked["mismatched"]["layer"], result.spike_counts["layer"] * (thresholds - 1))
        assert len(np.unique(thresholds)) == 200 and 0.1 < thresholds.std() < 0.3

    def test_it_is_the_same_for_all_images_and_another_for_another_seed(self):
        counts = [
            simulate(
                constant_network(np.full(50, 0.3)), np.zeros((3, 1)), steps=99, backend="runtime", seed=seed,
                threshold_mismatch=0.3,
            ).spike_counts["layer"]
            for seed in (0, 0, 1)
        ]  # fmt: skip
        assert (counts[0] == counts[0][0]).all() and np.array_equal(counts[0], counts[1])
        assert not np.array_equal(counts[0], counts[2])

    def test_leaks_that_differ_leave_potentials_that_differ(self):
        result = run(np.full(100, 0.02), 900, tau_m=20 * ms, leak_mismatch=0.2, seed=2)
        key = key_of("leak of layer", seed=2)
        part = np.clip((1 - np.exp(-1 / 20)) * (1 + 0.2 * normal(key, 100)), 0, 1)
        limit = to_grid(0.02) / part
        below = limit < 0.9
        assert below.sum() > 90
        error = np.abs(result.potentials["layer"][0] - limit)[below]
        # What is not yet there after 45 time constants, and the rounding of every step.
        assert (error <= (limit * np.exp(-900 * part) + GRID / part)[below]).all()


class TestNoise:
    def test_it_has_the_moments_that_it_should(self):
        (key,) = stream_keys(1, Purpose.NOISE, range(1))
        draws = binomial(key, np.arange(200_000))
        # Five standard errors of the mean and of the variance of a binomial distribution of 64 tosses.
        assert abs(draws.mean()) < 5 * 4 / np.sqrt(200_000)
        assert abs(draws.var() / 16 - 1) < 5 * np.sqrt(2 / 200_000)
        assert draws.min() >= -32 and draws.max() <= 32

    def test_what_it_adds_up_to_is_booked(self):
        result = run(np.zeros(2000), 100, noise=0.05, seed=3, threshold=50.0)
        total = -result.booked["noise"]["layer"][0]
        assert np.array_equal(total, result.potentials["layer"][0] + 50 * result.spike_counts["layer"][0])
        # A sum of 100 steps of 0.05 V_thr; five standard errors of the deviation of 2,000 neurons.
        assert abs(total.std() / (0.05 * 50 * 10) - 1) < 5 / np.sqrt(2 * 2000)
        assert rows_of(result)["holds"].all()

    @pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**32, 2**130 + 5])
    def test_the_words_of_a_stream_are_those_that_numpy_assembles(self, seed):
        before, behind = Stream(seed, Purpose.NOISE, (9, 2**32 - 1)).words()
        sequences = (
            np.random.SeedSequence(seed, spawn_key=(3, 6, 9, 2**32 - 1)),
            np.random.SeedSequence([*before, 6, *behind]),
        )
        assert len({sequence.generate_state(1, np.uint64).item() for sequence in sequences}) == 1

    def test_populations_and_images_do_not_share_their_draws(self):
        network, images = small_network(), np.repeat(small_images(1), 2, axis=0)
        booked = simulate(network, images, steps=20, noise=0.1, backend="runtime").booked["noise"]
        assert not np.array_equal(booked["conv"][0], booked["conv"][1])
        assert not np.array_equal(booked["conv"].reshape(2, -1)[:, :18], booked["average"].reshape(2, -1))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"noise": -0.1}, "noise is -0.1"),
        ({"adaptation_step": np.inf}, "adaptation_step is inf"),
        ({"delay_mismatch": -0.5}, "delay_mismatch is -0.5"),
        ({"threshold_mismatch": np.nan}, "threshold_mismatch is nan"),
        ({"tau_syn": -1 * ms}, "tau_syn is -0.001 s"),
        ({"tau_syn": np.inf * ms}, "tau_syn is inf s"),
        ({"tau_adaptation": 0 * ms}, "tau_adaptation is 0.0 s"),
        ({"refractory_input": "half"}, "refractory_input is 'half'"),
        ({"schedule": "brian2", "noise": 0.1}, "with schedule='brian2'"),
        ({"schedule": "brian2", "tau_syn": 1 * ms}, "with schedule='brian2'"),
        ({"reversal_excitatory": 0.9}, "above the threshold"),
        ({"reversal_inhibitory": 0.0}, "below rest"),
        ({"schedule": "brian2", "reversal_inhibitory": -1.0}, "with schedule='brian2'"),
        ({"noise": 1e9}, "could gather a charge"),
        ({"adaptation": "current", "adaptation_step": 1e9}, "could gather a charge"),
    ],
)
def test_what_makes_no_sense_is_refused(options, words):
    with pytest.raises(SettingError, match=words):
        run(**options)

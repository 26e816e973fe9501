"""The two spiking softmaxes: how often each output neuron spikes, and what `verify` says of it."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, chi2

from brian_snn import Settings, simulate, verify
from brian_snn.analysis.ann import compare_with_ann
from brian_snn.errors import SettingError
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.neurons.softmax import COMPETITIONS, FACTORS, falling_powers
from tests.small_network import GRID, STEPS, small_images, small_network, to_grid


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def images():
    return small_images()


def readout_network(currents):
    """Return an output layer with constant currents, which the image does not change."""
    size = len(currents)
    image = Projection(INPUT, "out", Geometry("dense", (1,), (size,)), np.zeros((1, size)))
    return Network((Population("out", "readout", (size,), to_grid(currents), 1),), (image,), (1,), grid=GRID)


def run(currents, n_images, steps, readout="softmax_generator", **options):
    """Return the result of images that say nothing."""
    images = np.zeros((n_images, 1))
    return simulate(readout_network(currents), images, steps=steps, backend="runtime", readout=readout, **options)


def softmax(logits):
    """Return the softmax of a vector."""
    powers = [math.exp(logit) for logit in logits]
    return np.array(powers) / math.fsum(powers)


def chi_squared(observed, expected):
    """Return the statistic of the difference."""
    return float(np.sum((np.asarray(observed) - expected) ** 2 / expected))


@pytest.mark.parametrize("threshold", [1.0, 1.75])
def test_a_neuron_is_chosen_with_the_probability_of_the_softmax(threshold):
    currents, n_images = np.array([0.5, 1.5, -1.0, 0.0]), 2000
    # One step, so that all potentials are known; every image has draws of its own.
    counts = run(currents, n_images, 1, threshold=threshold, output_rate=1.0).spike_counts["out"]
    assert (counts.sum(axis=1) == 1).all()
    # 21.1 is passed once in 10,000 seeds at three degrees of freedom.
    assert chi_squared(counts.sum(axis=0), n_images * softmax(currents)) < 21.1


def test_the_generator_has_its_rate():
    counts = run(np.zeros(3), 20, 500, output_rate=0.2).spike_counts["out"]
    # 10,000 steps: five standard deviations are 200.
    assert abs(counts.sum() - 2000) < 200
    assert np.ptp(counts.sum(axis=0)) < 200


def test_with_time_the_softmax_becomes_a_maximum():
    result = run([0.25, 0.75, -0.5], 2, 400, record_spikes=("out",))
    late = result.spike_trains["out"][result.spike_trains["out"][:, 1] > 100]
    # After 100 steps the largest potential leads by 50 thresholds.
    assert (late[:, 2] == 1).all() and len(late)
    assert result.predictions.tolist() == [1, 1]


#: Of the neurons below, and for how many images and steps.
LOGITS, N_IMAGES, N_STEPS = np.array([0.5, 1.5, -1.0, 0.0]), 2000, 50


@pytest.fixture(scope="module")
def counts_at_logits():
    """Return the counts of neurons whose potentials stay at their logits; the rule is that of all backends."""
    competition, shape = COMPETITIONS["softmax_rates"], (N_IMAGES, N_STEPS, len(LOGITS))
    settings = Settings(steps=N_STEPS, seed=5)
    drawn = competition.draws.noise(settings, range(N_IMAGES), len(LOGITS), 1.75, GRID).reshape(shape)
    v = np.tile(1.75 * LOGITS, (N_IMAGES, 1))
    return sum(competition.rule(v, drawn[:, step], 1.75).astype(int) for step in range(N_STEPS))


class TestRates:
    """`softmax_rates`: every neuron spikes with the probability that the softmax gives it, whatever the others do."""

    def test_the_mean_rate_is_the_softmax(self, counts_at_logits):
        n = N_IMAGES * N_STEPS
        for total, rate in zip(counts_at_logits.sum(axis=0), softmax(LOGITS), strict=True):
            # Outside this interval fall 2 in 100,000 seeds: four neurons, 8.
            assert binom.ppf(1e-5, n, rate) <= total <= binom.isf(1e-5, n, rate)

    def test_counts_have_the_distribution_of_independent_draws(self, counts_at_logits):
        spikes = np.arange(N_STEPS + 1)
        for neuron, rate in enumerate(softmax(LOGITS)):
            expected = N_IMAGES * binom.pmf(spikes, N_STEPS, rate)
            common = expected >= 5
            observed = np.bincount(counts_at_logits[:, neuron], minlength=N_STEPS + 1)
            observed = [*observed[common], observed[~common].sum()]
            statistic = chi_squared(observed, [*expected[common], expected[~common].sum()])
            # It is passed once in 100,000 seeds, by any of four neurons in 25,000.
            assert statistic < chi2.isf(1e-5, sum(common))

    def test_neurons_spike_independently_of_each_other(self):
        counts = run([0.0, 0.0], 400, 1, "softmax_rates", seed=2).spike_counts["out"]
        together = np.bincount(2 * counts[:, 0] + counts[:, 1], minlength=4)
        # Each with the probability one half: four equal cells, where 21.1 is passed once in 10,000 seeds.
        assert chi_squared(together, 100.0) < 21.1

    def test_with_time_the_first_spikes_in_every_step_and_the_others_in_none(self):
        result = run([0.25, 0.75, -0.5], 2, 150, "softmax_rates", record_spikes=("out",))
        late = result.spike_trains["out"][result.spike_trains["out"][:, 1] > 100]
        # The lead is 50 thresholds and more; a draw falls below exp(-50) in none of 10^15 runs.
        assert np.array_equal(late, [[image, step, 1] for image in range(2) for step in range(101, 151)])

    def test_it_needs_no_rate_of_a_generator(self):
        counts = [run([0.5, 0.0], 2, 20, "softmax_rates", output_rate=r).spike_counts["out"] for r in (0.1, 0.9)]
        assert np.array_equal(*counts)

    def test_powers_are_exponentials_on_their_grid(self):
        distances = np.concatenate([np.linspace(0, 34, 999), 2.0 ** np.arange(-24, 6), [0.0, 700.0, 1e300]])
        powers = falling_powers(distances)
        assert (powers * 2**32 == np.rint(powers * 2**32)).all() and powers[-3] == 1
        # Half a multiple of 2**-32, and half one of 2**-24 of the distance; products add 29 roundings of 2**-53.
        expected = np.array([math.exp(-d) for d in distances])
        assert (np.abs(powers - expected) <= 2.0**-33 + expected * (2.0**-25 + 2.0**-40)).all()

    def test_factors_are_correctly_rounded(self):
        for k, factor in enumerate(FACTORS):
            x = Fraction(2) ** (k - 24)
            terms = [Fraction(1)]
            while terms[-1] > Fraction(1, 2**140):
                terms.append(terms[-1] * x / len(terms))
            # The sum is short of exp(x) by less than twice its last term, once terms halve.
            low, high = 1 / (sum(terms) + 2 * terms[-1]), 1 / sum(terms)
            assert float(low) == float(high) == factor

    @pytest.mark.slow
    @pytest.mark.parametrize("size", [3, 300])
    def test_compiled_spikes_are_those_of_the_process(self, size):
        network = readout_network(np.random.default_rng(0).normal(0, 0.05, size))
        options = {"readout": "softmax_rates", "steps": 60, "seed": 3, "clamp": 1, "threshold": 1.75}
        compiled, in_process = (
            simulate(network, np.zeros((4, 1)), backend=backend, record_spikes=["out"], **options)
            for backend in ("standalone", "runtime")
        )
        assert np.array_equal(compiled.spike_trains["out"], in_process.spike_trains["out"])
        # One spike a step in the mean, of independent neurons: its variance is below 1, and 80 are five deviations.
        assert abs(compiled.spike_counts["out"].sum() - 4 * 60) < 80

    def test_a_wrong_spike_is_found(self, network, images):
        result = simulate(network, images, steps=STEPS, backend="runtime", readout="softmax_rates")
        assert verify(result, replay="all")["holds"].all()
        result.spike_counts["out"][2, 1] += 1
        failed = verify(result, replay="all").query("not holds")
        assert failed[["population", "equation"]].values.tolist() == [["out", "spikes"]]


def test_files_from_before_there_were_two_have_the_generator():
    numbers = Settings(readout="softmax_generator", output_rate=0.25).numbers()
    assert Settings.from_numbers(numbers | {"readout": "softmax"}) == Settings.from_numbers(numbers)


def test_a_softmax_without_a_name_for_its_kind_is_refused():
    with pytest.raises(SettingError, match="softmax_generator.*softmax_rates"):
        run([0.5], 1, 5, "softmax")


def test_it_answers_where_all_potentials_are_negative():
    spiking = simulate(readout_network([-0.5, -0.25]), np.zeros((1, 1)), steps=50, backend="runtime", readout="spikes")
    assert not spiking.spike_counts["out"].any()
    assert run([-0.5, -0.25], 1, 50).predictions.tolist() == [1]


def test_it_leaves_the_potentials_as_they_are(network, images):
    potential, softmax = (
        simulate(network, images, steps=STEPS, backend="runtime", readout=readout)
        for readout in ("potential", "softmax_generator")
    )
    for name in ("out", "mixed"):
        assert np.array_equal(potential.potentials[name], softmax.potentials[name])
    activations = {"out": np.linspace(-1, 1, 12).reshape(3, 4)}
    pd.testing.assert_frame_equal(compare_with_ann(potential, activations), compare_with_ann(softmax, activations))


def test_every_row_of_verify_holds_exactly(network, images):
    report = verify(simulate(network, images, steps=STEPS, backend="runtime", readout="softmax_generator", clamp=2))
    rows = report[report["population"] == "out"].set_index("equation")
    assert rows.loc[["charge", "synapses", "softmax"], "applicable"].all()
    assert (rows.loc[["charge", "synapses", "softmax"], "max_residual_charge"] == 0).all() and report["holds"].all()


def test_a_wrong_spike_is_found(network, images):
    result = simulate(network, images, steps=STEPS, backend="runtime", readout="softmax_generator")
    result.spike_counts["out"][2, 1] += 1
    failed = verify(result).query("not holds")
    assert failed[["population", "equation"]].values.tolist() == [["out", "softmax"], ["out", "spikes"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_rate": 0.0}, "output_rate is 0.0; it must be above 0 and at most 1"),
        ({"output_rate": 1.5}, "output_rate is 1.5"),
        ({"schedule": "brian2"}, "readout is 'softmax_generator'; with schedule='brian2'"),
    ],
)
def test_settings_outside_their_range_are_refused(options, message):
    with pytest.raises(SettingError, match=message):
        run([0.5], 1, 5, **options)

"""Certified bounds: against adversarial input and simulated networks, at every step; and where they are exact."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brian_snn.analysis import batching
from brian_snn.analysis.bounds import bounds, rate_bounds
from brian_snn.analysis.envelopes import Envelope, delayed_envelope, envelopes, spike_envelope, staircase_envelope
from brian_snn.errors import SettingError
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.settings import Settings
from tests.error_cases import CASES, simulated, two_depth_pool, uneven_network, wild_network
from tests.small_network import loop_result, small_images, small_network, to_grid

COVERED = [case for case, options in CASES.items() if options.get("schedule") != "brian2"]


def counts_over_time(z, v_init, reset):
    """Return N(t) of one neuron, t = 0 ... T, for the charges z of its steps, in thresholds."""
    v, counts = v_init, [0]
    for charge in z:
        u = v + charge
        spike = u >= 1
        v = 0.0 if spike and reset == "zero" else u - spike
        counts.append(counts[-1] + int(spike))
    return np.array(counts)


# --- one neuron against an adversary --------------------------------------------------------------------------------

SIXTEENTHS = st.integers(-40, 40).map(lambda k: k / 16)
OFFSETS = st.integers(0, 48).map(lambda k: k / 16)


@st.composite
def attacks(draw):
    """Draw an envelope of the charge, and a charge that moves between its edges at will."""
    low, width = draw(SIXTEENTHS), draw(st.integers(0, 8).map(lambda k: k / 16))
    below, above = draw(OFFSETS), draw(OFFSETS)
    places = draw(st.lists(st.sampled_from([0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0]), min_size=1, max_size=40))
    t = np.arange(1, len(places) + 1)
    lowest, highest = low * t - below, (low + width) * t + above
    charge = lowest + np.array(places) * (highest - lowest)
    return (low, low + width, below, above), np.diff(charge, prepend=0.0)


def arrays(*numbers):
    """Return an envelope of one neuron and one image."""
    return Envelope(*(np.full((1, 1), float(number)) for number in numbers))


@settings(max_examples=400, deadline=None)
@given(
    attack=attacks(),
    v_init=st.sampled_from([0.0, 0.5, 1.0, 1.75, -0.5]),
    reset=st.sampled_from(["subtraction", "zero"]),
)
def test_no_charge_within_its_envelope_drives_the_count_out_of_its_own(attack, v_init, reset):
    limits, z = attack
    counts, t = counts_over_time(z, v_init, reset), np.arange(len(z) + 1)
    found = spike_envelope(arrays(*limits), v_init, reset, len(z), np.full((1, 1), z.max()))
    low, high, below, above = (float(a[0, 0]) for a in (found.low, found.high, found.below, found.above))
    # Quotients of reset to zero are rounded; everything else is a multiple of 1/64.
    assert (counts >= low * t - below - 1e-12).all()
    assert (counts <= high * t + above + 1e-12).all()
    assert below >= 0 and above >= 0


@pytest.mark.parametrize(
    ("z", "limits", "v_init", "reached"),
    [
        # Two thresholds too early: three spikes in three steps where the mean drive makes one.
        ([2.5, 0.5, 0.5], (0.5, 0.5, 0, 2), 0.0, "above"),
        # Two thresholds too late, and three quarters of one left over: one spike in six steps of 0.625.
        ([0.0, 0.0, 0.0, 0.5, 0.625, 0.625], (0.625, 0.625, 2, 0), 0.0, "below"),
        # A silent neuron that is lent two thresholds at first.
        ([1.0, 1.0, -3.0], (-0.25, -0.25, 3, 2.5), 0.0, "above"),
        # A saturated one that starts three steps late never makes up for it.
        ([0.0, 0.0, 0.0, 1.0, 1.0], (1.0, 1.0, 3, 0), 0.0, "below"),
    ],
)
def test_there_is_a_charge_that_reaches_the_bound(z, limits, v_init, reached):
    counts = counts_over_time(z, v_init, "subtraction")
    found = spike_envelope(arrays(*limits), v_init, "subtraction", len(z))
    n = len(z)
    if reached == "above":
        assert counts[-1] == np.floor(found.high * n + found.above).item()
    else:
        assert counts[-1] - 1 < (found.low * n - found.below).item() <= counts[-1]


@given(period=st.integers(1, 50), n_steps=st.integers(1, 200))
def test_the_staircase_is_the_count_of_s9(period, n_steps):
    found = staircase_envelope(np.full((1, 1), float(period)), n_steps)
    t = np.arange(n_steps + 1)
    assert (found.low * t - found.below <= t // period).all() and (t // period <= found.high * t + found.above).all()
    assert (found.high - found.low).item() == 0 and (found.below + found.above).item() < 1


@given(
    spikes=st.lists(st.booleans(), min_size=1, max_size=40),
    delay=st.integers(0, 20),
    low=st.integers(0, 8).map(lambda k: k / 8),
    width=st.integers(0, 8).map(lambda k: k / 8),
)
def test_a_late_listener_hears_what_the_delayed_envelope_allows(spikes, delay, low, width):
    """The source's own envelope is as narrow as its spikes and the two slopes allow."""
    counts, t = np.concatenate([[0], np.cumsum(spikes)]), np.arange(len(spikes) + 1)
    below, above = np.max(low * t - counts), np.max(counts - (low + width) * t)
    heard, t = counts[delay:] - counts[min(delay, len(spikes))], np.arange(len(counts[delay:]))
    found = delayed_envelope(arrays(low, low + width, below, above), delay)
    assert (found.low * t - found.below <= heard).all() and (heard <= found.high * t + found.above).all()


# --- networks, at every step ----------------------------------------------------------------------------------------


def assert_envelopes_hold(result):
    """Compare the spike counts of every step with the envelopes."""
    for population, found in envelopes(result.network, result.images, result.settings):
        if population.kind == "readout" and result.settings.readout == "potential":
            continue
        start, n_images = result.window_start(population.name), len(result.images)
        spikes = np.zeros((n_images, result.settings.steps, population.size))
        image, step, neuron = result.spike_trains[population.name].T
        spikes[image, step - 1, neuron] = 1
        counts = spikes.cumsum(axis=1)[:, start:]
        t = np.arange(1, counts.shape[1] + 1)[None, :, None]
        low, high, below, above = (x[:, None] for x in (found.low, found.high, found.below, found.above))
        assert (counts >= low * t - below - 1e-9).all(), population.name
        assert (counts <= high * t + above + 1e-9).all(), population.name


@pytest.mark.parametrize("make", [small_network, wild_network, two_depth_pool, uneven_network])
@pytest.mark.parametrize("case", COVERED)
def test_counts_stay_within_their_envelopes_at_every_step(make, case):
    result = loop_result(make(), small_images(), **CASES[case])
    assert_envelopes_hold(result)
    assert bounds(result).holds.all()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    gain=st.sampled_from([0.5, 1.0, 4.0]),
    reset=st.sampled_from(["subtraction", "zero"]),
    v_init=st.sampled_from([0.0, 0.5, 1.2, -0.3]),
    threshold=st.sampled_from([1.0, 0.7]),
    clamp=st.integers(0, 2),
)
def test_random_networks_stay_within_their_envelopes(seed, gain, reset, v_init, threshold, clamp):
    rng = np.random.default_rng(seed)
    sizes = [40, 6, 5, 4, 3]
    names = [INPUT, "a", "b", "c", "d"]
    projections = [
        Projection(
            names[k], names[k + 1], Geometry("dense", (n,), (m,)), to_grid(gain * rng.normal(0.3, 1, (n, m)) / n)
        )
        for k, (n, m) in enumerate(itertools.pairwise(sizes))
    ]
    # A path of another length to the last layer.
    projections.append(
        Projection("a", "d", Geometry("dense", (6,), (3,)), to_grid(gain * rng.normal(0, 1, (6, 3)) / 6))
    )
    populations = tuple(
        Population(name, "spiking", (size,), to_grid(rng.normal(0.05, 0.2, size)), k + 1)
        for k, (name, size) in enumerate(zip(names[1:], sizes[1:], strict=True))
    )
    network = Network(populations, tuple(projections), (5, 4, 2), grid=2.0**-24)
    options = {"reset": reset, "v_init": v_init, "threshold": threshold, "clamp": clamp}
    assert_envelopes_hold(loop_result(network, small_images(2), **options))


# --- where they are exact, and what they must show ------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"reset": "zero"}, {"v_init": 0.5}, {"threshold": 1.7, "v_init": 0.25}])
def test_rates_of_constant_input_are_certain(options):
    """One count is left, the right one: the largest whole number within V(0) + z T, or S9's."""
    result = loop_result(wild_network(), small_images(), **options)
    lowest, highest = rate_bounds(result.network, result.images, result.settings)["conv"]
    np.testing.assert_array_equal(lowest, highest)
    np.testing.assert_array_equal(result.spike_counts["conv"] / 30, lowest)


def test_start_above_threshold_is_certain_to_one_spike():
    result = loop_result(wild_network(), small_images(), v_init=1.5)
    lowest, highest = rate_bounds(result.network, result.images, result.settings)["conv"]
    assert ((highest - lowest) * 30 <= 2).all()


def test_the_mean_charge_of_a_readout_lies_within_its_limits():
    result = loop_result(wild_network(), small_images())
    lowest, highest = rate_bounds(result.network, result.images, result.settings)["out"]
    mean = result.potentials["out"] / 30
    assert (lowest <= mean).all() and (mean <= highest).all() and (highest - lowest < 2).any()


def test_bounds_of_subtraction_fall_as_one_over_the_number_of_steps():
    def width(steps):
        lowest, highest = rate_bounds(small_network(), small_images(), Settings(steps=steps))["average"]
        return (highest - lowest).max()

    assert width(30_000) == pytest.approx(width(3_000) / 10, rel=0.02)


def test_the_report_is_that_of_limits_rates_and_activations():
    result, activations = simulated()
    report = bounds(result, activations).set_index("population")
    for name in ("conv", "pool", "average", "mixed"):
        lowest, highest = rate_bounds(result.network, result.images, result.settings)[name]
        target = activations[name] / result.network[name].scale
        error, bound = np.abs(result.spike_counts[name] / 30 - target), np.maximum(highest - target, target - lowest)
        tightness = (error[error > 0] / bound[error > 0]).max()
        expected = [bound.max(), bound.mean(), error.max(), error.mean(), tightness]
        columns = ["bound", "mean_bound", "measured", "mean_measured", "tightness"]
        assert list(report.loc[name, columns]) == pytest.approx(expected, rel=1e-12)
        assert report.tightness[name] <= 1
        assert report.silent[name] == np.mean(highest == 0)


def deep_network():
    """Return seven layers of 12 neurons with weights of both signs, and an output."""
    rng, names = np.random.default_rng(2), [*(f"layer {k}" for k in range(7)), "out"]
    sources, sizes = [INPUT, *names[:-1]], [40, *[12] * 7, 3]
    projections = tuple(
        Projection(s, t, Geometry("dense", (n,), (m,)), to_grid(rng.normal(0.0, 3.5 / n, (n, m))))
        for s, t, n, m in zip(sources, names, sizes, sizes[1:], strict=False)
    )
    kinds = dict.fromkeys(names, "spiking") | {"out": "readout"}
    biases = {name: to_grid(rng.uniform(0.0, 0.3, size)) for name, size in zip(names, sizes[1:], strict=True)}
    populations = tuple(Population(n, kinds[n], biases[n].shape, biases[n], k + 1) for k, n in enumerate(names))
    return Network(populations, projections, (5, 4, 2), grid=2.0**-24)


def test_a_bound_that_says_nothing_is_called_vacuous():
    said = []
    for network in (wild_network(), deep_network()):
        result, activations = simulated(network)
        for name, word in bounds(result, activations).set_index("population")["says"].items():
            lowest, highest = rate_bounds(network, result.images, result.settings)[name]
            target = activations[name] / network[name].scale
            reads_out = network[name].kind == "readout"
            measured = (result.potentials if reads_out else result.spike_counts)[name] / 30
            bound = np.maximum(highest - target, target - lowest).mean()
            nothing = bound >= np.abs(target).mean() if reads_out else np.mean((lowest <= 0) & (highest >= 1)) > 0.5
            near = bound <= 2 * np.abs(measured - target).mean()
            assert word == ("vacuous" if nothing else "tight" if near else "loose")
            said.append(word)
    assert set(said) == {"tight", "loose", "vacuous"} and said[-2:] == ["vacuous"] * 2


def test_neurons_proved_silent_are_silent():
    result = loop_result(wild_network(), small_images())
    limits = rate_bounds(result.network, result.images, result.settings)
    silent = {name: highest == 0 for name, (_, highest) in limits.items() if name != "out"}
    assert silent["conv"].any() and silent["mixed"].any()
    assert all((result.spike_counts[name][where] == 0).all() for name, where in silent.items())


def test_a_count_that_cannot_be_does_not_hold():
    result, activations = simulated()
    counts = result.spike_counts["conv"].copy()
    counts[1, 2, 2, 0] += 1
    wrong = replace(result, spike_counts=result.spike_counts | {"conv": counts})
    report = bounds(wrong, activations).set_index("population")
    assert not report.holds["conv"] and report.holds["mixed"]


def test_without_activations_the_targets_are_those_of_the_network():
    result, activations = simulated()
    columns = ["bound", "measured", "tightness"]
    given_, own = bounds(result, activations)[columns], bounds(result)[columns]
    np.testing.assert_allclose(own, given_, rtol=0, atol=1e-6)


def test_small_batches_change_nothing(monkeypatch):
    result, activations = simulated(clamp=2)
    before, limits = bounds(result, activations), rate_bounds(result.network, result.images, result.settings)
    monkeypatch.setattr(batching, "_IMAGE_NUMBERS", 1)
    after = bounds(result, activations)
    assert list(after["says"]) == list(before["says"])
    numbers = [column for column in before if column not in ("population", "says")]
    np.testing.assert_allclose(after[numbers].astype(float), before[numbers].astype(float), rtol=1e-12)
    (name, found), *others = rate_bounds(result.network, result.images, result.settings, ["mixed"]).items()
    assert (name, others) == ("mixed", [])
    np.testing.assert_allclose(found, limits["mixed"], rtol=1e-12)


def test_settings_without_a_proof_are_refused():
    result = loop_result(small_network(), small_images(), schedule="brian2")
    with pytest.raises(SettingError, match="schedule 'brian2'"):
        bounds(result)

"""The account of the error: against fractions over dense matrices, and each term where theory says it must vanish."""

from dataclasses import replace

import numpy as np
import pytest

from brian_snn.analysis import batching
from brian_snn.analysis.error import error_account, error_origins, error_terms, knob
from brian_snn.errors import DataError, SettingError
from brian_snn.network.records import INPUT, Geometry, Projection
from tests.error_cases import CASES, simulated, two_depth_pool, uneven_network
from tests.error_oracle import NeuronAccount, dense_activations
from tests.small_network import loop_result, projection_matrix, small_images, small_network, to_grid

EPS = 2.0**-52


def sizes_of_sums(result, activations, name):
    """Return, per neuron, fan-in and the sum of the absolute values of all that is added up for it."""
    network = result.network
    fan, size = np.zeros(network[name].size), 1.0 + np.abs(activations[name] / network[name].scale).reshape(3, -1)
    steps, theta = max(1, result.window_steps(name)), result.settings.threshold
    for field in ("potentials", "charge", "surplus"):
        numbers = result.by_population(field).get(name, np.zeros(result.charge[name].shape))
        size = size + np.abs(numbers).reshape(3, -1) / (steps * theta)
    for p in network.into(name):
        if p.source != INPUT:
            matrix = np.abs(projection_matrix(p, p.weights, network[p.source].size, network[name].size))
            sent = 1.0 + np.abs(activations[p.source] / network[p.source].scale).reshape(3, -1)
            fan, size = fan + (matrix > 0).sum(axis=0), size + 3 * sent @ matrix
    return fan, size


# --- against fractions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_the_terms_add_up_to_the_error_exactly_in_fractions(case):
    """The derivation itself: no rounding, no tolerance."""
    result, activations = simulated(**CASES[case])
    oracle = NeuronAccount(result, activations)
    for population in result.network.populations:
        terms = oracle.terms(population.name)
        assert [sum(values) for values in zip(*terms.values(), strict=True)] == oracle.error(population.name)


@pytest.mark.parametrize("case", CASES)
def test_every_term_is_that_of_the_fractions(case):
    result, activations = simulated(**CASES[case])
    oracle = NeuronAccount(result, activations, image=1)
    for population in result.network.populations:
        name = population.name
        fan, size = sizes_of_sums(result, activations, name)
        terms, expected = error_terms(result, activations, name), oracle.terms(name)
        assert set(terms) == set(expected)
        for term, values in expected.items():
            difference = np.abs(terms[term][1].ravel() - np.array([float(x) for x in values]))
            assert (difference <= (fan + 8) * EPS * size[1]).all(), (name, term)


@pytest.mark.parametrize("options", [{}, {"clamp": 3}, {"reset": "zero", "clamp": 1}])
def test_a_pool_of_layers_of_different_depth(options):
    result, activations = simulated(two_depth_pool(), **options)
    oracle = NeuronAccount(result, activations, image=2)
    for name in ("pool", "out"):
        terms, expected = error_terms(result, activations, name), oracle.terms(name)
        assert [sum(values) for values in zip(*expected.values(), strict=True)] == oracle.error(name)
        for term, values in expected.items():
            np.testing.assert_allclose(terms[term][2].ravel(), [float(x) for x in values], rtol=0, atol=16 * EPS)


def test_the_pool_of_two_layers_takes_errors_from_both():
    result, activations = simulated(two_depth_pool())
    terms = error_terms(result, activations, "pool")
    assert terms["arrives from first"].any() and terms["arrives from second"].any()


# --- what the terms mean --------------------------------------------------------------------------------------------


def constant_drive_counts(charge, steps, theta, v_init, reset):
    """Return the spikes of neurons that receive the same charge evenly, step by step."""
    v, counts = np.full(charge.shape, v_init), np.zeros(charge.shape)
    for _ in range(steps):
        v = v + charge / steps
        spikes = v >= theta
        counts += spikes
        v = np.where(spikes, 0.0 if reset == "zero" else v - theta, v)
    return counts


@pytest.mark.parametrize("v_init", [0.0, 0.5])
def test_the_transient_is_the_spikes_that_evenly_spread_charge_would_not_have_made(v_init):
    """To within one spike: the residual is the rest of what is not decided by the charge alone."""
    result, activations = simulated(uneven_network(), v_init=v_init)
    even = constant_drive_counts(result.charge["mixed"], 30, 1.0, v_init, "subtraction")
    extra = result.spike_counts["mixed"] - even
    transient = error_terms(result, activations, "mixed")["transient"] * 30
    assert (np.abs(transient - extra) < 1 + 1e-9).all()
    assert (extra > 1).any() and (extra < -1).any()


def test_saturation_is_the_target_above_r_max():
    result, activations = simulated()
    terms = error_terms(result, activations, "conv")
    np.testing.assert_array_equal(terms["saturation"], -np.maximum(activations["conv"] / 2 - 1, 0))
    assert (terms["saturation"] < 0).any()


def test_the_surplus_is_the_charge_thrown_away_by_neurons_below_saturation():
    result, activations = simulated(reset="zero")
    below = result.charge["conv"] <= 30
    surplus = error_terms(result, activations, "conv")["surplus"]
    np.testing.assert_array_equal(surplus[below], -result.booked["surplus"]["conv"][below] / 30)
    assert (surplus[below] < 0).any()


def test_a_saturated_neuron_with_constant_input_has_no_surplus():
    """What reset to zero throws away there, reset by subtraction could not have spiked either."""
    result, activations = simulated(reset="zero")
    full = result.charge["conv"] > 30
    assert full.any() and (error_terms(result, activations, "conv")["surplus"][full] == 0).all()


def test_rounding_is_the_grid():
    """Weights moved off the grid by known amounts: the term is what the difference does to the target."""
    network = small_network()
    conv = next(p for p in network.projections if p.target == "conv")
    moved = replace(conv, weights=conv.weights + 2.0**-10)
    other = replace(network, projections=tuple(moved if p is conv else p for p in network.projections))
    images = small_images()
    result, activations = loop_result(network, images), dense_activations(other, images)
    exact = dense_activations(network, images)
    expected = np.clip(exact["conv"], 0, 1) - np.clip(activations["conv"], 0, 1)
    grid = error_terms(result, activations, "conv")["grid"]
    np.testing.assert_allclose(grid, expected, rtol=0, atol=2.0**-25 + 100 * EPS)
    assert (expected < -(2.0**-10)).any()


# --- where a term must be exactly zero ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["conv", "average", "mixed"])
def test_subtraction_has_no_surplus(name):
    assert (error_terms(*simulated(), name)["surplus"] == 0).all()


@pytest.mark.parametrize("name", ["conv", "pool", "average", "mixed", "out"])
def test_without_a_clamp_there_is_one_window(name):
    assert (error_terms(*simulated(), name)["window"] == 0).all()


@pytest.mark.parametrize("name", ["conv", "pool", "average", "mixed", "out"])
def test_targets_within_r_max_do_not_saturate(name):
    result, activations = simulated(small_network())
    within = {n: np.minimum(a, 1.0) for n, a in activations.items()}
    assert (error_terms(result, within, name).get("saturation", np.zeros(1)) == 0).all()


def test_nothing_arrives_in_the_first_layer():
    terms = error_terms(*simulated(), "conv")
    assert not [term for term in terms if term.startswith("arrives")]


@pytest.mark.parametrize("case", ["subtraction", "zero", "threshold", "threshold and start, zero", "start below zero"])
def test_constant_input_makes_no_transient_and_is_not_clipped(case):
    terms = error_terms(*simulated(**CASES[case]), "conv")
    assert (terms["transient"] == 0).all() and (terms["clipped"] == 0).all()


def test_start_above_threshold_makes_no_transient_of_constant_input():
    assert (error_terms(*simulated(v_init=1.5), "conv")["transient"] == 0).all()


def test_silent_and_saturated_neurons_with_constant_input_leave_no_residual():
    result, activations = simulated()
    charge = result.charge["conv"]
    outside = (charge < 0) | (charge > 30)
    assert outside.any() and (error_terms(result, activations, "conv")["residual"][outside] == 0).all()


@pytest.mark.parametrize("name", ["conv", "average", "mixed"])
def test_the_residual_is_at_most_one_spike(name):
    assert (np.abs(error_terms(*simulated(), name)["residual"]) <= 1 / 30).all()


def test_exact_pooling_misses_nothing_and_lagging_pooling_does():
    assert (error_terms(*simulated(), "pool")["pooling"] == 0).all()
    assert (error_terms(*simulated(schedule="brian2"), "pool")["pooling"] < 0).any()


def test_a_maximum_is_never_too_low_by_selection():
    selection = error_terms(*simulated(reset="zero"), "pool")["selection"]
    assert (selection >= 0).all()


# --- tables ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def account():
    """Return a simulation with its activations and its account."""
    result, activations = simulated(reset="zero", clamp=1)
    return result, activations, error_account(result, activations)


def test_means_are_those_of_the_neurons(account):
    result, activations, table = account
    mixed = table[table.population == "mixed"].set_index(["term", "source"])
    for term, values in error_terms(result, activations, "mixed").items():
        key = ("arrives", term.removeprefix("arrives from ")) if term.startswith("arrives") else (term, "")
        expected = [values.mean(), np.abs(values).mean(), np.sqrt((values**2).mean())]
        assert list(mixed.loc[key, ["mean", "mean_abs", "rms"]]) == pytest.approx(expected, rel=1e-12, abs=1e-18)
        assert mixed.loc[key, "rms_hz"] == pytest.approx(1000 * expected[2], rel=1e-12)


def test_the_error_is_that_of_rates_and_activations(account):
    result, activations, table = account
    errors = table[table.term == "error"].set_index("population")
    for name in ("conv", "average", "mixed"):
        scale = result.network[name].scale
        error = result.spike_counts[name] / result.window_steps(name) - activations[name] / scale
        assert errors.rms[name] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-12)


def test_nothing_but_rounding_is_unexplained(account):
    result, activations, table = account
    unexplained = table[table.term == "unexplained"].set_index("population")
    for name in ("conv", "pool", "average", "mixed", "out"):
        fan, size = sizes_of_sums(result, activations, name)
        assert unexplained.rms[name] <= ((fan + 16) * EPS * size).max()


def test_a_wrong_count_is_unexplained():
    result, activations = simulated()
    counts = result.spike_counts["average"].copy()
    counts[1, 0, 0, 0] += 1
    table = error_account(replace(result, spike_counts=result.spike_counts | {"average": counts}), activations)
    unexplained = table[table.term == "unexplained"].set_index("population")
    assert unexplained.mean_abs["average"] * counts.size * 30 == pytest.approx(1, rel=1e-9)


def test_shares_add_up_to_one(account):
    table = account[2]
    shares = table[table.term != "error"].groupby("population").share.sum()
    assert shares.to_numpy() == pytest.approx(np.ones(5), abs=1e-9)


def test_the_share_of_the_only_cause_is_one():
    """A first layer with V(0) = 0 and no saturation: everything is the residual, but for the grid's 2**-24."""
    table = error_account(*simulated(small_network()))
    row = table[(table.population == "conv") & (table.term == "residual")].iloc[0]
    assert row.share == pytest.approx(1, abs=1e-4)


def test_small_batches_change_nothing(account, monkeypatch):
    result, activations, table = account
    monkeypatch.setattr(batching, "_IMAGE_NUMBERS", 1)
    again = error_account(result, activations)
    columns = ["mean", "mean_abs", "rms", "share"]
    np.testing.assert_allclose(again[columns], table[columns], rtol=1e-9, atol=1e-15)


# --- origins --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["term", "population"])
@pytest.mark.parametrize("case", ["subtraction", "zero", "clamp", "clamped to the end", "spiking readout"])
def test_origins_add_up_to_the_error(case, by):
    result, activations = simulated(**CASES[case])
    table = error_origins(result, activations, by)
    column = "term" if by == "term" else "origin"
    for _, rows in table.groupby("population"):
        error = rows[rows[column] == "error"].iloc[0]
        parts = rows[rows[column] != "error"]
        assert parts["mean"].sum() == pytest.approx(error["mean"], abs=1e-12)
        assert parts.share.sum() == pytest.approx(1, abs=1e-9)


def test_origins_of_a_readout_are_weights_times_errors():
    """Two layers, nothing in between: what the readout gets from the first layer is W applied to its error."""
    network = two_depth_pool()
    keep = ("first", "out")
    projection = Projection("first", "out", Geometry("dense", (4,), (3,)), to_grid(np.arange(12).reshape(4, 3) / 7))
    network = replace(
        network,
        populations=tuple(replace(p, depth=1 + keep.index(p.name)) for p in network.populations if p.name in keep),
        projections=(*(p for p in network.projections if p.target == "first"), projection),
    )
    result, activations = simulated(network)
    error = (result.spike_counts["first"] / 30 - activations["first"]).reshape(3, -1) @ projection.weights
    table = error_origins(result, activations, "population").set_index(["population", "origin"])
    assert table.rms["out", "first"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-9)


def test_errors_do_not_come_from_later_layers():
    table = error_origins(*simulated(), by="population")
    origins = {name: set(rows.origin) - {"error"} for name, rows in table.groupby("population")}
    assert origins == {
        "conv": {"conv"},
        "pool": {"conv", "pool"},
        "average": {"conv", "average"},
        "mixed": {"conv", "pool", "average", "mixed"},
        "out": {"conv", "pool", "average", "mixed", "out"},
    }


def test_unknown_origins_are_refused():
    with pytest.raises(SettingError, match="by is 'layer'"):
        error_origins(*simulated(), by="layer")


# --- knobs ----------------------------------------------------------------------------------------------------------


def size_of(term, network=None, **options):
    """Return the mean absolute size of a term over all populations, as the sum of theirs."""
    table = error_account(*simulated(network, **options))
    return table[table.term == term].mean_abs.sum()


@pytest.mark.parametrize(
    ("term", "words", "before", "after"),
    [
        ("residual", "more steps", {"steps": 30}, {"steps": 120}),
        ("residual", "V_thr/2", {}, {"v_init": 0.5}),
        ("transient", "more steps", {"steps": 30, "network": uneven_network()}, {"steps": 300}),
        ("surplus", "subtraction", {"reset": "zero"}, {}),
        ("window", "shorter clamp", {"clamp": 4}, {"clamp": 1}),
        ("pooling", "same_step", {"schedule": "brian2"}, {}),
    ],
)
def test_the_knob_that_is_named_lowers_the_term(term, words, before, after):
    network, before = before.get("network", small_network()), {k: v for k, v in before.items() if k != "network"}
    result = loop_result(network, small_images(1), **before)
    assert words in knob(term, result.settings, result.network)
    assert size_of(term, network, **after) < size_of(term, network, **before)


def test_a_percentile_below_100_is_what_saturation_asks_for():
    settings = loop_result(small_network(), small_images(1)).settings
    assert "higher percentile (now 99)" in knob("saturation", settings, replace(small_network(), percentile=99.0))
    assert "calibration images" in knob("saturation", settings, replace(small_network(), percentile=100.0))


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {k: v for k, v in a.items() if k != "average"}, "'average': its activations are needed"),
        (lambda a: a | {"pool": np.zeros((3, 2))}, r"'pool': activations have shape \(3, 2\); \(3, 3, 2, 3\)"),
        (lambda a: a | {"dense": np.zeros((3, 2))}, r"\['dense'\] were given"),
    ],
)
def test_activations_that_do_not_fit_are_refused(change, message):
    result, activations = simulated()
    with pytest.raises(DataError, match=message):
        error_account(result, change(activations))

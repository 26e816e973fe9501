"""Between what the terms of the error lie in any order of their causes: against every order, neuron by neuron."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from brian_snn.analysis.error import error_account
from brian_snn.analysis.error_terms import splitter
from brian_snn.analysis.measured import Measured
from tests.error_cases import simulated, two_depth_pool, wild_network
from tests.small_network import projection_matrix

CASES = {
    "plain": {},
    "clamp": {"clamp": 2},
    "zero": {"reset": "zero", "v_init": 0.25},
    "spiking readout": {"readout": "spikes"},
}


def split_of(result, activations, name):
    """Return the split of the error of a population, all images at once."""
    return splitter(Measured(result, activations), result.network[name])(slice(0, len(result.images)))


def cut(x):
    """Return what a rate can express."""
    return min(max(x, Fraction(0)), Fraction(1))


def every_order(y, moves, saturation):
    """Yield what each cause changes, for every order of them; Phi is called cut, and Phi(Y) - Y is saturation."""
    for order in itertools.permutations([*moves, "cut"]):
        x, behind, changes = y, False, {}
        for cause in order:
            if cause == "cut":
                changes["cut"] = saturation + (cut(x) - x) - (cut(y) - y)
                behind = True
            else:
                after = x + moves[cause]
                changes[cause] = cut(after) - cut(x) if behind else moves[cause]
                x = after
        yield changes


@pytest.mark.parametrize("case", CASES)
def test_the_ranges_are_those_of_all_orders(case):
    result, activations = simulated(**CASES[case])
    n_open = 0
    for population in result.network.populations:
        split = split_of(result, activations, population.name)
        if ("saturation", "") not in split.ranges:
            continue
        moves = {("window", ""): split.terms["window"]} | {("arrives", s): v for s, v in split.arrives.items()}
        theta = result.settings.threshold * result.window_steps(population.name)
        charge = result.charge[population.name].reshape(len(result.images), -1) / theta
        for place in np.ndindex(*charge.shape):
            here = {key: Fraction(float(values[place])) for key, values in moves.items()}
            y = Fraction(float(charge[place])) - sum(here.values())
            orders = list(every_order(y, here, Fraction(float(split.terms["saturation"][place]))))
            for cause in (*here, "cut"):
                found = [float(changes[cause]) for changes in orders]
                low, high = (end[place] for end in split.ranges[("saturation", "") if cause == "cut" else cause])
                np.testing.assert_allclose((low, high), (min(found), max(found)), rtol=0, atol=1e-12)
                n_open += high - low > 1e-6
    assert n_open > 20


def test_where_nothing_is_cut_off_there_is_nothing_to_order():
    result, activations = simulated()
    account = error_account(result, activations)
    readout = account[account["population"] == "out"]
    assert (readout["share_lowest"] == readout["share"]).all() and (readout["share_highest"] == readout["share"]).all()


@pytest.mark.parametrize("case", CASES)
def test_every_share_lies_between_its_ends(case):
    result, activations = simulated(**CASES[case])
    account = error_account(result, activations).dropna(subset="share")
    assert (account["share_lowest"] <= account["share"] + 1e-12).all()
    assert (account["share_highest"] >= account["share"] - 1e-12).all()
    open_terms = account.loc[account["share_highest"] > account["share_lowest"] + 1e-6, "term"]
    assert set(open_terms) <= {"arrives", "window", "saturation", "clipped", "selection"} and len(open_terms)


def test_the_shares_of_all_orders_together_are_the_error():
    """What the clipped share is moved to, arrives or saturation, the two still add up to the same."""
    result, activations = simulated()
    for _, account in error_account(result, activations).groupby("population"):
        terms = account[~account["term"].isin(["error", "unexplained"])]
        assert terms["share_lowest"].sum() <= 1 + 1e-9 <= terms["share_highest"].sum() + 2e-9


@pytest.mark.parametrize("make", [wild_network, two_depth_pool])
def test_a_pool_may_take_the_input_that_spikes_most_for_the_winner(make):
    result, activations = simulated(make(), reset="zero")
    # Of a constant input the larger activation spikes more: let these be those of another network.
    rng = np.random.default_rng(4)
    activations = {name: values * rng.uniform(0.5, 1.5, values.shape) for name, values in activations.items()}
    network, split, n_other = result.network, split_of(result, activations, "pool"), 0
    sources = {
        p.source: projection_matrix(p, p.weights, network[p.source].size, network["pool"].size)
        for p in network.into("pool")
    }
    for image, unit in np.ndindex(len(result.images), network["pool"].size):
        inputs = []
        for source, matrix in sources.items():
            targets = (activations[source] / network[source].scale)[image].ravel()
            rates = result.spike_counts[source][image].ravel() / result.window_steps(source)
            inputs += [(targets[j], rates[j], source) for j in np.flatnonzero(matrix[:, unit])]
        wanted, leader = max(inputs), max(inputs, key=lambda each: (each[1], each[0]))
        n_other += wanted[:2] != leader[:2]
        ends = sorted([leader[1] - wanted[1], leader[0] - wanted[0]])
        np.testing.assert_allclose([e[image, unit] for e in split.ranges["selection", ""]], ends, atol=1e-12)
        for source in sources:
            errors = sorted((r - a) * (s == source) for a, r, s in (wanted, leader))
            low, high = split.ranges["arrives", source]
            np.testing.assert_allclose([low[image, unit], high[image, unit]], errors, atol=1e-12)
    assert n_other

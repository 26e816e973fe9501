"""Rules that a plain loop follows are found by the referee, alone and in pairs, or listed as not told apart."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import brian_snn
from brian_snn.referee.check import judge
from brian_snn.referee.replay import Judging
from brian_snn.referee.rules import Semantics
from brian_snn.referee.runs import Run
from brian_snn.referee.sources import Recorded
from tests import planted
from tests.planted import RULES, STEPS, planted_images, planted_network, record
from tests.small_network import constant_network

_EXCLUSIVE = ({"bias in the first step only", "no bias"}, {"V not below 0", "V not below -theta"})
PAIRS = [pair for pair in combinations(RULES, 2) if set(pair) not in _EXCLUSIVE and "bits" not in pair[0]]


def judged(seed, rules, **numbers):
    """Return what is said of a run under some rules, and whether they are named."""
    network, images = planted_network(seed), planted_images(seed)
    found = brian_snn.check(network, record(network, images, rules, **numbers), images)
    named = {found.rule, *found.alike}
    return found, bool({" and ".join(rules), " and ".join(rules[::-1])} & named)


def test_eq_4b_is_the_same():
    found, _ = judged(0, ())
    assert (found.same, found.rule, found.rounding) == (True, "Eq. (4b)", 0)
    assert not found.table[["counts_differ", "trains_differ", "differ_given_input"]].to_numpy().any()


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_found(rule):
    found, named = judged(0, (rule,))
    assert named
    # The floor of -theta is never reached in this run, which says so.
    assert found.rule == (rule if rule != "V not below -theta" else "Eq. (4b)")


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(0, 50), st.sampled_from(PAIRS))
def test_a_pair_of_rules_is_found_or_not_told_apart(seed, pair):
    _, named = judged(seed, pair)
    assert named


NUMBERS = {
    "leak, beta = 0.9": {"leak": 0.9},
    "threshold times 1.5": {"factor": 1.5},
    "threshold times 0.8": {"factor": 0.8},
    "clamp of 3 steps a layer": {"clamp": 3},
}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("other", [(), ("reset to zero",)], ids=["alone", "with a reset"])
def test_the_number_of_a_rule_is_found(name, other):
    found, _ = judged(0, other, **NUMBERS[name])
    assert found.rule == " and ".join((*other, name))


def test_a_leak_is_found_to_the_digits_that_the_run_has():
    found, _ = judged(0, (), leak=np.exp(-1 / 20))
    assert found.rule is not None and abs(float(found.rule.split("=")[1]) - np.exp(-1 / 20)) < 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bits_follow_no_rule(seed):
    network, images = planted_network(seed), planted_images(seed)
    run = record(network, images)
    rng = np.random.default_rng(seed)
    flipped = {name: np.where(rng.random(spikes.shape) < 0.05, 1 - spikes, spikes) for name, spikes in run.items()}
    found = brian_snn.check(network, flipped, images)
    assert (found.same, found.rule, found.verdict) == (False, None, "no rule explains this run")


def test_a_fault_of_one_layer_is_named_there_and_does_not_colour_the_next():
    network, images = planted_network(0), planted_images(0)
    above = record(network, images, ("> instead of >=",))
    plain = record(network, images)
    # Only conv compares by >; what follows does right with its spikes.
    later = _follow(network, images, above["conv"])
    found = brian_snn.check(network, later, images).table.set_index("population")
    assert not np.array_equal(above["conv"], plain["conv"])
    assert found.loc["conv", "verdict"] == "> instead of >="
    assert list(found.loc[["pool", "average", "hidden", "out"], "differ_given_input"]) == [0] * 4
    assert found.loc["out", "trains_differ"] > 0


def _follow(network, images, conv):
    """Return a run by Eq. (4b) behind given spikes of the first layer."""

    def given_spikes(v, z, rules, leak=1.0, factor=1.0, step=planted.neuron):
        if len(v) != network["conv"].size:
            return step(v, z, rules, leak, factor)
        return v, next(rows)

    rows = iter(conv.reshape(-1, network["conv"].size))
    kept, planted.neuron = planted.neuron, given_spikes
    try:
        return record(network, images)
    finally:
        planted.neuron = kept


def test_counts_alone_are_judged_under_each_rule():
    network, images = planted_network(0), planted_images(0)
    run = record(network, images, ("> instead of >=",))
    counts = {name: spikes.sum(axis=1) for name, spikes in run.items()}
    recorded = Run(Recorded({}, counts, len(images)), network, "hwc", {})
    found = judge(Judging(network, images, recorded, STEPS), Semantics())
    assert found.rule == "> instead of >="
    assert np.isnan(found.table["trains_differ"]).all()


def test_an_output_alone_is_judged_behind_our_own_spikes():
    network, images = planted_network(0), planted_images(0)
    run = record(network, images, ("reset to zero",))
    found = brian_snn.check(network, {"out": run["out"]}, images)
    assert found.rule == "reset to zero"
    assert list(found.table["input"]) == ["ours"]


def test_input_of_each_step_is_shown():
    network = planted_network(0)
    frames = np.random.default_rng(3).integers(0, 17, (2, 20, 4, 4, 2)) / 16
    found = brian_snn.check(network, record(network, frames, ("> instead of >=",), steps=20), frames)
    assert found.rule == "> instead of >="


def test_decisions_that_float32_turns_are_rounding():
    network = constant_network([1 / 3, 0.7, 0.1, 0.9])
    current, v, spikes = np.array([1 / 3, 0.7, 0.1, 0.9], np.float32), np.zeros(4, np.float32), []
    for _ in range(12):
        u = v + current
        spikes.append((u >= 1).astype(int))
        v = u - spikes[-1].astype(np.float32)
    found = brian_snn.check(network, {"layer": np.array(spikes)[None]}, np.zeros((1, 1)))
    # A third on the grid is less than a third: three of them do not meet the threshold.
    assert (found.same, found.rule) == (False, "Eq. (4b)")
    assert 0 < found.rounding <= found.table["close_decisions"][0]
    assert f"but for {found.rounding} decisions so close to the threshold" in found.verdict

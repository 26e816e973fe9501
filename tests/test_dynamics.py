"""The equation ``spikes`` of `verify`: what follows from Eq. (4) passes, and what only the books allow fails.

Runs with a fault are made by the plain loop of `tests.small_network`, whose books are right for whatever it does.
"""

from dataclasses import replace

import numpy as np
import pytest
from brian2 import ms

from brian_snn import Settings, load_result, simulate, verify
from brian_snn.analysis.dynamics import BUDGET, replayed_images
from brian_snn.errors import DataError, SettingError
from brian_snn.network.records import INPUT
from tests.faulty_loops import FAULTS, on_eighths
from tests.simulation_cases import PARTS
from tests.small_network import (
    STEPS,
    constant_network,
    longest_paths,
    loop_result,
    projection_matrix,
    small_images,
    small_network,
)  # fmt: skip

#: Arguments of `simulate` that every variant of the neuron and of its surroundings has some of.
VARIANTS = {
    "subtraction": {},
    "zero": {"reset": "zero"},
    "threshold, start": {"threshold": 0.7, "v_init": 0.3},
    "start above the threshold": {"v_init": 2.5, "reset": "zero"},
    "start below zero": {"v_init": -1.5, "threshold": 0.5},
    "clamp": {"clamp": 3},
    "clamped to the end": {"clamp": 12},
    "spiking readout": {"readout": "spikes"},
    "softmax": {"readout": "softmax_generator", "seed": 3, "clamp": 2},
    "softmax_rates": {"readout": "softmax_rates", "seed": 3, "clamp": 2},
    "gate": {"max_pool": "gate"},
    "leak": {"tau_m": 12.5 * ms, "clamp": 1},
    "leak, zero": {"tau_m": 12.5 * ms, "reset": "zero", "v_init": 0.25},
    "refractory": {"refractory": 2 * ms, "threshold": 0.5},
    "refractory, leak, zero": {"refractory": 1 * ms, "tau_m": 20 * ms, "reset": "zero"},
    **PARTS,
    "delay": {"delay": 3 * ms, "readout": "spikes"},
    "delay, gate, clamp": {"delay": 2 * ms, "max_pool": "gate", "clamp": 2},
    "poisson": {"input_coding": "poisson", "seed": 2},
    "poisson, delay, zero": {"input_coding": "poisson", "seed": 2, "delay": 1 * ms, "reset": "zero"},
    "Brian2's order": {"schedule": "brian2", "clamp": 2},
    "Brian2's order, zero": {"schedule": "brian2", "reset": "zero", "readout": "spikes"},
}


@pytest.fixture(scope="module")
def network():
    return small_network()


def spikes_rows(report):
    """Return the rows of Eq. (4) by population."""
    return report[report.equation == "spikes"].set_index("population")


def failing(report, equation=None):
    """Return the populations in which something fails, or one equation does."""
    rows = report[~report.holds]
    return set(rows.population[rows.equation == equation] if equation else rows.population)


def every_name(network, **options):
    """Return options that record whatever there is to record."""
    poisson = ["input_spikes"] * (options.get("input_coding") == "poisson")
    output = ["out"] * (options.get("readout", "potential") != "potential")
    return {
        "record_spikes": ["conv", "pool", "average", "mixed", *poisson, *output],
        "record_potentials": ["conv", "average", "mixed", "out"],
    }


# --- what is right holds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recorded", [False, True], ids=["end", "every step"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_replayed_exactly(variant, recorded, network):
    options = VARIANTS[variant]
    records = every_name(network, **options) if recorded else {}
    result = simulate(network, small_images(), steps=STEPS, backend="runtime", **options, **records)
    rows = spikes_rows(verify(result, replay=1 if recorded else "all"))
    assert rows.holds.all() and rows.applicable.all()
    assert (rows.images == 3).all() and (rows.max_residual_charge == 0).all()


@pytest.mark.slow
def test_float32_is_replayed_in_float64():
    coarse = replace(on_eighths(small_network()), grid=2.0**-12)
    result = simulate(coarse, on_eighths(small_images()), steps=STEPS, float_type="float32")
    assert spikes_rows(verify(result)).holds.all()


def test_shards_are_replayed_by_their_own_images(network, tmp_path):
    options = {
        "input_coding": "poisson",
        "readout": "softmax_generator",
        "seed": 1,
        "record_spikes": ["mixed", "input_spikes"],
    }
    simulate(network, small_images(5), steps=STEPS, backend="runtime", output=tmp_path, shard_size=2, **options)
    rows = spikes_rows(verify(load_result(tmp_path), replay="all"))
    assert rows.holds.all() and (rows.images == 5).all()


# --- how many images ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("replay", "n_replayed"), [("all", 3), ("auto", 3), (0, 0), (1, 1), (2, 2), (9, 3)])
def test_a_row_says_how_many_images_were_replayed(replay, n_replayed, network):
    rows = spikes_rows(verify(simulate(network, small_images(), steps=STEPS, backend="runtime"), replay=replay))
    assert rows.images.to_dict() == {"conv": 3} | dict.fromkeys(["pool", "average", "mixed", "out"], n_replayed)
    assert rows.neurons["mixed"] == 24 * n_replayed
    assert rows.applicable["mixed"] == (n_replayed > 0)
    assert rows.note["mixed"].startswith(f"{n_replayed} of 3 images")
    assert rows.note["conv"].startswith("3 of 3 images") and "S11" in rows.note["conv"]


@pytest.mark.parametrize("replay", [-1, 1.5, "some", True, None, float("nan")])
def test_another_number_of_images_is_refused(replay, network):
    with pytest.raises(SettingError, match="replay is"):
        verify(loop_result(network, small_images()), replay=replay)


def test_what_was_recorded_is_replayed_for_every_image(network):
    result = simulate(network, small_images(), steps=STEPS, backend="runtime", record_potentials=["average"])
    rows = spikes_rows(verify(result, replay=1))
    assert rows.images.to_dict() == {"conv": 3, "average": 3, "pool": 1, "mixed": 1, "out": 1}
    assert "step by step" in rows.note["average"] and "step by step" not in rows.note["mixed"]


def test_the_budget_buys_at_least_one_image_evenly_spread(network):
    assert replayed_images(network, Settings(steps=min(BUDGET, 2**31 - 1)), 7, "auto").tolist() == [0]
    assert replayed_images(network, Settings(), 7, 3).tolist() == [0, 3, 6]
    assert replayed_images(network, Settings(), 7, "auto").tolist() == list(range(7))


@pytest.mark.parametrize("field", ["spike_trains", "potential_traces"])
def test_a_recording_of_another_shape_is_an_error_that_names_the_population(field, network):
    result = simulate(network, small_images(), steps=STEPS, backend="runtime", **every_name(network))
    cut = {name: values[:, :2] for name, values in getattr(result, field).items()}
    with pytest.raises(DataError, match=f"'conv'.*{field}"):
        verify(replace(result, **{field: cut}))


# --- cooked books: the identities hold, Eq. (4) does not ------------------------------------------------------------


def cooked(network, images, **counts):
    """Return a run with other spike counts, and every charge and potential worked out to fit them.

    What reaches a population follows from the counts of those before it, and V(T) from what reaches it.
    """
    result = replace(loop_result(network, images), spike_trains={}, count_history={}, checkpoints=np.zeros(0, int))
    n = {name: values.astype(float).reshape(len(images), -1) for name, values in result.spike_counts.items()}
    n |= {name: np.asarray(values, float).reshape(len(images), -1) for name, values in counts.items()}
    potentials, charge = {}, {}
    for population in network.populations:
        name = population.name
        into = [(p, projection_matrix(p, p.weights, n[p.source].shape[1], population.size))
                for p in network.into(name) if p.source != INPUT]  # fmt: skip
        if population.kind == "max_pool":
            n[name] = np.maximum.reduce([(n[p.source][:, :, None] * matrix).max(axis=1) for p, matrix in into])
            charge[name] = potentials[name] = np.zeros_like(n[name])
            continue
        spent = result.charge[name].reshape(len(images), -1) if not into else population.bias.ravel() * STEPS
        charge[name] = spent + sum(n[p.source] @ matrix for p, matrix in into)
        potentials[name] = charge[name] - n[name]

    def shaped(arrays):
        return {name: arrays[name].reshape(result.spike_counts[name].shape) for name in arrays}

    spike_counts = {name: values.astype(np.int32) for name, values in shaped(n).items()}
    return replace(result, spike_counts=spike_counts, potentials=shaped(potentials), charge=shaped(charge))


def one_less(network, name):
    """Return the counts of a population with a spike of its busiest neuron missing."""
    counts = loop_result(network, small_images()).spike_counts[name].copy()
    counts[1].flat[counts[1].argmax()] -= 1
    return {name: counts}


def coin_tosses(network, name):
    """Return counts of a population that a coin has decided in every step."""
    return {name: np.random.default_rng(5).binomial(STEPS, 0.5, (3, network[name].size))}


COOKED = {
    "coin tosses, first layer": (lambda net: coin_tosses(net, "conv"), "conv"),
    "coin tosses, second layer": (lambda net: coin_tosses(net, "average"), "average"),
    "coin tosses, third layer": (lambda net: coin_tosses(net, "mixed"), "mixed"),
    "a spike less, first layer": (lambda net: one_less(net, "conv"), "conv"),
    "a spike less, second layer": (lambda net: one_less(net, "average"), "average"),
    "a spike less, third layer": (lambda net: one_less(net, "mixed"), "mixed"),
    "no spikes": (lambda net: {p.name: np.zeros((3, p.size)) for p in net.populations}, "conv"),
}


@pytest.mark.parametrize("case", COOKED)
def test_cooked_books_balance_and_the_dynamics_does_not(case, network):
    counts, population = COOKED[case]
    report = verify(cooked(network, small_images(), **counts(network)), replay="all")
    assert report[report.equation != "spikes"].holds.all()
    assert failing(report) == {population}


@pytest.mark.parametrize("replay", ["auto", 0])
def test_books_that_are_not_cooked_pass(replay, network):
    assert verify(cooked(network, small_images()), replay=replay).holds.all()


def test_who_differs_behind_what_differs_is_not_judged(network):
    rows = spikes_rows(verify(cooked(network, small_images(), **one_less(network, "conv")), replay="all"))
    assert rows.images["average"] == 2 and rows.holds["average"]
    assert rows.note["average"] == "2 of 3 images; not judged in 1, where conv differs before it"
    silent = spikes_rows(verify(cooked(network, small_images(), **coin_tosses(network, "conv")), replay="all"))
    assert not silent.applicable["average"] and np.isnan(silent.max_residual_charge["average"])


# --- other neurons: one population does something else, and all others what they should ------------------------------


@pytest.mark.parametrize("recorded", [False, True], ids=["end", "every step"])
@pytest.mark.parametrize("case", FAULTS, ids=[name for name, _ in FAULTS])
def test_a_neuron_of_another_kind_is_named_and_nothing_else_fails(case, recorded):
    _, culprit = case
    fault, options = FAULTS[case]
    network, images = on_eighths(small_network()), on_eighths(small_images())
    kind = type("Culprit", (fault,), {"culprit": culprit})
    result = loop_result(network, images, loop_class=kind, **options)
    if not recorded:
        result = replace(result, spike_trains={})
    report = verify(result, replay="all")
    assert failing(report) == {culprit}
    assert failing(report, "spikes") == {culprit}


# --- recordings -----------------------------------------------------------------------------------------------------


def recorded_run(network):
    """Return a run with all there is to record."""
    return simulate(network, small_images(), steps=STEPS, backend="runtime", **every_name(network))


def with_train(result, name, change):
    """Return the result with a changed copy of a spike train."""
    train = result.spike_trains[name].copy()
    changed = change(train)
    return replace(result, spike_trains={**result.spike_trains, name: train if changed is None else changed})


def swap_times(train):
    """Swap the times of two spikes of different neurons in the second image: each still spikes as often."""
    rows = np.flatnonzero(train[:, 0] == 1)
    spikes = {(step, neuron) for _, step, neuron in train[rows]}
    first, second = next(
        (a, b)
        for a in rows
        for b in rows
        if train[a, 1] != train[b, 1] and not {(train[a, 1], train[b, 2]), (train[b, 1], train[a, 2])} & spikes
    )
    train[[first, second], 1] = train[[second, first], 1]


def drop_last(train):
    """Leave out a spike."""
    return train[:-1]


def double(train):
    """Note a spike twice."""
    return np.concatenate([train, train[-1:]])


def outside(train):
    """Note a spike in a step that the run does not have."""
    train[0, 1] = -1


@pytest.mark.parametrize("name", ["conv", "pool", "average", "mixed"])
@pytest.mark.parametrize("change", [swap_times, drop_last, double, outside], ids=lambda change: change.__name__)
def test_a_wrong_recording_is_named_and_nothing_else_fails(change, name, network):
    report = verify(with_train(recorded_run(network), name, change), replay=1)
    assert failing(report, "spikes") == {name}
    # The maximum of the recorded counts in every step is an identity of its own, of the pool and its source together.
    assert failing(report) - {name} <= ({"pool"} if name == "conv" else set())


@pytest.mark.parametrize("value", [2.0**-24, np.nan, np.inf])
def test_a_wrong_potential_in_one_step_is_named(value, network):
    result = recorded_run(network)
    traces = result.potential_traces["average"].copy()
    traces[2, 11, 0, 1, 1] += value
    changed = replace(result, potential_traces={**result.potential_traces, "average": traces})
    assert failing(verify(changed, replay=1)) == {"average"}


# --- closed forms and stepping agree --------------------------------------------------------------------------------


@pytest.mark.parametrize("reset", ["subtraction", "zero"])
def test_constant_input_is_judged_in_every_image_whatever_is_replayed(reset):
    network = constant_network(np.linspace(-0.4, 1.6, 33))
    result = simulate(network, np.zeros((4, 1)), steps=25, reset=reset, v_init=0.25, backend="runtime")
    counts = result.spike_counts["layer"].copy()
    counts[3, 20] += 1
    potentials = result.potentials["layer"].copy()
    potentials[3, 20] -= 1
    cooked_run = replace(
        result,
        spike_counts={**result.spike_counts, "layer": counts},
        potentials={**result.potentials, "layer": potentials},
    )
    rows = spikes_rows(verify(cooked_run, replay=0))
    assert not rows.holds["layer"] and rows.images["layer"] == 4


def test_depths_of_the_loop_are_those_of_the_network(network):
    """The clamp goes by depth; the loop works it out for itself."""
    assert {p.name: p.depth for p in network.populations} == {
        name: depth for name, depth in longest_paths(network).items() if name != INPUT
    }

"""When the class is certain: against every extreme of what can still come, and against what came."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import brian_snn
from brian_snn.analysis.early_stopping import earliest_certain_step, margin_for, margin_step, settled_step
from brian_snn.errors import DataError, SettingError
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from tests.small_network import to_grid

STEPS = 40


def two_layers(seed, n_hidden=5, gain=1.0, output="readout"):
    """Return image -> hidden -> 3 classes, the image also straight onto the output."""
    rng = np.random.default_rng(seed)
    projections = (
        Projection(
            INPUT, "hidden", Geometry("dense", (4,), (n_hidden,)), to_grid(rng.uniform(-0.1, 0.5, (4, n_hidden)))
        ),
        Projection(
            "hidden", "out", Geometry("dense", (n_hidden,), (3,)), to_grid(gain * rng.normal(0, 1, (n_hidden, 3)))
        ),
        Projection(INPUT, "out", Geometry("dense", (4,), (3,)), to_grid(rng.normal(0, 0.3, (4, 3)))),
    )
    populations = (
        Population("hidden", "spiking", (n_hidden,), np.zeros(n_hidden), 1),
        Population("out", output, (3,), to_grid(rng.normal(0, 0.3, 3)), 2),
    )
    return Network(populations, projections, (4,), grid=2.0**-24)


def simulated(network, n_images=12, steps=STEPS, **options):
    """Return a simulation with everything noted after every step."""
    images = np.random.default_rng(3).uniform(size=(n_images, 4))
    names = [p.name for p in network.populations if p.kind == "spiking"]
    checkpoints = list(range(1, steps + 1))
    return brian_snn.simulate(
        network, images, steps=steps, backend="runtime", checkpoints=checkpoints, record_counts=names, **options
    )


def certain_by_enumeration(result, step, image):
    """Whether no choice of 0 or 1 spike a step, the same in every step to go, changes the class: in fractions.

    The change of a lead is linear in how often each source spikes, so its least value is at one of these extremes.
    """
    network, to_go = result.network, result.settings.steps - step
    weights = {p.source: p.weights for p in network.into("out")}
    bias = network["out"].bias + np.round(result.images[image] @ weights[INPUT] / 2.0**-24) * 2.0**-24
    logits = result.output_history[step - 1][image]
    now = [Fraction(float(to_grid(x * step))) for x in logits]
    leader = int(np.argmax(logits))
    for spikes in itertools.product((0, 1), repeat=len(weights["hidden"])):
        gain = [Fraction(float(x)) for x in np.array(spikes) @ weights["hidden"] + bias]
        end = [v + to_go * g for v, g in zip(now, gain, strict=True)]
        if any(end[c] >= end[leader] for c in range(3) if c != leader):
            return False
    return True


@pytest.mark.parametrize("seed", range(3))
def test_certain_means_that_no_future_changes_the_class(seed):
    result = simulated(two_layers(seed))
    certain = earliest_certain_step(result)
    assert (certain < STEPS).any()
    for image, step in enumerate(certain):
        by_enumeration = [s for s in range(1, STEPS) if certain_by_enumeration(result, s, image)]
        assert step == min(by_enumeration, default=STEPS)


@pytest.mark.parametrize("options", [{}, {"reset": "zero"}, {"clamp": 7}, {"threshold": 1.7}, {"readout": "spikes"}])
@pytest.mark.parametrize("use_bounds", [False, True])
def test_the_class_at_the_certain_step_is_that_of_the_end(options, use_bounds):
    for seed in range(2):
        result = simulated(two_layers(seed), **options)
        step = earliest_certain_step(result, use_bounds)
        early = result.output_history[step - 1, np.arange(12)].argmax(axis=1)
        assert (early[step < STEPS] == result.predictions[step < STEPS]).all()
        # With bounds the class at the end is known, but another one may be ahead for a while in between.
        assert use_bounds or (settled_step(result) <= step).all()


def test_bounds_that_are_exact_leave_nothing_to_wait_for():
    """The hidden layer sees the image alone, so its counts are known: certain as soon as the right class is ahead."""
    result = simulated(two_layers(1))
    step = earliest_certain_step(result, use_bounds=True)
    ahead = result.output_history.argmax(axis=2) == result.predictions
    np.testing.assert_array_equal(step, ahead.argmax(axis=0) + 1)
    assert (step < earliest_certain_step(result)).all()


def test_a_spiking_output_is_certain_when_its_lead_exceeds_the_steps_to_go():
    result = simulated(two_layers(2, gain=2.0), readout="spikes")
    counts = np.rint(result.output_history * np.arange(1, STEPS + 1)[:, None, None])
    first, second = np.sort(counts, axis=2)[..., ::-1][..., :2].transpose(2, 0, 1)
    ahead = first - second > STEPS - np.arange(1, STEPS + 1)[:, None]
    expected = np.where(ahead.any(axis=0), ahead.argmax(axis=0) + 1, STEPS)
    assert (expected < STEPS).any()
    np.testing.assert_array_equal(earliest_certain_step(result), expected)


def test_settled_is_the_last_change_of_the_class():
    result = simulated(two_layers(0))
    classes = result.output_history.argmax(axis=2)
    for image, step in enumerate(settled_step(result)):
        assert (classes[step - 1 :, image] == result.predictions[image]).all()
        assert step == 1 or classes[step - 2, image] != result.predictions[image]
    assert (settled_step(result) > 1).any()


def test_a_last_checkpoint_before_the_end_leaves_the_end():
    result = simulated(two_layers(0))
    first = replace(result, checkpoints=result.checkpoints[:2], output_history=result.output_history[:2])
    assert (earliest_certain_step(first) == STEPS).all()


def test_missing_checkpoints_and_counts_are_named():
    result = simulated(two_layers(0), n_images=1)
    with pytest.raises(DataError, match="no checkpoints"):
        earliest_certain_step(replace(result, output_history=None))
    with pytest.raises(DataError, match="'hidden'"):
        earliest_certain_step(replace(result, count_history={}), use_bounds=True)


# --- the margin rule ------------------------------------------------------------------------------------------------


def lead_of(potentials):
    """Return the largest potential less the next."""
    first, second = sorted(potentials, reverse=True)[:2]
    return first - second


@pytest.mark.parametrize("options", [{}, {"clamp": 7}, {"threshold": 1.75, "v_init": 0.5}])
def test_the_rule_stops_at_the_first_lead_of_the_potentials_that_reaches_the_margin(options):
    result = simulated(two_layers(1), record_potentials=["out"], **options)
    for margin in (0.5, 2.0, 100.0):
        expected = []
        for image in range(12):
            charge = (result.potential_traces["out"][image] - options.get("v_init", 0.0)) / result.settings.threshold
            reached = [step for step in range(1, STEPS + 1) if lead_of(charge[step - 1]) >= margin]
            expected.append(min(reached, default=STEPS))
        assert margin_step(result, margin).tolist() == expected
    assert (margin_step(result, 100.0) == STEPS).all()


def test_an_output_that_spikes_leads_by_its_count():
    result = simulated(two_layers(0), readout="spikes", record_spikes=["out"])
    trains = result.spike_trains["out"]
    for image, step in enumerate(margin_step(result, 3.0)):
        counts = [
            np.bincount(trains[(trains[:, 0] == image) & (trains[:, 1] <= t), 2], minlength=3)
            for t in range(1, STEPS + 1)
        ]
        assert step == min((t for t, n in enumerate(counts, 1) if lead_of(n) >= 3), default=STEPS)


@pytest.mark.parametrize("agreement", [0.5, 0.75, 0.99, 1.0])
def test_the_margin_that_is_learned_is_the_least_that_misleads_so_few(agreement):
    result = simulated(two_layers(1))
    margin, allowed = margin_for(result, agreement), math.floor((1 - agreement) * 12 + 1e-9)

    def misled(at_least):
        wrong = set()
        for image, step in itertools.product(range(12), range(STEPS)):
            logits = result.output_history[step][image]
            if logits.argmax() != result.predictions[image] and lead_of(logits * (step + 1)) >= at_least:
                wrong.add(image)
        return len(wrong)

    assert misled(margin) <= allowed < misled(np.nextafter(margin, 0)) or margin == np.nextafter(0, 1)
    step = margin_step(result, margin)
    early = result.output_history[step - 1, np.arange(12)].argmax(axis=1)
    assert np.sum(early != result.predictions) <= allowed


def test_a_share_outside_its_range_is_refused():
    with pytest.raises(SettingError, match=r"agreement is 1.5; it must be above 0"):
        margin_for(simulated(two_layers(0), n_images=1, steps=2), 1.5)

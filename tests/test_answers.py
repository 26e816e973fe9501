"""What a network says of an image, and which labels fit: against plain loops, for outputs of every kind."""

from dataclasses import replace

import numpy as np
import pytest

import brian_snn
from brian_snn.analysis.classification import (
    accuracy,
    choices_over_time,
    confusion_matrix,
    trained_answers,
    wilson_interval,
)
from brian_snn.analysis.early_stopping import earliest_certain_step, settled_step
from brian_snn.analysis.operations import saturated_share
from brian_snn.errors import DataError, SettingError
from brian_snn.network.forward import forward
from brian_snn.network.network import Network
from brian_snn.network.output import answer_of
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from tests.oracles import wilson_by_roots
from tests.small_network import small_images, small_network, to_grid

STEPS = 12
IMAGES = np.random.default_rng(3).uniform(size=(9, 4))


def network_of(shape, activation, seed=0, kind="readout"):
    """Return image -> 5 neurons -> an output of some shape."""
    rng, n_out = np.random.default_rng(seed), int(np.prod(shape))
    first, last = to_grid(rng.uniform(-0.1, 0.5, (4, 5))), to_grid(rng.normal(0, 1, (5, n_out)))
    projections = (
        Projection(INPUT, "hidden", Geometry("dense", (4,), (5,)), first),
        Projection("hidden", "out", Geometry("dense", (5,), (n_out,)), last),
    )
    populations = (
        Population("hidden", "spiking", (5,), np.zeros(5), 1),
        Population("out", kind, shape, to_grid(rng.normal(0, 0.3, shape)), 2),
    )
    return Network(populations, projections, (4,), grid=2.0**-24, output_activation=activation)


def simulated(network, steps=STEPS, **options):
    checkpoints = list(range(1, steps + 1))
    return brian_snn.simulate(network, IMAGES, steps=steps, backend="runtime", checkpoints=checkpoints, **options)


def largest(logits):
    """Return the first largest of some numbers."""
    return max(range(len(logits)), key=lambda k: logits[k])


def every(rule, logits, shape):
    """Apply a rule to each entry of a leading shape, one after the other."""
    answers = np.zeros(shape, int)
    for place in np.ndindex(*shape):
        answers[place] = rule(logits[place])
    return answers


def positive(logit):
    return int(np.ravel(logit)[0] > 0)


#: Shape and activation of an output; shape of the answers to an image, number of classes, and the rule for each.
MEANINGS = {
    "logits": ((3,), "linear", (), 3, largest),
    "softmax": ((3,), "softmax", (), 3, largest),
    "log softmax": ((3,), "log_softmax", (), 3, largest),
    "several tanh": ((3,), "tanh", (), 3, largest),
    "a file that does not say": ((3,), "unknown", (), 3, largest),
    "pixels": ((2, 3, 4), "softmax", (2, 3), 4, largest),
    "pixels, logits": ((2, 3, 4), "linear", (2, 3), 4, largest),
    "a pixel a row": ((6, 4), "softmax", (6,), 4, largest),
    "one sigmoid": ((1,), "sigmoid", (), 2, positive),
    "several sigmoids": ((3,), "sigmoid", (3,), 2, positive),
    "a sigmoid a pixel": ((2, 3, 1), "sigmoid", (2, 3), 2, positive),
    "sigmoids of pixels": ((2, 3, 2), "sigmoid", (2, 3, 2), 2, positive),
}

#: Outputs that name no class.
NUMBERS = {
    "one linear": ((1,), "linear"),
    "one tanh": ((1,), "tanh"),
    "one of a file that does not say": ((1,), "unknown"),
    "a softmax of one": ((1,), "softmax"),
    "a number a pixel": ((2, 3, 1), "linear"),
    "a layer inside": ((3,), "hidden"),
}

meanings = pytest.mark.parametrize(
    ("shape", "activation", "answers", "n_classes", "rule"), MEANINGS.values(), ids=MEANINGS
)
numbers = pytest.mark.parametrize(("shape", "activation"), NUMBERS.values(), ids=NUMBERS)


class TestPredictions:
    @meanings
    @pytest.mark.parametrize("kind", ["readout", "spiking"])
    def test_they_follow_the_rule(self, shape, activation, answers, n_classes, rule, kind):
        result = simulated(network_of(shape, activation, kind=kind))
        assert result.predictions.shape == (len(IMAGES), *answers)
        logits = result.logits + (1e-9 * result.potentials["out"] if rule is largest else 0)
        assert (result.predictions == every(rule, logits, result.predictions.shape)).all()
        assert result.predictions.max() < n_classes

    @meanings
    def test_so_do_the_choices_over_time(self, shape, activation, answers, n_classes, rule):
        result = simulated(network_of(shape, activation))
        choices = choices_over_time(result)
        assert (choices[-1] == result.predictions).all()
        expected = every(rule, result.output_history.reshape(STEPS, len(IMAGES), *shape), choices.shape)
        assert (choices == expected).all()

    @meanings
    def test_and_what_the_trained_network_says(self, shape, activation, answers, n_classes, rule):
        network = network_of(shape, activation)
        said = trained_answers(network, IMAGES)
        assert (said == every(rule, forward(network, IMAGES)["out"], said.shape)).all()

    @numbers
    def test_numbers_have_none(self, shape, activation):
        result = simulated(network_of(shape, activation))
        assert result.predictions is None
        refused = (choices_over_time, settled_step, earliest_certain_step, lambda r: trained_answers(r.network, IMAGES))
        for function in refused:
            with pytest.raises(DataError, match="stands for numbers, not for classes"):
                function(result)

    def test_a_scale_per_channel_counts_where_the_output_spikes(self):
        network = network_of((2, 3, 4), "linear", kind="spiking")
        scale = np.array([1.0, 1e3, 1.0, 1.0])
        output = replace(network.output, scale=scale)
        result = simulated(replace(network, populations=(network.populations[0], output)))
        assert np.array_equal(result.output_history[-1], result.logits)
        spiked = result.spike_counts["out"][..., 1] > 0
        assert spiked.any() and (result.predictions[spiked] == 1).all()

    @pytest.mark.parametrize("activation", ["softmax", "sigmoid", "tanh", "log_softmax", "linear"])
    def test_outputs_are_the_activation_of_the_logits(self, activation):
        result = simulated(network_of((2, 3), activation))
        x = result.logits
        powers = np.exp(x)
        share = powers / powers.sum(axis=-1, keepdims=True)
        expected = {
            "softmax": share,
            "log_softmax": np.log(share),
            "sigmoid": 1 / (1 + np.exp(-x)),
            "tanh": np.tanh(x),
            "linear": x,
        }
        np.testing.assert_allclose(result.outputs, expected[activation], rtol=1e-12, atol=1e-15)

    def test_outputs_of_a_spiking_softmax_are_those_of_its_potentials(self):
        potential, softmax = (
            simulated(network_of((3,), "softmax"), readout=readout) for readout in ("potential", "softmax_generator")
        )
        assert np.array_equal(softmax.outputs, potential.outputs)


class TestSpikingSoftmax:
    @pytest.mark.parametrize(
        ("shape", "activation", "words"),
        [
            ((3,), "sigmoid", "ends in a sigmoid, each unit on its own"),
            ((1,), "sigmoid", "ends in a sigmoid"),
            ((3,), "tanh", "ends in a tanh"),
            ((1,), "linear", "has one unit, which would win every time"),
            ((2, 3, 4), "softmax", r"a class for each place of its output of shape \(2, 3, 4\)"),
        ],
    )
    def test_it_is_refused_where_it_makes_no_sense(self, shape, activation, words):
        with pytest.raises(
            SettingError, match=f"^readout is 'softmax_generator', a competition between classes.*{words}"
        ):
            simulated(network_of(shape, activation), readout="softmax_generator")

    @pytest.mark.parametrize("shape", [(3,), (1, 1, 3)])
    @pytest.mark.parametrize("activation", ["softmax", "log_softmax", "linear", "unknown"])
    def test_it_is_there_for_a_vector_of_classes(self, shape, activation):
        assert simulated(network_of(shape, activation), readout="softmax_generator").predictions.size == len(IMAGES)


# --- early stopping -------------------------------------------------------------------------------------------------


def certain_by_corners(result, step, image, rule, answers):
    """Whether no choice of 0 or 1 spike of each neuron in every step to go changes an answer, or leaves it undecided.

    What is left to come is linear in the spikes, so that its extremes are at such corners.
    """
    network, to_go, shape = result.network, result.settings.steps - step, result.network.output.shape
    weights = network.into("out")[0].weights
    now = result.output_history[step - 1][image].reshape(-1) * step
    said = every(rule, now.reshape(shape), answers)
    for corner in np.ndindex(*(2,) * 5):
        end = (now + to_go * (np.array(corner) @ weights + network.output.bias.ravel())).reshape(shape)
        if (every(rule, end, answers) != said).any():
            return False
    return True


@meanings
def test_an_answer_is_certain_when_no_future_changes_it(shape, activation, answers, n_classes, rule):
    n_certain = 0
    for seed in range(4):
        result = simulated(network_of(shape, activation, seed))
        for image, step in enumerate(earliest_certain_step(result)):
            certain = [s for s in range(1, STEPS) if certain_by_corners(result, s, image, rule, answers)]
            assert step == min(certain, default=STEPS)
            n_certain += bool(certain)
    assert n_certain


@meanings
@pytest.mark.parametrize("options", [{}, {"readout": "spikes"}, {"record_counts": ["hidden"]}])
def test_a_certain_answer_is_that_of_the_end(shape, activation, answers, n_classes, rule, options):
    result = simulated(network_of(shape, activation), **options)
    steps, settled = earliest_certain_step(result, use_bounds="record_counts" in options), settled_step(result)
    choices = choices_over_time(result)
    for image, step in enumerate(steps):
        if step < STEPS:
            assert (choices[step - 1, image] == choices[-1, image]).all()
        # With bounds the end is known, while another may be ahead for a while.
        assert settled[image] <= step or "record_counts" in options
        assert (choices[settled[image] - 1 :, image] == result.predictions[image]).all()


# --- labels ---------------------------------------------------------------------------------------------------------


class TestLabels:
    @meanings
    def test_answers_are_labels(self, shape, activation, answers, n_classes, rule, tmp_path):
        network = network_of(shape, activation)
        said = trained_answers(network, IMAGES)
        for name, stored in {"numbers": said, "floats": said.astype(float), "one-hot": np.eye(n_classes)[said]}.items():
            np.savez(tmp_path / f"{name}.npz", x=IMAGES, y=stored)
            labels = brian_snn.datasets.load_images(tmp_path / f"{name}.npz", (4,), answer=answer_of(network)).labels
            assert labels.dtype == np.int64 and np.array_equal(labels, said)

    @meanings
    @pytest.mark.parametrize(
        ("spoil", "words"),
        [
            (lambda labels, n: labels[:-1], "9 images but labels of shape"),
            (lambda labels, n: labels * 0 + n, "classes are 0 to"),
            (lambda labels, n: labels * 0 - 1, "whole numbers"),
            (lambda labels, n: labels + 0.5, "whole numbers"),
            (lambda labels, n: labels.astype(str), "of type <U"),
            (lambda labels, n: np.stack([labels] * 5, axis=-1), "have shape"),
            (lambda labels, n: np.eye(n + 1)[labels], "have shape"),
            (lambda labels, n: np.full((*labels.shape, n), 0.5), "not one-hot"),
        ],
    )
    def test_labels_that_do_not_fit_are_refused(self, shape, activation, answers, n_classes, rule, spoil, words):
        network = network_of(shape, activation)
        labels = spoil(trained_answers(network, IMAGES), n_classes)
        with pytest.raises(DataError, match=f"x.npz.*{words}|{words}.*x.npz|labels of x.npz {words}"):
            answer_of(network).labels(labels, len(IMAGES), "x.npz")

    def test_axes_of_length_one_say_nothing(self):
        answer = answer_of(network_of((1, 1, 3), "softmax"))
        given = np.array([2, 0, 1])
        assert answer.labels(given, 3, "x").shape == (3, 1, 1)
        assert answer.labels(given[:, None, None, None], 3, "x").ravel().tolist() == given.tolist()

    @numbers
    def test_values_of_numbers_are_no_labels(self, shape, activation):
        answer = answer_of(network_of(shape, activation))
        assert answer.labels(np.linspace(-1, 1, 9), 9, "x") is None
        with pytest.raises(DataError, match="there are 9 images"):
            answer.labels(np.linspace(-1, 1, 8), 9, "x")

    @pytest.mark.parametrize("labels", [np.zeros((9, 1), int), np.zeros(1, int), np.zeros((9, 9), int)])
    def test_labels_that_numpy_would_broadcast_are_refused(self, labels):
        for function in (confusion_matrix, accuracy):
            with pytest.raises(DataError, match=r"labels have shape .* \(9,\)"):
                function(labels, np.zeros(9, int))


# --- accuracy -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_right", "n"), [(0, 5), (5, 5), (1, 2), (190, 200), (9958, 10000), (2.5, 7)])
def test_the_interval_of_wilson_is_where_a_count_is_just_compatible(n_right, n):
    np.testing.assert_allclose(wilson_interval(n_right, n), wilson_by_roots(n_right, n), rtol=1e-9, atol=1e-15)
    assert n_right != 0 or wilson_interval(n_right, n)[0] == 0.0
    assert n_right != n or wilson_interval(n_right, n)[1] == 1.0


def test_several_answers_to_an_image_count_once_for_the_interval():
    labels = np.zeros((10, 4, 4), int)
    predictions = labels.copy()
    predictions[:, 0] = 1
    found = accuracy(labels, predictions)
    assert found.share == 0.75
    assert (found.low, found.high) == wilson_interval(7.5, 10)


@pytest.mark.parametrize(
    "options", [{}, {"clamp": 3}, {"clamp": 50}, {"readout": "spikes"}, {"readout": "softmax_generator"}]
)
def test_saturated_neurons_spike_in_every_step_of_their_window(options):
    # Twice the drive for some, which then spike in every step.
    result = brian_snn.simulate(small_network(), 3 * small_images(), steps=30, backend="runtime", **options)
    spiking = [p for p in result.network.populations if p.kind != "readout" or options.get("readout") == "spikes"]
    found = []
    for population in spiking:
        window = 30 - min(30, options.get("clamp", 0) * max(population.depth - 1, 0))
        found += [count == window > 0 for count in result.spike_counts[population.name].ravel()]
    assert saturated_share(result) == sum(found) / len(found) and any(found)

"""The compiled network against the one in process, spike for spike; one process against several."""

import numpy as np
import pytest

import brian_snn
from tests.models import images_for

pytestmark = pytest.mark.slow

RUN = {"steps": 25, "threshold": 1.25, "v_init": 0.25, "clamp": 1}
NAMES = ("conv_a", "max_pool", "average_pool")
# Every test records the same: what is recorded is part of the topology, and each topology is compiled once.
RECORDED = {"record_spikes": NAMES, "record_potentials": ("conv_a", "logits")}
NOTED = {"record_counts": NAMES, "checkpoints": (5, 25)}


@pytest.fixture(scope="module")
def network(cnn_model):
    return brian_snn.convert(cnn_model, images_for(cnn_model, 20))


@pytest.fixture(scope="module")
def images(cnn_model):
    return images_for(cnn_model, 3, seed=5)


@pytest.fixture(scope="module", params=["subtraction", "zero"])
def pair(request, network, images):
    """Return the same simulation from both backends, with everything recorded."""
    return [
        brian_snn.simulate(network, images, reset=request.param, backend=backend, **RUN, **RECORDED, **NOTED)
        for backend in ("standalone", "runtime")
    ]


@pytest.mark.parametrize("field", ["spike_counts", "potentials", "charge", "surplus", "early_counts"])
def test_compiled_and_in_process_results_are_equal(pair, field):
    compiled, in_process = (result.by_population(field) for result in pair)
    assert compiled.keys() == in_process.keys()
    assert [name for name in compiled if not np.array_equal(compiled[name], in_process[name])] == []


@pytest.mark.parametrize("field", ["spike_trains", "potential_traces", "count_history", "total_counts"])
def test_compiled_and_in_process_records_are_equal(pair, field):
    compiled, in_process = (getattr(result, field) for result in pair)
    assert compiled.keys() == in_process.keys() and compiled
    assert [name for name in compiled if not np.array_equal(compiled[name], in_process[name])] == []


def test_compiled_and_in_process_logits_over_time_are_equal(pair):
    compiled, in_process = pair
    assert np.array_equal(compiled.output_history, in_process.output_history)


@pytest.mark.parametrize("name", NAMES)
def test_recorded_spikes_add_up_to_the_counts(pair, name):
    for result in pair:
        image, step, neuron = result.spike_trains[name].T
        counts = np.zeros((3, result.network[name].size), int)
        np.add.at(counts, (image, neuron), 1)
        assert np.array_equal(counts.reshape(result.spike_counts[name].shape), result.spike_counts[name])
        assert step.min() > result.window_start(name) and step.max() <= RUN["steps"]


def test_recorded_potentials_end_in_the_potentials(pair):
    for result in pair:
        for name, trace in result.potential_traces.items():
            assert np.array_equal(trace[:, -1], result.potentials[name])


def test_two_workers_give_what_one_gives(network, images):
    one, two = (
        brian_snn.simulate(network, images, reset="zero", workers=workers, **RUN, **RECORDED) for workers in (1, 2)
    )
    for field in ("spike_counts", "potentials", "charge", "spike_trains", "potential_traces"):
        pairs = {name: (values, getattr(two, field)[name]) for name, values in getattr(one, field).items()}
        assert [(field, name) for name, (a, b) in pairs.items() if not np.array_equal(a, b)] == []


def test_one_binary_serves_other_images_steps_and_thresholds(network, images, build_cache):
    brian_snn.simulate(network, images[:1], reset="zero", **RUN, **RECORDED)
    before = sorted(path.name for path in build_cache.iterdir())
    other = {"steps": 13, "threshold": 0.5, "v_init": 0.0, "clamp": 0, "reset": "zero"}
    compiled = brian_snn.simulate(network, images[1:], **other, **RECORDED)
    assert sorted(path.name for path in build_cache.iterdir()) == before
    in_process = brian_snn.simulate(network, images[1:], backend="runtime", **other)
    assert np.array_equal(compiled.potentials["logits"], in_process.potentials["logits"])


def test_an_image_does_not_depend_on_the_images_before_it(network, images):
    together, alone = (
        brian_snn.simulate(network, shown, reset="zero", **RUN, **RECORDED) for shown in (images, images[2:])
    )
    for name in together.potentials:
        assert np.array_equal(together.potentials[name][2], alone.potentials[name][0])
        assert np.array_equal(together.spike_counts[name][2], alone.spike_counts[name][0])

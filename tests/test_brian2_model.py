"""The live Brian2 objects of a network in scripts of their user: the same spikes; the examples of docs/brian2.md."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from brian2 import Clock, Network, NeuronGroup, SpikeMonitor, defaultclock, ms

import brian_snn
from brian_snn.errors import DataError, OptionError, SettingError
from tests.simulation_cases import RUNS, VARIANTS, variant_network
from tests.small_network import small_images, small_network

CASES = {name: case for name, case in {**RUNS, **VARIANTS}.items() if "softmax" not in case.get("readout", "")}


@pytest.fixture(scope="module")
def network():
    """Return the small network."""
    return small_network()


def assert_spikes_are_those_of(result, model, image):
    """Compare counts and potentials of a model with those of one image of a result."""
    populations = {p.name: p for p in result.network.populations}
    assert set(model) == set(populations)
    for name in model:
        if "n_spikes" in model[name].variables:
            np.testing.assert_array_equal(model[name].n_spikes[:], result.spike_counts[name][image].ravel())
        if "v" in model[name].variables:
            np.testing.assert_array_equal(model[name].v[:], result.potentials[name][image].ravel())


@pytest.mark.parametrize("case", CASES)
def test_one_image_after_the_other_spikes_as_simulate_says(case):
    network, images = variant_network(CASES[case]), small_images()
    result = brian_snn.simulate(network, images, steps=30, backend="runtime", **CASES[case])
    model = brian_snn.brian2(network, steps=30, **CASES[case])
    for number, image in enumerate(images):
        model.show(image, number=number)
        model.run()
        assert_spikes_are_those_of(result, model, number)


def test_a_run_may_come_in_pieces_and_begin_at_any_time(network):
    options = {"steps": 30, "clamp": 3, "dt": 0.5 * ms, "refractory": 1 * ms, "input_coding": "poisson"}
    result = brian_snn.simulate(network, small_images(1), backend="runtime", **options)
    model = brian_snn.brian2(network, **options)
    model.run(3.5 * ms)
    model.show(small_images(1)[0])
    for _ in range(3):
        model.run(5 * ms)
    assert_spikes_are_those_of(result, model, 0)


def test_the_clock_may_be_that_of_the_script(network):
    defaultclock.dt = 1 * ms
    model = brian_snn.brian2(network, steps=30, clock=defaultclock)
    follower = NeuronGroup(60, "heard : 1", threshold="heard > 0", reset="heard = 0")
    spikes = SpikeMonitor(model["conv"])
    model.network.add(follower, spikes)
    model.show(small_images(1)[0])
    model.run()
    result = brian_snn.simulate(network, small_images(1), steps=30, backend="runtime", record_spikes=["conv"])
    assert_spikes_are_those_of(result, model, 0)
    train = np.column_stack([np.round(spikes.t / ms).astype(int) + 1, spikes.i])
    np.testing.assert_array_equal(train, result.spike_trains["conv"][:, 1:])


def test_two_models_live_in_one_script(network):
    models = [brian_snn.brian2(network, steps=20, threshold=threshold) for threshold in (1.0, 2.0)]
    together = Network(*(model.network.objects for model in models))
    together.schedule = models[0].network.schedule
    for model in models:
        model.show(small_images(1)[0])
    together.run(20 * ms, namespace={})
    for model, threshold in zip(models, (1.0, 2.0), strict=True):
        result = brian_snn.simulate(network, small_images(1), steps=20, threshold=threshold, backend="runtime")
        assert_spikes_are_those_of(result, model, 0)


def test_synapses_are_found_by_their_ends(network):
    model = brian_snn.brian2(network)
    assert list(model.synapses) == [(p.source, p.target) for p in network.projections if p.source is not None]
    synapses = model.synapses["conv", "average"]
    assert synapses.source is model["conv"] and synapses.target is model["average"]
    assert list(model.inputs) == ["conv"]
    assert model.slots("conv").threshold in model.network.schedule


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"projection": "shared"}, "take 'synapses'"),
        ({"readout": "softmax_generator"}, "take 'potential' or 'spikes'"),
        ({"readout": "softmax_rates"}, "take 'potential' or 'spikes'"),
        ({"input_coding": "frames"}, "call show for each image"),
        ({"clock": Clock(dt=0.5 * ms)}, "the clock has a dt of 0.5 ms"),
        ({"stepps": 3}, "did you mean steps"),
        ({"workers": 3}, "no option 'workers'"),
        ({"settings": {"steps": 3}}, "it must be a Settings"),
    ],
)
def test_what_cannot_be_had_is_refused(network, options, words):
    with pytest.raises((SettingError, OptionError), match=words):
        brian_snn.brian2(network, **options)


def test_a_wrong_image_and_an_unknown_population_are_named(network):
    model = brian_snn.brian2(network)
    with pytest.raises(DataError, match=r"image has shape \(1, 3, 3\)|image.*expected|input is \(5, 4, 2\)"):
        model.show(np.zeros((3, 3)))
    with pytest.raises(DataError, match="NaN"):
        model.show(np.full((5, 4, 2), np.nan))
    with pytest.raises(KeyError, match="there are conv, pool, average, mixed, out"):
        model["convolution"]
    with pytest.raises(SettingError, match="steps|exact"):
        brian_snn.brian2(network, steps=2**31 - 1).show(np.full((5, 4, 2), 1e6), any_range=True)


# --- the examples, and what needs a compiler ------------------------------------------------------------------------

TEXT = (Path(__file__).parent.parent / "docs" / "brian2.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)

#: Runs one example after the other, as one script.
PROGRAM = """
import json, sys, traceback
import brian2
brian2.prefs.codegen.target = "numpy"
brian2.prefs.codegen.cpp.extra_compile_args_gcc = ["-w", "-O0"]
wrong, script = {}, {}
for number, code in enumerate(json.load(sys.stdin)):
    try:
        exec(compile(code, f"example {number}", "exec"), script)
    except BaseException:
        wrong[number] = traceback.format_exc()
json.dump(wrong, open("wrong.json", "w"))
"""


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """Run all examples and return the tracebacks of those that failed, by number."""
    folder = tmp_path_factory.mktemp("examples")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(EXAMPLES), capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((folder / "wrong.json").read_text("utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs(number, wrong):
    assert str(number) not in wrong, wrong[str(number)]


STANDALONE = """
import sys
import numpy as np
from brian2 import NeuronGroup, SpikeMonitor, Synapses, device, ms, prefs, set_device
import brian_snn
from tests.small_network import small_images, small_network
options = {"steps": 30, "max_pool": "gate", "tau_m": 12.5 * ms, "input_coding": "poisson", "seed": 3, "clamp": 1}
network, images = small_network(), small_images()
result = brian_snn.simulate(network, images, backend="runtime", **options)
prefs.codegen.cpp.extra_compile_args_gcc = ["-w", "-O0"]
set_device("cpp_standalone", build_on_run=False, directory=sys.argv[1])
model = brian_snn.brian2(network, **options)
votes = NeuronGroup(24, "x : 1", threshold="x > 2", reset="x = 0", clock=model.clock)
synapses = Synapses(model["mixed"], votes, on_pre="x_post += 1", clock=model.clock)
synapses.connect(j="i")
synapses.pre.when = "before_thresholds"
decisions = SpikeMonitor(votes)
model.network.add(votes, synapses, decisions)
model.show(images[0])
model.run()
device.build(run=False, directory=sys.argv[1])
for number, image in enumerate(images):
    device.run(run_args=model.run_args(image, number=number))
    for name in model:
        if "n_spikes" in model[name].variables:
            assert np.array_equal(model[name].n_spikes[:], result.spike_counts[name][number].ravel()), name
    assert np.array_equal(model["out"].v[:], result.potentials["out"][number].ravel())
    assert decisions.num_spikes == (result.spike_counts["mixed"][number] // 3).sum()
"""

CYTHON = """
import numpy as np
from brian2 import ms, prefs
import brian_snn
from tests.small_network import constant_network
options = {"steps": 30, "tau_m": 12.5 * ms, "input_coding": "poisson"}
network, images = constant_network([0.3, 0.7]), np.array([[0.5]])
result = brian_snn.simulate(network, images, backend="runtime", **options)
prefs.codegen.target = "cython"
prefs.codegen.runtime.cython.cache_dir = "cython"
model = brian_snn.brian2(network, **options)
model.show(images[0])
model.run()
for name in ("input_spikes", "layer"):
    assert result.spike_counts[name].sum() > 0
    assert np.array_equal(model[name].n_spikes[:], result.spike_counts[name][0].ravel()), name
assert np.array_equal(model["layer"].v[:], result.potentials["layer"][0])
"""


@pytest.mark.slow
@pytest.mark.parametrize("program", [STANDALONE, CYTHON], ids=["standalone", "cython"])
def test_other_devices_spike_as_simulate_says(tmp_path, program):
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "build")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    assert done.returncode == 0, done.stderr[-2000:]

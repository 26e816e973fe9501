"""A user's own Brian2 script before and after `simulate` is undisturbed, and so is a second call."""

import brian2
import numpy as np
import pytest
from brian2 import NeuronGroup, StateMonitor, defaultclock, ms, mV, prefs

import brian_snn
from tests.models import images_for

BACKENDS = ["runtime", pytest.param("standalone", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def network(mlp_model):
    return brian_snn.convert(mlp_model, images_for(mlp_model, 10))


@pytest.fixture
def simulate(network, mlp_model):
    """Return a function that simulates the perceptron."""
    images = images_for(mlp_model, 2, seed=1)

    def run(backend, **settings):
        return brian_snn.simulate(network, images, steps=12, backend=backend, **settings)

    return run


@pytest.fixture
def user_dt():
    """Let the user choose a time step, and take it back afterwards."""
    before = defaultclock.dt
    defaultclock.dt = 0.25 * ms
    yield 0.25 * ms
    defaultclock.dt = before


@pytest.fixture
def user_compiler_arguments():
    """Let the user set a preference, and take it back afterwards."""
    before = prefs["codegen.cpp.extra_compile_args_gcc"]
    prefs["codegen.cpp.extra_compile_args_gcc"] = ["-w", "-O1"]
    yield "-O1"
    prefs["codegen.cpp.extra_compile_args_gcc"] = before


def rising(**arguments):
    """Return a user's group, whose potential rises by 1 mV each millisecond."""
    return NeuronGroup(2, "dv/dt = mV/ms : volt", method="euler", namespace={"mV": mV, "ms": ms}, **arguments)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_default_clock_keeps_its_step(simulate, user_dt, backend):
    simulate(backend)
    assert defaultclock.dt == user_dt


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_device_is_the_one_before(simulate, backend):
    before = brian2.get_device()
    simulate(backend)
    assert brian2.get_device() is before


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_preferences_are_those_before(simulate, user_compiler_arguments, backend):
    before = prefs.as_file
    assert user_compiler_arguments in before
    simulate(backend)
    assert prefs.as_file == before


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_magic_run_collects_the_users_objects_only(simulate, user_dt, backend):
    group = rising()
    monitor = StateMonitor(group, "v", record=True)
    simulate(backend)
    brian2.run(1 * ms)
    assert {member.name for member in brian2.collect()} == {group.name, monitor.name}
    assert monitor.v.shape == (2, 4)
    np.testing.assert_allclose(group.v / mV, 1.0, rtol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_goes_on_where_it_was(simulate, user_dt, backend):
    group = rising()
    brian2.run(1 * ms)
    simulate(backend)
    assert group.t == 1 * ms
    brian2.run(0.5 * ms)
    np.testing.assert_allclose(group.v / mV, 1.5, rtol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_users_group_may_have_the_name_of_a_layer(simulate, user_dt, backend):
    group = rising(name="hidden")
    counts = simulate(backend).spike_counts["hidden"]
    brian2.run(1 * ms)
    assert counts.any()
    np.testing.assert_allclose(group.v / mV, 1.0, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["runtime", "standalone"])
def test_a_pending_standalone_script_of_the_users_survives(simulate, backend, tmp_path):
    brian2.set_device("cpp_standalone", directory=str(tmp_path / "user"), build_on_run=False)
    group = rising(dt=0.25 * ms)
    brian2.run(1 * ms)
    simulate(backend)
    brian2.run(1 * ms)
    brian2.device.build(directory=str(tmp_path / "user"), compile=True, run=True)
    np.testing.assert_allclose(group.v[:] / mV, 2.0, rtol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_second_call_gives_what_the_first_gave(simulate, backend):
    first = simulate(backend)
    simulate(backend, threshold=0.5, clamp=1)
    third = simulate(backend)
    for name in first.potentials:
        assert np.array_equal(first.potentials[name], third.potentials[name])
        assert np.array_equal(first.spike_counts[name], third.spike_counts[name])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_refused_call_leaves_the_state_alone(simulate, user_dt, backend):
    before = brian2.get_device()
    with pytest.raises(brian_snn.errors.SettingError, match="threshold"):
        simulate(backend, threshold=-1.0)
    assert brian2.get_device() is before and defaultclock.dt == user_dt

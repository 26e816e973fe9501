"""Neurons with a leak and a threshold of their own, and networks that ask for settings: against the plain loop."""

from dataclasses import replace

import numpy as np
import pytest
from brian2 import ms

from brian_snn import load_network, simulate, verify
from brian_snn.__main__ import main
from brian_snn.analysis.bounds import bounds
from brian_snn.analysis.error import error_terms
from brian_snn.errors import ModelError, SettingError
from brian_snn.network.forward import forward
from tests.small_network import GRID, Loop, differences, loop_result, small_images, small_network

LEAKS = {"conv": 0.125, "mixed": 1 / 3, "out": 0.01}
THRESHOLDS = {"conv": 1.25, "average": 0.75, "out": 3.0}
IN_PROCESS = {"backend": "runtime"}


class LeakyLoop(Loop):
    """The plain loop; each layer with a leak loses its own part of V, rounded to the grid, before anything arrives."""

    books = ("leaked",)

    def __init__(self, network, images, settings):
        super().__init__(network, images, settings)
        self.leaked = {name: np.zeros_like(v) for name, v in self.v.items() if name in LEAKS}
        self.of_settings = self.threshold

    def advance(self, population, step):
        name = population.name
        self.threshold = self.of_settings * THRESHOLDS.get(name, 1.0)
        if name in LEAKS and step > self.start(population):
            loss = np.rint(self.v[name] * (LEAKS[name] / GRID)) * GRID
            self.v[name] = self.v[name] - loss
            self.leaked[name] = self.leaked[name] + loss
        super().advance(population, step)


def with_own(population):
    """Return a population with its own leak and threshold."""
    name = population.name
    return replace(population, leak=LEAKS.get(name, 0.0), threshold=THRESHOLDS.get(name, 1.0))


@pytest.fixture(scope="module")
def network():
    plain = small_network()
    return replace(plain, populations=tuple(with_own(p) for p in plain.populations))


@pytest.mark.parametrize(
    "options", [{}, {"reset": "zero", "clamp": 2, "threshold": 1.75, "v_init": 0.5}, {"readout": "spikes"}]
)
@pytest.mark.parametrize("projection", ["synapses", "shared"])
def test_every_layer_leaks_as_it_says(network, options, projection):
    result = simulate(network, small_images(), steps=30, projection=projection, **options, **IN_PROCESS)
    expected = loop_result(network, small_images(), LeakyLoop, **options)
    assert differences(result, expected, ("spike_counts", "potentials", "charge")) == []
    assert all((result.booked["leaked"][name] == expected.booked["leaked"][name]).all() for name in LEAKS)
    report = verify(result, replay="all")
    assert report["holds"].all()
    rows = report.set_index(["population", "equation"])
    assert "leaks" in rows.loc[("conv", "S9" if "reset" in options else "S11"), "note"]


def test_layers_without_one_have_that_of_the_settings(network):
    both = simulate(network, small_images(), steps=30, tau_m=12.5 * ms, **IN_PROCESS)
    assert set(both.booked["leaked"]) == {"conv", "average", "mixed", "out"}
    assert verify(both, replay="all")["holds"].all()


@pytest.mark.slow
def test_compiled_layers_leak_as_those_of_the_process(network):
    compiled, in_process = (
        simulate(network, small_images(), steps=30, reset="zero", projection="shared", **more)
        for more in ({}, IN_PROCESS)
    )
    assert differences(compiled, in_process, ("spike_counts", "potentials", "charge", "leaked")) == []


def test_the_account_of_the_error_has_a_term_for_it(network):
    result = simulate(network, small_images(), steps=30, **IN_PROCESS)
    own = {name: values * network[name].scale for name, values in forward(network, small_images()).items()}
    for name in LEAKS:
        measured = result.potentials[name] / 3 if name == "out" else result.spike_counts[name]
        terms = error_terms(result, own, name)
        assert terms["leak"].any()
        np.testing.assert_allclose(sum(terms.values()), measured / 30 - own[name] / network[name].scale, atol=1e-12)


def test_no_bound_is_proved_of_them(network):
    with pytest.raises(SettingError, match="leak of their own"):
        bounds(simulate(network, small_images(), steps=5, **IN_PROCESS))


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("inf"), "low"])
def test_a_threshold_is_positive(network, threshold):
    with pytest.raises(ModelError, match="its threshold"):
        replace(network["conv"], threshold=threshold)


@pytest.mark.parametrize("leak", [-0.1, 1.5, float("nan"), "much"])
def test_a_leak_is_a_part_of_v(network, leak):
    with pytest.raises(ModelError, match="its leak"):
        replace(network["conv"], leak=leak)


def test_files_keep_leaks_and_what_is_asked_for(network, tmp_path):
    asking = replace(network, simulation={"reset": "zero", "dt_s": 1e-4})
    asking.save(tmp_path / "net.npz")
    again = load_network(tmp_path / "net.npz")
    assert again.digest() == asking.digest() != network.digest()
    kept = [(p.leak, p.threshold) for p in again.populations]
    assert kept == [(p.leak, p.threshold) for p in network.populations]
    assert again.simulation == {"reset": "zero", "dt_s": 1e-4}


def test_simulate_does_what_a_network_asks_for_unless_told_otherwise(network, tmp_path):
    asking = replace(network, simulation={"reset": "zero", "dt_s": 1e-4})
    images = small_images()
    found = simulate(asking, images, steps=9, **IN_PROCESS).settings
    assert (found.reset, float(found.dt)) == ("zero", 1e-4)
    assert simulate(asking, images, steps=9, reset="subtraction", **IN_PROCESS).settings.reset == "subtraction"
    assert simulate(asking, images, replace(found, reset="subtraction")).settings.reset == "subtraction"
    asking.save(tmp_path / "net.npz")
    np.savez(tmp_path / "x.npz", x=images)
    folder = str(tmp_path)
    command = ["simulate", f"{folder}/net.npz", "--data", f"{folder}/x.npz", "--backend", "runtime", "--steps", "9"]
    assert (
        main([*command, "-o", f"{folder}/asked"]) == 0
        and main([*command, "--reset", "subtraction", "-o", f"{folder}/told"]) == 0
    )
    from brian_snn import load_result

    assert load_result(tmp_path / "asked").settings == found
    assert load_result(tmp_path / "told").settings.reset == "subtraction"


@pytest.mark.parametrize("simulation", [{"reset": "never"}, {"leak": 1}, {"dt_s": "soon"}, ["zero"]])
def test_what_cannot_be_asked_for_is_refused(network, simulation):
    with pytest.raises(ModelError, match="simulation"):
        replace(network, simulation=simulation)

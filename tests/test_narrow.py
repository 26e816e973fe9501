"""Potentials of a few bits: against the twin in C, a plain loop, and what one neuron must do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from brian2 import ms

import brian_snn
from brian_snn.analysis.accumulators import accumulator_bits
from brian_snn.errors import SettingError
from tests.c_twin import Twin, unit_by_fractions
from tests.small_network import GRID, constant_network, small_images, small_network
from tests.variant_oracles import VariantLoop

STEPS = 40
COARSE = 2.0**-6


def narrow_network(grid=COARSE):
    """Return the small network with few bits everywhere, so that a few more are a wide accumulator."""
    return brian_snn.quantise(small_network(), 4, grid=grid)


def units_of_any_image(network, settings):
    """Return the units that do not depend on the images: the grid, where an image is seen."""
    twin = Twin(network, small_images(), settings)
    seen = {p.target for p in network.projections if p.source is None}
    return {name: network.grid if name in seen else unit for name, unit in twin.units.items()}


class NarrowLoop(VariantLoop):
    """The plain loop with potentials that are cut or wrapped before the threshold is tested."""

    def __init__(self, network, images, settings):
        """Note the ends of each population."""
        super().__init__(network, images, settings)
        self.units = units_of_any_image(network, settings)
        # On the network's grid, which may be coarser than that of the plain loop.
        self.current = Twin(network, images, settings).currents
        if np.isfinite(float(settings.tau_m)):
            self.units |= {p.name: network.grid for p in network.populations if self.fires(p)}
        self.overflowed = {name: np.zeros_like(v) for name, v in self.v.items()}

    def fire(self, population, step):
        """Bring V into its width, one unit at a time where it wraps."""
        name, half = population.name, 2 ** (self.settings.accumulator_bits - 1)
        before = self.v[name] / self.units[name]
        if self.settings.overflow == "saturate":
            after = np.minimum(np.maximum(before, -half), half - 1)
        else:
            after = np.vectorize(lambda u: float((int(u) + half) % (2 * half) - half))(before)
        self.overflowed[name] += (before - after) * self.units[name]
        self.v[name] = after * self.units[name]
        super().fire(population, step)


OPTIONS = {
    "plain": {},
    "zero": {"reset": "zero", "readout": "spikes"},
    "clamped": {"clamp": 3, "v_init": 0.25, "threshold": 0.5, "readout": "spikes"},
}


@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
@pytest.mark.parametrize("bits", [8, 9, 11])
@pytest.mark.parametrize("options", OPTIONS)
def test_counts_and_potentials_are_those_of_int32(options, bits, overflow):
    network, images = narrow_network(), small_images()
    run = {"steps": STEPS, "accumulator_bits": bits, "overflow": overflow, **OPTIONS[options]}
    result = brian_snn.simulate(network, images, backend="runtime", **run)
    twin = Twin(network, images, result.settings, units_of_any_image(network, result.settings))
    counts, potentials = twin.run(dict.fromkeys(["conv", "average", "mixed", "out"], bits), overflow)
    for p in network.populations:
        assert np.array_equal(result.spike_counts[p.name].reshape(len(images), -1), counts[p.name]), p.name
        assert np.array_equal(result.potentials[p.name].reshape(len(images), -1), potentials[p.name]), p.name
    assert brian_snn.verify(result, replay="all")["holds"].all()
    if bits == 8:
        assert any(np.any(lost) for lost in result.booked["overflowed"].values())


@pytest.mark.slow
@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
def test_the_compiled_simulation_is_the_same(overflow):
    network, images = narrow_network(), small_images()
    options = {"steps": STEPS, "accumulator_bits": 8, "overflow": overflow, "reset": "zero"}
    plain = brian_snn.simulate(network, images, backend="runtime", **options)
    for projection in ("synapses", "shared"):
        compiled = brian_snn.simulate(network, images, projection=projection, **options)
        for name in plain.spike_counts:
            assert np.array_equal(plain.spike_counts[name], compiled.spike_counts[name])
            assert np.array_equal(plain.potentials[name], compiled.potentials[name])
        for name, lost in plain.booked["overflowed"].items():
            assert np.array_equal(lost, compiled.booked["overflowed"][name])


@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
@pytest.mark.parametrize(
    ("grid", "bits", "options"),
    [
        (COARSE, 9, {}),
        (COARSE, 9, {"reset": "zero", "v_init": 0.5}),
        (COARSE, 8, {"refractory": 2 * ms, "delay": 1 * ms, "reset": "zero", "clamp": 1}),
        # What leaks lies on the grid, so it has 24 bits behind the point and two before it.
        (GRID, 26, {"tau_m": 12.5 * ms}),
    ],
    ids=str,
)
def test_books_and_potentials_are_those_of_the_loop(grid, bits, options, overflow):
    network, images = narrow_network(grid), small_images()
    run = {"steps": STEPS, "accumulator_bits": bits, "overflow": overflow, **options}
    result = brian_snn.simulate(network, images, backend="runtime", **run)
    loop = NarrowLoop(network, images, result.settings)
    for step in range(1, STEPS + 1):
        loop.same_step(step)
    for p in network.populations:
        shape = (len(images), *p.shape)
        assert np.array_equal(result.spike_counts[p.name], loop.counts[p.name].reshape(shape)), p.name
        if p.kind != "max_pool":
            assert np.array_equal(result.potentials[p.name], loop.v[p.name].reshape(shape)), p.name
            assert np.array_equal(result.booked["overflowed"][p.name], loop.overflowed[p.name].reshape(shape)), p.name
            assert np.array_equal(result.charge[p.name], loop.charge[p.name].reshape(shape)), p.name
    assert any(np.any(lost) for lost in result.booked["overflowed"].values())
    report = brian_snn.verify(result, replay="all")
    assert report["holds"].all()
    charge = report[report["equation"].isin(["charge", "synapses"])]
    assert charge["applicable"].all() and (charge["max_residual_charge"] == 0).all()


@pytest.mark.parametrize(
    ("grid", "options"),
    [
        (COARSE, {"input_coding": "poisson", "seed": 4}),
        (COARSE, {"float_type": "float32"}),
        (COARSE, {"max_pool": "gate", "delay": 2 * ms}),
        (GRID, {"threshold": 0.7, "accumulator_bits": 27, "input_coding": "poisson"}),
        (GRID, {"accumulator_bits": 26, "tau_syn": 3 * ms, "tau_m": 40 * ms, "leak_mismatch": 0.1}),
        (GRID, {"accumulator_bits": 26, "noise": 0.1, "threshold_mismatch": 0.1, "reset": "zero"}),
        (GRID, {"accumulator_bits": 26, "adaptation_step": 0.1, "adaptation": "current"}),
    ],
    ids=str,
)
@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
def test_other_variants_are_replayed(grid, options, overflow):
    run = {"steps": 60, "accumulator_bits": 8, "overflow": overflow, **options}
    result = brian_snn.simulate(narrow_network(grid), small_images(), backend="runtime", **run)
    assert any(np.any(lost) for lost in result.booked["overflowed"].values())
    report = brian_snn.verify(result, replay="all")
    assert report["holds"].all() and (report[report["equation"] == "spikes"]["images"] == 3).all()


def test_wide_accumulators_change_nothing():
    network, images = narrow_network(), small_images()
    plain = brian_snn.simulate(network, images, steps=STEPS, backend="runtime")
    proved = accumulator_bits(network, plain.settings, images)
    bits = int(proved["bits"].max())
    wide = brian_snn.simulate(network, images, steps=STEPS, backend="runtime", accumulator_bits=bits, overflow="wrap")
    for name in plain.spike_counts:
        assert np.array_equal(plain.spike_counts[name], wide.spike_counts[name])
        assert np.array_equal(plain.potentials[name], wide.potentials[name])
    assert not any(np.any(lost) for lost in wide.booked["overflowed"].values())


def one_neuron(current, **options):
    """Return spikes, V and what was lost of a neuron with a constant current in units of 2**-3."""
    network = brian_snn.Network(
        constant_network([current]).populations, constant_network([current]).projections, (1,), grid=2.0**-3
    )
    result = brian_snn.simulate(network, np.zeros((1, 1)), backend="runtime", **options)
    return (
        result.spike_counts["layer"].item(),
        result.potentials["layer"].item(),
        result.booked["overflowed"]["layer"].item(),
    )


def test_a_neuron_may_start_elsewhere():
    network = constant_network([2.0**-4])
    layer = replace(network.populations[0], v_init=0.75)
    network = replace(network, populations=(layer, network.populations[1]), grid=2.0**-4)
    result = brian_snn.simulate(network, np.zeros((1, 1)), steps=3, backend="runtime", accumulator_bits=6)
    assert result.potentials["layer"].item() == 0.75 + 3 / 16
    assert accumulator_bits(network, result.settings, np.zeros((1, 1)))["highest"].iloc[0] == 15
    far = replace(network, populations=(replace(layer, v_init=-2.5), network.populations[1]))
    with pytest.raises(SettingError, match="population 'layer': .* is 40 of its units of 0.0625; take 7 bits"):
        brian_snn.simulate(far, np.zeros((1, 1)), steps=3, backend="runtime", accumulator_bits=6)


def test_the_description_says_what_an_overflow_does():
    text = brian_snn.describe(narrow_network(), accumulator_bits=8, overflow="wrap")
    assert "potential of 8 bits" in text and r"\bmod V_{\mathrm{span}}" in text
    assert "V_span" in text and "what an overflow takes, 2**b units" in text


def test_a_saturated_neuron_stays_at_the_end():
    # 5 bits: -16 to 15 units of 1/8. A step brings 12 and a spike takes 8; from the second on 15 of 16 are left of it.
    counts, v, lost = one_neuron(12 / 8, steps=10, accumulator_bits=5)
    assert counts == 10 and v == 7 / 8
    assert 10 * 12 / 8 == counts + v + lost
    # A current of -1 ends at -16 units, and the rest is lost.
    assert one_neuron(-1 / 8, steps=30, accumulator_bits=5) == (0, -2.0, -14 / 8)


def test_a_wrapped_neuron_comes_back_at_the_other_end():
    # -1 a step: after 16 steps -16, after 17 15, which is above the threshold of 8.
    assert one_neuron(-1 / 8, steps=16, accumulator_bits=5, overflow="wrap") == (0, -2.0, 0.0)
    assert one_neuron(-1 / 8, steps=17, accumulator_bits=5, overflow="wrap") == (1, 7 / 8, -4.0)


def test_a_wrong_book_is_found():
    network, images = narrow_network(), small_images()
    result = brian_snn.simulate(network, images, steps=STEPS, backend="runtime", accumulator_bits=8, tau_m=50 * ms)
    assert brian_snn.verify(result)["holds"].all()
    result.booked["overflowed"]["mixed"][1, 3] += network.grid
    failed = brian_snn.verify(result).query("not holds")
    assert failed[["population", "equation"]].values.tolist() == [["mixed", "charge"]]
    assert failed["max_residual_charge"].item() == network.grid


def test_a_run_is_saved_with_what_was_lost(tmp_path):
    network, images = narrow_network(), small_images()
    result = brian_snn.simulate(network, images, steps=STEPS, backend="runtime", accumulator_bits=8)
    result.save(tmp_path / "run")
    loaded = brian_snn.load_result(tmp_path / "run")
    assert loaded.settings == result.settings
    for name, lost in result.booked["overflowed"].items():
        assert np.array_equal(loaded.booked["overflowed"][name], lost)
    assert brian_snn.verify(loaded)["holds"].all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accumulator_bits": 1}, "accumulator_bits is 1; it must be 0, or 2 to 32"),
        ({"accumulator_bits": 33}, "accumulator_bits is 33"),
        ({"accumulator_bits": 8, "readout": "softmax_generator"}, "readout must be 'potential' or 'spikes'"),
        ({"accumulator_bits": 8, "schedule": "brian2"}, "accumulator_bits is 8; with schedule='brian2' it must be 0"),
        ({"overflow": "burst"}, "overflow is 'burst'"),
        (
            {"accumulator_bits": 6},
            "population 'conv': accumulator_bits is 6, and .* 64 of its units .* take 8 bits",
        ),
        ({"accumulator_bits": 8, "v_init": -2.5}, "is 160 of its units of 0.015625; take 9 bits"),
        ({"accumulator_bits": 32, "steps": 2**21}, "might not be summed exactly"),
    ],
)
def test_widths_that_do_not_do_are_refused(options, message):
    with pytest.raises(SettingError, match=message):
        brian_snn.simulate(narrow_network(), small_images(), backend="runtime", **options)


def test_units_by_fractions():
    assert unit_by_fractions([np.array([0.75, -4.0]), np.zeros(3)]) == 0.25

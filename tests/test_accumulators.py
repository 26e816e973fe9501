"""The bits of potentials, against every state that a neuron can be in."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from brian2 import ms
from hypothesis import given
from hypothesis import strategies as st

import brian_snn
from brian_snn.__main__ import main
from brian_snn.analysis.accumulators import accumulator_bits, measured_bits, signed_bits
from brian_snn.errors import DataError, SettingError
from brian_snn.network.records import Geometry, Population, Projection
from brian_snn.network.units import least_bit, unit_of
from brian_snn.neurons.table import neuron_of
from tests.simulation_cases import VARIANTS, variant_network
from tests.small_network import GRID, loop_result, small_images, small_network

UNIT = 2.0**-5


def one_neuron(weights, bias, kind="spiking"):
    """Return a neuron that hears some sources; weights and bias in units, V_thr is 32 of them."""
    sources = Population("sources", "spiking", (len(weights),), np.zeros(len(weights)), 1)
    populations = [sources, Population("neuron", kind, (1,), np.array([bias * UNIT]), 2)]
    image = Projection(None, "sources", Geometry("dense", (1,), (len(weights),)), np.ones((1, len(weights))))
    heard = Projection("sources", "neuron", Geometry("dense", (len(weights),), (1,)), np.c_[weights] * UNIT)
    projections = [image, heard]
    if kind == "spiking":
        populations.append(Population("out", "readout", (1,), np.zeros(1), 3))
        projections.append(Projection("neuron", "out", Geometry("dense", (1,), (1,)), np.ones((1, 1))))
    return brian_snn.Network(tuple(populations), tuple(projections), (1,), grid=UNIT)


def explored(weights, bias, fires, reset, v_init, steps, threshold=32):
    """Return the extremes of u and V, and of partial sums of u, over all spikes in all steps."""
    states, whole, partial = {v_init}, {v_init, 0}, {v_init, 0}
    for _ in range(steps):
        following = set()
        for v, heard in itertools.product(states, itertools.product((0, 1), repeat=len(weights))):
            parts = [w for w, spike in zip(weights, heard, strict=True) if spike] + [bias]
            u = v + sum(parts)
            partial |= {v + sum(p for p in parts if p > 0), v + sum(p for p in parts if p < 0), u}
            after = (u - threshold if reset == "subtraction" else 0) if fires and u >= threshold else u
            whole |= {u, after}
            following.add(after)
        states = following
    return (min(whole), max(whole)), (min(partial), max(partial))


CASES = [
    ([5, -3, 1], 2),
    ([20, 25, -7], -4),
    ([40, 1, -1], 0),
    ([-6, -1, -20], 3),
    ([30, 30, 30, -1, 1], 10),
    ([3, 1], -9),
    ([1, 2], -1),
    ([31], 0),
]


@pytest.mark.parametrize("v_init", [0, 16, -11, 50])
@pytest.mark.parametrize("reset", ["subtraction", "zero"])
@pytest.mark.parametrize("weights, bias", CASES)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_no_spikes_reach_further(weights, bias, reset, v_init, steps):
    settings = brian_snn.Settings(steps, reset, v_init=v_init * UNIT)
    row = accumulator_bits(one_neuron(weights, bias), settings, np.ones((1, 1))).iloc[1]
    (lowest, highest), partial = explored(weights, bias, True, reset, v_init, steps)
    unit = row["unit"] / UNIT
    assert unit == np.gcd.reduce([*weights, bias, 32, v_init]) & -np.gcd.reduce([*weights, bias, 32, v_init])
    assert row["lowest"] * unit <= lowest and highest <= row["highest"] * unit
    assert row["bits_any_order"] >= signed_bits(int(partial[0] // unit), int(partial[1] // unit))
    # 31 units, the most without a spike, may be out of reach; then the bound is at most that much too high.
    assert row["highest"] * unit - highest < 32
    if steps == 1:
        assert (row["lowest"] * unit, row["highest"] * unit) == (lowest, highest)
        assert row["bits_any_order"] == signed_bits(int(partial[0] // unit), int(partial[1] // unit))


@pytest.mark.parametrize("weights, bias", [([5, -3, 1], 2), ([16, 8, 4, 2, 1, -9], 0), ([30, 30, 30, -1, 1], 10)])
def test_over_many_steps_the_limits_are_reached(weights, bias):
    row = accumulator_bits(one_neuron(weights, bias), brian_snn.Settings(40), np.ones((1, 1))).iloc[1]
    sums = {bias}
    for weight in weights:
        sums |= {s + weight for s in sums}
    states, highest, lowest = {0}, 0, 0
    for _ in range(40):
        reached = {v + s for v in states for s in sums}
        states = {u - 32 * (u >= 32) for u in reached}
        highest, lowest = max(highest, *reached), min(lowest, *reached)
    assert (row["lowest"], row["highest"]) == (lowest, highest)


@pytest.mark.parametrize("weights, bias", CASES)
def test_a_readout_reaches_its_limits(weights, bias):
    row = accumulator_bits(one_neuron(weights, bias, "readout"), brian_snn.Settings(4), np.ones((1, 1))).iloc[1]
    whole, _ = explored(weights, bias, False, "subtraction", 0, 4)
    unit = int(row["unit"] / UNIT)
    assert (row["lowest"] * unit, row["highest"] * unit) == whole


@given(st.lists(st.integers(-(2**60), 2**60), min_size=1, max_size=5), st.integers(-80, 80))
def test_the_unit_is_the_largest_power_of_two_of_all(numbers, exponent):
    values = np.ldexp(np.array(numbers, np.float64), exponent)
    unit = least_bit([values[:2], values[2:]])
    whole = [Fraction(value) / Fraction(unit) for value in values] if np.any(values) else []
    assert all(number.denominator == 1 for number in whole)
    assert any(number % 2 for number in whole) if whole else unit == np.inf


@given(st.integers(-(2**70), 0), st.integers(0, 2**70))
def test_signed_bits_are_those_of_twos_complement(lowest, highest):
    bits = signed_bits(lowest, highest)
    assert -(2 ** (bits - 1)) <= lowest and highest < 2 ** (bits - 1)
    assert bits == 1 or not (-(2 ** (bits - 2)) <= lowest and highest < 2 ** (bits - 2))


OPTIONS = [
    {},
    {"reset": "zero", "v_init": 0.3},
    {"clamp": 3, "threshold": 0.7},
    {"readout": "spikes", "v_init": -1.5},
    {"v_init": 2.25},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("bits", [3, 6])
def test_potentials_of_the_plain_loop_stay_within(bits, options):
    network, images = brian_snn.quantise(small_network(), bits, "channel"), small_images()
    result = loop_result(network, images, **options)
    check_measured(result, "V(T)")


@pytest.mark.parametrize(
    "options",
    [{}, {"tau_m": 20 * ms}, {"refractory": 2 * ms, "reset": "zero"}, {"delay": 1 * ms}, {"max_pool": "gate"}],
)
def test_recorded_potentials_stay_within(options):
    network = brian_snn.quantise(small_network(), 4)
    names = ["conv", "average", "mixed", "out"]
    result = brian_snn.simulate(
        network, small_images(), steps=25, backend="runtime", record_potentials=names, **options
    )
    check_measured(result, "V(t)")


def check_measured(result, at):
    """Check what is measured against the arrays, and against what is proved."""
    for row in measured_bits(result).itertuples():
        values = result.potential_traces.get(row.population, result.potentials[row.population])
        in_units = np.asarray(values) / row.unit
        assert np.array_equal(in_units, np.rint(in_units)), row.population
        assert row.measured_at == at
        assert row.lowest <= row.measured_lowest == min(0, in_units.min()), row.population
        assert row.highest >= row.measured_highest == max(0, in_units.max()), row.population
        assert row.measured_bits <= row.bits <= row.bits_any_order


def test_unknown_images_are_those_of_the_range():
    from dataclasses import replace

    network = replace(small_network(), calibration_range=(-0.25, 1.5))
    settings = brian_snn.Settings(9, readout="spikes")
    proved = accumulator_bits(network, settings).iloc[0]
    images = np.random.default_rng(3).uniform(-0.25, 1.5, (40, 5, 4, 2))
    # The worst images of a neuron have each pixel at the end that its weight asks for.
    weights = network.projections[0].weights[..., 1].reshape(-1)
    for sign in (1, -1):
        worst = np.full((1, 5, 4, 2), 0.0)
        worst[0, 1:4, 0:3] = np.where(sign * weights > 0, 1.5, -0.25).reshape(3, 3, 2)
        images = np.concatenate([images, worst])
    known = accumulator_bits(network, settings, images).iloc[0]
    scale = known["unit"] / proved["unit"]
    assert proved["unit"] == GRID
    assert proved["lowest"] <= known["lowest"] * scale and known["highest"] * scale <= proved["highest"]
    ends = {(row[0], row[1]) for row in [extremes(network, channel) for channel in range(3)]}
    lowest, highest = min(low for low, _ in ends), max(high for _, high in ends)
    # 9 steps of the worst current; each is rounded outwards by at most one unit.
    assert proved["lowest"] in range(9 * lowest - 9, 9 * lowest + 10)
    assert proved["highest"] >= highest


def extremes(network, channel):
    """Return the least and the largest current of a channel, in multiples of the grid, by fractions."""
    weights = [Fraction(w) for w in network.projections[0].weights[..., channel].flat]
    biases = [Fraction(b) for b in network["conv"].bias[1:-1, 1:-1, channel].flat]
    low = sum(w * (Fraction(-1, 4) if w > 0 else Fraction(3, 2)) for w in weights) + min(biases)
    high = sum(w * (Fraction(3, 2) if w > 0 else Fraction(-1, 4)) for w in weights) + max(biases)
    return round(low / Fraction(GRID)), round(high / Fraction(GRID))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": "brian2"}, "bits are not proved for schedule 'brian2'"),
        ({"input_coding": "poisson"}, "bits are not proved for input_coding 'poisson'"),
        ({"readout": "softmax_generator"}, "bits are not proved for readout 'softmax_generator'"),
        ({"steps": 2**31 - 1, "threshold": 2.0**20}, "could gather a charge"),
    ],
)
def test_what_is_not_covered_is_refused(options, message):
    with pytest.raises(SettingError, match=message):
        accumulator_bits(small_network(), brian_snn.Settings(**options), small_images())


def test_images_or_their_range_are_needed():
    with pytest.raises(DataError, match="does not say what range pixels have"):
        accumulator_bits(small_network(), brian_snn.Settings())
    with pytest.raises(DataError, match="there are no images"):
        accumulator_bits(small_network(), brian_snn.Settings(), small_images()[:0])


def test_commands_show_the_tables(tmp_path, capsys):
    from dataclasses import replace

    network = replace(brian_snn.quantise(small_network(), 4), calibration_range=(0.0, 1.0))
    network.save(tmp_path / "net.npz")
    assert main(["bits", f"{tmp_path}/net.npz", "--steps", "20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    proved = accumulator_bits(network, brian_snn.Settings(20))
    for row in proved.itertuples():
        (line,) = [line for line in lines if line.split()[:1] == [row.population]]
        assert line.split()[2:] == [f"{value:,}" for value in row[3:]]
        assert eval(line.split()[1]) == row.unit
    result = brian_snn.simulate(network, small_images(), steps=20, backend="runtime")
    result.save(tmp_path / "run")
    assert main(["verify", f"{tmp_path}/run", "--bits"]) == 0
    lines = capsys.readouterr().out.partition("Bits of V")[2].splitlines()
    for row in measured_bits(result).itertuples():
        (line,) = [line for line in lines if line.split()[:1] == [row.population]]
        assert line.split()[2:] == [*(f"{value:,}" for value in row[3:-1]), "V(T)"]


@pytest.mark.parametrize("case", VARIANTS)
def test_potentials_are_whole_numbers_of_their_units_whatever_a_neuron_has(case):
    # Weights and biases on a coarse grid, in a network on a fine one: only what is rounded in a step is finer.
    network = variant_network(VARIANTS[case])
    coarse = replace(
        network,
        populations=tuple(replace(p, bias=np.round(p.bias * 32) / 32) for p in network.populations),
        projections=tuple(
            p if p.weights is None else replace(p, weights=np.round(p.weights * 32) / 32) for p in network.projections
        ),
    )
    result = brian_snn.simulate(coarse, small_images(), steps=20, backend="runtime", **VARIANTS[case])
    for population in result.network.populations:
        neuron = neuron_of(result.network, population, result.settings)
        if neuron.hears == "charge":
            unit = unit_of(result.network, population, result.settings, neuron.rounds)
            assert np.array_equal(
                np.round(result.potentials[population.name] / unit) * unit, result.potentials[population.name]
            )

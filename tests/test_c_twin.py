"""The same spikes, and potentials bit for bit, from integers in plain C."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import sampled_from

import brian_snn
from brian_snn.analysis.accumulators import accumulator_bits
from tests.c_twin import Twin
from tests.models import images_for
from tests.small_network import small_images, small_network
from tests.strategies import architectures

RANDOM = settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
#: With currents of no more bits than `int32_t` has room for.
COARSE = 2.0**-12


def differing(network, images, **options):
    """Return the populations of which a count or a potential differs, and the spikes of all."""
    result = brian_snn.simulate(network, images, **options)
    counts, potentials = Twin(network, images, result.settings).run()
    found = []
    for p in network.populations:
        pairs = [(result.spike_counts[p.name], counts[p.name]), (result.potentials[p.name], potentials[p.name])]
        if any(not np.array_equal(np.reshape(ours, theirs.shape), theirs) for ours, theirs in pairs):
            found.append(p.name)
    return found, sum(int(c.sum()) for c in counts.values())


@pytest.mark.parametrize("scales", ["layer", "channel"])
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize(
    "options",
    [
        {"reset": "subtraction"},
        {"reset": "zero", "readout": "spikes"},
        {"reset": "subtraction", "threshold": 0.5, "v_init": 0.25, "clamp": 3},
        {"reset": "zero", "threshold": 1.5, "v_init": -0.75, "readout": "spikes", "clamp": 1},
    ],
    ids=str,
)
def test_every_kind_of_map(bits, scales, options):
    network = brian_snn.quantise(small_network(), bits, scales, grid=COARSE)
    found, n_spikes = differing(network, small_images(), steps=40, backend="runtime", **options)
    assert found == [] and n_spikes > 100


@pytest.mark.slow
def test_the_compiled_simulation():
    network = brian_snn.quantise(small_network(), 5, finer_biases=3, grid=COARSE)
    for projection in ("synapses", "shared"):
        found, n_spikes = differing(network, small_images(), steps=60, projection=projection)
        assert found == [] and n_spikes > 100


@RANDOM
@given(
    architecture=architectures(),
    bits=sampled_from([2, 3, 4, 6]),
    scales=sampled_from(["layer", "channel"]),
    reset=sampled_from(["subtraction", "zero"]),
)
def test_random_architectures(architecture, bits, scales, reset):
    model = architecture.build()
    conversion = {"weight_bits": bits, "weight_scales": scales, "finer_biases": 2, "grid": COARSE}
    network = brian_snn.convert(model, images_for(model, 20), **conversion)
    found, _ = differing(network, images_for(model, 2, seed=7), steps=30, reset=reset, backend="runtime")
    assert found == []


@pytest.mark.parametrize("reset", ["subtraction", "zero"])
@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
def test_the_bits_that_are_proved_suffice(reset, overflow):
    network = brian_snn.quantise(small_network(), 4, "channel", grid=COARSE)
    twin = Twin(network, small_images(), brian_snn.Settings(40, reset, readout="spikes"))
    counts, potentials = twin.run()
    proved = accumulator_bits(network, twin.settings, small_images()).set_index("population")
    assert {name: twin.units[name] for name in proved.index} == proved["unit"].to_dict()
    narrow_counts, narrow_potentials = twin.run(proved["bits"].to_dict(), overflow)
    assert all(np.array_equal(narrow_counts[name], counts[name]) for name in counts)
    assert all(np.array_equal(narrow_potentials[name], potentials[name]) for name in counts)
    _, too_narrow = twin.run((proved["bits"] - 4).to_dict(), overflow)
    assert not all(np.array_equal(too_narrow[name], potentials[name]) for name in counts)


def test_a_weight_that_is_one_unit_off_is_seen():
    network = brian_snn.quantise(small_network(), 4, grid=COARSE)
    result = brian_snn.simulate(network, small_images(), steps=40, backend="runtime")
    twin = Twin(network, small_images(), result.settings)
    matrix = twin.matrices["mixed", "out"]
    matrix[np.argmax(result.spike_counts["mixed"].sum(axis=0)), 0] += twin.units["out"]
    _, potentials = twin.run()
    assert not np.array_equal(potentials["out"], result.potentials["out"])

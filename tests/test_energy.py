"""The estimate of energy, against counts taken from dense matrices and sums written out."""

import numpy as np
import pytest

from brian_snn.analysis.energy import EnergyModel, energy
from brian_snn.errors import SettingError
from tests.small_network import loop_result, projection_matrix, small_images, small_network

IMAGES, STEPS, CLAMP = 3, 30, 2


@pytest.fixture(scope="module")
def result():
    return loop_result(small_network(), small_images(IMAGES), steps=STEPS, clamp=CLAMP)


@pytest.fixture(scope="module")
def counted(result):
    """Return (multiply-adds of the trained network, those of the image, spikes times fan-out per image)."""
    network, sizes = result.network, {p.name: p.size for p in result.network.populations}
    of_trained, of_image, events = 0, 0, 0
    for p in network.projections:
        ones = None if p.weights is None else np.ones_like(p.weights)
        synapses = projection_matrix(p, ones, sizes.get(p.source, 40), sizes[p.target]) != 0
        of_trained += 0 if p.weights is None else int(synapses.sum())
        if p.source is None:
            of_image += int(synapses.sum())
        else:
            events += int((result.spike_counts[p.source].reshape(IMAGES, -1) @ synapses).sum())
    return of_trained, of_image, events / IMAGES


def test_operations_are_those_of_the_matrices(result, counted):
    trained, spiking = energy(result).to_dict("records")
    of_trained, of_image, events = counted
    assert (trained["multiply_adds"], trained["additions"], trained["updates"]) == (of_trained, 0, 0)
    assert (spiking["multiply_adds"], spiking["additions"]) == (of_image, events)
    # conv, average, mixed and out, the deeper the later; the units of the pool have no membrane.
    assert spiking["updates"] == 60 * STEPS + 18 * (STEPS - 2) + 24 * (STEPS - 4) + 4 * (STEPS - 6)


def test_energies_are_the_sums_of_their_parts(result, counted):
    model = EnergyModel(3.0, 0.5, 0.25, 0.125, activation_bits=4, weight_bits=2, potential_bits=16)
    trained, spiking = energy(result, model).to_dict("records")
    of_trained, of_image, events = counted
    neurons = 60 + 18 + 18 + 24 + 4
    assert trained["accessed_bits"] == of_trained * 6 + neurons * 4
    assert trained["operations_nj"] == pytest.approx(3 * of_trained / 1000, rel=1e-14)
    assert trained["total_nj"] == pytest.approx(trained["operations_nj"] + trained["accessed_bits"] / 8000, rel=1e-14)
    accessed = of_image * 6 + events * 34 + spiking["updates"] * 32
    assert spiking["accessed_bits"] == pytest.approx(accessed, rel=1e-14)
    picojoules = 3 * of_image + events / 2 + spiking["updates"] / 4
    assert spiking["operations_nj"] == pytest.approx(picojoules / 1000, rel=1e-14)
    assert spiking["memory_nj"] == pytest.approx(accessed / 8000, rel=1e-14)
    assert spiking["total_nj"] == pytest.approx((picojoules + accessed / 8) / 1000, rel=1e-14)


def test_the_constants_are_those_of_the_source():
    model = EnergyModel()
    assert model.multiply_add == pytest.approx(0.2 + 0.1)
    assert model.addition == 0.1 and model.update == 2 * 0.1
    assert 64 * model.access_per_bit == 10


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), "much"])
def test_a_cost_that_is_none_is_named(value):
    with pytest.raises(SettingError, match="addition"):
        EnergyModel(addition=value)

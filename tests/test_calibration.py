"""Calibration against plain loops of the papers' statements, every number with ``==``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brian_snn.analysis.verdict import holds
from brian_snn.analysis.verify import verify
from brian_snn.calibration.images import shift_offset_spikes, silence_negative, with_corrections
from brian_snn.calibration.layers import CANDIDATES, calibrate_biases, calibrate_scales
from brian_snn.errors import SettingError
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.running.simulate import simulate

#: Weights are coarser, so that currents of images of 6 bits lie on the grid as well.
GRID, COARSE = 2.0**-10, 2.0**-4
SIZES = {"first": (4, 10), "second": (10, 8), "out": (8, 3)}
OPTIONS = {"v_init": 0.5, "backend": "runtime"}


def made() -> Network:
    """Return a network of two hidden layers, with weights of both signs on a grid."""
    rng = np.random.default_rng(2)
    populations, projections, source = [], [], INPUT
    for depth, (name, (n_in, n_out)) in enumerate(SIZES.items(), start=1):
        weights, bias = (np.rint(rng.normal(0, 0.5, shape) / COARSE) * COARSE for shape in ((n_in, n_out), (n_out,)))
        kind = "readout" if name == "out" else "spiking"
        populations.append(Population(name, kind, (n_out,), bias / 4, depth))
        projections.append(Projection(source, name, Geometry("dense", (n_in,), (n_out,)), weights))
        source = name
    return Network(tuple(populations), tuple(projections), (4,), 99.9, "layer", GRID)


@pytest.fixture(scope="module")
def network() -> Network:
    return made()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 2**6, (12, 4)) / 2**6


def run(network, images, steps, start=None, silent=None):
    """Step Eq. (4b) in plain loops; return spike counts and last potentials by population."""
    counts, ends = {}, {}
    weights = {p.target: p.weights for p in network.projections if p.geometry.kind == "dense"}
    for k in range(len(images)):
        v = {name: np.full(n_out, 0.5) + (0 if start is None else start[name][k]) for name, (_, n_out) in SIZES.items()}
        n = {name: np.zeros(n_out) for name, (_, n_out) in SIZES.items()}
        for _ in range(steps):
            arrives = images[k]
            for name in SIZES:
                v[name] = v[name] + arrives @ weights[name] + network[name].bias
                spikes = (v[name] >= 1) & (name != "out")
                if silent is not None and name != "out":
                    spikes &= ~silent[name][k]
                v[name], n[name], arrives = v[name] - spikes, n[name] + spikes, spikes * 1.0
        for name in SIZES:
            counts.setdefault(name, []).append(n[name])
            ends.setdefault(name, []).append(v[name])
    return tuple({name: np.array(rows) for name, rows in found.items()} for found in (counts, ends))


def trained(network, images):
    """Return the activations of the ReLU network."""
    found, values = {}, images
    for projection in network.projections:
        name = projection.target
        values = values @ projection.weights + network[name].bias
        values = values if name == "out" else np.maximum(values, 0)
        found[name] = values
    return found


def test_biases_make_up_for_the_mean_error_of_the_rates_layer_by_layer(network, images):
    expected, by_hand = trained(network, images), network
    for name in SIZES:
        counts, ends = run(by_hand, images, 8)
        rates = (ends[name] - 0.5) / 8 if name == "out" else counts[name] / 8
        shift = np.rint((expected[name] - rates).mean(axis=0) / GRID) * GRID
        assert np.any(shift)
        changed = tuple(replace(p, bias=p.bias + shift) if p.name == name else p for p in by_hand.populations)
        by_hand = replace(by_hand, populations=changed)
    calibrated = calibrate_biases(network, images, steps=8, **OPTIONS)
    for name in SIZES:
        assert np.array_equal(calibrated[name].bias, by_hand[name].bias)
    assert holds(verify(simulate(calibrated, images, steps=8, **OPTIONS)))


def test_lambda_is_the_candidate_that_loses_least(network, images):
    calibrated = calibrate_scales(network, images, 4)
    for name in ("first", "second"):
        values = trained(network, images)[name].ravel()
        losses = []
        for k in range(1, CANDIDATES + 1):
            scale = values.max() * k / CANDIDATES
            rounded = [scale / 4 * min(4, np.floor(4 * a / scale + 0.5)) for a in values if a > 0]
            losses.append(np.sum((np.array(rounded) - values[values > 0]) ** 2))
        assert calibrated[name].scale == values.max() * (np.argmin(losses) + 1) / CANDIDATES
        assert calibrated[name].scale < values.max()


def test_corrections_of_zero_change_nothing(network, images):
    corrected = with_corrections(network, ("second",))
    result = simulate(corrected, np.hstack([images, np.zeros((12, 8))]), steps=9, **OPTIONS)
    counts, ends = run(network, images, 9)
    assert all(np.array_equal(result.potentials[name], ends[name]) for name in SIZES)
    assert np.array_equal(result.spike_counts["second"], counts["second"])


def test_who_ends_below_zero_is_silent_in_the_second_stage(network, images):
    _, ends = run(network, images, 4)
    silent = {name: ends[name] < 0 for name in ("first", "second")}
    counts, _ = run(network, images, 8, silent=silent)
    result = simulate(*silence_negative(network, images, 4, **OPTIONS), steps=8, **OPTIONS)
    plain, _ = run(network, images, 8)
    for name in ("first", "second"):
        assert np.array_equal(result.spike_counts[name], counts[name])
    assert not np.array_equal(counts["second"], plain["second"])
    assert holds(verify(result))


@pytest.mark.parametrize("rounds", [1, 2])
def test_offset_spikes_are_made_up_for_by_another_start(network, images, rounds):
    start = {name: np.zeros((12, n_out)) for name, (_, n_out) in SIZES.items()}
    for name in ("first", "second"):
        for _ in range(rounds):
            counts, ends = run(network, images, 4, start)
            start[name] = start[name] + (ends[name] >= 1) - ((ends[name] < 0) & (counts[name] > 0))
    assert start["second"].min() < 0 < start["second"].max()
    counts, _ = run(network, images, 6, start)
    result = simulate(*shift_offset_spikes(network, images, 6, 4, rounds, **OPTIONS), **OPTIONS)
    for name in ("first", "second"):
        assert np.array_equal(result.spike_counts[name], counts[name])
    assert holds(verify(result))


def test_a_clamp_that_would_swallow_the_shift_is_refused(network, images):
    with pytest.raises(SettingError, match="clamp"):
        shift_offset_spikes(network, images, 4, 4, clamp=2, **OPTIONS)

"""How many bits the potential of every population needs, proved before a spike is simulated.

V is an integer in units of a power of two (`brian_snn.network.units`). What follows holds for whatever spikes come, as
long as a source spikes at most once a step, which all do. A neuron whose positive weights sum to w+ and whose negative
ones to w-, with a current between c- and c+, gains in a step

    n = w- + c-  <=  z(t)  <=  w+ + c+ = m

Counted from V(0), and with a threshold of V_thr units, let H be the largest potential with which a step can start, and
L the least. Without a spike V(t) < V_thr, that is at most V_thr - 1; with one, V(t) = u(t) - V_thr for reset by
subtraction and 0 for reset to zero. One spike a step takes V_thr, so what comes beyond that stays. After s steps

    H <= V(0) + s max(m, 0)                                                      if that does not reach V_thr
    H <= max(V(0), V_thr - 1, V(0) + m - V_thr) + (s - 1) max(m - V_thr, 0)      else, reset by subtraction
    H <= max(V(0), V_thr - 1)                                                    else, reset to zero
    L >= min(V(0) + s min(n, 0), (s - 1) min(n, 0))

since what a spike leaves is not negative. A neuron that only integrates has H = V(0) + s max(m, 0), and L alike. Then
u(t) = V(t-1) + z(t) lies between L + n and H + m, with s = T' - 1 steps before the last of its window. Where the parts
of z are added one by one, in any order, a partial sum lies between L + w- + min(c-, 0) and H + w+ + max(c+, 0).

A leak takes no more than there is, and a rest leaves V as it is, so with either m >= 0 >= n are what is counted with.
The current of images that are not known is bounded over all pixels of the range of the calibration images. Where a run
has accumulators of its own (`accumulator_bits` of the settings), the bits here are those that would suffice.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.errors import DataError, SettingError
from brian_snn.network.maps import apply_map, gather_inputs, scatter_outputs
from brian_snn.network.network import Network
from brian_snn.network.parameters import Parameters, check_range, input_currents, largest_drives, scaled_parameters
from brian_snn.network.records import INPUT, Population, Projection
from brian_snn.network.roles import crosses_threshold, window_start
from brian_snn.network.units import unit_of
from brian_snn.neurons.table import neuron_of
from brian_snn.results.result import Result
from brian_snn.settings import Settings

# The derivation covers every value of these, and of all other settings their default only.
_COVERED = (
    *("steps", "reset", "threshold", "v_init", "clamp", "dt", "projection", "max_pool", "backend", "float_type"),
    *("tau_m", "refractory", "delay", "delay_mismatch", "accumulator_bits", "overflow"),
)
# Without Poisson input, softmax and what else is not covered, these say nothing.
_IDLE = ("seed", "output_rate", "synapse", "adaptation", "tau_adaptation", "leak_mismatch")

Extremes = tuple[FloatArray, FloatArray]


def accumulator_bits(network: Network, settings: Settings, images: NDArray[np.generic] | None = None) -> pd.DataFrame:
    """Return the bits that suffice for the potential of every population, whatever spikes arrive.

    Parameters
    ----------
    network : Network
        On its grid.
    settings : Settings
        Of the simulation.
    images : (n_images, *input_shape) array, optional
        The images for which it is to hold; by default all whose pixels lie in the range of the calibration images.

    Returns
    -------
    table : DataFrame
        One row per population with a membrane: ``population``; ``unit``, the power of two that the least bit stands
        for; ``lowest`` and ``highest``, between which u(t), V(t) and 0 lie, in units; ``bits`` of a signed integer that
        holds them, which suffices where a sum that has passed the end comes back, as in two's complement; and
        ``bits_any_order``, which hold every partial sum too.

    Raises
    ------
    DataError
        If there are no images and the network knows no range of pixels.
    SettingError
        If a setting is not covered by the derivation, or if sums might not be exact.
    """
    _require_covered(settings)
    parameters = scaled_parameters(network, settings)
    currents = _image_currents(parameters, images)
    ends = {name: np.stack(extremes) for name, extremes in currents.items()}
    check_range(parameters, largest_drives(parameters), ends, settings)
    known = None if images is None else input_currents(parameters, images)
    rows = []
    for population in (p for p in network.populations if p.kind in ("spiking", "readout")):
        rounds = neuron_of(network, population, settings).rounds
        unit = unit_of(network, population, settings, rounds, None if known is None else known.get(population.name))
        gains = _gains(parameters, population, currents.get(population.name))
        row = _row(parameters, population, settings, gains, unit)
        rows.append({"population": population.name, "unit": unit} | row)
    return pd.DataFrame(rows)


def measured_bits(result: Result) -> pd.DataFrame:
    """Return `accumulator_bits` of a simulation for its images, beside the bits that its potentials took.

    Returns
    -------
    table : DataFrame
        The same with ``measured_lowest``, ``measured_highest``, ``measured_bits`` and ``measured_at``: ``V(t)``, after
        every step, where the potentials of the population were recorded, else ``V(T)``, at the end alone.

    Raises
    ------
    SettingError
        As in `accumulator_bits`.
    """
    table = accumulator_bits(result.network, result.settings, result.images[:])
    rows = []
    for name, unit in zip(table["population"], table["unit"], strict=True):
        traces = result.potential_traces.get(name)
        values = result.potentials[name][:] if traces is None else traces[:]
        lowest, highest = int(np.min(values, initial=0.0) / unit), int(np.max(values, initial=0.0) / unit)
        bits, at = signed_bits(lowest, highest), "V(T)" if traces is None else "V(t)"
        rows.append({"measured_lowest": lowest, "measured_highest": highest, "measured_bits": bits, "measured_at": at})
    return table.join(pd.DataFrame(rows))


def signed_bits(lowest: int, highest: int) -> int:
    """Return the bits of the shortest signed integer, in two's complement, that holds all from lowest to highest."""
    return 1 + max(max(highest, 0).bit_length(), max(-lowest - 1, 0).bit_length())


@dataclass(frozen=True, eq=False)
class _Gains:
    """What each neuron of a population may gain in a step: sums of its weights, and its current, (size,) arrays."""

    excite: FloatArray
    inhibit: FloatArray
    least: FloatArray
    most: FloatArray


def _row(
    parameters: Parameters, population: Population, settings: Settings, gains: _Gains, unit: float
) -> dict[str, int]:
    """Return limits and bits of a population; all numbers are integers, exact in float64 by `check_range`."""
    steps = settings.steps - window_start(population, settings)
    fires = crosses_threshold(population, settings)
    threshold = parameters.of(population.name).threshold / unit if fires else math.inf
    v_init = parameters.of(population.name).v_init / unit
    if not steps:
        ends = {"lowest": int(min(v_init, 0)), "highest": int(max(v_init, 0))}
        bits = signed_bits(*ends.values())
        return {**ends, "bits": bits, "bits_any_order": bits}
    gain, loss = (gains.excite + gains.most) / unit, (gains.inhibit + gains.least) / unit
    start_high, start_low = v_init, v_init
    if population.leak or math.isfinite(settings.tau_m) or settings.refractory_steps:
        gain, loss = np.maximum(gain, 0.0), np.minimum(loss, 0.0)
        start_high, start_low = max(v_init, 0.0), min(v_init, 0.0)
    high = _highest_start(start_high, gain, threshold, steps - 1, settings.reset)
    low = _lowest_start(start_low, loss, fires, steps - 1)
    lowest, highest = int(min((low + loss).min(), v_init, 0)), int(max((high + gain).max(), v_init, 0))
    below = low + (gains.inhibit + np.minimum(gains.least, 0.0)) / unit
    above = high + (gains.excite + np.maximum(gains.most, 0.0)) / unit
    partial = signed_bits(int(min(below.min(), lowest)), int(max(above.max(), highest)))
    bits = signed_bits(lowest, highest)
    return {"lowest": lowest, "highest": highest, "bits": bits, "bits_any_order": partial}


def _highest_start(v_init: float, gain: FloatArray, threshold: float, steps: int, reset: str) -> FloatArray:
    """Return the largest potential after up to so many steps, H."""
    climbed = v_init + steps * np.maximum(gain, 0.0)
    if not steps or math.isinf(threshold):
        return climbed
    after_one = np.maximum(v_init, threshold - 1)
    if reset == "subtraction":
        after_one = np.maximum(after_one, v_init + gain - threshold)
        after_one = after_one + (steps - 1) * np.maximum(gain - threshold, 0.0)
    return np.where(climbed < threshold, climbed, after_one)


def _lowest_start(v_init: float, loss: FloatArray, fires: bool, steps: int) -> FloatArray:
    """Return the least potential after up to so many steps, L."""
    fallen = v_init + steps * np.minimum(loss, 0.0)
    return np.minimum(fallen, (steps - 1) * np.minimum(loss, 0.0)) if fires and steps else fallen


# --- what a step brings ---------------------------------------------------------------------------------------------


def _gains(parameters: Parameters, population: Population, current: Extremes | None) -> _Gains:
    """Return the sums of positive and of negative weights of each neuron, and its current."""
    network, size = parameters.network, population.size
    excite, inhibit = (
        _summed(network, population, sign, [p for p in network.into(population.name) if p.source is not INPUT], 1.0)
        for sign in (1, -1)
    )
    bias = network[population.name].bias.reshape(size)
    least, most = (bias, bias) if current is None else current
    return _Gains(excite, inhibit, least, most)


def _summed(
    network: Network, population: Population, sign: int, projections: list[Projection], value: float
) -> FloatArray:
    """Return the sum of the positive or of the negative weights of each neuron, times a value, (size,)."""
    totals = np.zeros((1, population.size))
    for p in projections:
        assert p.weights is not None, "only max pooling has no weights"
        n_source = math.prod(network.input_shape) if p.source is INPUT else network[p.source].size
        part = sign * np.maximum(sign * p.weights, 0.0)
        scatter_outputs(p, apply_map(p.geometry, part, gather_inputs(p, np.full((1, n_source), value))), totals)
    return totals[0]


def _image_currents(parameters: Parameters, images: NDArray[np.generic] | None) -> dict[str, Extremes]:
    """Return the least and the largest current of each neuron that the image reaches."""
    network = parameters.network
    if images is not None and not len(images):
        raise DataError("there are no images; give one or more, or none for all that there may be.")
    if images is not None:
        known = {name: c.reshape(len(c), -1) for name, c in input_currents(parameters, images).items()}
        return {name: (current.min(axis=0), current.max(axis=0)) for name, current in known.items()}
    names = dict.fromkeys(projection.target for projection in network.out_of(INPUT))
    if names and network.calibration_range is None:
        raise DataError("the network does not say what range pixels have; give the images.")
    return {name: _over_pixels(network, network[name]) for name in names}


def _over_pixels(network: Network, population: Population) -> Extremes:
    """Return the least and the largest current over all images with pixels in the range."""
    assert network.calibration_range is not None, "checked by the caller"
    low, high = network.calibration_range
    projections = [p for p in network.into(population.name) if p.source is INPUT]
    bias, grid = population.bias.reshape(-1), network.grid
    ends = [(sign, pixel) for sign in (1, -1) for pixel in (low, high)]
    sums = {end: _summed(network, population, end[0], projections, end[1]) for end in ends}
    fan_in = 8 + sum(p.geometry.n_in for p in projections)
    slack = fan_in * 2.0**-52 * (sum(np.abs(part) for part in sums.values()) + np.abs(bias))
    least = np.floor((sums[1, low] + sums[-1, high] + bias - slack) / grid) * grid
    return least, np.ceil((sums[1, high] + sums[-1, low] + bias + slack) / grid) * grid


def _require_covered(settings: Settings) -> None:
    """Raise if a simulation with these settings may do what the derivation does not allow for."""
    for field in dataclasses.fields(settings):
        value, default = getattr(settings, field.name), getattr(Settings(), field.name)
        covered = value != "softmax" if field.name == "readout" else field.name in (*_COVERED, *_IDLE)
        if not covered and value != default:
            raise SettingError(f"bits are not proved for {field.name} {value!r}; only for {default!r}.")

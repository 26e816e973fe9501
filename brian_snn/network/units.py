"""The unit of a potential: the largest power of two of which all that is added to it is a multiple."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.network.parameters import Parameters
from brian_snn.network.records import INPUT, Population
from brian_snn.network.roles import crosses_threshold
from brian_snn.settings import Settings

# Numbers that are looked at together, so that no copy of a large kernel is made.
_CHUNK = 2**20


def least_bit(arrays: Iterable[FloatArray | float]) -> float:
    """Return the largest power of two of which all numbers are multiples; infinity if all are 0."""
    exponents = [_exponent(part) for values in arrays for part in _parts(np.asarray(values, np.float64).reshape(-1))]
    lowest = min(exponents, default=math.inf)
    return math.inf if math.isinf(lowest) else math.ldexp(1.0, int(lowest))


def _parts(flat: FloatArray) -> Iterable[FloatArray]:
    return (flat[start : start + _CHUNK] for start in range(0, len(flat), _CHUNK))


def _exponent(flat: FloatArray) -> float:
    """Return the exponent of the least bit that is set in any of some numbers."""
    mantissas, exponents = np.frexp(flat[flat != 0])
    if not len(mantissas):
        return math.inf
    whole = np.ldexp(np.abs(mantissas), 53).astype(np.int64)
    # Of a power of two frexp gives the exponent above it.
    return float((np.frexp((whole & -whole).astype(np.float64))[1] - 1 + exponents - 53).min())


def unit_of(
    parameters: Parameters, population: Population, settings: Settings, current: FloatArray | None = None
) -> float:
    """Return the unit in which the potential of a population is an integer.

    Everything is a multiple of it: the weights of all spikes that it hears, its current, V(0), and its threshold if it
    has one. The current of images that are not known is a multiple of the grid, and so is a leak.

    Parameters
    ----------
    parameters : Parameters
        Scaled by the threshold.
    population : Population
        With a membrane.
    settings : Settings
    current : float array, optional
        Of a population that sees the image, for the images at hand.
    """
    grid, name = parameters.network.grid, population.name
    arriving = parameters.network.into(name)
    sees_image = any(p.source is INPUT for p in arriving)
    may_leak = population.leak > 0 or (crosses_threshold(population, settings) and math.isfinite(settings.tau_m))
    if may_leak or (sees_image and current is None):
        return grid
    own = parameters.network[name].bias if current is None else current
    parts: list[FloatArray | float] = [own, parameters.v_init]
    parts += [p.weights for p in arriving if p.source is not INPUT and p.weights is not None]
    if crosses_threshold(population, settings):
        parts.append(parameters.of(name).threshold)
    unit = least_bit(parts)
    return 1.0 if math.isinf(unit) else unit

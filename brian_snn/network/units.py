"""The unit of a potential: the largest power of two of which all that is added to it is a multiple."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.network.grid import on_grid
from brian_snn.network.network import Network
from brian_snn.network.parameters import own_threshold, own_v_init
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
    network: Network, population: Population, settings: Settings, rounds: bool, current: FloatArray | None = None
) -> float:
    """Return the unit in which the potential of a population is an integer.

    Everything is a multiple of it, as simulated: the weights of all spikes that it hears, its current, V(0), and its
    threshold if it has one. The current of images that are not known is a multiple of the grid, and so is what is
    rounded to it in each step: a leak, a synaptic current, adaptation, mismatch and noise.

    Parameters
    ----------
    network : Network
        As converted, on its grid.
    population : Population
        With a membrane.
    settings : Settings
    rounds : bool
        Whether its neurons add something that is rounded (`brian_snn.neurons.record.Neuron.rounds`).
    current : float array, optional
        Of a population that sees the image, for the images at hand.
    """
    grid, arriving = network.grid, network.into(population.name)
    sees_image = any(p.source is INPUT for p in arriving)
    if (sees_image and current is None) or rounds:
        return grid
    threshold = on_grid(settings.threshold, grid)
    v_init = own_v_init(settings.threshold, settings.v_init, population, grid)
    parts = [on_grid(threshold * population.bias, grid) if current is None else current, np.array(v_init)]
    weights = (p.weights for p in arriving if p.source is not INPUT and p.weights is not None)
    parts += [values if threshold == 1 else on_grid(threshold * values, grid) for values in weights]
    if crosses_threshold(population, settings):
        parts.append(np.array(own_threshold(settings.threshold, population, grid)))
    unit = least_bit(parts)
    return 1.0 if math.isinf(unit) else unit


@dataclass(frozen=True)
class Limits:
    """The ends of a potential of some bits: -2**(bits - 1) and 2**(bits - 1) - 1 units."""

    unit: float
    bits: int

    @property
    def lowest(self) -> float:
        """The lower end."""
        return -self.unit * 2.0 ** (self.bits - 1)

    @property
    def highest(self) -> float:
        """The upper end."""
        return self.unit * (2.0 ** (self.bits - 1) - 1)

    @property
    def span(self) -> float:
        """What wrapping takes once, 2**bits units."""
        return self.unit * 2.0**self.bits


def limits_of(network: Network, population: Population, settings: Settings, rounds: bool) -> Limits:
    """Return the ends of V of a population, whatever the images, with ``settings.accumulator_bits``."""
    return Limits(unit_of(network, population, settings, rounds), settings.accumulator_bits)

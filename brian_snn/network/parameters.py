"""The numbers that a simulation runs on: weights, biases and currents for one threshold, on the network's grid.

A threshold other than 1 scales every weight, bias and current (z = V_thr a), so that the rates stay those of the ANN.
All of them are rounded to the grid, after which every sum in the simulation is exact in float64 as long as no
potential passes 2**29; `check_range` proves that before the first step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.errors import ModelError, SettingError
from brian_snn.network import forward
from brian_snn.network.grid import on_grid
from brian_snn.network.maps import apply_map
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Population, Projection
from brian_snn.network.roles import float_type
from brian_snn.settings import Settings


@dataclass(frozen=True, eq=False)
class Parameters:
    """Everything numeric that a simulation needs besides the images, scaled by the threshold and on the grid.

    Parameters
    ----------
    network : Network
        The network with weights and biases as charges and currents: times V_thr.
    threshold, v_init : float
        V_thr and V(0); of a population that has its own, see `of`.
    """

    network: Network
    threshold: float
    v_init: float

    @cached_property
    def heaviest_row(self) -> tuple[str, float]:
        """What the currents of any images need to know of the weights (`brian_snn.network.forward.heaviest_row`)."""
        return forward.heaviest_row(self.network)

    def of(self, name: str) -> Parameters:
        """Return the parameters with V_thr and V(0) of a population."""
        population, grid = self.network[name], self.network.grid
        threshold = own_threshold(self.threshold, population, grid)
        return replace(self, threshold=threshold, v_init=own_v_init(self.threshold, self.v_init, population, grid))


def own_threshold(threshold: float, population: Population, grid: float) -> float:
    """Return V_thr of a population: that of the settings, on the grid, times its own, and that on the grid."""
    return float(on_grid(on_grid(threshold, grid) * population.threshold, grid))


def own_v_init(threshold: float, v_init: float, population: Population, grid: float) -> float:
    """Return V(0) of a population: its own in V_thr of the settings, or else theirs; on the grid."""
    if population.v_init is None:
        return float(on_grid(v_init, grid))
    return float(on_grid(on_grid(threshold, grid) * population.v_init, grid))


def scaled_parameters(network: Network, settings: Settings) -> Parameters:
    """Scale weights and biases by the threshold and round everything to the network's grid.

    Raises
    ------
    ModelError
        If the network is on no grid.
    SettingError
        If the threshold is so small that it rounds to zero, or if it, V(0) or a weight or bias times the threshold is
        so large that float64 does not hold it on the grid; names the population.
    """
    grid = network.grid
    if grid == 0:
        raise ModelError(
            "the network's weights are on no grid (grid is 0), so sums would not be exact; make it with "
            "brian_snn.convert, or call brian_snn.conversion.normalise.round_to_grid(network, 2**-24)."
        )
    threshold, v_init = float(on_grid(settings.threshold, grid)), float(on_grid(settings.v_init, grid))
    if not threshold > 0:
        raise SettingError(f"threshold is {settings.threshold!r}; it must be at least the grid, {grid!r}.")
    for name, value in (("threshold", threshold), ("v_init", v_init)):
        if not math.isfinite(value):
            raise SettingError(
                f"{name} is {getattr(settings, name)!r}; float64 holds none so large on a grid of {grid!r}."
            )

    def scaled(values: FloatArray, name: str) -> FloatArray:
        with np.errstate(over="ignore", invalid="ignore"):
            product = on_grid(threshold * values, grid)
        if not np.isfinite(product).all():
            raise SettingError(
                f"population {name!r}: its weights or biases, up to {np.abs(values).max():.3g}, times the threshold, "
                f"{threshold!r}, are more than float64 holds on a grid of {grid!r}; check both."
            )
        # With a threshold of 1 they are what they were, and need not be there twice.
        return values if np.array_equal(product, values) else product

    populations = tuple(replace(p, bias=scaled(p.bias, p.name)) for p in network.populations)
    projections = tuple(
        p if p.weights is None else replace(p, weights=scaled(p.weights, p.target)) for p in network.projections
    )
    return Parameters(replace(network, populations=populations, projections=projections), threshold, v_init)


def input_currents(parameters: Parameters, images: NDArray[np.generic]) -> dict[str, FloatArray]:
    """Return z of the populations that see the image: V_thr (W x + b), rounded to the grid.

    Parameters
    ----------
    images : (n_images, *input_shape) array

    Returns
    -------
    currents : dict of (n_images, *shape) float array
        One entry per population with a projection from the image; its bias is included.
    """
    currents = forward.input_currents(parameters.network, images, parameters.heaviest_row)
    return {name: on_grid(current, parameters.network.grid) for name, current in currents.items()}


def largest_drives(parameters: Parameters) -> dict[str, float]:
    """Return the largest charge that spikes can bring to a neuron of each population in a step.

    The worst case: every source spikes, and all of it has the same sign.
    """
    drives = dict.fromkeys((population.name for population in parameters.network.populations), 0.0)
    for projection in parameters.network.projections:
        if projection.source != INPUT and projection.weights is not None:
            drives[projection.target] += largest_drive(projection, projection.weights)
    return drives


def check_range(
    parameters: Parameters,
    drives: dict[str, float],
    currents: dict[str, FloatArray],
    settings: Settings,
    reversals: Mapping[str, float] | None = None,
) -> None:
    """Prove that no potential and no sum of charges can leave the range in which its type is exact.

    The bound holds for what leaks away or is missed too: a leak takes no more than there is, and a spike leaves no more
    than there was.

    Parameters
    ----------
    drives : dict of str to float
        From `largest_drives`.
    currents : dict of str to (n_images, *shape) float array
        From `input_currents`.
    reversals : mapping of str to float
        Of populations with conductances, the size of the reversal potential that lies further from rest. In a step
        excitation and inhibition each bring at most what carries V to their own.

    Raises
    ------
    SettingError
        Naming the population whose charge could pass the limit.
    """
    bounds, grid = {}, parameters.network.grid
    for population in parameters.network.populations:
        current = np.abs(currents.get(population.name, population.bias)).max(initial=0.0)
        with np.errstate(over="ignore"):
            own = parameters.of(population.name)
            start = abs(own.v_init)
            bounds[population] = start + settings.steps * (drives[population.name] + float(current))
            if reversals and population.name in reversals:
                end = reversals[population.name]
                # V is at most this, and what one kind of synapses brings in a step at most that much more than `end`.
                potential = bounds[population] + settings.steps * end
                bounds[population] += 2 * settings.steps * (end + potential)
    # The first without a bound, if there is one: of NaN no comparison says that it is the largest.
    limits = {population: exact_limit(population, settings, grid) for population in bounds}
    worst = max(bounds, key=lambda p: bounds[p] / limits[p] if math.isfinite(bounds[p]) else math.inf)
    limit = limits[worst]
    if not bounds[worst] < limit:
        kind = float_type(worst, settings)
        raise SettingError(
            f"population {worst.name!r} could gather a charge of {bounds[worst]:.3g} in {settings.steps} steps; sums "
            f"in {kind} are exact below {limit:.3g} only. {_advice(kind, bounds[worst])}"
        )


def exact_limit(population: Population, settings: Settings, grid: float) -> float:
    """Return where sums of grid multiples end to be exact: 53 bits, 2**29 on the default grid, or 24, which is 1."""
    return grid * 2.0 ** (np.finfo(float_type(population, settings)).nmant + 1)


def _advice(kind: str, bound: float) -> str:
    """Return what to do about a charge that could pass the limit."""
    if kind == "float64" or not math.isfinite(bound):
        return "Simulate fewer steps or check the weights."
    exponent = math.floor(math.log2(bound)) + 1 - (np.finfo(kind).nmant + 1)
    return f"Convert with a grid of 2**{exponent} or coarser, simulate fewer steps, or use float64."


def largest_drive(projection: Projection, weights: FloatArray) -> float:
    """Return the largest charge that one neuron can receive in a step: the row sums of |W|."""
    ones = np.ones((1, *projection.geometry.input_shape))
    with np.errstate(over="ignore"):
        return float(apply_map(projection.geometry, np.abs(weights), ones).max(initial=0.0))

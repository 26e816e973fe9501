"""A converted network with other numbers for the neurons of one population: lambda, threshold, leak, V(0), clamp."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from brian_snn.checks import real_number, whole_number
from brian_snn.conversion.normalise import Scale, inherited_scale, require_finite, rescaled, round_to_grid
from brian_snn.errors import SettingError
from brian_snn.escaping import shown
from brian_snn.network.grid import on_grid
from brian_snn.network.network import Network
from brian_snn.network.records import Population
from brian_snn.randomness import Purpose, normal, numbered, stream_keys


def adjust(
    network: Network,
    name: str,
    *,
    scale: ArrayLike | None = None,
    threshold: float | None = None,
    leak: float | None = None,
    v_init: float | None = None,
    clamp: int | None = None,
    weight_mismatch: float = 0.0,
    seed: int = 0,
) -> Network:
    """Return a network in which one population has numbers of its own; what is None stays as it is.

    Parameters
    ----------
    network : Network
        From `brian_snn.convert` or `brian_snn.load_network`.
    name : str
        A population.
    scale : float or (channels,) float array
        lambda, the activation that corresponds to one spike per step. Weights and bias, and the weights of what it
        reaches, are scaled so that the network computes what it did, and rounded to the grid again.
    threshold : float
        In V_thr of the settings. The weights stay, so a higher one makes the neurons spike less; a threshold for each
        channel that leaves the function as it is is a `scale` for each.
    leak : float
        1 - beta, the part of V that is lost in a step: 1 - exp(-dt / tau_m); 0 for that of the settings.
    v_init : float
        V(0), in V_thr of the settings.
    clamp : int
        Steps for which it is held at V(0).
    weight_mismatch : float
        Standard deviation of the weights of the synapses that end here, over the weight: each is multiplied by 1 plus
        a normal number of that deviation and rounded to the grid. It is drawn for each weight that is stored: of a
        dense map for each synapse, of a kernel for all the positions that share it.
    seed : int
        From which they are drawn; with it the name of the population and the place of the projection decide.

    Returns
    -------
    network : Network

    Raises
    ------
    SettingError
        If there is no such population, or it has none of what is to be changed: max pooling takes the scale of its
        sources, an output has none.
    ModelError
        If a number is outside its range; names the population.
    """
    if name not in {population.name for population in network.populations}:
        known = ", ".join(shown(population.name) for population in network.populations)
        raise SettingError(f"there is no population {name!r:.200}; there are {known}.")
    if scale is not None:
        network = _with_scale(network, network[name], scale)
    numbers = {"threshold": threshold, "leak": leak, "v_init": v_init, "clamp": clamp}
    if weight_mismatch:
        network = _with_mismatch(network, name, weight_mismatch, seed)
    own = {field: value for field, value in numbers.items() if value is not None}
    if own and not network.grid:
        raise SettingError("the network is on no grid yet; adjust what brian_snn.convert returns.")
    populations = tuple(
        replace(p, **own) if p.name == name else p  # type: ignore[arg-type]
        for p in network.populations
    )
    return replace(network, populations=populations)


def _with_scale(network: Network, population: Population, scale: ArrayLike) -> Network:
    """Return the network with another lambda of a population, and of the max pooling behind it."""
    if population.kind != "spiking":
        why = "takes the scale of its sources" if population.kind == "max_pool" else "has no scale"
        raise SettingError(f"{population.label} is of kind {population.kind}, which {why}; adjust another population.")
    if not network.grid:
        raise SettingError("the network is on no grid yet; adjust what brian_snn.convert returns.")
    wanted = np.asarray(scale, np.float64)
    if wanted.shape not in ((), population.shape[-1:]) or not np.all(np.isfinite(wanted) & (wanted > 0)):
        raise SettingError(f"scale of {population.label}: one positive number, or one a channel, was expected.")
    if population.ceiling is not None and np.any(wanted > population.ceiling):
        raise SettingError(
            f"scale of {population.label}: {wanted.max():g} is above the ceiling of its activation, "
            f"{population.ceiling:g}; a spike in every step must not stand for more."
        )
    ratios: dict[str, Scale] = {}
    for other in network.populations:
        if other.name == population.name:
            ratio = wanted / np.asarray(population.scale)
            ratios[other.name] = ratio if ratio.ndim else float(ratio)
        elif other.kind == "max_pool":
            ratios[other.name] = inherited_scale(network, other, ratios)
        else:
            ratios[other.name] = 1.0
    changed = rescaled(replace(network, grid=0.0), ratios)
    require_finite(changed, f"with that scale of {population.label}")
    return round_to_grid(changed, network.grid)


def _with_mismatch(network: Network, name: str, mismatch: float, seed: int) -> Network:
    """Return the network with weights onto a population that differ from what they should be."""
    mismatch, seed = real_number("weight_mismatch", mismatch), whole_number("seed", seed, 0)
    if not 0 < mismatch < math.inf:
        raise SettingError(f"weight_mismatch is {mismatch!r}; it must be a finite number of at least 0.")
    if not network.grid:
        raise SettingError("the network is on no grid yet; adjust what brian_snn.convert returns.")
    number = numbered(name)
    projections = list(network.projections)
    for k, projection in enumerate(projections):
        if projection.target == name and projection.weights is not None:
            (key,) = stream_keys(seed, Purpose.WEIGHTS, range(number, number + 1), k)
            factors = 1 + mismatch * normal(key, projection.weights.size).reshape(projection.weights.shape)
            projections[k] = replace(projection, weights=on_grid(projection.weights * factors, network.grid))
    changed = replace(network, projections=tuple(projections))
    require_finite(changed, f"with that mismatch onto {shown(name)}")
    return changed

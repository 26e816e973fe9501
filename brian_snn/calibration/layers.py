"""Calibrate a converted network for few steps, layer by layer: lambda by the rounding it leaves, biases by the rates.

Both are of Li et al., ICML 2021 ("A free lunch from ANN: towards efficient, accurate spiking neural networks
calibration"). A shift of all biases by V_thr / 2T, as Deng and Gu (ICLR 2021, "Optimal conversion of conventional
artificial neural networks to spiking neural networks") have it, is V(0) = V_thr / 2: set `v_init`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.analysis.measured import Measured
from brian_snn.arrays import FloatArray
from brian_snn.checks import whole_number
from brian_snn.conversion.adjusting import adjust
from brian_snn.network.forward import forward, nearest_level
from brian_snn.network.grid import on_grid
from brian_snn.network.network import Network
from brian_snn.running.simulate import simulate

#: Parts of the largest activation of a population among which lambda is looked for.
CANDIDATES = 100


def calibrate_scales(network: Network, images: NDArray[np.generic], steps: int) -> Network:
    """Return a network in which lambda of each population loses least when its activations are rounded.

    Of `CANDIDATES` parts of the largest activation, lambda is that with the smallest sum of

        (lambda / T min(T, floor(T a / lambda + 1/2)) - a)^2,       a > 0

    the square of what rates of T steps with V(0) = V_thr / 2 get wrong under constant input: clipping and rounding.

    Parameters
    ----------
    network : Network
        From `brian_snn.convert`, with one lambda a population.
    images : (n_images, *input_shape) array
        Calibration images.
    steps : int
        T.

    Returns
    -------
    network : Network
        It computes what it did, in other units. Populations with levels keep the lambda that was trained, averages
        theirs.
    """
    steps = whole_number("steps", steps, 1)
    found: dict[str, float] = {}
    for name, activations in forward(network, images).items():
        population = network[name]
        weighted = any(p.geometry.kind != "average_pool" for p in network.into(name))
        if population.kind == "spiking" and population.levels is None and weighted and activations.max() > 0:
            found[name] = float(np.mean(population.scale)) * _best_scale(activations[activations > 0], steps)
            if population.ceiling is not None:
                found[name] = min(float(found[name]), population.ceiling)
    for name, scale in found.items():
        network = adjust(network, name, scale=scale)
    return network


def _best_scale(activations: FloatArray, steps: int) -> float:
    """Return the candidate with the least squared error."""
    candidates = [float(activations.max() * k / CANDIDATES) for k in range(1, CANDIDATES + 1)]

    def lost(scale: float) -> float:
        return float(np.sum((scale * nearest_level(np.minimum(activations / scale, 1.0), steps) - activations) ** 2))

    return min(candidates, key=lost)


def calibrate_biases(network: Network, images: NDArray[np.generic], **options: Any) -> Network:
    """Return a network whose mean rates are those of the trained network, by shifted biases.

    Population by population, from the image on, the mean over images and positions of what the rate lacks of the
    activation, a / lambda - r / r_max, is added to the bias of each channel; those before are shifted already. It
    is rounded to the grid. What a shift brings is not simulated again, as in the paper: where a neuron is silent, or
    spikes in every step, less comes of it.

    Parameters
    ----------
    network : Network
        From `brian_snn.convert`.
    images : (n_images, *input_shape) array
        Calibration images.
    **options
        Of `brian_snn.simulate`, the steps and V(0) for which the biases are to serve among them.

    Returns
    -------
    network : Network
    """
    expected = forward(network, images)
    for name in [p.name for p in network.populations if p.kind in ("spiking", "readout")]:
        result = simulate(network, images, **options)
        rates = Measured(result, {}).rate(name, slice(None)).reshape(expected[name].shape)
        lacks = expected[name] - rates
        shift = on_grid(lacks.mean(axis=tuple(range(lacks.ndim - 1))), network.grid)
        populations = tuple(replace(p, bias=p.bias + shift) if p.name == name else p for p in network.populations)
        network = replace(network, populations=populations)
    return network

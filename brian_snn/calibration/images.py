"""Correct neurons for every image by what a first run of it left in their membranes.

What differs from image to image is input. So the corrections enter as such: `with_corrections` gives the network an
input more for each neuron, which adds to what the neuron integrates. A large negative one in all steps keeps it silent;
one in the first step alone shifts V(0). Nothing else changes, so such runs are verified as all others are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.checks import whole_number
from brian_snn.errors import SettingError
from brian_snn.network.network import Network
from brian_snn.network.parameters import input_currents, largest_drives, scaled_parameters
from brian_snn.network.records import INPUT, Geometry, Projection
from brian_snn.running.simulate import simulate
from brian_snn.settings import Settings


def with_corrections(network: Network, names: Iterable[str]) -> Network:
    """Return the network with inputs more, behind those that it has: one for each neuron of some populations.

    Parameters
    ----------
    network : Network
        From `brian_snn.convert`.
    names : iterable of str
        Spiking populations.

    Returns
    -------
    network : Network
        It takes vectors: the image, flat, then a number for each neuron of these populations, in their order, which in
        each step is added to what it integrates, in thresholds. Zeros change nothing.
    """
    inputs = list(network.inputs or [("image", network.input_shape)])
    start, projections = math.prod(network.input_shape), []
    for name in names:
        shape, size = network[name].shape, network[name].size
        index = np.arange(start, start + size, dtype=np.int32)
        projections.append(Projection(INPUT, name, Geometry("identity", shape, shape), np.ones(shape), index))
        inputs.append((f"correction of {name}", shape))
        start += size
    return replace(
        network,
        input_shape=(start,),
        inputs=tuple(inputs),
        projections=(*network.projections, *projections),
        calibration_range=None,
    )


def silence_negative(
    network: Network, images: NDArray[np.generic], first_steps: int, **options: Any
) -> tuple[Network, FloatArray]:
    """Return a network and images for the second of two stages, in which neurons stay silent that ended below zero.

    A neuron whose input is negative on balance ought not to spike, and does if what excites it comes first. If so its
    potential is negative in the end. So the neurons with V < 0 after a first stage are silent in a second one, which
    starts from V(0) again (Hao et al., AAAI 2023, "Reducing ANN-SNN conversion error through residual membrane
    potential").

    Parameters
    ----------
    network : Network
    images : (n_images, *input_shape) array
    first_steps : int
        Length of the first stage.
    **options
        Of `brian_snn.simulate`, but for the steps: V(0) = V_thr / 2 in the paper.

    Returns
    -------
    network, images
        To be given to `brian_snn.simulate` with the same options. The steps of both stages are what an answer takes.
    """
    names = _hidden(network)
    result = simulate(network, images, steps=whole_number("first_steps", first_steps, 1), **options)
    strongest = _strongest(network, images, result.settings)
    rows = [-strongest[name] * (result.potentials[name] < 0) for name in names]
    return with_corrections(network, names), np.concatenate([_flat(part) for part in (images, *rows)], axis=1)


def shift_offset_spikes(
    network: Network, images: NDArray[np.generic], steps: int, first_steps: int, rounds: int = 1, **options: Any
) -> tuple[Network, FloatArray]:
    """Return a network and frames in which V(0) of each neuron makes up for a spike too many or too few.

    Layer by layer, those before corrected, a first run of each image shows where the potential ends: below 0 a
    neuron that spiked has done so too often, and at V_thr or above too seldom. Its V(0) is lowered or raised by V_thr
    (Hao et al., ICLR 2023, "Bridging the gap between ANNs and SNNs by calibrating offset spikes").

    Parameters
    ----------
    network : Network
    images : (n_images, *input_shape) array
    steps : int
        Of the run to come.
    first_steps : int
        Of the runs that show the potentials; one for each layer and round.
    rounds : int
        How often a layer is shifted.
    **options
        Of `brian_snn.simulate`, but for the steps: V(0) = V_thr / 2 in the paper.

    Returns
    -------
    network, frames
        To be given to `brian_snn.simulate` with the same options. The shift is charge in the first step.
    """
    names, first_steps = _hidden(network), whole_number("first_steps", first_steps, 1)
    corrected = with_corrections(network, names)
    shifts = {name: np.zeros((len(images), *network[name].shape)) for name in names}
    for name in names:
        for _ in range(whole_number("rounds", rounds, 1)):
            result = simulate(corrected, _frames(images, shifts.values(), first_steps), **options)
            if result.settings.clamp:
                raise SettingError("clamp: what comes in the first step does not shift V(0) of clamped neurons; set 0.")
            ends, own = result.potentials[name], network[name].threshold
            too_few = ends >= result.settings.threshold * own
            too_many = (ends < 0) & (result.spike_counts[name] > 0)
            shifts[name] += own * (too_few.astype(np.float64) - too_many)
    return corrected, _frames(images, shifts.values(), whole_number("steps", steps, 1))


def _hidden(network: Network) -> list[str]:
    """Return the populations that spike."""
    names = [population.name for population in network.populations if population.kind == "spiking"]
    if not names:
        raise SettingError("the network has no population that spikes, so there is nothing to correct.")
    return names


def _strongest(network: Network, images: NDArray[np.generic], settings: Settings) -> dict[str, float]:
    """Return, for each population, a power of two of more thresholds than its neurons can gather in a step."""
    parameters = scaled_parameters(network, settings)
    drives, currents = largest_drives(parameters), input_currents(parameters, images)
    constant = {p.name: currents.get(p.name, p.bias) for p in parameters.network.populations}
    bounds = {name: settings.burst * drive + float(np.abs(constant[name]).max()) for name, drive in drives.items()}
    unit = parameters.threshold
    return {name: 2.0 ** (math.floor(math.log2(bound / unit)) + 1) if bound else 1.0 for name, bound in bounds.items()}


def _flat(values: NDArray[np.generic]) -> FloatArray:
    return np.asarray(values, np.float64).reshape(len(values), -1)


def _frames(images: NDArray[np.generic], shifts: Iterable[FloatArray], steps: int) -> FloatArray:
    """Return frames of the images, (n_images, steps, inputs), with corrections in the first of them."""
    first = np.concatenate([_flat(part) for part in (images, *shifts)], axis=1)
    frames = np.repeat(first[:, None], steps, axis=1)
    frames[:, 1:, math.prod(images.shape[1:]) :] = 0.0
    return frames

"""From what a framework computes to the activations of populations: what all front ends do alike."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.frontends.table import projection_map
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, LayerPath, Population


def population_activations(
    network: Network, outputs: Mapping[tuple[LayerPath, ...], FloatArray], images: FloatArray
) -> dict[str, FloatArray]:
    """Return the activation of every population.

    Parameters
    ----------
    network : Network
        Folded.
    outputs : dict of (n_images, ...) float array
        What the framework computes, for the reference of every population that has one.
    images : (n_images, *input_shape) float array

    Returns
    -------
    activations : dict of (n_images, *shape) float array
        By population name, in the units of the model: after the ReLU, for the readout before its activation.
    """
    activations: dict[str, FloatArray] = {}
    for population in network.populations:
        if population.reference:
            values = outputs[population.reference].reshape(-1, *population.shape)
            activations[population.name] = _activation(network, population, values)
        else:
            activations[population.name] = _derived(network, population, activations, images)
    return activations


def _activation(network: Network, population: Population, values: FloatArray) -> FloatArray:
    """Apply the ReLU and the ceiling of a population."""
    if population.kind == "readout":
        return values
    ceilings = [population.ceiling]
    if population.kind == "max_pool":
        # A model may pool first and rectify then; what is pooled here has the ceiling already.
        ceilings = [network[projection.sender].ceiling for projection in network.into(population.name)]
    known = [ceiling for ceiling in ceilings if ceiling is not None]
    ceiling = max(known) if known and len(known) == len(ceilings) else None
    values = np.clip(values, 0.0, ceiling)
    # The shortest statement of QCFS, apart from that of `brian_snn.network.forward`.
    n = population.levels
    return values if n is None or ceiling is None else np.floor(values * (n / ceiling) + 0.5) * (ceiling / n)


def _derived(
    network: Network, population: Population, activations: Mapping[str, FloatArray], images: FloatArray
) -> FloatArray:
    """Return what a population makes of its sources' own activations, where no layer of the model yields it alone.

    Such are pools of spikes behind a batch norm, and the negative part of a value.
    """
    # In the network's units, in which its weights are.
    total = np.zeros((len(images), population.size))
    for projection in network.into(population.name):
        source = projection.source
        activity = images if source is INPUT else activations[source] / network[source].scale
        values = projection_map(projection, population.size)(activity)
        total = np.maximum(total, values) if population.kind == "max_pool" else total + values
    total = total.reshape(-1, *population.shape) + population.bias
    return np.asarray(np.maximum(total, 0.0) * population.scale)

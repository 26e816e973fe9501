"""A population of spiking neurons in the place of the image: one neuron per pixel, which codes it as a rate.

`with_input_population` puts it there and `without_input_population` takes it away.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection

#: Name of the population, with underscores behind it where a layer of the model is called so.
INPUT_POPULATION = "input_spikes"


def with_input_population(network: Network) -> Network:
    """Return the network with a population of kind ``poisson`` between the image and the layers that see it.

    Its activation is the image itself (the identity, lambda = 1), so the network computes what it did. It has no
    membrane and does not count as a layer: its depth is 0.

    Parameters
    ----------
    network : Network
        As converted.

    Returns
    -------
    network : Network
        The same projections, those from the image now from the new population, which comes first.
    """
    name = INPUT_POPULATION
    while name in {population.name for population in network.populations}:
        name += "_"
    shape = network.input_shape
    pixels = Population(name, "poisson", shape, np.zeros(shape), depth=0)
    identity = Projection(INPUT, name, Geometry("identity", shape, shape), np.ones(shape))
    moved = tuple(replace(p, source=name) if p.source == INPUT else p for p in network.projections)
    return replace(network, populations=(pixels, *network.populations), projections=(identity, *moved))


def without_input_population(network: Network) -> Network:
    """Return the network as it was converted, whether or not it has a population in the place of the image.

    Parameters
    ----------
    network : Network
        As converted, or as a result with Poisson input holds it.

    Returns
    -------
    network : Network
        Its first layers see the image itself.
    """
    coding = {population.name for population in network.populations if population.kind == "poisson"}
    if not coding:
        return network
    kept = tuple(population for population in network.populations if population.name not in coding)
    seen = (p for p in network.projections if p.target not in coding)
    projections = tuple(replace(p, source=INPUT) if p.source in coding else p for p in seen)
    return replace(network, populations=kept, projections=projections)

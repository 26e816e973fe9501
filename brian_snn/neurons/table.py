"""Which neuron a population has under the settings of a simulation, and what any neuron may book."""

from __future__ import annotations

from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Population
from brian_snn.network.roles import crosses_threshold
from brian_snn.neurons.axon import with_axon
from brian_snn.neurons.integrator import LEAKED, MISSED, SURPLUS, integrator
from brian_snn.neurons.max_pool import exact_max_pool, gated_max_pool
from brian_snn.neurons.poisson import poisson_input
from brian_snn.neurons.record import Book, Draws, Neuron
from brian_snn.neurons.softmax import softmax_readout
from brian_snn.settings import Settings

#: All books that neurons keep.
BOOKS: tuple[Book, ...] = (SURPLUS, LEAKED, MISSED)

#: The random input of neurons whose draws are a term of the account of the error.
SAMPLED: tuple[Draws, ...] = tuple(draws for draws in (poisson_input().draws,) if draws is not None)


def neuron_of(network: Network, population: Population, settings: Settings) -> Neuron:
    """Return the neuron of a population, with an axon where its spikes take time to reach others."""
    neuron = _soma(network, population, settings)
    return with_axon(neuron, settings) if settings.delay_steps and network.out_of(population.name) else neuron


def _soma(network: Network, population: Population, settings: Settings) -> Neuron:
    """Return what a population does with what arrives."""
    if population.kind == "max_pool":
        return gated_max_pool(settings) if settings.max_pool == "gate" else exact_max_pool(settings)
    if population.codes_pixels:
        return poisson_input()
    receives_spikes = any(p.source != INPUT for p in network.into(population.name))
    if population.kind == "readout" and settings.readout == "softmax":
        return softmax_readout(settings, network.grid, receives_spikes)
    return integrator(settings, network.grid, crosses_threshold(population, settings), receives_spikes)

"""Which neuron a population has under the settings of a simulation, and what any neuron may book."""

from __future__ import annotations

from collections.abc import Callable

from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Population
from brian_snn.network.roles import crosses_threshold
from brian_snn.neurons.accumulator import OVERFLOWED, with_width
from brian_snn.neurons.adaptation import ADAPTED
from brian_snn.neurons.axon import with_axon
from brian_snn.neurons.conductance import SHUNTED
from brian_snn.neurons.graded import with_ones
from brian_snn.neurons.integrator import MISSED, SURPLUS, integrator
from brian_snn.neurons.leak import LEAKED
from brian_snn.neurons.max_pool import exact_max_pool, gated_max_pool
from brian_snn.neurons.mismatch import MISMATCHED
from brian_snn.neurons.noise import NOISE
from brian_snn.neurons.poisson import poisson_input
from brian_snn.neurons.record import Book, Draws, Neuron
from brian_snn.neurons.softmax import softmax_readout
from brian_snn.neurons.synapse import WAITING
from brian_snn.settings import Settings

#: All books that neurons keep.
BOOKS: tuple[Book, ...] = (SURPLUS, LEAKED, MISSED, WAITING, SHUNTED, ADAPTED, MISMATCHED, NOISE, OVERFLOWED)

#: The random input of neurons whose draws are a term of the account of the error.
SAMPLED: tuple[Draws, ...] = tuple(draws for draws in (poisson_input().draws,) if draws is not None)


#: Who has which neuron: the first line that fits. It gets the network, the population and the settings.
NEURONS: list[tuple[Callable[[Population, Settings], bool], Callable[[Network, Population, Settings], Neuron]]] = [
    (lambda p, _: p.codes_pixels, lambda *_: poisson_input()),
    (lambda p, s: p.kind == "max_pool" and s.max_pool == "gate", lambda n, p, s: gated_max_pool(s)),
    (lambda p, _: p.kind == "max_pool", lambda n, p, s: exact_max_pool(s)),
    (
        lambda p, s: p.kind == "readout" and s.readout == "softmax",
        lambda n, p, s: softmax_readout(p, s, n.grid, hears_spikes(n, p)),
    ),
    (lambda *_: True, lambda n, p, s: integrator(p, s, n.grid, crosses_threshold(p, s), hears_spikes(n, p))),
]


def neuron_of(network: Network, population: Population, settings: Settings) -> Neuron:
    """Return the neuron of a population, of few bits if asked for, with an axon where spikes take time to others."""
    make = next(make for fits, make in NEURONS if fits(population, settings))
    neuron = make(network, population, settings)
    if settings.accumulator_bits and neuron.hears == "charge":
        neuron = with_width(neuron, network, population, settings)
    if not network.out_of(population.name):
        return neuron
    if settings.graded and not neuron.model.graded:
        return with_ones(neuron)
    return with_axon(neuron, population, settings) if settings.delay_steps else neuron


def hears_spikes(network: Network, population: Population) -> bool:
    """Whether spikes arrive at a population: its input is no constant current."""
    return any(p.source != INPUT for p in network.into(population.name))

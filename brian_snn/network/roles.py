"""What a population is in a simulation under its settings: whether it spikes, from when on, and what it hears."""

from __future__ import annotations

from brian_snn.network.delays import different_delays
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Population
from brian_snn.settings import FloatType, Settings


def has_spikes(population: Population, settings: Settings) -> bool:
    """Whether a population spikes: all do but a readout that only integrates."""
    return population.kind != "readout" or settings.readout != "potential"


def crosses_threshold(population: Population, settings: Settings) -> bool:
    """Whether a population's spikes stand for its activation: not those that a softmax gives to a readout."""
    return population.kind != "readout" or settings.readout == "spikes"


def float_type(population: Population, settings: Settings) -> FloatType:
    """Return the type in which a population adds up: an output layer has no scale of its own, and needs all bits."""
    return settings.float_type if population.kind == "spiking" else "float64"


def window_start(population: Population, settings: Settings) -> int:
    """Return how many steps the clamp holds a population: its own, or clamp (depth - 1); at most all of them."""
    held = settings.clamp * max(population.depth - 1, 0) if population.clamp is None else population.clamp
    return min(settings.steps, held)


def early_counts_needed(network: Network, settings: Settings) -> set[tuple[str, int]]:
    """Return (source, step) wherever the spikes up to `step` are not heard by a target, or none after it are.

    A target listens from the start of its window; with a delay it hears nothing of what is sent at the end.
    """
    return {
        (projection.source, step - delay)
        for projection in network.projections
        if projection.source != INPUT
        for delay in different_delays(network[projection.source], settings)
        for step in (window_start(network[projection.target], settings), settings.steps)
        if window_start(network[projection.source], settings) < step - delay < settings.steps
    }

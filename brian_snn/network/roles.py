"""What a population is in a simulation under its settings: whether it spikes, from when on, and what it hears."""

from __future__ import annotations

from brian_snn.errors import SettingError
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Population
from brian_snn.network.synapses import n_synapses
from brian_snn.network.validity import MOST_ELEMENTS
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
    """Return how many steps the clamp holds a population: clamp (depth - 1), at most all of them."""
    return min(settings.steps, settings.clamp * max(population.depth - 1, 0))


def heard_steps(target: Population, settings: Settings) -> tuple[int, int]:
    """Return the last step whose spikes a target does not hear yet, and the last whose spikes it hears."""
    return window_start(target, settings) - settings.delay_steps, settings.steps - settings.delay_steps


def early_counts_needed(network: Network, settings: Settings) -> set[tuple[str, int]]:
    """Return (source, step) wherever the spikes up to `step` are not heard by a target, or none after it are.

    A target listens from the start of its window; with a delay it hears nothing of what is sent at the end.
    """
    return {
        (projection.source, step)
        for projection in network.projections
        if projection.source != INPUT
        for step in heard_steps(network[projection.target], settings)
        if window_start(network[projection.source], settings) < step < settings.steps
    }


#: ``projection="auto"`` uses explicit synapses up to this many; beyond, shared kernels start and run faster.
AUTO_LIMIT = 100_000


def uses_shared_kernels(network: Network, settings: Settings) -> bool:
    """Return whether spikes travel through shared kernels: on request, or where ``auto`` finds too many synapses.

    Raises
    ------
    SettingError
        If explicit synapses were asked for, and a projection has more than can be numbered.
    """
    if settings.projection == "shared":
        return True
    counts = [n_synapses(network, p) for p in network.projections if p.source != INPUT]
    if settings.projection == "auto":
        return sum(counts) > AUTO_LIMIT
    if max(counts, default=0) > MOST_ELEMENTS:
        raise SettingError(
            f"projection is {settings.projection!r}: a projection has {max(counts)} synapses, and up to 2**31 are "
            "numbered; use 'shared' or 'auto'."
        )
    return False

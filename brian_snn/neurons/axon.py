"""The axon, on which a spike travels for some steps before it reaches its targets: as many for all, or each its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from brian_snn.network.delays import delays
from brian_snn.network.records import Population
from brian_snn.neurons.record import Neuron
from brian_snn.settings import Settings

_EQUATIONS = """axon : 1  # spikes under way to the targets, a bit for each step ago
n_arrived : integer  # N_i(t - d) | spikes that have reached the targets
arrival_bit : 1 ({kind}constant)  # `2**d` | bit of a spike that arrives now; d is the delay in steps
"""


def with_axon(neuron: Neuron, population: Population, settings: Settings) -> Neuron:
    """Return a neuron whose spikes take d steps, `brian_snn.network.delays`.

    ``axon`` is a row of bits: bit k says whether there was a spike k steps ago, and bit d, ``arrival_bit`` = 2**d, that
    one arrives. Bits move up by one in each step, before the threshold. ``n_arrived`` counts arrivals for those who
    read it, the max pooling units.
    """
    model = neuron.model
    kind = "" if settings.delay_mismatch else "shared, "
    move = "axon = 2 * (axon - arrival_bit * int(axon >= arrival_bit))"
    delayed = replace(
        model,
        equations=model.equations + _EQUATIONS.format(kind=kind),
        integrate=f"{model.integrate}\n{move}".strip(),
        reset=f"{model.reset}\naxon += 1",
        arrival="axon >= arrival_bit",
        zeroed=(*model.zeroed, "axon", "n_arrived"),
        constants=(*model.constants, "arrival_bit"),
    )
    if not settings.delay_mismatch:
        return replace(neuron, model=delayed, constants={**neuron.constants, "arrival_bit": 2.0**settings.delay_steps})
    own = {"arrival_bit": lambda: np.ldexp(1.0, delays(population, settings))}
    return replace(neuron, model=delayed, arrays={**neuron.arrays, **own})


def lateness(settings: Settings) -> str:
    """Return in LaTeX how much earlier than t the spikes of a neuron j were sent that arrive in step t."""
    return (" - d_j" if settings.delay_mismatch else " - d") * (settings.delay_steps > 0)

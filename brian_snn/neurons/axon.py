"""The axon, on which a spike travels for some steps before it reaches its targets."""

from __future__ import annotations

from dataclasses import replace

from brian_snn.neurons.record import Neuron
from brian_snn.settings import Settings


def with_axon(neuron: Neuron, settings: Settings) -> Neuron:
    """Return a neuron whose spikes take d steps.

    ``axon`` is a row of bits: bit k says whether there was a spike k steps ago, and bit d, ``arrival_bit`` = 2**d, that
    one arrives. Bits move up by one in each step, before the threshold. ``n_arrived`` counts arrivals for those who
    read it, the max pooling units.
    """
    model = neuron.model
    move = "axon = 2 * (axon - arrival_bit * int(axon >= arrival_bit))"
    delayed = replace(
        model,
        equations=model.equations + "axon : 1\nn_arrived : integer\narrival_bit : 1 (shared, constant)\n",
        integrate=f"{model.integrate}\n{move}".strip(),
        reset=f"{model.reset}\naxon += 1",
        arrival="axon >= arrival_bit",
        zeroed=(*model.zeroed, "axon", "n_arrived"),
        constants=(*model.constants, "arrival_bit"),
    )
    return replace(neuron, model=delayed, constants={**neuron.constants, "arrival_bit": 2.0**settings.delay_steps})

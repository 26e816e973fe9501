"""The neuron variants as a plain loop: one population after the other, straight from their definitions.

It extends the loop of `tests.small_network`; nothing of `brian_snn.simulation` but the settings is shared.
"""

from __future__ import annotations

import numpy as np

from tests.small_network import Loop


class VariantLoop(Loop):
    """The state of every population under any variant, advanced by `variant_step`."""

    def __init__(self, network, images, settings):
        """Find the inputs of every gate."""
        super().__init__(network, images, settings)
        self.gates = {p.name: self.gate_inputs(p) for p in network.populations if p.kind == "max_pool"}

    def gate_inputs(self, population):
        """Return, for each unit, its inputs as (population, neuron), in the order of the network's neurons."""
        order = [p.name for p in self.network.populations]
        sources = sorted(self.into(population.name), key=lambda pair: order.index(pair[0]))
        return [
            [(source, neuron) for source, matrix in sources for neuron in np.flatnonzero(matrix[:, unit])]
            for unit in range(population.size)
        ]

    def gate(self, name):
        """Let the spike of the leading input of each unit pass; `argmax` takes the first of several."""
        spikes = np.zeros_like(self.counts[name])
        for image in range(self.n_images):
            for unit, inputs in enumerate(self.gates[name]):
                leader, neuron = inputs[int(np.argmax([self.counts[s][image, j] for s, j in inputs]))]
                spikes[image, unit] = self.spikes[leader][image, neuron]
        self.spikes[name] = spikes
        self.counts[name] = self.counts[name] + spikes

    def same_step(self, step):
        """Advance one step; spikes reach their targets within it."""
        for population in self.network.populations:
            if population.kind == "max_pool" and self.settings.max_pool == "gate":
                self.gate(population.name)
            else:
                self.advance(population, step)

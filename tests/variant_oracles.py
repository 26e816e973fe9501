"""The neuron variants as a plain loop: one population after the other, straight from their definitions.

It extends the loop of `tests.small_network`; nothing of `brian_snn.simulation` but the settings is shared.
"""

from __future__ import annotations

import numpy as np

from tests.small_network import Loop, to_grid


def splitmix64(key, n):
    """Return the upper 53 bits of output n of SplitMix64, with Python's own whole numbers."""
    mask = 2**64 - 1
    x = (key + (n + 1) * 0x9E3779B97F4A7C15) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return (x ^ (x >> 31)) >> 11


def image_key(seed, purpose, image):
    """Return the key of an image's stream."""
    return int(np.random.SeedSequence(seed, spawn_key=(purpose, image)).generate_state(1, np.uint64)[0]) >> 11


class VariantLoop(Loop):
    """The state of every population under any variant, advanced by one step at a time."""

    books = ("leaked", "missed")

    def __init__(self, network, images, settings):
        """Find the inputs of every gate and the first draw of every image."""
        super().__init__(network, images, settings)
        self.pixels = to_grid(images.reshape(len(images), -1))
        self.keys = [image_key(settings.seed, 0, image) for image in range(len(images))]
        self.leaked, self.missed, self.rest = ({name: np.zeros_like(v) for name, v in self.v.items()} for _ in range(3))
        self.past_spikes, self.past_counts = ({name: [] for name in self.v} for _ in range(2))
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
        heard, seen, spikes = self.heard(), self.seen(), np.zeros_like(self.counts[name])
        for image in range(self.n_images):
            for unit, inputs in enumerate(self.gates[name]):
                leader, neuron = inputs[int(np.argmax([seen[s][image, j] for s, j in inputs]))]
                spikes[image, unit] = heard[leader][image, neuron]
        self.spikes[name] = spikes
        self.counts[name] = self.counts[name] + spikes

    def delayed(self, past):
        """Return what was written down a delay ago, zeros before the first step."""
        steps_ago = round(float(self.settings.delay) / float(self.settings.dt)) + 1
        return {
            name: entries[-steps_ago] if len(entries) >= steps_ago else np.zeros_like(self.v[name])
            for name, entries in past.items()
        }

    def heard(self):
        """Return the spikes of each population that reach its targets now."""
        return self.delayed(self.past_spikes)

    def seen(self):
        """Return how many have."""
        return self.delayed(self.past_counts)

    def add(self, population, z, step):
        """Leak and add charge, where a neuron is neither clamped nor refractory. Steps are counted from 1."""
        name = population.name
        if step <= self.start(population):
            return
        awake = self.rest[name] == 0
        if self.fires(population):
            decay = np.exp(-float(self.settings.dt) / float(self.settings.tau_m))
            loss = np.where(awake, to_grid(self.v[name] * (1 - decay)), 0.0)
            self.leaked[name] += loss
            self.v[name] = self.v[name] - loss
        self.missed[name] += np.where(awake, 0.0, z)
        super().add(population, np.where(awake, z, 0.0), step)

    def fire(self, population, step):
        """Compare with the threshold, where a neuron is awake, and let it rest after a spike."""
        super().fire(population, step)
        name = population.name
        spikes = self.spikes[name] * (self.rest[name] == 0)
        resting_s = np.where(spikes > 0, float(self.settings.refractory), self.rest[name] - float(self.settings.dt))
        # Times are multiples of dt up to rounding.
        self.rest[name] = np.where(resting_s > 0.5 * float(self.settings.dt), resting_s, 0.0)
        self.spikes[name] = spikes

    def draw(self, name, step):
        """Let each pixel spike with its own probability."""
        n_pixels = self.pixels.shape[1]
        for image, key in enumerate(self.keys):
            for pixel, rate in enumerate(self.pixels[image]):
                drawn = splitmix64(key, (step - 1) * n_pixels + pixel) / 2**53
                self.spikes[name][image, pixel] = drawn < rate
        self.counts[name] = self.counts[name] + self.spikes[name]

    def compete(self, population, step):
        """Give the spike of the generator to the neuron whose potential and Gumbel noise are the largest."""
        name, size = population.name, population.size
        self.spikes[name][:] = 0
        for image in range(self.n_images):
            key = image_key(self.settings.seed, 1, image)
            drawn = [splitmix64(key, (step - 1) * (size + 1) + k) for k in range(size + 1)]
            if step > self.start(population) and drawn[0] / 2**53 < self.settings.output_rate:
                inside = np.array([(number >> 1) * 2 + 1 for number in drawn[1:]]) / 2**53
                noise = to_grid(self.threshold * -np.log(-np.log(inside)))
                self.spikes[name][image, np.argmax(self.v[name][image] + noise)] = 1
        self.counts[name] = self.counts[name] + self.spikes[name]

    def same_step(self, step):
        """Advance one step; without a delay spikes reach their targets within it."""
        for population in self.network.populations:
            name = population.name
            if population.kind == "poisson":
                self.draw(name, step)
            elif population.kind == "max_pool" and self.settings.max_pool == "gate":
                self.gate(name)
            else:
                self.advance(population, step)
            if population.kind == "readout" and self.settings.readout == "softmax":
                self.compete(population, step)
            self.past_spikes[name].append(self.spikes[name].copy())
            self.past_counts[name].append(self.counts[name].copy())

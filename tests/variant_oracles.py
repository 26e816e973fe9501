"""The neuron variants as a plain loop: one population after the other, straight from their definitions.

It extends the loop of `tests.small_network`; nothing of `brian_snn.simulation` but the settings is shared.
"""

from __future__ import annotations

import math
import zlib

import numpy as np

from tests.small_network import Loop, to_grid


def splitmix64(key, n, bits=53):
    """Return the upper bits of output n of SplitMix64, with Python's own whole numbers."""
    mask = 2**64 - 1
    x = (key + (n + 1) * 0x9E3779B97F4A7C15) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return (x ^ (x >> 31)) >> 64 - bits


def image_key(seed, purpose, image):
    """Return the key of an image's stream."""
    return int(np.random.SeedSequence(seed, spawn_key=(purpose, image)).generate_state(1, np.uint64)[0]) >> 11


class VariantLoop(Loop):
    """The state of every population under any variant, advanced by one step at a time."""

    books = ("leaked", "missed", "waiting", "shunted", "adapted", "mismatched", "noise")

    def __init__(self, network, images, settings):
        """Find the inputs of every gate and the first draw of every image."""
        super().__init__(network, images, settings)
        for name in self.books:
            setattr(self, name, {population: np.zeros_like(v) for population, v in self.v.items()})
        # What waits in synapses, in the first stage and in the second, of excitation and of inhibition.
        self.stages = {name: np.zeros((2, 2, *v.shape)) for name, v in self.v.items()}
        self.adapting = {name: np.zeros_like(v) for name, v in self.v.items()}
        self.negative_counts = {name: np.zeros_like(v) for name, v in self.v.items()}
        self.offsets = {p.name: self.offset(p) for p in network.populations}
        self.late = {p.name: self.delay(p) for p in network.populations}
        self.pixels = to_grid(images.reshape(len(images), -1))
        self.keys = [image_key(settings.seed, 0, image) for image in range(len(images))]
        self.rest = {name: np.zeros_like(v) for name, v in self.v.items()}
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
        arrived = {name: np.zeros_like(v) for name, v in self.v.items()}
        for name, entries in past.items():
            for neuron, steps_ago in enumerate(self.late[name]):
                if steps_ago < len(entries):
                    arrived[name][:, neuron] = entries[-1 - steps_ago][:, neuron]
        return arrived

    def heard(self):
        """Return the spikes of each population that reach its targets now."""
        return self.delayed(self.past_spikes)

    def seen(self):
        """Return how many have."""
        return self.delayed(self.past_counts)

    def gaussians(self, what, population):
        """Return the numbers that are drawn once for every neuron of a population, by Box and Muller."""
        number = zlib.crc32(f"{what} of {population.name}".encode())
        key = (
            int(np.random.SeedSequence(self.settings.seed, spawn_key=(2, number)).generate_state(1, np.uint64)[0]) >> 11
        )
        pairs = [(splitmix64(key, 2 * k) / 2**53, splitmix64(key, 2 * k + 1) / 2**53) for k in range(population.size)]
        return np.array([math.sqrt(-2 * math.log(a + 2**-54)) * math.cos(2 * math.pi * b) for a, b in pairs])

    def offset(self, population):
        """Return how far the threshold of every neuron is from V_thr; none is lower than a sixteenth of it."""
        if not (self.settings.threshold_mismatch and self.fires(population)):
            return np.zeros(population.size)
        relative = self.settings.threshold_mismatch * self.gaussians("threshold", population)
        return to_grid(self.threshold * np.maximum(relative, 1 / 16 - 1))

    def delay(self, population):
        """Return how many steps the spikes of every neuron take to their targets, at most 50."""
        steps, spread = float(self.settings.delay) / float(self.settings.dt), self.settings.delay_mismatch
        drawn = self.gaussians("delay", population) if spread else np.zeros(population.size)
        return [min(max(round(round(steps) * (1 + spread * number)), 0), 50) for number in drawn]

    def decay(self, tau):
        """Return the part that is lost in a step."""
        return 1 - np.exp(-float(self.settings.dt) / float(tau)) if float(tau) else 1.0

    def synapses(self, name, arrives, kind):
        """Return what of the charge that waits in one kind of synapses is given now, in one stage or two."""
        if not float(self.settings.tau_syn):
            return arrives
        given = arrives
        for stage in range(1 + (self.settings.synapse == "alpha")):
            waiting = self.stages[name][stage, kind]
            waiting += given
            given = to_grid(waiting * self.decay(self.settings.tau_syn))
            waiting -= given
        return given

    def arriving(self, population):
        """Return what spikes bring to the membranes now: through synapses, and against the reversal potentials."""
        name, sources = population.name, self.into(population.name)
        ends = np.array([self.settings.reversal_excitatory, self.settings.reversal_inhibitory]) * self.threshold
        if not (self.fires(population) and np.isfinite(ends).any() and sources):
            arrives = sum((self.heard()[s] @ m for s, m in sources), np.zeros(1))
            return self.synapses(name, arrives, 0) if sources else arrives
        up = sum(self.heard()[s] @ np.maximum(m, 0) for s, m in sources)
        down = sum(self.heard()[s] @ np.maximum(-m, 0) for s, m in sources)
        up, down, v = self.synapses(name, up, 0), self.synapses(name, down, 1), self.v[name]
        top, bottom = np.where(np.isfinite(ends), to_grid(np.where(np.isfinite(ends), ends, 0)), ends)
        brings = [up - to_grid(v * up / top), to_grid(v * down / bottom) - down]
        for k, end in enumerate((top, bottom)):
            # Neither carries V past its end; what would carry it away from there does not exist.
            brings[k] = np.where(end >= v, np.clip(brings[k], 0, end - v), np.clip(brings[k], end - v, 0))
        self.shunted[name] = self.shunted[name] + up - down - sum(brings)
        return sum(brings)

    def noisy(self, population, step):
        """Return the charge of the noise: the ones among 64 bits, less 32."""
        name, size = population.name, population.size
        charge = np.zeros_like(self.v[name])
        for image in range(self.n_images):
            spawn = (3, image, zlib.crc32(name.encode()))
            key = int(np.random.SeedSequence(self.settings.seed, spawn_key=spawn).generate_state(1, np.uint64)[0]) >> 11
            ones = [splitmix64(key, (step - 1) * size + k, 64).bit_count() - 32 for k in range(size)]
            charge[image] = to_grid(np.array(ones) * (self.settings.noise * self.threshold / 4))
        return charge

    def advance(self, population, step):
        """Advance one population whose sources have made the step, its synapses first."""
        if population.kind == "max_pool":
            super().advance(population, step)
            self.negative_counts[population.name] += self.spikes[population.name] < 0
            return
        name = population.name
        arrives = self.arriving(population) if step > self.start(population) else np.zeros(1)
        self.waiting[name] = self.stages[name][:, 0].sum(axis=0) - self.stages[name][:, 1].sum(axis=0)
        self.add(population, arrives + self.current[name], step)
        self.fire(population, step)
        self.reset(population)

    def add(self, population, z, step):
        """Add charge and what takes it away, where a neuron is neither clamped nor rests. Steps are counted from 1."""
        name = population.name
        if step <= self.start(population):
            return
        awake = (self.rest[name] == 0) | (self.settings.refractory_input == "kept")
        if self.fires(population):
            rate = self.decay(self.settings.tau_m)
            if self.settings.leak_mismatch:
                rate = np.clip(rate * (1 + self.settings.leak_mismatch * self.gaussians("leak", population)), 0, 1)
            self.book("leaked", name, np.where(awake, to_grid(self.v[name] * rate), 0.0))
            if self.settings.adaptation_step:
                lost = to_grid(self.adapting[name] * self.decay(self.settings.tau_adaptation))
                self.adapting[name] = self.adapting[name] - lost
                if self.settings.adaptation == "current":
                    self.book("adapted", name, np.where(awake, self.adapting[name], 0.0))
            if self.settings.noise:
                self.book("noise", name, -np.where(awake, self.noisy(population, step), 0.0))
        self.missed[name] += np.where(awake, 0.0, z)
        super().add(population, np.where(awake, z, 0.0), step)

    def book(self, book, name, charge):
        """Take a charge from V, and note it."""
        getattr(self, book)[name] = getattr(self, book)[name] + charge
        self.v[name] = self.v[name] - charge

    def reset(self, population):
        """Apply Eq. (4) with the thresholds that neurons have, and note what spikes bring about."""
        name, spikes, threshold = population.name, self.spikes[population.name], self.threshold
        self.threshold = threshold + self.offsets[name]
        super().reset(population)
        self.threshold = threshold
        self.mismatched[name] = self.mismatched[name] + spikes * self.offsets[name]
        if self.fires(population):
            self.adapting[name] = self.adapting[name] + spikes * to_grid(self.settings.adaptation_step * threshold)

    def fire(self, population, step):
        """Compare with the threshold, where a neuron does not rest, and let it rest after a spike."""
        name, threshold = population.name, self.threshold
        rises = self.adapting[name] if self.settings.adaptation == "threshold" else 0.0
        self.threshold = threshold + self.offsets[name] + rises
        super().fire(population, step)
        self.threshold = threshold
        if self.fires(population) and step > self.start(population):
            self.size(name)
        spikes = self.spikes[name] * (self.rest[name] == 0)
        resting_s = np.where(spikes > 0, float(self.settings.refractory), self.rest[name] - float(self.settings.dt))
        # Times are multiples of dt up to rounding.
        self.rest[name] = np.where(resting_s > 0.5 * float(self.settings.dt), resting_s, 0.0)
        self.spikes[name] = spikes

    def size(self, name):
        """Count the whole thresholds in each potential, up to the largest burst; take a spike back below -V_thr."""
        own = self.threshold + self.offsets[name]
        if self.settings.burst > 1:
            # Each of them takes its own threshold, and meets the one that was raised by those of steps before.
            left, rises = self.v[name].copy(), (self.settings.adaptation == "threshold") * self.adapting[name]
            for _ in range(self.settings.burst - 1):
                left -= own
                self.spikes[name] += (self.spikes[name] > 0) & (left >= own + rises)
        if self.settings.polarity == "signed":
            back = (self.v[name] + own <= 0) & (self.counts[name] >= 1)
            self.spikes[name] = np.where(back, -1.0, self.spikes[name])
            self.negative_counts[name] = self.negative_counts[name] + back

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

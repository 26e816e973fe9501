"""Plain loops in which one population does something else than Eq. (4) says."""

from dataclasses import replace

import numpy as np

from tests.small_network import Loop, to_grid


def on_eighths(numbers):
    """Return an array, or a network's weights and biases, rounded to 1/8: potentials often meet the threshold."""
    if isinstance(numbers, np.ndarray):
        return np.round(numbers * 8) / 8
    populations = tuple(replace(p, bias=on_eighths(p.bias)) for p in numbers.populations)
    projections = tuple(
        p if p.weights is None else replace(p, weights=on_eighths(p.weights)) for p in numbers.projections
    )
    return replace(numbers, populations=populations, projections=projections)


class Faulty(Loop):
    """The loop with one population, ``culprit``, that does not do as Eq. (4) says."""

    culprit = "mixed"

    def advance(self, population, step):
        """Advance the culprit in its own way."""
        if population.name == self.culprit:
            self.misbehave(population, step)
        else:
            super().advance(population, step)

    def misbehave(self, population, step):
        """Advance as any other."""
        super().advance(population, step)


class Above(Faulty):
    """Spikes above the threshold, not on it."""

    def misbehave(self, population, step):
        """Compare with the next larger number."""
        self.threshold, kept = np.nextafter(self.threshold, 2), self.threshold
        super().misbehave(population, step)
        self.threshold = kept

    def reset(self, population):
        """Take what a spike costs, whatever the comparison was with."""
        self.threshold = float(to_grid(self.threshold))
        super().reset(population)


class Late(Faulty):
    """Hears its sources a step late."""

    def misbehave(self, population, step):
        """Hear the spikes of the step before."""
        now = self.spikes
        self.spikes = {**now, **getattr(self, "before", {name: np.zeros_like(s) for name, s in now.items()})}
        super().misbehave(population, step)
        now[population.name], self.spikes = self.spikes[population.name], now
        self.before = {source: now[source].copy() for source, _ in self.into(population.name)}


class Keeping(Faulty):
    """Keeps the surplus with reset to zero."""

    def reset(self, population):
        """Subtract the threshold, and book no surplus."""
        if population.name != self.culprit:
            super().reset(population)
            return
        name, spikes = population.name, self.spikes[population.name]
        self.v[name] = self.v[name] - spikes * self.threshold
        self.counts[name] = self.counts[name] + spikes


class Ahead(Faulty):
    """Has a max-pooling unit that spikes in the first step, whatever its inputs do."""

    culprit = "pool"

    def misbehave(self, population, step):
        """Keep one unit a count ahead."""
        name = population.name
        largest = self.pool(name, self.seen())
        largest[1, 3] += 1
        self.spikes[name], self.counts[name] = largest - self.counts[name], largest


FAULTS = {
    # Inputs are multiples of 1/64: at the end all of them meet the threshold.
    ("greater than, first layer", "conv"): (Above, {"steps": 64}),
    ("greater than", "mixed"): (Above, {}),
    ("greater than, zero", "average"): (Above, {"reset": "zero"}),
    ("greater than, output", "out"): (Above, {"readout": "spikes"}),
    ("a step late", "average"): (Late, {}),
    ("a step late, clamped", "mixed"): (Late, {"clamp": 2}),
    ("keeps its surplus, first layer", "conv"): (Keeping, {"reset": "zero"}),
    ("keeps its surplus", "mixed"): (Keeping, {"reset": "zero"}),
    ("one ahead", "pool"): (Ahead, {}),
}

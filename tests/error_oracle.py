"""The error of one neuron at a time, split with exact fractions over dense matrices.

Nothing of `brian_snn.analysis` is imported here. The definitions are those of the documentation, written as cases.
"""

from __future__ import annotations

from fractions import Fraction as F

import numpy as np

from brian_snn.network.records import INPUT
from tests.small_network import Loop, projection_matrix


def dense_activations(network, images):
    """Return the ANN's activations, by a float64 product per layer: after the ReLU, in the ANN's units."""
    sizes = {INPUT: int(np.prod(network.input_shape)), **{p.name: p.size for p in network.populations}}
    values = {INPUT: np.asarray(images, np.float64).reshape(len(images), -1)}
    for population in network.populations:
        arriving = [
            (values[p.source], projection_matrix(p, p.weights, sizes[p.source], sizes[p.target]))
            for p in network.into(population.name)
        ]
        if population.kind == "max_pool":
            total = np.maximum.reduce([(x[:, :, None] * m[None]).max(axis=1) for x, m in arriving])
        else:
            total = sum((x @ m for x, m in arriving), population.bias.ravel())
        if population.kind == "spiking":
            ceiling = np.inf if population.ceiling is None else population.ceiling / population.scale
            total = np.clip(total, 0.0, ceiling)
        values[population.name] = total
    shaped = {p.name: values[p.name].reshape(-1, *p.shape) * p.scale for p in network.populations}
    return shaped


class NeuronAccount:
    """The terms of single neurons of a `Result`, as fractions."""

    def __init__(self, result, activations, image=0):
        """Keep one image; matrices and currents are those of the loop."""
        self.result, self.image = result, image
        self.loop = Loop(result.network, result.images, result.settings)
        self.theta, self.v_init = F(self.loop.threshold), F(self.loop.v_init)
        self.targets = {
            p.name: [F(x) for x in (activations[p.name] / p.scale)[image].ravel()] for p in result.network.populations
        }

    def field(self, field, name):
        """Return an array of the result as a list of fractions."""
        arrays = self.result.by_population(field)
        return [F(float(x)) for x in arrays.get(name, np.zeros_like(self.result.charge[name]))[self.image].ravel()]

    def rates(self, name):
        """Return rate over r_max of every neuron."""
        steps = self.result.window_steps(name)
        if not steps:
            return [F(0)] * self.result.network[name].size
        if self.integrates_only(name):
            return [(v - self.v_init) / (self.theta * steps) for v in self.field("potentials", name)]
        return [n / steps for n in self.field("spike_counts", name)]

    def integrates_only(self, name):
        """Whether a population never spikes."""
        return self.result.network[name].kind == "readout" and self.result.settings.readout == "potential"

    def error(self, name):
        """Return rate minus target of every neuron."""
        return [r - a for r, a in zip(self.rates(name), self.targets[name], strict=True)]

    def terms(self, name):
        """Return {term: one fraction per neuron}."""
        one = self._pool if self.result.network[name].kind == "max_pool" else self._membrane
        rows = [one(name, neuron) for neuron in range(self.result.network[name].size)]
        return {term: [row[term] for row in rows] for term in rows[0]}

    def _membrane(self, name, i):
        steps, sources = self.result.window_steps(name), self.loop.into(name)
        a = self.targets[name][i]
        if not steps:
            return {"window": -a} | {f"arrives from {source}": F(0) for source, _ in sources}
        full = self.theta * steps
        current = F(float(self.loop.current[name][self.image, i])) * steps
        terms, drive, charge, window = {}, current, current, F(0)
        for source, matrix in sources:
            weights = [F(float(w)) for w in matrix[:, i]]
            counts = self.result.counts_in_window(source, name)[self.image].ravel()
            arrives = F(0)
            for w, n, r, x in zip(weights, counts, self.rates(source), self.targets[source], strict=True):
                drive += w * x * steps
                charge += w * int(n)
                arrives += w * (r - x) * steps
                window += w * (int(n) - r * steps)
            terms[f"arrives from {source}"] = arrives / full
        terms["window"] = window / full
        if self.integrates_only(name):
            return terms | {"grid": drive / full - a}
        return terms | {key: value / full for key, value in self._charges(name, i, charge, drive, a * full).items()}

    def _charges(self, name, i, charge, drive, target):
        """Return the terms that need no sum over sources, as charges."""
        full = self.theta * self.result.window_steps(name)
        gain = self.field("potentials", name)[i] - self.v_init
        thrown = self.field("surplus", name)[i]
        if charge < 0:
            gain -= charge
        if charge > full:
            if self.result.settings.reset == "zero":
                thrown -= charge - full
            else:
                gain -= charge - full
        in_range = min(max(gain, min(-self.v_init, F(0))), max(self.theta - self.v_init, F(0)))
        reachable = {key: min(max(x, F(0)), full) for key, x in (("q", charge), ("y", drive), ("a", target))}
        return {
            "residual": -in_range,
            "transient": in_range - gain,
            "surplus": -thrown,
            "saturation": reachable["a"] - target,
            "clipped": (reachable["q"] - charge) - (reachable["y"] - drive),
            "grid": reachable["y"] - reachable["a"],
        }

    def _pool(self, name, i):
        steps, a = self.result.window_steps(name), self.targets[name][i]
        sources = self.loop.into(name)
        if not steps:
            return {"window": -a} | {f"arrives from {source}": F(0) for source, _ in sources}
        inputs = [(source, j) for source, matrix in sources for j in np.flatnonzero(matrix[:, i])]
        counts = {(s, j): self.field("spike_counts", s)[j] for s, j in inputs}
        winner = max(inputs, key=lambda sj: (self.targets[sj[0]][sj[1]], self.rates(sj[0])[sj[1]]))
        largest, highest = max(counts.values()), max(self.rates(s)[j] for s, j in inputs)
        source, j = winner
        rate, target = self.rates(source)[j], self.targets[source][j]
        return {f"arrives from {s}": rate - target if s == source else F(0) for s, _ in sources} | {
            "pooling": (self.field("spike_counts", name)[i] - largest) / steps,
            "window": largest / steps - highest,
            "selection": highest - rate,
            "grid": target - a,
        }

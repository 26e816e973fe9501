"""A network and a plain loop that steps it by any of the rules of other simulators; nothing of the referee is used.

Rules are planted by the names that the referee gives them. Weights become matrices entry by entry (`small_network`).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from tests.small_network import GRID, projection_matrix

STEPS = 24

#: Those that can be planted.
RULES = (
    "reset to zero",
    "> instead of >=",
    "many spikes a step",
    "lag of a step a layer",
    "bias in the first step only",
    "no bias",
    "V not below 0",
    "V not below -theta",
    "withheld spike",
    "negative input counts as 0",
    "max pooling: any spike of the step",
    "average pooling as a sum",
    "flattened channels first",
    "weights of 4 bits",
    "weights of 3 bits",
)


def planted_network(seed=0, fineness=64):
    """Return image -> conv -> (max pool, average) -> hidden -> out, with a dense map of each pooling."""
    rng = np.random.default_rng(seed)

    def drawn(mean, spread, shape):
        return np.round(rng.normal(mean, spread, shape) * fineness) / fineness

    shapes = {"conv": (4, 4, 3), "pool": (2, 2, 3), "average": (2, 2, 3), "hidden": (10,), "out": (5,)}
    kinds, depths = {"pool": "max_pool"}, {"conv": 1, "pool": 1, "average": 2, "hidden": 3, "out": 4}
    biased = {"conv": (0.05, 0.2), "hidden": (0.05, 0.2), "out": (0.1, 0.2)}
    populations = tuple(
        Population(n, kinds.get(n, "spiking"), s, drawn(*biased[n], s) if n in biased else np.zeros(s), depths[n])
        for n, s in shapes.items()
    )
    maps = (
        (INPUT, "conv", Geometry("conv2d", (4, 4, 2), (4, 4, 3), (3, 3), padding=((1, 1), (1, 1))), (0.1, 0.25)),
        ("conv", "pool", Geometry("max_pool", (4, 4, 3), (2, 2, 3), (2, 2), (2, 2)), None),
        ("conv", "average", Geometry("average_pool", (4, 4, 3), (2, 2, 3), (2, 2), (2, 2)), None),
        ("pool", "hidden", Geometry("dense", (12,), (10,)), (0.0, 0.4)),
        ("average", "hidden", Geometry("dense", (12,), (10,)), (0.1, 0.4)),
        ("hidden", "out", Geometry("dense", (10,), (5,)), (0.1, 0.45)),
    )
    projections = []
    for source, target, geometry, numbers in maps:
        weights = np.full((2, 2, 3), 0.25) if geometry.kind == "average_pool" else None
        if numbers is not None:
            weights = drawn(*numbers, geometry.weights_shape)
        projections.append(Projection(source, target, geometry, weights))
    return Network(populations, tuple(projections), (4, 4, 2), grid=GRID)


def planted_images(seed=0, n_images=3):
    """Return images of sixteen grey levels."""
    return np.random.default_rng([seed, 1]).integers(0, 17, (n_images, 4, 4, 2)) / 16


def _quantised(weights, bits):
    step = np.abs(weights).max() / (2 ** (bits - 1) - 1)
    return np.round(weights / step) * step


def _other_rows(projection, shape):
    """Return the rows of a dense map for inputs that were flattened channels first."""
    rows = np.empty_like(projection.weights)
    for number, (row, column, channel) in enumerate(np.ndindex(shape)):
        rows[number] = projection.weights[(channel * shape[0] + row) * shape[1] + column]
    return replace(projection, weights=rows)


def _changed(network, rules):
    """Return the network with other weights."""
    projections = []
    for p in network.projections:
        if "average pooling as a sum" in rules and p.geometry.kind == "average_pool":
            p = replace(p, weights=p.weights * 4)
        shape = (0,) if p.source == INPUT else network[p.source].shape
        if "flattened channels first" in rules and p.geometry.kind == "dense" and len(shape) == 3:
            p = _other_rows(p, shape)
        for bits in (3, 4):
            if f"weights of {bits} bits" in rules and p.geometry.kind in ("dense", "conv2d"):
                p = replace(p, weights=_quantised(p.weights, bits))
        projections.append(p)
    return replace(network, projections=tuple(projections), grid=0.0)


def record(network, images, rules=(), steps=STEPS, leak=1.0, factor=1.0, clamp=0):
    """Return the spikes of every population, (n_images, steps, *shape), under some rules."""
    net, rules = _changed(network, rules), set(rules)
    frames = images if images.ndim == 5 else np.repeat(images[:, None], steps, axis=1)
    matrices = {
        (p.source, p.target): projection_matrix(
            p,
            p.weights,
            images[0].size
            if p.source == INPUT and images.ndim == 4
            else frames[0, 0].size
            if p.source == INPUT
            else net[p.source].size,
            net[p.target].size,
        )
        for p in net.projections
    }
    trains = {p.name: np.zeros((len(images), steps, p.size), np.int64) for p in net.populations}
    for image in range(len(images)):
        v = {p.name: np.zeros(p.size) for p in net.populations}
        for step in range(steps):
            for p in net.populations:
                arrives = _arriving(net, matrices, trains, image, step, p, rules)
                if p.kind == "max_pool":
                    trains[p.name][image, step] = arrives
                    continue
                if step < clamp * (p.depth - 1):
                    continue
                bias = p.bias.ravel()
                if "no bias" in rules or ("bias in the first step only" in rules and step):
                    bias = 0 * bias
                z = arrives + bias
                if (INPUT, p.name) in matrices:
                    z = z + frames[image, step].ravel() @ matrices[INPUT, p.name]
                v[p.name], trains[p.name][image, step] = neuron(v[p.name], z, rules, leak, factor)
    return {name: array.reshape(len(images), steps, *net[name].shape) for name, array in trains.items()}


def _arriving(net, matrices, trains, image, step, p, rules):
    """Return the charge of spikes; of a max pooling its spikes."""
    late = int("lag of a step a layer" in rules)
    heard = {
        q.source: trains[q.source][image, : max(0, step + 1 - late)] for q in net.into(p.name) if q.source != INPUT
    }
    if p.kind == "max_pool":
        ((name, spikes),) = heard.items()
        table = matrices[name, p.name]
        if "max pooling: any spike of the step" in rules:
            now = spikes[-1] if len(spikes) else 0 * table[:, 0]
            largest = (now[:, None] * table).max(axis=0)
        else:
            largest = (spikes.sum(axis=0)[:, None] * table).max(axis=0) - trains[p.name][image, :step].sum(axis=0)
        return largest if "many spikes a step" in rules else np.minimum(largest, 1)
    return sum((s[-1] @ matrices[n, p.name] for n, s in heard.items() if len(s)), start=np.zeros(p.size))


def neuron(v, z, rules, leak=1.0, factor=1.0):
    """Return V and the spikes of a step."""
    spikes = np.zeros(len(v), np.int64)
    after = np.empty(len(v))
    for k, (before, arrives) in enumerate(zip(v, z, strict=True)):
        u = leak * before + (max(arrives, 0.0) if "negative input counts as 0" in rules else arrives)
        if "V not below 0" in rules:
            u = max(u, 0.0)
        if "V not below -theta" in rules:
            u = max(u, -factor)
        tested = u - factor if "withheld spike" in rules and before > factor else u
        above = "> instead of >=" in rules
        fires = tested > factor if above else tested >= factor
        if fires and "many spikes a step" in rules:
            spikes[k] = math.ceil(tested / factor) - 1 if above else math.floor(tested / factor)
        else:
            spikes[k] = int(fires)
        after[k] = (0.0 if spikes[k] else u) if "reset to zero" in rules else u - factor * spikes[k]
    return after, spikes

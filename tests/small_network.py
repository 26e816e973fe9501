"""A small spiking network of graph records and its simulation as a plain loop over dense matrices.

The matrices are made entry by entry from the definition of each map, currents from fractions: nothing is shared with
the code that lists synapses, with Keras, or with Brian2.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np

from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.results.result import Result
from brian_snn.settings import Settings

GRID = 2.0**-24
CHECKPOINTS = (5, 12, 30)
STEPS = 30


def to_grid(numbers):
    """Round to the nearest multiple of the grid."""
    return np.round(np.asarray(numbers, np.float64) / GRID) * GRID


# --- maps as matrices -----------------------------------------------------------------------------------------------


def taps(geometry):
    """Yield (input index, output index, kernel index) of everything that meets in a sliding window."""
    (top, _), (left, _) = geometry.padding
    rows, columns, n_in = geometry.input_shape
    per_group_in, per_group_out = n_in // geometry.groups, geometry.output_shape[2] // geometry.groups
    for y, x, channel in np.ndindex(*geometry.output_shape):
        for i, j in np.ndindex(*geometry.kernel_size):
            row = y * geometry.strides[0] + i * geometry.dilation[0] - top
            column = x * geometry.strides[1] + j * geometry.dilation[1] - left
            if not (0 <= row < rows and 0 <= column < columns):
                continue
            if geometry.kind == "conv2d":
                first = channel // per_group_out * per_group_in
                for k in range(per_group_in):
                    yield (row, column, first + k), (y, x, channel), (i, j, k, channel)
            else:
                source, copy = divmod(channel, geometry.output_shape[2] // n_in)
                yield (row, column, source), (y, x, channel), (i, j, source, copy)


def map_matrix(geometry, weights):
    """Return the (n_in, n_out) matrix of a map; ones for max pooling."""
    if geometry.kind == "dense":
        return np.array(weights)
    if geometry.kind == "identity":
        return np.diag(np.ravel(weights))
    matrix = np.zeros((*geometry.input_shape, *geometry.output_shape))
    for source, target, kernel in taps(geometry):
        by_kind = {"average_pool": target, "max_pool": ()}
        matrix[*source, *target] = 1.0 if weights is None else weights[by_kind.get(geometry.kind, kernel)]
    return matrix.reshape(geometry.n_in, geometry.n_out)


def projection_matrix(projection, weights, n_source, n_target):
    """Return the (n_source, n_target) matrix of a projection."""
    local = map_matrix(projection.geometry, weights)
    n_in, n_out = local.shape
    sources = np.arange(n_in) if projection.source_index is None else projection.source_index
    targets = np.arange(n_out) if projection.target_index is None else projection.target_index
    matrix = np.zeros((n_source, n_target))
    for (i, source), (j, target) in itertools.product(enumerate(sources), enumerate(targets)):
        if source >= 0:
            matrix[source, target] += local[i, j]
    return matrix


# --- the network ----------------------------------------------------------------------------------------------------


def small_network(seed=1, gain=1.0):
    """Return a network with every kind of map: image -> conv -> (pool -> mixed, average) -> out.

    Weights and biases are `gain` times as large as usual.
    """
    rng = np.random.default_rng(seed)
    geometries = {
        (INPUT, "conv"): Geometry("conv2d", (5, 4, 2), (5, 4, 3), (3, 3), padding=((1, 1), (1, 1))),
        ("conv", "pool"): Geometry("max_pool", (5, 4, 3), (3, 2, 3), (2, 2), (2, 2), padding=((0, 1), (0, 0))),
        ("pool", "mixed"): Geometry("conv2d", (3, 2, 3), (3, 2, 2), (2, 2), padding=((0, 1), (0, 1))),
        ("conv", "average"): Geometry("average_pool", (5, 4, 3), (2, 3, 3), (3, 2), (2, 1)),
        ("average", "mixed"): Geometry("depthwise", (2, 3, 3), (2, 1, 6), (1, 3)),
        ("mixed", "out"): Geometry("dense", (19,), (4,)),
        ("average", "out"): Geometry("identity", (4,), (4,)),
    }
    indices = {
        ("average", "mixed"): {"target_index": np.arange(12, 24, dtype=np.int32)},
        ("mixed", "out"): {"source_index": np.append(rng.permutation(24)[:18], -1).astype(np.int32)},
        ("average", "out"): {
            "source_index": np.array([17, 3, 0, 9], np.int32),
            "target_index": np.array([2, 0, 3, 1], np.int32),
        },
    }
    weights = {pair: _weights(rng, geometry) for pair, geometry in geometries.items()}
    weights = {pair: None if values is None else to_grid(gain * values) for pair, values in weights.items()}
    projections = tuple(
        Projection(source, target, geometry, weights[source, target], **indices.get((source, target), {}))
        for (source, target), geometry in geometries.items()
    )
    shapes = {"conv": (5, 4, 3), "pool": (3, 2, 3), "average": (2, 3, 3), "mixed": (24,), "out": (4,)}
    kinds = {"pool": "max_pool", "out": "readout"}
    depths = {"conv": 1, "pool": 1, "average": 2, "mixed": 3, "out": 4}
    populations = tuple(
        Population(
            name,
            kinds.get(name, "spiking"),
            shape,
            np.zeros(shape) if name in ("pool", "average") else to_grid(gain * rng.normal(0.05, 0.1, shape)),
            depths[name],
        )
        for name, shape in shapes.items()
    )
    return Network(populations, projections, (5, 4, 2), grid=GRID)


def _weights(rng, geometry):
    """Draw weights on the grid, most of them positive, or the shares of an average."""
    if geometry.kind == "max_pool":
        return None
    if geometry.kind == "average_pool":
        return np.full(geometry.output_shape, to_grid(1 / math.prod(geometry.kernel_size)))
    fan_in = np.prod(geometry.kernel_size) * (19 if geometry.kind == "dense" else 2)
    return to_grid(rng.normal(0.6, 1.5, geometry.weights_shape) / fan_in)


def small_images(n_images=3, seed=2):
    """Return images whose products with the weights do not lie on the grid."""
    return np.random.default_rng(seed).uniform(size=(n_images, 5, 4, 2))


def constant_network(currents):
    """Return a layer of neurons with a constant current each, which the image does not change, and a readout."""
    size = len(currents)
    populations = (
        Population("layer", "spiking", (size,), to_grid(currents), 1),
        Population("out", "readout", (1,), np.zeros(1), 2),
    )
    image = Projection(INPUT, "layer", Geometry("dense", (1,), (size,)), np.zeros((1, size)))
    out = Projection("layer", "out", Geometry("dense", (size,), (1,)), to_grid(np.full((size, 1), 0.25)))
    return Network(populations, (image, out), (1,), grid=GRID)


# --- its simulation -------------------------------------------------------------------------------------------------


def exact_current(matrix, bias, images):
    """Return W x + b rounded to the grid, from exact fractions."""
    flat = images.reshape(len(images), -1)
    current = np.empty((len(images), matrix.shape[1]))
    for image, target in np.ndindex(*current.shape):
        terms = (Fraction(w) * Fraction(x) for w, x in zip(matrix[:, target], flat[image], strict=True) if w)
        current[image, target] = round((sum(terms, Fraction(0)) + Fraction(bias[target])) / Fraction(GRID)) * GRID
    return current


def longest_paths(network):
    """Return the depth of each population: how many membranes lie on its longest path from the image, its own too."""
    depths = {INPUT: 0}
    for population in network.populations:
        below = max((depths[projection.source] for projection in network.into(population.name)), default=0)
        depths[population.name] = below + (population.kind in ("spiking", "readout"))
    return depths


class Loop:
    """The state of every population, advanced by one step at a time."""

    #: Further fields of a `Result` that a subclass keeps.
    books = ()

    def __init__(self, network, images, settings):
        """Make matrices and currents."""
        self.network, self.settings, self.n_images = network, settings, len(images)
        self.threshold, self.v_init = float(to_grid(settings.threshold)), float(to_grid(settings.v_init))
        names = {p.name: p.size for p in network.populations}
        self.depths = longest_paths(network)
        self.matrices, self.current = {}, {}
        for p in network.projections:
            weights = None if p.weights is None else to_grid(self.threshold * p.weights)
            n_source = images[0].size if p.source == INPUT else names[p.source]
            matrix, ends = projection_matrix(p, weights, n_source, names[p.target]), (p.source, p.target)
            others = self.matrices.get(ends, np.zeros_like(matrix))
            self.matrices[ends] = np.maximum(others, matrix) if weights is None else others + matrix
        for population in network.populations:
            bias, image_map = to_grid(self.threshold * population.bias).ravel(), (INPUT, population.name)
            if image_map in self.matrices:
                bias = exact_current(self.matrices.pop(image_map), bias, images)
            self.current[population.name] = np.broadcast_to(bias, (self.n_images, population.size))
        self.v = {name: np.full((self.n_images, size), self.v_init) for name, size in names.items()}
        self.counts, self.spikes, self.charge, self.surplus, self.hit = (
            {name: np.zeros((self.n_images, size)) for name, size in names.items()} for _ in range(5)
        )

    def start(self, population):
        """Return the number of clamped steps."""
        return min(self.settings.steps, self.settings.clamp * (self.depths[population.name] - 1))

    def fires(self, population):
        """Whether a population spikes at all."""
        return population.kind != "readout" or self.settings.readout == "spikes"

    def into(self, name):
        """Return (source, matrix) of everything that ends at a population."""
        return [(source, matrix) for (source, target), matrix in self.matrices.items() if target == name]

    def add(self, population, z, step):
        """Add charge to a population, unless it is clamped. Steps are counted from 1."""
        if step > self.start(population):
            self.v[population.name] = self.v[population.name] + z
            self.charge[population.name] = self.charge[population.name] + z

    def fire(self, population, step):
        """Compare with the threshold."""
        open_gate = self.fires(population) and step > self.start(population)
        self.spikes[population.name] = ((self.v[population.name] >= self.threshold) & open_gate).astype(float)

    def reset(self, population):
        """Apply Eq. (4a) or (4b) where there was a spike, and count it."""
        name, spikes = population.name, self.spikes[population.name]
        over = self.v[name] - self.threshold * np.where(spikes != 0, spikes, 1)
        if self.settings.reset == "zero":
            self.surplus[name] += spikes * over
            self.v[name] = self.v[name] * (1 - spikes)
        else:
            self.v[name] = np.where(spikes != 0, over, self.v[name])
        self.counts[name] = self.counts[name] + spikes

    def pool(self, name, counts):
        """Return the largest count in each window."""
        return np.maximum.reduce([(counts[s][:, :, None] * matrix[None]).max(axis=1) for s, matrix in self.into(name)])

    def same_step(self, step):
        """Advance one step; spikes reach their targets within it."""
        for population in self.network.populations:
            self.advance(population, step)

    def heard(self):
        """Return the spikes of each population that reach its targets now."""
        return self.spikes

    def seen(self):
        """Return how many have."""
        return self.counts

    def advance(self, population, step):
        """Advance one population whose sources have made the step."""
        name = population.name
        if population.kind == "max_pool":
            largest = self.pool(name, self.seen())
            self.spikes[name], self.counts[name] = largest - self.counts[name], largest
            return
        arrives = sum((self.heard()[source] @ matrix for source, matrix in self.into(name)), np.zeros(1))
        self.add(population, arrives + self.current[name], step)
        self.fire(population, step)
        self.reset(population)

    def brian2(self, step):
        """Advance one step in Brian2's own order: all integrate, all are thresholded, all send, all are reset."""
        membranes = [p for p in self.network.populations if p.kind != "max_pool"]
        pools = [p.name for p in self.network.populations if p.kind == "max_pool"]
        for population in membranes:
            self.add(population, self.current[population.name], step)
            self.fire(population, step)
        for name in pools:
            self.spikes[name], self.hit[name] = self.hit[name], np.zeros_like(self.hit[name])
        for population in membranes:
            for source, matrix in self.into(population.name):
                self.add(population, self.spikes[source] @ matrix, step)
        after = {name: self.counts[name] + self.spikes[name] for name in self.counts}
        heard = {name: after[name] * self.spikes[name] for name in after}
        for name in pools:
            hit = (self.pool(name, heard) > self.counts[name]) & (self.spikes[name] == 0)
            # What reaches a unit in the step of its own spike is wiped out by its reset, as for any neuron.
            self.hit[name], self.counts[name] = hit.astype(float), after[name]
        for population in membranes:
            self.reset(population)


def loop_result(network, images, loop_class=Loop, **options):
    """Return the `Result` of a simulation by the loop, with everything recorded."""
    settings = Settings(**{"steps": STEPS, **options})
    loop = loop_class(network, images, settings)
    shapes = {p.name: (len(images), *p.shape) for p in network.populations}
    history, trains = [], {name: [] for name in shapes}
    for step in range(1, settings.steps + 1):
        getattr(loop, settings.schedule)(step)
        history.append({name: counts.astype(np.int32) for name, counts in loop.counts.items()})
        for name, spikes in loop.spikes.items():
            # A burst of several spikes is as many rows; negative ones are in none.
            sizes = np.maximum(spikes, 0).astype(int)
            rows = [(image, step, neuron) for image, neuron in np.argwhere(sizes) for _ in range(sizes[image, neuron])]
            trains[name] += rows

    def shaped(arrays):
        return {name: np.asarray(array).reshape(shapes[name]) for name, array in arrays.items()}

    return Result(
        network=network,
        settings=settings,
        images=images,
        spike_counts=shaped(history[-1]),
        potentials=shaped(
            {n: v if network[n].kind in ("spiking", "readout") else np.zeros(shapes[n]) for n, v in loop.v.items()}
        ),
        charge=shaped(loop.charge),
        negative_counts=shaped(getattr(loop, "negative_counts", {})),
        booked={book: shaped(getattr(loop, book, {})) for book in ("surplus", "leaked", "missed", *loop.books)},
        early_counts={(name, s): shaped(history[s - 1])[name] for name in shapes for s in range(1, settings.steps)},
        checkpoints=np.array(CHECKPOINTS, np.int32),
        count_history={name: np.array([shaped(history[c - 1])[name] for c in CHECKPOINTS]) for name in shapes},
        total_counts={name: np.array([history[c - 1][name].sum(axis=1) for c in CHECKPOINTS]) for name in shapes},
        spike_trains={name: np.array(sorted(rows), np.int32).reshape(-1, 3) for name, rows in trains.items()},
    )


#: What a result says of every neuron at the end.
FINAL = ("spike_counts", "potentials", "charge", "surplus")


def differences(result, expected, fields=FINAL):
    """Return (field, population) of everything that differs."""
    return [
        (field, name)
        for field in fields
        for name, values in result.by_population(field).items()
        if not np.array_equal(values, expected.by_population(field)[name])
    ]

"""A network as integers, run by `twin.c`: a program of `int32_t` that shares nothing with the simulation."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from brian_snn.backends.compiler import find_compiler
from brian_snn.network.records import INPUT
from tests.small_network import longest_paths, projection_matrix

KINDS = {"spiking": 0, "max_pool": 1, "readout": 2}
OVERFLOWS = {"": 0, "saturate": 1, "wrap": 2}
_FLAGS = ("-x", "c", "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror")


@functools.cache
def program():
    """Compile the program once; returns its path."""
    folder = Path(tempfile.mkdtemp(prefix="twin"))
    source = Path(__file__).with_name("twin.c")
    subprocess.run([*find_compiler(), *_FLAGS, str(source), "-o", str(folder / "twin")], check=True)
    return folder / "twin"


def whole(values, unit):
    """Return numbers in units, as int32; what is no integer there, or too large, is a mistake."""
    multiples = np.asarray(values, np.float64) / unit
    assert np.array_equal(multiples, np.rint(multiples)), f"no multiples of {unit}"
    assert np.abs(multiples).max(initial=0) < 2**31
    return multiples.astype(np.int32)


def unit_by_fractions(arrays):
    """Return the largest power of two of which all numbers are multiples, from their fractions."""
    numbers = {Fraction(float(x)) for array in arrays for x in np.unique(array) if x}
    exponents = []
    for number in numbers:
        least = number.numerator & -number.numerator
        exponents.append(least.bit_length() - number.denominator.bit_length())
    return 2.0 ** min(exponents, default=0)


class Twin:
    """The integers of a network: matrices and currents of every population, in units of its own."""

    def __init__(self, network, images, settings, units=None):
        """Lay out the numbers; `units` are given where a width counts from them."""
        self.network, self.settings, self.n_images = network, settings, len(images)
        self.sizes = {p.name: p.size for p in network.populations}
        self.matrices = {}
        for p in network.projections:
            n_source = images[0].size if p.source is INPUT else self.sizes[p.source]
            weights = None if p.weights is None else settings.threshold * p.weights
            matrix = projection_matrix(p, weights, n_source, self.sizes[p.target])
            self.matrices[p.source, p.target] = matrix + self.matrices.get((p.source, p.target), 0)
        self.currents = {p.name: self._current(p, images) for p in network.populations}
        self.units = units or {p.name: self._unit(p) for p in network.populations}

    def _current(self, population, images):
        """Return the current of each image, rounded to the grid from exact fractions."""
        bias = self.settings.threshold * population.bias.ravel()
        matrix = self.matrices.pop((INPUT, population.name), None)
        if matrix is None:
            return np.broadcast_to(bias, (len(images), len(bias)))
        current, grid = np.empty((len(images), len(bias))), Fraction(self.network.grid)
        for image, target in np.ndindex(*current.shape):
            (used,) = np.nonzero(matrix[:, target])
            pixels = images[image].ravel()
            terms = (Fraction(float(matrix[i, target])) * Fraction(float(pixels[i])) for i in used)
            total = sum(terms, Fraction(float(bias[target])))
            current[image, target] = round(total / grid) * grid
        return current

    def into(self, name):
        """Return (source, matrix) of everything that ends at a population."""
        return [(source, matrix) for (source, target), matrix in self.matrices.items() if target == name]

    def _unit(self, population):
        """Return the unit of a population."""
        if population.kind == "max_pool":
            return 1.0
        weights = [matrix for _, matrix in self.into(population.name)]
        ends = [self.settings.v_init, self.settings.threshold * population.threshold]
        return unit_by_fractions([*weights, self.currents[population.name], ends])

    def _numbers(self, population, order, first_step, bits, overflow):
        """Return all that the program reads of a population."""
        unit, kind = self.units[population.name], population.kind
        kind = "spiking" if kind == "readout" and self.settings.readout == "spikes" else kind
        ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if overflow else (0, 0)
        reset = int(self.settings.reset == "zero")
        sources = self.into(population.name)
        ends_of_v = [self.settings.threshold * population.threshold, self.settings.v_init]
        threshold, v_init = (0, 0) if kind == "max_pool" else whole(ends_of_v, unit)
        head = [KINDS[kind], population.size, threshold, v_init, first_step, reset]
        yield np.array([*head, OVERFLOWS[overflow], *ends, len(sources)], np.int32)
        for source, matrix in sources:
            yield np.array([order[source]], np.int32)
            yield whole(matrix, unit)
        yield whole(self.currents[population.name], unit)

    def run(self, bits=None, overflow=""):
        """Return counts and potentials by population, (n_images, size); `bits` of each that has a potential."""
        populations, settings = self.network.populations, self.settings
        order = {p.name: k for k, p in enumerate(populations)}
        depths = longest_paths(self.network)
        parts = [np.array([self.n_images, settings.steps, len(populations)], np.int32)]
        for p in populations:
            width = (bits[p.name], overflow) if bits and p.name in bits else (1, "")
            first_step = 0 if p.kind == "max_pool" else settings.clamp * (depths[p.name] - 1)
            parts += self._numbers(p, order, min(first_step, settings.steps), *width)
        stdin = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
        run = subprocess.run([str(program())], input=stdin, stdout=subprocess.PIPE, check=True)
        flat = np.frombuffer(run.stdout, np.int32).reshape(self.n_images, -1)
        ends = np.cumsum([size for p in populations for size in (p.size, p.size)])[:-1]
        pieces = np.split(flat, ends, axis=1)
        counts = {p.name: pieces[2 * k] for k, p in enumerate(populations)}
        potentials = {p.name: pieces[2 * k + 1] * self.units[p.name] for k, p in enumerate(populations)}
        return counts, potentials

"""Neurons that differ from one to the next, as those of analog chips do: numbers drawn once for every neuron.

They depend on the seed, on the name of the population and on what is drawn, and on nothing else: a neuron is the same
for all images. On machines with another mathematical library the last bits of a logarithm and a cosine may differ; the
grid rounds them away, but for a number that lies at the very edge between two multiples.

The threshold of a neuron is V_thr + d. A spike takes as much, and the book ``mismatched`` notes the d of each, so that
N V_thr of the charge balance keeps its meaning.
"""

from __future__ import annotations

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.network.grid import on_grid
from brian_snn.network.parameters import own_threshold
from brian_snn.network.records import Population
from brian_snn.neurons.part import Part, PartState
from brian_snn.neurons.record import Book, Scene
from brian_snn.randomness import drawn_once
from brian_snn.settings import Settings

MISMATCHED = Book("mismatched", True, "mismatch", "a smaller threshold_mismatch")

_EQUATIONS = """mismatched : 1  # charge that spikes took more than V_thr each
offset : 1 (constant)  # d_i | how far the threshold of a neuron is from V_thr, drawn from the seed
"""

#: No threshold is lower than this part of V_thr, however wide they spread.
_LOWEST = 2.0**-4


def threshold_mismatch(population: Population, settings: Settings, grid: float) -> Part | None:
    """Return the thresholds that differ; None if none does."""
    if not settings.threshold_mismatch:
        return None
    return Part(
        state=_Thresholds,
        equations=_EQUATIONS,
        barrier="offset",
        price="offset",
        gains={"mismatched": "offset"},
        books=(MISMATCHED,),
        charges=("mismatched", "offset"),
        zeroed=("mismatched",),
        arrays={"offset": lambda: _offsets(population, settings, grid)},
        title="each with its own threshold",
        barrier_symbol="d_i",
        no_law="its threshold is its own; the charge balance has a term for that, the rate law has none",
    )


def _offsets(population: Population, settings: Settings, grid: float) -> FloatArray:
    """Return d of every neuron, on the grid."""
    threshold = own_threshold(settings.threshold, population, grid)
    drawn = drawn_once(settings.seed, f"threshold of {population.name}", population.size)
    relative = settings.threshold_mismatch * drawn
    return on_grid(threshold * np.maximum(relative, _LOWEST - 1), grid)


class _Thresholds(PartState):
    """The thresholds in NumPy."""

    def __init__(self, scene: Scene) -> None:
        base = scene.settings, scene.parameters.network.grid
        self.barrier = self.price = _offsets(scene.population, *base)

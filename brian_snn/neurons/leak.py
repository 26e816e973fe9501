"""The leak: the part of V that is gone before each step's input arrives.

    l(t) = (1 - exp(-dt / tau_m)) V(t-1), rounded to the grid

The rounding keeps V on the grid, and so sums exact; it is at most half a grid step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.network.records import Population
from brian_snn.neurons.part import Part, PartState, lost_in_a_step
from brian_snn.neurons.record import Book, Scene
from brian_snn.randomness import drawn_once
from brian_snn.settings import Settings

LEAKED = Book("leaked", True, "leak", "a longer time constant tau_m")

_EQUATIONS = """leaked : 1  # charge that the leak took
leak_rate : 1 ({kind}constant)  # (1 - beta) / g | part of V that leaks away in a step, over the grid
grid : 1 (shared, constant)  # g | grid of which all charges are multiples
"""


def leak(population: Population, settings: Settings, grid: float, fires: bool) -> Part | None:
    """Return the leak of a population; None if nothing leaks."""
    part = _in_a_step(population, settings, fires)
    if not part:
        return None
    # Times V the rate is the leak in multiples of the grid.
    varies = settings.leak_mismatch > 0
    return Part(
        state=lambda scene: _Leak(scene, fires),
        equations=_EQUATIONS.format(kind="" if varies else "shared, "),
        changes="loss = nearest_product(v, leak_rate) * grid * awake\nv -= loss\nleaked += loss",
        books=(LEAKED,),
        charges=("leaked",),
        zeroed=("leaked",),
        constants={"grid": grid} if varies else {"leak_rate": part / grid, "grid": grid},
        arrays={"leak_rate": lambda: _rates(population, settings, part) / grid} if varies else {},
        title="leaky",
        formula=(r"l_i(t) &= g \, \mathrm{rint}((1 - \beta) V_i(t-1) / g)",),
        term=" - l_i(t)",
        no_law="its potential leaks; the charge balance has a term for that, the rate law has none",
    )


def _in_a_step(population: Population, settings: Settings, fires: bool) -> float:
    """Return 1 - beta: the population's own if it has one, else 1 - exp(-dt / tau_m) of a neuron that fires."""
    if population.leak or not fires:
        return population.leak
    return lost_in_a_step(settings, settings.tau_m)


def _rates(population: Population, settings: Settings, part: float) -> FloatArray:
    """Return 1 - beta of every neuron; none gains, and none loses more than all."""
    drawn = drawn_once(settings.seed, f"leak of {population.name}", population.size)
    return np.clip(part * (1 + settings.leak_mismatch * drawn), 0.0, 1.0)


class _Leak(PartState):
    """The leak in NumPy."""

    def __init__(self, scene: Scene, fires: bool) -> None:
        self._grid = scene.parameters.network.grid
        part = _in_a_step(scene.population, scene.settings, fires)
        varies = scene.settings.leak_mismatch > 0
        self._rate = (_rates(scene.population, scene.settings, part) if varies else part) / self._grid

    def change(self, step: int, v: FloatArray, awake: NDArray[np.bool_] | float) -> None:
        """Let V leak."""
        v -= np.rint(v * self._rate) * self._grid * awake

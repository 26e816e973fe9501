"""Adaptation: a neuron that has spiked spikes less readily for a while.

Every spike adds ``adaptation_step`` V_thr to A, which decays with ``tau_adaptation`` by a part that is rounded to the
grid. With ``adaptation="threshold"`` the threshold is V_thr + A, and a spike still takes V_thr: the charge of a
constant input is not lost but waits in V, and S11 holds. With ``"current"`` A is a current out of the membrane; what it
takes is the book ``adapted``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.network.grid import on_grid
from brian_snn.network.parameters import own_threshold
from brian_snn.network.records import Population
from brian_snn.neurons.part import Part, PartState, lost_in_a_step
from brian_snn.neurons.record import Book, Scene, Spikes
from brian_snn.settings import Settings

ADAPTED = Book("adapted", True, "adaptation", "a smaller adaptation_step")

_EQUATIONS = """adaptation : 1  # A_i | adaptation
adaptation_rate : 1 (shared, constant)  # r_A / g | part of A_i that decays in a step, over the grid
adaptation_grid : 1 (shared, constant)  # g | the grid
adaptation_step : 1 (shared, constant)  # a | what a spike adds to A_i
"""
_ADAPTED = "adapted : 1  # charge that an adaptation current took\n"
_DECAY = "adaptation -= nearest_product(adaptation, adaptation_rate) * adaptation_grid * active"
_TAKES = "\nv -= adaptation * awake\nadapted += adaptation * awake"


def adaptation(population: Population, settings: Settings, grid: float) -> Part | None:
    """Return how a population adapts; None if it does not."""
    if not settings.adaptation_step:
        return None
    takes = settings.adaptation == "current"
    step, rate = _step(population, settings, grid), _rate(settings)
    return Part(
        state=_Current if takes else _Threshold,
        equations=_EQUATIONS + _ADAPTED * takes,
        changes=_DECAY + _TAKES * takes,
        barrier="" if takes else "adaptation",
        gains={"adaptation": "adaptation_step"},
        books=(ADAPTED,) if takes else (),
        charges=("adaptation", "adaptation_step", *["adapted"] * takes),
        zeroed=("adaptation", *["adapted"] * takes),
        constants={"adaptation_rate": rate / grid, "adaptation_grid": grid, "adaptation_step": step},
        title="with an adaptation current" if takes else "with an adaptive threshold",
        formula=(
            r"D_i(t) &= A_i(t-1) + a \, \Theta_i(t-1)",
            r"A_i(t) &= D_i(t) - g \, \mathrm{rint}(r_A D_i(t) / g)",
        ),
        term=" - A_i(t)" * takes,
        barrier_symbol="A_i(t)",
        no_law=_no_law(takes, settings),
        # Of all the spikes that there may be in every step, with what the rounding of the decay leaves.
        charge_a_step=(settings.burst * step / rate + grid / rate) * takes,
    )


def _no_law(takes: bool, settings: Settings) -> str:
    """Return why the rate law says nothing."""
    if takes:
        return "its adaptation takes charge; the charge balance has a term for that, the rate law has none"
    return "its threshold rises with its spikes, and S9 rests on one" if settings.reset == "zero" else ""


def _rate(settings: Settings) -> float:
    """Return the part of A that decays in a step."""
    return lost_in_a_step(settings, settings.tau_adaptation)


def _step(population: Population, settings: Settings, grid: float) -> float:
    """Return what a spike adds to A."""
    return float(on_grid(settings.adaptation_step * own_threshold(settings.threshold, population, grid), grid))


class _Adaptation(PartState):
    """A in NumPy."""

    def __init__(self, scene: Scene) -> None:
        self._grid = scene.parameters.network.grid
        self._rate = _rate(scene.settings) / self._grid
        self._step = _step(scene.population, scene.settings, self._grid)
        self._a = np.zeros(scene.current.shape)

    def change(self, step: int, v: FloatArray, awake: NDArray[np.bool_] | float) -> None:
        """Let A decay."""
        self._a -= np.rint(self._a * self._rate) * self._grid

    def spiked(self, spikes: Spikes) -> None:
        """Add to A."""
        self._a += self._step * spikes


class _Threshold(_Adaptation):
    """A on top of the threshold."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.barrier = self._a


class _Current(_Adaptation):
    """A as a current."""

    def change(self, step: int, v: FloatArray, awake: NDArray[np.bool_] | float) -> None:
        """Let A decay, and take charge."""
        super().change(step, v, awake)
        v -= self._a * awake

"""Synapses that open conductances: what a spike brings depends on how far V is from a reversal potential.

A weight is the charge that a spike brings at rest, V = 0. Of the excitation D and the inhibition J that arrive in a
step

    s(t) = D (1 - V / E_e) - J (1 - V / E_i),    E_i < 0 < V_thr < E_e,    V of the step before

reaches the membrane, the products rounded to the grid; either of the two carries V at most to its reversal potential.
The more a neuron is excited, the less each further spike brings, so the sum over spikes is linear no more
and no rate law follows. What the linear sum has more than s is the book ``shunted``. Constant currents, of the image
and of biases, are injected: no conductance goes with them.
"""

from __future__ import annotations

import math

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.network.grid import on_grid
from brian_snn.network.parameters import own_threshold
from brian_snn.network.records import Population
from brian_snn.neurons.part import ARRIVES, Part, PartState
from brian_snn.neurons.record import Book, Scene
from brian_snn.settings import Settings

SHUNTED = Book("shunted", False, "conductance", "reversal potentials that lie further from rest")

#: Stands for a reversal potential at infinity, where there is none: no potential comes near.
_FAR = 2.0**60

_EQUATIONS = """shunted : 1  # charge that spikes would have brought at rest, less what they brought
excitatory_rate : 1 (shared, constant)  # 1 / (g E_e) | driving force of excitation
inhibitory_rate : 1 (shared, constant)  # -1 / (g E_i) | driving force of inhibition
excitatory_reversal : 1 (shared, constant)  # E_e | reversal potential of excitation
inhibitory_reversal : 1 (shared, constant)  # E_i | reversal potential of inhibition
conductance_grid : 1 (shared, constant)  # g | the grid
"""
_FILTERS = f"""up = excitation * active
down = inhibition * active
to_up = excitatory_reversal - v
to_down = inhibitory_reversal - v
driven_up = up - nearest_product(v * up, excitatory_rate) * conductance_grid
driven_down = -down - nearest_product(v * down, inhibitory_rate) * conductance_grid
drive = clip(driven_up, clip(to_up, -{_FAR!r}, 0), clip(to_up, 0, {_FAR!r}))
drive += clip(driven_down, clip(to_down, -{_FAR!r}, 0), clip(to_down, 0, {_FAR!r}))
shunted += up - down - drive"""


def splits(settings: Settings) -> bool:
    """Whether synapses are conductances, so that excitation and inhibition act apart."""
    return math.isfinite(settings.reversal_excitatory) or math.isfinite(settings.reversal_inhibitory)


def conductance(population: Population, settings: Settings, grid: float) -> Part:
    """Return the driving force on what arrives."""
    up, down = _reversals(population, settings, grid)
    return Part(
        state=_Conductance,
        equations=_EQUATIONS,
        filters=_FILTERS,
        books=(SHUNTED,),
        charges=("shunted", "excitatory_reversal", "inhibitory_reversal"),
        zeroed=("shunted",),
        title="conductance-based synapses",
        formula=(
            rf"D_i(t) - J_i(t) &= {ARRIVES} \text{{, excitation less inhibition}}",
            r"e_i(t) &= D_i(t) - g \, \mathrm{rint}(V_i(t-1) D_i(t) / (g E_e)) \text{, at most } E_e - V_i(t-1)",
            r"f_i(t) &= -J_i(t) - g \, \mathrm{rint}(-V_i(t-1) J_i(t) / (g E_i)) \text{, at most } E_i - V_i(t-1)",
            r"s_i(t) &= e_i(t) + f_i(t)",
        ),
        given="s_i(t)",
        constants={
            "excitatory_rate": 1 / (up * grid) if up < _FAR else 0.0,
            "inhibitory_rate": -1 / (down * grid) if down > -_FAR else 0.0,
            "excitatory_reversal": up,
            "inhibitory_reversal": down,
            "conductance_grid": grid,
        },
    )


def _reversals(population: Population, settings: Settings, grid: float) -> tuple[float, float]:
    """Return E_e and E_i on the grid, far away where there is none."""
    threshold = own_threshold(settings.threshold, population, grid)
    ends = settings.reversal_excitatory, settings.reversal_inhibitory
    up, down = (float(on_grid(e * threshold, grid)) if math.isfinite(e) else math.copysign(_FAR, e) for e in ends)
    return up, down


class _Conductance(PartState):
    """The driving force in NumPy."""

    def __init__(self, scene: Scene) -> None:
        self._grid = scene.parameters.network.grid
        self._up, self._down = _reversals(scene.population, scene.settings, self._grid)
        self._rates = (
            1 / (self._up * self._grid) if self._up < _FAR else 0.0,
            -1 / (self._down * self._grid) if self._down > -_FAR else 0.0,
        )

    def filter(self, arrives: FloatArray | float, v: FloatArray) -> FloatArray:
        """Return what reaches the membrane of excitation and inhibition."""
        reached = np.zeros(v.shape)
        ends = ((1.0, self._up, self._rates[0]), (-1.0, self._down, self._rates[1]))
        for charge, (sign, end, rate) in zip(np.broadcast_to(arrives, (2, *v.shape)), ends, strict=True):
            driven = sign * charge - np.rint(v * charge * rate) * self._grid
            reached += np.clip(driven, np.minimum(end - v, 0.0), np.maximum(end - v, 0.0))
        return reached

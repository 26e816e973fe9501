"""Synaptic currents with a time constant: a spike brings its charge not at once, but over some time.

What arrived and was not given yet is X, the book ``waiting``. An exponential synapse gives in each step

    z(t) = (1 - exp(-dt / tau_syn)) X(t), rounded to the grid,    X(t) = X(t-1) - z(t-1) + what arrives in step t

and an alpha synapse passes what arrives through two such stages. All of the charge arrives in the end but for what the
rounding holds back, less than half a grid step over the rate of each stage; so S11 holds with a delay of charge,
X(T) / V_thr spikes at the end.
"""

from __future__ import annotations

import math

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.neurons.part import ARRIVES, Part, PartState
from brian_snn.neurons.record import Book, Scene
from brian_snn.settings import Settings

WAITING = Book("waiting", False, "synapse", "a shorter time constant tau_syn, or more steps")

_EQUATIONS = "waiting : 1\nsynapse_rate : 1 (shared, constant)\nsynapse_grid : 1 (shared, constant)\n"
_EXPONENTIAL = """waiting += drive * active
drive = nearest_product(waiting, synapse_rate) * synapse_grid
waiting -= drive"""
_ALPHA = """rising += drive * active
waiting += drive * active
rising -= nearest_product(rising, synapse_rate) * synapse_grid
drive = nearest_product(waiting - rising, synapse_rate) * synapse_grid
waiting -= drive"""
_GIVEN = r"s_i(t) &= g \, \mathrm{rint}(r_s X_i(t) / g)"
_EXPONENTIAL_FORMULA = (rf"X_i(t) &= X_i(t-1) - s_i(t-1) + {ARRIVES}", _GIVEN)
_ALPHA_FORMULA = (
    rf"Y_i(t) &= Y_i(t-1) - p_i(t-1) + {ARRIVES}",
    r"p_i(t) &= g \, \mathrm{rint}(r_s Y_i(t) / g)",
    r"X_i(t) &= X_i(t-1) - s_i(t-1) + p_i(t)",
    _GIVEN,
)


def synapse(settings: Settings, grid: float, receives_spikes: bool) -> Part | None:
    """Return what filters the spikes that arrive; None where they bring their charge at once."""
    if not (receives_spikes and float(settings.tau_syn)):
        return None
    rises = settings.synapse == "alpha"
    return Part(
        state=_Alpha if rises else _Exponential,
        equations=_EQUATIONS + "rising : 1\n" * rises,
        filters=_ALPHA if rises else _EXPONENTIAL,
        books=(WAITING,),
        charges=("waiting", *["rising"] * rises),
        zeroed=("waiting", *["rising"] * rises),
        title=f"{settings.synapse} synapses",
        formula=_ALPHA_FORMULA if rises else _EXPONENTIAL_FORMULA,
        given="s_i(t)",
        constants={"synapse_rate": _rate(settings) / grid, "synapse_grid": grid},
    )


def _rate(settings: Settings) -> float:
    """Return the part of what waits that is given in a step."""
    return -math.expm1(-float(settings.dt) / float(settings.tau_syn))


class _Exponential(PartState):
    """Exponential synapses in NumPy."""

    def __init__(self, scene: Scene) -> None:
        self._grid = scene.parameters.network.grid
        self._rate = _rate(scene.settings) / self._grid
        self._waiting = np.zeros(scene.current.shape)

    def filter(self, arrives: FloatArray | float) -> FloatArray:
        """Give a part of what waits."""
        self._waiting += arrives
        return self._given(self._waiting)

    def _given(self, waiting: FloatArray) -> FloatArray:
        """Take from what waits what is given."""
        given = np.rint(waiting * self._rate) * self._grid
        waiting -= given
        return given


class _Alpha(_Exponential):
    """Alpha synapses in NumPy: what the first stage gives waits in the second."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._second = np.zeros(scene.current.shape)

    def filter(self, arrives: FloatArray | float) -> FloatArray:
        """Give a part of what waits in the second stage."""
        self._second += super().filter(arrives)
        return self._given(self._second)

"""Synaptic currents with a time constant: a spike brings its charge not at once, but over some time.

What arrived and was not given yet is X, the book ``waiting``. An exponential synapse gives in each step

    s(t) = (1 - exp(-dt / tau_syn)) X(t), rounded to the grid,    X(t) = X(t-1) - s(t-1) + what arrives in step t

and an alpha synapse passes what arrives through two such stages. All of the charge arrives in the end but for what the
rounding holds back, less than half a grid step over the rate of each stage; so S11 holds with a delay of charge,
X(T) / V_thr spikes at the end. Where excitation and inhibition arrive apart, each has stages of its own.
"""

from __future__ import annotations

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.neurons.part import ARRIVES, Part, PartState, lost_in_a_step
from brian_snn.neurons.record import Book, Scene
from brian_snn.settings import Settings

WAITING = Book("waiting", False, "synapse", "a shorter time constant tau_syn, or more steps")

_CONSTANTS = """synapse_rate : 1 (shared, constant)  # r_s / g | part of it that a stage gives in a step, over the grid
synapse_grid : 1 (shared, constant)  # g | the grid
"""
_MEANINGS = {
    "waiting": "X_i, or X_i + Y_i before they have given | charge that spikes have brought and synapses hold",
    "rising": "Y_i | the part of it that is in the first stage of an alpha synapse",
    "waiting_excitation": "of what synapses hold, that of positive weight",
    "waiting_inhibition": "of what synapses hold, that of negative weight",
    "rising_excitation": "the part of it in the first stage of an alpha synapse",
    "rising_inhibition": "the part of it in the first stage of an alpha synapse",
}

_GIVEN = r"s_i(t) &= g \, \mathrm{rint}(r_s X_i(t) / g)"
_EXPONENTIAL_FORMULA = (rf"X_i(t) &= X_i(t-1) - s_i(t-1) + {ARRIVES}", _GIVEN)
_ALPHA_FORMULA = (
    rf"Y_i(t) &= Y_i(t-1) - p_i(t-1) + {ARRIVES}",
    r"p_i(t) &= g \, \mathrm{rint}(r_s Y_i(t) / g)",
    r"X_i(t) &= X_i(t-1) - s_i(t-1) + p_i(t)",
    _GIVEN,
)


def synapse(settings: Settings, grid: float, receives_spikes: bool, splits: bool = False) -> Part | None:
    """Return what filters the spikes that arrive; None where they bring their charge at once.

    Parameters
    ----------
    splits : bool
        Whether excitation and inhibition arrive apart.
    """
    if not (receives_spikes and float(settings.tau_syn)):
        return None
    rises = settings.synapse == "alpha"
    kinds = ("excitation", "inhibition") if splits else ("drive",)
    waiting = [f"waiting_{kind}" for kind in kinds] if splits else ["waiting"]
    rising = [f"rising_{kind}" if splits else "rising" for kind in kinds] * rises
    stages = dict.fromkeys(["waiting", *waiting, *rising])
    filters = [_filter(*names) for names in zip(kinds, waiting, rising or [""] * len(kinds), strict=True)]
    return Part(
        state=lambda scene: (_Alpha if rises else _Exponential)(scene, splits),
        equations="".join(f"{name} : 1  # {_MEANINGS[name]}\n" for name in stages) + _CONSTANTS,
        filters="\n".join([*filters, *["waiting = waiting_excitation - waiting_inhibition"] * splits]),
        books=(WAITING,),
        charges=tuple(stages),
        zeroed=tuple(stages),
        title=f"{settings.synapse} synapses",
        formula=_ALPHA_FORMULA if rises else _EXPONENTIAL_FORMULA,
        given="s_i(t)",
        constants={"synapse_rate": lost_in_a_step(settings, settings.tau_syn) / grid, "synapse_grid": grid},
    )


def _filter(arrives: str, waiting: str, rising: str) -> str:
    """Return the statements that let one kind of charge wait, in two stages if there is a name for the first."""
    gives = f"{arrives} = nearest_product({{}}, synapse_rate) * synapse_grid\n{waiting} -= {arrives}"
    if not rising:
        return f"{waiting} += {arrives} * active\n" + gives.format(waiting)
    return (
        f"{rising} += {arrives} * active\n{waiting} += {arrives} * active\n"
        f"{rising} -= nearest_product({rising}, synapse_rate) * synapse_grid\n" + gives.format(f"{waiting} - {rising}")
    )


class _Exponential(PartState):
    """Exponential synapses in NumPy."""

    def __init__(self, scene: Scene, splits: bool) -> None:
        self._grid = scene.parameters.network.grid
        self._rate = lost_in_a_step(scene.settings, scene.settings.tau_syn) / self._grid
        self._waiting = np.zeros((2,) * splits + scene.current.shape)

    def filter(self, arrives: FloatArray | float, v: FloatArray) -> FloatArray:
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

    def __init__(self, scene: Scene, splits: bool) -> None:
        super().__init__(scene, splits)
        self._second = np.zeros_like(self._waiting)

    def filter(self, arrives: FloatArray | float, v: FloatArray) -> FloatArray:
        """Give a part of what waits in the second stage."""
        self._second += super().filter(arrives, v)
        return self._given(self._second)

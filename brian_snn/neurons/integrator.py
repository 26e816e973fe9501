"""The integrate-and-fire neuron of Eq. (4), with a leak and a refractory period if asked for.

    u(t) = V(t-1) - l(t) + z(t),    spike if u(t) >= V_thr,    V(t) = u - V_thr (4b)  or  0 (4a)
    l(t) = (1 - exp(-dt / tau_m)) V(t-1), rounded to the grid

The rounding of the leak is what keeps V on the grid, its sums exact, and the charge balance at a residual of 0; it is
at most half a grid step. A refractory neuron leaves V as it is. A readout that only integrates never spikes.

Every membrane keeps its own books: ``surplus`` is e, what a reset to zero threw away, ``leaked`` what a leak took, and
``missed`` what arrived while the neuron was refractory. ``charge`` is q, the sum of z(t) over the steps in which the
neuron was not clamped. A plain neuron, without leak or rest and in our schedule, receives straight into V and does not
sum it: its q is worked out after the run, N V_thr + V(T) - V(0) + e, which is what has been through its membrane
(`brian_snn.results.charges`). The others sum it step by step, so that the charge balance is one of measured numbers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.network.grid import on_grid
from brian_snn.network.roles import crosses_threshold, window_start
from brian_snn.neurons.record import Book, Neuron, NeuronModel, Scene
from brian_snn.settings import Settings

SURPLUS = Book("surplus", True, "surplus", "reset by subtraction has none", takes_excess=True, may_be_absent=True)
LEAKED = Book("leaked", True, "leak", "a longer time constant tau_m")
MISSED = Book("missed", False, "refractory", "a shorter refractory period")

# `active` is 0 while the clamp holds the population. Steps are counted from 0 at the start of each image.
_ACTIVE = "int(t_in_timesteps >= clamp_steps)"

_MEMBRANE = """
v : 1
current : 1
v_thr : 1 (shared, constant)
v_start : 1 (shared, constant)
clamp_steps : integer (shared)
"""
_DRIVE = "drive : 1\n"
_CHARGE = "charge : 1\n"
COUNT = "n_spikes : integer\n"
_SURPLUS = "surplus : 1\n"
_LEAK = """
leaked : 1
leak_rate : 1 (shared, constant)
grid : 1 (shared, constant)
"""
_REFRACTORY = """
missed : 1
ready_at : integer
refractory_steps : integer (shared, constant)
"""

_CHARGES = ("v", "current", "charge", "drive", "v_thr", "v_start", "surplus", "leaked", "missed")
_ZEROED = ("n_spikes", "charge", "surplus", "leaked", "missed", "drive", "ready_at")


def integrator(settings: Settings, grid: float, fires: bool, receives_spikes: bool, leak: float = 0.0) -> Neuron:
    """Return the neuron of a layer with a membrane.

    Parameters
    ----------
    settings : Settings
        Reset, schedule, leak and refractory period.
    grid : float
        Of the network.
    fires : bool
        False for a readout, which integrates only.
    receives_spikes : bool
        False where all input is a constant current.
    leak : float
        1 - beta of a population that has a leak of its own; 0 for that of the settings, which a readout has not.
    """
    part = leak_in_a_step(settings, fires, leak)
    leaks, rests = part > 0, fires and settings.refractory_steps > 0
    books = (*[SURPLUS] * (fires and settings.reset == "zero"), *[LEAKED] * leaks, *[MISSED] * rests)
    # Times V it is the leak in multiples of the grid.
    constants = {"leak_rate": part / grid, "grid": grid} if leaks else {}
    return Neuron(
        model=_model(settings, books, fires, receives_spikes),
        hears="charge",
        state=IntegratorState,
        fires=fires,
        books=books,
        law="S9" if settings.reset == "zero" else "S11",
        no_law=_no_law(settings, grid, books),
        solvable=not (leaks or rests),
        constants=constants | ({"refractory_steps": settings.refractory_steps} if rests else {}),
        title=_title(settings, books, fires),
        formula=_formula(settings, books, fires),
    )


def leak_in_a_step(settings: Settings, fires: bool, own: float) -> float:
    """Return 1 - beta: the population's own if it has one, else 1 - exp(-dt / tau_m) of a neuron that fires."""
    if own or not fires:
        return own
    return -math.expm1(-float(settings.dt) / float(settings.tau_m))


def _no_law(settings: Settings, grid: float, books: tuple[Book, ...]) -> str:
    """Return why the rate law of constant input says nothing about a neuron; empty if it applies."""
    if LEAKED in books:
        return "its potential leaks; the charge balance has a term for that, the rate law has none"
    if MISSED in books:
        return "it is refractory after each spike and misses what arrives then"
    if settings.reset == "zero" and float(on_grid(settings.v_init, grid)) != 0:
        return "V(0) is not 0, but S9 rests on S5, which needs V(0) = 0"
    return ""


def _title(settings: Settings, books: tuple[Book, ...], fires: bool) -> str:
    """Return what a paper calls the neuron."""
    leaky = "leaky " * (LEAKED in books)
    if not fires:
        return f"{leaky}integrator that never spikes"
    reset = "to zero (4a)" if settings.reset == "zero" else "by subtraction (4b)"
    return f"{leaky}integrate-and-fire neuron, reset {reset}{', refractory' * (MISSED in books)}"


def _formula(settings: Settings, books: tuple[Book, ...], fires: bool) -> tuple[str, ...]:
    """Return Eq. (4) with what the settings add to it; in Brian2's own order spikes arrive after the comparison."""
    before = settings.schedule == "same_step"
    delay = " - d" * (settings.delay_steps > 0)
    arrives = rf" + \sum_j w_{{ij}} \Theta_j(t{delay})"
    z, late = (arrives, "") if before else ("", arrives)
    awake = r" \text{ and no spike in the } n_{\mathrm{ref}} \text{ steps before}" * (MISSED in books)
    silent = r", \; \Theta_i(t) = 0" * fires
    after = rf"u_i(t){late}"
    if fires and settings.reset == "zero":
        after = rf"{f'[{after}]' if late else after}\,(1 - \Theta_i(t)) \quad \text{{(4a)}}"
    elif fires:
        after += r" - V_{\mathrm{thr}} \Theta_i(t) \quad \text{(4b)}"
    lines = [
        *[r"l_i(t) &= g \, \mathrm{rint}((1 - \beta) V_i(t-1) / g)"] * (LEAKED in books),
        rf"u_i(t) &= V_i(t-1){' - l_i(t)' * (LEAKED in books)} + I_i{z}",
        *[rf"\Theta_i(t) &= 1 \text{{ if }} u_i(t) \ge V_{{\mathrm{{thr}}}}{awake} \text{{, else }} 0"] * fires,
        rf"V_i(t) &= {after}",
        *[r"V_i(t) &= V_i(t-1) \text{ in the } n_{\mathrm{ref}} \text{ steps after a spike}"] * (MISSED in books),
        *[rf"V_i(t) &= V(0){silent} \text{{ for }} t \le c"] * (settings.clamp > 0),
    ]
    return tuple(lines)


def _model(settings: Settings, books: tuple[Book, ...], fires: bool, receives_spikes: bool) -> NeuronModel:
    """Return what Brian2 needs; with its own schedule synapses act on V itself, as in any script written for that."""
    same_step, leaks, rests = settings.schedule == "same_step", LEAKED in books, MISSED in books
    sums = leaks or rests or not same_step
    collects = receives_spikes and same_step and sums
    resets = ["surplus += v - v_thr", "v = 0"] if settings.reset == "zero" else ["v -= v_thr"]
    resets += ["n_spikes += 1", *["ready_at = t_in_timesteps + 1 + refractory_steps"] * rests]
    conditions = ["v >= v_thr", "t_in_timesteps >= clamp_steps", *["t_in_timesteps >= ready_at"] * rests]
    return NeuronModel(
        equations=_MEMBRANE
        + _DRIVE * collects
        + _CHARGE * sums
        + COUNT * fires
        + _SURPLUS * (SURPLUS in books)
        + _LEAK * leaks
        + _REFRACTORY * rests,
        on_spike_from=_receiving(collects, sums),
        has_weights=True,
        integrate=_integration(collects, sums, leaks, rests),
        threshold=" and ".join(conditions) if fires else "",
        reset="\n".join(resets) if fires else "",
        outputs=(*["n_spikes"] * fires, "v", *["charge"] * sums, *(book.name for book in books)),
        charges=_CHARGES,
        zeroed=_ZEROED,
        constants=(*["leak_rate", "grid"] * leaks, *["refractory_steps"] * rests),
    )


def _receiving(collects: bool, sums: bool) -> str:
    """Return what a spike does: it waits for the integration, or goes to V itself."""
    received = "w * int(t_in_timesteps >= clamp_steps_post)"
    return (
        "drive_post += w" if collects else "\n".join(["v_post += " + received, *["charge_post += " + received] * sums])
    )


def _integration(collects: bool, sums: bool, leaks: bool, rests: bool) -> str:
    """Return the statements of the integrate slot: what a rest misses, the leak, the charge of the step."""
    z = "(drive + current)" if collects else "current"
    awake = f"{_ACTIVE} * int(t_in_timesteps >= ready_at)" if rests else _ACTIVE
    missed = [f"missed += {z} * {_ACTIVE} * int(t_in_timesteps < ready_at)"]
    leak = [f"loss = nearest_product(v, leak_rate) * grid * {awake}", "v -= loss", "leaked += loss"]
    charge = [f"z = {z} * {awake}", "v += z", *["charge += z"] * sums]
    return "\n".join([*missed * rests, *leak * leaks, *charge, *["drive = 0"] * collects])


class IntegratorState:
    """Membranes in NumPy; where they are clamped, they stay at V(0)."""

    def __init__(self, scene: Scene) -> None:
        settings, population = scene.settings, scene.population
        self.v = np.full(scene.current.shape, scene.parameters.v_init)
        self._current, self._settings, self._threshold = scene.current, settings, scene.parameters.threshold
        self._start = window_start(population, settings)
        self._fires = crosses_threshold(population, settings)
        self._leak_rate = leak_in_a_step(settings, self._fires, population.leak) / scene.parameters.network.grid
        self._rests = self._fires and settings.refractory_steps > 0
        self._grid = scene.parameters.network.grid
        self._ready = np.zeros(scene.current.shape, np.int64)

    def step(self, step: int, arrives: FloatArray | float, spikes: NDArray[np.bool_]) -> None:
        """Advance V by one step and mark who spikes."""
        if step < self._start:
            return
        if self._settings.schedule == "brian2":
            # What arrives comes after the threshold was tested, and before the reset.
            self.v += self._current
            self._test(spikes)
            self.v += arrives
            self._reset(spikes)
            return
        awake = step >= self._ready if self._rests else None
        if self._leak_rate:
            loss = np.rint(self.v * self._leak_rate) * self._grid
            self.v -= loss if awake is None else loss * awake
        z = self._current + arrives
        self.v += z if awake is None else z * awake
        self._test(spikes)
        if awake is not None:
            spikes &= awake
            self._ready[spikes] = step + 1 + self._settings.refractory_steps
        self._reset(spikes)

    def _test(self, spikes: NDArray[np.bool_]) -> None:
        """Mark who has reached the threshold."""
        if self._fires:
            np.greater_equal(self.v, self._threshold, out=spikes)

    def _reset(self, spikes: NDArray[np.bool_]) -> None:
        """Take from V what a spike costs: (4b) or (4a)."""
        if self._settings.reset == "zero":
            self.v[spikes] = 0.0
        elif self._fires:
            self.v -= self._threshold * spikes

"""The integrate-and-fire neuron of Eq. (4), with the parts and the refractory period that the settings ask for.

    u(t) = V(t-1) - l(t) + z(t),    spike if u(t) >= V_thr,    V(t) = u - V_thr (4b)  or  0 (4a)

What else acts on V, or on what arrives, is a `brian_snn.neurons.part.Part`: a leak, a synaptic current, adaptation,
mismatch, noise. A refractory neuron leaves V as it is, or with ``refractory_input="kept"`` goes on to integrate and
only does not spike. A readout that only integrates never spikes.

Every membrane keeps its own books: ``surplus`` is e, what a reset to zero threw away, ``missed`` what arrived while the
neuron was refractory, and those of its parts. ``charge`` is q, the sum of z(t) over the steps in which the neuron was
not clamped. A plain neuron, without parts or rest and in our schedule, receives straight into V and does not sum it:
its q is worked out after the run, N V_thr + V(T) - V(0) + e, which is what has been through its membrane
(`brian_snn.results.charges`). The others sum it step by step, so that the charge balance is one of measured numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.network.parameters import own_v_init
from brian_snn.network.records import Population
from brian_snn.network.roles import window_start
from brian_snn.neurons.adaptation import adaptation
from brian_snn.neurons.axon import lateness
from brian_snn.neurons.conductance import SHUNTED, conductance, splits
from brian_snn.neurons.graded import Sizes, price_of, size_formula, size_title, with_sizes
from brian_snn.neurons.leak import leak
from brian_snn.neurons.mismatch import threshold_mismatch
from brian_snn.neurons.noise import membrane_noise
from brian_snn.neurons.part import ARRIVES, Part
from brian_snn.neurons.record import Book, Neuron, NeuronModel, Scene, Spikes
from brian_snn.neurons.synapse import synapse
from brian_snn.settings import Settings

SURPLUS = Book("surplus", True, "surplus", "reset by subtraction has none", takes_excess=True, may_be_absent=True)
MISSED = Book("missed", False, "refractory", "a shorter refractory period")

#: What a neuron that fires may have besides synapses and a leak, in the order in which it acts; each is made of the
#: population, the settings and the grid, None where they do not ask for it.
PARTS: list[Callable[[Population, Settings, float], Part | None]] = [adaptation, membrane_noise, threshold_mismatch]

# `active` is 0 while the clamp holds the population. Steps are counted from 0 at the start of each image.
_ACTIVE = "int(t_in_timesteps >= clamp_steps)"
_RESTED = "int(t_in_timesteps >= ready_at)"

_MEMBRANE = """
v : 1  # V_i | potential
current : 1  # I_i | bias, or what the image brings in a step
v_thr : 1 (shared, constant)  # V_thr | threshold, the same for a population
v_start : 1 (shared, constant)  # V(0) | potential at the start of an image
clamp_steps : integer (shared)  # c | steps for which a population is held at V(0)
"""
_DRIVE = "drive : 1  # sum_j w_ij Theta_j | charge that spikes have brought in this step\n"
_APART = """excitation : 1  # D_i | charge that spikes have brought to synapses of positive weight
inhibition : 1  # J_i | size of that of negative weight
"""
_CHARGE = "charge : 1  # q | charge taken in since the start of the image\n"
COUNT = "n_spikes : integer  # N_i | spikes since the start of the image\n"
_SURPLUS = "surplus : 1  # e | charge above the threshold that resets to zero threw away\n"
_REFRACTORY = """
ready_at : integer  # step from which on the neuron is no longer refractory
refractory_steps : integer (shared, constant)  # n_ref | steps for which it rests after a spike
"""
_MISSED = "missed : 1  # charge that arrived while the neuron was refractory\n"

_CHARGES = ("v", "current", "charge", "drive", "excitation", "inhibition", "v_thr", "v_start", "surplus", "missed")
_ZEROED = ("n_spikes", "charge", "surplus", "missed", "drive", "excitation", "inhibition", "ready_at")


def integrator(population: Population, settings: Settings, grid: float, fires: bool, receives_spikes: bool) -> Neuron:
    """Return the neuron of a layer with a membrane.

    Parameters
    ----------
    population : Population
        Its leak and its threshold count, where it has such of its own.
    settings : Settings
    grid : float
        Of the network.
    fires : bool
        False for a readout, which integrates only.
    receives_spikes : bool
        False where all input is a constant current.
    """
    parts = _parts(population, settings, grid, fires, receives_spikes)
    rests = fires and settings.refractory_steps > 0
    misses = rests and settings.refractory_input == "lost"
    books = (
        *[SURPLUS] * (fires and settings.reset == "zero"),
        *(book for part in parts for book in part.books),
        *[MISSED] * misses,
    )
    constants = {name: value for part in parts for name, value in part.constants.items()}
    constants |= {"refractory_steps": settings.refractory_steps} if rests else {}
    constants |= {"burst": settings.burst} if fires and settings.graded else {}
    return Neuron(
        model=_model(settings, parts, books, fires, receives_spikes),
        hears="charge",
        state=lambda scene: IntegratorState(scene, fires, parts),
        fires=fires,
        books=books,
        law="S9" if settings.reset == "zero" else "S11",
        no_law=_no_law(population, settings, grid, parts, rests),
        solvable=not (parts or rests or (fires and _takes_back(population, settings))),
        constants=constants,
        rounds=bool(parts),
        arrays={name: values for part in parts for name, values in part.arrays.items()},
        stream=next((part.stream for part in parts if part.stream), None),
        charge_a_step=sum(part.charge_a_step for part in parts),
        title=_title(settings, parts, rests, fires),
        formula=_formula(settings, parts, rests, fires),
    )


def _parts(
    population: Population, settings: Settings, grid: float, fires: bool, receives_spikes: bool
) -> tuple[Part, ...]:
    """Return what a neuron has besides Eq. (4), in the order in which it acts within a step."""
    forced = fires and receives_spikes and splits(settings)
    found = [synapse(settings, grid, receives_spikes, forced)]
    found += [conductance(population, settings, grid) if forced else None]
    found += [leak(population, settings, grid, fires)]
    if fires:
        found += [part(population, settings, grid) for part in PARTS]
    return tuple(part for part in found if part is not None)


def _no_law(population: Population, settings: Settings, grid: float, parts: Sequence[Part], rests: bool) -> str:
    """Return why the rate law of constant input says nothing about a neuron; empty if it applies."""
    for part in parts:
        if part.no_law:
            return part.no_law
    if rests and settings.refractory_input == "lost":
        return "it is refractory after each spike and misses what arrives then"
    if rests and settings.reset == "zero":
        return "it is refractory after each spike, and S9 rests on one as soon as the threshold is reached"
    if settings.reset == "zero" and own_v_init(settings.threshold, settings.v_init, population, grid) != 0:
        return "V(0) is not 0, but S9 rests on S5, which needs V(0) = 0"
    return ""


def _takes_back(population: Population, settings: Settings) -> bool:
    """Whether a neuron may take spikes back under a constant input: those that a V(0) near its threshold makes."""
    return settings.polarity == "signed" and settings.v_init > 0.5 * settings.threshold * population.threshold


def _title(settings: Settings, parts: Sequence[Part], rests: bool, fires: bool) -> str:
    """Return what a paper calls the neuron."""
    words = (*(part.title for part in parts), *["refractory"] * rests, *[size_title(settings)] * fires)
    more = "".join(f", {word}" for word in words if word)
    if not fires:
        return f"integrator that never spikes{more}"
    reset = "to zero (4a)" if settings.reset == "zero" else "by subtraction (4b)"
    return f"integrate-and-fire neuron, reset {reset}{more}"


def _formula(settings: Settings, parts: Sequence[Part], rests: bool, fires: bool) -> tuple[str, ...]:
    """Return Eq. (4) with what the settings add to it; in Brian2's own order spikes arrive after the comparison."""
    before, misses = settings.schedule == "same_step", rests and settings.refractory_input == "lost"
    arrives = rf"\sum_j w_{{ij}} \Theta_j(t{lateness(settings)})"
    lines = [line.replace(ARRIVES, arrives) for part in parts for line in part.formula]
    arrives = next((part.given for part in parts if part.given), arrives)
    z, late = (f" + {arrives}", "") if before else ("", f" + {arrives}")
    lines.append(rf"u_i(t) &= V_i(t-1){''.join(part.term for part in parts)} + I_i{z}")
    if fires and settings.graded:
        lines += size_formula(settings, parts)
    elif fires:
        barrier = "".join(f" + {part.barrier_symbol}" for part in parts if part.barrier)
        awake = r" \text{ and no spike in the } n_{\mathrm{ref}} \text{ steps before}" * rests
        lines.append(
            rf"\Theta_i(t) &= 1 \text{{ if }} u_i(t) \ge V_{{\mathrm{{thr}}}}{barrier}{awake} \text{{, else }} 0"
        )
    lines.append(rf"V_i(t) &= {_after(settings, parts, late, fires)}")
    lines += [r"V_i(t) &= V_i(t-1) \text{ in the } n_{\mathrm{ref}} \text{ steps after a spike}"] * misses
    silent = r", \; \Theta_i(t) = 0" * fires
    return (*lines, *[rf"V_i(t) &= V(0){silent} \text{{ for }} t \le c"] * (settings.clamp > 0))


def _after(settings: Settings, parts: Sequence[Part], late: str, fires: bool) -> str:
    """Return V after the comparison: with what arrives late, and without what a spike takes."""
    after = rf"u_i(t){late}"
    if not fires:
        return after
    if settings.reset == "zero":
        return rf"{f'[{after}]' if late else after}\,(1 - \Theta_i(t)) \quad \text{{(4a)}}"
    price = r"V_{\mathrm{thr}}" + "".join(f" + {part.barrier_symbol}" for part in parts if part.price)
    price = f"({price})" if "+" in price else price
    return rf"{after} - {price} \Theta_i(t) \quad \text{{(4b)}}"


def _model(
    settings: Settings, parts: tuple[Part, ...], books: tuple[Book, ...], fires: bool, receives_spikes: bool
) -> NeuronModel:
    """Return what Brian2 needs; with its own schedule synapses act on V itself, as in any script written for that."""
    same_step, rests, misses = (
        settings.schedule == "same_step",
        fires and settings.refractory_steps > 0,
        MISSED in books,
    )
    sums = bool(parts) or rests or not same_step
    collects = receives_spikes and same_step and sums
    apart = SHUNTED in books
    barrier = "".join(f" + {part.barrier}" for part in parts if part.barrier)
    conditions = [f"v >= v_thr{barrier}", "t_in_timesteps >= clamp_steps", *["t_in_timesteps >= ready_at"] * rests]
    model = NeuronModel(
        equations=_MEMBRANE
        + (_APART if apart else _DRIVE) * collects
        + _CHARGE * sums
        + COUNT * fires
        + _SURPLUS * (SURPLUS in books)
        + "".join(part.equations for part in parts)
        + _REFRACTORY * rests
        + _MISSED * misses,
        on_spike_from=_receiving(settings, collects, sums, apart),
        has_weights=True,
        integrate=_integration(collects, sums, parts, misses, apart),
        splits=apart,
        threshold=" and ".join(conditions) if fires else "",
        reset="\n".join(_resets(settings, parts, rests)) if fires else "",
        outputs=(*["n_spikes"] * fires, "v", *["charge"] * sums, *(book.name for book in books)),
        charges=(*_CHARGES, *(name for part in parts for name in part.charges)),
        zeroed=(*_ZEROED, *(name for part in parts for name in part.zeroed)),
        constants=(
            *(name for part in parts for name in (*part.constants, *part.arrays)),
            *["refractory_steps"] * rests,
        ),
    )
    return with_sizes(model, settings, parts) if fires and settings.graded else model


def _resets(settings: Settings, parts: Sequence[Part], rests: bool) -> list[str]:
    """Return the statements on a spike."""
    price = price_of(parts)
    resets = [f"surplus += v - ({price})", "v = 0"] if settings.reset == "zero" else [f"v -= {price}"]
    resets += ["n_spikes += 1", *["ready_at = t_in_timesteps + 1 + refractory_steps"] * rests]
    return resets + [f"{name} += {by}" for part in parts for name, by in part.gains.items()]


def _receiving(settings: Settings, collects: bool, sums: bool, apart: bool) -> str:
    """Return what a spike does: it waits for the integration, or goes to V itself."""
    charge = "w * sent_pre" if settings.graded else "w"
    if collects:
        return f"{'excitation' if apart else 'drive'}_post += {charge}"
    received = f"{charge} * int(t_in_timesteps >= clamp_steps_post)"
    return "\n".join(["v_post += " + received, *["charge_post += " + received] * sums])


def _integration(collects: bool, sums: bool, parts: Sequence[Part], misses: bool, apart: bool) -> str:
    """Return the statements of the integrate slot: what a rest misses, what the parts do, the charge of the step."""
    z = "(drive + current)" if collects else "current"
    if not (parts or misses):
        return "\n".join([f"z = {z} * {_ACTIVE}", "v += z", *["charge += z"] * sums, *["drive = 0"] * collects])
    return "\n".join(
        [
            f"active = {_ACTIVE}",
            f"awake = active * {_RESTED}" if misses else "awake = active",
            *(part.filters for part in parts if part.filters),
            *[f"missed += {z} * (active - awake)"] * misses,
            *(part.changes for part in parts if part.changes),
            f"z = {z} * awake",
            "v += z",
            "charge += z",
            *(["excitation = 0", "inhibition = 0"] if apart else ["drive = 0"]) * collects,
        ]
    )


class IntegratorState:
    """Membranes in NumPy; where they are clamped, they stay at V(0).

    Parameters
    ----------
    scene : Scene
    fires : bool
        Whether they spike.
    parts : sequence of Part
        What they have besides Eq. (4).
    """

    def __init__(self, scene: Scene, fires: bool = True, parts: Sequence[Part] = ()) -> None:
        settings = scene.settings
        self.v = np.full(scene.current.shape, scene.parameters.v_init)
        self._current, self._settings, self._threshold = scene.current, settings, scene.parameters.threshold
        self._start = window_start(scene.population, settings)
        self._fires, self._parts = fires, [part.state(scene) for part in parts]
        self._rests = fires and settings.refractory_steps > 0
        self._misses = self._rests and settings.refractory_input == "lost"
        self._ready = np.zeros(scene.current.shape, np.int64)
        #: Brings V into its width before the threshold is tested; None where it has as many bits as it takes.
        self.limit: Callable[[FloatArray], None] | None = None
        self._sizes = Sizes(settings, scene.current.shape) if settings.graded else None

    def step(self, step: int, arrives: FloatArray | float, spikes: Spikes) -> None:
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
        rested = step >= self._ready if self._rests else True
        awake = rested if self._misses else 1.0
        for part in self._parts:
            arrives = part.filter(arrives, self.v)
        for part in self._parts:
            part.change(step, self.v, awake)
        self.v += (self._current + arrives) * awake if self._misses else self._current + arrives
        self._test(spikes)
        if self._rests:
            spikes &= rested
            self._ready[spikes] = step + 1 + self._settings.refractory_steps
        self._reset(spikes)
        for part in self._parts:
            part.spiked(spikes)

    def _test(self, spikes: Spikes) -> None:
        """Bring V into its width, and mark who has reached the threshold, or note how often."""
        if self.limit is not None:
            self.limit(self.v)
        if not self._fires:
            return
        barrier = sum((part.barrier for part in self._parts), start=self._threshold)
        if self._sizes is None:
            np.greater_equal(self.v, barrier, out=spikes)
        else:
            self._sizes.note(self.v, barrier, self._price, spikes)

    def _reset(self, spikes: Spikes) -> None:
        """Take from V what a spike costs: (4b) or (4a)."""
        if self._settings.reset == "zero":
            self.v[spikes] = 0.0
        elif self._fires:
            self.v -= self._price * spikes

    @property
    def _price(self) -> FloatArray | float:
        """What a spike takes."""
        return sum((part.price for part in self._parts), start=self._threshold)

"""The settings of a simulation: one frozen record, checked where it is made.

The command line makes its options and their defaults of the fields of `Settings`. `brian_snn.simulate` writes them out
as arguments, where a time has a unit instead of an ``_s`` in its name; the tests hold its defaults against these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from brian_snn.checks import real_number, whole_number
from brian_snn.errors import SettingError

Reset = Literal["subtraction", "zero"]
Readout = Literal["potential", "spikes", "softmax"]
Schedule = Literal["same_step", "brian2"]
ProjectionMode = Literal["auto", "synapses", "shared"]
MaxPool = Literal["exact", "gate"]
InputCoding = Literal["current", "poisson"]
Backend = Literal["standalone", "runtime"]
FloatType = Literal["float64", "float32"]

#: Steps and spikes are counted in 32 bits.
MOST_STEPS = 2**31 - 1

#: The spikes under way to a neuron's targets are bits of a float, which has 53.
LONGEST_DELAY = 50


@dataclass(frozen=True)
class Settings:
    """How a network is simulated.

    Parameters
    ----------
    steps : int
        Number of time steps per image, T / dt.
    reset : str
        ``subtraction`` (4b) or ``zero`` (4a).
    threshold : float
        V_thr, in units where a weight of 1 is one threshold of 1. Weights, biases and currents scale with it.
    v_init : float
        V(0) of every neuron, in the unit of `threshold`. With reset by subtraction the spike count of a constant input
        is a T / dt rounded down, or with V_thr / 2 to the nearest whole number.
    clamp : int
        Steps per layer: a population at depth d rests at V(0) during the first ``clamp * (d - 1)`` steps.
    dt_s : float
        Time step in seconds; r_max = 1 / dt.
    readout : str
        ``potential``: the output integrates and does not spike; ``spikes``: it spikes as any other layer; ``softmax``:
        it integrates, and each spike of an external Poisson generator goes to one of its neurons, drawn with the
        softmax of V / V_thr.
    projection : str
        How spikes travel: ``synapses`` (explicit Brian2 `Synapses`, some 50 bytes and a load from memory each),
        ``shared`` (one kernel for all spikes) or ``auto`` (``synapses`` up to 100,000 of them). Same spikes.
    max_pool : str
        ``exact``: N_out(t) = max_j N_j(t) at every step; ``gate``: the spikes of the input that has spiked most so far
        pass, of several with the same count those of the first.
    schedule : str
        ``same_step``: a spike crosses the network within a step, as the rate equations assume; ``brian2``: Brian2's own
        order, in which a layer lags its source and a reset to zero wipes out what arrives with the spike.
    backend : str
        ``standalone`` (compiled C++) or ``runtime`` (in process, needs no compiler).
    tau_m_s : float
        Time constant of the leak in seconds: V falls by the factor exp(-dt / tau_m) before each step's input arrives.
        Infinite for none.
    refractory_s : float
        After a spike a neuron neither integrates nor leaks nor spikes for this time, in seconds: a whole number of
        steps, counted from the one after the spike (Brian2's own ``refractory`` is a step longer for the same). What
        arrives meanwhile is lost.
    input_coding : str
        ``current``: the first layer takes the image as a constant current; ``poisson``: each pixel, in [0, 1], is a
        neuron that spikes in every step with that probability; they are population ``input_spikes`` of the result.
    output_rate : float
        Rate of that generator over r_max, its probability of a spike per step, at most 1.
    seed : int
        Of the random numbers; those of an image depend on nothing else but its number.
    float_type : str
        Type of weights, potentials and charges while the simulation runs. ``float32`` is faster, and on a coarser grid
        as exact as ``float64`` on that grid: sums are multiples of it with at most 24 bits instead of 53. It is refused
        where they could have more. An output layer, whose weights have no common scale, stays in ``float64``.
    delay_s : float
        Time that a spike takes to its targets, in seconds, the same for all synapses: at most 50 steps.

    Leak and refractory period belong to neurons: an output that only integrates has neither.

    Raises
    ------
    SettingError
        If a value is outside its range; the message names it.
    """

    steps: int = 200
    reset: Reset = "subtraction"
    threshold: float = 1.0
    v_init: float = 0.0
    clamp: int = 0
    dt_s: float = 1e-3
    readout: Readout = "potential"
    projection: ProjectionMode = "auto"
    max_pool: MaxPool = "exact"
    schedule: Schedule = "same_step"
    backend: Backend = "standalone"
    tau_m_s: float = math.inf
    refractory_s: float = 0.0
    delay_s: float = 0.0
    input_coding: InputCoding = "current"
    output_rate: float = 0.5
    seed: int = 0
    float_type: FloatType = "float64"

    def __post_init__(self) -> None:
        """Check every field."""
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise SettingError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(choices)}.")
        for name, least in _WHOLE.items():
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        for name in ("steps", "clamp"):
            if getattr(self, name) > MOST_STEPS:
                raise SettingError(f"{name} is {getattr(self, name)!r}; it must be at most {MOST_STEPS}.")
        for name in _REAL:
            object.__setattr__(self, name, real_number(name.removesuffix("_s"), getattr(self, name)))
        if not (math.isfinite(self.threshold) and self.threshold > 0):
            raise SettingError(f"threshold is {self.threshold!r}; it must be a positive finite number.")
        if not math.isfinite(self.v_init):
            raise SettingError(f"v_init is {self.v_init!r}; it must be a finite number.")
        # The inverse of the smallest numbers is infinite.
        if not (math.isfinite(self.dt_s) and self.dt_s > 0 and math.isfinite(1 / self.dt_s)):
            raise SettingError(f"dt is {self.dt_s!r} s; it must be a positive time of which 1 / dt is finite.")
        if not self.tau_m_s > 0:
            raise SettingError(f"tau_m is {self.tau_m_s!r} s; it must be a positive time, infinite for no leak.")
        if not 0 < self.output_rate <= 1:
            raise SettingError(f"output_rate is {self.output_rate!r}; it must be above 0 and at most 1.")
        self._require_whole_steps("refractory", self.refractory_s)
        self._require_whole_steps("delay", self.delay_s)
        if self.delay_steps > LONGEST_DELAY:
            raise SettingError(f"delay is {self.delay_steps} steps; it must be at most {LONGEST_DELAY}.")
        self._require_same_step()

    @property
    def refractory_steps(self) -> int:
        """Number of steps for which a neuron rests after a spike."""
        return round(self.refractory_s / self.dt_s)

    @property
    def delay_steps(self) -> int:
        """Number of steps that a spike takes to its targets."""
        return round(self.delay_s / self.dt_s)

    def _require_whole_steps(self, name: str, time_s: float) -> None:
        """Raise where a time is negative or no multiple of the time step."""
        steps = time_s / self.dt_s
        # A product of decimal numbers misses a whole number by a few roundings.
        if not (math.isfinite(steps) and steps >= 0 and abs(steps - round(steps)) < 1e-9 * max(1.0, steps)):
            raise SettingError(
                f"{name} is {time_s!r} s; it must be a whole number of steps of {self.dt_s!r} s, 0 for none."
            )

    def _require_same_step(self) -> None:
        """Raise where Brian2's own schedule meets a variant that is defined for the other one only."""
        if self.schedule == "same_step":
            return
        if self.readout == "softmax":
            raise SettingError("readout is 'softmax'; with schedule='brian2' it must be 'potential' or 'spikes'.")
        for name, plain in _SAME_STEP_ONLY.items():
            if getattr(self, name) != plain:
                shown = name.removesuffix("_s")
                raise SettingError(f"{shown} is {getattr(self, name)!r}; with schedule='brian2' it must be {plain!r}.")


@dataclass(frozen=True)
class Recording:
    """What a simulation keeps besides what it always keeps.

    Parameters
    ----------
    spikes, potentials : sequence of str
        Populations whose spike trains, or V(t), are kept for every image.
    counts : sequence of str
        Populations whose spike counts are noted, neuron by neuron, at the checkpoints.
    checkpoints : sequence of int
        Steps after which the output and the total spike counts are noted.

    Raises
    ------
    SettingError
        If a name stands where a sequence of them belongs, or a checkpoint is no step.
    """

    spikes: Sequence[str] = ()
    potentials: Sequence[str] = ()
    counts: Sequence[str] = ()
    checkpoints: Sequence[int] = ()

    def __post_init__(self) -> None:
        """Make tuples of whatever sequences were given; checkpoints in ascending order, each once."""
        for name in ("spikes", "potentials", "counts"):
            given = getattr(self, name)
            if isinstance(given, str):
                raise SettingError(f"record_{name} is {given!r}; it must be a sequence of names, as ({given!r},).")
            object.__setattr__(self, name, tuple(given))
        steps = {whole_number("a checkpoint", step, 1) for step in self.checkpoints}
        object.__setattr__(self, "checkpoints", tuple(sorted(steps)))


# The least that each whole number may be.
_WHOLE = {"steps": 1, "clamp": 0, "seed": 0}

_REAL = ("threshold", "v_init", "dt_s", "tau_m_s", "refractory_s", "delay_s", "output_rate")

_CHOICES: dict[str, tuple[str, ...]] = {
    "reset": get_args(Reset),
    "readout": get_args(Readout),
    "projection": get_args(ProjectionMode),
    "max_pool": get_args(MaxPool),
    "schedule": get_args(Schedule),
    "backend": get_args(Backend),
    "input_coding": get_args(InputCoding),
    "float_type": get_args(FloatType),
}

# What the settings that are defined for the schedule `same_step` only must be with the other one.
_SAME_STEP_ONLY: dict[str, object] = {
    "max_pool": "exact",
    "tau_m_s": math.inf,
    "refractory_s": 0.0,
    "delay_s": 0.0,
    "input_coding": "current",
}

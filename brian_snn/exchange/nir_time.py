"""How the time of NIR, in which its neurons are differential equations, becomes steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.errors import ModelError

Discretisation = Literal["exact", "euler"]
InputGain = Literal["scaled", "one"]

#: What a resistance says of the step where nobody says it: 1 of a step of 1, 10,000 of one of 0.1 ms (spikingjelly).
_STEPS = {1.0: 1.0, 1e4: 1e-4}

#: Other frameworks keep beta in float32, so that 1 - beta is a multiple of this for a beta of at least a half; the tau
#: that they write of it, in float32 too, misses it by a rounding. (1 - beta) r is mostly 1, or a short number, and
#: misses that by a few.
_BETA_STEP, _GAIN_STEP, _ROUNDINGS = 2.0**-24, 2.0**-16, 2.0**-22

#: A product of decimal numbers misses a whole number by a few roundings of float32.
_NEAR = 1e-3


def _meant(numbers: Any, step: float) -> FloatArray:
    """Return the nearest multiples of a step where rounding to float32 alone lies between."""
    near = np.rint(np.asarray(numbers) / step) * step
    return np.where(np.abs(near - numbers) <= _ROUNDINGS * np.abs(numbers), near, numbers)


@dataclass(frozen=True)
class Time:
    """What is known of the step.

    Parameters
    ----------
    dt : float, optional
        Seconds.
    discretisation : str, optional
        What becomes of a leak: ``exact``: beta = exp(-dt / tau); ``euler``: beta = 1 - dt / tau.
    input_gain : str, optional
        What a leaky neuron takes of its input in a step: ``scaled``: (1 - beta) r; ``one``: all of it, whatever r is.
    """

    dt: float | None
    discretisation: Discretisation | None
    input_gain: InputGain | None

    def step(self, label: str, resistance: NDArray[Any]) -> float:
        """Return dt, as it was told or as a resistance says.

        Raises
        ------
        ModelError
            If neither does.
        """
        if self.dt is not None:
            return self.dt
        known = _STEPS.get(float(resistance.flat[0])) if np.all(resistance == resistance.flat[0]) else None
        if known is None:
            raise ModelError(
                f"{label}: its r is neither 1 nor 1e4 everywhere, which would say what a step is; give the seconds of "
                "one (dt, --dt)."
            )
        return known

    def gain_and_leak(
        self, label: str, resistance: NDArray[Any], tau: float | None, single: bool = False
    ) -> tuple[FloatArray, float]:
        """Return what neurons take of their input in a step, and 1 - beta; `single` if tau is in float32.

        Raises
        ------
        ModelError
            If the step, or what a leak becomes in it, has to be told.
        """
        if tau is None:
            return np.asarray(resistance * self.step(label, resistance)), 0.0
        if self.dt is None or self.discretisation is None or self.input_gain is None:
            raise ModelError(
                f"{label}: a file does not say what a leak is in steps; give dt (seconds a step), discretisation "
                "(exact or euler) and input_gain (scaled: (1 - beta) r, or one)."
            )
        if not tau > 0:
            raise ModelError(f"{label}: its tau is {tau!r}; a positive time was expected.")
        dt = float(np.float32(self.dt)) if single else self.dt
        leak = -math.expm1(-dt / tau) if self.discretisation == "exact" else dt / tau
        if not 0 < leak <= 1:
            raise ModelError(f"{label}: its tau of {tau!r} s is shorter than a step of {self.dt!r} s.")
        leak = float(_meant(leak, _BETA_STEP)) if single else leak
        gain = leak * resistance if self.input_gain == "scaled" else np.ones(resistance.shape)
        return (_meant(gain, _GAIN_STEP) if single else gain), leak

    def steps(self, seconds: float, label: str) -> int:
        """Return a delay in steps.

        Raises
        ------
        ModelError
            If it is no whole number of them, or nobody says what a step is.
        """
        if seconds == 0:
            return 0
        if self.dt is None:
            raise ModelError(f"{label}: give the seconds of a step (dt, --dt), by which its delay is counted.")
        number = seconds / self.dt
        if number < 0 or abs(number - round(number)) > _NEAR * max(1.0, number):
            raise ModelError(f"{label}: its delay of {seconds!r} s is no whole number of steps of {self.dt!r} s.")
        return round(number)

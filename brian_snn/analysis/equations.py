"""The equations S1 to S11 of Rueckauer et al. 2017, supplement: one function per number, no simulation.

``residual_sK`` is the left side of equation SK minus its right side, multiplied by the equation's denominators (time,
z, V_thr), so that it is a charge. On a dyadic grid every term is exact in float64 and the residual exactly 0 where the
equation holds. ``rate_sK`` is the firing rate that the equation predicts, in Hz.

- S1 to S5 and S10 hold step by step; their residuals take a `Trace`, a recorded run.
- S6, S8, S9 and S11 need the end of a run only: N, z, T / dt, V(T), V(0), V_thr.
- S1 to S9 are for reset to zero, S10 and S11 for reset by subtraction. All but S1 need a constant current z.
- S5, S6, S8 and S9 need V(0) = 0, although S6 and S8 are printed with V(0). Anything else is a `DataError`.
- S5 to S9 need z > 0. They are nan for any other neuron: it is silent, and no n exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Quantity, second
from brian2.units.fundamentalunits import fail_for_dimension_mismatch
from numpy.typing import ArrayLike, NDArray

from brian_snn.arrays import FloatArray
from brian_snn.errors import DataError


@dataclass(frozen=True, eq=False)
class Trace:
    """What a run of some neurons left behind, step by step.

    Parameters
    ----------
    potentials : (n_steps + 1, *neurons) float array
        V(0), V(1) ... V(T): V(0) first, then the potential after the reset of each step.
    spikes : (n_steps, *neurons) bool or int array
        Theta of the steps 1 ... T.
    current : (*neurons,) or (n_steps, *neurons) float array
        z, the charge that arrives in each step.
    threshold : float
        V_thr.

    Raises
    ------
    DataError
        If the shapes do not fit together.
    """

    potentials: FloatArray
    spikes: NDArray[Any]
    current: FloatArray
    threshold: float = 1.0

    def __post_init__(self) -> None:
        """Check the shapes."""
        n_steps, *neurons = np.shape(self.spikes)
        if np.shape(self.potentials) != (n_steps + 1, *neurons):
            raise DataError(
                f"trace: potentials have shape {np.shape(self.potentials)}; {(n_steps + 1, *neurons)} was expected for "
                f"spikes of shape {np.shape(self.spikes)}, V(0) first."
            )
        if np.shape(self.current) not in (tuple(neurons), (n_steps, *neurons)):
            raise DataError(f"trace: the current has shape {np.shape(self.current)}; {tuple(neurons)} was expected.")

    @property
    def n_steps(self) -> int:
        """T / dt."""
        return len(self.spikes)

    @property
    def counts(self) -> FloatArray:
        """N, the number of spikes of each neuron."""
        return np.sum(self.spikes, axis=0, dtype=np.float64)

    @property
    def before(self) -> FloatArray:
        """V(t' - 1) for t' = 1 ... T."""
        return self.potentials[:-1]

    @property
    def after(self) -> FloatArray:
        """V(t') for t' = 1 ... T."""
        return self.potentials[1:]

    @property
    def constant_current(self) -> FloatArray:
        """The charge z per step of each neuron; DataError if it changes from step to step."""
        current = np.broadcast_to(self.current, np.shape(self.spikes))
        if np.any(current != current[:1]):
            raise DataError("trace: the current changes over time; this equation needs a constant one (S1 does not).")
        return np.asarray(current[0], np.float64)


def residual_s1(trace: Trace) -> FloatArray:
    """Return the residual of the membrane equation (4a) summed over time.

        sum V(t') = sum (V(t'-1) + z) (1 - Theta_t')        (S1)

    For reset to zero; z may change over time.
    """
    return trace.after.sum(axis=0) - ((trace.before + trace.current) * (1 - trace.spikes)).sum(axis=0)


def residual_s2(trace: Trace) -> FloatArray:
    """Return the residual of S1 for a constant current.

        sum V(t') = sum V(t'-1) (1 - Theta_t') + z (t / dt - N)        (S2)

    For reset to zero.
    """
    kept = (trace.before * (1 - trace.spikes)).sum(axis=0)
    return trace.after.sum(axis=0) - kept - trace.constant_current * (trace.n_steps - trace.counts)


def residual_s3(trace: Trace) -> FloatArray:
    """Return the residual of S2 solved for the rate, multiplied by z t.

        r = r_max - 1 / (z t) sum (V(t') - V(t'-1) (1 - Theta_t'))        (S3)

    For reset to zero.
    """
    z = trace.constant_current
    lost = (trace.after - trace.before * (1 - trace.spikes)).sum(axis=0)
    return trace.counts * z - (z * trace.n_steps - lost)


def residual_s4(trace: Trace) -> FloatArray:
    """Return the residual of S3 with its sum telescoped, multiplied by z t.

        r = r_max - (V(t) - V(0)) / (z t) - 1 / (z t) sum V(t'-1) Theta_t'        (S4)

    For reset to zero and any V(0).
    """
    z = trace.constant_current
    gain = trace.potentials[-1] - trace.potentials[0]
    return trace.counts * z - (z * trace.n_steps - gain - (trace.before * trace.spikes).sum(axis=0))


def residual_s5(trace: Trace) -> FloatArray:
    """Return the residual of the potentials just before the spikes, multiplied by z t.

        1 / (z t) sum V(t'-1) Theta_t' = (n - 1) r,     (n - 1) z < V_thr <= n z        (S5)

    For reset to zero and V(0) = 0; nan where z <= 0.
    """
    require_start_at_zero("S5", trace.potentials[0])
    z = trace.constant_current
    n = steps_to_threshold(z, trace.threshold)
    return (trace.before * trace.spikes).sum(axis=0) - (n - 1) * z * trace.counts


def residual_s10(trace: Trace) -> FloatArray:
    """Return the residual of the membrane equation (4b) averaged over time, multiplied by t.

        1/t sum V(t') = 1/t sum V(t'-1) + z r_max - V_thr N / t        (S10)

    For reset by subtraction.
    """
    gathered = trace.constant_current * trace.n_steps
    return trace.after.sum(axis=0) - (trace.before.sum(axis=0) + gathered - trace.threshold * trace.counts)


def steps_to_threshold(current: ArrayLike, threshold: float = 1.0) -> FloatArray:
    """Return n of S5, the number of steps in which a constant current reaches the threshold from zero.

    Parameters
    ----------
    current : float array
        z.
    threshold : float
        V_thr, positive.

    Returns
    -------
    n : float array of whole numbers
        Exact for dyadic numbers; nan where z <= 0.
    """
    z = np.where(np.asarray(current, np.float64) > 0, current, np.nan)
    # The quotient of two dyadic numbers is rounded, so it only proposes n; their products are exact and decide.
    n = np.ceil(threshold / z)
    n = np.where((n - 1) * z >= threshold, n - 1, n)
    return np.where(n * z < threshold, n + 1, n)


def surplus_s7(current: ArrayLike, threshold: float = 1.0) -> FloatArray:
    """Return epsilon, the surplus charge above the threshold at the time of a spike.

        epsilon = n z - V_thr        (S7)

    Parameters
    ----------
    current : float array
        z, constant.
    threshold : float
        V_thr, positive.

    Returns
    -------
    surplus : float array
        At least 0 and below z, a charge; nan where z <= 0.
    """
    return steps_to_threshold(current, threshold) * np.asarray(current, np.float64) - threshold


def residual_s6(
    counts: ArrayLike, current: ArrayLike, n_steps: int, v_end: ArrayLike, v_init: ArrayLike, threshold: float
) -> FloatArray:
    """Return the residual of S6 (see `rate_s6`), multiplied by n z T.

        N n z - (z T / dt - (V(T) - V(0)))

    `n_steps` is T / dt. For reset to zero; a charge, nan where z <= 0. Raises DataError if V(0) is not 0.
    """
    require_start_at_zero("S6", v_init)
    z = np.asarray(current, np.float64)
    return np.asarray(counts) * steps_to_threshold(z, threshold) * z - (z * n_steps - np.subtract(v_end, v_init))


def residual_s8(
    counts: ArrayLike, current: ArrayLike, n_steps: int, v_end: ArrayLike, v_init: ArrayLike, threshold: float
) -> FloatArray:
    """Return the residual of S8 (see `rate_s8`), multiplied by (V_thr + epsilon) T.

        N (V_thr + epsilon) - (z T / dt - (V(T) - V(0)))

    Parameters, result and errors are those of `residual_s6`.
    """
    require_start_at_zero("S8", v_init)
    z = np.asarray(current, np.float64)
    return np.asarray(counts) * (threshold + surplus_s7(z, threshold)) - (z * n_steps - np.subtract(v_end, v_init))


def residual_s9(
    counts: ArrayLike, current: ArrayLike, n_steps: int, v_end: ArrayLike, v_init: ArrayLike, threshold: float
) -> FloatArray:
    """Return the residual of S9 (see `rate_s9`), multiplied by (V_thr + epsilon) T.

        N (V_thr + epsilon) - (z T / dt - V(T))

    Parameters, result and errors are those of `residual_s6`.
    """
    require_start_at_zero("S9", v_init)
    z = np.asarray(current, np.float64)
    return np.asarray(counts) * (threshold + surplus_s7(z, threshold)) - (z * n_steps - np.asarray(v_end))


def residual_s11(
    counts: ArrayLike, current: ArrayLike, n_steps: int, v_end: ArrayLike, v_init: ArrayLike, threshold: float
) -> FloatArray:
    """Return the residual of S11 (see `rate_s11`), multiplied by V_thr T, for any z and any V(0).

        N V_thr - (z T / dt - (V(T) - V(0)))

    Parameters as `residual_s6`; never nan.
    """
    return charge_balance(counts, np.asarray(current, np.float64) * n_steps, v_end, v_init, 0.0, threshold)


def charge_balance(
    counts: ArrayLike,
    charge: ArrayLike,
    v_end: ArrayLike,
    v_init: ArrayLike,
    surplus: ArrayLike,
    threshold: float,
    leaked: ArrayLike = 0.0,
) -> FloatArray:
    """Return the residual of the charge balance, which any neuron of any layer keeps with either reset.

        N V_thr - (q - (V(T) - V(0)) - e - l)

    Parameters
    ----------
    counts : (*neurons,) int array
        N, spikes.
    charge : (*neurons,) float array
        q, the sum of z(t); the input may change over time.
    v_end, v_init : (*neurons,) float arrays
        V(T) and V(0).
    surplus, leaked : (*neurons,) float arrays
        e, the sum over spikes of u - V_thr that a reset to zero discards, and l, what a leak took; 0 without them.
    threshold : float
        V_thr.
    """
    kept = np.asarray(charge) - np.subtract(v_end, v_init) - np.asarray(surplus) - np.asarray(leaked)
    return np.asarray(counts) * threshold - kept


def require_start_at_zero(equation: str, v_init: ArrayLike) -> None:
    """Raise where an equation that rests on S5 is asked about a neuron that did not start at zero."""
    if np.any(np.asarray(v_init) != 0):
        raise DataError(
            f"{equation}: V(0) is not 0, but the equation rests on S5, which needs V(0) = 0; use the charge balance."
        )


def require_times(dt: Quantity, duration: Quantity) -> None:
    """Raise where a time step or a duration is not a time."""
    fail_for_dimension_mismatch(dt, second, "dt must be a time, got {value}", value=dt)
    fail_for_dimension_mismatch(duration, second, "duration must be a time, got {value}", value=duration)

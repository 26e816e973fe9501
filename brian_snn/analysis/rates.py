"""The firing rates of S6, S8, S9 and S11, in terms of input, threshold, duration and what the membrane holds."""

from __future__ import annotations

import numpy as np
from brian2 import Quantity
from numpy.typing import ArrayLike

from brian_snn.analysis.equations import require_start_at_zero, require_times, steps_to_threshold, surplus_s7


def rate_s6(
    current: ArrayLike,
    v_end: ArrayLike,
    v_init: ArrayLike,
    threshold: float,
    dt: Quantity,
    duration: Quantity,
    as_printed: bool = False,
) -> Quantity:
    """Return the firing rate of a neuron with reset to zero in terms of n, the steps from zero to threshold.

        r = 1/n (r_max - (V(T) - V(0)) / (z T)),     r_max = 1 / dt        (S6)

    Parameters
    ----------
    current, v_end : (*neurons,) float arrays
        z and V(T), charges.
    v_init, threshold : float
        V(0) and V_thr, charges.
    dt, duration : Quantity, time
        Time step and length of the run, T.
    as_printed : bool
        Evaluate the equation for V(0) != 0 too, where it is printed but does not hold.

    Returns
    -------
    rate : (*neurons,) Quantity, frequency
        nan where z <= 0.

    Raises
    ------
    DimensionMismatchError
        If dt or duration is not a time.
    DataError
        If V(0) is not 0 and `as_printed` is not set.
    """
    require_times(dt, duration)
    if not as_printed:
        require_start_at_zero("S6", v_init)
    n = steps_to_threshold(current, threshold)
    z = np.where(n > 0, current, np.nan)
    return (1 / dt - np.subtract(v_end, v_init) / z / duration) / n


def rate_s8(
    current: ArrayLike,
    v_end: ArrayLike,
    v_init: ArrayLike,
    threshold: float,
    dt: Quantity,
    duration: Quantity,
    as_printed: bool = False,
) -> Quantity:
    """Return the firing rate of a neuron with reset to zero in terms of epsilon, the surplus.

        r = z / (V_thr + epsilon) (r_max - (V(T) - V(0)) / (z T)),     r_max = 1 / dt        (S8)

    Parameters, result and errors are those of `rate_s6`.
    """
    require_times(dt, duration)
    if not as_printed:
        require_start_at_zero("S8", v_init)
    per_spike = threshold + surplus_s7(current, threshold)
    return (np.asarray(current, np.float64) / dt - np.subtract(v_end, v_init) / duration) / per_spike


def rate_s9(
    current: ArrayLike, v_end: ArrayLike, v_init: ArrayLike, threshold: float, dt: Quantity, duration: Quantity
) -> Quantity:
    """Return the firing rate of a neuron with reset to zero, Equation (5a).

        r = a r_max V_thr / (V_thr + epsilon) - V(T) / (T (V_thr + epsilon)),     a = z / V_thr        (S9)

    Parameters, result and errors are those of `rate_s6`.
    """
    require_times(dt, duration)
    require_start_at_zero("S9", v_init)
    activation = np.asarray(current, np.float64) / threshold
    per_spike = threshold + surplus_s7(current, threshold)
    return activation / dt * (threshold / per_spike) - np.asarray(v_end) / per_spike / duration


def rate_s11(
    current: ArrayLike, v_end: ArrayLike, v_init: ArrayLike, threshold: float, dt: Quantity, duration: Quantity
) -> Quantity:
    """Return the firing rate of a neuron with reset by subtraction, Equation (5b) with V(0), for any z and any V(0).

    Charge in = spikes + charge left over, so the law is exact for any duration:

        r = a r_max - (V(T) - V(0)) / (V_thr T),     a = z / V_thr, r_max = 1 / dt        (S11)

    Parameters as `rate_s6`; never nan. At most 1 / dt: a neuron spikes at most once per step.
    """
    require_times(dt, duration)
    activation = np.asarray(current, np.float64) / threshold
    return activation / dt - np.subtract(v_end, v_init) / threshold / duration

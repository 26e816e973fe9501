"""S9 and S11 solved for the spike count: N and V(T) of a neuron with constant input, from z, V(0), V_thr and T alone.

Nothing measured goes in, so the count is a prediction that a simulation can fail, which the rate equations with the
measured V(T) in them are not. All numbers are multiples of a dyadic grid, on which every step here is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from brian_snn.analysis.equations import steps_to_threshold
from brian_snn.arrays import FloatArray
from brian_snn.settings import Reset

# Spike counts and final potentials.
Solution = tuple[FloatArray, FloatArray]


def constant_input(
    current: ArrayLike, n_steps: int, v_init: float, threshold: float, reset: Reset, burst: int = 1
) -> Solution:
    """Return spike count and final potential of neurons with a constant input, without leak or refractory period.

    Reset by subtraction (S11), for V(0) < V_thr or z >= 0:

        N = clip(floor((V(0) + z T) / V_thr), 0, k T),     V(T) = V(0) + z T - N V_thr

    with bursts of up to k spikes a step, else k = 1.

    Reset to zero (S9): the first period has k = ceil((V_thr - V(0)) / z) steps, at least one, each other n = ceil(V_thr
    / z), so

        N = 1 + floor((T - k) / n),     V(T) = z ((T - k) mod n)      from T = k on; before, N = 0 and V(T) = V(0) + z T

    A neuron that starts out of the reach of the first formula (z < 0 and V(0) >= V_thr, or z >= k V_thr and V(0) < 0)
    spikes in its first steps until it is below the threshold, or is silent until it reaches it, and that is solved for
    too.

    Parameters
    ----------
    current : float array
        z, the charge of a step.
    n_steps : int
        T / dt, steps in which the neuron is not clamped.
    v_init, threshold : float
        V(0) and V_thr.
    reset : str
        ``subtraction`` (4b) or ``zero`` (4a).
    burst : int
        k, for reset by subtraction.

    Returns
    -------
    counts : float array of whole numbers
        N.
    v_end : float array
        V(T).
    """
    z = np.asarray(current, np.float64)
    if reset == "zero":
        return _zero(z, n_steps, v_init, threshold)
    return _subtraction(z, n_steps, v_init, threshold, burst)


def first_spike(current: ArrayLike, v_init: float, threshold: float) -> FloatArray:
    """Return the step, counted from 1, in which a neuron that starts at V(0) first reaches the threshold; inf if never.

    The smallest k >= 1 with V(0) + k z >= V_thr.
    """
    z = np.asarray(current, np.float64)
    if threshold > v_init:
        steps = steps_to_threshold(z, threshold - v_init)
        return np.where(z > 0, steps, np.inf)
    return np.where(v_init + z >= threshold, 1.0, np.inf)


def _subtraction(z: FloatArray, n_steps: int, v_init: float, threshold: float, burst: int) -> Solution:
    """Solve (4b): whatever was gathered from the first spike on is spent in spikes, k a step at most."""
    gathered = v_init + z * n_steps
    counts = np.clip(_whole_thresholds(gathered, threshold), 0, burst * n_steps)
    # Silent until the first spike, then k in every step: the charge at the end would pay for more spikes than steps.
    late = (z >= burst * threshold) & (v_init < 0)
    if late.any():
        counts = np.where(late, _late(np.where(late, z, threshold), n_steps, v_init, threshold, burst), counts)
    # Spikes until the charge is below the threshold, which later steps only lower.
    early = (z < 0) & (v_init >= threshold)
    if early.any():
        counts = np.where(early, _early(np.minimum(z, 0.0), n_steps, v_init, threshold, burst), counts)
    return counts, gathered - counts * threshold


def _late(z: FloatArray, n_steps: int, v_init: float, threshold: float, burst: int) -> FloatArray:
    """Return the spikes of a neuron that starts below rest, and that an input of k V_thr or more drives at the limit.

    In the step of the first spikes it sends as many as it has gathered, and after that k in every step.
    """
    first = first_spike(z, v_init, threshold)
    begins = np.clip(_whole_thresholds(v_init + z * first, threshold), 0, burst)
    return np.where(first <= n_steps, begins + burst * (n_steps - first), 0)


def _early(z: FloatArray, n_steps: int, v_init: float, threshold: float, burst: int) -> FloatArray:
    """Return the spikes of a neuron that starts at the threshold or above, and whose input is not positive.

    It sends k in each step t with V(0) + t z >= t k V_thr, then what whole thresholds are left, and then none.
    """
    full = np.minimum(_whole_thresholds(np.full(z.shape, v_init), burst * threshold - z), n_steps)
    left = v_init + z * (full + 1) - full * burst * threshold
    rest = np.clip(_whole_thresholds(left, threshold), 0, burst)
    return full * burst + np.where(full < n_steps, rest, 0)


def _zero(z: FloatArray, n_steps: int, v_init: float, threshold: float) -> Solution:
    """Solve (4a): a first period from V(0), then equal ones from zero."""
    first = first_spike(z, v_init, threshold)
    # A neuron without drive never spikes again.
    period = np.where(z > 0, steps_to_threshold(z, threshold), np.inf)
    rest = n_steps - first
    spikes = rest >= 0
    since = np.where(spikes, rest, 0.0)
    with np.errstate(invalid="ignore"):
        later = np.where(np.isfinite(period), np.floor(since / period), 0.0)
        left = since - np.where(later > 0, later * period, 0.0)
    return np.where(spikes, 1 + later, 0.0), np.where(spikes, z * left, v_init + z * n_steps)


def _whole_thresholds(charge: FloatArray, threshold: FloatArray | float) -> FloatArray:
    """Return the largest whole n with n V_thr <= charge, exactly."""
    # The quotient of two dyadic numbers is rounded, so it only proposes n; the products are exact and decide.
    n = np.floor(charge / threshold)
    n = np.where(n * threshold > charge, n - 1, n)
    return np.where((n + 1) * threshold <= charge, n + 1, n)

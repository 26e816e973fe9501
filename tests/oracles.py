"""The independent judge: Eq. (4a)/(4b) as a plain NumPy loop over the matrices of Keras' own layers.

Nothing of brian_snn is imported here. `tests.keras_units` measures the layers; `simulate_oracle` normalises, rounds
them to the grid and steps through time. Every number of the simulation is a multiple of the grid, so its sums are exact
in float64 and comparisons with it are made with ``==``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tests.keras_units import IMAGE, FloatArray, Unit, applied, spiking_units

if TYPE_CHECKING:
    import keras

Scale = float | FloatArray
_Parameters = tuple[list[tuple[str, FloatArray]], FloatArray]


@dataclass(frozen=True, eq=False)
class OracleTrace:
    """What one population did; every array has the images first, ``spikes`` the steps before them.

    Parameters
    ----------
    counts, potentials, charge, surplus : (n_images, *shape) array
        Spikes, V(T), sum of z, sum over spikes of u - V_thr thrown away; sums over the steps without clamp.
    spikes : (steps, n_images, *shape) bool array
    window_start : int
        Number of clamped steps.
    """

    counts: NDArray[np.int64]
    potentials: FloatArray
    charge: FloatArray
    surplus: FloatArray
    spikes: NDArray[np.bool_]
    window_start: int


def to_grid(numbers: Any, grid: float) -> FloatArray:
    """Round to the nearest multiple of the grid."""
    return np.round(np.asarray(numbers, dtype=np.float64) / grid) * grid


@dataclass
class _State:
    """A unit in the simulation: its parameters on the grid and everything that changes from step to step."""

    unit: Unit
    weights: list[tuple[str, FloatArray]]
    current: FloatArray
    window_start: int
    v: FloatArray
    charge: FloatArray
    surplus: FloatArray
    counts: NDArray[np.int64]
    history: list[NDArray[np.bool_]]

    def spikes(self) -> NDArray[np.bool_]:
        """Return the spikes of the step just made, (n_images, n_neurons)."""
        return self.history[-1].reshape(len(self.v), -1)


def simulate_oracle(
    model: keras.Model,
    scales: Mapping[str, Scale],
    images: NDArray[Any],
    steps: int,
    reset: str = "subtraction",
    threshold: float = 1.0,
    v_init: float = 0.0,
    clamp: int = 0,
    grid: float = 2**-24,
    readout: str = "potential",
) -> dict[str, OracleTrace]:
    """Simulate Eq. (4a) (``zero``) or (4b) (``subtraction``), every neuron of every unit in the same step.

    Parameters
    ----------
    model : keras.Model
    scales : dict of float or (channels,) float array
        lambda of every spiking unit and of the readout; a max pool takes its sources'.
    images : (n_images, *input_shape) array
    steps, reset, threshold, v_init, clamp, readout
        As for `brian_snn.simulate`.
    grid : float
        Weights, biases, currents and potentials are rounded to multiples of it.

    Returns
    -------
    dict of str to OracleTrace
        By name of the population.
    """
    threshold, v_init = float(to_grid(threshold, grid)), float(to_grid(v_init, grid))
    pixels = np.asarray(images, dtype=np.float64).reshape(len(images), -1)
    states: dict[str, _State] = {}
    lambdas: dict[str, Scale] = {IMAGE: 1.0}
    for unit in spiking_units(model):
        lambdas[unit.name] = _pool_scale(unit, lambdas) if unit.kind == "max_pool" else scales[unit.name]
        start = min(steps, clamp * (unit.depth - 1))
        states[unit.name] = _at_rest(unit, _parameters(unit, lambdas, threshold, grid), pixels, v_init, start, grid)
    for step in range(steps):
        for state in states.values():
            drive = _drive(state, states)
            if state.unit.kind == "max_pool":
                spikes = _pool_step(state, drive)
            elif step < state.window_start:
                spikes = np.zeros(state.v.shape, dtype=bool)
            else:
                spikes = _membrane_step(state, drive, reset, threshold, silent=_is_silent(state.unit, readout))
            state.counts += spikes
            state.history.append(spikes)
    return {name: _trace(state) for name, state in states.items()}


def _at_rest(
    unit: Unit, parameters: _Parameters, pixels: FloatArray, v_init: float, window_start: int, grid: float
) -> _State:
    """Return a unit before the first step; what the image sends it is one current, rounded to the grid."""
    weights, bias = parameters
    current = bias + sum(applied(pixels, matrix) for name, matrix in weights if name == IMAGE)
    current = np.broadcast_to(to_grid(current, grid), (len(pixels), *unit.drive.shape))
    from_spikes = [(name, matrix) for name, matrix in weights if name != IMAGE]
    zeros = np.zeros((len(pixels), *unit.shape))
    return _State(
        unit, from_spikes, current, window_start, zeros + v_init, zeros, zeros.copy(), zeros.astype(np.int64), []
    )


def _is_silent(unit: Unit, readout: str) -> bool:
    """Return whether the unit integrates without spiking."""
    return unit.kind == "readout" and readout == "potential"


def _parameters(unit: Unit, lambdas: Mapping[str, Scale], threshold: float, grid: float) -> _Parameters:
    """Normalise, round, scale by the threshold, round again; a max pool's 0/1 matrices stay as they are."""
    drive = unit.drive
    if unit.kind == "max_pool":
        return list(drive.terms), drive.constant

    def scaled(numbers: FloatArray) -> FloatArray:
        return to_grid(threshold * to_grid(numbers / lambdas[unit.name], grid), grid)

    weights = []
    for name, matrix in drive.terms:
        rows = _source_scale(name, lambdas, len(matrix)).reshape(-1, *[1] * len(drive.shape))
        weights.append((name, scaled(matrix * rows)))
    return weights, scaled(drive.constant)


def _source_scale(name: str, lambdas: Mapping[str, Scale], size: int) -> FloatArray:
    """Return lambda of each source neuron; channels are the last axis, so a per-channel scale repeats."""
    scale = np.atleast_1d(np.asarray(lambdas[name], dtype=np.float64))
    return np.tile(scale, size // scale.size)


def _pool_scale(unit: Unit, lambdas: Mapping[str, Scale]) -> FloatArray:
    """Return lambda of each channel of a max pool: that of the sources which it pools."""
    laid_out = sum(
        applied(_source_scale(name, lambdas, len(matrix))[None], matrix)[0] for name, matrix in unit.drive.terms
    )
    return np.asarray(laid_out).max(axis=(0, 1))


def _drive(state: _State, states: Mapping[str, _State]) -> FloatArray:
    """Return z of this step; for a max pool, its sources' spike counts so far, laid out for the pooling layer."""
    total = state.current.copy()
    for name, matrix in state.weights:
        source = states[name]
        rows = source.counts.reshape(len(total), -1) if state.unit.kind == "max_pool" else source.spikes()
        total += applied(rows.astype(np.float64), matrix)
    return total


def _pool_step(state: _State, counts: FloatArray) -> NDArray[np.bool_]:
    """Spike where the maximum of the inputs' cumulative counts has grown."""
    largest = np.asarray(state.unit.pool(counts)).astype(np.int64)
    growth = largest - state.counts
    if growth.min() < 0 or growth.max() > 1:
        raise ArithmeticError(f"{state.unit.name}: a maximum of spike counts grew by {growth.min()}..{growth.max()}")
    return growth == 1


def _membrane_step(state: _State, z: FloatArray, reset: str, threshold: float, silent: bool) -> NDArray[np.bool_]:
    """Make one step of Eq. (4) and return the spikes."""
    u = state.v + z
    spikes = np.zeros(u.shape, dtype=bool) if silent else u >= threshold
    state.charge += z
    if reset == "zero":
        state.surplus += np.where(spikes, u - threshold, 0.0)
        state.v = np.where(spikes, 0.0, u)
    else:
        state.v = u - threshold * spikes
    return spikes


def _trace(state: _State) -> OracleTrace:
    """Gather what is compared. A max pool has no membrane: zeros."""
    spikes = np.stack(state.history)
    potentials = np.zeros_like(state.v) if state.unit.kind == "max_pool" else state.v
    return OracleTrace(state.counts, potentials, state.charge, state.surplus, spikes, state.window_start)


def wilson_by_roots(n_right, n):
    """Return the shares p that a count is just compatible with: |n_right / n - p| = 1.96 sqrt(p (1 - p) / n)."""
    share, z = n_right / n, 1.959963984540054
    return sorted(np.roots([1 + z * z / n, -2 * share - z * z / n, share * share]).real)

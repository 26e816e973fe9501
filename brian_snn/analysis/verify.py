"""Check a simulation, neuron by neuron, against the rate equations and against Keras' own layers.

Nothing here simulates. The measured spike counts, potentials and charges of a `Result` are put into identities that
hold exactly on a dyadic grid, so every residual is compared with 0 and not with a tolerance. Input currents and what
arrives through synapses are computed anew, from the image and the measured spike counts, by Keras layers in float64.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn.analysis.batching import batches
from brian_snn.analysis.equations import charge_balance, residual_s9, residual_s11
from brian_snn.analysis.keras_maps import Map, keras_projection
from brian_snn.analysis.redraw import competes, poisson_surplus, softmax_surplus
from brian_snn.analysis.transients import pearson
from brian_snn.conversion.graph import INPUT, FloatArray, Population, Projection
from brian_snn.errors import DataError
from brian_snn.simulation.parameters import Parameters, on_grid, scaled_parameters
from brian_snn.simulation.result import Result
from brian_snn.simulation.topology import crosses_threshold

# Numbers held at a time for one population: 32 MiB of float64.
_BATCH_NUMBERS = 2**22
# Images are split into multiples of this, whose products with weights on the grid are exact, and a small rest.
_IMAGE_GRID = 2.0**-24


@dataclass(frozen=True)
class _Row:
    """One row of the report; the field names are the columns."""

    population: str
    equation: str
    neurons: int = 0
    applicable: bool = True
    max_residual_charge: float = 0.0
    max_residual_hz: float = 0.0
    holds: bool = True
    note: str = ""


def verify(result: Result) -> pd.DataFrame:
    """Check every population of a simulation and report what its equations leave over.

    ``S9`` or ``S11``, for reset to zero or by subtraction: the rate law of a neuron with constant input, the current
    recomputed from the image by Keras. In S9 a neuron with z <= 0 must be silent and have V(T) = V(0) + z T instead.
    ``charge``: N V_thr = q - (V(T) - V(0)) - e - l, for every neuron of every layer; l is what leaked away.
    ``synapses``: q = sum over projections of W N_source, plus current times T, with W applied by Keras. Of a refractory
    neuron the charge that it missed counts too.
    ``poisson``: N of an input neuron that codes a pixel is the number of its seeded draws, made anew, below the pixel.
    ``softmax``: the spikes of all output neurons are as many as those of the external generator, drawn anew.
    ``max_pool``: N = max_j N_j at the end, and without delay at every checkpoint and step for which both are recorded.

    Parameters
    ----------
    result : Result
        As `brian_snn.simulate` or `brian_snn.load_result` returns it.

    Returns
    -------
    report : DataFrame
        One row per population and equation, with the columns ``population``, ``equation``, ``neurons`` (pairs of a
        neuron and an image that were checked), ``applicable``, ``max_residual_charge`` (in the unit of V_thr; a missing
        or surplus spike of a max-pooling unit counts V_thr), ``max_residual_hz`` (the same as a rate, that is divided
        by V_thr T), ``holds`` and ``note``. A row holds if its residual is exactly 0. A row that is not applicable
        holds vacuously; its note says why, and its residuals are nan.

    Raises
    ------
    DataError
        If an array of the result does not have the shape of its population.
    """
    _require_shapes(result)
    parameters = scaled_parameters(result.network, result.settings)
    rows: list[_Row] = []
    for population in result.network.populations:
        if population.kind == "max_pool":
            rows.append(_max_pool_row(result, parameters, population))
        elif population.kind != "poisson":
            rows += _membrane_rows(result, parameters, population)
        if population.kind == "poisson" or competes(result, population):
            rows.append(_random_row(result, parameters, population))
    return pd.DataFrame(rows)


def _require_shapes(result: Result) -> None:
    """Raise if a population's counts, potentials or charges are missing or of another shape."""
    optional = ("leaked", "missed")
    fields = ("spike_counts", "potentials", "charge", "surplus", *optional)
    for part, field in itertools.product(result.parts(), fields):
        arrays = getattr(part, field)
        for population in result.network.populations:
            if field in optional and population.name not in arrays:
                continue
            expected = (len(part.images), *population.shape)
            given = np.shape(arrays[population.name]) if population.name in arrays else "nothing"
            if given != expected:
                raise DataError(
                    f"population {population.name!r}: {field} of shape {given} in the result; {expected} was expected."
                )


# --- populations with a membrane ------------------------------------------------------------------------------------


def _membrane_rows(result: Result, parameters: Parameters, population: Population) -> list[_Row]:
    """Return the rows of the rate law, the charge balance and the synapses."""
    name, n_steps = population.name, result.window_steps(population.name)
    law = _rate_law(result)
    note = _why_not_rate_law(result, parameters, population)
    inputs = _Inputs(result, parameters, population)
    largest = dict.fromkeys(("charge", "synapses") if note else (law, "charge", "synapses"), 0.0)
    for part in result.parts():
        for batch in batches(len(part.images), inputs.largest_size, _BATCH_NUMBERS):
            counts, v_end, charge, surplus = (
                field[name][batch].reshape(-1, population.size)
                for field in (part.spike_counts, part.potentials, part.charge, part.surplus)
            )
            leaked, missed = (
                field[name][batch].reshape(-1, population.size) if name in field else 0.0
                for field in (part.leaked, part.missed)
            )
            if competes(result, population):
                # Its spikes are no threshold crossings, and take nothing from the potential.
                counts = np.zeros_like(counts)
            current = inputs.current(part, batch)
            kept = (counts, charge, v_end, parameters.v_init, surplus, parameters.threshold, leaked)
            residuals = {
                "charge": charge_balance(*kept),
                "synapses": charge + missed - (inputs.charge_of_spikes(part, batch) + current * n_steps),
            }
            if not note:
                residuals[law] = _LAWS[law](counts, current, n_steps, v_end, parameters)
            for equation, residual in residuals.items():
                largest[equation] = _largest(largest[equation], residual)
    rows = [_not_applicable(name, law, note)] if note else []
    return rows + [_checked(result, parameters, _Row(name, equation), value) for equation, value in largest.items()]


def _rate_law(result: Result) -> str:
    """Return the number of the rate law for the simulation's reset."""
    return "S9" if result.settings.reset == "zero" else "S11"


def _why_not_rate_law(result: Result, parameters: Parameters, population: Population) -> str:
    """Return why the rate law of constant input says nothing about a population; empty if it applies."""
    if any(projection.source != INPUT for projection in result.network.into(population.name)):
        return "its input comes from spikes and changes over time"
    if population.name in result.leaked:
        return "its potential leaks; the charge balance has a term for that, the rate law has none"
    if population.name in result.missed:
        return "it is refractory after each spike and misses what arrives then"
    if result.settings.reset == "zero" and parameters.v_init != 0:
        return "V(0) is not 0, but S9 rests on S5, which needs V(0) = 0"
    return ""


def _s9(
    counts: NDArray[np.generic], current: FloatArray, n_steps: int, v_end: FloatArray, parameters: Parameters
) -> FloatArray:
    """Return the residual of S9; where z <= 0, how far the neuron is from silent and from V(0) + z T."""
    law = residual_s9(counts, current, n_steps, v_end, parameters.v_init, parameters.threshold)
    silent = np.abs(counts) * parameters.threshold + np.abs(v_end - parameters.v_init - current * n_steps)
    return np.where(current > 0, law, silent)


def _s11(
    counts: NDArray[np.generic], current: FloatArray, n_steps: int, v_end: FloatArray, parameters: Parameters
) -> FloatArray:
    """Return the residual of S11."""
    return residual_s11(counts, current, n_steps, v_end, parameters.v_init, parameters.threshold)


_LAWS: dict[str, Callable[..., FloatArray]] = {"S9": _s9, "S11": _s11}


class _Inputs:
    """What arrives at a population, computed by Keras from the images and from the sources' spike counts."""

    def __init__(self, result: Result, parameters: Parameters, population: Population) -> None:
        """Build one map per projection."""
        self._grid = result.network.grid
        self._population = population
        self._bias = parameters.network[population.name].bias.ravel()
        self._maps: list[tuple[Projection, Map]] = [
            (p, keras_projection(p, population.size)) for p in parameters.network.into(population.name)
        ]
        sizes = [n for p, _ in self._maps for n in (p.geometry.n_in, p.geometry.n_out)]
        self.largest_size = max([population.size, *sizes])

    def current(self, part: Result, batch: slice) -> FloatArray:
        """Return z, the charge that arrives in every step, (n_images, size): image and bias, rounded to the grid."""
        images = np.asarray(part.images[batch], np.float64)
        maps = [apply for projection, apply in self._maps if projection.source == INPUT]
        if not maps:
            return np.broadcast_to(self._bias, (len(images), self._population.size))
        # Sums over `coarse` are exact in any order; those over the rest are too small for their rounding to matter.
        coarse = np.rint(images / _IMAGE_GRID) * _IMAGE_GRID
        exact = sum((apply(coarse) for apply in maps), start=np.zeros(1)) + self._bias
        rest = sum((apply(images - coarse) for apply in maps), start=np.zeros(1))
        return on_grid(exact + rest, self._grid)

    def charge_of_spikes(self, part: Result, batch: slice) -> FloatArray:
        """Return the sum over projections of W N_source, with the spikes in the population's window."""
        total = np.zeros((len(part.images[batch]), self._population.size))
        for projection, apply in self._maps:
            if projection.source != INPUT:
                total += apply(part.counts_in_window(projection.source, projection.target)[batch])
        return total


# --- max pooling ----------------------------------------------------------------------------------------------------


def _max_pool_row(result: Result, parameters: Parameters, population: Population) -> _Row:
    """Return the row of a max-pooling population: its counts against the largest counts in its windows."""
    if result.settings.schedule == "brian2":
        note = "with Brian2's own schedule a max-pooling unit lags its inputs by a step"
        return _not_applicable(population.name, "max_pool", note)
    if result.settings.max_pool == "gate":
        note = "its gate passes the spikes of all inputs that lead in turn: its count may exceed the largest of theirs"
        return _not_applicable(population.name, "max_pool", note)
    maps = [(p, keras_projection(p, population.size)) for p in result.network.into(population.name)]
    sizes = [n for p, _ in maps for n in (p.geometry.n_in, p.geometry.n_out)]
    largest = 0.0
    names = {population.name, *(p.source for p, _ in maps)}
    for part in result.parts():
        for counts in _count_batches(part, population.name, names, max(sizes)):
            expected = np.maximum.reduce([apply(counts[p.source]) for p, apply in maps])
            residual = (counts[population.name].reshape(expected.shape) - expected) * parameters.threshold
            largest = _largest(largest, residual)
    return _checked(result, parameters, _Row(population.name, "max_pool"), largest)


def _count_batches(result: Result, pool: str, names: set[str], size: int) -> Iterator[dict[str, FloatArray]]:
    """Yield spike counts of a max pooling and its sources since the start of the run, wherever all of them are known.

    A source is silent before its window, so the counts in its window are those since the start. A max-pooling unit is
    never clamped: its count follows its sources from the first step.
    """
    known: list[Mapping[str, NDArray[Any]]] = [
        {name: result.spike_counts[name] if name == pool else result.arrived_counts(name) for name in names}
    ]
    # With a delay the counts at other times are those of spikes sent, some of which are still under way.
    delayed = result.settings.delay_steps > 0
    if not delayed and all(name in result.count_history for name in names):
        known += [{name: result.count_history[name][k] for name in names} for k in range(len(result.checkpoints))]
    for counts in known:
        for batch in batches(len(result.images), size, _BATCH_NUMBERS):
            yield {name: np.asarray(counts[name][batch], np.float64) for name in names}
    if not delayed and all(name in result.spike_trains for name in names):
        yield from _counts_per_step(result, names, size)


def _counts_per_step(result: Result, names: set[str], size: int) -> Iterator[dict[str, FloatArray]]:
    """Yield running spike counts, one row per step, from recorded spike trains."""
    trains = {name: _split_by_image(result.spike_trains[name], len(result.images)) for name in names}
    for image in range(len(result.images)):
        running = {name: np.zeros(result.network[name].size) for name in names}
        for steps in batches(result.settings.steps, size, _BATCH_NUMBERS):
            n_steps = len(range(result.settings.steps)[steps])
            counts = {}
            for name in names:
                # Steps are counted from 1.
                step, neuron = trains[name][image][:, 1] - 1 - steps.start, trains[name][image][:, 2]
                here = (step >= 0) & (step < n_steps)
                spikes = np.zeros((n_steps, result.network[name].size))
                np.add.at(spikes, (step[here], neuron[here]), 1.0)
                counts[name] = running[name] + np.cumsum(spikes, axis=0)
                running[name] = counts[name][-1]
            yield counts


def _split_by_image(train: NDArray[np.int32], n_images: int) -> list[NDArray[np.int32]]:
    """Return the spikes of each image."""
    ordered = train[np.argsort(train[:, 0], kind="stable")]
    return np.split(ordered, np.searchsorted(ordered[:, 0], np.arange(1, n_images)))


# --- random spikes --------------------------------------------------------------------------------------------------


def _random_row(result: Result, parameters: Parameters, population: Population) -> _Row:
    """Return the row of a population whose spikes come from a generator: its counts against the draws of its seed."""
    equation, surplus = ("softmax", softmax_surplus) if competes(result, population) else ("poisson", poisson_surplus)
    largest = 0.0
    for part in result.parts():
        largest = _largest(largest, surplus(part, population) * parameters.threshold)
    return _checked(result, parameters, _Row(population.name, equation), largest)


# --- the report -----------------------------------------------------------------------------------------------------


def _not_applicable(population: str, equation: str, note: str) -> _Row:
    """Return the row of an equation that says nothing about a population: it holds vacuously."""
    return _Row(population, equation, applicable=False, max_residual_charge=np.nan, max_residual_hz=np.nan, note=note)


def _largest(so_far: float, residual: FloatArray) -> float:
    """Return the largest absolute residual; nan if there is one, so that it cannot pass as 0."""
    return float(np.maximum(so_far, np.max(np.abs(residual), initial=0.0)))


def _checked(result: Result, parameters: Parameters, row: _Row, residual: float) -> _Row:
    """Return a row with its residual, as a charge and as a rate over the population's window, and the verdict."""
    population = result.network[row.population]
    duration_s = result.window_steps(population.name) * result.settings.dt_s
    return replace(
        row,
        neurons=population.size * len(result.images),
        max_residual_charge=residual,
        # A population clamped to the end has no rate.
        max_residual_hz=residual / (parameters.threshold * duration_s) if duration_s else np.nan,
        holds=residual == 0,
    )


# --- the ANN --------------------------------------------------------------------------------------------------------


def compare_with_ann(result: Result, activations: dict[str, FloatArray]) -> pd.DataFrame:
    """Compare firing rates with the ANN's own activations: the approximation, apart from the exact equations.

    The rate that stands for an activation is a r_max with a = activation / lambda. An output that does not spike is
    compared by the mean charge it gathered, (V(T) - V(0)) / (V_thr T), which may be negative.

    Parameters
    ----------
    result : Result
        A simulation.
    activations : dict of (n_images, *shape) float array
        Activations of the ANN by population, in the ANN's units, after the ReLU; of the output before the softmax.

    Returns
    -------
    report : DataFrame
        One row per population in `activations`: ``population``, ``neurons`` (pairs of a neuron and an image),
        ``pearson_r`` (nan if either side is constant), ``rmse_hz``, ``mean_error_hz`` (rate minus target) and
        ``max_error_hz``.

    Raises
    ------
    DataError
        If activations belong to no population or have another shape than it.
    """
    rows = []
    for population in result.network.populations:
        if population.name in activations:
            rows.append(_comparison(result, population, np.asarray(activations[population.name], np.float64)))
    unknown = set(activations) - {row["population"] for row in rows}
    if unknown:
        raise DataError(f"activations of {sorted(unknown)} were given; the network has no such populations.")
    return pd.DataFrame(rows)


def _comparison(result: Result, population: Population, activation: FloatArray) -> dict[str, str | int | float]:
    """Return one row of `compare_with_ann`."""
    expected = (len(result.images), *population.shape)
    if activation.shape != expected:
        raise DataError(
            f"population {population.name!r}: activations have shape {activation.shape}; {expected} was expected."
        )
    target = (activation / population.scale / result.settings.dt_s).ravel()
    rate = _rates_hz(result, population).ravel()
    error = rate - target
    return {
        "population": population.name,
        "neurons": rate.size,
        "pearson_r": pearson(rate, target),
        "rmse_hz": float(np.sqrt(np.mean(error**2))),
        "mean_error_hz": float(np.mean(error)),
        "max_error_hz": float(np.max(np.abs(error))),
    }


def _rates_hz(result: Result, population: Population) -> FloatArray:
    """Return the rates over a population's window in Hz; of an output that does not spike, its mean input as a rate."""
    if not crosses_threshold(population, result.settings):
        parameters = scaled_parameters(result.network, result.settings)
        charge = result.potentials[population.name] - parameters.v_init
        return charge / (parameters.threshold * max(1, result.window_steps(population.name)) * result.settings.dt_s)
    return np.asarray(result.rates(population.name))

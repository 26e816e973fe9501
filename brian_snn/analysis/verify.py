"""Check a simulation, neuron by neuron: its books, and the dynamics that made them.

The books: measured spike counts, potentials and charges of a `Result` are put into identities that hold exactly on a
dyadic grid, so every residual is compared with 0 and not with a tolerance. Input currents and what arrives through
synapses are computed anew, from the image and the measured spike counts, by layers of a framework in float64.

Books can be cooked: V(T) is measured too, so any spikes at all satisfy them with a V(T) that was worked out to fit. So
the dynamics is checked as well (`brian_snn.analysis.dynamics`): Eq. (4) is stepped outside Brian2, and its spikes and
potentials are compared with the simulation's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn.analysis.batching import batches
from brian_snn.analysis.dynamics import (
    Outcome,
    Replay,
    check_replay,
    constant_residual,
    replay_images,
)
from brian_snn.analysis.equations import charge_balance, residual_s9, residual_s11
from brian_snn.analysis.inputs import Inputs
from brian_snn.analysis.known_counts import count_batches
from brian_snn.analysis.stepping import Stepper
from brian_snn.arrays import FloatArray
from brian_snn.errors import DataError
from brian_snn.network.parameters import Parameters, scaled_parameters
from brian_snn.network.records import Population
from brian_snn.neurons.record import Draws, Neuron
from brian_snn.neurons.table import neuron_of
from brian_snn.progress import Progress, bar
from brian_snn.results.result import Result

#: Said of the charge balance of a neuron that does not sum what arrives.
_WORKED_OUT = "it holds by construction: q is worked out from N and V(T), and judged by synapses"

# Numbers held at a time for one population: 32 MiB of float64.
_BATCH_NUMBERS = 2**22


@dataclass(frozen=True)
class _Row:
    """One row of the report; the field names are the columns."""

    population: str
    equation: str
    neurons: int = 0
    applicable: bool = True
    images: int = 0
    max_residual_charge: float = 0.0
    max_residual_hz: float = 0.0
    holds: bool = True
    note: str = ""


def verify(result: Result, replay: Replay = "auto", progress: Progress | bool | None = None) -> pd.DataFrame:
    """Check every population of a simulation and report what its equations leave over.

    The books, for all images:

    ``S9`` or ``S11``, for reset to zero or by subtraction: the rate law of a neuron with constant input, the current
    recomputed from the image by such layers. In S9 a neuron with z <= 0 must be silent and have V(T) = V(0) + z T
    instead.
    ``charge``: N V_thr = q - (V(T) - V(0)) - e - l, for every neuron of every layer; l is what leaked away. Of a plain
    neuron q was worked out from this very balance, so what it took in is judged by ``synapses``.
    ``synapses``: q = sum over projections of W N_source, plus current times T, with W applied by such layers. Of a
    refractory neuron the charge that it missed counts too.
    With bursts N is the sum of their sizes, and with signed spikes it is net; the rows are the same.
    ``poisson``: N of an input neuron that codes a pixel is the number of its seeded draws, made anew, below the pixel.
    ``softmax``: the spikes of all output neurons are as many as those of the external generator, drawn anew.
    ``max_pool``: N = max_j N_j at the end, and without delay at every checkpoint and step for which both are recorded.

    The dynamics, ``spikes``: N and V(T) are those of Eq. (4), which knows neither. Where the input is constant, for all
    images, by S9 or S11 solved for N (stepped, where leak or refractory period allow no such form). Elsewhere by
    stepping through the run from the image on, for the images that are replayed; and step by step, for all images,
    where spike trains or V(t) were recorded. Where the spikes of a population before it differ and were not recorded, a
    population that differs too is not judged.

    Parameters
    ----------
    result : Result
        As `brian_snn.simulate` or `brian_snn.load_result` returns it.
    replay : "auto", "all" or int
        How many images to replay, evenly spread; ``auto``: as many as take about as long as the rest, at least one
        (`brian_snn.analysis.dynamics.BUDGET`); 0: none, and nothing is said of the dynamics but for constant input.
    progress : callable or bool, optional
        Called with (done, total): images that are replayed, then populations. True, False and the default are those of
        `brian_snn.Execution`.

    Returns
    -------
    report : DataFrame
        One row per population and equation, with the columns ``population``, ``equation``, ``neurons`` (pairs of a
        neuron and an image that were checked), ``applicable``, ``images`` (for which it was checked),
        ``max_residual_charge`` (in the unit of V_thr; a missing or surplus spike counts V_thr where spikes are
        compared), ``max_residual_hz`` (the same as a rate, that is divided by V_thr T), ``holds`` and ``note``. A row
        holds if its residual is exactly 0. A row that is not applicable holds vacuously; its note says why, and its
        residuals are nan.

    Raises
    ------
    DataError
        If an array of the result does not have the shape of its population.
    SettingError
        If `replay` is no number of images.
    """
    replay = check_replay(replay)
    _require_shapes(result)
    parameters = scaled_parameters(result.network, result.settings)
    steppers = {
        p.name: Stepper(
            parameters, result.settings, p, Inputs(parameters, p), neuron_of(result.network, p, result.settings)
        )
        for p in result.network.populations
    }
    with bar(progress, "replay", "images") as shown:
        outcomes = replay_images(result, parameters, steppers, replay, shown)
    rows: list[_Row] = []
    with bar(progress, "verify", "layers") as shown:
        for done, population in enumerate(result.network.populations, start=1):
            rows += _rows(result, parameters, population, steppers[population.name], outcomes[population.name])
            if shown:
                shown(done, len(steppers))
    return pd.DataFrame(rows)


def _rows(
    result: Result, parameters: Parameters, population: Population, stepper: Stepper, outcome: Outcome
) -> list[_Row]:
    """Return all rows of a population."""
    rows: list[_Row] = []
    if stepper.neuron.hears == "largest":
        rows.append(_max_pool_row(result, parameters, population, stepper))
    elif stepper.neuron.hears == "charge":
        rows += _membrane_rows(result, parameters, population, stepper)
    if stepper.neuron.draws is not None:
        rows.append(_random_row(result, parameters, population, stepper, stepper.neuron.draws))
    return [*rows, _spikes_row(result, parameters, population, stepper, outcome)]


def _require_shapes(result: Result) -> None:
    """Raise if a population's counts, potentials, charges, books or recordings are missing or of another shape."""
    for part, population in itertools.product(result.parts(), result.network.populations):
        name, n_images = population.name, len(part.images)
        neuron = neuron_of(result.network, population, result.settings)
        signed = ["negative_counts"] * neuron.model.signed
        always = ("spike_counts", "potentials", "charge", *(book.name for book in neuron.books), *signed)
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(always, (n_images, *population.shape))
        shapes["potential_traces"] = (n_images, result.settings.steps, *population.shape)
        if name in part.spike_trains:
            # As many rows as there are spikes.
            shapes["spike_trains"] = (len(part.spike_trains[name]), 3)
        for field, expected in shapes.items():
            arrays = part.by_population(field)
            if name not in arrays and field not in always:
                continue
            given = np.shape(arrays[name]) if name in arrays else "nothing"
            if given != expected:
                raise DataError(
                    f"population {name!r}: {field} of shape {given} in the result; {expected} was expected."
                )


# --- populations with a membrane ------------------------------------------------------------------------------------


def _membrane_rows(result: Result, parameters: Parameters, population: Population, stepper: Stepper) -> list[_Row]:
    """Return the rows of the rate law, the charge balance and the synapses."""
    parameters = parameters.of(population.name)
    name, inputs, neuron = population.name, stepper.inputs, stepper.neuron
    n_steps = result.window_steps(name)
    law, note, start = neuron.law, stepper.changes or neuron.no_law, result.window_start(name)
    largest = dict.fromkeys(("charge", "synapses") if note else (law, "charge", "synapses"), 0.0)
    for part in result.parts():
        for batch in batches(len(part.images), stepper.numbers_an_image, _BATCH_NUMBERS):
            counts, v_end, charge = (
                field[name][batch].reshape(-1, population.size)
                for field in (part.spike_counts, part.potentials, part.charge)
            )
            taken, kept_away = (_booked(part, population, neuron, batch, in_balance) for in_balance in (True, False))
            if neuron.draws is not None:
                # Its spikes are no threshold crossings, and take nothing from the potential.
                counts = np.zeros_like(counts)
            images = part.images[batch]
            residuals = {
                "charge": charge_balance(counts, charge, v_end, parameters.v_init, taken, parameters.threshold),
                "synapses": charge
                + kept_away
                - (inputs.charge_of_spikes(part, batch) + stepper.charge_of_images(images, start)),
            }
            if not note:
                residuals[law] = _LAWS[law](counts, inputs.current(images), n_steps, v_end, parameters)
            for equation, residual in residuals.items():
                largest[equation] = _largest(largest[equation], residual)
    rows = [_not_applicable(name, law, note)] if note else []
    notes = {} if "charge" in neuron.model.outputs else {"charge": _WORKED_OUT}
    return rows + [
        _checked(result, parameters, _Row(name, equation, note=notes.get(equation, "")), value)
        for equation, value in largest.items()
    ]


def _booked(part: Result, population: Population, neuron: Neuron, batch: slice, in_balance: bool) -> FloatArray:
    """Return the sum of the books that are part of the balance, or of those that are not, (n_images, size)."""
    books = (part.booked[book.name] for book in neuron.books if book.in_balance == in_balance)
    zero = np.zeros((len(part.images[batch]), population.size))
    return sum((book[population.name][batch].reshape(zero.shape) for book in books), start=zero)


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


# --- max pooling ----------------------------------------------------------------------------------------------------


def _max_pool_row(result: Result, parameters: Parameters, population: Population, stepper: Stepper) -> _Row:
    """Return the row of a max-pooling population: its counts against the largest counts in its windows."""
    inputs, neuron = stepper.inputs, stepper.neuron
    if neuron.no_law:
        return _not_applicable(population.name, neuron.law, neuron.no_law)
    largest = 0.0
    names = {population.name, *inputs.sources}
    for part in result.parts():
        for counts in count_batches(part, population.name, names, inputs.largest_size):
            expected = inputs.maximum_of(counts)
            residual = (counts[population.name].reshape(expected.shape) - expected) * parameters.threshold
            largest = _largest(largest, residual)
    return _checked(result, parameters, _Row(population.name, "max_pool"), largest)


# --- random spikes --------------------------------------------------------------------------------------------------


def _random_row(result: Result, parameters: Parameters, population: Population, stepper: Stepper, draws: Draws) -> _Row:
    """Return the row of a population whose spikes are drawn: its counts against the draws of its seed, made anew."""
    largest, start, parameters = 0.0, result.window_start(population.name), parameters.of(population.name)
    for part in result.parts():
        counts = np.asarray(part.spike_counts[population.name], np.float64).reshape(len(part.images), -1)
        for image in range(len(counts)):
            current = stepper.current(part.images[image : image + 1])[0]
            drawn = draws.spikes(result.settings, part.first_image + image, start, current)
            counted = counts[image] if len(drawn) == len(counts[image]) else counts[image].sum(keepdims=True)
            largest = _largest(largest, (counted - drawn) * parameters.threshold)
    return _checked(result, parameters, _Row(population.name, draws.equation), largest)


# --- the dynamics ---------------------------------------------------------------------------------------------------


def _spikes_row(
    result: Result, parameters: Parameters, population: Population, stepper: Stepper, outcome: Outcome
) -> _Row:
    """Return the row of Eq. (4): with constant input of all images, else of those that were replayed."""
    n_images, residual, n_checked, how = len(result.images), outcome.residual, outcome.images, []
    parameters = parameters.of(population.name)
    neuron = stepper.neuron
    is_constant = neuron.hears == "charge" and not stepper.changes
    if is_constant:
        n_checked = n_images
        how.append(f"{neuron.law} solved for N" if neuron.solvable else "stepped")
        for part in result.parts():
            for batch in batches(len(part.images), stepper.inputs.largest_size, _BATCH_NUMBERS):
                off = constant_residual(stepper, result, parameters, population, part, batch)
                residual = _largest(residual, off)
    if outcome.by_step:
        how.append("step by step")
    if outcome.misled and not is_constant:
        how.append(f"not judged in {outcome.misled}, where {', '.join(sorted(outcome.blamed))} differs before it")
    note = "; ".join([f"{n_checked:,} of {n_images:,} images", *how])
    if not n_checked:
        return _not_applicable(population.name, "spikes", note)
    return _checked(result, parameters, _Row(population.name, "spikes", note=note), residual, n_checked)


# --- the report -----------------------------------------------------------------------------------------------------


def _not_applicable(population: str, equation: str, note: str) -> _Row:
    """Return the row of an equation that says nothing about a population: it holds vacuously."""
    return _Row(population, equation, applicable=False, max_residual_charge=np.nan, max_residual_hz=np.nan, note=note)


def _largest(so_far: float, residual: FloatArray) -> float:
    """Return the largest absolute residual; nan if there is one, so that it cannot pass as 0."""
    return float(np.maximum(so_far, np.max(np.abs(residual), initial=0.0)))


def _checked(result: Result, parameters: Parameters, row: _Row, residual: float, n_images: int | None = None) -> _Row:
    """Return a row with its residual, as a charge and as a rate over the population's window, and the verdict."""
    population, n_images = result.network[row.population], len(result.images) if n_images is None else n_images
    duration_s = result.window_steps(population.name) * float(result.settings.dt)
    return replace(
        row,
        neurons=population.size * n_images,
        images=n_images,
        max_residual_charge=residual,
        # A population clamped to the end has no rate.
        max_residual_hz=residual / (parameters.threshold * duration_s) if duration_s else np.nan,
        holds=residual == 0,
    )

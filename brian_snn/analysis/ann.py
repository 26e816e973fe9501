"""Compare the firing rates with the trained network's own activations: the approximation, apart from the equations."""

from __future__ import annotations

import numpy as np
import pandas as pd

from brian_snn.analysis.transients import pearson
from brian_snn.arrays import FloatArray
from brian_snn.errors import DataError
from brian_snn.network.parameters import scaled_parameters
from brian_snn.network.records import Population
from brian_snn.network.roles import crosses_threshold
from brian_snn.results.result import Result


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
    target = (activation / population.scale / float(result.settings.dt)).ravel()
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
        parameters = scaled_parameters(result.network, result.settings).of(population.name)
        charge = result.potentials[population.name] - parameters.v_init
        return charge / (
            parameters.threshold * max(1, result.window_steps(population.name)) * float(result.settings.dt)
        )
    return np.asarray(result.rates(population.name))

"""Compare the firing rates with the trained network's own activations: the approximation, apart from the equations."""

from __future__ import annotations

import numpy as np
import pandas as pd

from brian_snn.analysis.verify import _comparison
from brian_snn.arrays import FloatArray
from brian_snn.errors import DataError
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

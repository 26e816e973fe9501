"""Compare the firing rates with the trained network's own activations: the approximation, apart from the equations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from brian_snn.analysis.batching import image_batches
from brian_snn.analysis.measured import Activations, ActivationsOf, measured_parts
from brian_snn.arrays import FloatArray
from brian_snn.results.result import Result


def compare_with_ann(result: Result, activations: Activations | ActivationsOf) -> pd.DataFrame:
    """Compare firing rates with the ANN's own activations: the approximation, apart from the exact equations.

    The rate that stands for an activation is a r_max with a = activation / lambda. An output that does not spike is
    compared by the mean charge it gathered, (V(T) - V(0)) / (V_thr T), which may be negative.

    Parameters
    ----------
    result : Result
        A simulation.
    activations : dict of (n_images, *shape) float array, or callable
        Activations of the ANN by population, in the ANN's units, after the ReLU; of the output before the softmax. Or
        what returns those of a part of the result, which is then read part by part.

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
    found: dict[str, _Agreement] = {}
    for measured in measured_parts(result, activations):
        for batch in image_batches(result.network, len(measured.result.images)):
            for name in measured.given:
                rate, target = measured.rate(name, batch), measured.target(name, batch)
                found.setdefault(name, _Agreement()).add(rate, target)
    r_max_hz = 1 / float(result.settings.dt)
    return pd.DataFrame([{"population": name} | sums.row(r_max_hz) for name, sums in found.items()])


@dataclass
class _Agreement:
    """Numbers, means and products of deviations of two sides, which grow batch by batch."""

    n: int = 0
    means: FloatArray | float = 0.0
    products: FloatArray | float = 0.0
    varies: bool | np.bool_ = False
    first: FloatArray | None = None
    error_square: float = 0.0
    largest: float = 0.0

    def add(self, rate: FloatArray, target: FloatArray) -> None:
        """Add a batch: its own deviations, and those of its means from the means until now (Chan et al. 1979)."""
        sides = np.stack([rate.ravel(), target.ravel()])
        n, means = sides.shape[1], sides.mean(axis=1)
        deviations = sides - means[:, None]
        distance = means - self.means
        self.products += deviations @ deviations.T + np.outer(distance, distance) * self.n * n / (self.n + n)
        self.means += distance * n / (self.n + n)
        self.n += n
        self.first = sides[:, :1] if self.first is None else self.first
        self.varies = self.varies | (sides != self.first).any(axis=1)
        errors = sides[0] - sides[1]
        self.error_square += float(errors @ errors)
        self.largest = max(self.largest, float(np.abs(errors).max()))

    def row(self, r_max_hz: float) -> dict[str, float]:
        """Return the numbers of the table."""
        products, means = np.asarray(self.products), np.asarray(self.means)
        spread = np.sqrt(products[0, 0] * products[1, 1])
        return {
            "neurons": self.n,
            "pearson_r": float(products[0, 1] / spread) if np.all(self.varies) else np.nan,
            "rmse_hz": r_max_hz * float(np.sqrt(self.error_square / self.n)),
            "mean_error_hz": r_max_hz * float(means[0] - means[1]),
            "max_error_hz": r_max_hz * self.largest,
        }

"""The grid of which all numbers of a simulation are multiples, so that their sums are exact."""

from __future__ import annotations

import numpy as np

from brian_snn.arrays import FloatArray


def on_grid(values: FloatArray | float, grid: FloatArray | float) -> FloatArray:
    """Return the multiples of `grid` nearest to `values`; infinity where float64 holds none."""
    with np.errstate(over="ignore"):
        multiples = np.array(values, np.float64)
        multiples /= grid
        np.rint(multiples, out=multiples)
        multiples *= grid
        return multiples

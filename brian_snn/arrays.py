"""What arrays hold: numbers of float64, whole numbers of int32."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


IntArray = NDArray[np.int32]


def side_by_side(arrays: Sequence[FloatArray]) -> FloatArray:
    """Return one array as it is, several one behind the other, (n, size of all) from (n, *shape)."""
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate([values.reshape(len(values), -1) for values in arrays], axis=1)

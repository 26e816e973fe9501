"""What arrays hold: numbers of float64, whole numbers of int32."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


IntArray = NDArray[np.int32]

"""The range of pixels, found piece by piece, and whether images have that of those a network was calibrated on.

Pixels of 0 to 255 in a network for 0 to 1 saturate every neuron, the reverse leaves all of them silent; neither is an
error of the arithmetic, so that nobody would be told.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import DataError

#: Smallest and largest pixel.
Range = tuple[float, float]

#: Images that are looked at at a time, as many as have about so many pixels together.
_PIECE, _PIECE_PIXELS = 256, 2**22

#: Images that differ by less than this part of the calibration range are thought to be in another unit.
_LEAST_PART = 0.01


def finite_range(images: NDArray[Any], what: str) -> Range:
    """Return the smallest and the largest pixel of images; a memory map is read once, piece by piece.

    Raises
    ------
    DataError
        If there are NaN or infinite pixels; says how many and where.
    """
    n_bad: list[NDArray[np.intp]] = []
    length = max(1, min(_PIECE, _PIECE_PIXELS // max(1, prod(images.shape[1:]))))
    lowest, highest = np.inf, -np.inf
    for start in range(0, len(images), length):
        with np.errstate(over="ignore"):
            # As they will be computed with: a wider type holds numbers that float64 does not.
            piece = np.asarray(images[start : start + length], np.float64)
        n_bad.append(np.count_nonzero(~np.isfinite(piece.reshape(len(piece), -1)), axis=1))
        lowest, highest = min(lowest, float(piece.min())), max(highest, float(piece.max()))
    bad = np.concatenate(n_bad)
    if bad.any():
        raise DataError(
            f"{what} hold {bad.sum()} NaN or infinite pixels in {np.count_nonzero(bad)} of {len(images)} images, "
            f"first in image {np.flatnonzero(bad)[0]} (counted from 0); every pixel must be a finite number."
        )
    return lowest, highest


def is_far_outside(found: Range, calibrated: Range | None) -> bool:
    """Whether pixels are in another unit than the calibration images were.

    Either they lie further from the calibration range than it is wide, or they differ at all and by less than a
    hundredth of it. Of calibration images that were all the same, or are not known, nothing can be said.
    """
    if calibrated is None or calibrated[0] == calibrated[1]:
        return False
    (low, high), width = calibrated, calibrated[1] - calibrated[0]
    return found[0] < low - width or found[1] > high + width or 0 < found[1] - found[0] < _LEAST_PART * width


def require_calibrated_range(found: Range, calibrated: Range | None) -> None:
    """Raise DataError where `is_far_outside`."""
    if calibrated is None or not is_far_outside(found, calibrated):
        return
    raise DataError(
        f"images range from {found[0]:g} to {found[1]:g}, those that the network was calibrated on from "
        f"{calibrated[0]:g} to {calibrated[1]:g}; scale them as the calibration images were, or go on with "
        "any_range=True (--any-range)."
    )

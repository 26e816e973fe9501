"""The share of answers that are right, with an interval that says how well it is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import DataError

#: So many standard deviations on either side of the mean hold 95 % of a normal distribution.
_DEVIATIONS = 1.959963984540054


@dataclass(frozen=True, repr=False)
class Accuracy:
    """The share of right answers and the 95 % interval of Wilson for it, from 0 to 1, and of how many images it is."""

    share: float
    low: float
    high: float
    n: int

    def __float__(self) -> float:
        """Return the share."""
        return self.share

    def __str__(self) -> str:
        """Return share and interval in per cent."""
        return f"{100 * self.share:.2f} % ({100 * self.low:.2f} to {100 * self.high:.2f} %)"

    def __repr__(self) -> str:
        """Return the same and the number of images."""
        return f"{self}, n = {self.n:,}"


def wilson_interval(n_right: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of Wilson for a share of which `n_right` of `n` independent cases were seen.

    Unlike the standard error it says something of 0 and of all, and stays between 0 and 1:

        (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n),     p = n_right / n, z = 1.96
    """
    share, z_squared = n_right / n, _DEVIATIONS**2
    middle = share + z_squared / (2 * n)
    half = _DEVIATIONS * math.sqrt(share * (1 - share) / n + z_squared / (4 * n * n))
    low, high = ((middle + side * half) / (1 + z_squared / n) for side in (-1, 1))
    # Roundings apart, these are 0 for none and 1 for all.
    return (0.0 if n_right == 0 else low), (1.0 if n_right == n else high)


def accuracy(labels: NDArray[np.integer], predictions: NDArray[np.integer]) -> Accuracy:
    """Return the share of answers that are right, with an interval for it.

    Parameters
    ----------
    labels, predictions : (n_images,) or (n_images, ...) int array
        True and given answers. Several answers to an image all count for the share; they depend on each other, so the
        interval is that of as many cases as there are images.

    Raises
    ------
    DataError
        If the shapes differ.
    """
    require_one_shape(labels, predictions)
    share = float(np.mean(labels == predictions))
    return Accuracy(share, *wilson_interval(share * len(labels), len(labels)), len(labels))


def require_one_shape(labels: NDArray[np.integer], predictions: NDArray[np.integer]) -> None:
    """Raise DataError unless there is a label for each answer; NumPy would broadcast some that do not fit."""
    if labels.shape != predictions.shape:
        raise DataError(
            f"labels have shape {labels.shape}, the answers that they are compared with {predictions.shape}; a label "
            "for each of them is needed."
        )

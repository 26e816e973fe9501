"""Random images on which a conversion is checked, besides those that a user happens to have.

A pixel that is black in every calibration image hides the weights behind it, and so does a neuron that is silent on all
of them. The images made here light every pixel and give it both signs; a neuron that a bias holds down wakes up on
those that reach far beyond the range of the calibration images.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray

#: How far the images of a pair reach, as multiples of the range, and whether their pixels are at its ends only.
_PAIRS = ((1.0, False), (1.0, True), (5.0, False), (50.0, False), (1000.0, False))
_FURTHEST = 1e300


def probe_images(images: NDArray[np.generic], seed: int = 0) -> Iterator[FloatArray]:
    """Yield pairs of random images around the range of the pixels of others, each pair the mirror image of itself.

    Where one image of a pair has a pixel above the middle of the range, the other one has it as far below.

    Parameters
    ----------
    images : (n_images, *shape) array
        At least one image of finite numbers. Where all their pixels are the same, the range is one up and down.
    seed : int
        Of the random numbers.

    Yields
    ------
    pair : (2, *shape) float array
        The first pair is drawn evenly from the range; of the second every pixel is at one of its ends; the others
        reach 5, 50 and 1,000 times as far.
    """
    rng = np.random.default_rng(seed)
    low, high = float(np.min(images)), float(np.max(images))
    middle, reach = low / 2 + high / 2, high / 2 - low / 2 or 1.0
    for factor, at_the_ends in _PAIRS:
        offset = rng.uniform(-1.0, 1.0, images.shape[1:])
        if at_the_ends:
            offset = np.where(offset < 0, -1.0, 1.0)
        offset *= min(factor * reach, max(reach, _FURTHEST))
        yield np.stack([middle + offset, middle - offset])

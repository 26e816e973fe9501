"""Seeded random numbers that any process can draw in any order: the n-th number of a stream is a function of n.

A stream is the SplitMix64 generator (Steele, Lea and Flood, OOPSLA 2014), whose n-th number is a hash of its key plus n
times a constant. Each image has a stream of its own, with a key made of the seed and the number of the image, so an
image's numbers are the same whatever is simulated beside it, in whatever order and by however many processes. All of it
is whole-number arithmetic, the same bits in C++, Cython and NumPy, and nothing is stored.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from brian_snn.arrays import FloatArray

#: The same generator in C++, under the name `uniform_number`.
UNIFORM_CPP = """
static inline double uniform_number(double key, double n) {
    uint64_t x = uint64_t(key) + (uint64_t(n) + 1) * 0x9E3779B97F4A7C15ULL;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return double((x ^ (x >> 31)) >> 11) / 9007199254740992.0;
}
"""

#: The same in Cython.
UNIFORM_CYTHON = """
from libc.stdint cimport uint64_t
cdef double uniform_number(double key, double n):
    cdef uint64_t x = <uint64_t>key + (<uint64_t>n + 1) * 0x9E3779B97F4A7C15ULL
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL
    return <double>((x ^ (x >> 31)) >> 11) / 9007199254740992.0
"""


class Purpose(IntEnum):
    """What a stream is for; streams of one image for different purposes share nothing."""

    POISSON_INPUT = 0
    SOFTMAX = 1


def stream_keys(seed: int, purpose: Purpose, images: range) -> FloatArray:
    """Return the key of each image's stream: a whole number below 2**53, which a float holds.

    Parameters
    ----------
    seed : int
        Not negative.
    purpose : Purpose
    images : range
        Numbers of the images, counted over the whole call of `brian_snn.simulate`.
    """
    words = [
        np.random.SeedSequence(seed, spawn_key=(purpose, image)).generate_state(1, np.uint64)[0] for image in images
    ]
    return (np.array(words, np.uint64) >> np.uint64(11)).astype(np.float64)


def uniform(key: ArrayLike, n: ArrayLike) -> FloatArray:
    """Return the n-th numbers of a stream, uniform in [0, 1), multiples of 2**-53.

    Parameters
    ----------
    key : float array
        From `stream_keys`.
    n : int or whole float array
        Places in the stream, counted from 0.
    """

    def whole(numbers: ArrayLike) -> NDArray[np.uint64]:
        return np.atleast_1d(np.asarray(numbers)).astype(np.uint64)

    # Products wrap around at 2**64, as they should.
    x = whole(key) + (whole(n) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53

"""Seeded random numbers that any process can draw in any order: the n-th number of a stream is a function of n.

A stream is the SplitMix64 generator (Steele, Lea and Flood, OOPSLA 2014), whose n-th number is a hash of its key plus n
times a constant. Each image has a stream of its own, with a key made of the seed and the number of the image, so an
image's numbers are the same whatever is simulated beside it, in whatever order and by however many processes. All of it
is whole-number arithmetic, the same bits in C++, Cython and NumPy, and nothing is stored.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from brian_snn.arrays import FloatArray

#: Output n of the generator as C++ has it, and what is made of it: a number in [0, 1), and the ones among its bits.
_SPLITMIX_CPP = """
static inline uint64_t {name}_bits(double key, double n) {{
    uint64_t x = uint64_t(key) + (uint64_t(n) + 1) * 0x9E3779B97F4A7C15ULL;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
}}
"""
_UNIFORM_CPP = """
static inline double uniform_number(double key, double n) {
    return double(uniform_bits(key, n) >> 11) / 9007199254740992.0;
}
"""
_BINOMIAL_CPP = """
static inline double binomial_number(double key, double n) {
    uint64_t x = binomial_bits(key, n);
    x -= (x >> 1) & 0x5555555555555555ULL;
    x = (x & 0x3333333333333333ULL) + ((x >> 2) & 0x3333333333333333ULL);
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0FULL;
    return double((x * 0x0101010101010101ULL) >> 56) - 32.0;
}
"""
_SPLITMIX_CYTHON = """
from libc.stdint cimport uint64_t
cdef uint64_t {name}_bits(double key, double n):
    cdef uint64_t x = <uint64_t>key + (<uint64_t>n + 1) * 0x9E3779B97F4A7C15ULL
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL
    return x ^ (x >> 31)
"""
_UNIFORM_CYTHON = """
cdef double uniform_number(double key, double n):
    return <double>(uniform_bits(key, n) >> 11) / 9007199254740992.0
"""
_BINOMIAL_CYTHON = """
cdef double binomial_number(double key, double n):
    cdef uint64_t x = binomial_bits(key, n)
    x -= (x >> 1) & 0x5555555555555555ULL
    x = (x & 0x3333333333333333ULL) + ((x >> 2) & 0x3333333333333333ULL)
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0FULL
    return <double>((x * 0x0101010101010101ULL) >> 56) - 32.0
"""

#: `uniform` and `binomial` in other languages, under the names `uniform_number` and `binomial_number`.
UNIFORM_CPP = _SPLITMIX_CPP.format(name="uniform") + _UNIFORM_CPP
UNIFORM_CYTHON = _SPLITMIX_CYTHON.format(name="uniform") + _UNIFORM_CYTHON
BINOMIAL_CPP = _SPLITMIX_CPP.format(name="binomial") + _BINOMIAL_CPP
BINOMIAL_CYTHON = _SPLITMIX_CYTHON.format(name="binomial") + _BINOMIAL_CYTHON

#: Standard deviation and largest size of a number of `binomial`.
BITS_DEVIATION, MOST_BITS = 4.0, 32


class Purpose(IntEnum):
    """What a stream is for; streams of one image for different purposes share nothing."""

    POISSON_INPUT = 0
    SOFTMAX = 1
    MISMATCH = 2
    NOISE = 3
    WEIGHTS = 4


def stream_keys(seed: int, purpose: Purpose, images: range, *more: int) -> FloatArray:
    """Return the key of each image's stream: a whole number below 2**53, which a float holds.

    Parameters
    ----------
    seed : int
        Not negative.
    purpose : Purpose
    images : range
        Numbers of the images, counted over the whole call of `brian_snn.simulate`.
    *more : int
        What else tells streams apart, below 2**32.
    """
    words = [
        np.random.SeedSequence(seed, spawn_key=(purpose, image, *more)).generate_state(1, np.uint64)[0]
        for image in images
    ]
    return (np.array(words, np.uint64) >> np.uint64(11)).astype(np.float64)


@dataclass(frozen=True)
class Stream:
    """A stream for every image, as `stream_keys` tells them apart."""

    seed: int
    purpose: Purpose
    more: tuple[int, ...] = ()

    def keys(self, images: range) -> FloatArray:
        """Return the key of each image's stream, (n_images, 1)."""
        return stream_keys(self.seed, self.purpose, images, *self.more)[:, None]

    def words(self) -> tuple[list[int], list[int]]:
        """Return what SeedSequence makes a key of, words of 32 bits: those before the number of the image, and behind.

        A seed fills its pool of four words.
        """
        seed = [self.seed >> shift & 0xFFFFFFFF for shift in range(0, max(1, self.seed.bit_length()), 32)]
        return [*seed, *[0] * (4 - len(seed)), int(self.purpose)], list(self.more)


def numbered(text: str) -> int:
    """Return a number below 2**32 that tells the streams of a text from those of others, but for a rare chance."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def uniform(key: ArrayLike, n: ArrayLike) -> FloatArray:
    """Return the n-th numbers of a stream, uniform in [0, 1), multiples of 2**-53.

    Parameters
    ----------
    key : float array
        From `stream_keys`.
    n : int or whole float array
        Places in the stream, counted from 0.
    """
    return (_bits(key, n) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def binomial(key: ArrayLike, n: ArrayLike) -> FloatArray:
    """Return how many ones the 64 bits of the n-th outputs of a stream have, less 32; as `uniform` takes them."""
    bits = _bits(key, n)
    ones = np.unpackbits(bits.view(np.uint8)).reshape(*bits.shape, 64).sum(axis=-1)
    return ones.astype(np.float64) - MOST_BITS


def normal(key: float, size: int) -> FloatArray:
    """Return the first numbers of a stream as draws from the standard normal distribution (Box and Muller), (size,)."""
    # The middle of an interval of 2**-53: not 0, of which there is no logarithm.
    radius = np.sqrt(-2.0 * np.log(uniform(key, 2 * np.arange(size)) + 2.0**-54))
    return radius * np.cos(2.0 * np.pi * uniform(key, 2 * np.arange(size) + 1))


def drawn_once(seed: int, text: str, size: int) -> FloatArray:
    """Return numbers of the standard normal distribution that differ from neuron to neuron, not from image to image.

    They depend on the seed and on the text, which says what they are for and of which population, and on nothing else,
    (size,).
    """
    number = numbered(text)
    (key,) = stream_keys(seed, Purpose.MISMATCH, range(number, number + 1))
    return normal(key, size)


def _bits(key: ArrayLike, n: ArrayLike) -> NDArray[np.uint64]:
    """Return the n-th outputs of a stream."""

    def whole(numbers: ArrayLike) -> NDArray[np.uint64]:
        return np.atleast_1d(np.asarray(numbers)).astype(np.uint64)

    # Products wrap around at 2**64, as they should.
    x = whole(key) + (whole(n) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.ascontiguousarray(x ^ (x >> np.uint64(31)))

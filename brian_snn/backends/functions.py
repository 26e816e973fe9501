"""Functions that the neuron models call and Brian2 lacks, each with the same bits in NumPy, C++, Cython and CUDA."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from brian2 import Function
from numpy.typing import ArrayLike

from brian_snn.arrays import FloatArray
from brian_snn.randomness import (
    BINOMIAL_CPP,
    BINOMIAL_CYTHON,
    UNIFORM_CPP,
    UNIFORM_CYTHON,
    binomial,
    uniform,
)

# IEEE 754 defines both operations, and between them there is nothing to fuse: all languages agree.
_NEAREST_CPP = "static inline double nearest_product(double x, double y) { return rint(x * y); }\n"
_NEAREST_CYTHON = """
from libc.math cimport rint
cdef double nearest_product(double x, double y):
    return rint(x * y)
"""


def _nearest_product(x: ArrayLike, y: ArrayLike) -> FloatArray:
    """Return the whole number nearest to a product, of two the even one; the product is taken in float64."""
    return np.rint(np.asarray(x, np.float64) * np.asarray(y, np.float64))


def _function(in_numpy: Callable[..., FloatArray], name: str, cpp: str, cython: str) -> Function:
    """Return a function of two numbers in every language in which Brian2 runs it."""
    function = Function(in_numpy, arg_units=[1, 1], return_unit=1, stateless=True)
    function.implementations.add_implementation("cpp", cpp, name=name)
    # CUDA is told that it runs on the processor and on the graphics card.
    on_both = cpp.replace("static inline", "__host__ __device__ static inline")
    function.implementations.add_implementation("cuda", on_both, name=name)
    function.implementations.add_implementation("cython", cython, name=name)
    return function


#: By the names under which the models call them.
FUNCTIONS = {
    "nearest_product": _function(_nearest_product, "nearest_product", _NEAREST_CPP, _NEAREST_CYTHON),
    "uniform": _function(uniform, "uniform_number", UNIFORM_CPP, UNIFORM_CYTHON),
    "binomial": _function(binomial, "binomial_number", BINOMIAL_CPP, BINOMIAL_CYTHON),
}

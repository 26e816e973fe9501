"""Functions that the neuron models call and Brian2 lacks, each with the same bits in NumPy, C++, Cython and CUDA."""

from __future__ import annotations

import numpy as np
from brian2 import Function
from numpy.typing import ArrayLike

from brian_snn.arrays import FloatArray
from brian_snn.neurons.randomness import UNIFORM_CPP, UNIFORM_CYTHON, uniform

#: How CUDA says that a function runs on the processor and on the graphics card.
_ON_GPU = "__host__ __device__ "


def _nearest_product(x: ArrayLike, y: ArrayLike) -> FloatArray:
    """Return the whole number nearest to a product, of two the even one; the product is taken in float64."""
    return np.rint(np.asarray(x, np.float64) * np.asarray(y, np.float64))


# IEEE 754 defines both operations, and between them there is nothing to fuse: C++ and NumPy agree.
_nearest = Function(_nearest_product, arg_units=[1, 1], return_unit=1, stateless=True)
_NEAREST_CPP = "static inline double nearest_product(double x, double y) { return rint(x * y); }\n"
_nearest.implementations.add_implementation("cpp", _NEAREST_CPP, name="nearest_product")
_nearest.implementations.add_implementation("cuda", _ON_GPU + _NEAREST_CPP, name="nearest_product")
_nearest.implementations.add_implementation(
    "cython",
    "from libc.math cimport rint\ncdef double nearest_product(double x, double y):\n    return rint(x * y)\n",
    name="nearest_product",
)
_uniform = Function(uniform, arg_units=[1, 1], return_unit=1, stateless=True)
_uniform.implementations.add_implementation("cpp", UNIFORM_CPP, name="uniform_number")
_uniform.implementations.add_implementation("cuda", _ON_GPU + UNIFORM_CPP.lstrip(), name="uniform_number")
_uniform.implementations.add_implementation("cython", UNIFORM_CYTHON, name="uniform_number")

#: By the names under which the models call them.
FUNCTIONS = {"nearest_product": _nearest, "uniform": _uniform}

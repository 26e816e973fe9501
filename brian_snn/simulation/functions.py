"""Functions that the neuron models call and Brian2 lacks, each with the same bits in C++ and in NumPy."""

from __future__ import annotations

import numpy as np
from brian2 import Function

from brian_snn.simulation.randomness import UNIFORM_CPP, uniform

#: The nearest whole number, of two the even one. IEEE 754 defines it, so C++ and NumPy agree.
_nearest = Function(np.rint, arg_units=[1], return_unit=1, stateless=True)
_nearest.implementations.add_implementation(
    "cpp", "static inline double nearest_whole(double x) { return std::rint(x); }", name="nearest_whole"
)

_uniform = Function(uniform, arg_units=[1, 1], return_unit=1, stateless=True)
_uniform.implementations.add_implementation("cpp", UNIFORM_CPP, name="uniform_number")

#: By the names under which the models call them.
FUNCTIONS = {"nearest": _nearest, "uniform": _uniform}

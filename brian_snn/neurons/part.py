"""What the integrate-and-fire neuron may have besides Eq. (4): each a record, in Brian2's words and in NumPy.

A part filters what arrives, changes V before the charge of a step, raises the threshold, or makes a spike dearer. What
it multiplies is rounded to the grid, and what it takes or keeps it books, so the charge balance stays exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from brian2 import Quantity
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.neurons.record import Book, Scene, Spikes
from brian_snn.randomness import Stream
from brian_snn.settings import Settings

#: Stands in a part's formula for what arrives.
ARRIVES = "ARRIVES"


def lost_in_a_step(settings: Settings, tau: Quantity) -> float:
    """Return the part of something that decays with a time constant which is gone after a step, 1 - exp(-dt / tau)."""
    return -math.expm1(-float(settings.dt) / float(tau))


class PartState:
    """A part of the neurons of a population in NumPy, (n_images, size); this one does nothing.

    `barrier` is what is added to the threshold, `price` what a spike takes besides V_thr.
    """

    barrier: FloatArray | float = 0.0
    price: FloatArray | float = 0.0

    def filter(self, arrives: FloatArray | float, v: FloatArray) -> FloatArray | float:
        """Return what reaches a membrane of this V in a step in which this arrives."""
        return arrives

    def change(self, step: int, v: FloatArray, awake: NDArray[np.bool_] | float) -> None:
        """Change V in place, in a step counted from 0, where a neuron is awake."""

    def spiked(self, spikes: Spikes) -> None:
        """Note who spiked."""


@dataclass(frozen=True)
class Part:
    """One part.

    Parameters
    ----------
    state : callable
        From a `Scene` to its `PartState`.
    equations : str
        State variables and what they are, as `NeuronModel.equations`.
    filters : str
        Statements that turn ``drive``, what arrived, or ``excitation`` and ``inhibition``, into ``drive``, what
        reaches the membrane; ``active`` is 0 while the clamp holds the population.
    changes : str
        Statements that change ``v``; ``awake`` is 1 where a neuron is active and does not rest.
    barrier, price : str
        State variable that is added to the threshold, and to what a spike takes; empty for none.
    gains : mapping of str to str
        State variables to which a spike adds, and what; one of size s adds s times that.
    books : tuple of Book
    charges : tuple of str
        State variables and constants that are charges.
    zeroed : tuple of str
        State variables that start an image at 0.
    constants : mapping of str to float
        Run-time constants.
    arrays : mapping of str to callable
        Run-time constants of which every neuron has its own: from nothing to a (size,) float array.
    no_law : str
        Why the rate law of constant input says nothing any more.
    stream : Stream, optional
        The random numbers of every image.
    charge_a_step : float
        The most that it brings to V, or takes from it, in a step.
    title : str
        What a paper adds to the name of the neuron.
    formula : tuple of str
        What it does in step t, before u_i(t) is had, as lines of LaTeX.
    term, given, barrier_symbol : str
        In LaTeX: what is added to u_i(t); what stands there for what arrives; what is added to the threshold.
    """

    state: Callable[[Scene], PartState]
    equations: str = ""
    filters: str = ""
    changes: str = ""
    barrier: str = ""
    price: str = ""
    gains: Mapping[str, str] = field(default_factory=dict)
    books: tuple[Book, ...] = ()
    charges: tuple[str, ...] = ()
    zeroed: tuple[str, ...] = ()
    constants: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, Callable[[], FloatArray]] = field(default_factory=dict)
    no_law: str = ""
    stream: Stream | None = None
    charge_a_step: float = 0.0
    title: str = ""
    formula: tuple[str, ...] = ()
    term: str = ""
    given: str = ""
    barrier_symbol: str = ""

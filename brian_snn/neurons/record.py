"""What a neuron model is: one complete record, of which topology, backends, verification and error account are made.

`NeuronModel` is what Brian2 needs, and all that a compiled program depends on. `Neuron` is the whole: with it come the
books that the neuron keeps, the rate law that it obeys or why it obeys none, its run-time constants, its random input,
and one step of it in NumPy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.network.parameters import Parameters
from brian_snn.network.records import Population
from brian_snn.randomness import Stream
from brian_snn.settings import Settings

#: What reaches a neuron: the charge of weighted spikes, the largest of its inputs' ranks, or nothing at all.
Hears = Literal["charge", "largest", "nothing"]

#: Who spikes; of neurons whose spikes have sizes these, 0 for none.
Spikes = NDArray[np.bool_] | NDArray[np.int8]

#: State variable that counts the negative spikes of neurons that send such.
NEGATIVE = "n_negative"

#: What a neuron that draws random numbers reads them by.
STREAM = """stream : 1 (shared)  # key of the image's random numbers
first_step : integer (shared)  # step at which the image is shown first
"""


@dataclass(frozen=True)
class NeuronModel:
    """What Brian2 needs to know of a neuron.

    Parameters
    ----------
    equations : str
        State variables, a line each. The comment behind one says what it is, ``# symbol | meaning`` where a paper has a
        symbol for it.
    on_spike_from : str
        What a synapse does to its target when its source spikes; weights are called ``w``, and ``first_source`` and
        ``n_neurons`` are those of `brian_snn.simulation.topology.Link`.
    has_weights : bool
        Whether `on_spike_from` uses ``w``.
    integrate : str
        Statements of the integrate slot; empty for none.
    threshold : str
        Condition of a spike; empty for a neuron that never spikes.
    reset : str
        Statements on a spike.
    outputs : tuple of str
        State variables to report at the end of a run.
    charges : tuple of str
        State variables and parameters that are charges; all else is a number or a count.
    zeroed : tuple of str
        State variables that start an image at 0.
    constants : tuple of str
        Numbers that do not change and are set at run time, besides those of every membrane.
    competes : bool
        Whether one of its neurons at a time spikes, which `brian_snn.backends.competition` chooses by setting
        ``chosen`` to 1.
    splits : bool
        Whether charge of positive and of negative weights arrives apart, in ``excitation`` and ``inhibition``.
    arrival : str
        Condition of the event ``arrival``: a spike that it sent a delay ago reaches its targets. Empty without a delay,
        when the spike itself does.
    graded : bool
        Whether a spike has a size, which is in the state variable ``sent`` from its reset on.
    reads_all : bool
        Whether the synapses onto it act in every step, and not when their source spikes.
    """

    equations: str
    on_spike_from: str
    has_weights: bool
    integrate: str
    threshold: str
    reset: str
    outputs: tuple[str, ...]
    charges: tuple[str, ...] = ()
    zeroed: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    competes: bool = False
    arrival: str = ""
    splits: bool = False
    graded: bool = False
    reads_all: bool = False

    @property
    def signed(self) -> bool:
        """Whether some of its spikes may be negative, which it counts."""
        return NEGATIVE in self.outputs

    @property
    def variables(self) -> list[tuple[str, str, str]]:
        """Name, symbol and meaning of its state variables; the latter two may be empty."""
        return re.findall(r"^(\w+)(?: = [^:]+)? : [^#\n]*(?:# (?:(.*) \| )?(.*))?$", self.equations, re.MULTILINE)


@dataclass(frozen=True)
class Book:
    """A charge that a neuron notes, apart from what arrives and what its membrane holds.

    Parameters
    ----------
    name : str
        State variable, and key of `Result.booked`.
    in_balance : bool
        Whether it is part of what arrived, and so of the balance N V_thr = q - (V(T) - V(0)) - booked; one that is not
        was kept from the membrane, and counts to what the synapses brought.
    takes_excess : bool
        Whether what is more than one spike a step can express ends in it, and not in V(T).
    term : str
        Of the account of the error: minus what was booked.
    knob : str
        What lowers it.
    may_be_absent : bool
        Whether files leave it out where it is all zero.
    """

    name: str
    in_balance: bool
    term: str
    knob: str
    takes_excess: bool = False
    may_be_absent: bool = False


class State(Protocol):
    """The neurons of a population while some images are shown, stepped in NumPy; ``v`` is V, (n_images, size)."""

    v: FloatArray

    def step(self, step: int, arrives: FloatArray | float, spikes: Spikes) -> None:
        """Advance by a step, counted from 0, and mark who spikes, or note the sizes of spikes, (n_images, size).

        What arrives has that shape too; where a model splits it, an axis of excitation and inhibition in front.
        """


@dataclass(frozen=True, eq=False)
class Scene:
    """Where neurons stand: what a `State` is made of.

    Parameters
    ----------
    parameters : Parameters
        Weights, biases and thresholds as simulated.
    settings : Settings
    population : Population
    current : (n_images, size) float array
        Constant current, or the rates over r_max of neurons that code pixels.
    numbers : sequence of int
        Numbers of the images in the whole simulation, which their random numbers depend on.
    """

    parameters: Parameters
    settings: Settings
    population: Population
    current: FloatArray
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Draws:
    """The random numbers of a neuron, drawn from the seed.

    Parameters
    ----------
    equation : str
        Row of the verification that counts them.
    noise : callable
        From (settings, numbers of images, size, threshold, grid) to the random input of a run, (n_images, n).
    spikes : callable
        From (settings, number of an image, first step, its current) to how many spikes the draws ask for: of each
        neuron, (size,), or of all together, (1,).
    bytes_a_step : int
        Memory of the noise, for each neuron and step.
    term : str
        Of the account of the error; empty for none.
    knob : str
        What lowers that.
    """

    equation: str
    noise: Callable[[Settings, range, int, float, float], FloatArray]
    spikes: Callable[[Settings, int, int, FloatArray], FloatArray]
    bytes_a_step: int = 0
    term: str = ""
    knob: str = ""


@dataclass(frozen=True, eq=False)
class Neuron:
    """A neuron model under the settings of a simulation.

    Parameters
    ----------
    model : NeuronModel
        What Brian2 needs.
    hears : str
        ``charge``, ``largest`` or ``nothing``.
    state : callable
        From a `Scene` to the `State` at the start of an image.
    fires : bool
        Whether its spikes are crossings of the threshold, which take charge from V.
    books : tuple of Book
    law : str
        The equation that gives N: ``S9``, ``S11``, ``max_pool``, or none.
    no_law : str
        Why that equation says nothing of it.
    solvable : bool
        Whether N and V(T) follow from a constant input, V(0), V_thr and T alone: by the law if it fires, else as a sum.
    constants : mapping of str to float
        The numbers that `NeuronModel.constants` names.
    arrays : mapping of str to callable
        Those of the numbers that `NeuronModel.constants` names of which every neuron has its own, made when they are
        asked for: from nothing to a (size,) float array.
    rounds : bool
        Whether something that is rounded to the grid in each step is added to its V or to its threshold.
    draws : Draws, optional
        Random input.
    stream : Stream, optional
        The random numbers of every image, where there are such besides `draws`.
    charge_a_step : float
        The most that a neuron brings to its V of itself, or takes from it, in a step; leaks aside.
    rank : callable, optional
        From (spike counts, number of the first neuron in the network, number of all) of a source to what this neuron
        takes the largest of; by default the counts.
    title : str
        What a paper calls it.
    formula : tuple of str
        Its step t as a paper writes it: lines of LaTeX, aligned at ``&``, in the symbols of `brian_snn.describe`.
    """

    model: NeuronModel
    hears: Hears
    state: Callable[[Scene], State]
    fires: bool = False
    books: tuple[Book, ...] = ()
    law: str = ""
    no_law: str = ""
    solvable: bool = False
    constants: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, Callable[[], FloatArray]] = field(default_factory=dict)
    rounds: bool = False
    draws: Draws | None = None
    stream: Stream | None = None
    charge_a_step: float = 0.0
    rank: Callable[[FloatArray, int, int], FloatArray] | None = None
    title: str = ""
    formula: tuple[str, ...] = ()

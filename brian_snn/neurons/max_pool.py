"""Max pooling: the exact one, whose count is the largest of its inputs' counts, and the paper's gate."""

from __future__ import annotations

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.neurons.axon import lateness
from brian_snn.neurons.graded import BELOW, SENT
from brian_snn.neurons.integrator import COUNT
from brian_snn.neurons.record import NEGATIVE, Neuron, NeuronModel, Scene, Spikes
from brian_snn.settings import Settings

_COUNTED = "lead : integer  # largest spike count that an input has reached\n"
_LARGEST = "largest : integer  # largest spike count of the inputs\n"
_RANKED = """lead : 1  # Lambda_i | largest rank that an input has reached
passed : 1  # that rank at the last spike
"""


def exact_max_pool(settings: Settings) -> Neuron:
    """Return the unit that spikes when the largest spike count among its inputs grows: N(t) = max_j N_j(t).

    A count grows by at most one a step, and so does their maximum. The order in which inputs are visited does not
    matter: each only tells whether its count has passed the unit's own.
    """
    if settings.graded:
        return _graded_max_pool(settings)
    lags = settings.schedule == "brian2"
    # Under Brian2's own order a source's count has not been raised yet when its spike is delivered.
    seen = f"{_count(settings)}_pre + 1" if lags else f"{_count(settings)}_pre"
    model = NeuronModel(
        equations=COUNT + "hit : integer  # h_i | inputs whose spike count has passed the unit's own\n",
        on_spike_from=f"hit_post += int({seen} > n_spikes_post)",
        has_weights=False,
        integrate="",
        threshold="hit > 0",
        reset="n_spikes += 1\nhit = 0",
        outputs=("n_spikes",),
        zeroed=("n_spikes", "hit"),
    )
    no_law = "with Brian2's own schedule a max-pooling unit lags its inputs by a step" if lags else ""
    title = "max-pooling unit, which spikes when the largest spike count of its inputs grows"
    return Neuron(model, "largest", _Pool, law="max_pool", no_law=no_law, title=title, formula=_exact_formula(settings))


def _graded_max_pool(settings: Settings) -> Neuron:
    """Return the exact unit of spikes that have sizes, which sends what the largest count has grown by, or -1.

    ``lead`` is the largest count so far, and the order in which inputs are visited does not matter. Where counts may
    fall, that of any input may be the new maximum: all are read in every step, and ``largest`` is that of the step. It
    falls by one at most, as they do.
    """
    signed = settings.polarity == "signed"
    largest = "largest" if signed else "lead"
    model = NeuronModel(
        equations=COUNT + SENT + _COUNTED + (_LARGEST + BELOW) * signed,
        on_spike_from="lead_post += (n_spikes_pre - lead_post) * int(n_spikes_pre > lead_post)",
        reads_all=signed,
        has_weights=False,
        integrate="largest = lead\nlead = 0" * signed,
        threshold=f"{largest} != n_spikes",
        reset=f"sent = {largest} - n_spikes\nn_spikes = {largest}" + f"\n{NEGATIVE} += int(sent < 0)" * signed,
        outputs=("n_spikes", *[NEGATIVE] * signed),
        zeroed=("n_spikes", "lead", "sent", *["largest", NEGATIVE] * signed),
        graded=True,
    )
    title = "max-pooling unit, which sends as many spikes as the largest spike count of its inputs grows by"
    formula = _exact_formula(settings)
    return Neuron(model, "largest", _GradedPool, law="max_pool", title=title, formula=formula)


def gated_max_pool(settings: Settings) -> Neuron:
    """Return the paper's max pooling: a gate lets the spikes of the input with the highest rate estimate pass.

    The estimate of a rate is N_j(t) / t, the spike of this step included, so the leader is the input with the largest
    count; of several, the first in the order of the network's neurons. A spike passes if its sender leads after it.
    Where inputs lead in turn, spikes of more than one of them pass: N(t) >= max_j N_j(t).

    The leader is the input with the largest rank n_neurons N_j - j, which grows only when neuron j spikes. So the
    largest rank grows exactly when the leader spikes, and the order in which inputs are visited does not matter.
    """
    model = NeuronModel(
        equations=COUNT + _RANKED,
        on_spike_from=f"rank = 1.0 * {_count(settings)}_pre * n_neurons - (first_source + i)\n"
        "lead_post += (rank - lead_post) * int(rank > lead_post)",
        has_weights=False,
        integrate="",
        threshold="lead > passed",
        reset="n_spikes += 1\npassed = lead",
        outputs=("n_spikes",),
        zeroed=("n_spikes", "lead", "passed"),
    )
    no_law = "its gate passes the spikes of all inputs that lead in turn: its count may exceed the largest of theirs"
    title = "max-pooling gate, which passes the spikes of the input that has spiked most"
    formula = (
        rf"R_j(t) &= n N_j(t{lateness(settings)}) - j \text{{ for inputs that have spiked}}",
        r"\Lambda_i(t) &= \max(0, \max_j R_j(t))",
        r"\Theta_i(t) &= 1 \text{ if } \Lambda_i(t) \gt \Lambda_i(t-1) \text{, else } 0",
    )
    return Neuron(model, "largest", _Pool, law="max_pool", no_law=no_law, rank=_rank, title=title, formula=formula)


def _exact_formula(settings: Settings) -> tuple[str, ...]:
    """Return the step of an exact unit; in Brian2's own order it answers a step later, and a reset wipes out a hit."""
    if settings.schedule == "same_step":
        largest = rf"N_i(t) &= \max_j N_j(t{lateness(settings)})"
        return (largest, r"\Theta_i(t) &= N_i(t) - N_i(t-1)")
    return (
        r"\Theta_i(t) &= h_i(t-1)",
        r"N_i(t) &= N_i(t-1) + \Theta_i(t)",
        r"h_i(t) &= 1 \text{ if } \Theta_i(t) = 0 \text{ and } N_j(t) \gt N_i(t) \text{ for an input } j \text{ with } "
        r"\Theta_j(t) = 1 \text{, else } 0",
    )


def _count(settings: Settings) -> str:
    """Return the count of its sources that a unit reads: of the spikes that have reached it."""
    return "n_arrived" if settings.delay_steps else "n_spikes"


def _rank(counts: FloatArray, first: int, n_neurons: int) -> FloatArray:
    """Return the ranks of the neurons of a source by their counts, (n, size); 0 for one that has not spiked."""
    return np.where(counts > 0, counts * n_neurons - (first + np.arange(counts.shape[1])), 0.0)


class _Pool:
    """Units in NumPy, which spike whenever the largest of what their inputs have reached grows.

    With Brian2's own schedule a unit answers a step later, and its reset wipes out what arrives in that step; what
    reaches it then is only that of the inputs that spike.
    """

    def __init__(self, scene: Scene) -> None:
        shape = scene.current.shape
        self.v = np.zeros(shape)
        self._lags = scene.settings.schedule == "brian2"
        self._reached, self._waiting = np.zeros(shape), np.zeros(shape, bool)

    def step(self, step: int, arrives: FloatArray | float, spikes: Spikes) -> None:
        """Compare the largest that arrives with what it has been."""
        if self._lags:
            spikes[:] = self._waiting
            self._waiting = (arrives > self._reached) & ~self._waiting
            self._reached = self._reached + spikes
        else:
            spikes[:] = arrives > self._reached
            self._reached = np.maximum(self._reached, arrives)


class _GradedPool:
    """Units in NumPy that send what the largest count of their inputs has grown by, or fallen."""

    def __init__(self, scene: Scene) -> None:
        self.v = np.zeros(scene.current.shape)
        self._reached: FloatArray | float = 0.0

    def step(self, step: int, arrives: FloatArray | float, spikes: Spikes) -> None:
        """Note how much larger the largest that arrives is than it was."""
        spikes[:] = arrives - self._reached
        self._reached = arrives

"""Split the error of every neuron into terms with names: the derivation, and the split of one population.

All charges below are sums over the neuron's own window of T' steps; Theta = V_thr T' is the charge of a spike in every
one of them, and Phi(x) = min(max(x, 0), Theta) is what a rate between 0 and r_max can express. The charge balance

    N V_thr = q - (V(T) - V(0)) - e - l - m                                                              (measured)

holds for every neuron, with l what leaked away and m what a refractory neuron missed; and what arrived is
q = sum_s W_s N_s + c T', with N_s the spikes of source s in *this* neuron's window and c the constant current of image
and bias. The target is A = a Theta with a = activation / lambda, and
Y = sum_s W_s a_s T' + c T' is the charge that the network, rounded to its grid, would gather if every source kept its
target. What is wanted, N V_thr - A, is a sum of differences between neighbours of this chain:

=============  =====================================================================================================
grid           Phi(Y) - Phi(A): weights, biases, currents and V_thr on the grid, and Keras' own float32, at this layer
saturation     Phi(A) - A: a target above r_max (lambda below the largest activation), or a negative one that must spike
arrives        sum_s W_s (r_s - a_s) T': the rate errors of the sources, r_s = N_s(own window) / T'_s; one per source
window         sum_s W_s (N_s(this window) - r_s T'): what the sources do while they run and this neuron is clamped
clipped        (Phi(q) - q) - (Phi(Y) - Y): the part of what arrives that the ReLU, or one spike a step, cuts off
residual       -R, the charge left in the membrane at the end, at most about one threshold
transient      -(D - R): charge that came at the wrong time, spiked before the sum turned negative (positive), or so
               late or so bunched that one spike a step was not enough (negative)
surplus        -(e - max(q - Theta, 0)): what reset to zero threw away, but for what no neuron could have spiked
leak           -l
refractory     -m
=============  =====================================================================================================

Of V(T) - V(0), the part min(q, 0) is what any silent neuron gathers and max(q - Theta, 0) what any saturated one does
(with reset to zero that part is in e instead). D is the rest. With constant input D lies between -max(V(0), 0) and
max(V_thr - V(0), 0): one threshold's worth. R is D cut to that range, so the transient is 0 for constant input, for
either reset, any sign of z and any V(0); and with V(0) = 0 so is the residual of a silent neuron. Add up: residual,
transient and surplus make -(V(T) - V(0)) - e + q - Phi(q); clipped turns q - Phi(q) into Y - Phi(Y); grid and
saturation turn that into Y - A; arrives and window make q - Y. The sum is q - (V(T) - V(0)) - e - A = N V_thr - A.

No term is what the others leave over: each is computed from its own definition, and N enters none of those of its own
neuron. lambda never exceeds a ReLU's ceiling, so Phi(ceiling) = Theta and the ceiling needs no term of its own.

Of what arrives, the share g = (Phi(q) - Phi(Y)) / (q - Y), between 0 and 1, passes: arrives + window + clipped is
g (arrives + window). With it an error is followed through many layers, where errors that die in a ReLU would otherwise
be carried on beside what takes them away.

A readout that does not spike has no Phi: its rate is (V(T) - V(0)) / Theta, and grid (Y - A), arrives and window are
all there is. Max pooling has no membrane. With M = max_j N_j the largest count in a window and j* the input of the
largest target (of several, the one with the highest rate),

=============  =====================================================================================================
pooling        (N - M) / T': 0 in the exact form; a unit that lags (Brian2's own schedule) or guesses the input misses M
window         M / T' - max_j r_j, with r_j over the input's own window
selection      max_j r_j - r_j*: a maximum of rates with errors is too high
arrives        r_j* - a_j*: the error of the input that ought to win
grid           a_j* - a
=============  =====================================================================================================

A neuron that codes a pixel as Poisson spikes has one term, sampling: r - a. All terms are divided by Theta, so they are
fractions of r_max.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray, IntArray
from brian_snn.errors import DataError
from brian_snn.frontends.table import Map, projection_map
from brian_snn.network.parameters import input_currents, scaled_parameters
from brian_snn.network.records import INPUT, Population
from brian_snn.network.roles import crosses_threshold
from brian_snn.network.synapses import synapses
from brian_snn.neurons.record import Draws, Neuron
from brian_snn.neurons.table import BOOKS, SAMPLED, neuron_of
from brian_snn.results.result import Result

Activations = Mapping[str, NDArray[np.generic]]

#: The terms that arise in a population itself. What arrives from its sources is one more term for each of them.
TERMS = (
    *("residual", "transient", *(book.term for book in BOOKS), "saturation", "clipped", "window", "grid"),
    *("selection", "pooling", *(draws.term for draws in SAMPLED)),
)

#: From (n, size of the source) to (n, size of the target); n is a multiple of the number of images.
Carrier = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, eq=False)
class Split:
    """The error of one population on a batch of images, in units of r_max.

    Parameters
    ----------
    target, error : (n_images, size) float array
        a, activation over lambda, and rate over r_max minus it.
    terms : dict of str to (n_images, size) float array
        By name, those of `TERMS` that the population can have.
    arrives : dict of str to (n_images, size) float array
        By source.
    carriers : dict of str to callable
        How any error of a source reaches this population: linear, and such that ``carriers[s](error of s)`` is
        ``arrives[s]``.
    passes : (n_images, size) float array
        g, the share of it that the ReLU and one spike a step let through; 1 where nothing stops it.
    """

    target: FloatArray
    error: FloatArray
    terms: dict[str, FloatArray]
    arrives: dict[str, FloatArray]
    carriers: dict[str, Carrier]
    passes: FloatArray


class Measured:
    """Rates and targets of a simulation, a batch of images at a time, (n_images, size) in units of r_max."""

    def __init__(self, result: Result, activations: Activations) -> None:
        """Check that the activations fit; those of some populations may be missing until they are asked for."""
        self.result, self.parameters = result, scaled_parameters(result.network, result.settings)
        self._activations = activations
        unknown = set(activations) - {p.name for p in result.network.populations}
        if unknown:
            raise DataError(f"activations of {sorted(unknown)} were given; the network has no such populations.")

    def target(self, name: str, batch: slice) -> FloatArray:
        """Return a, activation over lambda."""
        population = self.result.network[name]
        if population.codes_pixels:
            return np.asarray(self.result.images[batch], np.float64).reshape(-1, population.size)
        if name not in self._activations:
            raise DataError(f"population {name!r}: its activations are needed and were not given.")
        expected = (len(self.result.images), *population.shape)
        given = np.shape(self._activations[name])
        if given != expected:
            raise DataError(f"population {name!r}: activations have shape {given}; {expected} was expected.")
        values = np.asarray(self._activations[name][batch], np.float64)
        return (values / population.scale).reshape(-1, population.size)

    def rate(self, name: str, batch: slice) -> FloatArray:
        """Return N / T', or the mean charge of a readout that does not spike; 0 for a population never released."""
        n_steps = self.result.window_steps(name)
        if not n_steps:
            return np.zeros(self.flat("spike_counts", name, batch).shape)
        if self.integrates_only(name):
            gain = self.flat("potentials", name, batch) - self.parameters.v_init
            return gain / (self.parameters.threshold * n_steps)
        return self.flat("spike_counts", name, batch) / n_steps

    def error(self, name: str, batch: slice) -> FloatArray:
        """Return rate minus target."""
        return self.rate(name, batch) - self.target(name, batch)

    def integrates_only(self, name: str) -> bool:
        """Whether a population is a readout that does not spike."""
        return not crosses_threshold(self.result.network[name], self.result.settings)

    def neuron(self, name: str) -> Neuron:
        """Return the record of a population's neuron."""
        return neuron_of(self.result.network, self.result.network[name], self.result.settings)

    def arrived(self, name: str, batch: slice) -> FloatArray:
        """Return q, the charge that arrived, with what a neuron did not integrate of it."""
        kept_away = [self.flat(book.name, name, batch) for book in self.neuron(name).books if not book.in_balance]
        return sum(kept_away, start=self.flat("charge", name, batch))

    def flat(self, field: str, name: str, batch: slice) -> FloatArray:
        """Return an array of the result for a batch of images, as float64."""
        values = np.asarray(self.result.by_population(field)[name][batch], np.float64)
        return values.reshape(len(values), -1)

    def counts_in_window(self, source: str, target: str, batch: slice) -> FloatArray:
        """Return the spikes of a source in a target's window."""
        values = np.asarray(self.result.counts_in_window(source, target)[batch], np.float64)
        return values.reshape(len(values), -1)

    def current(self, name: str, batch: slice) -> FloatArray:
        """Return c, the charge per step of image and bias, (n_images or 1, size)."""
        if any(p.source == INPUT for p in self.result.network.into(name)):
            currents = input_currents(self.parameters, self.result.images[batch])
            return currents[name].reshape(-1, self.result.network[name].size)
        return self.parameters.network[name].bias.reshape(1, -1)


def splitter(measured: Measured, population: Population) -> Callable[[slice], Split]:
    """Return the function that splits a population's error on a batch of images; Keras' layers are built once."""
    neuron = measured.neuron(population.name)
    if neuron.hears == "nothing":
        assert neuron.draws is not None, "neurons that hear nothing draw their spikes"
        return _drawing_splitter(measured, population, neuron.draws)
    return _pool_splitter(measured, population) if neuron.hears == "largest" else _splitter(measured, population)


def _drawing_splitter(measured: Measured, population: Population, draws: Draws) -> Callable[[slice], Split]:
    """Return the splitter of a population that draws its spikes."""

    def split(batch: slice) -> Split:
        target, error = measured.target(population.name, batch), measured.error(population.name, batch)
        return Split(target, error, {draws.term: error}, {}, {}, np.ones(target.shape))

    return split


# --- populations with a membrane ------------------------------------------------------------------------------------


def _splitter(measured: Measured, population: Population) -> Callable[[slice], Split]:
    """Return the splitter of a population that integrates."""
    result, name, threshold = measured.result, population.name, measured.parameters.threshold
    n_steps = result.window_steps(name)
    maps = _maps_by_source(measured, population)

    def charge_of(source: str, rates: FloatArray) -> FloatArray:
        return sum((apply(rates) for apply in maps[source]), start=np.zeros(1))

    def carrier(source: str) -> Carrier:
        return lambda errors: charge_of(source, errors) / threshold

    carriers = {source: carrier(source) for source in maps}

    def split(batch: slice) -> Split:
        target = measured.target(name, batch)
        if not n_steps:
            return _never_released(target, tuple(maps))
        drive = measured.current(name, batch) + np.zeros(target.shape)
        shift, arrives = np.zeros(target.shape), {}
        for source in maps:
            wanted, rates = measured.target(source, batch), measured.rate(source, batch)
            moved = measured.counts_in_window(source, name, batch) / n_steps - rates
            reached = np.split(charge_of(source, np.concatenate([wanted, rates - wanted, moved])), 3)
            drive, arrives[source], shift = drive + reached[0], reached[1] / threshold, shift + reached[2] / threshold
        terms = _membrane_terms(measured, name, batch, target, drive * n_steps)
        passes = _passes(measured, name, batch, drive * n_steps)
        return Split(target, measured.error(name, batch), terms | {"window": shift}, arrives, carriers, passes)

    return split


def _maps_by_source(measured: Measured, population: Population) -> dict[str, list[Map]]:
    """Return the linear maps onto a population, those from the image left out."""
    maps: dict[str, list[Map]] = {}
    for p in measured.parameters.network.into(population.name):
        if p.source != INPUT:
            maps.setdefault(p.source, []).append(projection_map(p, population.size))
    return maps


def _never_released(target: FloatArray, sources: tuple[str, ...]) -> Split:
    """Return the split of a population clamped to the end: all of its error is that the window is empty."""
    zeros = np.zeros(target.shape)

    def nothing(errors: FloatArray) -> FloatArray:
        return np.zeros((len(errors), target.shape[1]))

    arrives = dict.fromkeys(sources, zeros)
    return Split(target, -target, {"window": -target}, arrives, dict.fromkeys(sources, nothing), np.ones(target.shape))


def _passes(measured: Measured, name: str, batch: slice, drive: FloatArray) -> FloatArray:
    """Return g, the share of what arrives that passes, from q and Y (`drive`)."""
    if measured.integrates_only(name):
        return np.ones(drive.shape)
    full = measured.parameters.threshold * measured.result.window_steps(name)
    charge = measured.arrived(name, batch)
    moved, passed = charge - drive, np.clip(charge, 0.0, full) - np.clip(drive, 0.0, full)
    inside = ((charge >= 0) & (charge <= full)).astype(np.float64)
    # Where nothing arrives on balance, g is the slope of Phi.
    return np.clip(np.divide(passed, moved, out=inside, where=moved != 0), 0.0, 1.0)


def _membrane_terms(
    measured: Measured, name: str, batch: slice, target: FloatArray, drive: FloatArray
) -> dict[str, FloatArray]:
    """Return the terms that the module's table derives from q, V(T), e, Y (`drive`) and a (`target`)."""
    parameters = measured.parameters
    full = parameters.threshold * measured.result.window_steps(name)
    if measured.integrates_only(name):
        return {"grid": drive / full - target}
    v_end, charge = measured.flat("potentials", name, batch), measured.arrived(name, batch)
    books = measured.neuron(name).books
    below, above = np.minimum(charge, 0.0), np.maximum(charge - full, 0.0)
    # What is more than one spike a step can express ends in V(T), or in a book.
    excess = {book.term: above if book.takes_excess else 0.0 for book in books}
    left = v_end - parameters.v_init - below - (0.0 if any(book.takes_excess for book in books) else above)
    residual = np.clip(left, -max(parameters.v_init, 0.0), max(parameters.threshold - parameters.v_init, 0.0))
    # Measured charges lie on the grid: their differences are exact, and so is a term that must vanish.
    return {
        "residual": -residual / full,
        "transient": (residual - left) / full,
        "saturation": np.clip(target, 0.0, 1.0) - target,
        "clipped": (drive - np.clip(drive, 0.0, full) - below - above) / full,
        "grid": np.clip(drive, 0.0, full) / full - np.clip(target, 0.0, 1.0),
        # There in every account, kept or not.
        **{book.term: -np.zeros(target.shape) for book in BOOKS if book.takes_excess},
        **{book.term: -(measured.flat(book.name, name, batch) - excess[book.term]) / full for book in books},
    }


# --- max pooling ----------------------------------------------------------------------------------------------------


def _pool_splitter(measured: Measured, population: Population) -> Callable[[slice], Split]:
    """Return the splitter of a max-pooling population."""
    result, name = measured.result, population.name
    windows = PoolWindows(measured, population)
    n_steps = result.window_steps(name)

    def split(batch: slice) -> Split:
        target = measured.target(name, batch)
        if not n_steps:
            return _never_released(target, windows.sources)
        targets = windows.gather(lambda source: measured.target(source, batch))
        rates = windows.gather(lambda source: measured.rate(source, batch))
        counts = windows.gather(lambda source: measured.flat("spike_counts", source, batch))
        largest, highest = windows.maximum(counts), windows.maximum(rates)
        winner = windows.winner(targets, rates)
        carriers = {source: windows.carrier(source, winner) for source in windows.sources}
        arrives = {source: carry(measured.error(source, batch)) for source, carry in carriers.items()}
        terms = {
            "pooling": (measured.flat("spike_counts", name, batch) - largest) / n_steps,
            "window": largest / n_steps - highest,
            "selection": highest - windows.take(rates, winner),
            "grid": windows.take(targets, winner) - target,
        }
        return Split(target, measured.error(name, batch), terms, arrives, carriers, np.ones(target.shape))

    return split


class PoolWindows:
    """The inputs of every max-pooling unit: its synapses, ordered by unit. A unit without inputs stays at 0."""

    def __init__(self, measured: Measured, population: Population) -> None:
        """List them."""
        network, self._size = measured.result.network, population.size
        incoming = network.into(population.name)
        self.sources = tuple(dict.fromkeys(p.sender for p in incoming))
        lists = [(self.sources.index(p.sender), *synapses(p, network[p.sender].size)[:2]) for p in incoming]
        unit = np.concatenate([post for _, _, post in lists])
        order = np.argsort(unit, kind="stable")
        self._unit = unit[order]
        self._source = np.concatenate([np.full(len(pre), k) for k, pre, _ in lists])[order]
        self._neuron = np.concatenate([pre for _, pre, _ in lists])[order]
        self._starts = np.flatnonzero(np.diff(self._unit, prepend=-1))

    def gather(self, values_of: Callable[[str], FloatArray]) -> FloatArray:
        """Return the values at all inputs, (n_images, n_inputs)."""
        per_source = [values_of(source) for source in self.sources]
        gathered = np.empty((len(per_source[0]), len(self._unit)))
        for k, values in enumerate(per_source):
            gathered[:, self._source == k] = values[:, self._neuron[self._source == k]]
        return gathered

    def maximum(self, gathered: FloatArray) -> FloatArray:
        """Return the largest value among the inputs of each unit, (n_images, size)."""
        result = np.zeros((len(gathered), self._size))
        if len(self._starts):
            result[:, self._unit[self._starts]] = np.maximum.reduceat(gathered, self._starts, axis=1)
        return result

    def winner(self, targets: FloatArray, rates: FloatArray) -> IntArray:
        """Return which input of each unit has the largest target, of several the one with the highest rate.

        -1 for a unit without inputs; (n_images, size) positions among the inputs.
        """
        wins = targets == self.maximum(targets)[:, self._unit]
        rates = np.where(wins, rates, -np.inf)
        wins &= rates == self.maximum(rates)[:, self._unit]
        position = np.where(wins, np.arange(len(self._unit)), -1)
        result = np.full((len(targets), self._size), -1, np.int32)
        if len(self._starts):
            result[:, self._unit[self._starts]] = np.maximum.reduceat(position, self._starts, axis=1)
        return result

    @staticmethod
    def take(gathered: FloatArray, winner: IntArray) -> FloatArray:
        """Return the value at each unit's winner, 0 without one."""
        taken = np.take_along_axis(gathered, np.maximum(winner, 0), axis=1)
        return np.where(winner >= 0, taken, 0.0)

    def carrier(self, source: str, winner: IntArray) -> Carrier:
        """Return the function that takes errors of a source to the units whose winner it holds."""
        here = (winner >= 0) & (self._source[winner] == self.sources.index(source))
        neuron = self._neuron[winner]

        def carry(errors: FloatArray) -> FloatArray:
            repeats = len(errors) // len(winner)
            taken = np.take_along_axis(errors, np.tile(np.where(here, neuron, 0), (repeats, 1)), axis=1)
            return np.where(np.tile(here, (repeats, 1)), taken, 0.0)

        return carry

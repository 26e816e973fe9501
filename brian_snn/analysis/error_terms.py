"""Split the error of every neuron into terms with names: the derivation, and the split of one population.

All charges below are sums over the neuron's own window of T' steps; Theta = V_thr T' is the charge of a spike in every
one of them, and Phi(x) = min(max(x, 0), Theta) is what a rate between 0 and r_max can express; with bursts of up to k
spikes a step read k Theta and k r_max for Theta and r_max there, and k for one spike a step. The charge balance

    N V_thr = q - (V(T) - V(0)) - e - l - m - o                                                          (measured)

holds for every neuron, with l what leaked away, m what a refractory neuron missed and o what passed the ends of an
accumulator; and what arrived is
q = sum_s W_s N_s + c T', with N_s the spikes of source s in *this* neuron's window and c the constant current of image
and bias. The target is A = a Theta with a = activation / lambda, and
Y = sum_s W_s a_s T' + c T' is the charge that the network, rounded to its grid, would gather if every source kept its
target. What is wanted, N V_thr - A, is a sum of differences between neighbours of this chain:

=============  =====================================================================================================
grid           Phi(Y) - Phi(A): weights, biases, currents and V_thr on the grid, and the model's float32, at this layer
saturation     Phi(A) - A: a target above r_max (lambda below the largest activation), or a negative one that must spike
levels         Y / Theta less its nearest level, of an activation that was trained with L of them
arrives        sum_s W_s (r_s - a_s) T': the rate errors of the sources, r_s = N_s(own window) / T'_s; one per source
window         sum_s W_s (N_s(this window) - r_s T'): what the sources do while they run and this neuron is clamped
clipped        (Phi(q) - q) - (Phi(Y) - Y): the part of what arrives that the ReLU, or one spike a step, cuts off
residual       -R, the charge left in the membrane at the end, at most about one threshold
transient      -(D - R): charge that came at the wrong time, spiked before the sum turned negative (positive), or so
               late or so bunched that one spike a step was not enough (negative)
surplus        -(e - max(q - Theta, 0)): what reset to zero threw away, but for what no neuron could have spiked
leak           -l
refractory     -m
synapse        what waits in the synapses at the end, counted as missed
adaptation     what an adaptation current took; and so mismatch and noise: minus what was booked
overflow       -o
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
fractions of r_max, one spike a step also where there are bursts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from brian_snn.analysis.measured import Carrier, Measured
from brian_snn.analysis.pool_windows import PoolWindows
from brian_snn.arrays import FloatArray
from brian_snn.frontends.table import Map, projection_map
from brian_snn.network.forward import nearest_level
from brian_snn.network.records import INPUT, Population
from brian_snn.neurons.record import Draws
from brian_snn.neurons.table import BOOKS, SAMPLED

#: The terms that arise in a population itself. What arrives from its sources is one more term for each of them.
TERMS = (
    *("residual", "transient", *(book.term for book in BOOKS), "saturation", "levels", "clipped", "window", "grid"),
    *("selection", "pooling", *(draws.term for draws in SAMPLED)),
)


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


def splitter(measured: Measured, population: Population) -> Callable[[slice], Split]:
    """Return the function that splits a population's error on a batch of images; the maps are built once."""
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
    result, name = measured.result, population.name
    threshold = measured.parameters.of(name).threshold
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
    full = _most_charge(measured, name)
    charge = measured.arrived(name, batch)
    moved, passed = charge - drive, np.clip(charge, 0.0, full) - np.clip(drive, 0.0, full)
    inside = ((charge >= 0) & (charge <= full)).astype(np.float64)
    # Where nothing arrives on balance, g is the slope of Phi.
    return np.clip(np.divide(passed, moved, out=inside, where=moved != 0), 0.0, 1.0)


def _most_charge(measured: Measured, name: str) -> float:
    """Return the charge of as many spikes as a neuron can send in its window, k Theta."""
    settings = measured.result.settings
    return measured.parameters.of(name).threshold * measured.result.window_steps(name) * settings.burst


def _membrane_terms(
    measured: Measured, name: str, batch: slice, target: FloatArray, drive: FloatArray
) -> dict[str, FloatArray]:
    """Return the terms that the module's table derives from q, V(T), e, Y (`drive`) and a (`target`)."""
    parameters = measured.parameters.of(name)
    full = parameters.threshold * measured.result.window_steps(name)
    most, burst = _most_charge(measured, name), measured.result.settings.burst
    books = measured.neuron(name).books
    if measured.integrates_only(name):
        kept = {book.term: -measured.flat(book.name, name, batch) / full for book in books}
        return {"grid": drive / full - target, **kept}
    v_end, charge = measured.flat("potentials", name, batch), measured.arrived(name, batch)
    below, above = np.minimum(charge, 0.0), np.maximum(charge - most, 0.0)
    # What is more than one spike a step can express ends in V(T), or in a book.
    excess = {book.term: above if book.takes_excess else 0.0 for book in books}
    left = v_end - parameters.v_init - below - (0.0 if any(book.takes_excess for book in books) else above)
    residual = np.clip(left, -max(parameters.v_init, 0.0), max(parameters.threshold - parameters.v_init, 0.0))
    booked = {book.term: -(measured.flat(book.name, name, batch) - excess[book.term]) / full for book in books}
    # Measured charges lie on the grid: their differences are exact, and so is a term that must vanish.
    wanted, rounded = np.clip(drive, 0.0, most) / full, {}
    if (levels := measured.result.network[name].levels) is not None:
        rounded = {"levels": wanted - nearest_level(np.minimum(wanted, 1.0), levels)}
        wanted = wanted - rounded["levels"]
    return {
        "residual": -residual / full,
        "transient": (residual - left) / full,
        # There in every account, kept or not.
        **{book.term: booked.get(book.term, -np.zeros(target.shape)) for book in BOOKS if book.takes_excess},
        "saturation": np.clip(target, 0.0, burst) - target,
        "clipped": (drive - np.clip(drive, 0.0, most) - below - above) / full,
        **rounded,
        "grid": wanted - np.clip(target, 0.0, burst),
        **booked,
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

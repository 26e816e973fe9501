"""Envelopes of spike counts, proved before a spike is simulated: intervals carried through the layers.

What is carried is not an interval of potentials, since that of a silent neuron falls without bound, but an `Envelope`
of the spike count that holds at every step t of the neuron's window at once:

    low t - below <= N(t) <= high t + above,     t = 0 ... T'

Charges are in thresholds, v = V(0) / V_thr. If all sources keep their envelopes, the charge Q(t) that a neuron has
gathered after t steps keeps one too, by interval arithmetic: with W = W+ - W-,

    low_Q = W+ low - W- high + c,   below_Q = W+ below + W- above      (and high_Q, above_Q with the two exchanged)

Upper bound, for either reset. A spike at step s needs u(s) >= 1, and u(s) = v + Q(s) - N(s-1) - e(s-1) with e >= 0, so
N(s) = N(s-1) + 1 <= v + Q(s). N(t) is N(s) at the last spike s <= t, hence N(t) <= max(0, max_{1<=s<=t} v + Q(s)), and
with Q's envelope

    N(t) <= min(1, max(0, high_Q)) t + max(0, v + above_Q + min(high_Q, 0))

(for high_Q > 1 because N(t) <= t).

Lower bound, reset by subtraction. Let s <= t be the last step without a spike; then V(s) = u(s) < 1 and from there on
there is a spike in every step, N(t) = N(s) + t - s = v + Q(s) - V(s) + t - s > v + Q(s) - 1 + t - s. Without such an s,
N(t) = t. With Q's envelope the least of it is at s = t if low_Q <= 1 and at s = 1 if not:

    N(t) > min(1, max(0, low_Q)) t - max(0, 1 - v + below_Q - max(low_Q - 1, 0))

Lower bound, reset to zero. Always V(t) < 1, since V is u < 1 without a spike and 0 after one. So the surplus of a spike
is below eps = max(0, z_max) + max(0, v - 1), with z_max = W+ 1 + c the largest charge that can come in one step, and
N(t) = v + Q(t) - V(t) - e(t) > v + Q(t) - 1 - eps N(t):

    N(t) > (max(0, low_Q) t - max(0, 1 - v + below_Q)) / (1 + eps)

Here low and high drift apart from layer to layer: all that can be certified of reset to zero is a band of rates. Only
for a constant current and V(0) = 0 is S9 exact: N(t) is t / n rounded down, n as in S5, so low = high = 1 / n.

A count is whole, so `above` is rounded down where high is 0, and `below` where low is 1. 0 <= N(t) <= t limits below to
low T' and above to (1 - high) T'. A target that starts to listen at step s of its source's window sees N(s+t) - N(s),
whose offsets are both below + above + (high - low) s. Max pooling, N(t) = max_j N_j(t), has the largest of low, high
and above, and since min_j ((low - low_j) t + below_j) grows with t, below = low T' - max_j (low_j T' - below_j).

All of this is computed in float64. The error of a sum of n products is below n 2**-52 times the sum of their absolute
values, and an error of a slope grows with t; both are added to the offsets of Q, so what is claimed holds for the run
and not only for a computation without rounding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brian_snn.analysis.equations import steps_to_threshold
from brian_snn.arrays import FloatArray
from brian_snn.errors import SettingError
from brian_snn.network.maps import apply_map, gather_inputs, scatter_outputs
from brian_snn.network.network import Network
from brian_snn.network.parameters import Parameters, input_currents, scaled_parameters
from brian_snn.network.records import INPUT, Population, Projection
from brian_snn.network.roles import has_spikes, window_start
from brian_snn.settings import Reset, Settings

_EPSILON = 2.0**-52

# The derivation covers every value of these, and of all other settings their default only.
_COVERED = {"steps", "reset", "threshold", "v_init", "clamp", "dt", "readout", "projection", "backend", "float_type"}
# Without Poisson input, softmax and accumulators, which are not covered, these say nothing.
_IDLE = {"seed", "output_rate", "overflow"}


@dataclass(frozen=True, eq=False)
class Envelope:
    """Limits that hold at every step t of a window: ``low t - below <= x(t) <= high t + above``.

    Parameters
    ----------
    low, high, below, above : (n_images, size) float array
        Slopes per step, and offsets, which are not negative.
    """

    low: FloatArray
    high: FloatArray
    below: FloatArray
    above: FloatArray

    def stacked(self) -> FloatArray:
        """Return all four, one behind the other along the images."""
        return np.concatenate([self.low, self.high, self.below, self.above])


def envelopes(
    network: Network, images: NDArray[np.generic], settings: Settings
) -> Iterator[tuple[Population, Envelope]]:
    """Yield every population with the envelope of its spike counts N(t), t counted from the start of its window.

    For an output that does not spike, it is the envelope of its charge Q(t) in thresholds.

    Parameters
    ----------
    network : Network
        On its grid.
    images : (n_images, *input_shape) array
    settings : Settings
        Of the simulation that is bounded.

    Raises
    ------
    SettingError
        If a setting is not covered by the derivation.
    """
    require_covered(settings)
    parameters = scaled_parameters(network, settings)
    if any(population.leak for population in network.populations):
        raise SettingError("bounds are not proved of neurons that have a leak of their own.")
    currents = input_currents(parameters, images)
    found: dict[str, Envelope] = {}
    for population in network.populations:
        name = population.name
        layer = _Layer(parameters, settings, population)
        if population.kind == "max_pool":
            found[name] = layer.pooled(found, len(images))
        else:
            current = currents.get(name, parameters.network[name].bias[None]).reshape(-1, population.size)
            current = np.broadcast_to(current, (len(images), population.size))
            charge, largest = layer.charge(found, current / parameters.of(name).threshold)
            found[name] = layer.spikes(charge, largest, current) if has_spikes(population, settings) else charge
        yield population, found[name]


def require_covered(settings: Settings) -> None:
    """Raise if a simulation with these settings may do what the derivation does not allow for.

    Raises
    ------
    SettingError
        Naming the setting.
    """
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        covered = not settings.has_softmax if field.name == "readout" else field.name in _COVERED | _IDLE
        default = getattr(Settings(), field.name)
        if not covered and value != default:
            raise SettingError(f"bounds are not proved for {field.name} {value!r}; only for {default!r}.")


# --- one neuron -----------------------------------------------------------------------------------------------------


def spike_envelope(
    charge: Envelope, v_init: float, reset: Reset, n_steps: int, largest_step: FloatArray | float = np.inf
) -> Envelope:
    """Return the envelope of the spike counts of neurons whose charge has an envelope.

    Parameters
    ----------
    charge : Envelope
        Of Q(t), in thresholds.
    v_init : float
        v = V(0) / V_thr.
    reset : str
        ``subtraction`` or ``zero``.
    n_steps : int
        T', the length of the window.
    largest_step : (n_images, size) float array, or float
        z_max, at least as large as the charge of any single step, in thresholds. Used for reset to zero only.

    Returns
    -------
    counts : Envelope
        Of N(t), t = 0 ... T'.
    """
    high = np.clip(charge.high, 0.0, 1.0)
    above = np.maximum(v_init + charge.above + np.minimum(charge.high, 0.0), 0.0)
    if reset == "zero":
        per_spike = 1.0 + np.maximum(largest_step, 0.0) + max(v_init - 1.0, 0.0)
        low = np.maximum(charge.low, 0.0) / per_spike
        below = np.maximum(1.0 - v_init + charge.below, 0.0) / per_spike
    else:
        low = np.clip(charge.low, 0.0, 1.0)
        below = np.maximum(1.0 - v_init + charge.below - np.maximum(charge.low - 1.0, 0.0), 0.0)
    above = np.where(high == 0, np.floor(above), above)
    # N(t) > t - below for a whole number: N(t) >= t - (the whole number before below).
    below = np.where(low == 1, np.maximum(np.ceil(below) - 1.0, 0.0), below)
    return _capped(Envelope(low, high, below, above), n_steps)


def staircase_envelope(period: FloatArray, n_steps: int) -> Envelope:
    """Return S9's envelope: the count of a constant current under reset to zero from V(0) = 0 is t / n, rounded down.

    Parameters
    ----------
    period : (n_images, size) float array
        n of S5; nan for a silent neuron.
    n_steps : int
        T', the length of the window.
    """
    slope = np.nan_to_num(1.0 / period)
    # The quotient is rounded; after n_steps it is off by n_steps times that.
    rounding = slope * n_steps * _EPSILON
    return _capped(Envelope(slope, slope, (1.0 - slope) * (slope > 0) + rounding, rounding), n_steps)


def delayed_envelope(source: Envelope, delay: int) -> Envelope:
    """Return the envelope of N(s + t) - N(s), t = 0, 1 ...: what a target hears that starts s = `delay` steps later."""
    if not delay:
        return source
    both = source.below + source.above + (source.high - source.low) * delay
    return Envelope(source.low, source.high, both, both)


def _capped(envelope: Envelope, n_steps: int) -> Envelope:
    """Limit the offsets by what any neuron keeps, 0 <= N(t) <= t."""
    below = np.minimum(envelope.below, envelope.low * n_steps)
    return dataclasses.replace(envelope, below=below, above=np.minimum(envelope.above, (1.0 - envelope.high) * n_steps))


# --- one layer ------------------------------------------------------------------------------------------------------


class _Layer:
    """One population and its windows: how the envelopes of its sources become its own."""

    def __init__(self, parameters: Parameters, settings: Settings, population: Population) -> None:
        """Note windows and weights."""
        parameters = parameters.of(population.name)
        self._population, self._settings, self._threshold = population, settings, parameters.threshold
        self._v_init = parameters.v_init / parameters.threshold
        self._start = window_start(population, settings)
        self._steps = settings.steps - self._start
        # Each with the number of steps by which this window starts later than the source's.
        self._incoming = [
            (p, self._start - window_start(parameters.network[p.source], settings))
            for p in parameters.network.into(population.name)
            if p.source != INPUT
        ]

    def charge(self, sources: Mapping[str, Envelope], current: FloatArray) -> tuple[Envelope, FloatArray]:
        """Return the envelope of Q in thresholds, and z_max."""
        low, high, largest = current.copy(), current.copy(), current.copy()
        below, above, rounding = (np.zeros(current.shape) for _ in range(3))
        fan_in = 8 + sum(p.geometry.n_in for p, _ in self._incoming)
        for p, delay in self._incoming:
            assert p.weights is not None, "only max pooling has no weights"
            source = _capped(delayed_envelope(sources[p.sender], delay), self._steps)
            can_spike = source.high * self._steps + source.above >= 1.0 - 2.0**-20
            sent = np.concatenate([source.stacked(), can_spike])
            excite, inhibit = (
                np.split(self._through(p, np.maximum(sign * p.weights, 0.0) / self._threshold, sent), 5)
                for sign in (1, -1)
            )
            low, high = low + excite[0] - inhibit[1], high + excite[1] - inhibit[0]
            below, above = below + excite[2] + inhibit[3], above + excite[3] + inhibit[2]
            largest = largest + excite[4]
            rounding += self._steps * (excite[1] + inhibit[1] + excite[4])
            rounding += excite[2] + excite[3] + inhibit[2] + inhibit[3]
        rounding = fan_in * _EPSILON * (rounding + self._steps * np.abs(current) + abs(self._v_init) + 1.0)
        return Envelope(low, high, below + rounding, above + rounding), largest + rounding

    def spikes(self, charge: Envelope, largest: FloatArray, current: FloatArray) -> Envelope:
        """Return the envelope of N; `current` is c in charges, on the grid, which the period of S9 is taken from."""
        if self._settings.reset == "zero" and self._v_init == 0 and not self._incoming:
            return staircase_envelope(steps_to_threshold(current, self._threshold), self._steps)
        return spike_envelope(charge, self._v_init, self._settings.reset, self._steps, largest)

    def pooled(self, sources: Mapping[str, Envelope], n_images: int) -> Envelope:
        """Return the envelope of the maximum of counts, on the clock of this population's window."""
        shape = (n_images, self._population.size)
        low, high, above, least = (np.zeros(shape) for _ in range(4))
        for p, delay in self._incoming:
            source = sources[p.sender]
            # A max-pooling unit counts from the first step on, with its sources.
            offsets = source.above + source.high * delay, np.maximum(source.below - source.low * delay, 0.0)
            least_source = np.maximum(source.low * self._steps - offsets[1], 0.0)
            sent = np.concatenate([source.low, source.high, offsets[0], least_source])
            pooled = np.split(self._through(p, None, sent), 4)
            low, high, above, least = (np.maximum(a, b) for a, b in zip((low, high, above, least), pooled, strict=True))
        return Envelope(low, high, low * self._steps - least, above)

    def _through(self, projection: Projection, weights: FloatArray | None, values: FloatArray) -> FloatArray:
        """Apply a projection's map with other weights."""
        totals = np.zeros((len(values), self._population.size))
        outputs = apply_map(projection.geometry, weights, gather_inputs(projection, values.astype(np.float64)))
        scatter_outputs(projection, outputs, totals)
        return totals

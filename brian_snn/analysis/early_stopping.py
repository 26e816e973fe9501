"""When to stop: when the class of an image provably cannot change any more, or when its lead is large enough.

Let the readout be in the lead with class k after step t, by D_c = V_k(t) - V_c(t) over class c, with R = T - t steps to
go. Until the end the lead can grow or shrink by

    R (b_k - b_c) + sum_j (W_jk - W_jc) n_j,     lowest_j <= n_j <= highest_j

where n_j is how often source neuron j is still going to spike: between 0 and R times, whatever happens. The class is
certain as soon as the least of this, with n_j = lowest_j where the weight is positive and highest_j where it is
negative, leaves every lead above 0. If it does at one step, it does at all later ones: class k stays ahead. Charges and
weights lie on the grid, so the sums are exact; only the potentials, which the logits are multiplied back to, may be off
by their rounding.

With certified bounds on the sources' rates (`brian_snn.analysis.bounds`), N_j(T) is known to lie in an interval
beforehand, and N_j(t) has been counted: n_j lies between the differences. Then class k is certain for step T, although
another may be ahead for a while before.

An output that spikes is in the lead by its count; the other class may still spike in every step and this one in none.

That certificate is strict: it fears the worst of every neuron. The margin rule stops as soon as the lead has reached a
margin that is learned from other images (`margin_for`), and proves nothing: on images like those, about as many are
stopped at another class than that of the end as among those. What a source still holds back, or has sent too early, is
a charge that does not grow with time, so the margin is one of charge, in V_thr, and not of its mean.

An output of several answers, such as a class for each pixel, is certain when all of them are. The yes of a sigmoid
competes with a no that has no neuron: its potential, its weights and its spikes are 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from brian_snn.analysis.bounds import rate_bounds
from brian_snn.analysis.envelopes import require_covered
from brian_snn.arrays import FloatArray
from brian_snn.errors import DataError, SettingError
from brian_snn.network.output import answer_of
from brian_snn.network.parameters import input_currents, scaled_parameters
from brian_snn.network.records import INPUT
from brian_snn.network.roles import has_spikes
from brian_snn.network.synapses import synapses
from brian_snn.results.result import Result

# More than the rounding of a few operations, relative to their operands.
_ROUNDING = 2.0**-40


def earliest_certain_step(result: Result, use_bounds: bool = False) -> NDArray[np.int64]:
    """Return the earliest checkpoint after which the class provably cannot change until the end of the run.

    Parameters
    ----------
    result : Result
        A simulation with checkpoints.
    use_bounds : bool
        Limit what the readout's sources can still send by the certified bounds on their rates; they must be in
        ``record_counts`` then. Without, each may spike in every step, or in none.

    Returns
    -------
    step : (n_images,) int array
        T where no checkpoint before is certain.

    Raises
    ------
    DataError
        If there are no checkpoints, counts are needed and were not recorded, or the output means numbers.
    SettingError
        If a setting is not covered by the proof.
    """
    require_covered(result.settings)
    spikes = has_spikes(result.network.output, result.settings)
    lead = _SpikingLead(result) if spikes else _PotentialLead(result, use_bounds)
    step = np.full(len(result.images), result.settings.steps, np.int64)
    for k in reversed(range(len(_history(result)))):
        step[lead.is_certain(k)] = result.checkpoints[k]
    return step


def settled_step(result: Result) -> NDArray[np.int64]:
    """Return the earliest checkpoint from which on the class stayed as it was at the end: known with hindsight only.

    Parameters
    ----------
    result : Result
        A simulation with checkpoints.

    Returns
    -------
    step : (n_images,) int array
        T where the class was another at the last checkpoint before.

    Raises
    ------
    DataError
        If there are no checkpoints, or the output means numbers.
    """
    settled = np.logical_and.accumulate(_is_as_at_the_end(result)[::-1])[::-1]
    return _first(result, settled)


def margin_step(result: Result, margin: float) -> NDArray[np.int64]:
    """Return the earliest checkpoint at which the class leads by a margin: what a rule that stops there waits for.

    Parameters
    ----------
    result : Result
        A simulation with checkpoints.
    margin : float
        The least lead over the next class, in charge of the output over V_thr; in spikes, times its lambda, where the
        output spikes. Of several answers all must lead so.

    Returns
    -------
    step : (n_images,) int array
        T where no checkpoint has such a lead.

    Raises
    ------
    DataError
        If there are no checkpoints, or the output means numbers.
    """
    return _first(result, _leads(result) >= margin)


def margin_for(result: Result, agreement: float = 0.99) -> float:
    """Return the least margin with which so many of these images have the class of the end wherever they may stop.

    Parameters
    ----------
    result : Result
        A simulation, with checkpoints, of other images than those that the margin is for.
    agreement : float
        Share of the images, above 0 and at most 1, that at no checkpoint lead by the margin with another class.

    Returns
    -------
    margin : float
        Of `margin_step`: above 0.

    Raises
    ------
    DataError
        As in `margin_step`.
    SettingError
        If the share is outside its range.
    """
    if not 0 < agreement <= 1:
        raise SettingError(f"agreement is {agreement!r}; it must be above 0 and at most 1.")
    misled = np.where(_is_as_at_the_end(result), 0.0, _leads(result)).max(axis=0)
    # A product of decimal numbers misses a whole number by a few roundings.
    kept = int(np.ceil(agreement * len(misled) - 1e-9))
    return float(np.nextafter(np.sort(misled)[kept - 1], np.inf))


def _first(result: Result, stops: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the first checkpoint at which an image may stop, of (n_checkpoints, n_images); T without one."""
    never = np.append(result.checkpoints, result.settings.steps).astype(np.int64)
    return never[np.argmax(np.vstack([stops, np.ones(stops.shape[1:], bool)]), axis=0)]


def _is_as_at_the_end(result: Result) -> NDArray[np.bool_]:
    """Return whether the class at a checkpoint is that of the end, (n_checkpoints, n_images)."""
    answer, history = answer_of(result.network), _history(result)
    same = [answer.of(logits) == result.predictions for logits in history]
    return np.array([each.reshape(len(result.images), -1).all(axis=1) for each in same])


def _leads(result: Result) -> FloatArray:
    """Return by how much each image's class leads at each checkpoint, (n_checkpoints, n_images)."""
    rivals, leads = answer_of(result.network).rivals, []
    for k, logits in enumerate(_history(result)):
        gathered = np.sort(rivals(logits * _steps_run(result, k)), axis=2)
        leads.append((gathered[..., -1] - gathered[..., -2]).min(axis=1))
    return np.array(leads)


def _history(result: Result) -> FloatArray:
    """Return the estimated logits at the checkpoints, (n_checkpoints, n_images, size)."""
    answer_of(result.network).require_classes()
    if result.output_history is None:
        raise DataError("the result has no checkpoints; simulate with checkpoints, such as range(5, 201, 5).")
    return result.output_history.reshape(len(result.checkpoints), len(result.images), -1)


def _steps_run(result: Result, k: int) -> int:
    """Return how many steps of the output's window were over at a checkpoint."""
    return max(0, int(result.checkpoints[k]) - result.window_start(result.network.output.name))


def _all_others(margins: FloatArray, leader: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether all margins (..., n_classes) but those of the leaders (...) over themselves are positive."""
    positive = margins > 0
    np.put_along_axis(positive, leader[..., None], True, axis=-1)
    return np.asarray(np.all(positive, axis=-1))


class _SpikingLead:
    """The leads of an output that spikes."""

    def __init__(self, result: Result) -> None:
        output = result.network.output
        self._result, self._history, self._rivals = result, _history(result), answer_of(result.network).rivals
        self._scale = np.broadcast_to(np.asarray(output.scale, np.float64), output.shape).ravel()

    def is_certain(self, k: int) -> NDArray[np.bool_]:
        """Return whether the class is certain at a checkpoint, (n_images,)."""
        run, logits = _steps_run(self._result, k), self._history[k]
        to_go = self._result.window_steps(self._result.network.output.name) - run
        if not to_go:
            return np.ones(len(logits), bool)
        counted, reachable = self._rivals(logits * run), self._rivals(logits * run + to_go * self._scale)
        leader = counted.argmax(axis=2)
        best = np.take_along_axis(counted, leader[..., None], axis=2)
        return np.all(_all_others(best * (1 - _ROUNDING) - reachable, leader), axis=1)


class _PotentialLead:
    """The leads of a readout that integrates."""

    def __init__(self, result: Result, use_bounds: bool) -> None:
        network, output = result.network, result.network.output
        if output.leak:
            raise SettingError("the output leaks; no step makes an answer certain.")
        self._result, self._history, self._rivals = result, _history(result), answer_of(network).rivals
        self._parameters = scaled_parameters(network, result.settings)
        self._weights = {source: self._rivals(weights) for source, weights in _dense_weights(result).items()}
        self._current = self._parameters.network[output.name].bias.reshape(1, -1)
        if any(p.source == INPUT for p in network.into(output.name)):
            if result.settings.input_coding == "frames":
                raise SettingError("the output sees images that change over time; no step makes an answer certain.")
            currents = input_currents(self._parameters, result.images)
            self._current = currents[output.name].reshape(len(result.images), -1)
        self._limits = _count_limits(result, tuple(self._weights)) if use_bounds else None

    def is_certain(self, k: int) -> NDArray[np.bool_]:
        """Return whether the class is certain at a checkpoint, (n_images,)."""
        run = _steps_run(self._result, k)
        to_go = self._result.window_steps(self._result.network.output.name) - run
        # Estimated logits are (V - V(0)) / (V_thr n).
        gathered = self._history[k] * (self._parameters.of(self._result.network.output.name).threshold * run)
        rounding = 2 * _ROUNDING * np.abs(gathered).max(axis=1, keepdims=True)
        charges = self._rivals(gathered + to_go * self._current)
        leaders = self._rivals(self._history[k]).argmax(axis=2)
        certain = np.ones(len(charges), bool)
        for number, leader in enumerate(leaders.T if to_go else ()):
            for best in np.unique(leader):
                images = np.flatnonzero(leader == best)
                margins = charges[images, number, best, None] - charges[images, number] - rounding[images]
                for source, weights in self._weights.items():
                    lowest, highest = self._still_to_come(source, k, to_go, images)
                    ahead = weights[:, number, best, None] - weights[:, number]
                    margins = margins + lowest @ np.maximum(ahead, 0.0) + highest @ np.minimum(ahead, 0.0)
                certain[images] &= _all_others(margins, leader[images])
        return certain

    def _still_to_come(
        self, source: str, k: int, to_go: int, images: NDArray[np.int64]
    ) -> tuple[FloatArray, FloatArray]:
        """Return the least and the most spikes that each neuron of a source can still send, (n, size)."""
        size = self._result.network[source].size
        if self._limits is None:
            return np.zeros((len(images), size)), np.full((len(images), size), float(to_go))
        lowest, highest = (limit[images] for limit in self._limits[source])
        counted = self._result.count_history[source][k][images].reshape(len(images), -1)
        if int(self._result.checkpoints[k]) < self._result.window_start(self._result.network.output.name):
            # What comes before the readout starts to listen does not count.
            return np.zeros(lowest.shape), np.full(lowest.shape, float(to_go))
        return np.clip(lowest - counted, 0, to_go), np.clip(highest - counted, 0, to_go)


def _count_limits(result: Result, sources: tuple[str, ...]) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return the least and the most spikes of each source neuron in the whole run, (n_images, size)."""
    for source in sources:
        if source not in result.count_history:
            raise DataError(
                f"population {source!r}: its spike counts at the checkpoints are needed; simulate with its name in "
                "record_counts."
            )
    limits = rate_bounds(result.network, result.images, result.settings, sources)
    return {
        source: tuple(  # type: ignore[misc]
            np.rint(limit * result.window_steps(source)).reshape(len(result.images), -1) for limit in limits[source]
        )
        for source in sources
    }


def _dense_weights(result: Result) -> dict[str, FloatArray]:
    """Return the weights of each source onto the readout as a matrix, (size of the source, size of the readout)."""
    network = scaled_parameters(result.network, result.settings).network
    matrices: dict[str, FloatArray] = {}
    for projection in network.into(network.output.name):
        if projection.source == INPUT:
            continue
        assert projection.weights is not None, "a readout is no max pooling"
        n_source = network[projection.source].size
        pre, post, which = synapses(projection, n_source)
        matrix = matrices.setdefault(projection.source, np.zeros((n_source, network.output.size)))
        np.add.at(matrix, (pre, post), projection.weights.ravel()[which])
    return matrices

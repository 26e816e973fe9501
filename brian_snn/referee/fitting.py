"""Rules with a number: the leak or the threshold that a run shows, found on some of its neurons.

The number is looked for where the fewest decisions are left unexplained, on ever finer lattices, and the one with the
fewest digits is taken of those that do equally well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.referee.arrivals import Wires, changed
from brian_snn.referee.neurons import Membranes
from brian_snn.referee.replay import Block, Judging
from brian_snn.referee.rules import FITTED, Candidate, Fitted, Semantics, candidate

#: Numbers tried at a time, how often the lattice is made finer, and on how many neurons.
_LATTICE, _ROUNDS, _NEURONS = 65, 6, 1024


@dataclass(frozen=True, eq=False)
class _Sample:
    """Some neurons: what arrived in each step, the constant current with its bias, and their spikes."""

    arrivals: FloatArray
    currents: FloatArray
    bias: FloatArray
    spikes: NDArray[Any]


def fitted(judging: Judging, bases: Sequence[Candidate]) -> Iterator[Candidate | None]:
    """Yield the rules with a number, each alone and with another rule, with the numbers that fit best."""
    sample = _sample(judging)
    if sample is None:
        return
    for base in bases:
        for rule in FITTED:
            if getattr(base.semantics, rule.key) != getattr(Semantics(), rule.key):
                continue
            for value in _best(sample, replace(base.semantics, **rule.changes), rule):
                yield candidate(Semantics(reset=_reset(bases)), *base.rules, rule.rule(value))


def _reset(bases: Sequence[Candidate]) -> Any:
    """Return the reset of Eq. (4) as it is expected."""
    return next(base for base in bases if not base.rules).semantics.reset


def _sample(judging: Judging) -> _Sample | None:
    """Return neurons of all populations whose sources were recorded, of the first images, those that spike first."""
    images, _ = next(judging.blocks())
    images = slice(images.start, min(images.stop, images.start + 4))
    wires, run = Wires(changed(judging.network, Semantics())), judging.run
    chosen = [
        p
        for p in judging.active
        if (p.kind, p.leak, p.threshold) == ("spiking", 0.0, 1.0)
        and p.name in run.trains
        and set(wires.sources(p.name)) <= set(run.trains)
    ]
    if not chosen:
        return None
    places = {p.name: _places(_counts(judging, p.name, images), len(chosen)) for p in chosen}
    parts: dict[str, list[Any]] = {p.name: [] for p in chosen}
    before: dict[str, NDArray[Any]] = {}
    for length in _steps(judging):
        block = Block(judging, images, length, before)
        before = block.counts_after()
        for population in chosen:
            arrivals = block.arrivals(wires, population, Semantics())
            for number, step in enumerate(length):
                current = block.current(wires, ("", ""), step)[population.name]
                shape = block.trains[population.name][number].shape
                flat = (np.zeros(shape) if arrivals is None else arrivals[number], np.broadcast_to(current, shape))
                spikes = block.trains[population.name][number]
                parts[population.name].append([array.ravel()[places[population.name]] for array in (*flat, spikes)])
    joined = [np.concatenate([np.array([step[k] for step in parts[p.name]]) for p in chosen], axis=1) for k in range(3)]
    n_images = images.stop - images.start
    bias = np.concatenate([np.tile(p.bias.ravel(), n_images)[places[p.name]] for p in chosen])
    return _Sample(joined[0], joined[1], bias, joined[2])


def _steps(judging: Judging) -> Iterable[range]:
    """Yield the steps of the blocks of one image."""
    for images, steps in judging.blocks():
        if images.start:
            return
        yield steps


def _counts(judging: Judging, name: str, images: slice) -> NDArray[np.int64]:
    """Return the recorded counts of the neurons of a population, flat over images and neurons."""
    blocks = (judging.run.block(name, images, slice(steps.start, steps.stop)) for steps in _steps(judging))
    return sum((block.sum(axis=1, dtype=np.int64).ravel() for block in blocks), start=np.zeros(1, np.int64))


def _places(counts: NDArray[np.int64], n_populations: int) -> NDArray[np.intp]:
    """Return which neurons to look at: the busiest first."""
    return np.argsort(-counts, kind="stable")[: max(1, _NEURONS // n_populations)]


def _best(sample: _Sample, semantics: Semantics, rule: Fitted) -> list[float]:
    """Return the numbers with which the fewest decisions are left; none if the end of the range does best.

    Where a potential meets the threshold, the number itself lies on the edge of those that do: the first is the
    shortest that lies among them or next to them, the second the shortest among them.
    """
    low, high = rule.low, rule.high
    best = (low, high)
    for _ in range(_ROUNDS):
        values = np.linspace(low, high, _LATTICE)
        tried: dict[str, Any] = {rule.key: values[:, None]}
        left = _unexplained(sample, replace(semantics, **tried))
        good = np.flatnonzero(left == left.min())
        # Of several places where as few are left, the longest.
        runs = np.split(good, np.flatnonzero(np.diff(good) > 1) + 1)
        longest = max(runs, key=len)
        best = (float(values[longest[0]]), float(values[longest[-1]]))
        low, high = values[max(0, longest[0] - 1)], values[min(_LATTICE - 1, longest[-1] + 1)]
    numbers = dict.fromkeys((shortest_decimal(float(low), float(high)), shortest_decimal(*best)))
    return [number for number in numbers if rule.low < number < rule.high]


def _unexplained(sample: _Sample, semantics: Semantics) -> NDArray[np.int64]:
    """Return how many decisions each of several numbers leaves unexplained."""
    shape = (_LATTICE, sample.arrivals.shape[1])
    neurons, left = Membranes(semantics, shape, 0, sample.bias), np.zeros(_LATTICE, np.int64)
    for step in range(len(sample.arrivals)):
        decided = neurons.decide(step, sample.arrivals[step], sample.currents[step])
        differ = (decided != sample.spikes[step]) & ~neurons.is_close()
        left += np.count_nonzero(differ, axis=1)
        neurons.settle(sample.spikes[step])
    return left


def shortest_decimal(low: float, high: float) -> float:
    """Return the number with the fewest decimal places from `low` to `high`; their mean if they are all but one."""
    for digits in range(13):
        scale = 10**digits
        if ceil(low * scale) <= floor(high * scale):
            middle = round((low + high) / 2 * scale)
            return min(max(middle, ceil(low * scale)), floor(high * scale)) / scale
    return (low + high) / 2

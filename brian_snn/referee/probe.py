"""The conformance network: what it is, and which rule its output counts tell.

Its numbers are made by a formula from whole numbers alone, so that it is the same on every machine: weights and biases
are multiples of 2**-6 (of the hidden layer's biases 2**-12) and the input of 2**-2, so that sums are exact in float32
and in fixed point. The same input is applied in every step.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from brian_snn.arrays import FloatArray
from brian_snn.errors import DataError
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, PopulationKind, Projection
from brian_snn.referee.replay import Judging, Runner, go_through
from brian_snn.referee.rules import FITTED, Candidate, Rule, Semantics, candidate, clamp_rule, pairs, singles
from brian_snn.referee.runs import Run
from brian_snn.referee.sources import Recorded

#: What is cited beside the verdict; another network would be another version.
VERSION = "brian_snn probe v1"

#: Steps of the probe.
STEPS = 64

_SEED = 2

#: Numbers of rules that have one, as the probe knows them.
_LEAKS, _THRESHOLDS, _CLAMPS = (0.5, 0.75, 0.9, 0.95, 0.99), (0.5, 0.9, 1.1, 2.0), (1, 2, 5, 10)


def _numbers(name: int, shape: tuple[int, ...], low: int, high: int) -> FloatArray:
    """Return whole numbers from low to high, drawn by SplitMix64 from the seed and the number of the array."""
    n = int(np.prod(shape))
    state = (_SEED * 1_000_003 + name) & (2**64 - 1)
    drawn = []
    for _ in range(n):
        state = (state + 0x9E3779B97F4A7C15) & (2**64 - 1)
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        drawn.append(low + (z ^ (z >> 31)) % (high - low + 1))
    return np.array(drawn, np.float64).reshape(shape)


#: Name, kind, shape, depth, and the ends between which biases are drawn, in 1/64.
_LAYERS: tuple[tuple[str, PopulationKind, tuple[int, ...], int, tuple[int, int] | None], ...] = (
    ("conv1", "spiking", (6, 6, 2), 1, (-24, 24)),
    ("average", "spiking", (3, 3, 2), 2, None),
    ("conv2", "spiking", (3, 3, 4), 3, (-8, 24)),
    ("max", "max_pool", (2, 2, 4), 3, None),
    ("hidden", "spiking", (24,), 4, (-24, 24)),
    ("out", "spiking", (16,), 5, (-48, 80)),
)

_SAME = ((1, 1), (1, 1))

#: Source, target, map, and the ends between which weights are drawn, in 1/64.
_MAPS: tuple[tuple[str | None, str, Geometry, tuple[int, int] | None], ...] = (
    (INPUT, "conv1", Geometry("conv2d", (6, 6, 1), (6, 6, 2), (3, 3), padding=_SAME), (-24, 44)),
    ("conv1", "average", Geometry("average_pool", (6, 6, 2), (3, 3, 2), (2, 2), (2, 2)), None),
    ("average", "conv2", Geometry("conv2d", (3, 3, 2), (3, 3, 4), (3, 3), padding=_SAME), (-24, 36)),
    ("conv2", "max", Geometry("max_pool", (3, 3, 4), (2, 2, 4), (2, 2)), None),
    ("max", "hidden", Geometry("dense", (16,), (24,)), (-30, 30)),
    ("conv1", "hidden", Geometry("dense", (72,), (24,)), (-20, 21)),
    ("hidden", "out", Geometry("dense", (24,), (16,)), (-30, 34)),
)


def probe_network() -> Network:
    """Return the conformance network: a convolution, both poolings, a path around them, dense layers."""
    populations = tuple(
        Population(name, kind, shape, _biases(k, name, shape, ends), depth)
        for k, (name, kind, shape, depth, ends) in enumerate(_LAYERS)
    )
    projections = []
    for k, (source, target, geometry, ends) in enumerate(_MAPS):
        weights = np.full(geometry.output_shape, 0.25) if geometry.kind == "average_pool" else None
        if ends is not None:
            assert geometry.weights_shape is not None, "only a maximum has no weights"
            weights = _numbers(100 + k, geometry.weights_shape, *ends) / 64
        projections.append(Projection(source, target, geometry, weights))
    return Network(populations, tuple(projections), (6, 6, 1), grid=2.0**-24)


def _biases(number: int, name: str, shape: tuple[int, ...], ends: tuple[int, int] | None) -> FloatArray:
    """Return biases in 1/64; those of the hidden layer have bits down to 2**-12, which float16 loses."""
    if ends is None:
        return np.zeros(shape)
    biases = _numbers(number, shape, *ends) / 64
    return biases + _numbers(50, shape, -3, 3) / 4096 if name == "hidden" else biases


def probe_input() -> FloatArray:
    """Return the input of the probe, (1, 6, 6, 1): the same currents in every step."""
    return _numbers(200, (1, 6, 6, 1), 0, 4) / 4


def probe_arrays() -> dict[str, NDArray[Any]]:
    """Return the probe as plain arrays: kernels (rows, columns, in, out), dense weights (in, out), channels last."""
    network = probe_network()
    arrays: dict[str, NDArray[Any]] = {"input": probe_input()[0], "steps": np.array(STEPS)}
    for population in network.populations:
        if population.bias.any():
            arrays[f"{population.name}_bias"] = population.bias
    for projection in network.projections:
        if projection.geometry.kind in ("conv2d", "dense") and projection.weights is not None:
            arrays[f"{projection.source or 'input'}_to_{projection.target}"] = projection.weights
    return arrays


def probe_rules(network: Network) -> list[Candidate]:
    """Return what the probe can name: Eq. (4b), every rule, some numbers of those that have one, and pairs.

    Pairs are of rules without a number and of whole weights, and of a leak with another reset or comparison.
    """
    base = Semantics()
    numbered: list[Rule] = [clamp_rule(steps) for steps in _CLAMPS]
    for rule in FITTED:
        numbered += [rule.rule(value) for value in (_THRESHOLDS if rule.key == "threshold" else _LEAKS)]
    alone = singles(base, network, numbered)
    leaks = [each for each in alone if each.semantics.leak != 1.0]
    plain = [each for each in alone if each.rules[0] not in numbered and "bits" not in each.name]
    with_leak = [
        both
        for leak in leaks
        for other in plain
        if set(other.rules[0].changes) & {"reset", "above"}
        if (both := candidate(base, *other.rules, *leak.rules)) is not None
    ]
    return [Candidate((), base), *alone, *pairs(base, plain), *with_leak]


def probe_counts(candidates: Sequence[Candidate], population: str = "out") -> NDArray[np.int64]:
    """Return the output counts of the probe under each rule, (n_rules, 16)."""
    network = probe_network()
    found = np.zeros((len(candidates), network[population].size), np.int64)
    run = Run(Recorded({}, {"out": np.zeros((1, 16), np.int64)}), network, "hwc", {})
    judging = Judging(network, probe_input(), run, STEPS)

    def note(number: int) -> Any:
        def keep(images: slice, each: Population, counts: NDArray[Any]) -> None:
            if each.name == population:
                found[number] = counts[0]

        return keep

    go_through(judging, [Runner(judging, c.semantics, True, True, counts=note(k)) for k, c in enumerate(candidates)])
    return found


@functools.cache
def _counts_of_all() -> tuple[Sequence[Candidate], NDArray[np.int64]]:
    """Return all rules and their counts, worked out once."""
    candidates = probe_rules(probe_network())
    return candidates, probe_counts(candidates)


@dataclass(frozen=True, eq=False)
class ProbeVerdict:
    """What the output of the probe says.

    Parameters
    ----------
    rule : str or None
        The simplest rule with these counts; None if none has them.
    alike : tuple of str
        Others that have them.
    counts, expected : (16,) int array
        Those given, and those of Eq. (4b).
    """

    rule: str | None
    alike: tuple[str, ...]
    counts: NDArray[np.int64]
    expected: NDArray[np.int64]

    @property
    def statement(self) -> str:
        """What to cite."""
        return f"{VERSION}: {self.rule or 'no rule explains the output'}"


def probe_verdict(counts: ArrayLike) -> ProbeVerdict:
    """Name the rule by which a simulator or a chip ran the probe.

    Parameters
    ----------
    counts : (16,) array of int
        Spikes of the output neurons in all steps.

    Raises
    ------
    DataError
        If they are no 16 whole numbers.
    """
    given = np.asarray(counts)
    if given.shape != (16,) or given.dtype.kind not in "buif" or not np.array_equal(given, np.rint(given)):
        raise DataError(f"the output of the probe is {given!r:.200}; 16 whole numbers were expected, a count a neuron.")
    candidates, by_rule = _counts_of_all()
    fitting = [c.name for c, row in zip(candidates, by_rule, strict=True) if np.array_equal(row, given)]
    return ProbeVerdict(fitting[0] if fitting else None, tuple(fitting[1:]), given.astype(np.int64), by_rule[0].copy())

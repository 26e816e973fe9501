"""Neurons under any of the rules, stepped in NumPy: what a neuron decides, and what it keeps after a decision.

Decision and reset are apart, so that a replay can go on from another simulator's decision instead of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.referee.rules import Semantics

#: Spikes of a step, a number each.
Spikes = Any

#: The relative error of a rounding to float32.
_ROUNDING = 2.0**-24


@dataclass(frozen=True)
class Own:
    """What neurons have of their own, whatever the rule: a leak, rounded to the grid, and a threshold."""

    leak: float = 0.0
    threshold: float = 1.0
    grid: float = 1.0


_PLAIN = Own()


class Membranes:
    """Neurons with a membrane.

    Parameters
    ----------
    semantics : Semantics
    shape : tuple of int
        Of the potentials.
    start : int
        Steps for which a clamp holds them.
    bias : array
        The part of the current that is a bias.
    own : Own
        Leak and threshold of the population.

    Attributes
    ----------
    v, before, u, z : array
        V(t), V(t-1), u(t), and what arrived in step t.
    margin : array
        How far roundings to float32 may have moved u: 2**-24 times the sum of abs(V) + abs(z) + abs(u).
    """

    def __init__(
        self, semantics: Semantics, shape: tuple[int, ...], start: int, bias: FloatArray, own: Own = _PLAIN
    ) -> None:
        self.semantics, self._start, self._bias, self._own = semantics, start, bias, own
        self._theta = semantics.threshold * own.threshold
        self.v = np.zeros(shape)
        self.before = self.u = self.z = self.v
        self.margin = np.zeros(shape)
        self._later: FloatArray | float = 0.0
        self._waiting: FloatArray | float = 0.0
        self._owed: Any = 0.0
        self._held = False

    def decide(self, step: int, arrives: FloatArray | float, current: FloatArray) -> Spikes:
        """Return how many spikes each sends in a step, counted from 0."""
        rule = self.semantics
        self._held = step < self._start
        if rule.order != "same_step":
            arrives, self._waiting = self._waiting, arrives
        self.before = self.v
        if self._held:
            self.u, self.z = self.v, self.v * 0.0
            return np.zeros(self.v.shape, np.int64)
        if rule.bias == "never" or (rule.bias == "once" and step):
            current = current - self._bias
        if rule.order == "brian2":
            arrives, self._later = 0.0, self._waiting
        self.z = current + arrives
        if rule.rectified:
            self.z = np.maximum(self.z, 0.0)
        self.u = self._integrated()
        self.margin = self.margin + _ROUNDING * (np.abs(self.before) + np.abs(self.z) + np.abs(self.u))
        return self._tested()

    def _integrated(self) -> FloatArray:
        """Return u."""
        rule, v, z = self.semantics, self.v, self.z
        if self._own.leak:
            v = v - np.rint(v * (self._own.leak / self._own.grid)) * self._own.grid
        if np.any(rule.leak != 1.0):
            v = v * rule.leak
            z = z * (1.0 - rule.leak) if rule.scaled else z
        u: FloatArray = v - self._owed + z if rule.late else v + z
        if rule.half:
            with np.errstate(over="ignore"):
                u = (v.astype(np.float16) + np.asarray(z).astype(np.float16)).astype(np.float64)
        return u if rule.floor is None else np.maximum(u, rule.floor * self._theta)

    def _tested(self) -> Spikes:
        """Return the spikes for u."""
        rule, theta, u = self.semantics, self._theta, self.u
        if rule.withheld:
            u = u - theta * (self.before > theta)
        if not rule.many:
            return (u > theta if rule.above else u >= theta).astype(np.int64)
        fitting = np.ceil(u / theta) - 1 if rule.above else np.floor(u / theta)
        return np.maximum(fitting, 0).astype(np.int64)

    def settle(self, spikes: Spikes) -> None:
        """Reset those that spiked."""
        if self._held:
            return
        rule, u = self.semantics, self.u
        if rule.order == "brian2":
            u = u + self._later
        if rule.late and rule.reset == "subtraction":
            self._owed = self._theta * spikes
            self.v = u
        elif rule.reset == "zero":
            self.v = np.where(spikes > 0, 0.0, u)
        else:
            self.v = u - self._theta * spikes

    def is_close(self) -> Any:
        """Return where u lies so near the threshold that float32 may decide the other way."""
        rule, theta = self.semantics, self._theta
        multiple: Any = 1.0
        if rule.many:
            multiple = np.maximum(np.rint(self.u / theta), 1.0)
        elif rule.withheld:
            multiple = 1.0 + (self.before > theta)
        close = np.abs(self.u - multiple * theta) <= self.margin
        return close | (np.abs(self.before - theta) <= self.margin) if rule.withheld else close


class Pools:
    """Max-pooling units; what arrives is the largest count, rank or spike of their inputs."""

    def __init__(self, semantics: Semantics, shape: tuple[int, ...], start: int, bias: FloatArray) -> None:
        self.semantics = semantics
        self.v = self.before = self.margin = np.zeros(shape)
        self.u = self.z = self.v
        self._previous: FloatArray | float = 0.0
        self._waiting = np.zeros(shape, bool)

    def decide(self, step: int, arrives: FloatArray | float, current: FloatArray) -> Spikes:
        """Return how many spikes each sends in a step."""
        rule = self.semantics
        self.before, self.z = self.v, np.broadcast_to(np.asarray(arrives, np.float64), self.v.shape)
        if rule.order == "brian2" and rule.pool != "any":
            self.u = self._waiting.astype(np.float64)
            return self._waiting.astype(np.int64)
        if rule.order != "same_step":
            self.z, self._previous = np.broadcast_to(self._previous, self.v.shape), self.z
        self.u = self.z - (0.0 if rule.pool == "any" else self.v)
        grown = np.maximum(self.u, 0).astype(np.int64)
        return grown if rule.many and rule.pool != "gate" else np.minimum(grown, 1)

    def settle(self, spikes: Spikes) -> None:
        """Note how far each has come."""
        rule = self.semantics
        if rule.order == "brian2" and rule.pool != "any":
            self._waiting = (self.z > self.v) & ~(spikes > 0)
        if rule.pool == "gate":
            self.v = np.maximum(self.v, self.z)
        else:
            self.v = self.v + spikes

    def is_close(self) -> Any:
        """Return where a rounding decides: nowhere, counts are whole numbers."""
        return np.zeros(self.v.shape, bool)

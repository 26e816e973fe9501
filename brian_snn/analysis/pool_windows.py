"""The inputs of max-pooling units, and which of them wins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from brian_snn.analysis.measured import Carrier, Measured
from brian_snn.arrays import FloatArray, IntArray
from brian_snn.network.records import Population
from brian_snn.network.synapses import synapses


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

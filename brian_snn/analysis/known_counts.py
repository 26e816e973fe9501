"""Spike counts of a max pooling and of its sources, at every time at which all of them are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.analysis.batching import batches
from brian_snn.arrays import FloatArray
from brian_snn.results.result import Result

# Numbers held at a time for one population: 32 MiB of float64.
_BATCH_NUMBERS = 2**22


def count_batches(result: Result, pool: str, names: set[str], size: int) -> Iterator[dict[str, FloatArray]]:
    """Yield spike counts of a max pooling and its sources since the start of the run, wherever all of them are known.

    A source is silent before its window, so the counts in its window are those since the start. A max-pooling unit is
    never clamped: its count follows its sources from the first step.
    """
    known: list[Mapping[str, NDArray[Any]]] = [
        {name: result.spike_counts[name] if name == pool else result.arrived_counts(name) for name in names}
    ]
    # With a delay the counts at other times are those of spikes sent, some of which are still under way.
    delayed = result.settings.delay_steps > 0
    if not delayed and all(name in result.count_history for name in names):
        known += [{name: result.count_history[name][k] for name in names} for k in range(len(result.checkpoints))]
    for counts in known:
        for batch in batches(len(result.images), size, _BATCH_NUMBERS):
            yield {name: np.asarray(counts[name][batch], np.float64) for name in names}
    if not delayed and all(name in result.spike_trains for name in names):
        yield from _counts_per_step(result, names, size)


def _counts_per_step(result: Result, names: set[str], size: int) -> Iterator[dict[str, FloatArray]]:
    """Yield running spike counts, one row per step, from recorded spike trains."""
    trains = {name: _split_by_image(result.spike_trains[name], len(result.images)) for name in names}
    for image in range(len(result.images)):
        running = {name: np.zeros(result.network[name].size) for name in names}
        for steps in batches(result.settings.steps, size, _BATCH_NUMBERS):
            n_steps = len(range(result.settings.steps)[steps])
            counts = {}
            for name in names:
                # Steps are counted from 1.
                step, neuron = trains[name][image][:, 1] - 1 - steps.start, trains[name][image][:, 2]
                here = (step >= 0) & (step < n_steps)
                spikes = np.zeros((n_steps, result.network[name].size))
                np.add.at(spikes, (step[here], neuron[here]), 1.0)
                counts[name] = running[name] + np.cumsum(spikes, axis=0)
                running[name] = counts[name][-1]
            yield counts


def _split_by_image(train: NDArray[np.int32], n_images: int) -> list[NDArray[np.int32]]:
    """Return the spikes of each image."""
    ordered = train[np.argsort(train[:, 0], kind="stable")]
    return np.split(ordered, np.searchsorted(ordered[:, 0], np.arange(1, n_images)))

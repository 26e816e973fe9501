"""Where a recorded run differs from Eq. (4): end to end, and each population given what was recorded before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Population
from brian_snn.network.synapses import n_synapses, synapses
from brian_snn.referee.replay import Block, Judging, Runner, go_through
from brian_snn.referee.rules import Semantics


@dataclass(frozen=True)
class Difference:
    """A decision that is not Eq. (4)'s, and what led to it.

    Parameters
    ----------
    image, step, neuron : int
        Image from 0, step from 1, neuron flat in C order.
    u, v, z : float
        u(t), V(t-1), and what arrived in step t.
    expected, found : int
        Spikes of the step.
    """

    image: int
    step: int
    neuron: int
    u: float
    v: float
    z: float
    expected: int
    found: int


@dataclass(eq=False)
class Compared:
    """What the comparison of a population came to.

    Parameters
    ----------
    expected, found : int
        Spikes end to end.
    counts, trains : int
        Counts and trains that differ end to end; -1 where no trains were recorded.
    trains_given_input : int
        Trains that differ in a replay of the recorded spikes of its sources; -1 where no trains were recorded.
    close : int
        Decisions that lie so near the threshold that float32 may turn them.
    first : Difference or None
        The first in the order of images, steps, neurons.
    """

    expected: int = 0
    found: int = 0
    counts: int = 0
    trains: int = 0
    trains_given_input: int = 0
    close: int = 0
    first: Difference | None = None
    _state: dict[str, Any] = field(default_factory=dict)


def compare(judging: Judging, base: Semantics) -> dict[str, Compared]:
    """Return how each population that was recorded differs from Eq. (4)."""
    found = {name: Compared() for name in (*judging.run.trains, *judging.run.counted)}
    for name in judging.run.counted:
        found[name].trains = found[name].trains_given_input = -1
    watcher = _Watcher(judging, found)
    runners = [
        Runner(judging, base, True, True, watch=watcher.end_to_end, counts=watcher.counted),
        Runner(judging, base, False, True, watch=watcher.replayed),
        Runner(judging, base, watch=watcher.resynchronised),
    ]
    go_through(judging, runners)
    return found


class _Watcher:
    """Fills the records of a comparison."""

    def __init__(self, judging: Judging, found: dict[str, Compared]) -> None:
        self._judging, self._found = judging, found

    def end_to_end(
        self, runner: Runner, block: Block, step: int, population: Population, neurons: Any, ours: Any, theirs: Any
    ) -> None:
        """Compare our own run with theirs."""
        compared = self._found[population.name]
        state = compared._state
        if step == 0:
            state["counts"], state["trains"] = np.zeros(ours.shape, np.int64), np.zeros(ours.shape, bool)
        state["counts"] += ours - theirs.astype(np.int64)
        state["trains"] |= ours != theirs
        compared.expected += int(ours.sum())
        compared.found += int(theirs.sum(dtype=np.int64))
        if step == self._judging.steps - 1:
            compared.counts += int(np.count_nonzero(state["counts"]))
            compared.trains += int(np.count_nonzero(state["trains"]))

    def replayed(
        self, runner: Runner, block: Block, step: int, population: Population, neurons: Any, ours: Any, theirs: Any
    ) -> None:
        """Compare what our neurons do with their spikes."""
        compared = self._found[population.name]
        if step == 0:
            compared._state["replayed"] = np.zeros(ours.shape, bool)
        compared._state["replayed"] |= ours != theirs
        if step == self._judging.steps - 1:
            compared.trains_given_input += int(np.count_nonzero(compared._state["replayed"]))

    def resynchronised(
        self, runner: Runner, block: Block, step: int, population: Population, neurons: Any, ours: Any, theirs: Any
    ) -> None:
        """Note the first decision that differs, and how many are close."""
        compared = self._found[population.name]
        compared.close += int(np.count_nonzero(neurons.is_close()))
        differ = ours != theirs
        if not differ.any():
            return
        row = int(np.flatnonzero(differ.any(axis=1))[0])
        neuron = int(np.flatnonzero(differ[row])[0])
        image = block.images.start + row
        if compared.first is None or (image, step + 1) < (compared.first.image, compared.first.step):
            u, v, z = (
                float(np.broadcast_to(a, ours.shape)[row, neuron]) for a in (neurons.u, neurons.before, neurons.z)
            )
            expected, found = int(ours[row, neuron]), int(theirs[row, neuron])
            compared.first = Difference(image, step + 1, neuron, u, v, z, expected, found)

    def counted(self, images: slice, population: Population, counts: NDArray[Any]) -> None:
        """Compare counts where no spikes were recorded."""
        if population.name not in self._judging.run.counted:
            return
        compared, theirs = self._found[population.name], self._judging.run.counts(population.name, images)
        compared.expected += int(counts.sum())
        compared.found += int(theirs.sum(dtype=np.int64))
        differ = counts != theirs
        compared.counts += int(np.count_nonzero(differ))
        if compared.first is None and differ.any():
            row, neuron = (int(k) for k in np.argwhere(differ)[0])
            numbers = (np.nan, np.nan, np.nan, int(counts[row, neuron]), int(theirs[row, neuron]))
            compared.first = Difference(images.start + row, 0, neuron, *numbers)


#: Synapses of a projection that are listed at a time, to find those of one neuron.
_MOST_LISTED = 2**26


def arriving(judging: Judging, name: str, difference: Difference) -> pd.DataFrame:
    """Return the spikes that reached a neuron in the step of a difference: source, neuron, spikes and weight.

    Of projections with more than 67 million synapses none are listed.
    """
    rows = []
    step = slice(difference.step - 1, difference.step)
    for projection in judging.network.into(name):
        if projection.source == INPUT or projection.source not in judging.run.trains or difference.step < 1:
            continue
        if n_synapses(judging.network, projection) > _MOST_LISTED:
            continue
        spikes = judging.run.block(projection.sender, slice(difference.image, difference.image + 1), step)[0, 0]
        pre, post, index = synapses(projection, len(spikes))
        here = (post == difference.neuron) & (spikes[pre] > 0)
        all_weights = projection.weights
        weights = np.ones(here.sum()) if index is None or all_weights is None else all_weights.ravel()[index[here]]
        rows += [
            {"source": projection.sender, "neuron": int(j), "spikes": int(spikes[j]), "weight": float(w)}
            for j, w in zip(pre[here], weights, strict=True)
        ]
    return pd.DataFrame(rows, columns=["source", "neuron", "spikes", "weight"])


def input_is_recorded(network: Network, trains: tuple[str, ...], name: str) -> bool:
    """Whether the spikes of all sources of a population were recorded."""
    return all(p.source == INPUT or p.source in trains for p in network.into(name))

"""Step a network through a recorded run, under many rules at once: what each predicts, beside what was recorded.

Every population is stepped with the spikes that were recorded of its sources, or, where none were, with those that the
rule itself gives; its own reset follows the recorded decision, or its own. Images are taken a few at a time and steps
in blocks, so that memory holds a state for each neuron and rule, and the spikes of a block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.network.network import Network
from brian_snn.network.records import Population
from brian_snn.referee.arrivals import Wires, arrival_key, changed, frame
from brian_snn.referee.neurons import Membranes, Own, Pools
from brian_snn.referee.rules import Semantics
from brian_snn.referee.runs import Run

#: Spikes, currents and arrivals that are held at a time, and states of all rules.
_BLOCK_NUMBERS, _STATE_NUMBERS = 2**22, 2**22


@dataclass(frozen=True, eq=False)
class Judging:
    """What is judged: a network, what it was shown, and the run.

    Parameters
    ----------
    network : Network
        On its grid.
    images : (n_images, *input_shape) or (n_images, steps, *input_shape) array
        Or `brian_snn.Events`.
    run : Run
    steps : int
    only : tuple of str
        The populations that are stepped, if not all; the spikes of their sources were recorded.
    """

    network: Network
    images: Any
    run: Run
    steps: int
    only: tuple[str, ...] = ()

    @property
    def active(self) -> tuple[Population, ...]:
        """The populations that spike: a readout only where its spikes were recorded."""
        known = {*self.run.trains, *self.run.counted}
        chosen = set(self.only or (p.name for p in self.network.populations))
        return tuple(
            p for p in self.network.populations if p.name in chosen and (p.kind != "readout" or p.name in known)
        )

    @property
    def heard(self) -> tuple[str, ...]:
        """The populations whose recorded spikes are looked at."""
        if not self.only:
            return self.run.trains
        sources = {p.source for name in self.only for p in self.network.into(name)}
        return tuple(name for name in self.run.trains if name in sources or name in self.only)

    @property
    def n_neurons(self) -> int:
        """How many neurons they have."""
        return sum(p.size for p in self.active)

    def blocks(self) -> Iterator[tuple[slice, range]]:
        """Yield images and steps: all steps of some images, or of a large network some steps of one."""
        n = _BLOCK_NUMBERS // max(1, self.n_neurons * self.steps)
        length = self.steps if n else max(1, _BLOCK_NUMBERS // self.n_neurons)
        for first in range(0, len(self.images), max(1, n)):
            for step in range(0, self.steps, length):
                images = slice(first, min(first + max(1, n), len(self.images)))
                yield images, range(step, min(step + length, self.steps))

    def at_a_time(self) -> int:
        """Return how many rules are stepped together."""
        images, _ = next(self.blocks())
        return max(1, _STATE_NUMBERS // (self.n_neurons * (images.stop - images.start)))


class Block:
    """Some steps of some images: what was recorded, and what it makes arrive, worked out once for all rules."""

    def __init__(self, judging: Judging, images: slice, steps: range, before: dict[str, NDArray[Any]]) -> None:
        self.judging, self.images, self.steps = judging, images, steps
        run = judging.run
        #: Recorded spikes, (steps, n_images, size).
        self.trains = {
            name: np.moveaxis(run.block(name, images, slice(steps.start, steps.stop)), 1, 0) for name in judging.heard
        }
        #: Counts of each neuron before the block.
        self._before = before
        self._pixels = judging.images[images]
        self._arrivals: dict[tuple[Any, ...], NDArray[Any]] = {}
        self._currents: dict[tuple[Any, ...], dict[str, FloatArray]] = {}

    def counts_after(self) -> dict[str, NDArray[Any]]:
        """Return the counts of each neuron after the block."""
        return {
            name: self._before.get(name, 0) + spikes.sum(axis=0, dtype=np.int64) for name, spikes in self.trains.items()
        }

    def current(self, wires: Wires, key: tuple[str, str], step: int) -> dict[str, FloatArray]:
        """Return what arrives besides spikes in a step."""
        moves = np.ndim(self._pixels) == len(wires.network.input_shape) + 2
        place = (*key, step if moves else 0)
        if place not in self._currents:
            self._currents.clear()
            self._currents[place] = wires.currents(frame(self._pixels, wires.network.input_shape, step))
        return self._currents[place]

    def arrivals(self, wires: Wires, population: Population, semantics: Semantics) -> NDArray[Any] | None:
        """Return what the recorded spikes make arrive, (steps, n_images, size); None if some source has none."""
        sources = wires.sources(population.name)
        if not sources or not set(sources) <= set(self.trains):
            return None
        key = (population.name, *arrival_key(population, semantics))
        if key not in self._arrivals:
            heard = {}
            for name in sources:
                spikes = self.trains[name]
                if population.kind == "max_pool":
                    running = self._before.get(name, 0) + np.cumsum(spikes, axis=0, dtype=np.int64)
                    spikes = wires.seen(name, spikes, running, semantics)
                heard[name] = spikes.reshape(-1, spikes.shape[-1])
            self._arrivals[key] = wires.charge(population.name, heard).reshape(len(self.steps), -1, population.size)
        return self._arrivals[key]


#: Called with the images, the step (from 0), the population, its neurons, what they decided and what was recorded.
Watch = Callable[["Runner", Block, int, Population, Any, NDArray[Any], NDArray[Any]], None]


@dataclass(eq=False)
class Runner:
    """A network under a rule, beside a recorded run.

    Parameters
    ----------
    judging : Judging
    semantics : Semantics
    own_sources : bool
        Whether populations hear what the rule gives, and not what was recorded.
    own_resets : bool
        Whether they reset after what the rule gives.
    watch : callable, optional
        Called where spikes were recorded.
    counts : callable, optional
        Called with the images, the population and its counts at the end of images of which counts were recorded.
    """

    judging: Judging
    semantics: Semantics
    own_sources: bool = False
    own_resets: bool = False
    watch: Watch | None = None
    counts: Callable[[slice, Population, NDArray[Any]], None] | None = None
    stopped: bool = False
    _neurons: dict[str, Any] = field(default_factory=dict)
    _counts: dict[str, Any] = field(default_factory=dict)
    _bias: dict[str, Any] = field(default_factory=dict)
    _key: tuple[str, str] = ("", "")

    def prepare(self) -> None:
        """Give the network the weights of the rule."""
        self._key = (self.semantics.weights, self.semantics.more_weights)
        self.wires = Wires(changed(self.judging.network, self.semantics))
        self._bias = {p.name: p.bias.reshape(1, -1) for p in self.judging.active}

    def release(self) -> None:
        """Let go of the weights and of all states."""
        del self.wires
        self._neurons, self._counts = {}, {}

    def begin(self, n_images: int) -> None:
        """Put all neurons at rest."""
        self._counts = {p.name: np.zeros((n_images, p.size), np.int64) for p in self.judging.active}
        self._neurons = {p.name: self._made(p, n_images) for p in self.judging.active}

    def _made(self, population: Population, n_images: int) -> Membranes | Pools:
        """Return the neurons of a population."""
        start = self.semantics.clamp * max(0, population.depth - 1)
        made = self.semantics, (n_images, population.size), start, self._bias[population.name]
        if population.kind == "max_pool":
            return Pools(*made)
        return Membranes(*made, Own(population.leak, population.threshold, self.judging.network.grid))

    def advance(self, block: Block) -> None:
        """Go through the steps of a block."""
        arrivals = {}
        if not self.own_sources:
            arrivals = {p.name: block.arrivals(self.wires, p, self.semantics) for p in self.judging.active}
        for number, step in enumerate(block.steps):
            sent: dict[str, Any] = {}
            current = block.current(self.wires, self._key, step)
            for population in self.judging.active:
                name = population.name
                known = arrivals.get(name)
                arrives = self._arriving(population, sent) if known is None else known[number]
                neurons = self._neurons[name]
                decided = neurons.decide(step, arrives, current[name])
                recorded = block.trains.get(name)
                theirs = decided if recorded is None else recorded[number]
                if recorded is not None and self.watch is not None:
                    self.watch(self, block, step, population, neurons, decided, theirs)
                neurons.settle(decided if self.own_resets else theirs)
                sent[name] = decided if self.own_sources else theirs
                self._counts[name] += sent[name]
            if self.stopped:
                return

    def end(self, images: slice) -> None:
        """Report the counts of populations of which counts are known."""
        if self.counts is not None:
            for population in self.judging.active:
                self.counts(images, population, self._counts[population.name])

    def _arriving(self, population: Population, sent: dict[str, Any]) -> FloatArray | float:
        """Return what the spikes of this step make arrive."""
        sources = self.wires.sources(population.name)
        if not sources:
            return 0.0
        spikes = {name: sent[name] for name in sources}
        if population.kind == "max_pool":
            spikes = {n: self.wires.seen(n, s, self._counts[n], self.semantics) for n, s in spikes.items()}
        return self.wires.charge(population.name, spikes)


def go_through(judging: Judging, runners: Sequence[Runner]) -> None:
    """Step all runners through the run, some of them at a time; those that have stopped are left out."""
    length = judging.at_a_time()
    for first in range(0, len(runners), length):
        group = runners[first : first + length]
        before: dict[str, NDArray[Any]] = {}
        for runner in group:
            runner.prepare()
        for images, steps in judging.blocks():
            running = [runner for runner in group if not runner.stopped]
            if not running:
                break
            if steps.start == 0:
                before = {}
                for runner in running:
                    runner.begin(images.stop - images.start)
            block = Block(judging, images, steps, before)
            for runner in running:
                runner.advance(block)
            before = block.counts_after()
            if steps.stop == judging.steps:
                for runner in running:
                    if not runner.stopped:
                        runner.end(images)
        for runner in group:
            runner.release()

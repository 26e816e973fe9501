"""Which rule explains a run: every rule alone, then two together, then those with a number that is found from the run.

What a rule leaves unexplained is counted in a resynchronised replay: each decision is foretold from the recorded ones
before it. A rule explains a run if nothing is left, in any population.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.network.records import INPUT, Population
from brian_snn.referee.fitting import fitted
from brian_snn.referee.replay import Block, Judging, Runner, go_through
from brian_snn.referee.rules import Candidate, Semantics, clamp_rule, pairs, singles

#: Pairs are tried while neurons x images x steps are at most so many; of larger runs only those, and at most so many,
#: that explain the smallest populations in the first image.
_PAIRS_UP_TO, _MOST_PAIRS = 2**25, 32

#: A rule that leaves so many times as many decisions to rounding as another comes behind it, simpler or not.
_FAR_MORE = 8

#: Clamps are tried up to so many steps a layer.
_LONGEST_CLAMP = 64


@dataclass(eq=False)
class Score:
    """What a rule leaves unexplained.

    Parameters
    ----------
    candidate : Candidate
    differing : dict of str to int
        Decisions of a population that the rule does not give, or counts where there are no trains.
    rounding : dict of str to int
        Those of them in which u lies so near the threshold that float32 may decide the other way.
    whole : bool
        False if the replay was ended at the first decision unexplained.
    """

    candidate: Candidate
    differing: dict[str, int] = field(default_factory=dict)
    rounding: dict[str, int] = field(default_factory=dict)
    whole: bool = True

    @property
    def unexplained(self) -> int:
        """How many decisions are left, those of rounding apart."""
        return sum(self.differing.values()) - sum(self.rounding.values())

    @property
    def exact(self) -> bool:
        """Whether every decision is foretold."""
        return not any(self.differing.values())

    @property
    def explains(self) -> bool:
        """Whether nothing but rounding is left."""
        return self.unexplained == 0


class _Tally:
    """Counts what one rule leaves unexplained."""

    def __init__(self, judging: Judging, tried: Candidate, until: str) -> None:
        self.score, self._judging, self._until = Score(tried), judging, until
        self.runner = Runner(judging, tried.semantics, watch=self.saw, counts=self.counted)

    def saw(
        self, runner: Runner, block: Block, step: int, population: Population, neurons: Any, decided: Any, theirs: Any
    ) -> None:
        """Compare decisions with those recorded."""
        if runner.stopped:
            return
        differ = decided != theirs
        n = int(np.count_nonzero(differ))
        if not n:
            return
        close = int(np.count_nonzero(differ & neurons.is_close())) if self._until != "exact" else 0
        self._add(population.name, n, close)

    def counted(self, images: slice, population: Population, counts: NDArray[Any]) -> None:
        """Compare counts where no spikes were recorded."""
        if population.name in self._judging.run.counted:
            n = int(np.count_nonzero(counts != self._judging.run.counts(population.name, images)))
            self._add(population.name, n, 0)

    def _add(self, name: str, n: int, close: int) -> None:
        score = self.score
        score.differing[name] = score.differing.get(name, 0) + n
        score.rounding[name] = score.rounding.get(name, 0) + close
        if self._until and n > close:
            score.whole, self.runner.stopped = False, True


def scores(judging: Judging, tried: Iterable[Candidate], until: str = "") -> list[Score]:
    """Return what each rule leaves unexplained.

    Parameters
    ----------
    until : str
        Where a replay ends: ``exact`` at the first decision that is not foretold, ``close`` at the first that rounding
        does not explain either; by default none does.
    """
    tallies = [_Tally(judging, each, until) for each in tried]
    go_through(judging, [tally.runner for tally in tallies])
    return [tally.score for tally in tallies]


@dataclass(frozen=True, eq=False)
class Found:
    """What a search came to.

    Parameters
    ----------
    best : Score or None
        The simplest rule that explains the run; None if none does.
    alike : list of Score
        Other rules that leave nothing unexplained: this run cannot tell them from the best.
    alone : list of Score
        Eq. (4) and every rule alone.
    """

    best: Score | None
    alike: list[Score]
    alone: list[Score]


def search(judging: Judging, base: Semantics) -> Found:
    """Return the simplest rule that explains a run: without rounding before with it, alone before in pairs."""
    plain = Candidate((), base)
    work = judging.n_neurons * judging.steps * len(judging.images)
    until = "" if work <= _PAIRS_UP_TO else "close"
    clamps = [clamp_rule(steps) for steps in range(1, _longest_clamp(judging) + 1)]
    tried = singles(base, judging.network, clamps)
    alone = [*scores(judging, [plain]), *scores(judging, tried, until)]
    together = _tried_pairs(judging, base, alone, work)
    both = [score for score in scores(judging, together, "exact") if score.exact]
    exact = [score for score in (*alone, *both) if score.exact]
    close = [score for score in alone if score.explains and not score.exact]
    if close and not exact:
        close += [score for score in scores(judging, together, "close") if score.explains]
    if exact or close:
        return _found(exact, close, alone)
    bases = [plain, *(each for each in tried if not _is_heavy(each))]
    numbers = [each for each in fitted(judging, bases) if each is not None]
    exact, close = _by_rounding(scores(judging, numbers, "close"))
    exact, close = _one_number_each(exact), _one_number_each(close)
    if exact or close:
        return _found(exact, close, alone)
    close = [score for score in scores(judging, together, "close") if score.explains]
    return _found([], close, alone)


def _is_heavy(tried: Candidate) -> bool:
    """Whether a rule changes what arrives: such a one is not tried with a number to be found."""
    return bool(tried.semantics.weights or tried.semantics.clamp or tried.semantics.pool != "exact")


def _by_rounding(found: Sequence[Score]) -> tuple[list[Score], list[Score]]:
    """Return those that explain all, and those that leave rounding; the fewest rules first."""
    ordered = sorted(found, key=lambda score: len(score.candidate.rules))
    return [s for s in ordered if s.exact], [s for s in ordered if s.explains and not s.exact]


def _one_number_each(found: Sequence[Score]) -> list[Score]:
    """Return the first of each rule where it explains with two numbers."""
    first: dict[tuple[str, ...], Score] = {}
    for score in found:
        *others, fitted_rule = score.candidate.rules
        key = (*(rule.name for rule in others), *sorted(fitted_rule.changes))
        first.setdefault(key, score)
    return list(first.values())


def _found(exact: list[Score], close: list[Score], alone: list[Score]) -> Found:
    """Return the first that explains, and all others that do."""
    explaining = exact or _by_size(close)
    return Found(explaining[0] if explaining else None, explaining[1:], alone)


def _by_size(close: Sequence[Score]) -> list[Score]:
    """Return rules that leave rounding, the fewest first; of more rules those that leave far less come before."""
    if not close:
        return []
    least = min(sum(score.rounding.values()) for score in close)
    return sorted(
        close,
        key=lambda score: (
            sum(score.rounding.values()) > _FAR_MORE * max(1, least),
            len(score.candidate.rules),
            sum(score.rounding.values()),
        ),
    )


def _tried_pairs(judging: Judging, base: Semantics, alone: Sequence[Score], work: int) -> list[Candidate]:
    """Return the pairs that are tried: all, or of a large run those that explain its smallest populations."""
    both = list(pairs(base, [score.candidate for score in alone if score.candidate.rules]))
    if work <= _PAIRS_UP_TO:
        return both
    small = _smallest(judging)
    if not small.only:
        return []
    left = [score.candidate for score in scores(small, both, "exact") if score.exact]
    return left[:_MOST_PAIRS]


def _smallest(judging: Judging) -> Judging:
    """Return the first image for the smallest populations that may be judged given their input."""
    trains = set(judging.run.trains)
    sources = {p.name: {q.source for q in judging.network.into(p.name)} - {INPUT} for p in judging.active}
    may = sorted((p for p in judging.active if {p.name, *sources[p.name]} <= trains), key=lambda p: p.size)
    sizes = np.cumsum([p.size for p in may]) * judging.steps
    chosen = [p.name for p, size in zip(may, sizes, strict=True) if size <= _PAIRS_UP_TO]
    return replace(judging, images=judging.images[:1], only=tuple(chosen))


def _longest_clamp(judging: Judging) -> int:
    """Return the longest clamp that leaves the first recorded spikes behind it, 0 if some layer is not held."""
    longest = min(_LONGEST_CLAMP, judging.steps)
    names = [p for p in judging.active if p.depth > 1 and p.name in judging.run.trains and p.kind != "max_pool"]
    if not names:
        return 0
    for images, steps in judging.blocks():
        for population in names:
            spikes = judging.run.block(population.name, images, slice(steps.start, steps.stop))
            sent = np.flatnonzero(spikes.any(axis=(0, 2)))
            if sent.size:
                longest = min(longest, (steps.start + int(sent[0])) // (population.depth - 1))
        if not longest:
            break
    return longest

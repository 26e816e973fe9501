"""What to try next: what the account of the error says would help, and what Optuna's TPE makes of all that is known.

TPE (Bergstra et al. 2011; of several objectives Ozaki et al. 2020) draws points where the better ones tried are dense.
Each point has two numbers to be made small: by how much it misses the target, and what it costs. A point is
tried once: in the place of one that is known comes its nearest neighbour that is not, so that as many points as the
grid has are all of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from brian_snn.errors import SettingError
from brian_snn.tuning.space import Point, Space

#: Points that are drawn at random before the sampler has something to go by.
_STARTS = 6


@dataclass(eq=False)
class Optimiser:
    """Proposes points of a space, one after the other; told the same, it proposes the same.

    Parameters
    ----------
    space : Space
    seed : int
    """

    space: Space
    seed: int
    _told: dict[Point, tuple[float, float]] = field(default_factory=dict)
    _asked_for: deque[tuple[Point, str]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        """Begin a study of Optuna's."""
        optuna = _optuna()
        sampler = optuna.samplers.TPESampler(seed=self.seed, n_startup_trials=_STARTS)
        self._study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
        whole = optuna.distributions.IntDistribution
        self._axes = {axis: whole(0, len(values) - 1) for axis, values in self.space.axes.items()}

    @property
    def exhausted(self) -> bool:
        """Whether every point was tried."""
        return len(self._told) == len(self.space.points)

    def suggest(self, points: Iterable[tuple[Point, str]]) -> None:
        """Put points that someone else thinks of, and why, ahead of those that are drawn."""
        self._asked_for.extendleft(reversed([pair for pair in points if pair not in self._asked_for]))

    def ask(self) -> tuple[Point, str]:
        """Return a point that was not tried yet, and why it is."""
        while self._asked_for:
            point, why = self._asked_for.popleft()
            if point not in self._told:
                return point, why
        trial = self._study.ask(self._axes)
        drawn = self.space.at(trial.params)
        # The trial itself is dropped: what it came to is told with the point that is tried in the end.
        self._study.tell(trial, state=_optuna().trial.TrialState.FAIL)
        if drawn in self._told:
            drawn = self.space.nearest_of(drawn, [p for p in self.space.points if p not in self._told])
        return drawn, "drawn by TPE" if len(self._told) >= _STARTS else "drawn at random"

    def tell(self, point: Point, missed: float, cost: float) -> None:
        """Say what a point came to."""
        self._told[point] = (missed, cost)
        made: Any = _optuna().trial.create_trial
        self._study.add_trial(
            made(params=self.space.place(point), distributions=dict(self._axes), values=[missed, cost])
        )

    def best(self) -> Point:
        """Return the point that misses the target least, of those the cheapest."""
        return min(self._told, key=lambda point: (*self._told[point], point))


def _optuna() -> Any:
    """Import Optuna without its messages.

    Raises
    ------
    SettingError
        If it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise SettingError("Optuna, which searches, is not installed; pip install 'brian_snn[tune]'.") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna

"""The settings among which a search chooses: points of a grid with four axes, of which each value has neighbours."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from brian_snn.settings import Settings


@dataclass(frozen=True, order=True)
class Point:
    """One choice: how the network is scaled, and how its neurons start.

    Parameters
    ----------
    percentile : float
    normalisation : str
    v_init : float
        V(0), in V_thr.
    clamp : int
        Steps for which a layer is held longer than the one before it.
    """

    percentile: float
    normalisation: str
    v_init: float
    clamp: int

    def settings(self, base: Settings, steps: int) -> Settings:
        """Return the settings of a run of so many steps."""
        return replace(base, steps=steps, v_init=self.v_init * base.threshold, clamp=self.clamp)

    def __str__(self) -> str:
        """Return the choice in words."""
        scale = f"percentile {self.percentile:g} by {self.normalisation}"
        return f"{scale}, V(0) = {self.v_init:g} V_thr, clamp {self.clamp}"


@dataclass(frozen=True)
class Space:
    """A grid of points.

    Parameters
    ----------
    axes : dict of str to tuple
        The values of each field of a `Point`, numbers in ascending order.
    """

    axes: Mapping[str, tuple[Any, ...]]

    @property
    def points(self) -> list[Point]:
        """All points."""
        return [Point(**dict(zip(self.axes, values, strict=True))) for values in itertools.product(*self.axes.values())]

    def place(self, point: Point) -> dict[str, int]:
        """Return the number of a point's value on each axis."""
        return {axis: values.index(getattr(point, axis)) for axis, values in self.axes.items()}

    def at(self, place: Mapping[str, int]) -> Point:
        """Return the point at a place."""
        return Point(**{axis: values[place[axis]] for axis, values in self.axes.items()})

    def nearest(self, **wanted: Any) -> Point:
        """Return the point nearest to some values, which may lie on none."""
        chosen = {
            axis: wanted[axis] if wanted[axis] in values else min(values, key=lambda value: _apart(value, wanted[axis]))
            for axis, values in self.axes.items()
        }
        return Point(**chosen)

    def nearest_of(self, point: Point, others: Iterable[Point]) -> Point:
        """Return the one of some points with the fewest steps on the grid to a point; of several the first."""
        place = self.place(point)

        def distance(other: Point) -> int:
            return sum(abs(number - place[axis]) for axis, number in self.place(other).items())

        return min(others, key=distance)


def _apart(value: Any, wanted: Any) -> float:
    """Return how far two values of an axis are from each other; names have no order."""
    return 0.0 if isinstance(value, str) else abs(value - wanted)

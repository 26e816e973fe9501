"""What the account of the error advises: which way to turn which knob for the terms that are the largest.

Each term has a knob (`brian_snn.analysis.error.knob` says it in words). Here it is a step on the grid of a search; of
several moves the first that leads anywhere is taken. More steps, which lower most terms, are no move: every run has
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from brian_snn.tuning.space import Point, Space

#: From a space and a point to the number of a neighbouring value on an axis, which may be beyond its end.
Move = tuple[str, Callable[[Space, Point], int]]


def _up(axis: str) -> Move:
    return axis, lambda space, point: space.place(point)[axis] + 1


def _down(axis: str) -> Move:
    return axis, lambda space, point: space.place(point)[axis] - 1


def _to(axis: str, value: float | str) -> Move:
    return axis, lambda space, point: space.place(space.nearest(**{**vars(point), axis: value}))[axis]


#: What lowers a term. The charge left over is centred by V(0) = V_thr / 2, and weighs less where rates are higher.
MOVES: dict[str, tuple[Move, ...]] = {
    "saturation": (_up("percentile"), _to("normalisation", "layer")),
    "residual": (_to("v_init", 0.5), _to("normalisation", "channel"), _down("percentile")),
    "transient": (_up("clamp"),),
    "window": (_down("clamp"),),
}

#: Terms with a smaller share of the error are left alone.
_SMALL = 0.05


def advised(account: pd.DataFrame, space: Space, point: Point) -> Iterator[tuple[Point, str]]:
    """Yield the neighbours of a point that lower the terms of its error, the largest first, each with the reason.

    Parameters
    ----------
    account : DataFrame
        ``term`` and ``share``, as `brian_snn.tuning.measure.Subject.account` returns them.
    space : Space
    point : Point
    """
    for term, share in zip(account["term"], account["share"], strict=True):
        for axis, move in MOVES.get(term, ()) if share >= _SMALL else ():
            number, place = move(space, point), space.place(point)
            if 0 <= number < len(space.axes[axis]) and number != place[axis]:
                yield space.at({**place, axis: number}), f"account: {term}"
                break

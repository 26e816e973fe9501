"""`tune`: find how to convert and simulate a model so that it meets a target at the least cost.

What costs nothing is not searched: one run has all numbers of steps as its checkpoints, and the model is folded and
calibrated once, since percentile and normalisation only scale its weights. The rest is a grid, of which points are
tried on a few images, one after the other (`brian_snn.tuning.optimiser`); the better third is shown three times as
many, and a third of those all images of the search (successive halving, Jamieson and Talwalkar 2016). Points on the
front of error against cost stay in. What the front comes to is then measured on images that the search has not seen,
since the best of many points tried looks better on the images of the search than it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

import brian_snn.knobs as knobs
from brian_snn.analysis.classification import require_one_shape, trained_answers
from brian_snn.analysis.operations import COUNT_COLUMNS, ann_operations
from brian_snn.conversion.convert import Calibrated, calibrated
from brian_snn.conversion_settings import Conversion
from brian_snn.datasets import check_images
from brian_snn.errors import DataError, ModelError, SettingError
from brian_snn.inputs import as_one
from brian_snn.network.network import Network
from brian_snn.network.output import answer_of
from brian_snn.network.roles import window_start
from brian_snn.search_settings import Search
from brian_snn.settings import Execution, Settings
from brian_snn.tuning.advice import advised
from brian_snn.tuning.measure import Numbers, Subject, added, best_row, front_of, judged, of_point
from brian_snn.tuning.optimiser import Optimiser
from brian_snn.tuning.space import Point, Space
from brian_snn.tuning.tuning import Tuning

#: Each round of the search keeps this part of the points, and shows them so many times the images.
_THIRD = 3

#: The fewest images of a round.
_FEWEST = 2

#: Called with a line of text.
Say = Callable[[str], object]


def tune(
    model: Any,
    calibration_images: ArrayLike | str | Path,
    images: ArrayLike,
    labels: NDArray[np.integer] | None = None,
    settings: Settings | None = None,
    *,
    kept: str | Path | None = None,
    say: Say | None = None,
    **options: Any,
) -> Tuning:
    """Find percentile, normalisation, V(0), clamp and steps that meet a target at the least cost.

    Parameters
    ----------
    model, calibration_images
        As for `brian_snn.convert`.
    images : (n_images, *input_shape) array
        Like those that the network is for, and none of those that it was trained or is calibrated on. The search sees
        a part; the rest is held out, to measure what it chose.
    labels : (n_images,) int array, optional
        Their classes; without them the target is about the agreement with the trained network.
    settings : Settings, optional
        Of all that is not searched; its steps are those of the longest run.
    kept : path, optional
        Folder in which every measurement is kept, so that a search that was interrupted goes on where it was.
    say : callable, optional
        Called with a line of text about every measurement.
    **options
        The fields of `brian_snn.Search`, `brian_snn.Settings`, `brian_snn.Conversion` and `brian_snn.Execution` by
        name, such as ``within=0.5, cost="steps", points=40, steps=300, reset="zero", workers=2``.

    Returns
    -------
    tuning : Tuning
        The network and settings that were chosen, and what was measured. Where nothing met the target, `Tuning.met` is
        False and they are the best that was found.

    Raises
    ------
    SettingError
        If an option is outside its range, there is none of a name, or Optuna is not installed.
    DataError
        If the images or labels do not fit the model, are fewer than four, or the output means numbers.
    ModelError
        As for `brian_snn.convert`.
    """
    for name in ("percentile", "normalisation", "v_init", "clamp"):
        if name in options:
            raise SettingError(f"{name} is what is searched for; give the choice, {name}s.")
    records = (Search, Settings, Conversion, Execution)
    of_search, of_settings, of_conversion, of_execution = knobs.sorted_out(options, *records)
    search, base = Search(**of_search), replace(settings or Settings(), **of_settings)
    if base.polarity == "signed":
        raise SettingError("polarity is 'signed'; operations over time are known of positive spikes only.")
    prepared = calibrated(model, calibration_images, Conversion(**of_conversion), search.ways)
    subject = _subject(prepared, images, labels, base, Execution(**of_execution), search, Path(kept) if kept else None)
    return _Run(subject, search, _space(prepared, search, base), say or (lambda line: None)).tuning()


def _subject(
    prepared: Calibrated, images: ArrayLike, labels: NDArray[np.integer] | None, base: Settings, execution: Execution,
    search: Search, kept: Path | None,
) -> Subject:  # fmt: skip
    """Check the images, and say what each should be taken for."""
    folded = prepared.calibration.network
    answer_of(folded).require_classes()
    checked = check_images(as_one(images, folded.inputs), folded.input_shape)
    if len(checked) < 2 * _FEWEST:
        raise DataError(f"there are {len(checked)} images; at least {2 * _FEWEST} are needed, to hold some out.")
    trained = trained_answers(folded, checked)
    if labels is None and search.measure == "error":
        raise DataError("measure is 'error', and there are no labels; give them, or measure the agreement.")
    if labels is None or search.measure == "agreement":
        return Subject(prepared, checked, trained, trained, base, execution, kept)
    require_one_shape(np.asarray(labels), trained)
    return Subject(prepared, checked, np.asarray(labels), trained, base, execution, kept)


def _space(prepared: Calibrated, search: Search, base: Settings) -> Space:
    """Return what there is to choose from: no normalisation that the network cannot have, no clamp beyond the end."""
    possible, refused = [], None
    for normalisation in dict.fromkeys(normalisation for _, normalisation in search.ways):
        try:
            network: Network = prepared.network(search.percentiles[0], normalisation)
            possible.append(normalisation)
        except ModelError as error:
            refused = error
    if not possible and refused:
        raise refused
    clamps = [c for c in search.clamps if window_start(network.output, replace(base, clamp=c)) < base.steps]
    if not clamps:
        raise SettingError(f"clamps is {search.clamps}; with each the output rests for all {base.steps} steps.")
    axes = {"percentile": search.percentiles, "normalisation": tuple(possible)}
    return Space({**axes, "v_init": search.v_inits, "clamp": tuple(clamps)})


def shown_in_rounds(n_images: int, n_rounds: int) -> list[int]:
    """Return how many of the images of a search each of its rounds has shown; the last one, all of them."""
    sizes = (max(_FEWEST, -(-n_images // _THIRD**left)) for left in reversed(range(n_rounds)))
    return sorted({min(n_images, size) for size in sizes})


@dataclass(frozen=True, eq=False)
class _Run:
    """One search."""

    subject: Subject
    search: Search
    space: Space
    say: Say

    def tuning(self) -> Tuning:
        """Search, and measure what was found."""
        searched, held_out = self._split()
        sizes = shown_in_rounds(len(searched), self.search.rounds)
        tried, account = self._first_round(searched[: sizes[0]])
        curves = dict(tried)
        for before, size in pairwise(sizes):
            numbers = searched[before:size]
            survivors = self._survivors(curves, searched[:before])
            self.say(f"{len(survivors)} of {len(curves)} settings are shown {size} images")
            curves = {point: added(curves[point], self.subject.curve(point, numbers)) for point in survivors}
            tried |= curves
        rows = self._rows(curves, searched)
        front = self._held_out(front_of(rows, self.search.cost), held_out)
        chosen = best_row(front, self.search.cost)
        return self._written(chosen, front, tried, account, searched, held_out)

    def _split(self) -> tuple[Numbers, Numbers]:
        """Return the numbers of the images that are searched on, in the order of the rounds, and of those held out."""
        n_images = len(self.subject.images)
        order = np.random.default_rng(self.search.search_seed).permutation(n_images)
        n_held_out = min(n_images - _FEWEST, max(_FEWEST, round(self.search.held_out * n_images)))
        return order[n_held_out:], np.sort(order[:n_held_out])

    def _allowed(self, numbers: Numbers) -> float:
        """Return the largest share of wrong answers that meets the target on some images."""
        return self.subject.trained_error(numbers) + self.search.within / 100

    def _first_round(self, numbers: Numbers) -> tuple[dict[Point, pd.DataFrame], pd.DataFrame]:
        """Try the points on the first images, and account for the error of each that was the best so far."""
        optimiser = Optimiser(self.space, self.search.search_seed)
        # What the paper and its successors recommend, and the plainest.
        starts = [self.space.nearest(percentile=99.9, normalisation="layer", v_init=v, clamp=0) for v in (0.5, 0.0)]
        optimiser.suggest([(point, "usual") for point in starts])
        curves: dict[Point, pd.DataFrame] = {}
        accounts = []
        while len(curves) < self.search.points and not optimiser.exhausted:
            point, why = optimiser.ask()
            curves[point] = self.subject.curve(point, numbers)
            best = best_row(judged(curves[point], self._allowed(numbers)), self.search.cost)
            optimiser.tell(point, float(best["missed"]), float(best[self.search.cost]))
            self.say(f"{len(curves)} of {self.search.points}, {point} ({why}): {_in_words(best, self.search.cost)}")
            if optimiser.best() == point and len(curves) < self.search.points:
                account = self.subject.account(point, numbers)
                accounts.append(of_point(account, point))
                optimiser.suggest(advised(account, self.space, point))
        return curves, pd.concat(accounts, ignore_index=True) if accounts else pd.DataFrame()

    def _rows(self, curves: dict[Point, pd.DataFrame], numbers: Numbers) -> pd.DataFrame:
        """Return the judged curves of some points in one table."""
        allowed = self._allowed(numbers)
        return pd.concat(
            [of_point(judged(curve, allowed), point) for point, curve in curves.items()], ignore_index=True
        )

    def _survivors(self, curves: dict[Point, pd.DataFrame], numbers: Numbers) -> list[Point]:
        """Return the better third of the points, and those on the front."""
        cost, rows = self.search.cost, self._rows(curves, numbers)
        on_front = {_point(row) for _, row in front_of(rows, cost).iterrows()}
        # The best row of each point comes first.
        ranked = list(
            dict.fromkeys(_point(row) for _, row in rows.sort_values(["missed", cost], kind="stable").iterrows())
        )
        better = set(ranked[: -(-len(ranked) // _THIRD)])
        return [point for point in curves if point in better | on_front]

    def _held_out(self, front: pd.DataFrame, numbers: Numbers) -> pd.DataFrame:
        """Measure the points of the front on the images that are held out."""
        rows = []
        for _, row in front.iterrows():
            measured = self.subject.held_out(_point(row), int(row["steps"]), numbers)
            self.say(f"held out, {_point(row)}, {int(row['steps'])} steps: {100 * measured['error']:.2f} %")
            rows.append({f"held_out_{name}": value for name, value in {"images": len(numbers), **measured}.items()})
        return pd.concat([front, pd.DataFrame(rows)], axis=1)

    def _written(
        self, chosen: Any, front: pd.DataFrame, tried: dict[Point, pd.DataFrame], account: pd.DataFrame,
        searched: Numbers, held_out: Numbers,
    ) -> Tuning:  # fmt: skip
        """Return what was found."""
        point, subject = _point(chosen), self.subject
        network = subject.network(point)
        known = {"error": subject.trained_error(searched), "held_out_error": subject.trained_error(held_out)}
        known |= {column: ann_operations(network, count) for count, column in COUNT_COLUMNS.items()}
        return Tuning(
            network=network,
            settings=point.settings(subject.settings, int(chosen["steps"])),
            search=self.search,
            measure="agreement" if subject.answers is subject.trained else "error",
            met=bool(chosen["missed"] == 0),
            chosen={name: value.item() if isinstance(value, np.generic) else value for name, value in chosen.items()},
            trained=known,
            front=front,
            tried=pd.concat([of_point(curve, each) for each, curve in tried.items()], ignore_index=True),
            account=account,
            searched=np.sort(searched),
            held_out=held_out,
        )


def _point(row: Any) -> Point:
    return Point(float(row["percentile"]), str(row["normalisation"]), float(row["v_init"]), int(row["clamp"]))


def _in_words(row: Any, cost: str) -> str:
    missed = "meets the target" if row["missed"] == 0 else f"misses it by {100 * row['missed']:.2f} points"
    return f"{missed} after {int(row['steps'])} steps and {row['operations']:,.0f} operations"

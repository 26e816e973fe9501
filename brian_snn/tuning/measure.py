"""What a point comes to: errors and operations at every checkpoint of one run, and where its error comes from.

A run that ends after fewer steps is the same run up to there, so the steps are not searched but read off. An error at a
step counts as the largest from there on to the end of the run: one that is lower for a moment was luck.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn.analysis.classification import accuracy, predictions_of
from brian_snn.analysis.error import error_origins
from brian_snn.analysis.operations import COUNT_COLUMNS, snn_operations
from brian_snn.analysis.summary import error_over_time
from brian_snn.arrays import IntArray
from brian_snn.conversion.convert import Calibrated
from brian_snn.files import staged_file
from brian_snn.network.forward import forward
from brian_snn.network.network import Network
from brian_snn.reading import parsed_json
from brian_snn.running.simulate import simulate, stream
from brian_snn.settings import Execution, Settings
from brian_snn.simulation.records import spread_steps
from brian_snn.tuning.space import Point

#: Of images, by which some of them are named.
Numbers = NDArray[np.int64]

#: Images on which the error of a point is accounted for; of a network with so many neurons it is one.
_ACCOUNTED, _MANY_NEURONS = 2, 2**20

_SUMS = ("answers", "wrong")
_MEANS = tuple(COUNT_COLUMNS.values())


@dataclass(frozen=True, eq=False)
class Subject:
    """A model and images, of which any point can be measured.

    Parameters
    ----------
    calibrated : Calibrated
        The model.
    images : (n_images, *input_shape) array
    answers, trained : (n_images, ...) int array
        What an image should be taken for, and what the trained network takes it for.
    settings : Settings
        Of all points but for V(0) and clamp; its steps are those of the longest run.
    execution : Execution
    kept : Path, optional
        Folder in which curves are kept, and looked for.
    """

    calibrated: Calibrated
    images: NDArray[np.generic]
    answers: IntArray
    trained: IntArray
    settings: Settings
    execution: Execution
    kept: Path | None = None

    def network(self, point: Point) -> Network:
        """Return the network of a point."""
        return self.calibrated.network(point.percentile, point.normalisation)

    def trained_error(self, numbers: Numbers) -> float:
        """Return the share of wrong answers of the trained network, of some images by number."""
        return 1 - accuracy(self.answers[numbers], self.trained[numbers]).share

    def curve(self, point: Point, numbers: Numbers) -> pd.DataFrame:
        """Return errors and operations of some images at every step at which the output has begun to run.

        Returns
        -------
        curve : DataFrame
            ``steps``, ``images``, ``answers``, ``wrong``, and by either count the mean operations of an image,
            ``operations`` and ``paper_operations``: estimated before the last step where neurons differ in fan-out.
        """
        network, settings = self.network(point), point.settings(self.settings, self.settings.steps)
        kept = self._once("curve", network, settings, numbers, lambda: self._measured(network, settings, numbers))
        return pd.DataFrame(kept)

    def _measured(self, network: Network, settings: Settings, numbers: Numbers) -> dict[str, Any]:
        """Simulate the images and add up their curves."""
        curve, done = pd.DataFrame(), 0
        options = {**vars(self.execution), "checkpoints": spread_steps(settings.steps)}
        for part in stream(network, self.images[numbers], settings, **options):
            count = len(part.images)
            piece = error_over_time(part, self.answers[numbers[done : done + count]]).rename(columns={"step": "steps"})
            piece = piece[piece["steps"] > part.window_start(network.output.name)].reset_index(drop=True)
            piece = piece.assign(images=count)[["steps", "images", *_SUMS, *_MEANS]]
            curve, done = added(curve, piece), done + count
        return curve.to_dict("list")

    def held_out(self, point: Point, steps: int, numbers: Numbers) -> dict[str, float]:
        """Run a point for so many steps on some images; return its error with the interval, and exact operations."""
        network, settings = self.network(point), point.settings(self.settings, steps)

        def measured() -> dict[str, float]:
            result = simulate(network, self.images[numbers], settings, checkpoints=(), **vars(self.execution))
            predictions = predictions_of(result)
            right = accuracy(self.answers[numbers], predictions)
            error = float(np.mean(predictions != self.answers[numbers]))
            shares = {"error": error, "low": 1 - right.high, "high": 1 - right.low}
            return shares | {name: float(snn_operations(result, count).mean()) for count, name in COUNT_COLUMNS.items()}

        return self._once("held_out", network, settings, numbers, measured)

    def account(self, point: Point, numbers: Numbers) -> pd.DataFrame:
        """Say where the error of the output comes from, on the first few of some images, after all steps.

        Returns
        -------
        account : DataFrame
            A row per term, the largest first: ``term``, ``share`` of the mean squared error, and ``knob``.
        """
        network, settings = self.network(point), point.settings(self.settings, self.settings.steps)
        is_large = sum(population.size for population in network.populations) >= _MANY_NEURONS
        numbers = numbers[: 1 if is_large else _ACCOUNTED]

        def measured() -> dict[str, Any]:
            images = self.images[numbers]
            result = simulate(network, images, settings, checkpoints=(), **vars(self.execution))
            activations = {name: values * network[name].scale for name, values in forward(network, images).items()}
            origins = error_origins(result, activations)
            rows = origins[origins["population"] == network.output.name].sort_values("share", ascending=False)
            return rows[~rows["term"].isin(["error", "unexplained"])][["term", "share", "knob"]].to_dict("list")

        return pd.DataFrame(self._once("account", network, settings, numbers, measured))

    def _once(
        self, kind: str, network: Network, settings: Settings, numbers: Numbers, measured: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Return what was kept of a measurement, or measure and keep it."""
        if self.kept is None:
            return measured()
        digest = hashlib.sha256(json.dumps([kind, network.digest(), settings.numbers()], sort_keys=True).encode())
        for array in (self.images, self.answers):
            digest.update(np.ascontiguousarray(array[numbers]).tobytes())
        file = self.kept / f"{digest.hexdigest()[:24]}.json"
        with suppress(FileNotFoundError, ValueError):
            # A value error is of what a power cut left.
            return dict(parsed_json(file.read_text("utf-8")))
        found = measured()
        self.kept.mkdir(parents=True, exist_ok=True)
        with staged_file(file) as staged:
            staged.write_text(json.dumps(found), "utf-8")
        return found


def added(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return the curve of the images of two curves."""
    if first.empty:
        return second
    total = first.copy()
    for column in ("images", *_SUMS):
        total[column] = first[column] + second[column]
    for column in _MEANS:
        total[column] = (first[column] * first["images"] + second[column] * second["images"]) / total["images"]
    return total


def judged(curve: pd.DataFrame, allowed: float) -> pd.DataFrame:
    """Return a curve with its ``error`` at each step and later, and by how much it is ``missed``.

    Parameters
    ----------
    curve : DataFrame
        As `Subject.curve` returns it.
    allowed : float
        The largest share of wrong answers that meets the target.
    """
    error = curve["wrong"].to_numpy()[::-1]
    lasting = np.maximum.accumulate(error)[::-1] / curve["answers"].to_numpy()
    # Shares are quotients of whole numbers; what is less than a rounding apart is the same.
    missed = np.where(lasting > allowed + 1e-12, lasting - allowed, 0.0)
    return curve.assign(error=lasting, missed=missed)


def best_row(rows: pd.DataFrame, cost: str) -> Any:
    """Return the row that misses the target least, of those the cheapest, of those the first."""
    return rows.sort_values(["missed", cost], kind="stable").iloc[0]


def front_of(rows: pd.DataFrame, cost: str) -> pd.DataFrame:
    """Return the rows of which none is both cheaper and no worse, or as cheap and better; the cheapest first."""
    ordered = rows.sort_values([cost, "error"], kind="stable")
    least = ordered["error"].cummin().shift(fill_value=np.inf)
    return ordered[ordered["error"] < least].reset_index(drop=True)


def of_point(table: pd.DataFrame, point: Point) -> pd.DataFrame:
    """Return a table with the values of a point in front."""
    return table.assign(**vars(point))[[*vars(point), *table.columns]]

"""Error of classification against steps and operations: percentiles, V(0) and resets, for several networks."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn.analysis.classification import bootstrap_interval, choices_over_time
from brian_snn.analysis.operations import (
    COUNT_COLUMNS,
    COUNT_NAMES,
    ann_operations,
    operations_over_time,
    uneven_fan_out,
)
from brian_snn.arrays import FloatArray
from brian_snn.frontends.table import scores_of
from brian_snn.network.network import Network
from brian_snn.plotting.style import Figure
from brian_snn.plotting.trade_off import plot_trade_off
from brian_snn.running.simulate import stream
from brian_snn.settings import Execution, Recording, Reset, Settings
from brian_snn.studies.study import Measured, Params, Study, Watcher
from brian_snn.studies.subjects import Classifier, demo_subject

#: The digits and the network of the package.
SMALL: Params = {
    "percentiles": [99.0, 99.9, 100.0],
    "v_inits": [0.0, 0.5],
    "steps": 200,
    "checkpoints": 24,
    "images": 200,
    "backend": "standalone",
}
#: Test images of MNIST and Fashion-MNIST, for five networks each that experiments/networks trained.
FULL: Params = {
    "percentiles": [99.0, 99.9, 100.0],
    "v_inits": [0.0, 0.5],
    "steps": 128,
    "checkpoints": 24,
    "images": 600,
    "seeds": [1, 2, 3, 4, 5],
}

#: What distinguishes a run from the others of a network, in the columns of the tables.
CASE = ["percentile", "v_init", "reset"]

#: Above the error of the trained network, in points.
TARGETS = (1.0, 0.1)


def checkpoints_up_to(steps: int, number: int) -> list[int]:
    """Return at most `number` steps from 1 to `steps`, each about the same factor above the one before."""
    return [int(step) for step in np.unique(np.geomspace(1, steps, number).round())]


def error_curve(
    network: Network, images: FloatArray, labels: NDArray[np.integer], settings: Settings, execution: Execution,
    checkpoints: Sequence[int],
) -> pd.DataFrame:  # fmt: skip
    """Simulate images shard by shard and count errors and operations at every checkpoint.

    Parameters
    ----------
    network : Network
    images : (n_images, *input_shape) float array
    labels : (n_images,) int array
    settings : Settings
        Its steps are the last checkpoint.
    execution : Execution
    checkpoints : sequence of int
        A run that stops after so many steps is the same run up to there, so that one run gives all of them.

    Returns
    -------
    curve : DataFrame
        One row per checkpoint: ``steps``, ``wrong``, ``images``, ``operations`` and ``paper_operations`` (means per
        image, by either count of `brian_snn.analysis.operations`: synapses used, and the paper's).
    """
    recording = Recording(record_counts=uneven_fan_out(network), checkpoints=checkpoints)
    wrong, operations = np.zeros(len(checkpoints), int), np.zeros((len(COUNT_COLUMNS), len(checkpoints)))
    n_done = 0
    for part in stream(network, images, settings, **vars(recording), **vars(execution)):
        n_images = len(part.images)
        wrong += np.sum(choices_over_time(part) != labels[n_done : n_done + n_images], axis=1)
        operations += [operations_over_time(part, count).sum(axis=1) for count in COUNT_COLUMNS]
        n_done += n_images
    means = dict(zip(COUNT_COLUMNS.values(), operations / n_done, strict=True))
    return pd.DataFrame({"steps": checkpoints, "wrong": wrong, "images": n_done, **means})


def trained_network(subject: Classifier, network: Network) -> pd.DataFrame:
    """Return one row on the network that was converted, with the columns of `error_curve` but for the steps."""
    wrong = int(np.sum(scores_of(subject.model, subject.test.images).argmax(axis=1) != subject.labels))
    operations = {column: ann_operations(network, count) for count, column in COUNT_COLUMNS.items()}
    return pd.DataFrame([{"wrong": wrong, "images": len(subject.labels), **operations}])


def costs(curves: pd.DataFrame, trained: pd.DataFrame) -> pd.DataFrame:
    """Return what it costs to come close to the trained networks, and what their operations buy.

    Parameters
    ----------
    curves, trained : DataFrame
        As `measure` returns them.

    Returns
    -------
    costs : DataFrame
        A row for each data set and case. ``end`` is the error at the end, in points above the trained network's. For
        each target (points above) ``reached`` says how many of the networks get there, and ``steps`` and, by either
        count, the operations divided by the trained network's where they do first, as means over these networks.
        ``bought`` is the error, in points above, at the last checkpoint that costs no more than the trained network.
        All with the 95 % interval of the bootstrap over the networks, in columns that end in low and high.
    """
    rows = []
    for key, runs in curves.groupby(["dataset", *CASE], sort=False):
        found = [
            _costs_of(run.sort_values("steps"), trained[(trained["dataset"] == key[0]) & (trained["seed"] == seed)])
            for seed, run in runs.groupby("seed", sort=False)
        ]
        rows.append(dict(zip(["dataset", *CASE], key, strict=True)) | _with_intervals(pd.DataFrame(found)))
    return pd.DataFrame(rows)


def _costs_of(run: pd.DataFrame, trained: pd.DataFrame) -> dict[str, float]:
    """Return the numbers of one network, nan for what it does not reach."""
    ann = trained.iloc[0]
    above = 100 * (run["wrong"] / run["images"] - ann["wrong"] / ann["images"])
    found = {"end": float(above.iloc[-1])}
    for target in TARGETS:
        # The difference of two shares of 0.1 points may be a rounding more.
        first = run[above <= target + 1e-9].head(1)
        for column in ("steps", *COUNT_COLUMNS.values()):
            unit = 1 if column == "steps" else ann[column]
            found[f"{target:g}_{column}"] = float(first[column].iloc[0] / unit) if len(first) else np.nan
    for column in COUNT_COLUMNS.values():
        affordable = above[run[column] <= ann[column]]
        found[f"bought_{column}"] = float(affordable.iloc[-1]) if len(affordable) else np.nan
    return found


def _with_intervals(found: pd.DataFrame) -> dict[str, float]:
    """Return means over the networks that have a number, their intervals, and how many there are."""
    row: dict[str, float] = {"networks": len(found)}
    for name, column in found.items():
        values = column.dropna().to_numpy()
        low, high = bootstrap_interval(values) if len(values) else (np.nan, np.nan)
        if str(name).endswith("_steps"):
            row[f"{str(name).removesuffix('_steps')}_reached"] = len(values)
        row |= {str(name): values.mean() if len(values) else np.nan, f"{name}_low": low, f"{name}_high": high}
    return row


def measure(
    params: Params, execution: Execution, watcher: Watcher, subjects: Iterable[tuple[str, int, Classifier]] = ()
) -> Measured:
    """Measure the curves of classifiers, each with the name of its data set and its seed; by default the package's."""
    given = subjects or [("MNIST", 0, demo_subject(params["images"]))]
    pairs = [_measure_one(*each, params, execution, watcher) for each in given]
    curves, trained = (pd.concat(tables, ignore_index=True) for tables in zip(*pairs, strict=True))
    tables = {"curves": curves, "trained": trained, "costs": costs(curves, trained)}
    return Measured(tables, _shown(curves, trained), record={"workers": execution.workers})


def plot(measured: Measured, params: Params) -> dict[str, Figure]:
    """Draw error against steps and against operations by both counts."""
    return {"accuracy": plot_trade_off(measured.tables["curves"], measured.tables["trained"])}


def _measure_one(
    dataset: str, seed: int, subject: Classifier, params: Params, execution: Execution, watcher: Watcher
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the curves of a network, and its row before conversion."""
    named, curves, trained = {"dataset": dataset, "seed": seed}, [], pd.DataFrame()
    checkpoints = checkpoints_up_to(params["steps"], params["checkpoints"])
    for percentile in params["percentiles"]:
        with watcher.stage(f"convert {dataset} {seed}, percentile {percentile:g}"):
            network = subject.network(percentile)
        trained = trained_network(subject, network) if trained.empty else trained
        for v_init, reset in itertools.product(params["v_inits"], get_args(Reset)):
            case = dict(zip(CASE, (percentile, v_init, reset), strict=True))
            settings = Settings(params["steps"], reset, v_init=v_init, backend=params.get("backend", "standalone"))
            with watcher.stage(f"simulate, V(0) = {v_init:g}, reset: {reset}"):
                curve = error_curve(network, subject.test.images, subject.labels, settings, execution, checkpoints)
            curves.append(curve.assign(**named, **case))
    return pd.concat(curves), trained.assign(**named)


def _shown(curves: pd.DataFrame, trained: pd.DataFrame) -> dict[str, str]:
    """Return error and operations at the end, means over the networks."""
    shown = {("trained network",): trained}
    ends = curves[curves["steps"] == curves["steps"].max()]
    shown |= dict(list(ends.groupby(["dataset", *CASE], sort=False)))
    return {
        ", ".join(map(str, key)): f"{100 * rows['wrong'].sum() / rows['images'].sum():.2f} % wrong, "
        f"{rows['operations'].mean():,.0f} {COUNT_NAMES['synapses']}"
        for key, rows in shown.items()
    }


STUDY = Study(measure, plot, SMALL, FULL, "accuracy.json", digits={"curves": 10, "costs": 5})

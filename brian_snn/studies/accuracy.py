"""Error of classification against steps and against operations, for several percentiles and both resets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn.analysis.classification import choices_over_time
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
from brian_snn.studies.subjects import Classifier, demo_subject, mnist_subject

#: The digits of the package.
SMALL: Params = {
    "percentiles": [99.0, 99.9, 100.0],
    "steps": 200,
    "checkpoints": 24,
    "images": 200,
    "digits": "package",
    "backend": "standalone",
}
#: The test digits of MNIST, and clothes for another network, which the experiment trains with the numbers of "fashion".
FULL: Params = {
    "percentiles": [99, 99.9, 100],
    "steps": 300,
    "checkpoints": 40,
    "images": 10000,
    "digits": "mnist",
    "fashion": {
        "seed": 20170711,
        "filters": [8, 16],
        "hidden_units": 64,
        "epochs": 4,
        "batch_size": 128,
        "learning_rate": 0.002,
        "calibration_images": 1000,
    },
}


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


def trained_network(name: str, network: Network, scores: FloatArray, labels: NDArray[np.integer]) -> pd.DataFrame:
    """Return one row on the network that was converted, with the columns of `error_curve` and the name of the data set.

    Parameters
    ----------
    name : str
        Of the data set.
    network : Network
        As converted; `brian_snn.analysis.operations.ann_operations` counts its operations.
    scores : (n_images, n_classes) float array
        What the trained network makes of the images.
    labels : (n_images,) int array
    """
    wrong = int(np.sum(scores.argmax(axis=1) != labels))
    operations = {column: ann_operations(network, count) for count, column in COUNT_COLUMNS.items()}
    return pd.DataFrame([{"dataset": name, "wrong": wrong, "images": len(labels), **operations}])


def measure(
    params: Params, execution: Execution, watcher: Watcher, others: Iterable[tuple[str, Classifier]] = ()
) -> Measured:
    """Measure the curves of digits, and of the other classifiers by the name of their data set."""
    with watcher.stage("load the trained network"):
        digits = demo_subject(params["images"]) if params["digits"] == "package" else mnist_subject(params["images"])
    pairs = [_measure_one(name, each, params, execution, watcher) for name, each in [("MNIST", digits), *others]]
    curves, trained = (pd.concat(tables, ignore_index=True) for tables in zip(*pairs, strict=True))
    return Measured(
        {"curves": curves, "trained": trained}, _shown(curves, trained), record={"workers": execution.workers}
    )


def plot(measured: Measured, params: Params) -> dict[str, Figure]:
    """Draw error against steps and against operations."""
    return {"accuracy": plot_trade_off(measured.tables["curves"], measured.tables["trained"])}


def _measure_one(
    name: str, subject: Classifier, params: Params, execution: Execution, watcher: Watcher
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the curves of a data set and the row of its trained network."""
    images, steps = subject.test.images, params["steps"]
    scores = scores_of(subject.model, images)
    curves, trained = [], pd.DataFrame()
    for percentile in params["percentiles"]:
        with watcher.stage(f"convert, percentile {percentile:g}"):
            network = subject.network(percentile)
        trained = trained_network(name, network, scores, subject.labels)
        for reset in get_args(Reset):
            with watcher.stage(f"simulate, reset: {reset}"):
                settings = Settings(steps, reset, backend=params.get("backend", "standalone"))
                checkpoints = checkpoints_up_to(steps, params["checkpoints"])
                curve = error_curve(network, images, subject.labels, settings, execution, checkpoints)
            curves.append(curve.assign(dataset=name, percentile=percentile, reset=reset))
    return pd.concat(curves), trained


def _shown(curves: pd.DataFrame, trained: pd.DataFrame) -> dict[str, str]:
    """Return error and operations at the end."""
    shown = {"trained network": trained.iloc[0]}
    for _, row in curves[curves["steps"] == curves["steps"].max()].iterrows():
        shown[f"percentile {row['percentile']:g}, reset: {row['reset']}"] = row
    return {
        name: f"{100 * row['wrong'] / row['images']:.2f} % wrong, {row['operations']:,.0f} {COUNT_NAMES['synapses']}"
        for name, row in shown.items()
    }


STUDY = Study(measure, plot, SMALL, FULL, "accuracy.json", digits={"curves": 10})

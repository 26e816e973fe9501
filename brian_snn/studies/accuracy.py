"""Error of classification against steps and against operations, for several percentiles and both resets."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
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
from brian_snn.cli.console import Stages
from brian_snn.network.network import Network
from brian_snn.plotting.trade_off import plot_trade_off
from brian_snn.running.simulate import stream
from brian_snn.settings import Execution, Recording, Reset, Settings
from brian_snn.studies.drawing import Drawn, demo_subject

#: The small run.
PERCENTILES = (99.0, 99.9, 100.0)
_N_CHECKPOINTS = 24


def checkpoints_up_to(steps: int, number: int) -> list[int]:
    """Return at most `number` steps from 1 to `steps`, each about the same factor above the one before."""
    return [int(step) for step in np.unique(np.geomspace(1, steps, number).round())]


def measure(
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
    """Return one row on the network that was converted, with the columns of `measure` and the name of the data set.

    Parameters
    ----------
    name : str
        Of the data set.
    network : Network
        As converted; `brian_snn.analysis.operations.ann_operations` counts its operations.
    scores : (n_images, n_classes) float array
        What Keras makes of the images.
    labels : (n_images,) int array
    """
    wrong = int(np.sum(scores.argmax(axis=1) != labels))
    operations = {column: ann_operations(network, count) for count, column in COUNT_COLUMNS.items()}
    return pd.DataFrame([{"dataset": name, "wrong": wrong, "images": len(labels), **operations}])


def draw(arguments: Namespace, stages: Stages) -> Drawn:
    """Draw the figure for the digits that ship with the package."""
    name, checkpoints = "MNIST", checkpoints_up_to(arguments.steps, _N_CHECKPOINTS)
    with stages.stage("load the trained network"):
        demo = demo_subject(arguments.images)
        scores = demo.model.predict(demo.digits.images, verbose=0)
    curves, trained = [], pd.DataFrame()
    for percentile in PERCENTILES:
        with stages.stage(f"convert, percentile {percentile:g}"):
            network = demo.network(percentile)
        trained = trained_network(name, network, scores, demo.labels)
        for reset in get_args(Reset):
            with stages.stage(f"simulate, reset: {reset}"):
                settings = Settings(arguments.steps, reset, backend=arguments.backend)
                execution = Execution(arguments.workers)
                curve = measure(network, demo.digits.images, demo.labels, settings, execution, checkpoints)
            curves.append(curve.assign(dataset=name, percentile=percentile, reset=reset))
    table = pd.concat(curves, ignore_index=True)
    return Drawn(plot_trade_off(table, trained), {"curves": table, "trained": trained}, _shown(table, trained))


def _shown(curves: pd.DataFrame, trained: pd.DataFrame) -> dict[str, str]:
    """Return error and operations at the end."""
    shown = {"trained network": trained.iloc[0]}
    for _, row in curves[curves["steps"] == curves["steps"].max()].iterrows():
        shown[f"percentile {row['percentile']:g}, reset: {row['reset']}"] = row
    return {
        name: f"{100 * row['wrong'] / row['images']:.2f} % wrong, {row['operations']:,.0f} {COUNT_NAMES['synapses']}"
        for name, row in shown.items()
    }

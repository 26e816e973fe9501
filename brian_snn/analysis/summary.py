"""The tables of the command line and of the demo's CSV files, as rows: one mapping per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn.analysis.classification import accuracy, choices_over_time, trained_answers
from brian_snn.analysis.operations import (
    COUNT_COLUMNS,
    COUNT_NAMES,
    operations_over_time,
    saturated_share,
    snn_operations,
)
from brian_snn.arrays import FloatArray
from brian_snn.escaping import csv_safe
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT
from brian_snn.network.synapses import AUTO_LIMIT, n_synapses, uses_shared_kernels
from brian_snn.results.result import Result
from brian_snn.settings import Settings

Row = Mapping[str, object]


def population_rows(network: Network) -> list[Row]:
    """Return a row per population: layer, kind, shape, neurons, synapses, lambda; the last row is the sum."""
    rows: list[Row] = []
    totals = np.zeros(2, np.int64)
    for population in network.populations:
        size = population.size
        # The image is a constant current: no synapse carries it.
        synapses = sum(n_synapses(network, p) for p in network.into(population.name) if p.source != INPUT)
        totals += size, synapses
        rows.append(
            {
                "layer": population.name,
                "kind": population.kind,
                "shape": " x ".join(map(str, population.shape)),
                "neurons": f"{size:,}",
                "synapses": f"{synapses:,}",
                "lambda": scale_text(population.scale),
            }
        )
    total = {"layer": "total", "kind": "", "shape": "", "neurons": f"{totals[0]:,}", "synapses": f"{totals[1]:,}"}
    return [*rows, total | {"lambda": ""}]


def projection_note(network: Network) -> str:
    """Return how ``projection="auto"`` will carry the spikes, and why."""
    shared = uses_shared_kernels(network, Settings())
    kind, side = ("shared kernels", "more than") if shared else ("explicit synapses", "at most")
    return f"spikes will travel through {kind}: the network has {side} {AUTO_LIMIT:,} synapses (projection: auto)"


def scale_text(scale: float | FloatArray) -> str:
    """Return lambda with four digits, or the range of a lambda per channel."""
    values = np.atleast_1d(scale)
    low, high = f"{values.min():.4g}", f"{values.max():.4g}"
    return low if values.size == 1 else f"{low} to {high}"


def accuracy_rows(result: Result, labels: NDArray[np.integer] | None) -> list[Row]:
    """Return the accuracy of the spiking and of the trained network, nothing without labels that fit the output."""
    predictions = result.predictions
    if labels is None or predictions is None:
        return []
    spiking, trained = (
        accuracy(labels, answers) for answers in (predictions, trained_answers(result.network, result.still_images))
    )
    return [
        {"": f"accuracy on {len(labels)} images (95 % interval)", "value": str(spiking)},
        {"": "the same of the trained network, on the grid", "value": str(trained)},
    ]


def activity_rows(result: Result) -> list[Row]:
    """Return what a simulation came to: spikes, neurons that can spike no more, and operations by either count."""
    n_images = len(result.images)
    populations = result.network.populations
    counts = (part.sent_counts(population.name) for part in result.parts() for population in populations)
    spikes = sum(int(values.sum()) for values in counts) / n_images
    neurons = sum(population.size for population in populations)
    return [
        {"": "spikes per image", "value": f"{spikes:,.0f}"},
        {"": "spikes per neuron and image", "value": f"{spikes / neurons:.3g}"},
        {"": "neurons that spike in every step", "value": f"{100 * saturated_share(result):.2f} %"},
        *(
            {"": f"{name} per image", "value": f"{snn_operations(result, count).mean():,.0f}"}
            for count, name in COUNT_NAMES.items()
        ),
    ]


def result_numbers(result: Result, labels: NDArray[np.integer] | None) -> dict[str, Any]:
    """Return the numbers of `accuracy_rows` and `activity_rows`, and how long each stage took; None for no accuracy."""
    n_images, names = len(result.images), [population.name for population in result.network.populations]
    numbers: dict[str, Any] = {"images": n_images, "steps": result.settings.steps}
    predictions = result.predictions
    right = None if labels is None or predictions is None else accuracy(labels, predictions)
    numbers["accuracy"] = None if right is None else right.share
    spikes = sum(int(part.sent_counts(name).sum()) for part in result.parts() for name in names)
    numbers["spikes_per_image"] = spikes / n_images
    numbers["saturated_share"] = saturated_share(result)
    for count, column in COUNT_COLUMNS.items():
        numbers[f"{column}_per_image"] = snn_operations(result, count).mean()
    return numbers | {"timings_s": result.timings_s}


def accuracy_over_time(result: Result, labels: NDArray[np.integer]) -> FloatArray:
    """Return the share of right answers after each checkpoint, (n_checkpoints,)."""
    return np.array([accuracy(labels, choices).share for choices in choices_over_time(result)], np.float64)


def error_over_time(result: Result, labels: NDArray[np.integer]) -> pd.DataFrame:
    """Return error and operations after each checkpoint: what an answer costs that is given then.

    Parameters
    ----------
    result : Result
        A simulation with checkpoints whose output names classes.
    labels : (n_images, ...) int array
        The true classes.

    Returns
    -------
    curve : DataFrame
        A row for each checkpoint: ``step``, ``time_ms``, ``answers`` (how many), ``wrong``, ``error`` (their share),
        ``low`` and ``high`` (its 95 % interval of Wilson), and the mean operations of an image by either count,
        ``operations`` and ``paper_operations``; estimated where neurons that differ in fan-out had not their counts
        recorded, and nan where spikes are signed.

    Raises
    ------
    DataError
        If the output means numbers, or the labels are of another shape than the answers.
    """
    right = [accuracy(labels, choices) for choices in choices_over_time(result)]
    steps = result.checkpoints
    curve = {
        "step": steps,
        "time_ms": 1e3 * float(result.settings.dt) * steps,
        "answers": labels.size,
        "wrong": [round((1 - each.share) * labels.size) for each in right],
        "error": [1 - each.share for each in right],
        "low": [1 - each.high for each in right],
        "high": [1 - each.low for each in right],
    }
    known = not result.negative_counts
    for count, column in COUNT_COLUMNS.items():
        parts = [operations_over_time(part, count, estimate=True) for part in result.parts()] if known else []
        curve[column] = np.concatenate(parts, axis=1).mean(axis=1) if known else np.nan
    return pd.DataFrame(curve)


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write rows as CSV, numbers without thousands separators."""
    frame = pd.DataFrame(rows)
    plain = frame.map(lambda cell: cell.replace(",", "") if isinstance(cell, str) else cell)
    csv_safe(plain).to_csv(path, index=False)

"""Compare the classes that a network names with the true ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn.conversion.graph import IntArray
from brian_snn.simulation.result import Result


def confusion_matrix(labels: NDArray[np.integer], predictions: NDArray[np.integer]) -> pd.DataFrame:
    """Count how often each class was taken for each.

    Parameters
    ----------
    labels, predictions : (n_images,) int array
        True and predicted classes.

    Returns
    -------
    matrix : DataFrame
        A row for each true class and a column for each predicted one, both of them all classes that occur in either,
        ascending. Entries add up to n_images.
    """
    classes, numbers = np.unique(np.concatenate([labels, predictions]), return_inverse=True)
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (numbers[: len(labels)], numbers[len(labels) :]), 1)
    return pd.DataFrame(counts, index=classes, columns=classes)


def confusions(matrix: pd.DataFrame) -> pd.DataFrame:
    """List the mistakes of a confusion matrix, the most frequent first.

    Returns
    -------
    mistakes : DataFrame
        One row per pair of different classes that occurred: ``class``, ``taken for`` and ``images``.
    """
    rows = [
        {"class": true, "taken for": predicted, "images": int(count)}
        for true, counts in matrix.iterrows()
        for predicted, count in counts.items()
        if count and predicted != true
    ]
    return pd.DataFrame(sorted(rows, key=lambda row: -int(row["images"])), columns=["class", "taken for", "images"])


def choices_over_time(result: Result) -> IntArray:
    """Return the class that an image is taken for after each checkpoint, (n_checkpoints, n_images).

    Of outputs that have spiked equally often the first is taken; at the end of the run the one with the highest
    potential, as in `Result.predictions`.
    """
    n_checkpoints, n_images = len(result.checkpoints), len(result.images)
    if result.output_history is None:
        return np.zeros((0, n_images), np.int32)
    choices = result.output_history.reshape(n_checkpoints, n_images, -1).argmax(axis=2).astype(np.int32)
    choices[result.checkpoints == result.settings.steps] = result.predictions
    return choices

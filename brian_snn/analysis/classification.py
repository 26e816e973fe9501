"""Compare the classes that a network names with the true ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray


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

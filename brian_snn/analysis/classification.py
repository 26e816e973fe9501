"""Compare the classes that a network names with the true ones, and with those of the network that was trained."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from brian_snn.accuracy import Accuracy as Accuracy
from brian_snn.accuracy import accuracy as accuracy
from brian_snn.accuracy import require_one_shape as require_one_shape
from brian_snn.accuracy import wilson_interval as wilson_interval
from brian_snn.analysis.batching import image_batches
from brian_snn.arrays import IntArray
from brian_snn.network.forward import iterate_forward
from brian_snn.network.network import Network
from brian_snn.network.output import answer_of
from brian_snn.results.result import Result


def bootstrap_interval(values: ArrayLike) -> tuple[float, float]:
    """Return the 95 % interval of a mean by the bootstrap: what lies between the means of most of 10,000 resamples.

    Parameters
    ----------
    values : (n,) float array
        One for each network, or for each image, that were drawn independently. Of few values the interval is too
        narrow: of five by about a third.
    """
    values = np.asarray(values, np.float64)
    drawn = np.random.default_rng(0).integers(len(values), size=(10_000, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def predictions_of(result: Result) -> IntArray:
    """Return the predictions of a result, and raise DataError where its output means numbers, which name no classes."""
    answer_of(result.network).require_classes()
    predictions = result.predictions
    assert predictions is not None, "the output means classes"
    return predictions


def trained_answers(network: Network, images: NDArray[np.generic]) -> IntArray:
    """Return what the trained network says of images, as `Result.predictions` what the spiking one does.

    Its activations are computed in float64 from the network's own weights, which are rounded to its grid, a few images
    at a time.

    Raises
    ------
    DataError
        If the output means numbers.
    """
    answer, parts = answer_of(network), []
    answer.require_classes()
    for batch in image_batches(network, len(images)):
        # What is computed last are the logits; in units of the scale, which may differ between the classes.
        *_, (output, values) = iterate_forward(network, images[batch])
        parts.append(answer.of(values * output.scale))
    return np.concatenate(parts)


def confusion_matrix(labels: NDArray[np.integer], predictions: NDArray[np.integer]) -> pd.DataFrame:
    """Count how often each class was taken for each.

    Parameters
    ----------
    labels, predictions : (n_images,) or (n_images, ...) int array
        True and predicted classes; of images of classes every pixel counts.

    Returns
    -------
    matrix : DataFrame
        A row for each true class and a column for each predicted one, both of them all classes that occur in either,
        ascending. Entries add up to n_images, or to all pixels.

    Raises
    ------
    DataError
        If the shapes differ.
    """
    require_one_shape(labels, predictions)
    classes, numbers = np.unique(np.concatenate([labels.ravel(), predictions.ravel()]), return_inverse=True)
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (numbers[: labels.size], numbers[labels.size :]), 1)
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
    """Return what an image is taken for after each checkpoint, of the shape (n_checkpoints, n_images, ...).

    Of outputs that have spiked equally often the first is taken; at the end of the run the one with the highest
    potential, as in `Result.predictions`.

    Raises
    ------
    DataError
        If the output means numbers.
    """
    answer, n_images = answer_of(result.network), len(result.images)
    answer.require_classes()
    if result.output_history is None:
        return np.zeros((0, n_images, *answer.shape), np.int32)
    choices = np.array([answer.of(logits) for logits in result.output_history])
    choices[result.checkpoints == result.settings.steps] = predictions_of(result)
    return choices

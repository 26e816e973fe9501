"""Compare the classes that a network names with the true ones, and with those of the network that was trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from brian_snn.analysis.batching import image_batches
from brian_snn.arrays import IntArray
from brian_snn.errors import DataError
from brian_snn.network.forward import iterate_forward
from brian_snn.network.network import Network
from brian_snn.network.output import answer_of
from brian_snn.results.result import Result

#: So many standard deviations on either side of the mean hold 95 % of a normal distribution.
_DEVIATIONS = 1.959963984540054


@dataclass(frozen=True)
class Accuracy:
    """The share of right answers, and the 95 % interval of Wilson for it, all from 0 to 1."""

    share: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return the three in per cent."""
        return f"{100 * self.share:.2f} % ({100 * self.low:.2f} to {100 * self.high:.2f} %)"


def wilson_interval(n_right: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of Wilson for a share of which `n_right` of `n` independent cases were seen.

    Unlike the standard error it says something of 0 and of all, and stays between 0 and 1:

        (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n),     p = n_right / n, z = 1.96
    """
    share, z_squared = n_right / n, _DEVIATIONS**2
    middle = share + z_squared / (2 * n)
    half = _DEVIATIONS * math.sqrt(share * (1 - share) / n + z_squared / (4 * n * n))
    low, high = ((middle + side * half) / (1 + z_squared / n) for side in (-1, 1))
    # Roundings apart, these are 0 for none and 1 for all.
    return (0.0 if n_right == 0 else low), (1.0 if n_right == n else high)


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


def accuracy(labels: NDArray[np.integer], predictions: NDArray[np.integer]) -> Accuracy:
    """Return the share of answers that are right, with an interval for it.

    Parameters
    ----------
    labels, predictions : (n_images,) or (n_images, ...) int array
        True and given answers. Several answers to an image all count for the share; they depend on each other, so the
        interval is that of as many cases as there are images.

    Raises
    ------
    DataError
        If the shapes differ.
    """
    require_one_shape(labels, predictions)
    share = float(np.mean(labels == predictions))
    return Accuracy(share, *wilson_interval(share * len(labels), len(labels)))


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


def require_one_shape(labels: NDArray[np.integer], predictions: NDArray[np.integer]) -> None:
    """Raise DataError unless there is a label for each answer; NumPy would broadcast some that do not fit."""
    if labels.shape != predictions.shape:
        raise DataError(
            f"labels have shape {labels.shape}, the answers that they are compared with {predictions.shape}; a label "
            "for each of them is needed."
        )


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

"""What the answers of a network can be: classes, yes or no, or numbers; and which labels fit such answers.

A model says it by the activation of its last layer. The readout computes what that activation is applied to, the
logits: a softmax leaves their order as it is, a sigmoid is above one half where its logit is positive, and one linear
unit is a number that names no class.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray, IntArray
from brian_snn.errors import DataError

#: What the logits stand for.
Meaning = Literal["classes", "yes_no", "numbers"]


@dataclass(frozen=True)
class Answer:
    """What a network says of one image.

    Parameters
    ----------
    meaning : str
        ``classes``: the class with the largest logit, along the last axis of the output; ``yes_no``: 1 where a logit is
        positive, each on its own; ``numbers``: no class at all.
    output_shape : tuple of int
        Shape of the logits of one image.
    """

    meaning: Meaning
    output_shape: tuple[int, ...]

    @property
    def names_classes(self) -> bool:
        """Whether an answer may be right or wrong."""
        return self.meaning != "numbers"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the answers for one image: () for one class, (height, width) for one of every pixel."""
        labelled = self.meaning == "yes_no" and self.output_shape[-1] > 1
        return self.output_shape if labelled else self.output_shape[:-1]

    @property
    def n_classes(self) -> int:
        """Number of classes that an answer chooses from."""
        return 2 if self.meaning == "yes_no" else self.output_shape[-1]

    def require_classes(self) -> None:
        """Raise DataError where the output means numbers."""
        if not self.names_classes:
            raise DataError(
                f"the network's output, of shape {self.output_shape}, stands for numbers, not for classes: no answer "
                "is right or wrong; compare its logits instead."
            )

    def rivals(self, charges: FloatArray) -> FloatArray:
        """Return what competes for each answer: from (n, size), by neuron of the output, to (n, n_answers, n_classes).

        A yes competes with a no, for which there is no neuron; it has 0.
        """
        if self.meaning == "yes_no":
            return np.stack([np.zeros_like(charges), charges], axis=2)
        return charges.reshape(len(charges), -1, self.n_classes)

    def of(self, logits: FloatArray, tie_break: FloatArray | None = None) -> IntArray:
        """Return the answers to some images.

        Parameters
        ----------
        logits : (n_images, *output_shape) float array
            They may be flat, (n_images, size).
        tie_break : array of the shape of `logits`, optional
            Of several classes with the largest logit, that where this is largest is taken; by default the first.

        Returns
        -------
        answers : (n_images, *shape) int array

        Raises
        ------
        DataError
            If the output means numbers.
        """
        self.require_classes()
        rivals = self.rivals(logits.reshape(len(logits), -1))
        if tie_break is not None and self.meaning == "classes":
            best = rivals == rivals.max(axis=2, keepdims=True)
            rivals = np.where(best, self.rivals(tie_break.reshape(len(logits), -1)), -np.inf)
        return rivals.argmax(axis=2).astype(np.int32).reshape(len(logits), *self.shape)

    def labels(self, given: NDArray[Any], n_images: int, source: str) -> NDArray[np.int64] | None:
        """Return labels in the shape of the answers, or None where the output means numbers, which have no classes.

        Parameters
        ----------
        given : (n_images, *shape) array
            Class numbers from 0 up, or one-hot: with a last axis of a 1 and zeros.
        n_images : int
            How many images they are for.
        source : str
            Where they come from, for the messages.

        Raises
        ------
        DataError
            If there are not as many as images, if they have another shape, or if one is no class of the network.
        """
        require_one_each(given, n_images, source)
        if not self.names_classes:
            return None
        wanted = (n_images, *self.shape)
        if given.shape == (*wanted, self.n_classes):
            return from_one_hot(given, source)
        if _long_axes(given.shape[1:]) != _long_axes(self.shape):
            raise DataError(
                f"labels of {source} have shape {given.shape}; for the network's output {self.output_shape} class "
                f"numbers of shape {wanted} or one-hot ones of shape {(*wanted, self.n_classes)} were expected."
            )
        numbers = whole_numbers(given, source).reshape(wanted)
        if numbers.max(initial=0) >= self.n_classes:
            raise DataError(
                f"labels of {source} go up to {numbers.max()}; the network's classes are 0 to {self.n_classes - 1}."
            )
        return numbers


# --- labels ---------------------------------------------------------------------------------------------------------


def require_one_each(labels: NDArray[Any], n_images: int, source: str) -> None:
    """Raise DataError unless these are numbers, one or more for each image."""
    if labels.dtype.kind not in "buif":
        raise DataError(f"labels of {source} are of type {labels.dtype}; class numbers or one-hot rows were expected.")
    if labels.ndim == 0 or len(labels) != n_images:
        raise DataError(f"{source}: there are {n_images} images but labels of shape {labels.shape}; each needs one.")


def from_one_hot(labels: NDArray[Any], source: str) -> NDArray[np.int64]:
    """Return the class numbers of one-hot labels, (..., n_classes)."""
    ones = labels == 1
    if not (np.all(ones.sum(axis=-1) == 1) and np.array_equal(ones, labels)):
        raise DataError(f"labels of {source} have shape {labels.shape} but are not one-hot: one 1 and zeros a row.")
    return ones.argmax(axis=-1)


def whole_numbers(labels: NDArray[Any], source: str) -> NDArray[np.int64]:
    """Return class numbers as integers."""
    if not np.all((labels >= 0) & (labels == np.floor(labels)) & (labels < 2**31)):
        raise DataError(f"labels of {source} are not all whole numbers from 0 up.")
    return labels.astype(np.int64)


def class_numbers(labels: NDArray[Any], n_images: int, source: str) -> NDArray[np.int64]:
    """Turn labels as numbers, as a column of numbers or one-hot into integers, whatever network they are for."""
    require_one_each(labels, n_images, source)
    if labels.ndim == 2 and labels.shape[1] > 1:
        return from_one_hot(labels, source)
    if prod(labels.shape) != n_images:
        raise DataError(f"labels of {source} have shape {labels.shape}; ({n_images},) or one-hot rows were expected.")
    return whole_numbers(labels.reshape(n_images), source)


def _long_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without its axes of length 1, which say nothing."""
    return tuple(length for length in shape if length != 1)

"""The networks and images of the studies: those of the package, and what ``BRIAN_SNN_DATA`` names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.conversion.convert import convert
from brian_snn.datasets import Dataset, first_images, load_demo, load_images
from brian_snn.errors import DataError, SettingError
from brian_snn.frontends.table import load_model, reference_activations
from brian_snn.network.network import Network

_VARIABLE = "BRIAN_SNN_DATA"
_MNIST_TEST = "mnist/t10k-images-idx3-ubyte.gz"


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained network, images with labels to show it, and those that set its scales.

    Parameters
    ----------
    model
        Of any front end.
    test : Dataset
    calibration : (n, *shape) float array
    """

    model: Any
    test: Dataset
    calibration: FloatArray

    @property
    def labels(self) -> NDArray[Any]:
        """Classes of the images, (n_images,)."""
        assert self.test.labels is not None, "the images of a study have labels"
        return self.test.labels

    def network(self, percentile: float = 99.9) -> Network:
        """Convert the network."""
        return convert(self.model, self.calibration, percentile=percentile)

    def activations(self, network: Network) -> dict[str, FloatArray]:
        """Return what Keras computes for the images, by population."""
        return reference_activations(self.model, network, self.test.images)


def demo_subject(n_images: int) -> Classifier:
    """Load the network and the first digits that ship with the package.

    Raises
    ------
    SettingError
        If there are not so many digits.
    """
    path, test, calibration = load_demo()
    if not 1 <= n_images <= len(test.images):
        raise SettingError(f"--images is {n_images}; {len(test.images)} digits ship with the package, take 1 or more.")
    return Classifier(load_model(path), first_images(test, n_images), calibration.images)


def mnist_subject(n_images: int | None = None) -> Classifier:
    """Load the network that ships with the package and the first of the 10,000 test digits of MNIST.

    Raises
    ------
    DataError
        If they are not there.
    """
    digits = load_images(data_path(_MNIST_TEST), (28, 28, 1))
    path, _, calibration = load_demo()
    return Classifier(load_model(path), first_images(digits, n_images), calibration.images)


def data_path(name: str) -> Path:
    """Return the path of a file or a folder below the folder that ``BRIAN_SNN_DATA`` names.

    Raises
    ------
    DataError
        If it is not there.
    """
    root = os.environ.get(_VARIABLE, "")
    path = Path(root) / name
    if not (root and path.exists()):
        raise DataError(f"{_VARIABLE} is {root!r}; it must name the folder that holds {name}.")
    return path

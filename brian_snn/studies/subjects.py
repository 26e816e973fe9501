"""The networks and images of the studies: those of the package, and what ``BRIAN_SNN_DATA`` names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.conversion.convert import convert
from brian_snn.datasets import Dataset, first_images, load_demo, load_images
from brian_snn.errors import DataError, SettingError
from brian_snn.frontends.table import load_model, reference_activations
from brian_snn.network.network import Network

_VARIABLE = "BRIAN_SNN_DATA"
_FASHION, _DEBIAN_FASHION = "BRIAN_SNN_FASHION", "/usr/share/datasets/fashion-mnist"

#: Images of a network of ``experiments/networks``, and what figures call them.
DATASETS = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
INPUT_SHAPE = (28, 28, 1)


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


def network_file(dataset: str, seed: int) -> str:
    """Return the file of ``experiments/networks`` that holds the network of a data set and a seed."""
    return f"{dataset}_{seed}.keras"


def load_dataset(name: str, part: Literal["train", "test"] = "test") -> Dataset:
    """Load the official training or test set of MNIST or Fashion-MNIST, pixels in [0, 1].

    Parameters
    ----------
    name : str
        One of `DATASETS`. ``fashion_mnist`` is read from the folder that ``BRIAN_SNN_FASHION`` names, by default that
        of Debian's package dataset-fashion-mnist.
    part : str

    Raises
    ------
    DataError
        If it is not there.
    """
    file = f"{'train' if part == 'train' else 't10k'}-images-idx3-ubyte.gz"
    if name == "mnist":
        return load_images(data_path(f"mnist/{file}"), INPUT_SHAPE)
    path = Path(os.environ.get(_FASHION, _DEBIAN_FASHION)) / file
    if not path.is_file():
        raise DataError(
            f"{path}: Fashion-MNIST is not there; install Debian's package dataset-fashion-mnist, or name the folder "
            f"of its IDX files with {_FASHION}."
        )
    return load_images(path, INPUT_SHAPE)


def trained_subject(folder: Path, dataset: str, seed: int, n_images: int, n_calibration: int = 1000) -> Classifier:
    """Load a network of ``experiments/networks``, its first test images, and training images drawn by its seed.

    Parameters
    ----------
    folder : Path
        The results of that experiment.
    dataset : str
        One of `DATASETS`.
    seed : int
        Of the training.
    n_images, n_calibration : int
        Test images to show, and training images that set the scales.

    Raises
    ------
    DataError
        If the data set is not there.
    """
    training, test = load_dataset(dataset, "train"), load_dataset(dataset)
    chosen = np.random.default_rng(seed).choice(len(training.images), n_calibration, replace=False)
    model = load_model(folder / network_file(dataset, seed))
    return Classifier(model, first_images(test, n_images), training.images[np.sort(chosen)])


def trained_subjects(folder: Path, seeds: Sequence[int], n_images: int) -> Iterator[tuple[str, int, Classifier]]:
    """Yield `trained_subject` of every data set and seed, after the name for figures and the seed."""
    for dataset, name in DATASETS.items():
        for seed in seeds:
            yield name, seed, trained_subject(folder, dataset, seed, n_images)


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
    path, _, calibration = load_demo()
    return Classifier(load_model(path), first_images(load_dataset("mnist"), n_images), calibration.images)


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

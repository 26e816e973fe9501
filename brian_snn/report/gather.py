"""What the report of a run needs: the result, its labels, its verification, and the activations that it stands for.

A run may be larger than memory. It is read part by part; numbers are of all of its images, and figures of neurons show
a sample of them, evenly spread, that fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn.analysis.classification import trained_answers
from brian_snn.analysis.dynamics import Replay
from brian_snn.analysis.measured import ActivationsOf
from brian_snn.analysis.verify import verify
from brian_snn.arrays import FloatArray, IntArray
from brian_snn.errors import DataError
from brian_snn.frontends.table import front_end_of, front_end_of_file, load_model, reference_activations
from brian_snn.network.forward import forward
from brian_snn.network.network import Network
from brian_snn.network.output import answer_of
from brian_snn.neurons.poisson import uncoded_network
from brian_snn.results.load import load_result
from brian_snn.results.pieces import choose_images
from brian_snn.results.result import Result
from brian_snn.results.store import read_description

# Neurons times images of the sample: some 100 MB of counts, potentials and charges.
_SAMPLE_NUMBERS = 2**21

# The float32 of a trained model shifts activations by less than a thousandth of the largest, a coarse grid by some of
# its steps (7 of 2**-11 in the demo network); another model's are off by all of it.
_TOLERANCE, _GRID_STEPS = 1e-3, 64


@dataclass(frozen=True, eq=False)
class Sample:
    """The images of which neurons are shown.

    Parameters
    ----------
    result : Result
        In memory.
    numbers : (n_sample,) int array
        Of the images, counted from 0 in the run.
    activations : dict of (n_sample, *shape) float array
        By population, in the units of the trained network.
    ann : str
        What computed them, in two or three words.
    origin : str
        The same in a sentence.
    is_trained : bool
        Whether it was the trained model.
    """

    result: Result
    numbers: IntArray
    activations: Mapping[str, FloatArray]
    ann: str
    origin: str
    is_trained: bool = False


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder, and what was found out about it.

    ``labels`` is None where it has none, ``trained``, what the network without spikes says of all images, where the
    output means numbers, ``activations_of`` gives the activations of a part of the result, and ``model`` is the file of
    what was converted, where one was given.
    """

    folder: Path
    description: Mapping[str, Any]
    result: Result
    labels: NDArray[np.int64] | None
    trained: IntArray | None
    verification: pd.DataFrame
    sample: Sample
    activations_of: ActivationsOf
    model: Path | None = None


def gather(folder: Path, model: Path | None = None, replay: Replay = "auto") -> Run:
    """Read a run, verify it, and ask for the activations that its rates stand for.

    Parameters
    ----------
    folder : Path
        As `brian_snn.simulate` or ``brian-snn simulate`` wrote it.
    model : Path, optional
        File of the model that was converted; without it the activations are those of the converted network.
    replay : "auto", "all" or int
        Images whose dynamics `brian_snn.verify` replays.

    Raises
    ------
    DataError
        If the folder is no complete result, its labels do not fit, or the model is another one than was converted.
    ModelError
        If the model cannot be read.
    """
    result, description = load_result(folder), read_description(folder)
    sample, activations_of = _sample(result, model)
    trained = trained_answers(result.network, result.still_images) if answer_of(result.network).names_classes else None
    checked = verify(result, replay)
    return Run(folder, description, result, result.labels, trained, checked, sample, activations_of, model)


def _sample(result: Result, model: Path | None) -> tuple[Sample, ActivationsOf]:
    """Return as many images as may be held in memory, evenly spread, with their activations; and what gives those."""
    numbers_an_image = max(sum(p.size for p in result.network.populations), prod(result.images.shape[1:]))
    fits = max(1, _SAMPLE_NUMBERS // numbers_an_image)
    n_images = len(result.images)
    numbers = np.linspace(0, n_images - 1, min(fits, n_images)).round().astype(np.int32)
    chosen = choose_images(result, numbers.tolist())
    own = _own_activations(chosen)
    if model is None:
        origin = (
            "The activations are those of the converted network itself: its own forward pass without spikes, in "
            "float64. Give the trained model with --model to compare with it."
        )
        return Sample(chosen, numbers, own, "network without spikes", origin), _own_activations
    network, framework = result.network, front_end_of_file(model).name
    trained = _trained_activations(model, network)
    activations = {name: np.asarray(values, np.float64) for name, values in trained(chosen).items()}
    difference = _largest_difference(model, own, activations, _TOLERANCE + _GRID_STEPS * network.grid)
    origin = (
        f"The activations are those that {framework} computes with {model.name}. They differ from those of the "
        f"converted network without spikes by at most {difference:.2g} of the largest activation of a layer."
    )
    return Sample(chosen, numbers, activations, f"trained network ({framework})", origin, True), trained


def _own_activations(part: Result) -> dict[str, FloatArray]:
    """Return the activations of the converted network without spikes, in the units of the trained one."""
    found = forward(part.network, part.still_images[:])
    return {name: values * part.network[name].scale for name, values in found.items()}


def _trained_activations(path: Path, network: Network) -> ActivationsOf:
    """Return what computes the model's activations; a pixel that is coded as spikes is its own activation."""
    model, converted = load_model(path), uncoded_network(network)
    graph = front_end_of(model).read(model)
    if graph.input_shape != network.input_shape:
        raise DataError(
            f"{path.name} takes images of shape {graph.input_shape}, the simulated network {network.input_shape}; "
            "name the model that was converted."
        )
    missing = {path for p in converted.populations for path in p.reference} - {node.path for node in graph.nodes}
    if missing:
        raise DataError(f"{path.name} has no layer {str(min(missing))!r}; name the model that was converted.")

    def activations(part: Result) -> dict[str, FloatArray]:
        images = part.still_images[:]
        coded = {p.name: np.asarray(images, np.float64) for p in network.populations if p.codes_pixels}
        return coded | reference_activations(model, converted, images)

    return activations


def _largest_difference(
    model: Path, own: Mapping[str, FloatArray], activations: Mapping[str, FloatArray], limit: float
) -> float:
    """Return the largest difference, relative to the largest activation of its population; refuse one above `limit`."""
    largest = 0.0
    for name, expected in own.items():
        given = activations[name]
        difference = float(np.abs(given - expected).max() / (np.abs(expected).max() or 1.0))
        if not difference <= limit:
            raise DataError(
                f"{model.name} is not the model that was converted: in {name!r} its activations differ by "
                f"{difference:.2g} of the largest one."
            )
        largest = max(largest, difference)
    return largest

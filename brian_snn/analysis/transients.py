"""How far the firing rates of whole feature maps are off their targets, and what the voltage clamp does about it.

A layer starts to integrate before its input has settled. What it gathers in that time stays in its membrane for good,
so the rates of a feature map are all too high or all too low, by an amount that its bias sets and that falls as 1 / T
(supplement, section 2). Everything here is a fraction of r_max: a rate is spikes per step, taken over the population's
own unclamped window, and the target of an activation a is a / lambda.

A feature map is the last axis of a population; in a dense layer every neuron is one of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.errors import DataError
from brian_snn.network.records import Population
from brian_snn.network.roles import crosses_threshold
from brian_snn.results.result import Result

Activations = Mapping[str, NDArray[np.generic]]


def layer_offsets(result: Result, activations: Activations) -> pd.DataFrame:
    """Compare the rates of every population with their targets.

    Parameters
    ----------
    result : Result
        A simulation.
    activations : mapping of str to (n_images, *shape) array
        What the ANN computes for the populations of interest, in the ANN's units, after the ReLU.

    Returns
    -------
    report : DataFrame
        One row per population: ``population``, ``depth``, ``feature_maps``, ``mean_abs_offset`` (mean over the maps of
        the absolute offset), ``bias_correlation`` (Pearson's r between the offset and the bias of the maps; nan where
        there are fewer than two maps or either is the same for all), ``pearson_r`` and ``rmse`` over all neurons. The
        offset of a map is the mean, over its neurons and all images, of rate minus target.

    Raises
    ------
    DataError
        If activations belong to no spiking population or have another shape than it.
    """
    rows = [_layer_row(p, _rates(result, p), target) for p, target in _targets(result, activations)]
    return pd.DataFrame(rows)


def offsets_over_time(result: Result, activations: Activations) -> pd.DataFrame:
    """Compare rates with their targets at every checkpoint, from the counts recorded there.

    Parameters
    ----------
    result : Result
        Simulated with ``checkpoints`` and ``record_counts``.
    activations : mapping of str to (n_images, *shape) array
        As for `layer_offsets`, for populations whose counts were recorded.

    Returns
    -------
    report : DataFrame
        The columns of `layer_offsets` behind ``step``. A checkpoint at which a population is still clamped has no row
        for it.

    Raises
    ------
    DataError
        As in `layer_offsets`, or if the counts of a population were not recorded.
    """
    rows = []
    for population, target in _targets(result, activations):
        if population.name not in result.count_history:
            raise DataError(
                f"population {population.name!r}: its counts over time are not in the result; simulate with "
                f"record_counts=[{population.name!r}] and checkpoints."
            )
        start = result.window_start(population.name)
        for step, counts in zip(result.checkpoints, result.count_history[population.name], strict=True):
            if step > start:
                rows.append({"step": int(step)} | _layer_row(population, counts / (step - start), target))
    return pd.DataFrame(rows)


def pearson(x: FloatArray, y: FloatArray) -> float:
    """Return Pearson's correlation of two arrays of equal size; nan where one of them is constant."""
    x, y = np.ravel(x), np.ravel(y)
    if x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def _targets(result: Result, activations: Activations) -> Iterator[tuple[Population, FloatArray]]:
    """Yield the populations of interest with their targets, (n_images, *shape), in the network's order."""
    spiking = [p for p in result.network.populations if crosses_threshold(p, result.settings)]
    unknown = set(activations) - {population.name for population in spiking}
    if unknown or not activations:
        raise DataError(
            f"activations of {sorted(unknown)} were given; rates can be compared for "
            f"{[population.name for population in spiking]}."
        )
    for population in spiking:
        if population.name in activations:
            activation = np.asarray(activations[population.name], np.float64)
            expected = (len(result.images), *population.shape)
            if activation.shape != expected:
                raise DataError(
                    f"population {population.name!r}: activations have shape {activation.shape}; {expected} was "
                    "expected."
                )
            yield population, activation / population.scale


def _rates(result: Result, population: Population) -> FloatArray:
    """Return the rates of a population, (n_images, *shape); zeros if it was clamped to the end."""
    return result.spike_counts[population.name] / max(1, result.window_steps(population.name))


def _by_map(values: NDArray[np.generic], population: Population) -> FloatArray:
    """Return (neurons of a map, maps)."""
    return np.asarray(values, np.float64).reshape(-1, population.shape[-1])


def _layer_row(population: Population, rate: FloatArray, target: FloatArray) -> dict[str, str | int | float]:
    """Return the row of one population in `layer_offsets`."""
    error = _by_map(rate - target, population)
    offsets, bias = error.mean(axis=0), _by_map(population.bias, population).mean(axis=0)
    return {
        "population": population.name,
        "depth": population.depth,
        "feature_maps": len(offsets),
        "mean_abs_offset": float(np.abs(offsets).mean()),
        "bias_correlation": pearson(bias, offsets),
        "pearson_r": pearson(target, rate),
        "rmse": float(np.sqrt(np.mean(error**2))),
    }

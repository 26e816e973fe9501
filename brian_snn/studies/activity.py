"""What the layers of a network do: distributions of activations, with lambda, and of firing rates."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
import pandas as pd

from brian_snn.arrays import FloatArray
from brian_snn.cli.console import Stages
from brian_snn.frontends.keras.reference import reference_activations
from brian_snn.network.network import Network
from brian_snn.plotting.activity import plot_activity
from brian_snn.results.result import Result
from brian_snn.running.simulate import simulate
from brian_snn.settings import Reset, Settings
from brian_snn.studies.drawing import Drawn, demo_subject

#: Marked in the distribution of activations.
PERCENTILES = (99.0, 99.9, 100.0)
N_BINS = 50


def activation_tables(
    network: Network, activations: Mapping[str, FloatArray], percentiles: Sequence[float] = PERCENTILES
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count the positive activations of the images that set lambda.

    Parameters
    ----------
    network : Network
    activations : dict of (n_images, *shape) float array
        By population, in the ANN's units.
    percentiles : sequence of float
        Of the positive activations, to be marked.

    Returns
    -------
    histograms : DataFrame
        One row per population and bin: ``population``, ``quantity`` ("activation"), ``low``, ``high``, ``count``.
    marks : DataFrame
        One row per population and percentile: ``population``, ``percentile``, ``value``, ``scale`` (lambda) and
        ``silent``, the fraction of activations that are 0.
    """
    histograms, marks = [], []
    for name in _spiking(network):
        values = activations[name].ravel()
        positive = values[values > 0]
        histograms.append(_histogram(name, "activation", positive, float(positive.max(initial=0.0)) or 1.0))
        row = {"population": name, "scale": float(np.max(network[name].scale)), "silent": float(np.mean(values <= 0))}
        marks += [row | {"percentile": p, "value": _percentile(positive, p)} for p in percentiles]
    return pd.concat(histograms, ignore_index=True), pd.DataFrame(marks)


def rate_tables(results: Sequence[Result], activations: Mapping[str, FloatArray]) -> pd.DataFrame:
    """Count firing rates, and the rates that would stand for the activations exactly.

    Parameters
    ----------
    results : sequence of Result
        Simulations of the same images.
    activations : dict of (n_images, *shape) float array
        By population, in the ANN's units, for these images.

    Returns
    -------
    histograms : DataFrame
        As by `activation_tables`; the quantity is a reset, or "target" for a / lambda, which is 1 where it is above.
        All are fractions of r_max from 0 to 1; silent neurons are counted in the first bin.
    """
    tables = []
    for name in _spiking(results[0].network):
        target = activations[name] / results[0].network[name].scale
        tables.append(_histogram(name, "target", np.minimum(target, 1).ravel(), 1.0))
        for result in results:
            rate = result.spike_counts[name] / max(1, result.window_steps(name))
            tables.append(_histogram(name, result.settings.reset, rate.ravel(), 1.0))
    return pd.concat(tables, ignore_index=True)


def draw(arguments: Namespace, stages: Stages) -> Drawn:
    """Draw the figure for the network and the digits that ship with the package."""
    with stages.stage("convert the trained network"):
        demo = demo_subject(arguments.images)
        network = demo.network()
        calibration = reference_activations(demo.model, network, demo.calibration)
    results = []
    for reset in get_args(Reset):
        with stages.stage(f"simulate, reset: {reset}"):
            settings = Settings(arguments.steps, reset, backend=arguments.backend)
            results.append(simulate(network, demo.digits.images, settings, workers=arguments.workers))
    activations, marks = activation_tables(network, calibration)
    histograms = pd.concat([activations, rate_tables(results, demo.activations(network))], ignore_index=True)
    shown = {row.population: f"lambda {row.scale:.4g}, {100 * row.silent:.1f} % silent" for row in marks.itertuples()}
    return Drawn(plot_activity(histograms, marks), {"histograms": histograms, "marks": marks}, shown)


def _spiking(network: Network) -> list[str]:
    """Return the populations that have rates of their own: neither max pooling nor a readout."""
    return [population.name for population in network.populations if population.kind == "spiking"]


def _histogram(population: str, quantity: str, values: FloatArray, highest: float) -> pd.DataFrame:
    """Return equal bins from 0 to `highest` and what falls into each; the last one holds its upper end too."""
    # Quotients of whole numbers, as rates are: a rate at the end of a bin is not a rounding error away from it.
    edges = highest * (np.arange(N_BINS + 1) / N_BINS)
    counts, _ = np.histogram(values, edges)
    return pd.DataFrame(
        {"population": population, "quantity": quantity, "low": edges[:-1], "high": edges[1:], "count": counts}
    )


def _percentile(positive: FloatArray, percentile: float) -> float:
    """Return a percentile of the positive activations, 0 if there are none."""
    return float(np.percentile(positive, percentile)) if len(positive) else 0.0

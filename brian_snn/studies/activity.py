"""What the layers of a network do: distributions of activations, with lambda, and of firing rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd

from brian_snn.arrays import FloatArray
from brian_snn.frontends.table import reference_activations
from brian_snn.network.network import Network
from brian_snn.plotting.activity import plot_activity
from brian_snn.plotting.style import Figure
from brian_snn.results.result import Result
from brian_snn.running.simulate import simulate
from brian_snn.settings import Execution, Reset, Settings
from brian_snn.studies.s1 import prepare
from brian_snn.studies.study import Measured, Params, Study, Watcher
from brian_snn.studies.subjects import data_path, demo_subject

#: The digits of the package.
SMALL: Params = {"images": 200, "steps": 200, "percentile": 99.9, "backend": "standalone"}
#: The same, and the network of Figure S1.
FULL: Params = {
    "images": 200,
    "steps": 200,
    "percentile": 99.9,
    "s1": {"weights": "inception_v3_notop.weights.h5", "photo": "photos/imagenet_00_243.jpg"},
}

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


@dataclass(frozen=True, eq=False)
class _Case:
    """A network, images, and its activations for the images that set its scales and for these."""

    network: Network
    images: FloatArray
    calibration: Mapping[str, FloatArray]
    activations: Mapping[str, FloatArray]


def measure(params: Params, execution: Execution, watcher: Watcher) -> Measured:
    """Measure the network of the package, and that of Figure S1 where the numbers name one."""
    tables: dict[str, pd.DataFrame] = {}
    shown: dict[str, str] = {}
    for prefix, case in _cases(params, watcher):
        results = []
        for reset in get_args(Reset):
            with watcher.stage(f"simulate, reset: {reset}"):
                settings = Settings(params["steps"], reset, backend=params.get("backend", "standalone"))
                results.append(simulate(case.network, case.images, settings, **vars(execution)))
        activations, marks = activation_tables(case.network, case.calibration)
        histograms = pd.concat([activations, rate_tables(results, case.activations)], ignore_index=True)
        tables |= {f"{prefix}histograms": histograms, f"{prefix}marks": marks}
        shown |= {
            row.population: f"lambda {row.scale:.4g}, {100 * row.silent:.1f} % silent" for row in marks.itertuples()
        }
    return Measured(tables, shown)


def plot(measured: Measured, params: Params) -> dict[str, Figure]:
    """Draw a figure a network that was measured."""
    tables = measured.tables
    return {
        stem: plot_activity(tables[f"{prefix}histograms"], tables[f"{prefix}marks"])
        for prefix, stem in (("", "activity"), ("demo_", "activity"), ("s1_", "activity_s1"))
        if f"{prefix}histograms" in tables
    }


def _cases(params: Params, watcher: Watcher) -> Iterator[tuple[str, _Case]]:
    """Yield the networks with what the names of their tables begin with: nothing, if there is one network only."""
    with watcher.stage("convert the trained network"):
        demo = demo_subject(params["images"])
        network = demo.network(params["percentile"])
        calibration = reference_activations(demo.model, network, demo.calibration)
    yield "demo_" if "s1" in params else "", _Case(network, demo.test.images, calibration, demo.activations(network))
    if "s1" in params:
        with watcher.stage("convert Inception-V3"):
            weights, photo = (data_path(params["s1"][name]) for name in ("weights", "photo"))
            # Its scales come from ten photos, the activations from this one.
            subject = prepare(str(weights), photo, percentile=params["percentile"])
        yield "s1_", _Case(subject.network, subject.image, subject.activations, subject.activations)


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


_DIGITS = {f"{network}_{table}": 6 for network in ("demo", "s1") for table in ("histograms", "marks")}

STUDY = Study(measure, plot, SMALL, FULL, "activity.json", _DIGITS)

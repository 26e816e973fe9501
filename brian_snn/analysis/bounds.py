"""Certified bounds on every firing rate, and how close the rates that were measured come to them.

A bound is proved from the network, the images and the settings, without a simulation: see
`brian_snn.analysis.envelopes` for the derivation. For reset by subtraction it falls as 1 / T towards what saturation
and the grid leave over; for reset to zero it does not.

Each layer multiplies the bounds of its sources by the sums of its absolute weights, while errors mostly cancel there.
So bounds are tight in the first layers, and a few layers on they say no more than that a rate lies between 0 and r_max:
they are vacuous then, and the table calls them so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn.analysis.batching import image_batches
from brian_snn.analysis.envelopes import envelopes
from brian_snn.analysis.measured import Measured
from brian_snn.arrays import FloatArray
from brian_snn.network.forward import forward
from brian_snn.network.network import Network
from brian_snn.network.records import Population
from brian_snn.network.roles import has_spikes, window_start
from brian_snn.results.result import Result
from brian_snn.settings import Settings

#: What the bounds of a population may be called. They are ``vacuous`` where of more than half of its neurons nothing
#: is proved but 0 <= r <= r_max, or of an output that does not spike, where the mean bound is at least the mean size of
#: its targets. Else they are ``tight`` where the mean bound is at most twice the mean error, and ``loose`` if not.
WORDS = ("tight", "loose", "vacuous")


def bounds(result: Result, activations: Mapping[str, NDArray[np.generic]] | None = None) -> pd.DataFrame:
    """Compare certified bounds on the error of every rate with the errors measured.

    The bounds follow from the network, the images and the settings alone, see `rate_bounds`.

    Parameters
    ----------
    result : Result
        A simulation.
    activations : dict of (n_images, *shape) array, optional
        Activations of the ANN for every population, as `brian_snn.analysis.ann.compare_with_ann` takes them. By
        default those of the network itself, rounded to its grid, in float64.

    Returns
    -------
    report : DataFrame
        One row per population, in units of r_max: ``bound``, the largest certified ``|r / r_max - a|`` of any neuron
        and image, with a = activation / lambda, and ``mean_bound``; ``measured`` and ``mean_measured``, the same of the
        errors measured; ``tightness``, the largest quotient of the two; ``says``, what the bounds come to, one of
        `WORDS`; ``silent``, the share of neurons that are
        proved never to spike, and ``undecided``, of which nothing but 0 <= r <= r_max is proved (both nan for an output
        that does not spike); ``holds``, whether every rate lies between its limits.

    Raises
    ------
    DataError
        If activations are missing or do not fit.
    SettingError
        As in `rate_bounds`.
    """
    if activations is None:
        activations = {
            name: values * result.network[name].scale
            for name, values in forward(result.network, result.still_images[:]).items()
        }
    measured = Measured(result, activations)
    tallies: dict[str, _Tally] = {}
    for batch in image_batches(result.network, len(result.images)):
        for population, lowest, highest in _limits(result.network, result.images[batch], result.settings):
            tally = tallies.setdefault(population.name, _Tally())
            tally.add(measured.rate(population.name, batch), measured.target(population.name, batch), lowest, highest)
    table = pd.DataFrame([{"population": name} | tally.row() for name, tally in tallies.items()])
    integrates_only = table["population"].map(measured.integrates_only)
    table.loc[integrates_only, ["silent", "undecided"]] = np.nan
    vacuous = (table["undecided"] > 0.5) | (integrates_only & (table["mean_bound"] >= table.pop("mean_target")))
    tight = table["mean_bound"] <= 2 * table["mean_measured"]
    table.insert(table.columns.get_loc("silent"), "says", np.select([vacuous, tight], ["vacuous", "tight"], "loose"))
    return table


def rate_bounds(
    network: Network, images: NDArray[np.generic], settings: Settings, names: Collection[str] | None = None
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return limits that no rate can leave, proved without a simulation.

    Parameters
    ----------
    network : Network
        On its grid.
    images : (n_images, *input_shape) array
    settings : Settings
        Of the simulation that is bounded.
    names : collection of str, optional
        Populations whose limits are kept; all by default.

    Returns
    -------
    limits : dict of str to (lowest, highest), (n_images, *shape) float arrays
        In units of r_max; of an output that does not spike, the limits of its mean charge (V(T) - V(0)) / (V_thr T').

    Raises
    ------
    SettingError
        If a setting is not covered by the derivation.
    """
    wanted = [p for p in network.populations if names is None or p.name in names]
    limits = {p.name: (np.empty((len(images), *p.shape)), np.empty((len(images), *p.shape))) for p in wanted}
    for batch in image_batches(network, len(images)):
        for population, lowest, highest in _limits(network, images[batch], settings):
            if population.name in limits:
                kept_lowest, kept_highest = limits[population.name]
                kept_lowest[batch] = lowest.reshape(-1, *population.shape)
                kept_highest[batch] = highest.reshape(-1, *population.shape)
    return limits


def _limits(
    network: Network, images: NDArray[np.generic], settings: Settings
) -> Iterator[tuple[Population, FloatArray, FloatArray]]:
    """Yield every population with its lowest and highest rate, (n_images, size)."""
    for population, envelope in envelopes(network, images, settings):
        n_steps = settings.steps - window_start(population, settings)
        if not n_steps:
            yield population, np.zeros(envelope.low.shape), np.zeros(envelope.low.shape)
            continue
        lowest = envelope.low * n_steps - envelope.below
        highest = envelope.high * n_steps + envelope.above
        if has_spikes(population, settings):
            # A count is whole and not negative. The sums above are rounded.
            rounding = settings.steps * 2.0**-49
            lowest, highest = np.ceil(np.maximum(lowest - rounding, 0.0)), np.floor(highest + rounding)
        yield population, lowest / n_steps, highest / n_steps


@dataclass
class _Tally:
    """What the bounds of one population come to, over batches of images."""

    n: int = 0
    bound: float = 0.0
    measured: float = 0.0
    tightness: float = 0.0
    sum_bound: float = 0.0
    sum_measured: float = 0.0
    sum_target: float = 0.0
    n_silent: int = 0
    n_undecided: int = 0
    holds: bool = True

    def add(self, rate: FloatArray, target: FloatArray, lowest: FloatArray, highest: FloatArray) -> None:
        """Add a batch."""
        bound, error = np.maximum(highest - target, target - lowest), np.abs(rate - target)
        self.n += rate.size
        self.bound, self.measured = max(self.bound, float(bound.max())), max(self.measured, float(error.max()))
        quotient = np.divide(error, bound, out=np.zeros(error.shape), where=error > 0)
        self.tightness = max(self.tightness, float(quotient.max()))
        self.sum_bound, self.sum_measured = self.sum_bound + float(bound.sum()), self.sum_measured + float(error.sum())
        self.sum_target += float(np.abs(target).sum())
        self.n_silent += int(((lowest == 0) & (highest == 0)).sum())
        self.n_undecided += int(((lowest <= 0) & (highest >= 1)).sum())
        self.holds &= bool(np.all((lowest <= rate) & (rate <= highest)))

    def row(self) -> dict[str, float | int | bool]:
        """Return the columns of the report."""
        return {
            "neurons": self.n,
            "bound": self.bound,
            "mean_bound": self.sum_bound / self.n,
            "measured": self.measured,
            "mean_measured": self.sum_measured / self.n,
            "mean_target": self.sum_target / self.n,
            "tightness": self.tightness,
            "silent": self.n_silent / self.n,
            "undecided": self.n_undecided / self.n,
            "holds": self.holds,
        }

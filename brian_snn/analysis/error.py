"""Account for the error of every neuron: which part of r / r_max - a / lambda has which cause, and what would lower it.

`error_terms` gives the terms neuron by neuron, `error_account` sums them up by layer, and `error_origins` follows what
arrives from the sources back to where it arose. The terms are derived, one by one, in `brian_snn.analysis.error_terms`;
they add up to the error, which the tables show beside them with what is left unexplained (rounding in float64).

Of a sum of terms that partly cancel, the share of each is its covariance with the sum: mean(term x error) over
mean(error^2). Shares add up to 1; a negative one belongs to a term that makes up for others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from brian_snn.analysis.batching import image_batches
from brian_snn.analysis.error_terms import TERMS, Split, splitter
from brian_snn.analysis.measured import Activations, ActivationsOf, Measured, measured_parts
from brian_snn.arrays import FloatArray
from brian_snn.errors import SettingError
from brian_snn.network.network import Network
from brian_snn.network.records import Population
from brian_snn.neurons.table import BOOKS, SAMPLED, neuron_of
from brian_snn.results.result import Result
from brian_snn.settings import Settings


def error_terms(result: Result, activations: Activations, name: str) -> dict[str, FloatArray]:
    """Return the terms of the error of every neuron of one population.

    Parameters
    ----------
    result : Result
        A simulation.
    activations : dict of (n_images, *shape) array
        Activations of the ANN, as `brian_snn.analysis.ann.compare_with_ann` takes them: of this population and its
        sources at least.
    name : str
        The population.

    Returns
    -------
    terms : dict of str to (n_images, *shape) float array
        In units of r_max: the terms of `TERMS` that the population can have, and ``arrives from S`` for each source S.
        Their sum is r / r_max - a / lambda to rounding in float64.

    Raises
    ------
    DataError
        If activations are missing, have another shape than their population, or belong to none.
    """
    measured, population = Measured(result, activations), result.network[name]
    split = splitter(measured, population)
    parts = [_named(split(batch)) for batch in image_batches(result.network, len(result.images))]
    return {term: np.concatenate([p[term] for p in parts]).reshape(-1, *population.shape) for term in parts[0]}


def error_account(result: Result, activations: Activations | ActivationsOf) -> pd.DataFrame:
    """Split the error of every layer into its terms.

    Parameters
    ----------
    result : Result
        A simulation.
    activations : dict of (n_images, *shape) array, or callable
        Activations of the ANN for every population, as for `error_terms`; or what returns those of a part of the
        result, which is then read part by part.

    Returns
    -------
    account : DataFrame
        One row per population and term (``arrives`` has one for each ``source``), then ``unexplained``, which is the
        error less all terms, and ``error``. Over all neurons and images: ``mean``, ``mean_abs`` and ``rms``, in units
        of r_max and, as ``mean_hz`` and so on, in Hz; ``relative``, rms over the rms of the targets; ``share``, as the
        module defines it (nan without any error); and ``knob``, which setting would lower the term.

    Raises
    ------
    DataError
        As in `error_terms`.
    """
    sums: dict[tuple[str, str, str], _Sums] = {}
    for population, split in _splits(measured_parts(result, activations)):
        for (term, source), values in _rows(split).items():
            sums.setdefault((population.name, term, source), _Sums()).add(values, split)
    return _table(result, sums)


def error_origins(result: Result, activations: Activations | ActivationsOf, by: str = "term") -> pd.DataFrame:
    """Follow the error of every layer back to where it arose.

    What arrives at a neuron is W applied to its sources' errors, and those are made of terms as well; so each error is,
    to rounding, a sum over all layers before it and over their terms, carried on by the weights. Every ReLU on the way
    lets the same share g of all of them pass, which takes the place of the term ``clipped``.

    Parameters
    ----------
    result, activations
        As for `error_account`.
    by : str
        ``term``: add up the same term of all layers; ``population``: add up all terms of a layer.

    Returns
    -------
    origins : DataFrame
        The columns of `error_account` with ``term``, or with ``origin`` in its place, and no ``source``. The shares of
        a population add up to 1.

    Raises
    ------
    DataError
        As in `error_terms`.
    SettingError
        If `by` is neither.
    """
    if by not in ("term", "population"):
        raise SettingError(f"by is {by!r}; it must be one of term, population.")
    sums: dict[tuple[str, str, str], _Sums] = {}
    followed: dict[str, dict[str, FloatArray]] = {}
    for population, split in _splits(measured_parts(result, activations)):
        followed[population.name] = _followed(split, population.name, followed, by)
        for origin, values in followed[population.name].items():
            sums.setdefault((population.name, origin, ""), _Sums()).add(values, split)
        sums.setdefault((population.name, "error", ""), _Sums()).add(split.error, split)
        followed = {name: kept for name, kept in followed.items() if _read_later(result.network, name, population)}
    table = _table(result, sums).drop(columns="source")
    return table if by == "term" else table.rename(columns={"term": "origin"}).drop(columns="knob")


def _followed(split: Split, name: str, followed: dict[str, dict[str, FloatArray]], by: str) -> dict[str, FloatArray]:
    """Return a population's error by origin: its own terms, and its sources' errors carried on."""
    own = {term: values for term, values in split.terms.items() if term != "clipped"}
    if "window" in own:
        own["window"] = split.passes * own["window"]
    totals = own if by == "term" else {name: sum(own.values(), start=np.zeros(1))}
    for source, carry in split.carriers.items():
        origins = followed[source]
        # One call for all of them: the maps take any number of images.
        carried = np.split(carry(np.concatenate(list(origins.values()))), len(origins))
        for origin, values in zip(origins, carried, strict=True):
            totals[origin] = totals.get(origin, 0.0) + split.passes * values
    return totals


def _read_later(network: Network, name: str, current: Population) -> bool:
    """Whether a population has a target behind the current one."""
    names = [p.name for p in network.populations]
    return any(names.index(p.target) > names.index(current.name) for p in network.out_of(name))


# --- one pass over all images and layers ----------------------------------------------------------------------------


def _splits(parts: Iterable[Measured]) -> Iterator[tuple[Population, Split]]:
    """Yield every population with the split of its error, layer by layer, for one batch of images after the other."""
    for measured in parts:
        network = measured.result.network
        splitters = [splitter(measured, population) for population in network.populations]
        for batch in image_batches(network, len(measured.result.images)):
            for population, split in zip(network.populations, splitters, strict=True):
                yield population, split(batch)


def _named(split: Split) -> dict[str, FloatArray]:
    """Return all terms of a split under one name each."""
    return split.terms | {f"arrives from {source}": values for source, values in split.arrives.items()}


def _rows(split: Split) -> dict[tuple[str, str], FloatArray]:
    """Return all terms by (term, source), then what they leave unexplained, and the error."""
    rows = {(term, ""): split.terms[term] for term in TERMS if term in split.terms}
    rows |= {("arrives", source): values for source, values in split.arrives.items()}
    return rows | {("unexplained", ""): split.error - sum(rows.values()), ("error", ""): split.error}


# --- the table ------------------------------------------------------------------------------------------------------


@dataclass
class _Sums:
    """Sums over neurons and images of a term, its absolute value and square, its product with the error; of squares."""

    n: int = 0
    plain: float = 0.0
    absolute: float = 0.0
    square: float = 0.0
    with_error: float = 0.0
    error_square: float = 0.0
    target_square: float = 0.0

    def add(self, values: FloatArray, split: Split) -> None:
        """Add a batch."""
        self.n += values.size
        self.plain += float(values.sum())
        self.absolute += float(np.abs(values).sum())
        self.square += float((values**2).sum())
        self.with_error += float((values * split.error).sum())
        self.error_square += float((split.error**2).sum())
        self.target_square += float((split.target**2).sum())


def _table(result: Result, sums: dict[tuple[str, str, str], _Sums]) -> pd.DataFrame:
    """Return one row per population and term."""
    rows = []
    for (population, term, source), s in sums.items():
        means = {"mean": s.plain / s.n, "mean_abs": s.absolute / s.n, "rms": float(np.sqrt(s.square / s.n))}
        rows.append(
            {"population": population, "term": term, "source": source}
            | means
            | {"relative": np.sqrt(s.square / s.target_square) if s.target_square else np.nan}
            | {"share": s.with_error / s.error_square if s.error_square else np.nan}
            | {f"{name}_hz": value / float(result.settings.dt) for name, value in means.items()}
            | {"knob": knob(term, result.settings, result.network, source)}
        )
    return pd.DataFrame(rows)


def knob(term: str, settings: Settings, network: Network, source: str = "") -> str:
    """Return what would lower a term, given the settings that it arose under; empty where nothing would.

    Parameters
    ----------
    term : str
        One of `TERMS`, or ``arrives``.
    settings, network
        Of the simulation.
    source : str
        The population from which an error arrives.
    """
    kept = {book for population in network.populations for book in neuron_of(network, population, settings).books}
    centred = settings.v_init == settings.threshold / 2
    knobs = {
        "residual": "more steps: it falls as 1/T" + ("" if centred else "; V(0) = V_thr/2 takes its mean away"),
        "transient": f"a longer clamp (now {settings.clamp}); more steps: it falls as 1/T",
        "saturation": f"a higher percentile (now {network.percentile:g})"
        if network.percentile < 100
        else "more calibration images, for a larger lambda",
        "clipped": "nothing of its own: the ReLU cuts off a part of what arrives",
        "window": f"a shorter clamp (now {settings.clamp}), or more steps: it falls as 1/T" if settings.clamp else "",
        "grid": f"a finer grid (now {network.grid:g}), down to the float32 of the trained network",
        "selection": "more steps: the maximum of rates that are off is too high",
        "pooling": "" if settings.schedule == "same_step" else "schedule same_step",
        **{book.term: book.knob for book in BOOKS if book in kept or not book.takes_excess},
        **{draws.term: draws.knob for draws in SAMPLED},
        "arrives": f"what lowers the error of {source}",
    }
    return knobs.get(term, "")

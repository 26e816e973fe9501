"""How far from the ideal neuron a converted network still works: accuracy against the size of each departure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn.analysis.classification import predictions_of, wilson_interval
from brian_snn.analysis.error import error_origins
from brian_snn.analysis.transients import pearson
from brian_snn.analysis.verify import verify
from brian_snn.arrays import FloatArray, IntArray
from brian_snn.frontends.table import scores_of
from brian_snn.network.network import Network
from brian_snn.plotting.biophysics import plot_biophysics
from brian_snn.plotting.style import Figure
from brian_snn.results.result import Result
from brian_snn.running.simulate import stream
from brian_snn.settings import Execution, Settings
from brian_snn.studies.departures import DEPARTURES, PLAIN
from brian_snn.studies.study import Measured, Params, Study, Watcher
from brian_snn.studies.subjects import Classifier, demo_subject, mnist_subject

#: The digits of the package.
SMALL: Params = {
    "images": 100,
    "steps": 100,
    "verified": 10,
    "digits": "package",
    "backend": "standalone",
    "longer": {"times": 5, "images": 20},
    "seeds": [1],
    "sizes": {name: departure.small for name, departure in DEPARTURES.items()},
}
#: Test digits of MNIST.
FULL: Params = {
    "images": 1000,
    "steps": 200,
    "verified": 40,
    "digits": "mnist",
    "longer": {"times": 5, "images": 200},
    "seeds": [1, 2, 3],
    "sizes": {name: departure.full for name, departure in DEPARTURES.items() if departure.full},
}

#: What a run is called in the tables: ``departure``, ``size``, ``unit`` and ``seed``.
Case = dict[str, Any]

#: The falls of accuracy whose sizes are looked for, in points of a hundred.
FALLS = (1, 10)


@dataclass(frozen=True, eq=False)
class Shown:
    """A network, the images that it is shown, and what the trained network made of them.

    Parameters
    ----------
    network : Network
    images : (n_images, *input_shape) float array
    labels : (n_images,) int array
    answers : (n_images,) int array
        Classes that the trained network named.
    activations : dict of (n_images, *shape) float array
        Of the trained network, by population.
    """

    network: Network
    images: FloatArray
    labels: NDArray[np.integer]
    answers: NDArray[np.integer]
    activations: Mapping[str, FloatArray]

    @classmethod
    def of(cls, digits: Classifier) -> Shown:
        """Convert a classifier and let the trained network answer."""
        network = digits.network()
        answers = scores_of(digits.model, digits.test.images).argmax(axis=1)
        return cls(network, digits.test.images, digits.labels, answers, digits.activations(network))

    def first(self, n_images: int) -> Shown:
        """Return the same for the first images."""
        activations = {name: values[:n_images] for name, values in self.activations.items()}
        return replace(
            self,
            images=self.images[:n_images],
            labels=self.labels[:n_images],
            answers=self.answers[:n_images],
            activations=activations,
        )

    @property
    def last(self) -> str:
        """The last population that spikes: the last hidden layer."""
        return next(p.name for p in reversed(self.network.populations) if p.kind == "spiking")


def measure_run(
    shown: Shown, settings: Settings, execution: Execution, verified: int
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Simulate all images in shards; verify and account for the first of them.

    Parameters
    ----------
    shown : Shown
    settings : Settings
    execution : Execution
        Its shards are replaced.
    verified : int
        Images of a shard.

    Returns
    -------
    row : dict
        ``images``, ``right``, ``low`` and ``high`` (the 95 % interval of Wilson for the share of right answers),
        ``agree`` (answers that are the trained network's); of all neurons of the last hidden layer and all images
        ``mean_error`` and ``rmse`` (of the rate minus a / lambda, as fractions of r_max) and ``pearson_r``; and
        ``largest`` with ``share``, the term that most of its mean squared error arose from, of the verified images.
    causes : DataFrame
        A row per term, the largest first: ``term``, ``share`` and ``rms`` (of r_max).
    report : DataFrame
        Of `brian_snn.verify`, every verified image stepped outside Brian2.
    """
    options = vars(execution) | {"shard_size": min(verified, len(shown.images))}
    report, causes = pd.DataFrame(), pd.DataFrame()
    predictions: list[IntArray] = []
    counts: list[IntArray] = []
    for part in stream(shown.network, shown.images, settings, **options):
        if not predictions:
            report, causes = verify(part, replay="all"), _causes(part, shown)
        predictions.append(predictions_of(part))
        counts.append(part.spike_counts[shown.last])
    answers, target = np.concatenate(predictions), shown.activations[shown.last] / shown.network[shown.last].scale
    rates = np.concatenate(counts) / settings.steps
    right, n_images = int(np.sum(answers == shown.labels)), len(shown.images)
    low, high = wilson_interval(right, n_images)
    row = {"images": n_images, "right": right, "low": low, "high": high, "agree": int(np.sum(answers == shown.answers))}
    row |= {"mean_error": float(np.mean(rates - target)), "rmse": float(np.sqrt(np.mean((rates - target) ** 2)))}
    row |= {"pearson_r": pearson(rates, target), "largest": causes["term"].iloc[0], "share": causes["share"].iloc[0]}
    return row, causes, report


def limits(points: pd.DataFrame, causes: pd.DataFrame) -> pd.DataFrame:
    """Find between which two sizes of a sweep the accuracy has fallen below that of what it is compared with.

    Parameters
    ----------
    points, causes : DataFrame
        Tables of the study. Sizes are in the order of the sweep; of several seeds the mean counts.

    Returns
    -------
    limits : DataFrame
        A row per departure: ``departure``, ``unit``; for each of `FALLS` ``within_1``, the last size before the
        accuracy is for the first time 1 point or more below, and ``beyond_1``, that size (nan where there is none);
        ``cause``, the term with the largest share of the error at the most destructive size, and its ``share``.
    """
    runs, rows = points.set_index(["departure", "size"]).sort_index(), []
    for name, sweep in points[points["departure"] != PLAIN].groupby("departure", sort=False):
        beside = DEPARTURES[name].beside
        # Of a sweep without it, plain neurons have to do.
        other = runs.loc[[beside if beside in runs.index else (PLAIN, 0.0)]].iloc[0]
        lost = 100 * (other["right"] / other["images"] - sweep["right"] / sweep["images"])
        means = lost.groupby(sweep["size"], sort=False).mean()
        row = {"departure": name, "unit": sweep["unit"].iloc[0]}
        for fall in FALLS:
            # Shares of images are decimal numbers with an error of rounding.
            beyond = [position for position, points_lost in enumerate(means) if points_lost >= fall - 1e-9]
            sizes = [np.nan, *means.index, np.nan]
            first = (beyond[0] if beyond else len(means)) + 1
            row |= {f"within_{fall}": sizes[first - 1], f"beyond_{fall}": sizes[first]}
        last = causes[(causes["departure"] == name) & (causes["size"] == means.index[-1])]
        shares = last.groupby("term")["share"].mean()
        rows.append(row | {"cause": shares.idxmax(), "share": shares.max()})
    return pd.DataFrame(rows)


def measure(params: Params, execution: Execution, watcher: Watcher) -> Measured:
    """Measure every size of every departure, those of one program one after the other; then longer runs of some."""
    with watcher.stage("convert the trained network"):
        package = params["digits"] == "package"
        shown = Shown.of(demo_subject(params["images"]) if package else mnist_subject(params["images"]))
    base = Settings(params["steps"], backend=params.get("backend", "standalone"))
    options = execution, watcher, params["verified"]
    points, causes, report = _measure_all(_cases(params), shown, base, *options)
    tables = {"points": points, "causes": causes, "limits": limits(points, causes)}
    longer = replace(base, steps=params["longer"]["times"] * base.steps)
    cases = _cases_beyond(tables["limits"], params["seeds"][0])
    tables["longer"], _, more = _measure_all(cases, shown.first(params["longer"]["images"]), longer, *options)
    right = int(np.sum(shown.answers == shown.labels))
    tables["trained"] = pd.DataFrame([{"images": len(shown.images), "right": right}])
    record = {"runs": len(points) + len(tables["longer"]), "layer": shown.last}
    return Measured(tables, _shown(tables), {"": pd.concat([report, more], ignore_index=True)}, record)


def plot(measured: Measured, params: Params) -> dict[str, Figure]:
    """Draw a panel a departure."""
    return {"biophysics": plot_biophysics(*(measured.tables[name] for name in ("points", "trained", "longer")))}


def between(within: float, beyond: float, unit: str) -> str:
    """Say in words between which sizes a fall is."""
    if np.isnan(beyond):
        return f"not even at {within:g} {unit}"
    return f"already at {beyond:g} {unit}" if np.isnan(within) else f"between {within:g} and {beyond:g} {unit}"


def _measure_all(
    cases: Iterable[Case], shown: Shown, base: Settings, execution: Execution, watcher: Watcher, verified: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the rows, the causes and the reports of all cases."""
    points, causes, reports = [], [], []
    for case in cases:
        settings = base
        if case["departure"] != PLAIN:
            settings = replace(base, seed=case["seed"], **DEPARTURES[case["departure"]].changes(case["size"]))
        with watcher.stage(_name(case)):
            row, terms, report = measure_run(shown, settings, execution, verified)
        points.append(case | {"steps": base.steps} | row)
        causes.append(terms.assign(**{key: case[key] for key in ("departure", "size", "seed")}))
        reports.append(report)
    return pd.DataFrame(points), pd.concat(causes, ignore_index=True), pd.concat(reports, ignore_index=True)


def _case(name: str, size: float = 0.0, seed: int = 0) -> Case:
    """Return what a run is called in the tables; one that draws nothing has the seed 0."""
    unit, drawn = (DEPARTURES[name].unit, DEPARTURES[name].drawn) if name != PLAIN else ("", False)
    return {"departure": name, "size": float(size), "unit": unit, "seed": seed if drawn else 0}


def _cases(params: Params) -> Iterator[Case]:
    """Yield the runs of all sweeps."""
    yield _case(PLAIN)
    for name, sizes in params["sizes"].items():
        for size in sizes:
            yield from (_case(name, size, seed) for seed in (params["seeds"] if DEPARTURES[name].drawn else [0]))


def _cases_beyond(found: pd.DataFrame, seed: int) -> Iterator[Case]:
    """Yield a run at the first size of each departure that costs as much as the largest fall looked for."""
    yield _case(PLAIN)
    for row in found.dropna(subset=f"beyond_{FALLS[-1]}").to_dict("records"):
        yield _case(row["departure"], row[f"beyond_{FALLS[-1]}"], seed)


def _name(case: Mapping[str, Any]) -> str:
    """Return what a stage is called."""
    if case["departure"] == PLAIN:
        return "plain neurons"
    return f"{case['departure']}, {case['size']:g} {case['unit']}" + (f", seed {case['seed']}" if case["seed"] else "")


def _causes(part: Result, shown: Shown) -> pd.DataFrame:
    """Return from which terms the error of the last hidden layer arose, for the first images."""
    activations = {name: values[: len(part.images)] for name, values in shown.activations.items()}
    origins = error_origins(part, activations)
    own = origins[(origins["population"] == shown.last) & (origins["term"] != "error")]
    return own.sort_values("share", ascending=False, ignore_index=True)[["term", "share", "rms"]]


def _shown(tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Return the accuracies without any departure, and at which size of each they fall."""
    lines = {"trained network": tables["trained"].iloc[0], "plain neurons": tables["points"].iloc[0]}
    shown = {name: f"{100 * row['right'] / row['images']:.2f} % right" for name, row in lines.items()}
    for row in tables["limits"].to_dict("records"):
        falls = (between(row[f"within_{fall}"], row[f"beyond_{fall}"], row["unit"]) for fall in FALLS)
        says = (f"{fall} points lost {where}" for fall, where in zip(FALLS, falls, strict=True))
        shown[row["departure"]] = "; ".join(says).replace("1 points", "1 point", 1)
    return shown


STUDY = Study(
    measure, plot, SMALL, FULL, "biophysics.json", digits={"points": 5, "causes": 4, "limits": 4, "longer": 5}
)

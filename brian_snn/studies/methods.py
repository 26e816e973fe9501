"""Every way to convert a network for few steps beside the others: errors, and clipping, quantisation, unevenness."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from brian_snn.analysis.causes import NAMES, error_causes
from brian_snn.analysis.classification import bootstrap_interval, predictions_of
from brian_snn.analysis.verify import verify
from brian_snn.arrays import FloatArray
from brian_snn.calibration.images import shift_offset_spikes, silence_negative
from brian_snn.calibration.layers import calibrate_biases, calibrate_scales
from brian_snn.conversion.convert import convert
from brian_snn.frontends.table import reference_activations, scores_of
from brian_snn.network.network import Network
from brian_snn.plotting.methods import plot_methods
from brian_snn.plotting.style import Figure
from brian_snn.running.simulate import simulate
from brian_snn.settings import Execution
from brian_snn.studies.study import Measured, Params, Study, Watcher
from brian_snn.studies.subjects import Classifier, demo_subject

#: The digits and the network of the package; the methods for networks with levels need some that were trained so.
SMALL: Params = {"steps": 16, "images": 40, "calibration": 40, "first_steps": 4, "backend": "standalone"}
#: Test images of MNIST and Fashion-MNIST, for five networks each of experiments/networks, and five with levels.
FULL: Params = {
    "steps": 64,
    "images": 100,
    "calibration": 100,
    "first_steps": 4,
    "seeds": [1, 2, 3, 4, 5],
    "levels": 4,
    "training": {"images": 20000, "batch_size": 128, "learning_rate": 0.001},
}

#: So many steps are verified, of so many images, for networks of these seeds (the package's has 0).
VERIFIED_STEPS, VERIFIED_IMAGES, VERIFIED_SEEDS = 4, 20, (0, 1)

Prepared = tuple[Network, FloatArray]


@dataclass(frozen=True, eq=False)
class Case:
    """What a method is given: a network and images to show it, those of the calibration, T, and the settings."""

    network: Network
    images: FloatArray
    calibration: FloatArray
    steps: int
    first_steps: int
    options: Mapping[str, Any]


def _as_it_is(case: Case) -> Prepared:
    return case.network, case.images


def _with_scales(case: Case) -> Prepared:
    return calibrate_scales(case.network, case.calibration, case.steps), case.images


def _with_biases(case: Case) -> Prepared:
    network = calibrate_scales(case.network, case.calibration, case.steps)
    return calibrate_biases(network, case.calibration, steps=case.steps, **case.options), case.images


def _two_stages(case: Case) -> Prepared:
    return silence_negative(case.network, case.images, case.first_steps, **case.options)


def _offset_spikes(case: Case) -> Prepared:
    return shift_offset_spikes(case.network, case.images, case.steps, case.first_steps, **case.options)


@dataclass(frozen=True, eq=False)
class Method:
    """A way to convert.

    Parameters
    ----------
    percentile, normalisation
        Of the conversion.
    settings : dict
        Of the simulation.
    prepare : callable
        From a `Case` to the network and the images to simulate.
    levels : bool
        Whether it is for a network that was trained with levels; its averages are linear, as in the papers.
    most_steps : int
        Largest T: of frames there is one for each step.
    """

    percentile: float = 99.9
    normalisation: str = "layer"
    settings: Mapping[str, Any] = field(default_factory=lambda: {"v_init": 0.5})
    prepare: Callable[[Case], Prepared] = _as_it_is
    levels: bool = False
    most_steps: int = 2**16


_ZERO: Mapping[str, Any] = {"v_init": 0.0}

#: By the names of the table, with the papers that they are of.
METHODS = {
    "largest activation": Method(100.0, settings=_ZERO),  # Diehl et al. 2015
    "percentile 99.9": Method(settings=_ZERO),  # Rueckauer et al. 2017
    "percentile 99": Method(99.0, settings=_ZERO),
    "channel-wise": Method(normalisation="channel", settings=_ZERO),  # Kim et al. 2020
    "V(0) = V_thr/2": Method(),  # Deng and Gu 2021, Bu et al. 2022
    "calibrated lambda": Method(prepare=_with_scales),  # Li et al. 2021
    "and biases": Method(prepare=_with_biases),  # Li et al. 2021
    "bursts of 4": Method(settings={"v_init": 0.5, "burst": 4}),  # Li and Zeng 2022
    "two stages": Method(prepare=_two_stages),  # Hao et al. 2023, AAAI
    "offset spikes": Method(prepare=_offset_spikes, most_steps=8),  # Hao et al. 2023, ICLR
    "levels": Method(levels=True),  # Bu et al. 2022
    "levels, two stages": Method(prepare=_two_stages, levels=True),
    "levels, offset spikes": Method(prepare=_offset_spikes, levels=True, most_steps=8),
    "levels, signed spikes": Method(settings={"v_init": 0.5, "polarity": "signed"}, levels=True),  # Wang et al. 2022
}


def durations(steps: int) -> list[int]:
    """Return T of all runs: the powers of two up to a number of steps."""
    return [2**k for k in range(steps.bit_length())]


def measure(
    params: Params, execution: Execution, watcher: Watcher,
    subjects: Iterable[tuple[str, int, Classifier, Classifier | None]] = (),
) -> Measured:  # fmt: skip
    """Measure all methods.

    Parameters
    ----------
    subjects : iterable of tuple
        Name of a data set, seed, a trained network, and one with levels, if there is one; the package's by default.
    """
    points: list[pd.DataFrame] = []
    trained: list[dict[str, Any]] = []
    reports: dict[str, pd.DataFrame] = {}
    for dataset, seed, plain, with_levels in subjects or [("MNIST", 0, demo_subject(params["images"]), None)]:
        for levels, subject in ((False, plain), (True, with_levels)):
            if subject is None:
                continue
            with watcher.stage(f"{dataset} {seed}{', levels' * levels}"):
                found, checked = _points(subject, levels, params, execution, seed in VERIFIED_SEEDS)
            named = {"dataset": dataset, "seed": seed}
            points.append(found.assign(**named))
            trained.append({**named, "levels": levels, **_trained(subject)})
            reports |= {f"{dataset}, {name}": report for name, report in checked.items()}
    table, networks = pd.concat(points, ignore_index=True), pd.DataFrame(trained)
    tables = {"points": table, "trained": networks, "summary": summary(table, networks)}
    return Measured(tables, _shown(tables["summary"]), reports, {"workers": execution.workers})


def _points(
    subject: Classifier, levels: bool, params: Params, execution: Execution, check: bool
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Return a row per method and T, and the reports of what was verified."""
    rows: list[dict[str, Any]] = []
    reports: dict[str, pd.DataFrame] = {}
    networks: dict[tuple[float, str], Network] = {}
    activations: Mapping[str, FloatArray] = {}
    for name, method in METHODS.items():
        if method.levels != levels:
            continue
        key = (method.percentile, method.normalisation)
        if key not in networks:
            pooling = "linear" if levels else "spiking"
            networks[key] = convert(subject.model, subject.calibration, *key, average_pooling=pooling)
        network = networks[key]
        activations = activations or reference_activations(subject.model, network, subject.test.images)
        options = {**method.settings, **vars(execution), "backend": params.get("backend", "standalone")}
        calibration = subject.calibration[: params["calibration"]]
        for steps in durations(min(params["steps"], method.most_steps)):
            case = Case(network, subject.test.images, calibration, steps, params["first_steps"], options)
            prepared, images = method.prepare(case)
            result = simulate(prepared, images, steps=steps, **options)
            output = error_causes(result, activations).set_index("population").loc[network.output.name]
            wrong = int(np.sum(predictions_of(result) != subject.labels))
            events = float(np.mean(result.synaptic_events))
            rows.append(
                {"method": name, "steps": steps, "wrong": wrong, "images": len(subject.labels), "events": events}
                | output.to_dict()
            )
            if check and steps == VERIFIED_STEPS:
                reports[name] = verify(simulate(prepared, images[:VERIFIED_IMAGES], steps=steps, **options))
    return pd.DataFrame(rows), reports


def _trained(subject: Classifier) -> dict[str, int]:
    """Return the errors of the network before conversion."""
    answers = scores_of(subject.model, subject.test.images).argmax(axis=1)
    return {"wrong": int(np.sum(answers != subject.labels)), "images": len(subject.labels)}


def summary(points: pd.DataFrame, trained: pd.DataFrame) -> pd.DataFrame:
    """Return means over networks with their 95 % intervals of the bootstrap.

    Parameters
    ----------
    points, trained : DataFrame
        As `measure` returns them.

    Returns
    -------
    summary : DataFrame
        A row per data set, method and T. ``error`` in per cent; ``above`` that of the network that was converted, in
        points; ``relative``, rms error of the logits over their rms; the share of each of
        `brian_snn.analysis.causes.NAMES` in it; and ``lead``, the share of quantisation less that of unevenness. With
        columns that end in low and high.
    """
    ann = trained.set_index(["dataset", "seed", "levels"])
    share = 100 * ann["wrong"] / ann["images"]
    keys = zip(points["dataset"], points["seed"], [METHODS[name].levels for name in points["method"]], strict=True)
    error = 100 * points["wrong"] / points["images"]
    values = points.assign(
        error=error,
        above=error - np.array([share[key] for key in keys]),
        lead=points["quantisation"] - points["unevenness"],
    )
    rows = []
    for (dataset, method, steps), group in values.groupby(["dataset", "method", "steps"], sort=False):
        row: dict[str, Any] = {"dataset": dataset, "method": method, "steps": steps, "networks": len(group)}
        for name in ("error", "above", "events", "relative", *NAMES, "lead"):
            low, high = bootstrap_interval(group[name])
            row |= {name: group[name].mean(), f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def plot(measured: Measured, params: Params) -> dict[str, Figure]:
    """Draw errors over T, and the causes of the error of the logits at two of them."""
    return {"methods": plot_methods(measured.tables["summary"], measured.tables["trained"])}


def _shown(table: pd.DataFrame) -> dict[str, str]:
    """Return error and causes of each method at each T."""
    return {
        f"{row.dataset}, {row.method}, T = {row.steps}": f"{row.error:.1f} % wrong; "
        + ", ".join(f"{name} {100 * getattr(row, name):.0f} %" for name in NAMES)
        for row in table.itertuples()
    }


STUDY = Study(measure, plot, SMALL, FULL, "methods.json", digits={"points": 5, "summary": 4})

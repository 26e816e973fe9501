"""What few bits cost: error against steps for weights of few bits, and against the bits of the potentials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd

from brian_snn.analysis.accumulators import accumulator_bits, measured_bits, signed_bits
from brian_snn.analysis.classification import choices_over_time, wilson_interval
from brian_snn.analysis.energy import EnergyModel, energy
from brian_snn.analysis.verify import verify
from brian_snn.conversion.quantise import quantise
from brian_snn.datasets import first_images
from brian_snn.network.network import Network
from brian_snn.plotting.bits import plot_bits
from brian_snn.plotting.style import Figure
from brian_snn.running.simulate import simulate, stream
from brian_snn.settings import Execution, Overflow, Settings
from brian_snn.studies.accuracy import checkpoints_up_to
from brian_snn.studies.study import Measured, Params, Study, Watcher
from brian_snn.studies.subjects import Classifier, demo_subject, mnist_subject

#: The digits of the package. Weights of 0 bits are not rounded; potentials of 0 bits are as wide as they need to be.
SMALL: Params = {
    "weight_bits": [3, 4, 5, 0],
    "scales": "channel",
    "finer_biases": 2,
    "grid": 2**-8,
    "narrow_weight_bits": 5,
    "potential_bits": [10, 12, 14, 16, 18],
    "steps": 100,
    "checkpoints": 16,
    "images": 200,
    "narrow_images": 200,
    "traced_images": 3,
    "digits": "package",
    "backend": "standalone",
}
#: Test digits of MNIST.
FULL: Params = {
    "weight_bits": [2, 3, 4, 5, 6, 8, 0],
    "scales": "channel",
    "finer_biases": 2,
    "grid": 2**-8,
    "narrow_weight_bits": 5,
    "potential_bits": [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
    "steps": 200,
    "checkpoints": 30,
    "images": 10000,
    "narrow_images": 2000,
    "traced_images": 20,
    "digits": "mnist",
}


def measure(params: Params, execution: Execution, watcher: Watcher) -> Measured:
    """Measure the errors over weight bits and steps, the widths proved and taken, and the errors over the widths."""
    with watcher.stage("convert the trained network"):
        digits = demo_subject(params["images"]) if params["digits"] == "package" else mnist_subject(params["images"])
        network = digits.network()
    settings = Settings(params["steps"], backend=params.get("backend", "standalone"))
    parts: dict[str, list[pd.DataFrame]] = {"curves": [], "ends": [], "widths": [], "reports": []}
    for bits in params["weight_bits"]:
        with watcher.stage(f"weights of {bits} bits" if bits else "weights that are not rounded"):
            rounded = rounded_network(network, bits, params)
            proved, report = potential_widths(rounded, digits, settings, params["traced_images"])
            model = EnergyModel(weight_bits=bits or 32, potential_bits=int(proved["bits"].max()))
            measured = error_curve(rounded, digits, settings, execution, params["checkpoints"], model)
        for name, table in zip(parts, (*measured, proved, report), strict=True):
            parts[name].append(table.assign(weight_bits=bits))
    parts["narrow"] = list(_narrow(network, digits, settings, params, execution, watcher))
    tables = {name: pd.concat(rows, ignore_index=True) for name, rows in parts.items()}
    report = tables.pop("reports")
    return Measured(tables, _shown(tables), {"": report})


def rounded_network(network: Network, bits: int, params: Params) -> Network:
    """Return a network with weights of so many bits, or the network itself for 0."""
    return quantise(network, bits, params["scales"], params["finer_biases"], params["grid"]) if bits else network


def error_curve(
    network: Network, digits: Classifier, settings: Settings, execution: Execution, n_checkpoints: int,
    model: EnergyModel,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Simulate all digits, count errors at every checkpoint, and estimate the energy of the whole run.

    Returns
    -------
    curve : DataFrame
        A row per checkpoint: ``steps``, ``wrong``, ``images``, and ``low`` and ``high``, the 95 % interval of Wilson of
        the error.
    end : DataFrame
        One row: ``steps``, ``wrong``, ``images``, the interval, ``additions`` and ``updates`` per image, and the
        estimates ``trained_nj`` and ``spiking_nj``, with ``operations_nj``, the part of the second that is no memory.
    """
    checkpoints = checkpoints_up_to(settings.steps, n_checkpoints)
    wrong, n_done, parts = np.zeros(len(checkpoints), int), 0, []
    for part in stream(network, digits.test.images, settings, checkpoints=checkpoints, **vars(execution)):
        labels = digits.labels[n_done : n_done + len(part.images)]
        wrong += np.sum(choices_over_time(part) != labels, axis=1)
        n_done += len(part.images)
        parts.append(energy(part, model).set_index("network") * len(part.images))
    means = sum(parts[1:], start=parts[0]) / n_done
    curve = _with_interval(pd.DataFrame({"steps": checkpoints, "wrong": wrong, "images": n_done}))
    spiking = means.loc["spiking"]
    estimate = {"trained_nj": means.loc["trained", "total_nj"], "spiking_nj": spiking["total_nj"]}
    counts = {name: spiking[name] for name in ("additions", "updates", "operations_nj")}
    return curve, curve.tail(1).assign(**counts, **estimate)


def potential_widths(
    network: Network, digits: Classifier, settings: Settings, n_traced: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the bits of V that are proved, and those that some images take in any step, and the verification of these.

    Returns
    -------
    widths : DataFrame
        Of `brian_snn.analysis.accumulators.accumulator_bits`, for any image, with ``measured_bits`` in the same units.
    report : DataFrame
        Of `brian_snn.verify`.
    """
    proved = accumulator_bits(network, settings)
    names = list(proved["population"])
    images = first_images(digits.test, min(n_traced, len(digits.test.images))).images
    result = simulate(network, images, replace(settings, backend="runtime"), record_potentials=names)
    taken = measured_bits(result)
    # The currents of these images may have a coarser unit than those of any.
    ratio = (taken["unit"] / proved["unit"]).astype(int)
    ends = zip(taken["measured_lowest"] * ratio, taken["measured_highest"] * ratio, strict=True)
    bits = [signed_bits(int(lowest), int(highest)) for lowest, highest in ends]
    return proved.assign(measured_bits=bits), verify(result)


def _narrow(
    network: Network, digits: Classifier, settings: Settings, params: Params, execution: Execution, watcher: Watcher
) -> Iterator[pd.DataFrame]:
    """Yield the errors at the end, for potentials of few bits that saturate or wrap."""
    rounded = rounded_network(network, params["narrow_weight_bits"], params)
    shown = first_images(digits.test, min(params["narrow_images"], len(digits.test.images)))
    assert shown.labels is not None, "the images of a study have labels"
    for overflow in get_args(Overflow):
        for bits in params["potential_bits"]:
            with watcher.stage(f"potentials of {bits} bits that {overflow}"):
                case = replace(settings, accumulator_bits=bits, overflow=overflow)
                parts = stream(rounded, shown.images, case, **vars(execution))
                predictions = np.concatenate([part.predictions for part in parts])
            row = {"overflow": overflow, "potential_bits": bits, "wrong": int(np.sum(predictions != shown.labels))}
            yield _with_interval(pd.DataFrame([row | {"images": len(shown.images)}]))


def _with_interval(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of ``wrong`` of ``images`` with the ends of the interval of Wilson, as shares."""
    pairs = zip(rows["wrong"], rows["images"], strict=True)
    low, high = np.transpose([wilson_interval(wrong, images) for wrong, images in pairs])
    return rows.assign(low=low, high=high)


def _shown(tables: dict[str, pd.DataFrame]) -> dict[str, str]:
    """Return errors and widths at the end."""
    shown = {}
    for row in tables["ends"].itertuples():
        widths = tables["widths"][tables["widths"]["weight_bits"] == row.weight_bits]
        name = f"weights of {row.weight_bits} bits" if row.weight_bits else "weights not rounded"
        shown[name] = (
            f"{100 * row.wrong / row.images:.2f} % wrong, V of {widths['bits'].max()} bits proved, "
            f"{widths['measured_bits'].max()} taken"
        )
    for row in tables["narrow"].itertuples():
        shown[f"V of {row.potential_bits} bits, {row.overflow}"] = f"{100 * row.wrong / row.images:.2f} % wrong"
    return shown


def plot(measured: Measured, params: Params) -> dict[str, Figure]:
    """Draw errors over steps, widths of the populations, and errors over widths."""
    tables = measured.tables
    widths = tables["widths"][tables["widths"]["weight_bits"] == params["narrow_weight_bits"]]
    return {"bits": plot_bits(tables["curves"], widths, tables["narrow"])}


STUDY = Study(measure, plot, SMALL, FULL, "bits.json", digits={"ends": 10, "curves": 10, "narrow": 10})

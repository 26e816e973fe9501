"""The whole program on one page: convert a digit classifier, simulate it with both resets, verify, show, write.

The model and the digits ship with the package, so nothing is downloaded. What is compared with the trained network is
compared with the trained network itself: the accuracy, and the activations of every layer.
"""

from __future__ import annotations

from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from brian_snn.analysis.ann import compare_with_ann
from brian_snn.analysis.classification import accuracy, predictions_of
from brian_snn.analysis.operations import COUNT_NAMES, ann_operations, operations_by_population, snn_operations
from brian_snn.analysis.summary import Row, accuracy_over_time, population_rows, projection_note, write_csv
from brian_snn.analysis.verdict import holds
from brian_snn.analysis.verify import verify
from brian_snn.arrays import FloatArray
from brian_snn.cli.console import RESIDUAL_NOTE, Stages, heading, new_console, table, verdict, verification_rows
from brian_snn.cli.options import FAILED
from brian_snn.conversion.convert import convert
from brian_snn.datasets import Dataset, first_images, load_demo
from brian_snn.escaping import csv_safe
from brian_snn.files import check_target, files_in, staged_folder
from brian_snn.frontends.table import load_model, reference_activations
from brian_snn.network.network import Network
from brian_snn.network.output import answer_of
from brian_snn.plotting.accuracy import plot_accuracy
from brian_snn.plotting.digits import plot_images
from brian_snn.plotting.gallery import checkpoint_times_ms, correlation_figure, raster_figure, rate_law_figure
from brian_snn.plotting.style import RESET_LABELS, save_figure
from brian_snn.results.result import Result
from brian_snn.running.simulate import simulate
from brian_snn.setting_options import settings_from
from brian_snn.settings import Reset, Settings

RESETS: tuple[Reset, ...] = get_args(Reset)

#: Points of the accuracy curve; in process every stop costs as much as many steps.
_N_CHECKPOINTS = {"standalone": 100, "runtime": 4}

#: Layers in the spike raster.
_N_RASTER = 4


@dataclass(frozen=True, eq=False)
class DemoRun:
    """Everything that the demo shows: the digits, the trained network's activations, and by reset the rest."""

    network: Network
    digits: Dataset
    activations: dict[str, FloatArray]
    results: dict[str, Result]
    reports: dict[str, pd.DataFrame]
    comparisons: dict[str, pd.DataFrame]
    raster: Result

    @property
    def labels(self) -> NDArray[np.integer]:
        """The true classes of the digits."""
        assert self.digits.labels is not None, "the shipped digits have labels"
        return self.digits.labels


def run(arguments: Namespace) -> int:
    """Run the demo and return the exit code: 0, or 1 if an equation does not hold."""
    console, settings = new_console(), settings_from(arguments)
    check_target(arguments.output, "folder", arguments.force, replace_own=True)
    network, digits, activations = _convert(console, arguments.images)
    results, raster = _simulate(console, network, digits, settings, arguments.workers)
    with Stages() as stages, stages.stage("verify every neuron"):
        reports = {reset: verify(result) for reset, result in results.items()}
        comparisons = {reset: compare_with_ann(result, activations) for reset, result in results.items()}
    demo = DemoRun(network, digits, activations, results, reports, comparisons, raster)
    _show(console, demo)
    with Stages() as stages, stages.stage("draw and write"), staged_folder(arguments.output) as folder:
        _write(demo, folder)
    console.print(f"\nwrote {arguments.output}:")
    console.print("\n".join(f"  {name}" for name in files_in(arguments.output)))
    return 0 if all(map(holds, reports.values())) else FAILED


def _convert(console: Console, n_images: int | None) -> tuple[Network, Dataset, dict[str, FloatArray]]:
    """Load the model and the digits, convert, and ask the trained network for its activations; show the populations."""
    model_path, test, calibration = load_demo()
    digits = first_images(test, n_images)
    with Stages() as stages:
        with stages.stage("load the trained network"):
            model = load_model(model_path)
        with stages.stage("convert"):
            network = convert(model_path, calibration.images)
        with stages.stage("classify with Keras"):
            activations = reference_activations(model, network, digits.images)
    layers = table(population_rows(network), ("layer", "kind"))
    console.print(heading("The spiking network"), layers, projection_note(network), "", sep="\n")
    return network, digits, activations


def _simulate(
    console: Console, network: Network, digits: Dataset, settings: Settings, workers: int
) -> tuple[dict[str, Result], Result]:
    """Simulate all digits with both resets, and the first one again in process with its spike trains."""
    checkpoints = np.unique(np.linspace(1, settings.steps, _N_CHECKPOINTS[settings.backend]).round().astype(int))
    results: dict[str, Result] = {}
    with Stages() as stages:
        for reset in RESETS:
            bars = stages.simulation(RESET_LABELS[reset], len(digits.images))
            results[reset] = simulate(
                *(network, digits.images, settings),
                reset=reset,
                checkpoints=checkpoints,
                labels=digits.labels,
                workers=workers,
                **bars.callbacks,
            )
            bars.finish(results[reset].timings_s)
        with stages.stage("record spike trains of one digit"):
            # In process, because another set of recorded layers is another program to compile; the spikes are the same.
            here = replace(settings, reset=RESETS[0], backend="runtime")
            raster = simulate(network, digits.images[:1], here, record_spikes=_raster_layers(network))
    return results, raster


def _raster_layers(network: Network) -> list[str]:
    """Return a few spiking populations, evenly spread from the first to the last."""
    names = [p.name for p in network.populations if p.kind != "readout"]
    chosen = np.unique(np.linspace(0, len(names) - 1, _N_RASTER).round().astype(int))
    return [names[index] for index in chosen]


def _show(console: Console, demo: DemoRun) -> None:
    """Print the verification of both resets and the summary."""
    for reset, report in demo.reports.items():
        title = heading(f"Largest residual charge, {RESET_LABELS[reset]}", RESIDUAL_NOTE)
        console.print(title, table(verification_rows(report), ("population",)), verdict(report), sep="\n")
    title = heading("Firing rates against activations of the trained network", "an approximation by nature")
    console.print(title, table(_comparison_rows(demo), ("population",)), sep="\n")
    console.print(heading("Accuracy and effort"), table(_summary_rows(demo), ("network",)), "", sep="\n")


def _comparison_rows(demo: DemoRun) -> list[Row]:
    """Return correlation and error in Hz of the rates of each population, side by side for both resets."""
    rows: dict[str, dict[str, object]] = {}
    for reset, comparison in demo.comparisons.items():
        # An output that integrates has no rate.
        for _, line in comparison[comparison["population"] != demo.network.output.name].iterrows():
            row = rows.setdefault(line["population"], {"population": line["population"]})
            row[f"r, {reset}"] = f"{line['pearson_r']:.4f}"
            row[f"rms error, {reset} (Hz)"] = f"{line['rmse_hz']:.1f}"
    return list(rows.values())


def _summary_rows(demo: DemoRun) -> list[Row]:
    """Return accuracy and operations per image of the trained network and of the spiking one with both resets."""
    answers = {"trained network (Keras)": _trained_predictions(demo)}
    operations = {name: {"trained network (Keras)": ann_operations(demo.network, c)} for c, name in COUNT_NAMES.items()}
    for reset, result in demo.results.items():
        name = f"spiking, {RESET_LABELS[reset]}"
        answers[name] = predictions_of(result)
        for count, counted in COUNT_NAMES.items():
            operations[counted][name] = snn_operations(result, count).mean()
    accuracies = {name: accuracy(demo.labels, given) for name, given in answers.items()}
    return [
        {
            "network": name,
            f"accuracy on {len(demo.labels)} digits": f"{100 * right.share:.2f} %",
            "95 % interval": f"{100 * right.low:.2f} to {100 * right.high:.2f} %",
        }
        | {f"{counted} per image": f"{values[name]:,.0f}" for counted, values in operations.items()}
        for name, right in accuracies.items()
    ]


def _trained_predictions(demo: DemoRun) -> np.ndarray:
    """Return the classes that the trained network gives the digits."""
    logits = demo.activations[demo.network.output.name]
    return answer_of(demo.network).of(logits)


def _write(demo: DemoRun, folder: Path) -> None:
    """Write network, results, tables and figures."""
    demo.network.save(folder / "network.npz")
    # Packing the arrays leaves the interpreter free to draw.
    with ThreadPoolExecutor() as pool:
        saves = [pool.submit(result.save, folder / f"result_{reset}") for reset, result in demo.results.items()]
        _write_tables(demo, folder)
        _draw(demo, folder)
    for save in saves:
        save.result()


def _write_tables(demo: DemoRun, folder: Path) -> None:
    """Write every table as CSV."""
    write_csv(population_rows(demo.network), folder / "populations.csv")
    write_csv(_summary_rows(demo), folder / "summary.csv")
    by_reset = {
        "verification": demo.reports,
        "rates_and_activations": demo.comparisons,
        "operations": {r: operations_by_population(result) for r, result in demo.results.items()},
    }
    for name, tables in by_reset.items():
        rows = [frame.assign(reset=reset) for reset, frame in tables.items()]
        csv_safe(pd.concat(rows)).to_csv(folder / f"{name}.csv", index=False)
    pd.DataFrame(_accuracy_curves(demo)).to_csv(folder / "accuracy_over_time.csv", index=False)


def _accuracy_curves(demo: DemoRun) -> dict[str, FloatArray]:
    """Return the columns of the accuracy curve: simulated time, and accuracy by reset."""
    times = {"time_ms": checkpoint_times_ms(demo.results[RESETS[0]])}
    return times | {reset: accuracy_over_time(result, demo.labels) for reset, result in demo.results.items()}


def _draw(demo: DemoRun, folder: Path) -> None:
    """Draw every figure into the folder."""
    labels = demo.labels
    trained, curves = _trained_predictions(demo), _accuracy_curves(demo)
    for reset, result in demo.results.items():
        save_figure(correlation_figure(result, demo.activations), folder / f"correlation_{reset}.png")
    save_figure(rate_law_figure(list(demo.results.values())), folder / "rate_equations.png")
    accuracies = {reset: curves[reset] for reset in demo.results}
    figure = plot_accuracy(curves["time_ms"], accuracies, accuracy(labels, trained).share, len(labels))
    save_figure(figure, folder / "accuracy_over_time.png")
    title = f"Spikes while a {labels[0]} is shown, {RESET_LABELS[demo.raster.settings.reset]}"
    save_figure(raster_figure(demo.raster, title=title), folder / "spike_raster.png")
    predictions = {"T": trained} | {reset[0].upper(): predictions_of(result) for reset, result in demo.results.items()}
    title = (
        f"{len(labels)} digits and their classes. In orange, what misread one and as what (Z8: as an 8):\n"
        "T, framed, the trained network; S, reset by subtraction; Z, reset to zero"
    )
    save_figure(plot_images(demo.digits.images, labels, predictions, title=title), folder / "digits.png")

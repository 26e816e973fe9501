"""Sections of the report that show what was measured: answers, network, spikes, residuals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn.analysis.classification import Accuracy, accuracy, confusion_matrix, confusions, predictions_of
from brian_snn.analysis.operations import (
    COUNT_COLUMNS,
    COUNT_NAMES,
    ann_operations,
    operations_by_population,
    snn_operations,
    uneven_fan_out,
)
from brian_snn.analysis.summary import activity_rows, error_over_time, population_rows
from brian_snn.analysis.transients import pearson
from brian_snn.arrays import FloatArray, IntArray
from brian_snn.network.output import answer_of
from brian_snn.plotting.correlation import plot_values
from brian_snn.plotting.error_over_time import plot_error_over_time
from brian_snn.plotting.style import count_label
from brian_snn.report.blocks import NOTHING, Block, Cell, Section, Table, Text, cell, pairs, percent, picture, table
from brian_snn.report.gather import Run

# A matrix of more classes cannot be read; the mistakes are listed instead.
_MATRIX_CLASSES = 25
_LISTED_MISTAKES = 20


def head_numbers(run: Run) -> dict[str, Cell]:
    """Return the few numbers that stand at the head of the page."""
    residuals = run.verification["max_residual_charge"]
    numbers = {"images": cell(len(run.result.images)), "steps per image": cell(run.result.settings.steps)}
    if run.labels is not None and run.trained is not None:
        answers = {"the spiking network": predictions_of(run.result), "the trained network": run.trained}
        found = {name: accuracy(run.labels, given) for name, given in answers.items()}
        numbers = {
            f"accuracy of {name}; 95 % interval {_interval(right)}": percent(right.share)
            for name, right in found.items()
        } | numbers
    return numbers | {
        f"{COUNT_NAMES['synapses']} per image": cell(round(float(snn_operations(run.result).mean()))),
        "comparisons": cell(int(run.verification["neurons"].sum())),
        "largest residual charge": cell(float(residuals.max()), "good" if residuals.max() == 0 else "bad"),
    }


# --- answers --------------------------------------------------------------------------------------------------------


def answers(run: Run) -> Section:
    """Return the section of accuracy and confusions, or of values measured and expected where they are numbers."""
    if run.trained is None:
        return Section("answers", "Answers", _numbers(run))
    predictions = predictions_of(run.result)
    blocks: list[Block] = [table("Classes that the networks name", _answer_rows(run, predictions, run.trained))]
    if run.labels is None:
        blocks.append(Text("The run folder has no labels.npy, so nothing is said of right and wrong."))
        return Section("answers", "Answers", tuple(blocks))
    if run.result.output_history is not None and len(run.result.checkpoints) > 1:
        blocks += _error_over_time(run, run.labels, run.trained)
    blocks.append(_confusion(run.labels, predictions))
    return Section("answers", "Answers", tuple(blocks))


def _error_over_time(run: Run, labels: NDArray[np.int64], trained: IntArray) -> tuple[Block, ...]:
    """Return the main figure of the field: the error over the steps and over the operations, and its numbers."""
    curve = error_over_time(run.result, labels)
    of_trained = 1 - accuracy(labels, trained).share
    estimated = [name for name in uneven_fan_out(run.result.network) if name not in run.result.count_history]
    text = (
        "The error of an answer that is given at a step, and what it has cost until then (mean over all images); the "
        "band is the 95 % interval of Wilson, no error is drawn as half of one, and the lines are the trained network."
    )
    if estimated:
        text += (
            f" Operations before the last step are estimated, since neurons of {', '.join(estimated)} differ in "
            "fan-out and their counts were not recorded (--record-counts)."
        )
    figure = plot_error_over_time(curve, of_trained, ann_operations(run.result.network))
    shown = curve.rename(columns={column: f"{COUNT_NAMES[count]} per image" for count, column in COUNT_COLUMNS.items()})
    return picture(figure, text), table("Error and operations at the checkpoints", shown, folded=True)


def _answer_rows(run: Run, predictions: IntArray, trained: IntArray) -> list[Mapping[str, object]]:
    """Return the accuracy of the spiking network and of the trained one, and how often they agree."""
    n_images = len(predictions)
    rows = {
        f"spiking network, all {n_images} images": predictions,
        f"trained network on the grid, without spikes, all {n_images} images": trained,
    }
    if run.sample.is_trained:
        output = run.result.network.output.name
        logits = np.concatenate([run.activations_of(part)[output] for part in run.result.parts()])
        rows[f"{run.sample.ann}, all {n_images} images"] = answer_of(run.result.network).of(np.asarray(logits, float))
    result: list[Mapping[str, object]] = []
    for name, given in rows.items():
        row: dict[str, object] = {"network": name}
        if run.labels is not None:
            right = accuracy(run.labels, given)
            row |= {"accuracy": percent(right.share), "95 % interval": _interval(right)}
        same = None if given is predictions else accuracy(predictions, given)
        agreement = Cell(NOTHING)
        if same is not None:
            agreement = Cell(f"{percent(same.share).text} ({_interval(same)})", same.share)
        result.append(row | {"same answer as the spiking network": agreement})
    return result


def _interval(share: Accuracy) -> str:
    """Return the ends of the interval of Wilson in per cent."""
    return f"{100 * share.low:.2f} to {100 * share.high:.2f} %"


def _numbers(run: Run) -> tuple[Block, ...]:
    """Return the values of the output against those of the trained network, which stand in the place of an accuracy."""
    parts = [run.activations_of(part) for part in run.result.parts()]
    expected = {name: np.concatenate([np.asarray(part[name], float) for part in parts]) for name in run.result.heads}
    blocks = [_values_of(run, name, head.logits, expected[name]) for name, head in run.result.heads.items()]
    return tuple(block for each in blocks for block in each)


def _values_of(run: Run, name: str, logits: FloatArray, activations: FloatArray) -> tuple[Block, ...]:
    """Return the values of one output."""
    output, ann = run.result.network[name], run.sample.ann
    expected, values = activations.ravel(), logits.ravel()
    errors = values - expected
    summary = {
        "images": len(logits),
        "values": values.size,
        "rms of the expected values": float(np.sqrt(np.mean(expected**2))),
        "rms error": float(np.sqrt(np.mean(errors**2))),
        "largest error": float(np.abs(errors).max()),
        "Pearson r": pearson(expected, values),
    }
    several = run.result.network.heads
    means = "is one of several outputs" if several else "stands for numbers, not for classes"
    text = (
        f"The output {name}, of shape {output.shape}, {means}: there is no accuracy. Its logits, "
        f"what the spiking network measured, are compared with those of the {ann}."
    )
    figure = plot_values(expected, values, f"{output.name}: logits")
    caption = f"Measured logits against those of the {ann}; on the line they are the same."
    return Text(text), pairs("Measured and expected values of the output", summary), picture(figure, caption)


def _confusion(labels: NDArray[np.int64], predictions: IntArray) -> Table:
    """Return the confusion matrix, or of many classes the most frequent mistakes."""
    matrix = confusion_matrix(labels, predictions)
    if len(matrix) > _MATRIX_CLASSES:
        mistakes = confusions(matrix)
        shown = count_label(min(_LISTED_MISTAKES, len(mistakes)), len(mistakes), "kinds of mistakes")
        return table(f"The most frequent mistakes: {shown}", mistakes.head(_LISTED_MISTAKES))
    rows = []
    for true, counts in matrix.iterrows():
        share = counts / max(1, counts.sum())
        cells = [
            Cell(f"{count:,}", int(count), "good" if predicted == true else "bad", _shade(share[predicted], count))
            for predicted, count in counts.items()
        ]
        rows.append((Cell(str(true)), *cells))
    columns = ("true class", *map(str, matrix.columns))
    what = "images" if labels.ndim == 1 else "answers"
    caption = f"Confusion matrix: {what} by true class (rows) and by the class named (columns)"
    return Table(caption, columns, tuple(rows))


def _shade(share: float, count: int) -> float:
    """Return how dark a cell is; the square root makes few mistakes visible."""
    return float(np.sqrt(share)) if count else 0.0


# --- network, spikes, residuals -------------------------------------------------------------------------------------


def network(run: Run) -> Section:
    """Return the section of the layers."""
    layers = table("Layers; a constant current takes no synapses", population_rows(run.result.network))
    return Section("network", "Network", (layers,))


def spikes(run: Run) -> Section:
    """Return the section of spikes and operations."""
    result = run.result
    totals = {str(row[""]): row["value"] for row in activity_rows(result)}
    for count, name in COUNT_NAMES.items():
        totals[f"the trained network's: {name} per image"] = ann_operations(result.network, count)
    layers = table(
        "By layer, mean over all images; events are spikes times the synapses that carry them on",
        operations_by_population(result),
    )
    return Section("spikes", "Spikes and operations", (pairs("In all", totals), layers))


def residuals(run: Run) -> Section:
    """Return the section of the identities and what they leave over."""
    report = run.verification
    rows = []
    for name, group in report.groupby("population", sort=False):
        shown: dict[str, object] = {"layer": name, "neurons x images": int(group["neurons"].max())}
        shown |= {equation: _residual(group, equation) for equation in report["equation"].unique()}
        rows.append(shown | {"replayed": ", ".join(group["note"][group["equation"] == "spikes"])})
    caption = "Largest residual charge of any neuron and image, in thresholds; 0 is exact"
    notes = [
        Text(f"{equation} does not apply to {', '.join(group['population'])}: {note}.")
        for (equation, note), group in report[~report["applicable"]].groupby(["equation", "note"], sort=False)
    ]
    remarks = report[report["applicable"] & (report["note"] != "") & (report["equation"] != "spikes")]
    notes += [
        Text(f"{equation} of {', '.join(group['population'])}: {note}.")
        for (equation, note), group in remarks.groupby(["equation", "note"], sort=False)
    ]
    text = (
        "The books: each identity is put to every neuron and every image with the counts and potentials that were "
        "measured. The dynamics, column spikes: Equation (4) is stepped outside Brian2, and its spike counts and "
        "final potentials are compared with the simulation's, for as many images as the last column says. Arithmetic "
        "is exact, so a residual is compared with 0 and not with a tolerance."
    )
    return Section("residuals", "Residuals", (Text(text), table(caption, rows), *notes))


def _residual(report: pd.DataFrame, equation: str) -> Cell:
    """Return one residual of a population: a dash where the equation does not apply."""
    rows = report[report["equation"] == equation]
    if rows.empty or not rows["applicable"].iloc[0]:
        return Cell(NOTHING)
    return cell(float(rows["max_residual_charge"].iloc[0]), "good" if rows["holds"].iloc[0] else "bad")

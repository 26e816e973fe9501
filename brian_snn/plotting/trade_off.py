"""Latency and cost of classification: error against steps, and against operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brian_snn.analysis.classification import bootstrap_interval
from brian_snn.analysis.operations import COUNT_COLUMNS, COUNT_NAMES
from brian_snn.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RESET_LABELS,
    VERMILION,
    house_style,
    mark_error_axis,
    mark_log_axis,
    new_figure,
)

#: One line style per percentile, in ascending order.
_STYLES: tuple[Any, ...] = ((0, (1, 1.2)), (0, (4, 1.5)), "-")
#: One colour for a reset and a V(0), that of nothing and that of half a threshold.
_COLOURS = {("subtraction", 0.0): BLUE, ("subtraction", 0.5): GREEN, ("zero", 0.0): VERMILION, ("zero", 0.5): ORANGE}
_LABELS = {"steps": "steps of the simulation"} | {
    column: f"{COUNT_NAMES[count]}, per image" for count, column in COUNT_COLUMNS.items()
}


@house_style
def plot_trade_off(curves: pd.DataFrame, trained: pd.DataFrame) -> Figure:
    """Plot the error over the steps and over the operations by both counts, a row per data set.

    Parameters
    ----------
    curves : DataFrame
        Columns ``dataset``, ``seed``, ``percentile``, ``v_init``, ``reset``, ``steps``, ``wrong``, ``images``,
        ``operations`` (synapses used per image) and ``paper_operations``.
    trained : DataFrame
        The networks that were converted, with the same columns but for the settings.

    Returns
    -------
    figure : Figure
        Error in per cent, the mean over the networks (seeds); bands are 95 % intervals of the bootstrap over them,
        where there are several. Level lines are the errors of the trained networks, upright ones their operations:
        what lies to the left of them is cheaper than the trained network.
    """
    names = trained["dataset"].unique()
    figure = new_figure(13.2, 3.9 * len(names) + 1.2)
    panels = figure.subplots(len(names), len(_LABELS), squeeze=False, sharex="col", sharey="row")
    for row, name in enumerate(names):
        ann = trained[trained["dataset"] == name]
        for axes, column, letter in zip(panels[row], _LABELS, "abc", strict=True):
            _draw(axes, curves[curves["dataset"] == name], column)
            _draw_trained(axes, ann, column)
            axes.set_title(f"({letter}{row + 1})  {name}: {_note(ann, column)}")
        panels[row, 0].set_ylabel(f"error (%), {_networks(ann)}")
    for axes, label in zip(panels[-1], _LABELS.values(), strict=True):
        axes.set_xlabel(label)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
    return figure


def _draw(axes: Axes, rows: pd.DataFrame, column: str) -> None:
    """Draw a line per reset, V(0) and percentile."""
    percentiles = sorted(rows["percentile"].unique())
    for (reset, v_init), colour in _COLOURS.items():
        for percentile, style in zip(percentiles, _STYLES, strict=False):
            case = rows[(rows["reset"] == reset) & (rows["v_init"] == v_init) & (rows["percentile"] == percentile)]
            if case.empty:
                continue
            points = case.assign(error=100 * case["wrong"] / case["images"]).groupby("steps")
            x, errors = points[column if column != "steps" else "error"].mean(), points["error"]
            x = x.index if column == "steps" else x
            label = f"{RESET_LABELS[reset]}, V(0) = {v_init:g}, percentile {percentile:g}"
            axes.plot(x, errors.mean(), color=colour, linestyle=style, linewidth=1.2, label=label)
            if errors.size().iloc[0] > 1:
                low, high = np.transpose([bootstrap_interval(values) for _, values in errors])
                axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set(xscale="log", yscale="log")
    mark_log_axis(axes)


def _draw_trained(axes: Axes, ann: pd.DataFrame, column: str) -> None:
    """Draw the trained networks: their error as a level line, their operations as an upright one on that axis."""
    error = _error(ann)
    axes.axhline(error, color=GREY, linewidth=1.2, zorder=1)
    if column != "steps":
        axes.axvline(ann[column].mean(), color=GREY, linewidth=1.2, zorder=1)
        # In the first steps hardly any operation is spent, by the paper's count none at all.
        axes.set_xlim(left=max(axes.get_xlim()[0], ann[column].mean() / 30))
    axes.set_ylim(bottom=min(axes.get_ylim()[0], error / 1.3))
    mark_error_axis(axes)


def _error(ann: pd.DataFrame) -> float:
    """Return the mean error of trained networks in per cent."""
    return float(np.mean(100 * ann["wrong"] / ann["images"]))


def _networks(ann: pd.DataFrame) -> str:
    """Return how many networks were shown how many images."""
    images = f"{ann['images'].iloc[0]:,} images"
    return images if len(ann) == 1 else f"mean of {len(ann)} networks,\n{images} each, 95 % interval"


def _note(ann: pd.DataFrame, column: str) -> str:
    """Return what the lines stand for."""
    if column == "steps":
        return f"trained, {_error(ann):.2f} %"
    return f"trained, {ann[column].mean():,.0f} operations"

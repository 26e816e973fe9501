"""Latency and cost of classification: error against steps, and against operations."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterMathtext

from brian_snn.analysis.operations import COUNT_NAMES
from brian_snn.plotting.style import GREY, RESET_COLOURS, RESET_LABELS, house_style, mark_error_axis, new_figure

#: One line style per percentile, in ascending order.
_STYLES: tuple[Any, ...] = ((0, (1, 1.2)), (0, (4, 1.5)), "-")
_LABELS = {"steps": "steps of the simulation", "operations": f"{COUNT_NAMES['synapses']} per image"}


@house_style
def plot_trade_off(curves: pd.DataFrame, trained: pd.DataFrame) -> Figure:
    """Plot the error over the steps and over the operations, a row per data set.

    Parameters
    ----------
    curves : DataFrame
        Columns ``dataset``, ``percentile``, ``reset``, ``steps``, ``wrong``, ``images`` and ``operations`` (synapses
        used per image).
    trained : DataFrame
        The networks that were converted, with the same columns but for the settings.

    Returns
    -------
    figure : Figure
        Error in per cent. Level lines are the errors of the trained networks, upright ones their multiply-adds: what
        lies to the left of them is cheaper than the trained network.
    """
    figure = new_figure(10.4, 4.0 * len(trained) + 0.7)
    panels = figure.subplots(len(trained), 2, squeeze=False, sharex="col", sharey="row")
    for row, (_, ann) in enumerate(trained.iterrows()):
        rows = curves[curves["dataset"] == ann["dataset"]]
        for axes, column, letter in zip(panels[row], _LABELS, "ab", strict=True):
            _draw(axes, rows, column)
            _draw_trained(axes, ann, column)
            axes.set_title(f"({letter}{row + 1})  {ann['dataset']}, {ann['images']:,} images\n{_note(ann, column)}")
        panels[row, 0].set_ylabel("error (%)")
    for axes, label in zip(panels[-1], _LABELS.values(), strict=True):
        axes.set_xlabel(label)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return figure


def _draw(axes: Axes, rows: pd.DataFrame, column: str) -> None:
    """Draw a line per reset and percentile."""
    percentiles = sorted(rows["percentile"].unique())
    for reset, colour in RESET_COLOURS.items():
        for percentile, style in zip(percentiles, _STYLES, strict=False):
            case = rows[(rows["reset"] == reset) & (rows["percentile"] == percentile)].sort_values("steps")
            label = f"{RESET_LABELS[reset]}, percentile {percentile:g}"
            axes.plot(case[column], 100 * case["wrong"] / case["images"], color=colour, linestyle=style, label=label)
    axes.set(xscale="log", yscale="log")
    axes.xaxis.set_major_formatter("{x:,g}" if column == "steps" else LogFormatterMathtext())


def _draw_trained(axes: Axes, ann: pd.Series, column: str) -> None:
    """Draw the trained network: its error as a level line, its operations as an upright one where they are the axis."""
    error = 100 * ann["wrong"] / ann["images"]
    axes.axhline(error, color=GREY, linewidth=1.2, zorder=1)
    if column == "operations":
        axes.axvline(ann["operations"], color=GREY, linewidth=1.2, zorder=1)
    axes.set_ylim(bottom=min(axes.get_ylim()[0], error / 1.3))
    mark_error_axis(axes)


def _note(ann: pd.Series, column: str) -> str:
    """Return what the lines stand for."""
    if column == "operations":
        return f"trained network: {ann['operations']:,} multiply-adds, each a synapse"
    return f"trained network: {100 * ann['wrong'] / ann['images']:.2f} %"

"""Latency and cost of classification: error against steps, and against operations."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brian_snn.plotting.style import GREY, RESET_COLOURS, RESET_LABELS, house_style, new_figure

#: One line style per percentile, in ascending order.
_STYLES: tuple[Any, ...] = ((0, (1, 1.2)), (0, (4, 1.5)), "-")
_LABELS = {"steps": "steps of the simulation", "operations": "operations per image"}


@house_style
def plot_trade_off(curves: pd.DataFrame, trained: pd.DataFrame) -> Figure:
    """Plot the error over the steps and over the operations, a row per data set.

    Parameters
    ----------
    curves : DataFrame
        Columns ``dataset``, ``percentile``, ``reset``, ``steps``, ``wrong``, ``images`` and ``operations`` (per image).
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
            axes.set_title(f"({letter}{row + 1})  {ann['dataset']}, {ann['images']:,} images")
        panels[row, 0].set_ylabel("error (%)")
        _draw_trained(panels[row, 0], panels[row, 1], ann)
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
    axes.yaxis.set_major_formatter("{x:g}")


def _draw_trained(left: Axes, right: Axes, ann: pd.Series) -> None:
    """Draw the trained network: its error in both panels, its operations in the right one."""
    error = 100 * ann["wrong"] / ann["images"]
    for axes in (left, right):
        axes.axhline(error, color=GREY, linewidth=1.2, zorder=1)
    right.axvline(ann["operations"], color=GREY, linewidth=1.2, zorder=1)
    offset: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "color": GREY}
    left.annotate(f"trained network, {error:.2f} %", (left.get_xlim()[0], error), (6, -4), va="top", **offset)
    low = right.get_ylim()[0]
    note = f"trained: {ann['operations']:,} multiply-adds"
    right.annotate(note, (ann["operations"], error), (-4, 5), rotation=90, ha="right", va="bottom", **offset)
    for axes in (left, right):
        # Room below the level line for its label.
        axes.set_ylim(bottom=min(low, error / 1.6))

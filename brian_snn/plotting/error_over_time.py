"""The error of a classification and what it costs: over the steps of the simulation, and over its operations."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brian_snn.analysis.operations import COUNT_COLUMNS, COUNT_NAMES, Count
from brian_snn.plotting.style import BLUE, GREY, house_style, mark_error_axis, mark_log_axis, new_figure


@house_style
def plot_error_over_time(
    curve: pd.DataFrame, ann_error: float, ann_operations: int, count: Count = "synapses"
) -> Figure:
    """Plot the error over the steps and over the operations, with those of the trained network as lines.

    Parameters
    ----------
    curve : DataFrame
        As `brian_snn.analysis.summary.error_over_time` returns it.
    ann_error : float
        Share of wrong answers of the trained network, on the same images.
    ann_operations : int
        Of the trained network for one image, by the same count.
    count : str
        ``synapses`` or ``paper``.

    Returns
    -------
    figure : Figure
        Two panels, or one where the operations are not known. Error in per cent, 95 % interval of Wilson as a band.
        What lies to the left of the upright line is cheaper than the trained network.
    """
    operations = COUNT_COLUMNS[count]
    columns = {"step": "steps of the simulation", operations: f"{COUNT_NAMES[count]} per image"}
    if curve[operations].isna().any():
        del columns[operations]
    figure = new_figure(4.6 * len(columns) + 0.6, 3.9)
    panels = figure.subplots(1, len(columns), squeeze=False, sharey=True)[0]
    level = 100 * ann_error or 50 / curve["answers"].iloc[0]
    for axes, (column, label), letter in zip(panels, columns.items(), "ab", strict=False):
        _draw(axes, curve, column)
        axes.axhline(level, color=GREY, linewidth=1.2, zorder=1, label=f"trained network, {100 * ann_error:.2f} %")
        if column == operations:
            axes.axvline(ann_operations, color=GREY, linewidth=1.2, linestyle=(0, (5, 3)), zorder=1)
        axes.set(xlabel=label, title=f"({letter})")
    panels[0].set_ylabel(f"error on {int(curve['answers'].iloc[0]):,} answers (%)")
    panels[0].legend(loc="lower left", fontsize=9)
    return figure


def _draw(axes: Axes, curve: pd.DataFrame, column: str) -> None:
    """Draw one line with its band; no error at all, which a logarithm has no place for, as half of one."""
    half = 0.5 / curve["answers"]
    error, low, high = (100 * curve[name].clip(lower=half) for name in ("error", "low", "high"))
    axes.plot(curve[column], error, color=BLUE, label="spiking, 95 % interval")
    axes.fill_between(curve[column], low, high, color=BLUE, alpha=0.18, linewidth=0)
    axes.set(xscale="log", yscale="log")
    mark_log_axis(axes)
    mark_error_axis(axes)

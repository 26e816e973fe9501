"""Distributions of activations and firing rates, layer by layer."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brian_snn.plotting.style import (
    GREEN,
    INK,
    LIGHT,
    ORANGE,
    RESET_COLOURS,
    RESET_LABELS,
    house_style,
    new_figure,
)

_MARK_COLOURS = (GREEN, ORANGE, INK)


@house_style
def plot_activity(histograms: pd.DataFrame, marks: pd.DataFrame) -> Figure:
    """Plot the activations of every layer on top, the firing rates below.

    Parameters
    ----------
    histograms : DataFrame
        Columns ``population``, ``quantity`` (``activation``, ``target`` or a reset), ``low``, ``high`` and ``count``.
    marks : DataFrame
        Columns ``population``, ``percentile``, ``value``, ``scale`` and ``silent``.

    Returns
    -------
    figure : Figure
        A column per layer. Upright lines are percentiles of the positive activations, the triangle below is lambda.
        Rates: filled, those that would stand for the activations exactly; outlines, measured.
    """
    names = list(dict.fromkeys(histograms["population"]))
    figure = new_figure(min(2.7 * len(names), 14.5), 5.6)
    panels = figure.subplots(2, len(names), squeeze=False, sharey="row")
    for column, name in enumerate(names):
        rows = histograms[histograms["population"] == name]
        _draw_activations(panels[0, column], rows, marks[marks["population"] == name])
        _draw_rates(panels[1, column], rows)
    panels[0, 0].set_ylabel("positive activations in a bin")
    panels[1, 0].set_ylabel("neurons x images in a bin")
    above, below = (axes.get_legend_handles_labels() for axes in panels[:, 0])
    handles, labels = above[0] + below[0], above[1] + below[1]
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    return figure


def _draw_activations(axes: Axes, rows: pd.DataFrame, marks: pd.DataFrame) -> None:
    """Draw the histogram of activations with its percentiles and lambda."""
    bins = rows[rows["quantity"] == "activation"]
    axes.bar(bins["low"], bins["count"], bins["high"] - bins["low"], align="edge", color=LIGHT, log=True)
    for (_, mark), colour in zip(marks.iterrows(), _MARK_COLOURS, strict=False):
        label = f"percentile {mark['percentile']:g}"
        axes.axvline(mark["value"], color=colour, linewidth=1.2, label=label)
    scale = marks["scale"].iloc[0]
    axes.plot(scale, 0, marker="^", markersize=8, color=INK, clip_on=False, linestyle="none", label="λ", zorder=5,
              transform=axes.get_xaxis_transform())  # fmt: skip
    silent = 100 * marks["silent"].iloc[0]
    title = f"{marks['population'].iloc[0]}\nλ = {scale:.3g}, {silent:.0f} % are 0"
    axes.set_title(title, fontsize=9, parse_math=False)
    axes.set_xlabel("activation")


def _draw_rates(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the histogram of targets, and the rates of both resets over it."""
    targets = rows[rows["quantity"] == "target"]
    width = targets["high"] - targets["low"]
    axes.bar(targets["low"], targets["count"], width, align="edge", color=LIGHT, log=True, label="activation / λ")
    for reset, colour in RESET_COLOURS.items():
        bins = rows[rows["quantity"] == reset]
        if len(bins):
            edges = [*bins["low"], bins["high"].iloc[-1]]
            axes.stairs(bins["count"], edges, color=colour, linewidth=1.3, label=RESET_LABELS[reset], baseline=None)
    axes.set(xlabel="rate / $r_{max}$", xlim=(-0.02, 1.02))

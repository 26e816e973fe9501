"""The error of firing rates against depth."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brian_snn.plotting.style import GREY, RESET_COLOURS, RESET_LABELS, house_style, new_figure

_SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "same_step": ("", {"linestyle": "-", "marker": "o", "markersize": 4}),
    "brian2": (", Brian2's own order", {"linestyle": (0, (3, 2)), "marker": "s", "markersize": 3.5}),
}


@house_style
def plot_depth(errors: pd.DataFrame, steps: int) -> Figure:
    """Plot the error of rates and the fraction of spikes that is left, against depth, a column per kind of network.

    Parameters
    ----------
    errors : DataFrame
        Columns ``network``, ``seed``, ``reset``, ``schedule``, ``steps``, ``depth``, ``rmse`` and ``kept``.
    steps : int
        The duration to draw.

    Returns
    -------
    figure : Figure
        Above the root mean square error as a fraction of r_max, below the sum of the rates over that of the targets; a
        line per reset and schedule is the mean over the networks of a kind, dots are single networks.
    """
    shown = errors[errors["steps"] == steps]
    names = list(dict.fromkeys(shown["network"]))
    figure = new_figure(5.2 * len(names), 6.6)
    panels = figure.subplots(2, len(names), squeeze=False, sharex="col", sharey="row")
    for column, name in enumerate(names):
        rows = shown[shown["network"] == name]
        n_networks = rows["seed"].nunique()
        _draw(panels[0, column], rows, "rmse")
        _draw(panels[1, column], rows, "kept")
        panels[1, column].axhline(1, color=GREY, linewidth=0.8, zorder=1)
        title = name if n_networks == 1 else f"{name}, mean of {n_networks}"
        panels[0, column].set_title(f"({'abcdefgh'[column]})  {title}, {steps} steps")
        panels[1, column].set_xlabel("depth (layers with a membrane)")
        panels[1, column].set_xticks(sorted(rows["depth"].unique()))
    panels[0, 0].set(yscale="log", ylabel="rms error of the rates ($r_{max}$)")
    panels[1, 0].set_ylabel("sum of rates / sum of activations")
    panels[1, 0].set_ylim(bottom=0)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return figure


def _draw(axes: Axes, rows: pd.DataFrame, column: str) -> None:
    """Draw one column against depth."""
    for reset, colour in RESET_COLOURS.items():
        for schedule, (label, style) in _SCHEDULES.items():
            case = rows[(rows["reset"] == reset) & (rows["schedule"] == schedule)]
            if case["seed"].nunique() > 1:
                axes.plot(case["depth"], case[column], ".", color=colour, markersize=3, alpha=0.4)
            means = case.groupby("depth")[column].mean()
            axes.plot(means.index, means, color=colour, label=RESET_LABELS[reset] + label, **style)

"""Ways to convert a network, side by side: errors over T, and what the error of the logits is made of."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brian_snn.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    house_style,
    new_figure,
)

#: Colours of the causes; what is left is not drawn.
_CAUSES = {"clipping": ORANGE, "quantisation": BLUE, "unevenness": VERMILION, "correction": GREEN}
_TICKS = (0, 1, 2, 5, 10, 20, 50, 90)
_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, GREY)


@house_style
def plot_methods(summary: pd.DataFrame, trained: pd.DataFrame) -> Figure:
    """Plot a row of panels per data set.

    Parameters
    ----------
    summary : DataFrame
        Of `brian_snn.studies.methods.summary`.
    trained : DataFrame
        Columns ``dataset``, ``levels``, ``wrong``, ``images``.

    Returns
    -------
    figure : Figure
        Error over T, a line per method, that of the trained networks as a level line; then the shares of the causes by
        method, at the T in the middle and at the last. Bars are 95 % intervals of the bootstrap over the networks.
    """
    datasets, steps = list(summary["dataset"].unique()), sorted(summary["steps"].unique())
    shown = [steps[len(steps) // 2], steps[-1]] if len(steps) > 1 else steps
    figure = new_figure(14.5, 4.6 * len(datasets) + 0.8)
    panels = figure.subplots(len(datasets), 1 + len(shown), squeeze=False)
    for row, dataset in enumerate(datasets):
        rows, ann = summary[summary["dataset"] == dataset], trained[(trained["dataset"] == dataset)]
        _draw_errors(panels[row, 0], rows, ann)
        panels[row, 0].set_title(f"(a{row + 1})  {dataset}")
        for axes, n_steps, letter in zip(panels[row, 1:], shown, "bc", strict=False):
            _draw_causes(axes, rows[rows["steps"] == n_steps], axes is panels[row, 1])
            axes.set_title(f"({letter}{row + 1})  {dataset}, T = {n_steps}: causes of the error of the logits")
    for axes in panels[-1, 1:]:
        axes.set_xlabel("share of the mean squared error")
    panels[-1, 0].set_xlabel("steps T")
    lines, causes = (panels[0, column].get_legend_handles_labels() for column in (0, 1))
    figure.legend(*(a + b for a, b in zip(lines, causes, strict=True)), loc="outside lower center", ncols=6, fontsize=8)
    return figure


def _draw_errors(axes: Axes, rows: pd.DataFrame, ann: pd.DataFrame) -> None:
    """Draw a line per method, those for networks with levels dashed."""
    plain = ann[~ann["levels"].astype(bool)]
    axes.axhline(100 * plain["wrong"].sum() / plain["images"].sum(), color=GREY, linewidth=0.8)
    styles = {False: cycle(_styles("-")), True: cycle(_styles("--"))}
    for method, line in rows.groupby("method", sort=False):
        style = next(styles[str(method).startswith("levels")])
        bars = np.maximum([line["error"] - line["error_low"], line["error_high"] - line["error"]], 0.0)
        axes.errorbar(line["steps"], line["error"], bars, elinewidth=0.6, markersize=3.5, label=str(method), **style)
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted(rows["steps"].unique()), [str(n) for n in sorted(rows["steps"].unique())])
    axes.set_ylabel("error (%), mean over the networks")
    # Some methods make no errors at all at the end.
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set_ylim(bottom=0.0)
    axes.set_yticks(_TICKS, [str(tick) for tick in _TICKS])


def _styles(line: str) -> list[dict[str, Any]]:
    """Return colours with a marker each round."""
    return [{"color": colour, "marker": marker, "linestyle": line} for marker in "os" for colour in _COLOURS]


def _draw_causes(axes: Axes, rows: pd.DataFrame, named: bool) -> None:
    """Draw a line of points per method."""
    place = np.arange(len(rows))[::-1]
    axes.axvline(0.0, color=GREY, linewidth=0.8)
    for k, (cause, colour) in enumerate(_CAUSES.items()):
        bars = np.maximum([rows[cause] - rows[f"{cause}_low"], rows[f"{cause}_high"] - rows[cause]], 0.0)
        shift = 0.12 * (1.5 - k)
        axes.errorbar(rows[cause], place + shift, xerr=bars, fmt="o", markersize=3.5, color=colour, label=cause)
    axes.set_yticks(place, list(rows["method"]) if named else [""] * len(rows))
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.margins(x=0.03)

"""What the voltage clamp buys: offsets and correlation over time, over the clamp, and over depth."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brian_snn.plotting.style import GREY, INK, RESET_LABELS, house_style, panel_grid

_CLAMP_COLOURS = "viridis"
_OFFSET_LABEL = "mean |map offset|  ($r_{max}$)"


@house_style
def plot_transients(offsets: pd.DataFrame, population: str, clamps: tuple[int, int], step: int) -> Figure:
    """Plot a sweep of the clamp.

    Parameters
    ----------
    offsets : DataFrame
        Rows of `brian_snn.analysis.transients.offsets_over_time` with the columns ``reset`` and ``clamp`` before them.
    population : str
        The layer of panels (a), (b) and (d).
    clamps : (int, int)
        The two clamps that panel (c) compares over depth.
    step : int
        The number of steps of panel (c).

    Returns
    -------
    figure : Figure
        (a) offset and (b) 1 - r over time, with Pearson's r, (c) offset over depth, all for reset by subtraction; (d) r
        over time for reset to zero.
    """
    offsets = offsets.assign(distance=1 - offsets["pearson_r"])
    figure, panels = panel_grid(4, max_columns=2, size=(4.3, 3.3))
    subtraction, zero = (offsets[offsets["reset"] == reset] for reset in ("subtraction", "zero"))
    here, there = (table[table["population"] == population] for table in (subtraction, zero))
    _over_time(panels[0], here, "mean_abs_offset", "(a)  " + RESET_LABELS["subtraction"], _OFFSET_LABEL)
    _over_time(panels[1], here, "distance", "(b)  " + RESET_LABELS["subtraction"], "1 $-$ Pearson's r")
    for axes in panels[:2]:
        axes.set(xscale="log", yscale="log")
        _plain_ticks(axes, sorted(here["step"].unique()))
    _over_depth(panels[2], subtraction[subtraction["step"] == step], clamps)
    panels[2].set_title(f"(c)  {RESET_LABELS['subtraction']}, {step} steps")
    _over_time(panels[3], there, "pearson_r", "(d)  " + RESET_LABELS["zero"], "Pearson's r")
    panels[3].set_ylim(-0.25, 1.0)
    panels[3].axhline(0, color=GREY, linewidth=0.6)
    panels[0].legend(title="clamp (steps)", fontsize=8, title_fontsize=8, ncols=2)
    panels[3].legend(title="clamp (steps)", fontsize=8, title_fontsize=8)
    return figure


def _over_time(axes: Axes, table: pd.DataFrame, column: str, title: str, label: str) -> None:
    """Draw one line per clamp."""
    for clamp, rows in table.groupby("clamp"):
        axes.plot(rows["step"], rows[column], marker="o", markersize=3, color=_colour(int(clamp)), label=f"{clamp}")
    axes.set(title=title, xlabel="steps of the whole run", ylabel=label)


def _over_depth(axes: Axes, table: pd.DataFrame, clamps: tuple[int, int]) -> None:
    """Draw the offset of every layer, for two clamps."""
    for clamp in clamps:
        rows = table[table["clamp"] == clamp].sort_values("depth")
        axes.plot(
            rows["depth"],
            rows["mean_abs_offset"],
            marker="o",
            markersize=4,
            color=_colour(clamp),
            label=f"clamp {clamp}",
        )
    axes.set(xlabel="depth of the layer", ylabel=_OFFSET_LABEL, xticks=sorted(table["depth"].unique()))
    axes.set_ylim(bottom=0)
    axes.legend()


def _colour(clamp: int) -> str:
    """Return the colour of a clamp: none is black, more is lighter."""
    if clamp == 0:
        return INK
    shade = matplotlib.colormaps[_CLAMP_COLOURS](min(1.0, (clamp / 30) ** 0.5) * 0.92)
    return str(matplotlib.colors.to_hex(shade))


def _plain_ticks(axes: Axes, steps: Sequence[int]) -> None:
    """Label a logarithmic axis of steps with the steps themselves."""
    axes.set_xticks(steps, [str(step) for step in steps])
    axes.minorticks_off()
    axes.grid(axis="y", color=GREY, alpha=0.2, linewidth=0.6)

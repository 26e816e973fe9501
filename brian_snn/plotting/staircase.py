"""S9 and S11 for constant inputs: the staircase of reset to zero, and the 1 / T of reset by subtraction."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brian_snn.plotting.style import INK, LIGHT, RESET_COLOURS, RESET_LABELS, house_style, new_figure

#: Durations drawn as functions of the input: the shortest, one between, the longest.
N_CURVES = 3

_EQUATIONS = {"zero": "S9", "subtraction": "S11"}
_SHADES = ("Reds", "Blues")


def law_errors(rates: pd.DataFrame) -> pd.DataFrame:
    """Return how far rates are off the ReLU for inputs from 0 to 1.

    Parameters
    ----------
    rates : DataFrame
        Columns ``reset``, ``steps``, ``activation`` (thresholds a step) and ``spikes``, a row per neuron.

    Returns
    -------
    errors : DataFrame
        A row per reset and duration: ``reset``, ``steps``, ``largest`` and ``mean`` of |r - a|, fractions of r_max.
    """
    inside = rates[rates["activation"].between(0, 1)]
    off = (inside["spikes"] / inside["steps"] - inside["activation"]).abs()
    grouped = off.groupby([inside["reset"], inside["steps"]])
    return pd.DataFrame({"largest": grouped.max(), "mean": grouped.mean()}).reset_index()


@house_style
def plot_rate_laws_over_time(rates: pd.DataFrame, report: pd.DataFrame) -> Figure:
    """Plot rates over the input for both resets, and their distance from the ReLU over the duration.

    Parameters
    ----------
    rates : DataFrame
        Columns ``reset``, ``steps``, ``activation``, ``spikes`` and ``equation`` (the rate by S9 or S11, over r_max).
    report : DataFrame
        Of `brian_snn.verify`, with a column ``reset``: the titles say what the equations leave over.

    Returns
    -------
    figure : Figure
        (a) reset to zero, (b) reset by subtraction: dots are measured, lines are the equation, a shade per duration,
        over the limit for long runs; (c) |r - a| over the duration, largest and mean for inputs from 0 to 1.
    """
    figure = new_figure(13.2, 4.4)
    left, middle, right = figure.subplots(1, 3)
    for axes, letter, reset in ((left, "a", "zero"), (middle, "b", "subtraction")):
        _draw_rates(axes, rates[rates["reset"] == reset], reset)
        rows = report[(report["reset"] == reset) & (report["equation"] == _EQUATIONS[reset])]
        axes.set_title(f"({letter})  {RESET_LABELS[reset]}\n{_residual_note(rows, _EQUATIONS[reset])}")
    _draw_errors(right, law_errors(rates))
    right.set_title("(c)  distance from the ReLU,\ninputs a from 0 to 1")
    return figure


def _residual_note(rows: pd.DataFrame, equation: str) -> str:
    """Return what an equation leaves over, of how many neurons."""
    worst = float(rows["max_residual_charge"].abs().max())
    verdict = "exactly 0" if worst == 0 else f"up to {worst:.3g}"
    return f"residual of {equation}: {verdict}, {int(rows['neurons'].sum()):,} neurons"


def _draw_rates(axes: Axes, rates: pd.DataFrame, reset: str) -> None:
    """Draw the limit, and for some durations the equation as a line and the measurement as dots."""
    durations = np.sort(rates["steps"].unique())
    chosen = durations[np.unique(np.linspace(0, len(durations) - 1, N_CURVES).round().astype(int))]
    low, high = rates["activation"].min(), rates["activation"].max()
    x = np.linspace(low, high, 2000)
    axes.plot(x, np.clip(x, 0, 1), color=LIGHT, linewidth=5, label="ReLU, up to $r_{max}$", zorder=1)
    shades = matplotlib.colormaps[_SHADES[reset == "subtraction"]]
    for k, n_steps in enumerate(chosen):
        rows = rates[rates["steps"] == n_steps].sort_values("activation")
        colour = shades(0.4 + 0.55 * k / max(1, len(chosen) - 1))
        axes.plot(rows["activation"], rows["equation"], color=INK, linewidth=0.6, zorder=2)
        axes.plot(
            rows["activation"],
            rows["spikes"] / n_steps,
            linestyle="none",
            marker="o",
            markersize=2.6,
            markeredgewidth=0,
            color=colour,
            label=f"T = {n_steps} steps",
            zorder=3 + k,
        )
    axes.plot([], [], color=INK, linewidth=0.6, label=f"{_EQUATIONS[reset]}, from z, $V_{{thr}}$, T")
    axes.set(xlabel="input a = z / V$_{thr}$ (thresholds a step)", ylabel="firing rate / $r_{max}$", ylim=(-0.04, 1.1))
    axes.legend(loc="upper left", fontsize=8, markerscale=2)


def _draw_errors(axes: Axes, errors: pd.DataFrame) -> None:
    """Draw the largest and the mean distance over the duration, and the bound 1 / T."""
    durations = np.sort(errors["steps"].unique())
    axes.plot(durations, 1 / durations, color=LIGHT, linewidth=6, label="bound 1 / T (S11)", zorder=1)
    for reset, rows in errors.groupby("reset", sort=False):
        ordered = rows.sort_values("steps")
        for column, style in (("largest", "-"), ("mean", ":")):
            axes.plot(
                ordered["steps"],
                ordered[column],
                style,
                marker="o",
                markersize=3.5,
                color=RESET_COLOURS[str(reset)],
                label=f"{RESET_LABELS[str(reset)]}, {column}",
            )
    axes.set(xscale="log", yscale="log", xlabel="T (steps)", ylabel="|r $-$ a|  ($r_{max}$)", ylim=(None, 2.5))
    axes.set_xticks(durations, [str(n) for n in durations])
    axes.minorticks_off()
    axes.legend(loc="lower left", fontsize=8)

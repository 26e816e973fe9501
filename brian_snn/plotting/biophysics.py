"""Accuracy against the size of each departure from the ideal neuron, with the largest cause of the rates' error."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from brian_snn.plotting.error_account import TERM_STYLES
from brian_snn.plotting.style import GREY, INK, LIGHT, house_style, panel_grid

#: Accuracies that have a tick, in per cent.
_TICKS = (99.9, 99, 95, 80, 50, 10)

#: The neuron without a departure, a line in every panel.
_PLAIN = "plain"
_LINES: dict[str, dict[str, Any]] = {
    "plain neurons": {"color": LIGHT, "linewidth": 4},
    "trained network": {"color": INK, "linewidth": 1, "linestyle": (0, (1, 1.5))},
}

#: What a term means here, where nothing is clamped.
_LABELS = {"window": "spikes still under way"}

#: What the sizes of a departure are, where the name of the panel does not say it.
_QUANTITIES = {
    "exponential synapse": r"$\tau_{syn}$ (ms)",
    "alpha synapse": r"$\tau_{syn}$ (ms)",
    "excitatory reversal": r"$E_e$ from rest / $V_{thr}$",
    "inhibitory reversal": r"$E_i$ from rest / $V_{thr}$",
    "refractory, input lost": "period (ms)",
    "refractory, input kept": "period (ms)",
    "leak": r"$\tau_m$ (ms)",
    "mismatch of leaks": r"s.d. / leak, $\tau_m$ = 30 ms",
    "mismatch of thresholds": r"s.d. / $V_{thr}$",
    "membrane noise": r"s.d. a step / $V_{thr}$",
    "threshold adaptation": r"rise a spike / $V_{thr}$, $\tau$ = 100 ms",
    "adaptation current": r"rise a spike ($V_{thr}$ / ms), $\tau$ = 100 ms",
    "delay": "delay (ms)",
    "mismatch of delays": "s.d. / delay of 5 ms",
    "bursts": "most spikes a step",
    "signed spikes": "most positive spikes a step",
}


@house_style
def plot_biophysics(points: pd.DataFrame, trained: pd.DataFrame, longer: pd.DataFrame) -> Figure:
    """Plot the accuracy over the size of each departure, a panel each.

    Parameters
    ----------
    points : DataFrame
        Columns ``departure`` (``plain`` for the neuron without one), ``size``, ``seed``, ``images``, ``right``,
        ``low``, ``high`` (the interval, from 0 to 1) and ``largest`` (a term of the account of the error).
    trained : DataFrame
        One row on the trained network: ``images`` and ``right``.
    longer : DataFrame
        Columns as `points`, and ``steps`` in both: longer runs of some sizes, drawn hollow.

    Returns
    -------
    figure : Figure
        A point is a run with its interval, in the colour of the largest cause; seeds stand side by side, and the line
        goes through their mean. Sizes go from harmless to destructive. The scale is logarithmic in the errors, and no
        error at all is drawn as half an image.
    """
    plain = points[points["departure"] == _PLAIN].iloc[0]
    levels = dict(zip(_LINES, (plain, trained.iloc[0]), strict=True))
    names = [name for name in dict.fromkeys(points["departure"]) if name != _PLAIN]
    figure, panels = panel_grid(len(names), max_columns=4, size=(3.0, 2.6))
    for axes, name, letter in zip(panels, names, "abcdefghijklmnop", strict=False):
        for label, row in levels.items():
            axes.axhline(_wrong(row["right"] / row["images"], row["images"]), zorder=1, **_LINES[label])
        _draw(axes, points[points["departure"] == name], longer[longer["departure"] == name])
        axes.set(title=f"({letter})  {name}", xlabel=_QUANTITIES.get(name, name))
        axes.set_ylabel("accuracy (%)")
    title = f"{plain['steps']} steps of 1 ms, {plain['images']:,} images, 95 % intervals"
    figure.legend(handles=_legend(points, longer, levels), loc="outside lower center", ncols=3, title=title)
    return figure


def _draw(axes: Axes, sweep: pd.DataFrame, longer: pd.DataFrame) -> None:
    """Draw one sweep; its sizes are even steps, whatever their numbers."""
    place = {size: position for position, size in enumerate(dict.fromkeys(sweep["size"]))}
    means = (sweep["right"] / sweep["images"]).groupby(sweep["size"], sort=False).mean()
    n_images = sweep["images"].iloc[0]
    axes.plot(range(len(place)), [_wrong(mean, n_images) for mean in means], color=GREY, linewidth=1, zorder=1.5)
    for size, runs in sweep.groupby("size", sort=False):
        aside = 0.16 * (np.arange(len(runs)) - (len(runs) - 1) / 2)
        for offset, run in zip(aside, runs.to_dict("records"), strict=True):
            _mark(axes, place[size] + offset, run)
    for run in longer.to_dict("records"):
        _mark(axes, place[run["size"]], run, markerfacecolor="white", zorder=5)
    axes.set_xticks(range(len(place)), [f"{size:g}" for size in place])
    axes.set(yscale="log", xlim=(-0.5, len(place) - 0.5), ylim=(110, 0.04))
    axes.set_yticks([100 - tick for tick in _TICKS], [f"{tick:g}" for tick in _TICKS])
    axes.minorticks_off()


def _mark(axes: Axes, place: float, run: dict[Hashable, Any], **style: Any) -> None:
    """Draw one run with its interval."""
    middle, best, worst = (_wrong(p, run["images"]) for p in (run["right"] / run["images"], run["high"], run["low"]))
    errors = [[middle - min(best, middle)], [max(worst, middle) - middle]]
    colour = TERM_STYLES[run["largest"]][0]
    axes.errorbar(place, middle, yerr=errors, fmt="o", color=colour, markersize=4.5, elinewidth=1, **style)


def _wrong(share: float, n_images: float) -> float:
    """Return the wrong answers in per cent, at least half an image."""
    return float(100 * max(1 - share, 0.5 / n_images))


def _legend(points: pd.DataFrame, longer: pd.DataFrame, levels: dict[str, pd.Series]) -> list[Line2D]:
    """Return what stands in the legend: both lines, the causes that are seen, and what is hollow."""
    lines = [Line2D([], [], label=f"{name}: {_per_cent(levels[name])} %", **style) for name, style in _LINES.items()]
    both = pd.concat([points, longer])
    seen = set(both[both["departure"] != _PLAIN]["largest"])
    causes = [
        Line2D([], [], color=colour, marker="o", linestyle="", label=f"largest cause: {_LABELS.get(term, label)}")
        for term, (colour, label) in TERM_STYLES.items()
        if term in seen
    ]
    label = f"hollow: {longer['steps'].iloc[0]:,} steps, the first {longer['images'].iloc[0]:,} images"
    hollow = Line2D([], [], color=INK, marker="o", markerfacecolor="white", linestyle="", label=label)
    return [*lines, hollow, *causes]


def _per_cent(row: pd.Series) -> str:
    """Return an accuracy in per cent."""
    return f"{100 * row['right'] / row['images']:.1f}"

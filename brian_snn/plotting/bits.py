"""What few bits cost: errors over steps by the bits of weights, widths of potentials, errors over widths."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brian_snn.plotting.style import BLUE, GREY, INK, VERMILION, house_style, mark_error_axis, mark_log_axis, new_figure

_OVERFLOWS = {"saturate": (BLUE, "o", "saturates"), "wrap": (VERMILION, "s", "wraps")}


@house_style
def plot_bits(curves: pd.DataFrame, widths: pd.DataFrame, narrow: pd.DataFrame) -> Figure:
    """Plot the error over the steps, the bits of V by population, and the error over the bits of V.

    Parameters
    ----------
    curves : DataFrame
        Columns ``weight_bits`` (0 for weights that are not rounded), ``steps``, ``wrong``, ``images``, ``low`` and
        ``high``, the limits of the error as a share.
    widths : DataFrame
        Columns ``population``, ``bits``, ``measured_bits`` and ``weight_bits``, of one network.
    narrow : DataFrame
        Columns ``overflow``, ``potential_bits``, ``wrong``, ``images``, ``low`` and ``high``, of the same network.

    Returns
    -------
    figure : Figure
        Errors in per cent, with 95 % intervals; no error at all is drawn as half an image.
    """
    figure = new_figure(12.6, 4.3)
    steps, bits, errors = figure.subplots(1, 3, width_ratios=(1.15, 0.9, 1.0))
    _draw_curves(steps, curves)
    _draw_widths(bits, widths)
    _draw_narrow(errors, narrow, int(widths["bits"].max()), int(widths["measured_bits"].max()))
    return figure


def _percent(rows: pd.DataFrame) -> np.ndarray:
    return np.asarray(100 * np.maximum(rows["wrong"], 0.5) / rows["images"], np.float64)


def _draw_curves(axes: Axes, curves: pd.DataFrame) -> None:
    """Draw a line per number of bits, the darker the more, with a band for its interval."""
    numbers = sorted(set(curves["weight_bits"]), key=lambda bits: bits or np.inf)
    shades = matplotlib.colormaps["viridis_r"](np.linspace(0.12, 0.9, max(len(numbers) - 1, 1)))
    for bits, shade in zip(numbers, [*shades, INK], strict=False):
        rows = curves[curves["weight_bits"] == bits].sort_values("steps")
        colour, style = (shade, "-") if bits else (INK, (0, (4, 2)))
        label = f"{bits} bits" if bits else "not rounded"
        axes.plot(rows["steps"], _percent(rows), color=colour, linestyle=style, label=label)
        axes.fill_between(rows["steps"], 100 * rows["low"], 100 * rows["high"], color=colour, alpha=0.15, linewidth=0)
    title = f"(a)  bits of the weights, {curves['images'].max():,} images"
    axes.set(xscale="log", yscale="log", title=title, xlabel="steps", ylabel="error (%)")
    mark_log_axis(axes)
    mark_error_axis(axes)
    axes.legend(loc="lower left", fontsize=8)


def _draw_widths(axes: Axes, widths: pd.DataFrame) -> None:
    """Draw the bits of each population: proved and taken."""
    places = np.arange(len(widths))[::-1]
    axes.hlines(places, widths["measured_bits"], widths["bits"], color=GREY, linewidth=1.2, zorder=1)
    axes.scatter(widths["bits"], places, color=INK, marker="|", s=160, label="proved for any spikes")
    axes.scatter(widths["measured_bits"], places, color=BLUE, s=30, label="taken by some images")
    axes.set_yticks(places, list(widths["population"]))
    title = f"(b)  width of V, weights of {widths['weight_bits'].iloc[0]} bits"
    axes.set(title=title, xlabel="bits", xlim=(0, int(widths["bits"].max()) + 2))
    axes.set_ylim(-1.3, len(widths) - 0.5)
    axes.legend(loc="lower left", fontsize=8)


def _draw_narrow(axes: Axes, narrow: pd.DataFrame, proved: int, taken: int) -> None:
    """Draw the errors over the bits of V, a line for each way to overflow."""
    for overflow, (colour, marker, label) in _OVERFLOWS.items():
        rows = narrow[narrow["overflow"] == overflow].sort_values("potential_bits")
        error = _percent(rows)
        ends = np.array([error - 100 * rows["low"], 100 * rows["high"] - error]).clip(min=0)
        axes.errorbar(rows["potential_bits"], error, ends, color=colour, marker=marker, markersize=4, label=label)
    for place, style, label in ((taken, (0, (1, 1.2)), "taken"), (proved, (0, (4, 2)), "proved")):
        axes.axvline(place, color=GREY, linestyle=style, linewidth=1.2, label=f"most bits {label}", zorder=1)
    title = f"(c)  V of few bits, the same, {narrow['images'].max():,} images"
    axes.set(yscale="log", title=title, xlabel="bits of V", ylabel="error (%)")
    mark_error_axis(axes)
    # On white: the upright lines end in it.
    axes.legend(loc="upper right", fontsize=8, frameon=True, framealpha=1.0, edgecolor="none")

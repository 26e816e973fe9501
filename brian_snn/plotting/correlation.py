"""How well the firing rates of a spiking network follow the activations of the network it was converted from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from brian_snn.analysis.transients import pearson
from brian_snn.arrays import FloatArray
from brian_snn.plotting.style import BLUE, GREY, count_label, house_style, new_figure, panel_grid, sample


@house_style
def plot_correlation(
    targets_hz: Mapping[str, ArrayLike],
    rates_hz: Mapping[str, ArrayLike],
    title: str = "",
    colour: str = BLUE,
) -> Figure:
    """Plot the measured rate of every neuron against its target, a panel per layer.

    The target is the activation of the trained network in the unit of the layer's scale, ``a r_max / lambda``; on the
    diagonal a neuron codes its activation exactly.

    Parameters
    ----------
    targets_hz, rates_hz : dict of str to array, in Hz
        By layer, of equal shapes.
    title : str
        Title of the figure.
    colour : str
        Colour of the points.

    Returns
    -------
    figure : Figure
        A panel per layer in the order of `targets_hz`, with Pearson's r over all of its points in the title.
    """
    figure, panels = panel_grid(len(targets_hz))
    for axes, (name, target) in zip(panels, targets_hz.items(), strict=True):
        _panel(axes, name, np.ravel(target), np.ravel(rates_hz[name]), colour)
    figure.suptitle(title)
    figure.supxlabel("ANN activation $\\times\\ r_{max}$ / λ  (Hz)", fontsize=10)
    figure.supylabel("measured firing rate (Hz)", fontsize=10)
    return figure


@house_style
def plot_values(expected: ArrayLike, measured: ArrayLike, title: str = "", colour: str = BLUE) -> Figure:
    """Plot the measured values of an output against those of the trained network.

    Parameters
    ----------
    expected, measured : arrays of equal shapes
        In the units of the trained network; of any sign.
    title : str
        What they are.
    colour : str
        Colour of the points.

    Returns
    -------
    figure : Figure
        One panel; on its diagonal the two are the same.
    """
    figure = new_figure(4.2, 4.0)
    axes, targets, values = figure.add_subplot(), np.ravel(expected), np.ravel(measured)
    shown = sample(targets.size)
    low, high = float(min(targets.min(), values.min())), float(max(targets.max(), values.max()))
    margin = 0.04 * (high - low) or 1.0
    axes.plot([low, high], [low, high], color=GREY, linewidth=1, zorder=1)
    axes.plot(targets[shown], values[shown], linestyle="none", marker="o", markersize=3, color=colour, zorder=2)
    axes.locator_params(nbins=5)
    axes.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin))
    axes.set(xlabel="trained network", ylabel="spiking network")
    axes.set_title(title, parse_math=False)
    return figure


def _panel(axes: Axes, name: str, target: FloatArray, rate: FloatArray, colour: str) -> None:
    """Draw one layer: the diagonal, the points, and what they are."""
    shown = sample(target.size)
    top = float(max(target.max(), rate.max(), 1e-12)) * 1.04
    axes.plot([0, top], [0, top], color=GREY, linewidth=1, zorder=1)
    axes.plot(
        target[shown],
        rate[shown],
        linestyle="none",
        marker="o",
        markersize=2,
        markeredgewidth=0,
        alpha=0.25,
        color=colour,
        rasterized=True,
        zorder=2,
    )
    axes.locator_params(nbins=5)
    axes.set(xlim=(-0.03 * top, top), ylim=(-0.03 * top, top))
    axes.set_title(f"{name}   r = {pearson(target, rate):.4f}", parse_math=False)
    axes.set_xlabel(count_label(shown.size, target.size, "points"), fontsize=8, color=GREY)

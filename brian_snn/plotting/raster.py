"""Spike rasters: when each neuron of a few layers fires while one image is shown."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from brian_snn.arrays import IntArray
from brian_snn.plotting.style import BLUE, count_label, house_style, new_figure, sample


@house_style
def plot_raster(
    trains: Mapping[str, IntArray],
    shapes: Mapping[str, tuple[int, ...]],
    steps: int,
    dt_ms: float = 1.0,
    image: int = 0,
    max_neurons: int = 150,
    title: str = "",
    colour: str = BLUE,
) -> Figure:
    """Plot the spike trains of one image, a panel per layer, neurons sorted by their number of spikes.

    Parameters
    ----------
    trains : dict of str to (n_spikes, 3) int array
        Columns image, step (1 is the first), neuron, as in `Result.spike_trains`.
    shapes : dict of str to tuple of int
        Shape of each layer.
    steps : int
        Number of steps of the run.
    dt_ms : float, in ms
        Time step.
    image : int
        Whose spikes to draw.
    max_neurons : int
        Of a layer in which more neurons fire, a fixed random sample of so many is drawn.
    title : str
        Title of the figure.
    colour : str
        Colour of the spikes.

    Returns
    -------
    figure : Figure
        Panels from the image (top) to the output; a spike in step k is drawn at the end of its step, k dt.
    """
    figure = new_figure(7.2, 1.75 * len(trains) + 0.6)
    panels = figure.subplots(len(trains), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (name, train) in zip(panels, trains.items(), strict=True):
        spikes = train[train[:, 0] == image]
        _panel(axes, name, spikes, prod(shapes[name]), dt_ms, max_neurons, colour)
    panels[-1].set(xlabel="simulated time (ms)", xlim=(0, (steps + 0.5) * dt_ms))
    figure.suptitle(title)
    return figure


def stacked_rows(spikes: IntArray, n_neurons: int, max_neurons: int) -> tuple[NDArray[np.intp], int, int]:
    """Return the row of each spike, -1 where its neuron is not drawn; how many neurons are drawn, and how many spiked.

    The busiest is on top. Of more than `max_neurons` that spiked a fixed random sample is drawn.
    """
    counts = np.bincount(spikes[:, 2], minlength=n_neurons)
    active = np.flatnonzero(counts)
    shown = active[sample(active.size, max_neurons)]
    row = np.full(n_neurons, -1)
    row[shown[np.argsort(counts[shown], kind="stable")]] = np.arange(shown.size)
    return row[spikes[:, 2]], shown.size, active.size


def _panel(
    axes: Axes, name: str, spikes: IntArray, n_neurons: int, dt_ms: float, max_neurons: int, colour: str
) -> None:
    """Draw one layer, the busiest neuron on top."""
    rows, n_shown, n_active = stacked_rows(spikes, n_neurons, max_neurons)
    drawn = rows >= 0
    height = np.clip(150 / max(1, n_shown), 1.4, 8)
    axes.plot(
        spikes[drawn, 1] * dt_ms, rows[drawn], linestyle="none", marker="|", markersize=height, markeredgewidth=0.7,
        color=colour, rasterized=True,
    )  # fmt: skip
    axes.set(ylim=(-1, max(1, n_shown)), ylabel="neurons\nby rate", yticks=[])
    firing = count_label(n_shown, n_active, "neurons that fire")
    axes.set_title(f"{name}: {firing}, {n_neurons - n_active:,} are silent", parse_math=False)

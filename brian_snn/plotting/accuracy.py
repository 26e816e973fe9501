"""Accuracy of the spiking network as its simulation goes on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from brian_snn.analysis.classification import wilson_interval
from brian_snn.plotting.style import INK, colour_and_label, house_style, new_figure


@house_style
def plot_accuracy(
    times_ms: ArrayLike,
    accuracies: Mapping[str, ArrayLike],
    ann_accuracy: float | None = None,
    n_images: int | None = None,
) -> Figure:
    """Plot accuracy over simulated time, a line per variant, with the trained network's as a dashed line.

    Parameters
    ----------
    times_ms : (n_checkpoints,) array, in ms
        Simulated time at each checkpoint.
    accuracies : dict of str to (n_checkpoints,) array
        Fraction of images classified correctly; the names ``subtraction`` and ``zero`` have fixed colours.
    ann_accuracy : float, optional
        Of the network that was converted, on the same images.
    n_images : int, optional
        For the axis label; the band around a line is the 95 % interval of Wilson for a fraction of so many images.

    Returns
    -------
    figure : Figure
        One panel; accuracy in per cent.
    """
    figure = new_figure(6.0, 3.8)
    axes = figure.add_subplot()
    times = np.asarray(times_ms, float)
    if ann_accuracy is not None:
        label = f"trained network, {100 * ann_accuracy:.1f} %"
        axes.axhline(100 * ann_accuracy, color=INK, linewidth=1, linestyle=(0, (5, 3)), label=label, zorder=1)
    for used, (name, values) in enumerate(accuracies.items()):
        fractions = np.asarray(values, float)
        colour, label = colour_and_label(name, ("",) * used)
        axes.plot(times, 100 * fractions, color=colour, label=f"{label}, {100 * fractions[-1]:.1f} %", zorder=3)
        if n_images is not None:
            low, high = np.transpose([wilson_interval(share * n_images, n_images) for share in fractions])
            axes.fill_between(times, 100 * low, 100 * high, color=colour, alpha=0.15, linewidth=0)
    axes.set(xlabel="simulated time (ms)", xlim=(0, times[-1] * 1.01), ylim=(0, 102))
    axes.set_ylabel("accuracy (%)" if n_images is None else f"accuracy on {n_images} images (%), 95 % interval")
    axes.legend(loc="lower right")
    return figure

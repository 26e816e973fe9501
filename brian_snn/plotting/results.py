"""Pictures of a result, or of its folder, on an Axes: that of the caller, or one of a new figure of pyplot's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatterMathtext

from brian_snn.analysis.classification import accuracy, trained_answers
from brian_snn.analysis.error import error_account, error_origins
from brian_snn.analysis.operations import COUNT_NAMES, ann_operations, uneven_fan_out
from brian_snn.analysis.summary import error_over_time
from brian_snn.analysis.transients import pearson
from brian_snn.arrays import FloatArray
from brian_snn.errors import DataError
from brian_snn.network.forward import forward
from brian_snn.network.roles import crosses_threshold
from brian_snn.plotting.error_account import draw_shares
from brian_snn.plotting.raster import stacked_rows
from brian_snn.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    RESET_COLOURS,
    VERMILION,
    house_style,
    sample,
)
from brian_snn.results.exports import recorded_populations
from brian_snn.results.load import load_result
from brian_snn.results.result import Result

#: Points of one layer that are drawn; a fixed random sample of more.
_POINTS = 4000

_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, "#56B4E9", "#CC79A7", INK)


@house_style
def correlation_plot(
    result: Result | str | Path,
    activations: Mapping[str, FloatArray] | None = None,
    populations: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot firing rates against what they stand for, a colour per layer.

    Parameters
    ----------
    result : Result or path of its folder
    activations : dict of (n_images, *shape) array, optional
        Activations of the trained network by population, in its units, after the ReLU. By default those of the
        converted network itself, without spikes.
    populations : sequence of str, optional
        By default all that spike.
    ax : Axes, optional

    Returns
    -------
    ax : Axes
        Rates over r_max against activations over lambda; on the diagonal a neuron codes its activation exactly. The
        legend has Pearson's r over all neurons and images, of which at most 4,000 of a layer are drawn.
    """
    result, ax = _loaded(result), _axes(ax, 4.6, 4.4)
    network, settings = result.network, result.settings
    names = populations or [p.name for p in network.populations if crosses_threshold(p, settings)]
    targets = _targets(result, activations)
    top = 1.0
    for number, name in enumerate(names):
        target = np.ravel(targets[name])
        rate = np.ravel(np.asarray(result.rates(name)) * float(settings.dt))
        shown, colour = sample(target.size, _POINTS), _COLOURS[number % len(_COLOURS)]
        label = f"{name}, r = {pearson(target, rate):.4f}"
        ax.plot(target[shown], rate[shown], "o", markersize=2, markeredgewidth=0, alpha=0.35, color=colour, label=label)
        top = max(top, float(target[shown].max(initial=0)))
    ax.plot([0, top], [0, top], color=GREY, linewidth=1, zorder=1)
    ax.set(
        xlabel="activation / λ",
        ylabel="firing rate / $r_{max}$",
        title=f"{len(result.images):,} images, {settings.steps} steps",
    )
    ax.legend(markerscale=4, loc="upper left")
    return ax


@house_style
def raster_plot(
    result: Result | str | Path,
    image: int = 0,
    populations: Sequence[str] | None = None,
    max_neurons: int = 100,
    ax: Axes | None = None,
) -> Axes:
    """Plot the recorded spikes of one image, layer above layer, neurons sorted by their number of spikes.

    Parameters
    ----------
    result : Result or path of its folder
        With spike trains.
    image : int
        Its place in the result, from 0.
    populations : sequence of str, optional
        By default all that were recorded, the first of them on top.
    max_neurons : int
        Of a layer in which more neurons spike, a fixed random sample of so many is drawn.
    ax : Axes, optional

    Returns
    -------
    ax : Axes
        A spike of step k is drawn at its end, k dt; the axis says how many neurons are drawn of how many that spiked.

    Raises
    ------
    DataError
        If the spike trains were not recorded.
    """
    result, ax = _loaded(result), _axes(ax, 7.2, 4.2)
    names, dt_ms = recorded_populations(result, populations), 1e3 * float(result.settings.dt)
    bottom, ticks = 0, {}
    for number, name in enumerate(reversed(names)):
        train = result.spike_trains[name]
        spikes = train[train[:, 0] == image]
        rows, n_shown, n_active = stacked_rows(spikes, result.network[name].size, max_neurons)
        drawn, colour = rows >= 0, RESET_COLOURS[result.settings.reset] if number % 2 == 0 else INK
        times = spikes[drawn, 1] * dt_ms
        ax.plot(times, bottom + rows[drawn], "|", markersize=2.5, markeredgewidth=0.6, color=colour)
        ticks[bottom + n_shown / 2] = f"{name}\n{n_shown:,} of {n_active:,}"
        bottom += n_shown + max(2, max_neurons // 20)
    ax.set_yticks(list(ticks), list(ticks.values()), parse_math=False)
    ax.tick_params(axis="y", length=0)
    ax.set(xlabel="simulated time (ms)", xlim=(0, (result.settings.steps + 0.5) * dt_ms), ylim=(-1, bottom))
    ax.set_title(f"image {result.first_image + image}: neurons drawn, of those that spiked")
    return ax


@house_style
def accuracy_plot(
    result: Result | str | Path, over: Literal["steps", "operations"] = "steps", ax: Axes | None = None
) -> Axes:
    """Plot the accuracy of an answer that is given at a step, over the steps or over what it has cost until then.

    Parameters
    ----------
    result : Result or path of its folder
        With labels and checkpoints.
    over : str
        ``steps``, or ``operations``: synapses used per image, as `brian_snn.analysis.operations` counts them.
    ax : Axes, optional

    Returns
    -------
    ax : Axes
        Accuracy in per cent with its 95 % interval of Wilson; the level line is the trained network's on the same
        images, the upright one its multiply-adds.

    Raises
    ------
    DataError
        If there are no labels or checkpoints, the output means numbers, or operations are asked for of signed spikes.
    """
    result = _loaded(result)
    n_images = result.accuracy.n
    if result.labels is None or result.output_history is None or not len(result.checkpoints):
        raise DataError("no checkpoints were recorded; simulate with checkpoints=, of the steps to look at.")
    curve, ax = error_over_time(result, result.labels), _axes(ax, 5.4, 3.8)
    x = curve["step" if over == "steps" else "operations"]
    if x.isna().any():
        raise DataError("operations over time are not known of signed spikes; plot the accuracy over='steps'.")
    trained = accuracy(result.labels, trained_answers(result.network, result.still_images)).share
    ax.axhline(100 * trained, color=GREY, linewidth=1.2, label=f"trained network, {100 * trained:.1f} %")
    ax.plot(x, 100 * (1 - curve["error"]), color=BLUE, label=f"spiking network, {100 * float(result.accuracy):.1f} %")
    ax.fill_between(x, 100 * (1 - curve["high"]), 100 * (1 - curve["low"]), color=BLUE, alpha=0.15, linewidth=0)
    ax.set(xscale="log", ylim=(0, 102), ylabel=f"accuracy on {n_images:,} images (%), 95 % interval")
    if over == "steps":
        ax.set_xlabel("steps of the simulation")
        ax.xaxis.set_major_formatter("{x:,g}")
    else:
        unknown = set(uneven_fan_out(result.network)) - set(result.count_history)
        ax.set_xlabel(f"{COUNT_NAMES['synapses']} per image{', estimated before the end' if unknown else ''}")
        ax.xaxis.set_major_formatter(LogFormatterMathtext())
        ax.axvline(ann_operations(result.network), color=GREY, linewidth=1.2, linestyle=(0, (5, 3)))
    ax.legend(loc="lower right")
    return ax


@house_style
def error_plot(
    result: Result | str | Path,
    activations: Mapping[str, FloatArray] | None = None,
    origins: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Plot which causes make up the error of each layer's rates.

    Parameters
    ----------
    result : Result or path of its folder
    activations : dict of (n_images, *shape) array, optional
        Of all populations, as for `correlation_plot`.
    origins : bool
        Whether what arrives from the layers before is followed back to its causes
        (`brian_snn.analysis.error.error_origins`), or is one of them (`error_account`).
    ax : Axes, optional

    Returns
    -------
    ax : Axes
        A bar per layer, the shares of the causes in its mean squared error, which add up to 100 %; a cause that makes
        up for others hangs below 0.
    """
    result, ax = _loaded(result), _axes(ax, 6.4, 1.9 + 0.36 * len(_loaded(result).network.populations))
    given = activations or {n: v * result.network[n].scale for n, v in _targets(result, None).items()}
    draw_shares(ax, (error_origins if origins else error_account)(result, given))
    ax.set_title(f"Causes of the error, {'wherever they arose' if origins else 'layer by layer'}")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2, fontsize=8)
    return ax


def _loaded(result: Result | str | Path) -> Result:
    """Return a result, read from its folder where that is given."""
    return result if isinstance(result, Result) else load_result(result)


def _axes(ax: Axes | None, width: float, height: float) -> Axes:
    """Return the Axes, or that of a new figure, which a notebook shows."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.figure(figsize=(width, height), layout="constrained").add_subplot()


def _targets(result: Result, activations: Mapping[str, FloatArray] | None) -> dict[str, FloatArray]:
    """Return activations over lambda; without any those of the converted network."""
    if activations is None:
        return forward(result.network, result.still_images[:])
    return {name: values / result.network[name].scale for name, values in activations.items()}

"""The front of a search: the error of classification against what it costs, and what was tried beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brian_snn.analysis.operations import COUNT_COLUMNS, COUNT_NAMES
from brian_snn.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    VERMILION,
    house_style,
    mark_error_axis,
    mark_log_axis,
    new_figure,
)

_COSTS = {column: f"{COUNT_NAMES[count]} per image" for count, column in COUNT_COLUMNS.items()}
_MEASURES = {"error": "error (%)", "agreement": "answers other than those of the trained network (%)"}


@house_style
def plot_front(
    front: pd.DataFrame,
    tried: pd.DataFrame,
    trained: Mapping[str, float],
    target: float,
    chosen: Mapping[str, Any],
    cost: str = "operations",
    measure: str = "error",
) -> Figure:
    """Plot the front on the images of a search, the same points on images that were held out, and all that was tried.

    Parameters
    ----------
    front, tried, trained, target, chosen, measure
        As those of `brian_snn.Tuning`.
    cost : str
        ``operations``, ``paper_operations`` or ``steps``.

    Returns
    -------
    figure : Figure
        One panel with logarithmic axes. No error is drawn as half of one image, since a logarithm has no place for it.
    """
    figure = new_figure(6.4, 5.0)
    axes = figure.add_subplot()
    _draw_tried(axes, tried, cost)
    searched, held_out = int(front["images"].iloc[0]), int(front["held_out_images"].iloc[0])
    _line(axes, front[cost], front["error"], searched, BLUE, "o-", f"front, {searched:,} images of the search")
    held_out_cost = front["steps"] if cost == "steps" else front[f"held_out_{cost}"]
    low, middle, high = (_percent(front[f"held_out_{name}"], held_out) for name in ("low", "error", "high"))
    label = f"the same on {held_out:,} held out, 95 % interval"
    axes.errorbar(
        held_out_cost, middle, [middle - low, high - middle], color=VERMILION, fmt="s", ms=4, lw=1, label=label
    )
    _line(axes, [chosen[cost]], [chosen["error"]], searched, GREEN, "o", "chosen", markersize=12, fillstyle="none")
    axes.axhline(_percent(target, searched), color=GREEN, lw=1, ls=(0, (5, 3)), label=f"target, {100 * target:.2f} %")
    if measure == "error":
        error = trained["error"]
        axes.axhline(_percent(error, searched), color=GREY, lw=1.2, label=f"trained network, {100 * error:.2f} %")
    if cost in _COSTS:
        axes.axvline(trained[cost], color=GREY, lw=1.2, ls=(0, (1, 1.5)), label="operations of the trained network")
    axes.set(xscale="log", yscale="log", xlabel=_COSTS.get(cost, "steps"), ylabel=_MEASURES[measure])
    mark_log_axis(axes)
    mark_error_axis(axes)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return figure


def _draw_tried(axes: Axes, tried: pd.DataFrame, cost: str) -> None:
    """Draw a thin line for each setting that was shown all images of the search."""
    axis = ["percentile", "normalisation", "v_init", "clamp"]
    all_of_them = tried[tried["images"] == tried["images"].max()].groupby(axis, sort=False)
    label = f"{len(all_of_them)} of {len(tried.drop_duplicates(axis))} settings that were tried, the best"
    for _, rows in all_of_them:
        error = _percent(rows["wrong"] / rows["answers"], int(rows["images"].iloc[0]))
        axes.plot(rows[cost], error, color=LIGHT, lw=0.9, zorder=0, label=label)
        label = ""


def _line(axes: Axes, costs: Any, errors: Any, n: int, colour: str, form: str, label: str, **look: Any) -> None:
    axes.plot(costs, _percent(errors, n), form, **{"color": colour, "markersize": 4, "label": label, **look})


def _percent(shares: Any, n_images: int) -> Any:
    """Return shares in per cent, none as half an image."""
    return 100 * np.maximum(np.asarray(shares, float), 0.5 / n_images)

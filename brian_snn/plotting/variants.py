"""Error of classification against steps, for neurons, inputs and outputs of other kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brian_snn.plotting.style import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    VERMILION,
    house_style,
    mark_error_axis,
    mark_log_axis,
    panel_grid,
)

_COLOURS = (BLUE, GREEN, ORANGE, VERMILION)

#: The kind of the curve that every panel has, for comparison.
PLAIN = "plain"


@house_style
def plot_variants(curves: pd.DataFrame) -> Figure:
    """Plot the error over the steps, a panel per kind of variant, each beside the plain neuron.

    Parameters
    ----------
    curves : DataFrame
        Columns ``kind`` (``plain`` for that of every panel), ``label``, ``steps``, ``wrong`` and ``images``.

    Returns
    -------
    figure : Figure
        Error in per cent, both axes logarithmic; no error at all is drawn as half an image. The legend has the error at
        the end.
    """
    plain = curves[curves["kind"] == PLAIN]
    kinds = [kind for kind in dict.fromkeys(curves["kind"]) if kind != PLAIN]
    figure, panels = panel_grid(len(kinds), max_columns=3, size=(4.0, 3.4))
    for axes, kind, letter in zip(panels, kinds, "abcdefghijkl", strict=False):
        _draw(axes, plain, INK, linestyle=(0, (4, 2)), zorder=4)
        rows = curves[curves["kind"] == kind]
        for label, colour in zip(dict.fromkeys(rows["label"]), _COLOURS, strict=False):
            _draw(axes, rows[rows["label"] == label], colour)
        axes.set(xscale="log", yscale="log", title=f"({letter})  {kind}", xlabel="steps", ylabel="error (%)")
        mark_log_axis(axes)
        mark_error_axis(axes)
        axes.legend(loc="lower left", fontsize=8)
    return figure


def _draw(axes: Axes, rows: pd.DataFrame, colour: str, **style: Any) -> None:
    """Draw one curve."""
    ordered = rows.sort_values("steps")
    wrong, n_images = ordered["wrong"].to_numpy(), ordered["images"].to_numpy()
    label = f"{ordered['label'].iloc[0]}: {100 * wrong[-1] / n_images[-1]:.2f} %"
    axes.plot(ordered["steps"], 100 * np.maximum(wrong, 0.5) / n_images, color=colour, label=label, **style)

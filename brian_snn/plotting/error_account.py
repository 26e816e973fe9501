"""Where the error of the firing rates comes from, layer by layer: stacked causes that add up to the error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brian_snn.plotting.style import BLUE, GREEN, GREY, INK, LIGHT, ORANGE, VERMILION, house_style, new_figure

#: Colour and label of every term, in the order in which they are stacked; the same in every figure.
TERM_STYLES = {
    "surplus": (VERMILION, "surplus thrown away by reset to zero"),
    "saturation": (ORANGE, "saturation: target above $r_{max}$"),
    "residual": (BLUE, "residual potential"),
    "transient": ("#56B4E9", "transient: charge at the wrong time"),
    "window": (GREEN, "clamp window"),
    "selection": ("#CC79A7", "selection by max pooling"),
    "pooling": ("#F0E442", "max pooling misses spikes"),
    "grid": (INK, "grid and float32"),
    "leak": ("#999933", "leak"),
    "refractory": ("#882255", "missed in the refractory period"),
    "synapse": ("#332288", "still waiting in the synapses"),
    "conductance": ("#DDCC77", "conductances: V is near a reversal potential"),
    "adaptation": ("#AA4499", "taken by adaptation"),
    "mismatch": ("#661100", "mismatch of thresholds"),
    "noise": ("#6699CC", "membrane noise"),
    "overflow": ("#117733", "overflow of the accumulator"),
    "sampling": ("#44AA99", "Poisson sampling of the image"),
    "arrives": (GREY, "arrives from the layers before"),
    "clipped": (LIGHT, "clipped: what arrives and a ReLU stops"),
}

# A term with a smaller share than this in all layers would be a line that nobody can see.
_VISIBLE = 2e-3


@house_style
def plot_error_account(account: pd.DataFrame, origins: pd.DataFrame, title: str = "") -> Figure:
    """Plot which terms make up the error of each layer, in the layer and at its origin.

    A bar is divided by the shares of the terms in the layer's mean squared error. Shares add up to 100 %: a term that
    makes up for others hangs below zero, and the rest is longer by as much. The numbers beside the bars are the rms
    errors, relative to the rms activation of the layer.

    Parameters
    ----------
    account : DataFrame
        From `brian_snn.analysis.error.error_account`.
    origins : DataFrame
        From `brian_snn.analysis.error.error_origins`, by term.
    title : str
        Title of the figure.

    Returns
    -------
    figure : Figure
        (a) the account of each layer by itself, with what arrives from its sources; (b) the same errors followed back
        to the terms that they arose from, in whichever layer.
    """
    tables = [_shares(account), _shares(origins)]
    shown = [term for term in TERM_STYLES if any(_visible(table, term) for table in tables)]
    errors = account[account["term"] == "error"].set_index("population")["relative"]
    figure = new_figure(10.5, 1.9 + 0.36 * len(errors))
    titles = ("(a)  in the layer itself", "(b)  where it arose, in this layer or before")
    panels = [figure.add_subplot(1, 2, k + 1) for k in range(2)]
    for axes, table, name in zip(panels, tables, titles, strict=True):
        _draw(axes, table.loc[errors.index], shown)
        axes.set_title(name)
    panels[1].tick_params(labelleft=False)
    side = panels[1].secondary_yaxis("right")
    side.set_yticks(range(len(errors)), [f"{100 * error:.2g} %" for error in errors])
    side.tick_params(length=0)
    side.spines["right"].set_visible(False)
    side.set_ylabel("rms error / rms activation")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.suptitle(title)
    return figure


def draw_shares(axes: Axes, table: pd.DataFrame) -> None:
    """Draw one panel of `plot_error_account`, of an account or of origins, with the terms that can be seen."""
    shares = _shares(table).loc[table["population"].unique()]
    _draw(axes, shares, [term for term in TERM_STYLES if _visible(shares, term)])


def _shares(table: pd.DataFrame) -> pd.DataFrame:
    """Return the shares in per cent: a row per population, a column per term; of several sources their sum."""
    terms = table[~table["term"].isin(("error", "unexplained"))]
    return 100 * terms.groupby(["population", "term"], sort=False)["share"].sum().unstack(fill_value=0.0)


def _visible(table: pd.DataFrame, term: str) -> bool:
    """Whether a term is large enough to be seen anywhere."""
    return term in table and bool((table[term].abs() > 100 * _VISIBLE).any())


def _draw(axes: Axes, table: pd.DataFrame, terms: Sequence[str]) -> None:
    """Draw a bar per layer, the first layer on top."""
    rows = np.arange(len(table))
    above, below = np.zeros(len(rows)), np.zeros(len(rows))
    for term in terms:
        values = table[term].to_numpy() if term in table else np.zeros(len(rows))
        left = np.where(values >= 0, above, below)
        colour, label = TERM_STYLES[term]
        axes.barh(rows, values, left=left, height=0.7, color=colour, edgecolor="white", linewidth=0.4, label=label)
        above, below = above + np.maximum(values, 0), below + np.minimum(values, 0)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(rows, list(table.index), parse_math=False)
    axes.set(xlabel="share of the mean squared error  (%)", xlim=(min(below.min() * 1.05, 0), above.max() * 1.02))
    axes.set_ylim(len(rows) - 0.5, -0.5)

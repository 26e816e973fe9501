"""The rate equations S9 and S11 against measured rates, neuron by neuron, with what is left over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brian_snn.arrays import FloatArray
from brian_snn.plotting.style import INK, LIGHT, MAX_POINTS, count_label, house_style, new_figure, sample

#: Rates drawn in a panel: few enough that the ring of the equation around each dot can be seen.
RATE_POINTS = 300


@dataclass(frozen=True, eq=False)
class RateLaw:
    """One column of the figure: an equation, its prediction and the measurement.

    Parameters
    ----------
    title : str
        Equation, reset and layer.
    activation : (n_points,) float array
        a = z / V_thr, the constant input in thresholds a step.
    measured_hz, predicted_hz : (n_points,) float array
        Firing rates, simulated and by the equation.
    residual_charge : (n_points,) float array
        What the equation leaves over, in charge.
    grid : float
        Smallest charge that the simulation can represent.
    r_max_hz : float
        1 / dt.
    colour : str
        Colour of the measured rates.
    """

    title: str
    activation: FloatArray
    measured_hz: FloatArray
    predicted_hz: FloatArray
    residual_charge: FloatArray
    grid: float
    r_max_hz: float
    colour: str


@house_style
def plot_rate_laws(laws: Sequence[RateLaw]) -> Figure:
    """Plot measured and predicted rates over the input on top, the residual in charge below, a column per equation."""
    figure = new_figure(4.6 * len(laws), 5.6)
    panels = figure.subplots(2, len(laws), squeeze=False, sharex="col", height_ratios=(3, 1.3))
    for column, law in enumerate(laws):
        shown = _spread(law.activation, RATE_POINTS)
        _rates(panels[0, column], law, shown)
        _residuals(panels[1, column], law)
    panels[0, 0].set_ylabel("firing rate (Hz)")
    panels[1, 0].set_ylabel(f"residual charge\n(grid steps, $2^{{{np.log2(laws[0].grid):g}}}$)")
    return figure


def _spread(values: FloatArray, n_points: int) -> np.ndarray:
    """Return the indices of at most `n_points` values that lie evenly between the smallest and the largest."""
    order = np.argsort(values, kind="stable")
    targets = np.linspace(values[order[0]], values[order[-1]], n_points)
    return order[np.unique(np.searchsorted(values[order], targets))] if values.size > n_points else order


def _rates(axes: Axes, law: RateLaw, shown: np.ndarray) -> None:
    """Draw the ReLU, the measured rates as dots and the equation's as rings around them."""
    low, high = min(0.0, float(law.activation.min())), max(1.0, float(law.activation.max()))
    relu_a = np.array([low, 0.0, 1.0, high])
    relu_hz = np.clip(relu_a, 0, 1) * law.r_max_hz
    axes.plot(relu_a, relu_hz, color=LIGHT, linewidth=3, zorder=1, label="ReLU, up to r$_{max}$")
    dots: dict[str, Any] = {"linestyle": "none", "marker": "o", "rasterized": True}
    axes.plot(
        law.activation[shown], law.predicted_hz[shown], **dots, markersize=5.5, markerfacecolor="none",
        markeredgecolor=INK, markeredgewidth=0.5, alpha=0.7, zorder=2, label="equation",
    )  # fmt: skip
    axes.plot(
        law.activation[shown], law.measured_hz[shown], **dots, markersize=2.4, markeredgewidth=0,
        color=law.colour, zorder=3, label="measured",
    )  # fmt: skip
    axes.set_title(law.title, parse_math=False)
    axes.legend(
        loc="upper left", title=count_label(shown.size, law.activation.size, "neurons x images"), alignment="left"
    )


def _residuals(axes: Axes, law: RateLaw) -> None:
    """Draw what the equation leaves over, of every neuron, in steps of the grid."""
    residual = law.residual_charge / law.grid
    # The sample of a large layer must not lose what is wrong in it.
    worst_first = np.argsort(-np.abs(residual), kind="stable")
    order = np.union1d(worst_first[: MAX_POINTS // 2], sample(residual.size, MAX_POINTS // 2))
    axes.plot(
        law.activation[order],
        residual[order],
        linestyle="none",
        marker="o",
        markersize=2.4,
        markeredgewidth=0,
        color=law.colour,
        rasterized=True,
        zorder=3,
    )
    worst = float(np.abs(residual).max(initial=0.0))
    reach = 1.6 * max(worst, 1.0)
    axes.set(ylim=(-reach, reach), xlabel="input a = z / V$_{thr}$ (thresholds a step)")
    verdict = "exactly 0" if worst == 0 else f"up to {worst * law.grid:.3g}"
    axes.set_title(f"residual charge of all {residual.size:,}: {verdict}", fontsize=9)

"""Figure S1 of the supplement: how transients shift whole feature maps, and what the voltage clamp does about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import CenteredNorm, Normalize, PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.plotting.style import GREY, INK, house_style, new_figure

_MAP_COLOURS = "magma"
_BIAS_COLOURS = "coolwarm"
_MAP_LABEL = "(a): activation / λ;  (c), (e): rate / $r_{max}$;  square-root scale up to percentile 99.5 of (a)"
_BIAS_LABEL = "(d), (f): bias of the map (thresholds per step)"
_COLUMNS = 8
# Rates of a few thousandths are what the figure is about; the square root makes them visible.
_GAMMA = 0.5
# Of the activations: where the common colour scale ends, so that a few outliers do not darken all the rest.
_BRIGHTEST_PERCENTILE = 99.5
# Of the largest activation: from there on, points below the diagonal are called saturation.
_BENT = 0.7
# Inches: the page, the height of a panel, from one row to the next, and (left edge, width) of the columns.
_WIDTH, _HEIGHT, _PANEL, _ROW = 9.85, 12.5, 2.95, 3.65
_LEFT, _RIGHT = (0.15, 5.92), (6.75, 2.95)


@dataclass(frozen=True, eq=False)
class FigureS1:
    """What Figure S1 shows; activations and rates as fractions of r_max.

    Parameters
    ----------
    photo : (height, width, 3) uint8 array
        As the network saw it.
    activations : (rows, columns, maps) float array
        Target rates: the ANN's activations over lambda.
    rates_unclamped, rates_clamped : (rows, columns, maps) float array
        Measured without and with the voltage clamp.
    bias : (maps,) float array
        Of the feature maps, in thresholds per step.
    summary : dict
        The numbers below the figure: ``pearson_unclamped``, ``pearson_clamped``, ``map_offset_unclamped``,
        ``map_offset_clamped``, ``steps``, ``clamp``, ``percentile``, ``weights``, and any others.
    """

    photo: NDArray[np.uint8]
    activations: FloatArray
    rates_unclamped: FloatArray
    rates_clamped: FloatArray
    bias: FloatArray
    summary: dict[str, Any]


@house_style
def plot_figure_s1(data: FigureS1) -> Figure:
    """Draw panels (a) to (f): activations, photo, rates and their correlation without and with the clamp.

    Parameters
    ----------
    data : FigureS1
        Activations, rates and the numbers that go below the figure.

    Returns
    -------
    figure : Figure
        Three rows of a heat map of all feature maps and a smaller panel; one colour scale for all heat maps.
    """
    figure = new_figure(_WIDTH, _HEIGHT)
    # Square and two-to-one panels side by side: the constrained layout would leave gaps between them.
    figure.set_layout_engine(None)
    scale = PowerNorm(_GAMMA, 0, float(np.percentile(data.activations, _BRIGHTEST_PERCENTILE)))
    maps = {
        "(a)  ANN activations": data.activations,
        "(c)  SNN rates without clamp": data.rates_unclamped,
        f"(e)  SNN rates with a clamp of {data.summary['clamp']} steps": data.rates_clamped,
    }
    for row, (title, values) in enumerate(maps.items()):
        _heat_map(_panel(figure, _LEFT, row), title, values, scale)
    _photo(_panel(figure, _RIGHT, 0), data.photo)
    norm = CenteredNorm(0, float(np.abs(data.bias).max()) or 1.0)
    _correlation(_panel(figure, _RIGHT, 1), "(d)  without clamp", data, data.rates_unclamped, "unclamped", norm)
    _correlation(_panel(figure, _RIGHT, 2), "(f)  with clamp", data, data.rates_clamped, "clamped", norm)
    _colour_bar(figure, _LEFT, ScalarMappable(scale, _MAP_COLOURS), _MAP_LABEL, "max")
    _colour_bar(figure, _RIGHT, ScalarMappable(norm, _BIAS_COLOURS), _BIAS_LABEL, "neither")
    figure.text(_LEFT[0] / _WIDTH, 0.12 / _HEIGHT, _caption(data.summary), fontsize=8, color=INK, linespacing=1.5)
    return figure


def save_data(data: FigureS1, path: Path) -> None:
    """Write what the figure shows to an ``.npz``; the summary goes elsewhere."""
    np.savez_compressed(
        path,
        photo=data.photo,
        **{name: getattr(data, name).astype(np.float32) for name in _ARRAYS},
    )


def load_data(path: Path, summary: dict[str, Any]) -> FigureS1:
    """Read what `save_data` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return FigureS1(arrays["photo"], **{name: arrays[name].astype(np.float64) for name in _ARRAYS}, summary=summary)


_ARRAYS = ("activations", "rates_unclamped", "rates_clamped", "bias")


def tile(maps: FloatArray, columns: int = _COLUMNS) -> FloatArray:
    """Return feature maps (rows, columns, maps) side by side as one image, with one pixel of nan between them."""
    n_rows = -(-maps.shape[2] // columns)
    height, width = maps.shape[0] + 1, maps.shape[1] + 1
    image = np.full((n_rows * height - 1, columns * width - 1), np.nan)
    for k in range(maps.shape[2]):
        top, left = k // columns * height, k % columns * width
        image[top : top + height - 1, left : left + width - 1] = maps[:, :, k]
    return image


def _heat_map(axes: Axes, title: str, maps: FloatArray, scale: Normalize) -> None:
    """Draw all feature maps of one quantity."""
    axes.imshow(tile(maps), cmap=_MAP_COLOURS, norm=scale, interpolation="nearest")
    axes.set_title(title)
    axes.axis("off")


def _photo(axes: Axes, photo: NDArray[np.uint8]) -> None:
    """Draw the photo."""
    axes.imshow(photo)
    axes.set_title("(b)  input image")
    axes.axis("off")


def _correlation(axes: Axes, title: str, data: FigureS1, rates: FloatArray, key: str, norm: CenteredNorm) -> None:
    """Draw rates against activations, coloured by the bias of the feature map."""
    target, rate = data.activations.ravel(), rates.ravel()
    # In random order, so that no feature map covers another.
    shown = np.random.default_rng(0).permutation(target.size)
    top = float(max(target.max(), rate.max(), 1e-12)) * 1.03
    axes.plot([0, top], [0, top], color=GREY, linewidth=0.8, zorder=1)
    _name_saturation(axes, target, rate)
    bias = np.broadcast_to(data.bias, data.activations.shape).ravel()
    points: dict[str, Any] = {"s": 5, "linewidths": 0, "alpha": 0.7, "rasterized": True, "zorder": 2}
    axes.scatter(target[shown], rate[shown], c=bias[shown], cmap=_BIAS_COLOURS, norm=norm, **points)
    axes.set(xlim=(-0.02 * top, top), ylim=(-0.02 * top, top), aspect="equal")
    axes.locator_params(nbins=5)
    axes.set_title(f"{title}:  r = {data.summary[f'pearson_{key}']:.4f}")
    axes.set_xlabel("ANN activation / λ", labelpad=2)
    axes.set_ylabel("SNN rate / $r_{max}$")
    offset = data.summary[f"map_offset_{key}"]
    inside: dict[str, Any] = {"transform": axes.transAxes}
    axes.text(0.97, 0.04, f"mean |map offset|\n{offset:.4f} $r_{{max}}$", ha="right", fontsize=9, **inside)
    axes.text(0.04, 0.96, f"{target.size:,} neurons", va="top", fontsize=8, color=GREY, **inside)


def _name_saturation(axes: Axes, target: FloatArray, rate: FloatArray) -> None:
    """Point at the bend below the diagonal at the largest activations, if there is one."""
    bent = target >= _BENT * target.max()
    if target.max() > 0 and np.mean(rate[bent] - target[bent]) < 0:
        tip = (float(target[bent].mean()), float(rate[bent].mean()))
        arrow = {"arrowstyle": "-", "color": GREY, "linewidth": 0.8}
        axes.annotate(
            "saturation: activations\nabove \u03bb, here and before,\nare cut to $r_{max}$", tip, (0.97, 0.3),
            textcoords="axes fraction", ha="right", va="center", fontsize=8, color=INK, arrowprops=arrow,
        )  # fmt: skip


def _panel(figure: Figure, column: tuple[float, float], row: int) -> Axes:
    """Return the axes of a row, three inches high."""
    left, width = column
    bottom = _HEIGHT - 0.35 - _ROW * row - _PANEL
    return figure.add_axes((left / _WIDTH, bottom / _HEIGHT, width / _WIDTH, _PANEL / _HEIGHT))


def _colour_bar(figure: Figure, column: tuple[float, float], colours: ScalarMappable, label: str, extend: str) -> None:
    """Draw a flat colour bar below a column."""
    left, width = column
    axes = figure.add_axes((left / _WIDTH, 1.05 / _HEIGHT, width / _WIDTH, 0.1 / _HEIGHT))
    bar = figure.colorbar(colours, cax=axes, orientation="horizontal", extend=extend)
    bar.set_label(label, fontsize=9)
    bar.outline.set_visible(False)
    bar.ax.locator_params(nbins=6)


def _caption(summary: dict[str, Any]) -> str:
    """Return the numbers behind the figure."""
    return (
        f"Pearson r: {summary['pearson_unclamped']:.4f} without clamp, {summary['pearson_clamped']:.4f} with it.  "
        f"Mean absolute offset of a feature map: {summary['map_offset_unclamped']:.4f} and "
        f"{summary['map_offset_clamped']:.4f} $r_{{max}}$.\n"
        f"{summary['steps']} steps, clamp {summary['clamp']}, percentile {summary['percentile']:g}.  "
        f"Inception-V3; weights: {summary['weights']}."
    )

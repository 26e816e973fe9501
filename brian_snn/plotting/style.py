"""The look of every figure: fonts, colours, and the few helpers that all kinds of figure share.

Figures are built with `matplotlib.figure.Figure` inside `matplotlib.rc_context`, so neither pyplot's list of open
figures nor the user's own ``rcParams`` is touched. The colours are those of Okabe and Ito (2008), which people with any
kind of colour blindness can tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from io import BytesIO
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")

BLUE = "#0072B2"
ORANGE = "#E69F00"
VERMILION = "#D55E00"
GREEN = "#009E73"
INK = "#222222"
GREY = "#8C8C8C"
LIGHT = "#D9D9D9"

#: One colour per reset, the same in every figure.
RESET_COLOURS = {"subtraction": BLUE, "zero": VERMILION}
RESET_LABELS = {"subtraction": "reset by subtraction", "zero": "reset to zero"}

DPI = 150

#: More points than this in one panel are drawn from a fixed random sample, and the panel says so.
MAX_POINTS = 20_000

_ERROR_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 50, 100)

STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "figure.titlesize": 12,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.titlelocation": "left",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def house_style(plot: Callable[P, R]) -> Callable[P, R]:
    """Run a plotting function under `STYLE`, and leave the user's ``rcParams`` as they were."""

    @wraps(plot)
    def styled(*args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.rc_context(STYLE):
            return plot(*args, **kwargs)

    return styled


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of that size in inches, with its own canvas and no link to pyplot."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panel_grid(
    n_panels: int, max_columns: int = 4, size: tuple[float, float] = (2.9, 2.75)
) -> tuple[Figure, list[Axes]]:
    """Return a figure and exactly `n_panels` axes, row by row, each about `size` inches; unused cells stay empty."""
    n_rows = -(-n_panels // max_columns)
    n_columns = -(-n_panels // n_rows)
    figure = new_figure(size[0] * n_columns, size[1] * n_rows + 0.4)
    return figure, [figure.add_subplot(n_rows, n_columns, index + 1) for index in range(n_panels)]


def mark_error_axis(axes: Axes) -> None:
    """Put round numbers on a logarithmic y axis of errors in per cent, within its limits."""
    low, high = axes.get_ylim()
    ticks = [tick for tick in _ERROR_TICKS if low <= tick <= high]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def mark_log_axis(axes: Axes) -> None:
    """Label a logarithmic x axis of steps or operations twice a decade, as 300, 30 k or 1 M."""
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))


def sample(n_points: int, limit: int = MAX_POINTS, seed: int = 0) -> NDArray[np.intp]:
    """Return the sorted indices of at most `limit` of `n_points` points, always the same ones."""
    if n_points <= limit:
        return np.arange(n_points)
    return np.sort(np.random.default_rng(seed).choice(n_points, limit, replace=False))


def count_label(n_shown: int, n_all: int, noun: str) -> str:
    """Return ``1,234 neurons``, or ``500 of 1,234 neurons`` where only some are drawn."""
    return f"{n_all:,} {noun}" if n_shown == n_all else f"{n_shown:,} of {n_all:,} {noun}"


def colour_and_label(name: str, used: Sequence[str] = ()) -> tuple[str, str]:
    """Return the colour and legend label of a reset; any other name gets the next free colour and stays as it is."""
    spare = (GREEN, ORANGE, INK)
    return RESET_COLOURS.get(name, spare[len(used) % len(spare)]), RESET_LABELS.get(name, name)


def save_figure(figure: Figure, path: Path) -> Path:
    """Write the figure to `path` at the house resolution and return the path."""
    _save(figure, path)
    return path


def save_figures(figures: Mapping[str, Figure], folder: Path) -> None:
    """Write figures by the names of their files, each as PNG and PDF."""
    for stem, figure in figures.items():
        for suffix in ("png", "pdf"):
            save_figure(figure, folder / f"{stem}.{suffix}")


def figure_png(figure: Figure) -> bytes:
    """Return the figure as a PNG file at the house resolution."""
    buffer = BytesIO()
    _save(figure, buffer)
    return buffer.getvalue()


def _save(figure: Figure, target: Path | BytesIO) -> None:
    """Write the figure; a buffer gets a PNG."""
    engine = figure.get_layout_engine()
    with matplotlib.rc_context(STYLE):
        # Laid out here, once: for a figure with a layout engine savefig draws and lays out everything twice.
        if engine is not None:
            engine.execute(figure)
            figure.set_layout_engine(None)
        figure.savefig(target, dpi=DPI)
    figure.set_layout_engine(engine)

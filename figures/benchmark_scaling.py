"""Draw how the time grows with steps, images, neurons and events, from the results of experiments/benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from brian_snn.plotting.style import BLUE, INK, ORANGE, house_style, new_figure, save_figures

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "experiments" / "benchmarks" / "results" / "scaling.json"

COLOURS = (INK, BLUE, ORANGE)
TITLES = {
    "steps": "steps",
    "images": "images",
    "neurons": "neurons (larger images)",
    "events": "events (brighter images)",
}


@house_style
def plot_scaling(record: dict[str, Any]) -> Figure:
    """Return the figure: a panel a kind of work, points and a straight line a program, seen in logarithms."""
    figure = new_figure(8.6, 6.6)
    programs = record["params"]["programs"]
    for index, (axis, sweeps) in enumerate(record["sweeps"].items()):
        axes = figure.add_subplot(2, 2, index + 1)
        for colour, (name, sweep) in zip(COLOURS, sweeps.items(), strict=False):
            _draw_sweep(axes, sweep, colour, programs[name]["label"])
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(f"{'abcd'[index]}  Time against {TITLES[axis]}")
        axes.set_xlabel("synaptic events an image" if axis == "events" else axis)
        axes.yaxis.set_minor_formatter(NullFormatter())
        # From one power of ten to another, so that every panel has two with a number.
        low, high = np.log10(axes.get_ylim())
        axes.set_ylim(10 ** np.floor(low), 10 ** np.ceil(high))
        axes.set_ylabel("s for all but the first" if axis == "images" else "s an image")
        axes.legend(loc="upper left", title="exponent")
    return figure


def _draw_sweep(axes: Axes, sweep: dict[str, Any], colour: str, label: str) -> None:
    """Draw the points of one program and the straight line, constant and all, that fits them best."""
    axes.plot(sweep["work"], sweep["seconds"], "o", color=colour, markersize=5)
    work = np.geomspace(min(sweep["work"]), max(sweep["work"]), 100)
    legend = f"{label}: {sweep['slope']:.2f}"
    axes.plot(work, sweep["constant_s"] + sweep["unit_s"] * work, color=colour, linewidth=1, label=legend)


def main(results: Path = RESULTS, folder: Path = HERE) -> None:
    """Read the results and write the figure as PNG and PDF."""
    figure = plot_scaling(json.loads(results.read_text("utf-8")))
    save_figures({"benchmark_scaling": figure}, folder)


if __name__ == "__main__":
    main()

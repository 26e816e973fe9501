"""Draw how the time grows with steps, images, neurons and events, from the results of experiments/benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brian_snn.plotting.style import BLUE, INK, ORANGE, house_style, new_figure, save_figure

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "experiments" / "benchmarks" / "results" / "scaling.json"

COLOURS = (INK, BLUE, ORANGE)
TITLES = {
    "steps": "steps of a run",
    "images": "images",
    "neurons": "neurons (images of 8 to 64 pixels)",
    "events": "synaptic events an image (brightness)",
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
        axes.set_title(f"{'abcd'[index]}  time against {TITLES[axis]}")
        axes.set_xlabel(axis)
        axes.set_ylabel("s for all but the first" if axis == "images" else "s an image")
        axes.legend(loc="upper left")
    return figure


def _draw_sweep(axes: Axes, sweep: dict[str, Any], colour: str, label: str) -> None:
    """Draw the points of one program and the straight line, constant and all, that fits them best."""
    axes.plot(sweep["work"], sweep["seconds"], "o", color=colour, markersize=5)
    work = np.geomspace(min(sweep["work"]), max(sweep["work"]), 100)
    legend = f"{label}: exponent {sweep['slope']:.2f}"
    axes.plot(work, sweep["constant_s"] + sweep["unit_s"] * work, color=colour, linewidth=1, label=legend)


def main(results: Path = RESULTS, folder: Path = HERE) -> None:
    """Read the results and write the figure as PNG and PDF."""
    figure = plot_scaling(json.loads(results.read_text("utf-8")))
    for suffix in ("png", "pdf"):
        save_figure(figure, folder / f"benchmark_scaling.{suffix}")


if __name__ == "__main__":
    main()

"""Draw how long every program takes for an image of every network, from the results of experiments/benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from brian_snn.plotting.style import BLUE, GREY, INK, LIGHT, VERMILION, house_style, new_figure, save_figures

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "experiments" / "benchmarks" / "results" / "race.json"

#: One colour a kind of program: the yardstick, this package, all others.
COLOURS = {"loop": INK, "rows": GREY, "brian_snn": BLUE, "peer": VERMILION}
COLUMNS = 3


@house_style
def plot_race(record: dict[str, Any]) -> Figure:
    """Return the figure: a panel a network, a row a program, a dot with both cores and a ring with one."""
    programs = record["params"]["programs"]
    networks = {name: network for name, network in record["networks"].items() if "programs" in network}
    n_rows = -(-len(networks) // COLUMNS)
    figure = new_figure(10.5, 0.9 + n_rows * (0.6 + 0.21 * len(programs)))
    for index, (name, network) in enumerate(networks.items()):
        axes = figure.add_subplot(n_rows, COLUMNS, index + 1)
        _draw_network(axes, network, programs)
        size = network["size"]
        axes.set_title(f"{name}: {size['neurons']:,} neurons")
        if index % COLUMNS:
            axes.set_yticklabels([])
        if index >= len(networks) - COLUMNS:
            axes.set_xlabel("ms an image")
    handles = [figure.axes[0].plot([], [], "o", color=GREY, fillstyle=fill)[0] for fill in ("full", "none")]
    figure.legend(handles, ["both cores", "one core"], loc="outside upper right", ncols=2)
    return figure


def _draw_network(axes: Axes, network: dict[str, Any], programs: dict[str, Any]) -> None:
    """Draw the times of one network, and a line where the C++ loop with both cores lies."""
    for row, (name, program) in enumerate(programs.items()):
        entry, colour = network["programs"].get(name, {}), COLOURS[program["kind"]]
        for cores, fill in (("one", "none"), ("both", "full")):
            if cores in entry:
                axes.plot(entry[cores]["ms"], row, "o", color=colour, fillstyle=fill, markersize=6)
        if "absent" in entry:
            place = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center"}
            axes.text(0.98, row, "absent", color=GREY, fontsize=8, **place)
    if "both" in network["programs"].get("loop", {}):
        axes.axvline(network["programs"]["loop"]["both"]["ms"], color=GREY, linewidth=0.8, linestyle="--", zorder=0)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    if high < 10 * low:
        # No power of ten in a panel would leave it without a scale.
        low, high = low / 1.5, high * 1.5
        axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high > 100 * low else (1.0, 2.0, 5.0), numticks=20))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color=LIGHT, linewidth=0.5)
    axes.set_yticks(range(len(programs)), [program["label"] for program in programs.values()])
    axes.set_ylim(len(programs) - 0.5, -0.5)


def main(results: Path = RESULTS, folder: Path = HERE) -> None:
    """Read the results and write the figure as PNG and PDF."""
    figure = plot_race(json.loads(results.read_text("utf-8")))
    save_figures({"benchmark_race": figure}, folder)


if __name__ == "__main__":
    main()

"""Draw how well all layers of the spiking Inception-V3 follow the ANN, from the results of experiments/inception_v3."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brian_snn.plotting.style import BLUE, GREEN, INK, ORANGE, VERMILION, house_style, new_figure, save_figures

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "experiments" / "inception_v3" / "results" / "layers.csv"
COLOURS = (VERMILION, ORANGE, GREEN, BLUE, INK)


@house_style
def plot_correlation(layers: pd.DataFrame) -> Figure:
    """Return the figure: Pearson's r, and the offset of feature maps, of every population against its depth."""
    figure = new_figure(8.6, 6.4)
    upper, lower = figure.subplots(2, 1, sharex=True)
    _draw(upper, layers, "pearson_r")
    upper.set_ylim(-0.05, 1.05)
    upper.set_ylabel("Pearson r")
    upper.set_title("a  Firing rates of a population against the ANN's activations; line: mean over a depth")
    upper.legend(loc="lower left")
    _draw(lower, layers[layers["kind"] != "readout"], "mean_abs_offset")
    lower.set_yscale("log")
    lower.set_ylabel("fraction of r$_{max}$")
    lower.set_title("b  Mean absolute offset of a feature map")
    lower.set_xlabel("depth: layers with a membrane on the longest path from the image")
    return figure


def _draw(axes: Axes, layers: pd.DataFrame, column: str) -> None:
    """Draw one column against depth, a colour a case."""
    for colour, (name, rows) in zip(COLOURS, layers.groupby("case", sort=False), strict=False):
        axes.plot(rows["depth"], rows[column], ".", color=colour, markersize=4, alpha=0.6)
        means = rows.groupby("depth")[column].mean()
        axes.plot(means.index, means, color=colour, linewidth=1.2, label=name)


def main(results: Path = RESULTS, folder: Path = HERE) -> None:
    """Read the results and write the figure as PNG and PDF."""
    figure = plot_correlation(pd.read_csv(results))
    save_figures({"inception_correlation": figure}, folder)


if __name__ == "__main__":
    main()

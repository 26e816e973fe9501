"""Draw the accuracy of the spiking MobileNet-V1 over time, from the results of experiments/mobilenet_v1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brian_snn.plotting.style import BLUE, GREEN, GREY, VERMILION, house_style, new_figure, save_figures

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "experiments" / "mobilenet_v1" / "results" / "accuracy.json"

# Case and colour; where the two meet, the second is seen through the gaps of the first.
LINES = (("layer, clamp 5", VERMILION, "-"), ("channel, clamp 5", BLUE, "--"), ("channel, no clamp", GREEN, "-."))
PANELS = (
    ("top1", "right class first (top-1)"),
    ("top5", "right class among five (top-5)"),
    ("agree", "same class as the ANN"),
    ("pearson_r", "Pearson r of the logits, SNN against ANN"),
)


@house_style
def plot_accuracy(record: dict[str, Any]) -> Figure:
    """Return the figure: one panel a score, one line a setting, the ANN's own score dashed."""
    figure = new_figure(8.6, 6.2)
    n_photos = record["ann"]["photos"]
    for index, (score, title) in enumerate(PANELS):
        axes = figure.add_subplot(2, 2, index + 1)
        _draw_score(axes, record, score)
        axes.set_title(f"{'abcd'[index]}  {title}")
        if score == "pearson_r":
            axes.set_ylim(-0.05, 1.05)
        else:
            axes.set_ylim(-0.4, n_photos + 0.4)
            axes.set_ylabel(f"photos of {n_photos}")
        if index >= 2:
            axes.set_xlabel("steps")
    axes.legend(loc="lower right")
    return figure


def _draw_score(axes: Axes, record: dict[str, Any], score: str) -> None:
    """Draw one score over time."""
    if score in ("top1", "top5"):
        axes.axhline(record["ann"][score], color=GREY, linestyle="--", linewidth=1)
        axes.annotate("ANN", (0, record["ann"][score]), (2, -3), textcoords="offset points", va="top", color=GREY)
    for name, colour, line in LINES:
        case = record["cases"][name]
        axes.plot(case["steps"], case[score], line, color=colour, label=name)


def main(results: Path = RESULTS, folder: Path = HERE) -> None:
    """Read the results and write the figure as PNG and PDF."""
    figure = plot_accuracy(json.loads(results.read_text("utf-8")))
    save_figures({"mobilenet_accuracy": figure}, folder)


if __name__ == "__main__":
    main()

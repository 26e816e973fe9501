"""Draw Figure S1 again from what ``brian-snn figure s1`` stored beside this script, as PNG and PDF."""

from __future__ import annotations

import json
from pathlib import Path

from brian_snn.plotting.figure_s1 import load_data, plot_figure_s1
from brian_snn.plotting.style import save_figures

HERE = Path(__file__).resolve().parent


def main(folder: Path = HERE) -> None:
    """Read ``figure_s1.npz`` and ``figure_s1.json`` in a folder and write the figure there."""
    summary = json.loads((folder / "figure_s1.json").read_text("utf-8"))
    figure = plot_figure_s1(load_data(folder / "figure_s1.npz", summary))
    save_figures({"figure_s1": figure}, folder)


if __name__ == "__main__":
    main()

"""Draw the error of firing rates against depth from the results of experiments/depth, as PNG and PDF."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from brian_snn.plotting.depth import plot_depth
from brian_snn.plotting.style import save_figure

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "experiments" / "depth" / "results"


def main(results: Path = RESULTS, folder: Path = HERE) -> None:
    """Read ``errors.csv`` and ``depth.json`` and write the figure into a folder."""
    steps = json.loads((results / "depth.json").read_text("utf-8"))["params"]["figure_steps"]
    figure = plot_depth(pd.read_csv(results / "errors.csv"), steps)
    for suffix in ("png", "pdf"):
        save_figure(figure, folder / f"depth.{suffix}")


if __name__ == "__main__":
    main()

"""Draw distributions of activations and rates from the results of experiments/activity, as PNG and PDF."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from brian_snn.plotting.activity import plot_activity
from brian_snn.plotting.style import save_figure

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "experiments" / "activity" / "results"

#: File of the figure by the name of the network in the results.
FIGURES = {"demo": "activity", "s1": "activity_s1"}


def main(results: Path = RESULTS, folder: Path = HERE) -> None:
    """Read the tables of every network that there is and write a figure each into a folder."""
    for network, stem in FIGURES.items():
        files = [results / f"{network}_{name}.csv" for name in ("histograms", "marks")]
        if not all(file.is_file() for file in files):
            continue
        figure = plot_activity(*(pd.read_csv(file) for file in files))
        for suffix in ("png", "pdf"):
            save_figure(figure, folder / f"{stem}.{suffix}")


if __name__ == "__main__":
    main()

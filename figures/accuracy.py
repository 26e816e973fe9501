"""Draw error against steps and operations from the results of experiments/accuracy, as PNG and PDF."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from brian_snn.plotting.style import save_figure
from brian_snn.plotting.trade_off import plot_trade_off

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "experiments" / "accuracy" / "results"


def main(results: Path = RESULTS, folder: Path = HERE) -> None:
    """Read ``curves.csv`` and ``trained.csv`` and write the figure into a folder."""
    figure = plot_trade_off(*(pd.read_csv(results / f"{name}.csv") for name in ("curves", "trained")))
    for suffix in ("png", "pdf"):
        save_figure(figure, folder / f"accuracy.{suffix}")


if __name__ == "__main__":
    main()

"""Draw S9 and S11 against simulation from the results of experiments/rate_laws, as PNG and PDF."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from brian_snn.plotting.staircase import plot_rate_laws_over_time
from brian_snn.plotting.style import save_figure

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "experiments" / "rate_laws" / "results"


def main(results: Path = RESULTS, folder: Path = HERE) -> None:
    """Read ``rates.csv`` and ``verification.csv`` and write the figure into a folder."""
    rates, report = (pd.read_csv(results / f"{name}.csv") for name in ("rates", "verification"))
    figure = plot_rate_laws_over_time(rates, report)
    for suffix in ("png", "pdf"):
        save_figure(figure, folder / f"rate_laws.{suffix}")


if __name__ == "__main__":
    main()

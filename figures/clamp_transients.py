"""Draw what the voltage clamp buys from the stored sweep of ``experiments/clamp_transients``, as PNG and PDF."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from brian_snn.plotting.style import save_figure
from brian_snn.plotting.transients import plot_transients

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "experiments" / "clamp_transients" / "results"


def main(results: Path = RESULTS, folder: Path = HERE) -> None:
    """Read ``offsets.csv`` and write the figure into a folder."""
    offsets = pd.read_csv(results / "offsets.csv")
    deepest = str(offsets.loc[offsets["depth"].idxmax(), "population"])
    figure = plot_transients(offsets, deepest, clamps=(0, 10), step=200)
    for suffix in ("png", "pdf"):
        save_figure(figure, folder / f"clamp_transients.{suffix}")


if __name__ == "__main__":
    main()

"""Draw what other neurons, inputs and outputs cost from the results of experiments/variants, as PNG and PDF."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from brian_snn.plotting.style import save_figure
from brian_snn.plotting.variants import plot_variants

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "experiments" / "variants" / "results"


def main(results: Path = RESULTS, folder: Path = HERE) -> None:
    """Read ``curves.csv`` and write the figure into a folder."""
    figure = plot_variants(pd.read_csv(results / "curves.csv"))
    for suffix in ("png", "pdf"):
        save_figure(figure, folder / f"variants.{suffix}")


if __name__ == "__main__":
    main()

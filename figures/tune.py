"""Draw the front of error against operations of every search of experiments/tune."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from brian_snn.plotting.front import plot_front
from brian_snn.plotting.style import save_figures

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "experiments" / "tune" / "results"


def main(results: Path = RESULTS, folder: Path = HERE) -> None:
    """Read the results of each search and write its figure as PNG and PDF."""
    for path in sorted(results.glob("*.json")):
        record = json.loads(path.read_text("utf-8"))
        tables = [pd.read_csv(results / f"{path.stem}_{name}.csv") for name in ("front", "tried")]
        told = record["trained"], record["target"], record["chosen"], record["search"]["cost"], record["measure"]
        save_figures({f"tune_{path.stem}": plot_front(*tables, *told)}, folder)


if __name__ == "__main__":
    main()

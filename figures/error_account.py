"""Draw where the errors of the demo network come from, from the results of experiments/error_account."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from brian_snn.plotting.error_account import plot_error_account
from brian_snn.plotting.style import RESET_LABELS, save_figure

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "experiments" / "error_account" / "results"


def main(results: Path = RESULTS, folder: Path = HERE) -> None:
    """Read the results and write the figure as PNG and PDF."""
    params = json.loads((results / "summary.json").read_text("utf-8"))["params"]
    case = next(case for case in params["cases"] if case["name"] == params["figure"])
    tables = (pd.read_csv(results / f"{name}.csv", keep_default_na=False) for name in ("account", "origins"))
    account, origins = (table[table["case"] == case["name"]] for table in tables)
    title = f"Where the error comes from: {RESET_LABELS[case['reset']]}, {case['steps']} steps"
    figure = plot_error_account(account, origins, title)
    for suffix in ("png", "pdf"):
        save_figure(figure, folder / f"error_account.{suffix}")


if __name__ == "__main__":
    main()

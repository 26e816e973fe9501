"""The script that draws the account of the error, on the results of a small run."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pandas as pd

from brian_snn.analysis.error import error_account, error_origins
from brian_snn.cli import experiment
from tests.error_cases import simulated

SCRIPT = Path(__file__).resolve().parents[1] / "figures" / "error_account.py"


def test_the_figure_shows_the_chosen_case(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("error_account_figure", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    cases = {name: {"reset": name, "steps": 30} for name in ("zero", "subtraction")}
    tables = {"account": [], "origins": []}
    for name, options in cases.items():
        result, activations = simulated(**options)
        tables["account"].append(error_account(result, activations).assign(case=name))
        tables["origins"].append(error_origins(result, activations).assign(case=name))
    for name, parts in tables.items():
        pd.concat(parts).to_csv(tmp_path / f"{name}.csv", index=False)
    params = {"figure": "zero", "cases": [{"name": name} | options for name, options in cases.items()]}
    (tmp_path / "summary.json").write_text(json.dumps({"params": params}))
    drawn, save = [], experiment.save_figures
    monkeypatch.setattr(
        experiment, "save_figures", lambda figures, to: drawn.extend(figures.values()) or save(figures, to)
    )

    script.main(tmp_path, tmp_path)

    assert sorted(path.name for path in tmp_path.glob("error_account.p*")) == ["error_account.pdf", "error_account.png"]
    assert drawn[0].get_suptitle() == "Where the error comes from: reset to zero, 30 steps"
    axes, errors = drawn[0].axes[0], tables["account"][0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == list(errors.population.unique())
    surplus = next(bars for bars in axes.containers if bars.get_label().startswith("surplus"))
    expected = errors[errors.term == "surplus"].set_index("population").share["conv"]
    assert abs(surplus[0].get_width() - 100 * expected) < 1e-9

"""Draw which rule each simulator follows, from the results of experiments/conformance, as PNG and PDF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from brian_snn.plotting.style import BLUE, GREY, INK, house_style, new_figure, save_figures

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "experiments" / "conformance" / "results" / "conformance.json"

#: Rules of a single network that no simulator here could follow are left out; these are always shown.
_ALWAYS = ("Eq. (4b)", "reset to zero", "> instead of >=", "many spikes a step")


def shares(judged: dict[str, Any]) -> dict[str, float]:
    """Return the part of all decisions that each rule alone leaves unexplained; nan where not all were looked at."""
    return {
        row["rule"]: row["differing"] / judged["decisions"] if row["whole_run"] else np.nan
        for row in judged.get("rules", [])
    }


@house_style
def plot_conformance(record: dict[str, Any], network: str = "cnn") -> Figure:
    """Return the figure: a row a simulator, a column a rule, the part of the decisions that the rule leaves over."""
    judged = {peer: entry for peer, entry in record["networks"][network].items() if "rules" in entry}
    columns = _columns(judged)
    figure = new_figure(2.8 + 0.62 * len(columns), 2.6 + 0.36 * len(judged))
    axes = figure.add_subplot()
    for row, entry in enumerate(judged.values()):
        found, followed = shares(entry), (entry["rule"] or "").split(" and ")
        for column, rule in enumerate(columns):
            share = found.get(rule, np.nan)
            if rule in followed:
                axes.add_patch(Rectangle((column - 0.46, row - 0.36), 0.92, 0.72, color=BLUE, zorder=2))
            text = "" if np.isnan(share) else ("0" if share == 0 else f"{100 * share:.2g}")
            colour = "white" if rule in followed else INK if share == 0 else GREY
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour, zorder=3)
    axes.set_xticks(range(len(columns)), columns, rotation=55, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(judged)), [record["peers"][peer] for peer in judged])
    axes.set_xlim(-0.6, len(columns) - 0.4)
    axes.set_ylim(len(judged) - 0.4, -0.6)
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("per cent of the decisions that a rule alone leaves unexplained\nblue: the rules of the verdict")
    return figure


def _columns(judged: dict[str, dict[str, Any]]) -> list[str]:
    """Return Eq. (4b), and the rules of which some simulator follows one, alone or with another."""
    followed = {part for entry in judged.values() for part in (entry["rule"] or "").split(" and ")}
    known = dict.fromkeys(row["rule"] for entry in judged.values() for row in entry["rules"])
    shown = {*_ALWAYS, *followed}
    return [rule for rule in known if rule in shown and " and " not in rule]


def main(results: Path = RESULTS, folder: Path = HERE) -> None:
    """Read the results and write the figure as PNG and PDF."""
    save_figures({"conformance": plot_conformance(json.loads(results.read_text("utf-8")))}, folder)


if __name__ == "__main__":
    main()

"""What a search found: the network, the settings, the front, and the folder that holds all of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brian_snn.files import check_target, staged_folder
from brian_snn.network.network import Network
from brian_snn.plotting.front import plot_front
from brian_snn.plotting.style import save_figures
from brian_snn.search_settings import Search
from brian_snn.settings import Settings
from brian_snn.settings_file import write_settings
from brian_snn.tuning.measure import Numbers
from brian_snn.tuning.space import Point
from brian_snn.version import installed_versions

NETWORK, SETTINGS, FRONT, TRIED, ACCOUNT, RECORD = (
    *("network.npz", "settings.toml", "front.csv", "tried.csv", "account.csv"),
    "tuning.json",
)


@dataclass(frozen=True, eq=False)
class Tuning:
    """What a search found.

    ``brian_snn.simulate(tuning.network, images, tuning.settings)`` runs what was chosen.

    Parameters
    ----------
    network : Network
        Converted as was chosen.
    settings : Settings
        As was chosen, with the number of steps.
    search : Search
    measure : str
        ``error`` or ``agreement``: whether a wrong answer is one other than the label or than the trained network's.
    met : bool
        Whether the target is met on the images of the search.
    chosen : dict
        The row of the front that was chosen.
    trained : dict of str to float
        Of the trained network ``error`` and ``held_out_error`` (shares of answers, 0 for the agreement), ``operations``
        and ``paper_operations``.
    front : DataFrame
        A row for each point of which none is both cheaper and no worse on the images of the search: ``percentile``,
        ``normalisation``, ``v_init`` (in V_thr), ``clamp``, ``steps``; of the images of the search ``images``,
        ``answers``, ``wrong``, ``operations``, ``paper_operations`` (means of an image), ``error`` (at that step or any
        later one, the largest) and ``missed`` (by how much it exceeds the target); and, measured anew on the others,
        ``held_out_images``, ``held_out_error``, ``held_out_low`` and ``held_out_high`` (95 % interval of Wilson),
        ``held_out_operations`` and ``held_out_paper_operations``.
    tried : DataFrame
        Errors and operations of every setting at every checkpoint, on so many images as it was shown.
    account : DataFrame
        Where the error of each setting that was the best so far comes from: ``term``, ``share``, ``knob``.
    searched, held_out : (n,) int array
        Numbers of the images of either part.
    """

    network: Network
    settings: Settings
    search: Search
    measure: str
    met: bool
    chosen: Mapping[str, Any]
    trained: Mapping[str, float]
    front: pd.DataFrame
    tried: pd.DataFrame
    account: pd.DataFrame
    searched: Numbers
    held_out: Numbers

    @property
    def point(self) -> Point:
        """What was chosen, but for the steps."""
        return Point(*(self.chosen[name] for name in ("percentile", "normalisation", "v_init", "clamp")))

    @property
    def n_tried(self) -> int:
        """Number of settings that were tried, each at all its checkpoints."""
        return len(self.tried.drop_duplicates(list(asdict(self.point))))

    @property
    def target(self) -> float:
        """The largest share of wrong answers on the images of the search that meets the target."""
        return self.trained["error"] + self.search.within / 100

    def verdict(self) -> str:
        """Return in sentences what was found, and on how many images it rests."""
        c, what = self.chosen, self.measure_name
        found = "chosen" if self.met else "no setting met the target; the best found"
        lines = [
            f"{found}: {self.point}, {c['steps']} steps",
            f"{what} on the {c['images']} images of the search: {100 * c['error']:.2f} %, the target is at most "
            f"{100 * self.target:.2f} %; the best of {self.n_tried} settings looks better there than it is",
            f"on {c['held_out_images']} images that it did not see: {100 * c['held_out_error']:.2f} % "
            f"(95 % interval {100 * c['held_out_low']:.2f} to {100 * c['held_out_high']:.2f} %), the trained network "
            f"{100 * self.trained['held_out_error']:.2f} %, with {c['held_out_operations']:,.0f} operations "
            f"(trained network: {self.trained['operations']:,})",
        ]
        if not self.met:
            lines.append("more steps, more settings (points), other choices or a wider target may help")
        return "\n".join(lines)

    def shown_front(self) -> list[dict[str, str]]:
        """Return the front as the rows of a table to read: errors in per cent, the chosen row with a mark."""
        rows = []
        for _, row in self.front.iterrows():
            interval = f"{100 * row['held_out_low']:.2f} to {100 * row['held_out_high']:.2f}"
            is_chosen = all(row[name] == self.chosen[name] for name in (*asdict(self.point), "steps"))
            rows.append(
                {name: f"{row[name]:g}" if name != "normalisation" else row[name] for name in asdict(self.point)}
                | {"steps": f"{row['steps']:g}", "operations": f"{row['held_out_operations']:,.0f}"}
                | {f"{self.measure_name}, search (%)": f"{100 * row['error']:.2f}"}
                | {"held out (%)": f"{100 * row['held_out_error']:.2f}", "95 % interval": interval}
                | {"": "<- chosen" if is_chosen else ""}
            )
        return rows

    @property
    def measure_name(self) -> str:
        """What a wrong answer is."""
        return "error" if self.measure == "error" else "disagreement"

    def save(self, folder: str | Path, replace: bool = False) -> None:
        """Write the network, the settings, the tables and the figure into a folder, all of it or nothing.

        Parameters
        ----------
        folder : path
            ``network.npz`` and ``settings.toml``, with which ``brian-snn simulate`` repeats what was chosen;
            ``front.csv``, ``tried.csv``, ``account.csv``, ``front.png`` and ``front.pdf``; and ``tuning.json``, which
            says what was searched on which images.
        replace : bool
            Whether a folder that an earlier search wrote is replaced.

        Raises
        ------
        OutputError
            If the folder is there already, or cannot be written.
        """
        folder = Path(folder)
        check_target(folder, "folder", force=replace)
        with staged_folder(folder) as staged:
            self.network.save(staged / NETWORK)
            write_settings(staged / SETTINGS, self.settings)
            for name, table in ((FRONT, self.front), (TRIED, self.tried), (ACCOUNT, self.account)):
                table.to_csv(staged / name, index=False)
            save_figures({"front": self.figure()}, staged)
            (staged / RECORD).write_text(json.dumps(self.record(), indent=1) + "\n", "utf-8")

    def figure(self) -> Any:
        """Return the figure of the front."""
        return plot_front(
            self.front, self.tried, self.trained, self.target, self.chosen, self.search.cost, self.measure
        )

    def record(self) -> dict[str, Any]:
        """Return what was searched, on which images, and what was chosen, as JSON knows it."""
        numbers = {name: np.asarray(getattr(self, name)).tolist() for name in ("searched", "held_out")}
        return {
            "met": self.met,
            "measure": self.measure,
            "chosen": dict(self.chosen),
            "trained": dict(self.trained),
            "target": self.target,
            "settings_tried": self.n_tried,
            "search": asdict(self.search),
            **numbers,
            "versions": installed_versions(("brian_snn", "brian2", "optuna")),
        }

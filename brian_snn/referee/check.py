"""`brian_snn.check`: hold another simulator's spikes against Eq. (4), and name the rule that explains them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brian_snn.checks import real_number, whole_number
from brian_snn.datasets import check_images
from brian_snn.errors import DataError, ModelError, SettingError
from brian_snn.events import has_steps
from brian_snn.inputs import as_one
from brian_snn.network.network import Network
from brian_snn.referee.differences import Compared, arriving, compare, input_is_recorded
from brian_snn.referee.replay import Judging
from brian_snn.referee.rules import Reset, Semantics
from brian_snn.referee.runs import Layout, Run, read_run
from brian_snn.referee.search import Found, Score, search
from brian_snn.referee.sources import Clock, recorded_arrays
from brian_snn.summaries import as_text


@dataclass(frozen=True, eq=False, repr=False)
class Judgement:
    """What `brian_snn.check` found.

    Parameters
    ----------
    same : bool
        Whether every recorded spike, or count, is that of Eq. (4).
    verdict : str
        In a sentence.
    rule : str or None
        The simplest rule that leaves nothing unexplained; None if none does.
    rounding : int
        Decisions that the rule leaves to rounding in float32.
    alike : tuple of str
        Other rules that leave nothing unexplained, which this run cannot tell from it.
    table : pandas.DataFrame
        A row per population that was recorded.
    rules : pandas.DataFrame
        A row per rule: in how many decisions it differs from the run, how many of them rounding explains, and whether
        the whole run was looked at.
    arriving : pandas.DataFrame
        The spikes, with their weights, that reached the first neuron that differs in the step in which it does.
    """

    same: bool
    verdict: str
    rule: str | None
    rounding: int
    alike: tuple[str, ...]
    table: pd.DataFrame
    rules: pd.DataFrame
    arriving: pd.DataFrame

    def __repr__(self) -> str:
        """Return a summary of a few lines."""
        rows = [(str(row["population"]), str(row["verdict"])) for _, row in self.table.iterrows()]
        return as_text(self.verdict, rows)


def check(
    network: Network,
    run: str | Path | Mapping[str, Any],
    images: Any,
    *,
    steps: int | None = None,
    reset: Reset | None = None,
    layout: Layout = "hwc",
    names: Mapping[str, str] | None = None,
    dt: float | None = None,
) -> Judgement:
    """Judge the spikes that another simulator gave for a network.

    Parameters
    ----------
    network : Network
        On its grid.
    run : str, Path or dict
        A file or folder in one of the formats of `brian_snn.referee.runs`, or spikes by
        population, arrays of shape ``(n_images, steps, *shape)``.
    images : (n_images, *input_shape) or (n_images, steps, *input_shape) array
        What was shown: constant currents, or an input for each step; `brian_snn.Events` too.
    steps : int, optional
        Of the run, where the file does not say.
    reset : str, optional
        That of Eq. (4) as it is expected, ``subtraction`` (4b) or ``zero`` (4a); by default what the network asks for,
        else ``subtraction``.
    layout : str
        ``chw`` if arrays and numbers of neurons have the channels first.
    names : dict of str to str, optional
        From the names in the run to those of populations; an empty one leaves a recording out.
    dt : float, optional
        Seconds a step, for runs with times.

    Returns
    -------
    judgement : Judgement

    Raises
    ------
    DataError
        If the run is damaged, or does not fit the network or the images.
    ModelError
        If the network is on no grid.
    SettingError
        If an option is out of its range, or the number of steps is missing.
    """
    asked = network.simulation.get("reset", "subtraction")
    reset = ("zero" if asked == "zero" else "subtraction") if reset is None else reset
    if reset not in ("subtraction", "zero"):
        raise SettingError(f"reset is {reset!r}; it must be subtraction or zero.")
    if not network.grid:
        raise ModelError("the network is on no grid, so its sums are not exact; make it with brian_snn.convert.")
    if dt is not None and not real_number("dt", dt) > 0:
        raise SettingError(f"dt is {dt!r}; it must be positive.")
    steps = None if steps is None else whole_number("steps", steps, 1)
    recorded = (
        Run(recorded_arrays(run), network, layout, names or {})
        if isinstance(run, Mapping)
        else read_run(Path(run), network, layout, names, Clock(dt, steps))
    )
    judging = _judging(network, recorded, images, steps)
    return judge(judging, Semantics(reset=reset))


def _judging(network: Network, run: Run, images: Any, steps: int | None) -> Judging:
    """Return what is judged, once its parts fit."""
    images = as_one(images, network.inputs)
    moves = has_steps(images, network.input_shape)
    if not moves:
        images = check_images(images, network.input_shape)
    elif not hasattr(images, "ndim"):
        images = np.asarray(images)
    if moves and tuple(images.shape[2:]) != network.input_shape:
        raise DataError(f"images have shape {images.shape}; the network's input is {network.input_shape}.")
    known = [n for n in (steps, run.steps, images.shape[1] if moves else None) if n is not None]
    if not known:
        raise SettingError("the run does not say how many steps it has; give them (--steps).")
    if moves and images.shape[1] < known[0]:
        raise DataError(f"images have {images.shape[1]} steps; {known[0]} were expected.")
    n_images = len(images) if run.n_images is None else run.n_images
    if not 0 < n_images <= len(images):
        raise DataError(f"the run has {n_images} images; there are {len(images)} to show.")
    run.require(n_images, known[0])
    return Judging(network, images if n_images == len(images) else images[:n_images], run, known[0])


def judge(judging: Judging, base: Semantics) -> Judgement:
    """Return the judgement of a run."""
    compared = compare(judging, base)
    same = all(each.counts == 0 and each.trains in (0, -1) for each in compared.values())
    found = search(judging, base)
    table = pd.DataFrame([_row(judging, name, each, found) for name, each in _ordered(judging, compared)])
    first = next(((name, e.first) for name, e in _ordered(judging, compared) if e.first is not None), None)
    spikes = arriving(judging, *first) if first else pd.DataFrame(columns=["source", "neuron", "spikes", "weight"])
    best = found.best
    return Judgement(
        same,
        _verdict(same, best),
        None if best is None else best.candidate.name,
        0 if best is None else sum(best.rounding.values()),
        tuple(score.candidate.name for score in found.alike),
        table,
        _rules(found.alone, best),
        spikes,
    )


def _ordered(judging: Judging, compared: dict[str, Compared]) -> list[tuple[str, Compared]]:
    """Return the populations in the order of the network."""
    return [(p.name, compared[p.name]) for p in judging.network.populations if p.name in compared]


def _verdict(same: bool, best: Score | None) -> str:
    """Return the verdict in a sentence."""
    if best is None:
        return "no rule explains this run"
    rounded = sum(best.rounding.values())
    name = best.candidate.name
    if same:
        return f"{name}: every spike is the same"
    if rounded:
        return f"{name}, but for {rounded:,} decisions so close to the threshold that rounding to float32 turns them"
    return f"{name}: no spike is left unexplained"


def _rules(alone: list[Score], best: Score | None) -> pd.DataFrame:
    """Return a row per rule."""
    shown = [*alone, *([best] if best is not None and best not in alone else [])]
    rows = [
        {
            "rule": score.candidate.name,
            "differing": sum(score.differing.values()),
            "rounding": sum(score.rounding.values()),
            "whole_run": score.whole,
        }
        for score in shown
    ]
    return pd.DataFrame(rows)


def _row(judging: Judging, name: str, compared: Compared, found: Found) -> dict[str, Any]:
    """Return the row of a population."""
    population, first = judging.network[name], compared.first
    has_trains = compared.trains >= 0
    row: dict[str, Any] = {
        "population": name,
        "neurons": population.size,
        "images": len(judging.images),
        "expected_spikes": compared.expected,
        "found_spikes": compared.found,
        "counts_differ": compared.counts,
        "trains_differ": compared.trains if has_trains else np.nan,
        "differ_given_input": compared.trains_given_input if has_trains else np.nan,
        "input": "recorded" if input_is_recorded(judging.network, judging.run.trains, name) else "ours",
        "close_decisions": compared.close,
    }
    where = None if first is None else tuple(int(k) for k in np.unravel_index(first.neuron, population.shape))
    row |= {
        "image": np.nan if first is None else first.image,
        "step": np.nan if first is None or not first.step else first.step,
        "neuron": np.nan if first is None else first.neuron,
        "place": "" if where is None else " ".join(map(str, where)),
        "u": np.nan if first is None else first.u,
        "margin": np.nan if first is None else first.u - 1.0,
        "v_before": np.nan if first is None else first.v,
        "arrived": np.nan if first is None else first.z,
        "expected": np.nan if first is None else first.expected,
        "found": np.nan if first is None else first.found,
        "verdict": _of_population(name, compared, found),
    }
    return row


def _of_population(name: str, compared: Compared, found: Found) -> str:
    """Return what is said of one population."""
    if compared.first is None:
        return "same" if compared.counts == 0 and compared.trains <= 0 else "same, given its input"
    known = [*([found.best] if found.best is not None else []), *found.alone]
    for score in known:
        if score.whole and not score.differing.get(name, 0):
            return score.candidate.name
    for score in known:
        if score.whole and score.differing[name] == score.rounding[name]:
            return f"{score.candidate.name}, but for rounding"
    return "no rule alone explains it"

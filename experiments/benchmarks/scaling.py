"""Cost against work: how the time grows with steps, images, neurons and synaptic events, one at a time."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from networks import Case, load_case, random_case
from programs import Setting, make_program
from venvs import Environments

logger = logging.getLogger("benchmarks")


def measure_scaling(params: dict[str, Any], models: Path) -> dict[str, Any]:
    """Measure all sweeps.

    Returns
    -------
    record : dict
        By axis and program: ``work``, ``seconds`` and what `fit` makes of them.
    """
    sweeps = params["scaling"]
    record: dict[str, Any] = {}
    for axis in sweeps["axes"]:
        points = [(work, *_time_point(case, axis, params)) for work, case in _points(axis, params, models)]
        record[axis] = {}
        for position, name in enumerate(sweeps["programs"]):
            work = [float(events if axis == "events" else given) for given, events, _ in points]
            seconds = [times[position] for _, _, times in points]
            record[axis][name] = {"work": work, "seconds": seconds} | fit(work, seconds)
            logger.info("%s, %s: exponent %.2f", axis, name, record[axis][name]["slope"])
    return record


def fit(work: list[float], seconds: list[float]) -> dict[str, float]:
    """Fit a power law and a straight line, both to least squares of relative errors.

    Returns
    -------
    fitted : dict
        ``slope``, the exponent p of seconds = c work^p; ``constant_s`` and ``unit_s`` of seconds = constant_s + unit_s
        work; ``deviation``, the largest relative distance of a point from that line.
    """
    w, t = np.asarray(work), np.asarray(seconds)
    relative = np.column_stack([1 / t, w / t])
    (constant, unit), *_ = np.linalg.lstsq(relative, np.ones(len(t)), rcond=None)
    fitted = {"slope": np.polyfit(np.log(w), np.log(t), 1)[0], "constant_s": constant, "unit_s": unit}
    fitted["deviation"] = np.abs(relative @ (constant, unit) - 1).max()
    return {name: float(value) for name, value in fitted.items()}


def _points(axis: str, params: dict[str, Any], models: Path) -> Iterator[tuple[int, Case]]:
    """Yield the amount of work and the case of every point of one sweep; small work gets more images, to be timed."""
    sweep = params["scaling"]["axes"][axis]
    if axis == "neurons":
        for side, n_images in sweep["sides"]:
            shape = [side, side, sweep["channels"]]
            case = random_case(f"side {side}", shape, sweep["layers"], 5, params)
            yield case.size["neurons"], repeat(case, n_images)
        return
    case = load_case(sweep["network"], params, models)
    if axis == "steps":
        for steps, n_images in sweep["steps"]:
            yield steps, replace(repeat(case, n_images), steps=steps)
    elif axis == "images":
        for n_images in sweep["images"]:
            yield n_images, repeat(case, n_images + 1)
    else:
        for brightness in sweep["brightness"]:
            yield 0, repeat(replace(case, images=case.images * brightness), sweep["images"])


def repeat(case: Case, n_images: int) -> Case:
    """Return the case with another number of images, which begin again where they end."""
    chosen = np.arange(n_images) % len(case.images)
    return replace(case, images=case.images[chosen], labels=case.labels[chosen] if len(case.labels) else case.labels)


def _time_point(case: Case, axis: str, params: dict[str, Any]) -> tuple[float, list[float]]:
    """Return the events of an image and, for every program, the seconds of the work: an image, or all but the first."""
    with tempfile.TemporaryDirectory(prefix="brian_snn_scaling_") as folder:
        setting = Setting(case, Path(folder), Environments(Path(folder), {}), params)
        case.write(setting.folder)
        programs = [make_program(name, setting) for name in params["scaling"]["programs"]]
        found = [program.prepare() for program in programs]
        rounds = [[program.time("one")["seconds"] for program in programs] for _ in range(params["scaling"]["rounds"])]
    n_images = len(case.images) - 1 if axis == "images" else 1
    logger.info("%s: %s", axis, case.size)
    return found[0]["events_per_image"], [float(n_images * t) for t in np.median(rounds, axis=0)]

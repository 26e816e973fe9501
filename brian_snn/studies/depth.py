"""How the error of firing rates grows from layer to layer, and what Brian2's own order of updates adds to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import pandas as pd

from brian_snn.analysis.transients import pearson
from brian_snn.analysis.verify import verify
from brian_snn.arrays import FloatArray
from brian_snn.conversion.normalise import normalise, round_to_grid
from brian_snn.network.forward import forward
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.plotting.depth import plot_depth
from brian_snn.plotting.style import Figure
from brian_snn.results.result import Result
from brian_snn.running.simulate import simulate
from brian_snn.settings import Execution, Recording, Reset, Schedule, Settings
from brian_snn.studies.study import Measured, Params, Study, Watcher
from brian_snn.studies.subjects import demo_subject

#: Images are those of every network; the only duration is that of the figure.
SMALL: Params = {
    "random": {"seeds": [0, 1], "n_layers": 6, "channels": 6, "side": 6},
    "images": 5,
    "steps": 200,
    "backend": "runtime",
}
FULL: Params = {
    "random": {"seeds": [0, 1, 2, 3, 4], "n_layers": 10, "channels": 8, "side": 10, "n_images": 20},
    "demo_images": 100,
    "steps": [50, 200, 1000],
    "figure_steps": 200,
    "backend": "standalone",
}

RANDOM, DEMO = "random CNNs", "trained CNN, MNIST digits"

_GRID = 2.0**-24
_KERNEL = 3


@dataclass(frozen=True, eq=False)
class Subject:
    """A network, images, and what the ANN computes for them.

    Parameters
    ----------
    name : str
        What kind of network it is.
    seed : int
        Tells networks of one kind apart.
    network : Network
    images : (n_images, *input_shape) float array
    activations : dict of (n_images, *shape) float array
        By population, in the ANN's units.
    """

    name: str
    seed: int
    network: Network
    images: FloatArray
    activations: dict[str, FloatArray]


def random_subject(seed: int, n_layers: int, channels: int, side: int, n_images: int) -> Subject:
    """Return a CNN of random weights and random images.

    Each layer is a 3 x 3 convolution with padding. Weights have the variance 2 / fan-in, which keeps the activations of
    ReLUs from growing or fading with depth; biases have a standard deviation of 0.1. The scales are the largest
    activations for the very images that are simulated, so that no rate saturates.
    """
    rng = np.random.default_rng(seed)
    populations, projections = [], []
    for depth in range(1, n_layers + 1):
        n_in = 1 if depth == 1 else channels
        geometry = Geometry(
            "conv2d", (side, side, n_in), (side, side, channels), (_KERNEL, _KERNEL), padding=((1, 1), (1, 1))
        )
        weights = rng.normal(0, np.sqrt(2 / (_KERNEL**2 * n_in)), (_KERNEL, _KERNEL, n_in, channels))
        bias = np.broadcast_to(rng.normal(0, 0.1, channels), geometry.output_shape)
        populations.append(Population(f"conv_{depth}", "spiking", geometry.output_shape, bias, depth))
        source = INPUT if depth == 1 else f"conv_{depth - 1}"
        projections.append(Projection(source, f"conv_{depth}", geometry, weights))
    images = rng.uniform(size=(n_images, side, side, 1))
    drafted = Network(tuple(populations), tuple(projections), (side, side, 1))
    network = round_to_grid(normalise(drafted, images, percentile=100), _GRID)
    return Subject(RANDOM, seed, network, images, forward(drafted, images))


def demo_digits(n_images: int) -> Subject:
    """Return the network that ships with the package with its first digits."""
    demo = demo_subject(n_images)
    network = demo.network()
    return Subject(DEMO, 0, network, demo.test.images, demo.activations(network))


def rate_errors(
    subject: Subject, steps: Sequence[int], settings: Settings, execution: Execution
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate one network for both resets and both orders of updates, and compare rates with activations.

    Parameters
    ----------
    subject : Subject
    steps : sequence of int
        Durations; they are checkpoints of one run.
    settings : Settings
        Everything but reset, schedule and steps.
    execution : Execution

    Returns
    -------
    errors : DataFrame
        One row per reset, schedule, duration and spiking population: ``network``, ``seed``, ``reset``, ``schedule``,
        ``steps``, ``population``, ``depth``, ``rmse`` (of rate minus a / lambda, fraction of r_max), ``kept`` (sum of
        the rates over that of the targets) and ``pearson_r``.
    report : DataFrame
        Of `brian_snn.verify`, for all runs.
    """
    names = [p.name for p in subject.network.populations if p.kind == "spiking"]
    rows, reports = [], []
    for reset in get_args(Reset):
        for schedule in get_args(Schedule):
            each = replace(settings, reset=reset, schedule=schedule, steps=max(steps))
            recording = Recording(record_counts=names, checkpoints=steps)
            result = simulate(subject.network, subject.images, each, **vars(recording), **vars(execution))
            case = {"network": subject.name, "seed": subject.seed, "reset": reset, "schedule": schedule}
            rows += [case | row for row in _rows(result, subject.activations)]
            reports.append(verify(result))
    return pd.DataFrame(rows), pd.concat(reports, ignore_index=True)


def measure(params: Params, execution: Execution, watcher: Watcher) -> Measured:
    """Measure random networks and the trained one."""
    settings, durations = Settings(backend=params["backend"]), np.atleast_1d(params["steps"]).tolist()
    pairs = []
    for subject in _subjects(params, watcher):
        with watcher.stage(f"simulate {subject.name}"):
            pairs.append(rate_errors(subject, durations, settings, execution))
    errors, report = (pd.concat(tables, ignore_index=True) for tables in zip(*pairs, strict=True))
    return Measured({"errors": errors}, _shown(errors), {"": report})


def plot(measured: Measured, params: Params) -> dict[str, Figure]:
    """Draw the errors after one number of steps over depth."""
    return {"depth": plot_depth(measured.tables["errors"], params.get("figure_steps", params["steps"]))}


def _subjects(params: Params, watcher: Watcher) -> Iterator[Subject]:
    """Yield the random networks, then the trained one."""
    shape = {"n_images": params.get("images")} | params["random"]
    for seed in shape.pop("seeds"):
        yield random_subject(seed, **shape)
    with watcher.stage("convert the trained network"):
        trained = demo_digits(params.get("demo_images", params.get("images")))
    yield trained


def _rows(result: Result, activations: dict[str, FloatArray]) -> list[dict[str, str | int | float]]:
    """Return a row per checkpoint and population."""
    rows: list[dict[str, str | int | float]] = []
    for k, n_steps in enumerate(result.checkpoints.tolist()):
        for name, history in result.count_history.items():
            population = result.network[name]
            rate, target = history[k] / n_steps, activations[name] / population.scale
            rows.append(
                {
                    "steps": n_steps,
                    "population": name,
                    "depth": population.depth,
                    "rmse": float(np.sqrt(np.mean((rate - target) ** 2))),
                    "kept": float(rate.sum() / target.sum()),
                    "pearson_r": pearson(target, rate),
                }
            )
    return rows


def _shown(errors: pd.DataFrame) -> dict[str, str]:
    """Return the error of the deepest layers."""
    deepest = errors[errors["depth"] == errors.groupby("network")["depth"].transform("max")]
    means = deepest.groupby(["network", "depth", "reset", "schedule"])["rmse"].mean()
    return {f"{n}, layer {d}, {r}, {s}": f"rmse {value:.4f} r_max" for (n, d, r, s), value in means.items()}


STUDY = Study(measure, plot, SMALL, FULL, "depth.json", digits={"errors": 5})

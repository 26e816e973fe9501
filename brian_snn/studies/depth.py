"""How the error of firing rates grows from layer to layer, and what Brian2's own order of updates adds to it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import pandas as pd

from brian_snn.analysis.transients import pearson
from brian_snn.analysis.verify import verify
from brian_snn.arrays import FloatArray
from brian_snn.cli.console import Stages
from brian_snn.conversion.normalise import normalise, round_to_grid
from brian_snn.network.forward import forward
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.plotting.depth import plot_depth
from brian_snn.results.result import Result
from brian_snn.running.simulate import simulate
from brian_snn.settings import Execution, Recording, Reset, Schedule, Settings
from brian_snn.studies.drawing import Drawn, demo_subject

RANDOM, DEMO = "random CNNs", "trained CNN, MNIST digits"

#: The small run's random networks.
N_SEEDS, N_LAYERS, CHANNELS, SIDE = 2, 6, 6, 6

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
    return Subject(DEMO, 0, network, demo.digits.images, demo.activations(network))


def measure(
    subject: Subject, steps: Sequence[int], settings: Settings, execution: Callable[[str], Execution]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate one network for both resets and both orders of updates, and compare rates with activations.

    Parameters
    ----------
    subject : Subject
    steps : sequence of int
        Durations; they are checkpoints of one run.
    settings : Settings
        Everything but reset, schedule and steps.
    execution : callable
        Gives the way to run the simulation of that name.

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
            result = simulate(
                subject.network,
                subject.images,
                each,
                **vars(recording),
                **vars(execution(f"{reset}, {schedule}")),
            )
            case = {"network": subject.name, "seed": subject.seed, "reset": reset, "schedule": schedule}
            rows += [case | row for row in _rows(result, subject.activations)]
            reports.append(verify(result))
    return pd.DataFrame(rows), pd.concat(reports, ignore_index=True)


def draw(arguments: Namespace, stages: Stages) -> Drawn:
    """Draw the figure from small random networks and a few digits."""
    subjects = [random_subject(seed, N_LAYERS, CHANNELS, SIDE, arguments.images) for seed in range(N_SEEDS)]
    with stages.stage("convert the trained network"):
        subjects.append(demo_digits(arguments.images))
    measured = []
    for subject in subjects:
        with stages.stage(f"simulate {subject.name}"):
            measured.append(measure(subject, (arguments.steps,), Settings(backend=arguments.backend), _silently))
    errors, report = (pd.concat(tables, ignore_index=True) for tables in zip(*measured, strict=True))
    return Drawn(plot_depth(errors, arguments.steps), {"errors": errors}, _shown(errors), report)


def _silently(_: str) -> Execution:
    """Return the way to run a simulation that shows no progress."""
    return Execution()


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

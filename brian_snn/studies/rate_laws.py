"""S9 and S11 for a row of neurons, each with a constant input of its own."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd

from brian_snn.analysis.closed_forms import constant_input
from brian_snn.analysis.verify import verify
from brian_snn.arrays import FloatArray
from brian_snn.cli.console import Stages
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.plotting.staircase import law_errors, plot_rate_laws_over_time
from brian_snn.results.result import Result
from brian_snn.running.simulate import simulate
from brian_snn.settings import Reset, Settings
from brian_snn.studies.drawing import Drawn

#: Inputs are multiples of this, so that they are exact and the figure's steps can be told from rounding.
RESOLUTION = 2.0**-8

#: The small run.
LOWEST, HIGHEST = -0.2, 1.5
STEPS = (10, 20, 50, 100, 200, 500, 1000)

_NAME = "neurons"


def inputs_between(lowest: float, highest: float, resolution: float = RESOLUTION) -> FloatArray:
    """Return the multiples of a power of two from `lowest` to `highest`."""
    return np.arange(np.ceil(lowest / resolution), np.floor(highest / resolution) + 1) * resolution


def one_layer(n_neurons: int) -> Network:
    """Return a network of one layer whose weights are the identity: the image is the input of its neurons."""
    geometry = Geometry("identity", (n_neurons,), (n_neurons,))
    return Network(
        (Population(_NAME, "spiking", (n_neurons,), np.zeros(n_neurons), depth=1),),
        (Projection(INPUT, _NAME, geometry, np.ones(n_neurons)),),
        (n_neurons,),
        grid=2.0**-24,
    )


def measure(activation: FloatArray, steps: Sequence[int], settings: Settings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate neurons with constant input for both resets and several durations, and verify them.

    Parameters
    ----------
    activation : (n_neurons,) float array
        Input a in thresholds a step; multiples of 2**-24.
    steps : sequence of int
        Durations T / dt.
    settings : Settings
        Everything but the reset and the steps.

    Returns
    -------
    rates : DataFrame
        One row per reset, duration and neuron: ``reset``, ``steps``, ``activation``, ``spikes`` and ``equation``, the
        rate by S9 or S11 solved for the spike count, as a fraction of r_max (nan where S9 says nothing).
    report : DataFrame
        Of `brian_snn.verify`, with the columns ``reset`` and ``steps`` before it.
    """
    network, tables, reports = one_layer(len(activation)), [], []
    for reset in get_args(Reset):
        for n_steps in steps:
            result = simulate(network, activation[None], replace(settings, reset=reset, steps=n_steps))
            case = {"reset": reset, "steps": n_steps}
            spikes = result.spike_counts[_NAME][0]
            tables.append(pd.DataFrame(case | {"activation": activation, "spikes": spikes, "equation": _law(result)}))
            report = verify(result)
            report.insert(0, "steps", n_steps)
            report.insert(0, "reset", reset)
            reports.append(report)
    return pd.concat(tables, ignore_index=True), pd.concat(reports, ignore_index=True)


def draw(arguments: Namespace, stages: Stages) -> Drawn:
    """Draw the figure from a run of one layer."""
    activation = inputs_between(LOWEST, HIGHEST)
    with stages.stage(f"simulate {len(activation)} neurons"):
        rates, report = measure(activation, STEPS, Settings(backend=arguments.backend))
    errors = law_errors(rates).set_index(["reset", "steps"])
    shown = {
        f"largest |r - ReLU|, {reset}, T = {n_steps}": f"{errors.loc[(reset, n_steps), 'largest']:.6g} r_max"
        for reset in get_args(Reset)
        for n_steps in (STEPS[0], STEPS[-1])
    }
    figure = plot_rate_laws_over_time(rates, report)
    return Drawn(figure, {"rates": rates, "verification": report}, shown, report)


def _law(result: Result) -> FloatArray:
    """Return the rate that the equation of the reset predicts from z, V_thr and T, as a fraction of r_max."""
    settings = result.settings
    z, start = result.images[0], (settings.v_init, settings.threshold)
    counts, _ = constant_input(z, settings.steps, *start, settings.reset)
    # S9 needs z > 0; without it the neuron is silent.
    return np.where((z > 0) | (settings.reset != "zero"), counts / settings.steps, np.nan)

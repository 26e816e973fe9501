"""S9 and S11 for a row of neurons, each with a constant input of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd

from brian_snn.analysis.closed_forms import constant_input
from brian_snn.analysis.verify import verify
from brian_snn.arrays import FloatArray
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.plotting.staircase import law_errors, plot_rate_laws_over_time
from brian_snn.plotting.style import Figure
from brian_snn.results.result import Result
from brian_snn.running.simulate import simulate
from brian_snn.settings import Execution, Reset, Settings
from brian_snn.studies.study import Measured, Params, Study, Watcher

#: Inputs are multiples of the resolution, so that they are exact and the figure's steps can be told from rounding. The
#: whole experiment takes seconds.
FULL: Params = {
    "lowest": -0.2,
    "highest": 1.5,
    "resolution": 2.0**-8,
    "steps": [10, 20, 50, 100, 200, 500, 1000],
    "backend": "runtime",
}
SMALL = FULL

_NAME = "neurons"


def inputs_between(lowest: float, highest: float, resolution: float = 2.0**-8) -> FloatArray:
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


def rates_and_laws(
    activation: FloatArray, steps: Sequence[int], settings: Settings
) -> tuple[pd.DataFrame, pd.DataFrame]:
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


def measure(params: Params, execution: Execution, watcher: Watcher) -> Measured:
    """Measure one layer, again and again."""
    activation, steps = inputs_between(params["lowest"], params["highest"], params["resolution"]), params["steps"]
    with watcher.stage(f"simulate {len(activation)} neurons"):
        rates, report = rates_and_laws(activation, steps, Settings(backend=params["backend"]))
    errors = law_errors(rates)
    largest = errors.set_index(["reset", "steps"])["largest"]
    shown = {
        f"largest |r - ReLU|, {reset}, T = {n_steps}": f"{largest[reset, n_steps]:.6g} r_max"
        for reset in get_args(Reset)
        for n_steps in (steps[0], steps[-1])
    }
    record = {
        "neurons": len(activation),
        "max_residual_charge": float(report["max_residual_charge"].max()),
        "errors": errors.to_dict("records"),
    }
    return Measured({"rates": rates, "verification": report}, shown, {"": report}, record)


def plot(measured: Measured, params: Params) -> dict[str, Figure]:
    """Draw rates over the input, and their distance from the ReLU over the duration."""
    return {"rate_laws": plot_rate_laws_over_time(measured.tables["rates"], measured.tables["verification"])}


def _law(result: Result) -> FloatArray:
    """Return the rate that the equation of the reset predicts from z, V_thr and T, as a fraction of r_max."""
    settings = result.settings
    z, start = result.images[0], (settings.v_init, settings.threshold)
    counts, _ = constant_input(z, settings.steps, *start, settings.reset, settings.burst)
    # S9 needs z > 0; without it the neuron is silent.
    return np.where((z > 0) | (settings.reset != "zero"), counts / settings.steps, np.nan)


STUDY = Study(measure, plot, SMALL, FULL, "rate_laws.json", digits={"rates": 10})

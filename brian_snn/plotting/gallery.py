"""From results to the figures of the demo: what goes into each of the plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from brian2 import hertz
from matplotlib.figure import Figure

from brian_snn.analysis.closed_forms import constant_input
from brian_snn.analysis.equations import residual_s9, residual_s11
from brian_snn.arrays import FloatArray
from brian_snn.network.parameters import input_currents, scaled_parameters
from brian_snn.network.records import INPUT
from brian_snn.plotting.correlation import plot_correlation
from brian_snn.plotting.raster import plot_raster
from brian_snn.plotting.rate_law import RateLaw, plot_rate_laws
from brian_snn.plotting.style import RESET_COLOURS, RESET_LABELS
from brian_snn.results.result import Result

_MS_PER_S = 1e3

_LAWS = {"subtraction": ("S11", residual_s11), "zero": ("S9", residual_s9)}


def correlation_figure(
    result: Result, activations: Mapping[str, FloatArray], names: Sequence[str] | None = None
) -> Figure:
    """Plot the rates of spiking populations against their activations in the trained network, in ANN units.

    All of them but the output, or those of `names`.
    """
    r_max_hz = 1 / float(result.settings.dt)
    names = names or [p.name for p in result.network.populations if p.kind != "readout"]
    targets = {name: activations[name] / result.network[name].scale * r_max_hz for name in names}
    rates = {name: np.asarray(result.rates(name) / hertz) for name in names}
    reset = result.settings.reset
    title = f"{RESET_LABELS[reset].capitalize()}: {len(result.images)} images, {_duration_ms(result):g} ms each"
    return plot_correlation(targets, rates, title, RESET_COLOURS[reset])


def rate_law_figure(results: Sequence[Result]) -> Figure:
    """Plot the rate law of each result's reset for its first layer whose input is the image alone."""
    return plot_rate_laws([_rate_law(result) for result in results])


def raster_figure(result: Result, image: int = 0, title: str = "") -> Figure:
    """Plot the recorded spike trains of one image."""
    names = [p.name for p in result.network.populations if p.name in result.spike_trains]
    return plot_raster(
        {name: result.spike_trains[name] for name in names},
        {name: result.network[name].shape for name in names},
        result.settings.steps,
        float(result.settings.dt) * _MS_PER_S,
        image,
        title=title,
        colour=RESET_COLOURS[result.settings.reset],
    )


def checkpoint_times_ms(result: Result) -> FloatArray:
    """Return the simulated time of each checkpoint."""
    return np.asarray(result.checkpoints * float(result.settings.dt) * _MS_PER_S, np.float64)


def _rate_law(result: Result) -> RateLaw:
    """Return measurement and prediction of the neurons to which the equation of the result's reset applies.

    The prediction is the equation solved for the spike count: it knows z, V(0), V_thr and T, and nothing measured.
    """
    equation, residual = _LAWS[result.settings.reset]
    name = _constant_input_layer(result)
    parameters = scaled_parameters(result.network, result.settings).of(name)
    current = input_currents(parameters, result.images)[name].ravel()
    # S9 needs z > 0; without it the neuron is silent.
    applies = current > 0 if equation == "S9" else np.ones(current.size, bool)
    z, v_end = current[applies], result.potentials[name].ravel()[applies]
    counts = result.spike_counts[name].ravel()[applies]
    n_steps = result.window_steps(name)
    v_init, threshold = parameters.v_init, parameters.threshold
    predicted, _ = constant_input(z, n_steps, v_init, threshold, result.settings.reset, result.settings.burst)
    return RateLaw(
        title=f"{equation}, {RESET_LABELS[result.settings.reset]}: {name}" + (", z > 0" if equation == "S9" else ""),
        activation=z / threshold,
        measured_hz=counts / (n_steps * float(result.settings.dt)),
        predicted_hz=predicted / (n_steps * float(result.settings.dt)),
        residual_charge=np.asarray(residual(counts, z, n_steps, v_end, v_init, threshold)),
        grid=result.network.grid,
        r_max_hz=1 / float(result.settings.dt),
        colour=RESET_COLOURS[result.settings.reset],
    )


def _constant_input_layer(result: Result) -> str:
    """Return the first population that is driven by the image and nothing else."""
    network = result.network
    return next(
        p.name
        for p in network.populations
        if p.kind == "spiking" and {s.source for s in network.into(p.name)} == {INPUT}
    )


def _duration_ms(result: Result) -> float:
    """Return the simulated time per image."""
    return result.settings.steps * float(result.settings.dt) * _MS_PER_S

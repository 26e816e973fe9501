"""What a description says of input, measurements, settings, numerics and versions."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np

from brian_snn.knobs import help_text, is_time
from brian_snn.network.network import Network
from brian_snn.network.roles import crosses_threshold, has_spikes
from brian_snn.neurons.table import BOOKS
from brian_snn.report.markdown import code, codes, document, number, power_of_two, table, times
from brian_snn.settings import Settings
from brian_snn.simulation.job import Job
from brian_snn.version import __version__, installed_versions

_CODINGS = {
    "current": "The image is not coded in spikes. The first layers get I = V_thr (W x + b), with x the image, as a "
    "constant current, rounded to the grid, in every step.",
    "poisson": "A pixel is a neuron that spikes in each step with the probability x_i that it says, from 0 to 1, "
    "rounded to the grid; draws are independent. The random numbers of an image depend on the seed and on its number "
    "alone.",
    "frames": "There is an image for each step. In step t the first layers get I(t) = V_thr (W x(t) + b), with x(t) "
    "the image of that step, rounded to the grid.",
}

#: What no settings change.
_STEPS = (
    "Time advances in steps. The statements of section D are the dynamics itself; there is no differential equation "
    "and no method of integration."
)
_VERIFICATION = (
    "`brian-snn verify` holds the counts, potentials and charges of a run against identities whose residual is "
    "compared with 0, and steps Eq. (4) outside Brian2 for as many images as it says. This page describes the model, "
    "and says nothing of any run."
)


def input_section(job: Job) -> str:
    """Return what is shown and how it becomes input."""
    network, settings = job.network, job.settings
    shapes = [(code(name), times(shape)) for name, shape in network.inputs] or [("image", times(network.input_shape))]
    known = network.calibration_range
    return document(
        table(("input", "shape"), shapes),
        _CODINGS[settings.input_coding],
        "Images are shown one after the other; each starts at V(0) with all counts at zero.",
        ""
        if known is None
        else f"Pixels of the calibration images lie between {number(known[0])} and {number(known[1])}.",
        _generator(settings),
    )


def _generator(settings: Settings) -> str:
    """Return what drives the softmax."""
    if settings.readout == "softmax_rates":
        return "The random numbers of the output too depend on the seed and the number of the image alone."
    if settings.readout != "softmax_generator":
        return ""
    return (
        f"An external generator spikes in each step with the probability {number(settings.output_rate)}; each of its "
        "spikes goes to one output neuron. Its random numbers too depend on the seed and the number of the image alone."
    )


def measurements_section(job: Job) -> str:
    """Return what is kept of every image, and how the output is read."""
    network, settings = job.network, job.settings
    spiking = [p.name for p in network.populations if has_spikes(p, settings)]
    membranes = [p.name for p, layer in zip(network.populations, job.layout.layers, strict=True) if layer.has_membrane]
    kept = [
        ("spike count in the steps without clamp", codes(spiking)),
        ("potential at the end", codes(membranes)),
        ("charge q taken in", codes(membranes)),
    ]
    for book in BOOKS:
        noted = [p.name for p, n in zip(network.populations, job.neurons, strict=True) if book in n.books]
        kept += [(f"charge `{book.name}`", codes(noted))] if noted else []
    return document(
        "Of every neuron and every image are kept:",
        table(("what", "of the populations"), [row for row in kept if row[1]]),
        "q is summed in the run where the model has a variable `charge`, and else worked out after it: N V_thr + V(T) "
        "- V(0), and the surplus of resets to zero.",
        f"{_logits(job)} {_activation(network)}",
    )


def _logits(job: Job) -> str:
    """Return how outputs are estimated."""
    if not has_spikes(job.network.output, job.settings):
        return "The output is estimated as (V(T) - V(0)) / (V_thr T'), with T' the steps in which it was not clamped."
    counted = (
        "spike count" if crosses_threshold(job.network.output, job.settings) else "count of the spikes it was given"
    )
    return f"The output is estimated as lambda N / T', with N the {counted} and T' the steps without clamp."


def _activation(network: Network) -> str:
    """Return what the trained model puts its output through."""
    heads = network.heads or [(network.output.name, network.output_activation)]
    before = ", ".join(f"{code(name)}: {activation}" for name, activation in heads)
    return f"The activation behind it in the trained model is left off ({before})."


def settings_section(job: Job) -> str:
    """Return all settings of the simulation and those of the conversion."""
    defaults, network = Settings(), job.network
    rows = [_setting(knob, getattr(job.settings, knob.name), getattr(defaults, knob.name)) for knob in fields(Settings)]
    changed = [row[0] for row in rows if row[3]]
    converted = (
        ("percentile", number(network.percentile)),
        ("normalisation", network.normalisation),
        ("grid", power_of_two(network.grid)),
    )
    return document(
        f"Settings that differ from the default: {', '.join(changed) or 'none'}.",
        table(("setting", "value", "default", "differs", "meaning"), rows),
        "Settings of the conversion (a percentile of 0: there was no normalisation):",
        table(("setting", "value"), converted),
    )


def _setting(knob: Any, value: Any, default: Any) -> tuple[str, ...]:
    """Return the row of a setting: times in ms."""
    shown = [_time(float(v)) if is_time(knob) else str(v) for v in (value, default)]
    # Bars and what looks like markup in the help would not be code.
    meaning = help_text(knob).replace("|", "/")
    return (code(knob.name), *shown, "yes" if value != default else "", meaning)


def _time(seconds: float) -> str:
    """Return a time in ms, without a unit if it is infinite."""
    return f"{seconds * 1e3:.15g} ms" if math.isfinite(seconds) else "inf"


def numerics_section(job: Job) -> str:
    """Return the arithmetic, what is exact in it, and versions."""
    network = job.network
    versions = {"brian_snn": __version__} | installed_versions(("brian2", "numpy"))
    origin = table(("entry", "value"), _origin(network)) if network.provenance else ""
    return document(
        _STEPS,
        _arithmetic(job),
        _VERIFICATION,
        table(("package", "version"), versions.items()),
        origin and document("The network's file says of its origin:", origin),
    )


def _arithmetic(job: Job) -> str:
    """Return types of numbers, the grid, and where sums end to be exact."""
    grid = job.network.grid
    holders: dict[str, list[str]] = {}
    for population, layer in zip(job.network.populations, job.layout.layers, strict=True):
        if layer.has_membrane:
            holders.setdefault(layer.float_type, []).append(population.name)
    types = " and ".join(f"{kind} ({codes(names)})" for kind, names in holders.items())
    limits = ", ".join(f"{power_of_two(grid * 2.0 ** (np.finfo(kind).nmant + 1))} in {kind}" for kind in holders)
    rounds = "What is multiplied in a step is rounded to the grid, which is off by half a grid step at most."
    return document(
        f"Potentials and weights are {types}. All weights, biases, input currents, thresholds and V(0) are multiples "
        f"of the grid, {power_of_two(grid)}. Sums of such numbers are exact below {limits}, whatever their order, and "
        "a simulation in which a potential could pass that is refused.",
        rounds if any("nearest_product" in neuron.model.integrate for neuron in job.neurons) else "",
    )


def _origin(network: Network) -> list[tuple[str, str]]:
    """Return the provenance of a network as its file has it."""
    return [(code(name), code(value)) for name, value in network.provenance.items()]

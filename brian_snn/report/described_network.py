"""What a description says of populations and of the projections between them."""

from __future__ import annotations

from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.network.roles import window_start
from brian_snn.network.synapses import fan_in, fan_out, n_synapses, uses_shared_kernels
from brian_snn.neurons.record import Neuron
from brian_snn.report.described_dynamics import model_names
from brian_snn.report.markdown import code, document, number, span, table, times
from brian_snn.simulation.job import Job

_KINDS = {
    "dense": "dense",
    "conv2d": "convolution",
    "depthwise": "depthwise convolution",
    "average_pool": "average",
    "max_pool": "maximum",
    "identity": "one to one",
}


def populations_section(job: Job) -> str:
    """Return the table of populations and what its columns mean."""
    head = ("name", "kind", "model", "shape", "neurons", "depth", "lambda", "V_thr", "bias", "leak", "clamped steps")
    rows = [
        (code(p.name), p.kind, model, times(p.shape), p.size, p.depth, _scale(p), *_membrane(job, p, neuron))
        for p, neuron, model in zip(job.network.populations, job.neurons, model_names(job), strict=True)
    ]
    return document(
        table(head, rows),
        "In topological order; neurons are numbered in C order of the shape. Depth counts layers with a membrane. "
        "lambda is the activation of the trained network that a rate of one spike a step stands for. The bias is a "
        "constant current, a charge in every step. The leak is 1 - beta, the part of V that is lost in a step. A "
        "clamped population is held at V(0) for that many steps.",
    )


def _scale(population: Population) -> str:
    """Return lambda, or the range of it over the channels."""
    scale = population.scale
    return number(scale) if isinstance(scale, float) else span(float(scale.min()), float(scale.max()))


def _membrane(job: Job, population: Population, neuron: Neuron) -> tuple[str, ...]:
    """Return threshold, bias, leak and clamped steps; dashes for neurons without a membrane."""
    if "v" not in neuron.model.outputs:
        return ("-",) * 4
    bias = job.parameters.network[population.name].bias
    threshold = job.parameters.of(population.name).threshold
    clamped = window_start(population, job.settings)
    return (f"{threshold:.10g}", span(float(bias.min()), float(bias.max())), _leak(neuron), str(clamped))


def _leak(neuron: Neuron) -> str:
    """Return the part of V that is lost in a step, or the range of it over the neurons."""
    if "leak_rate" in neuron.arrays:
        rates = neuron.arrays["leak_rate"]() * neuron.constants["grid"]
        return span(float(rates.min()), float(rates.max()))
    return f"{neuron.constants.get('leak_rate', 0.0) * neuron.constants.get('grid', 0.0):.10g}"


def connectivity_section(job: Job) -> str:
    """Return the table of projections and what its columns mean."""
    head = ("source", "target", "map", "synapses", "weights", "fan-in", "fan-out")
    rows = [_projection(job, p) for p in job.network.projections if p.source != INPUT]
    image = [(code(p.target), map_text(p), _weights(job, p)) for p in job.network.projections if p.source == INPUT]
    carried = (
        "shared kernels, which add a row of the stored kernel to the targets of a spike"
        if uses_shared_kernels(job.network, job.settings)
        else "explicit Brian2 Synapses"
    )
    total = sum(n_synapses(job.network, p) for p in job.network.projections if p.source != INPUT)
    return document(
        table(head, rows) if rows else "There are no projections between populations.",
        f"Together {total:,} synapses, carried by {carried}. Maps are given as input shape -> output shape, channels "
        "last; padding as (above, below), (left, right). Padding makes no synapse. Weights are charges in the unit of "
        "V, V_thr of the settings times the network's weight, on the grid; a map with one kernel for all places has "
        "fewer weights than synapses. Fan-in and fan-out are synapses per neuron of target and source.",
        "The image reaches these populations, as a current and not through synapses:",
        table(("target", "map", "weights"), image),
    )


def _projection(job: Job, projection: Projection) -> tuple[object, ...]:
    """Return the row of a projection between two populations."""
    incoming = fan_in(projection, job.network[projection.target].size)
    outgoing = fan_out(projection, job.network[projection.sender].size)
    ends = (code(projection.source), code(projection.target))
    ranges = (f"{counts.min()} to {counts.max()}" for counts in (incoming, outgoing))
    return (*ends, map_text(projection), n_synapses(job.network, projection), _weights(job, projection), *ranges)


def _weights(job: Job, projection: Projection) -> str:
    """Return how many weights a projection stores and their range as simulated."""
    # Records compare by identity.
    weights = job.parameters.network.projections[job.network.projections.index(projection)].weights
    if weights is None:
        return "none"
    if job.network[projection.target].codes_pixels:
        return "none: pixels are probabilities"
    return f"{weights.size}: {span(float(weights.min()), float(weights.max()))}"


def map_kind(geometry: Geometry) -> str:
    """Return what a paper calls a map."""
    return _KINDS[geometry.kind]


def map_text(projection: Projection) -> str:
    """Return a map with all of its numbers that are not the usual ones."""
    geometry = projection.geometry
    kernel = f" {times(geometry.kernel_size)}" if geometry.is_window else ""
    parts = [f"{map_kind(geometry)}{kernel}, {times(geometry.input_shape)} -> {times(geometry.output_shape)}"]
    if geometry.strides != Geometry.strides:
        parts.append(f"stride {times(geometry.strides)}")
    if geometry.padding != Geometry.padding:
        parts.append(f"padding {geometry.padding[0]}, {geometry.padding[1]}")
    if geometry.dilation != Geometry.dilation:
        parts.append(f"dilation {times(geometry.dilation)}")
    if geometry.groups != Geometry.groups:
        parts.append(f"{geometry.groups} groups")
    return ", ".join([*parts, *_selections(projection)])


def _selections(projection: Projection) -> list[str]:
    """Return which neurons a map reads and reaches, where they are not the first ones in order."""
    parts = []
    if projection.source_index is not None:
        zeros = int((projection.source_index < 0).sum())
        parts.append(f"inputs by an index of source neurons{f', {zeros} of them constant zeros' * (zeros > 0)}")
    if projection.target_index is not None:
        parts.append("outputs by an index of target neurons")
    return parts

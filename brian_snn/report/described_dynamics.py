"""What a description says of neuron models and of the order in which things happen within a step."""

from __future__ import annotations

import re

from brian_snn.network.records import INPUT, Population
from brian_snn.neurons.record import Neuron, NeuronModel
from brian_snn.neurons.table import hears_spikes
from brian_snn.report.markdown import block, code, codes, document, equations, table
from brian_snn.settings import Settings
from brian_snn.simulation.job import Job
from brian_snn.simulation.schedule import population_slots

#: What else equations and statements name.
_OTHERS = {
    r"\bnearest_product\b": "`nearest_product(x, y)` is the whole number nearest to x y",
    r"\buniform\b": "`uniform(stream, n)`, U_i(t), is the n-th random number of a stream, uniform in [0, 1)",
    r"\bbinomial\b": "`binomial(stream, n)`, B_i(t), is the number of ones among 64 random bits, less 32",
    r"\bt_in_timesteps\b": "`t_in_timesteps` counts steps from 0, at the start of each image",
    r"\bfirst_source\b": "`first_source` is the number in the network of the source's first neuron, and `n_neurons`, "
    "or n, how many there are",
    r"G_k": "the G_k are independent draws from the standard Gumbel distribution, V_thr G_k rounded to the grid, so "
    "that k is chosen with the probability exp(V_k / V_thr) / sum_j exp(V_j / V_thr)",
}


def numbered_models(job: Job) -> tuple[dict[str, Neuron], list[str]]:
    """Return the different neuron models by name, M1 first, and the name of each population's."""
    names: dict[NeuronModel, str] = {}
    neurons: dict[str, Neuron] = {}
    for neuron in job.neurons:
        name = names.setdefault(neuron.model, f"M{len(names) + 1}")
        neurons.setdefault(name, neuron)
    return neurons, [names[neuron.model] for neuron in job.neurons]


def model_names(job: Job) -> list[str]:
    """Return the name of each population's neuron model."""
    return numbered_models(job)[1]


def models_section(job: Job) -> str:
    """Return every neuron model once, as an equation and as Brian2 has it, and the symbols."""
    neurons, names = numbered_models(job)
    texts = [
        _model(job, name, neuron, [p for p, own in zip(job.network.populations, names, strict=True) if own == name])
        for name, neuron in neurons.items()
    ]
    spike = "the size of the spike of neuron j in step t, 0 if there is none"
    if not job.settings.graded:
        spike = "1 if neuron j spikes in step t, else 0"
    return document(
        f"Theta_j(t) is {spike}; t counts steps from 1. w_ij is the charge that a spike "
        "of j brings to i, and a sum over j is over the synapses that end at i: a neuron that hears the image alone "
        "has none. Below each equation is the model as Brian2 gets it.",
        *texts,
        _symbols(list(neurons.values())),
    )


def _model(job: Job, name: str, neuron: Neuron, populations: list[Population]) -> str:
    """Return one neuron model: who has it, its equation, and what Brian2 is given."""
    model = neuron.model
    has_synapses = any(hears_spikes(job.network, population) for population in populations)
    synapse = ("w : 1 (constant)\n" if model.has_weights else "") + model.on_spike_from
    when = "in every step" if model.reads_all else "on a spike that arrives"
    blocks = (
        ("State variables and parameters:", re.sub(" *#.*", "", model.equations)),
        (f"A synapse onto it, {when}:", synapse if has_synapses else ""),
        ("In its slot integrate:", model.integrate),
        ("It spikes if:", model.threshold),
        ("On a spike:", model.reset),
        ("A spike arrives at the targets if:", model.arrival),
    )
    return document(
        f"### {name}: {neuron.title or 'neuron model'}",
        f"Of {codes(p.name for p in populations)}.",
        equations(neuron.formula) if neuron.formula else "",
        *(document(title, block(text)) for title, text in blocks if text),
        "" if model.threshold else "It does not spike.",
        "A synapse of negative weight adds its size to `inhibition` instead." if model.splits else "",
    )


def _symbols(neurons: list[Neuron]) -> str:
    """Return a table of the variables that the models have, and what else their statements name."""
    found = dict.fromkeys(variable for neuron in neurons for variable in neuron.model.variables)
    rows = [(code(name), symbol, meaning or "of its neuron model") for name, symbol, meaning in found]
    texts = "\n".join(
        "\n".join((m.on_spike_from, m.integrate, m.threshold, m.reset, *neuron.formula))
        for neuron in neurons
        for m in [neuron.model]
    )
    others = [meaning for pattern, meaning in _OTHERS.items() if re.search(pattern, texts)]
    return document(
        table(("variable", "symbol", "meaning"), rows), "; ".join(others) and f"{_upper('; '.join(others))}."
    )


def _upper(text: str) -> str:
    """Return a sentence with a capital in front, unless it begins with code."""
    return text[0].upper() + text[1:]


def order_section(job: Job) -> str:
    """Return in which scheduling slots each population does what, and in which order these come."""
    settings = job.settings
    stages = ("receive", "integrate", "threshold", "reset")
    if settings.schedule == "brian2":
        stages = ("integrate", "threshold", "receive", "reset")
    rows = [
        (code(population.name), *(_slot(job, position, neuron.model, stage) for stage in stages))
        for position, (population, neuron) in enumerate(zip(job.network.populations, job.neurons, strict=True))
    ]
    return document(_order(settings), table(("population", *stages), rows), *_further_slots(job))


def _order(settings: Settings) -> str:
    """Return which way the table is read."""
    if settings.schedule == "brian2":
        return (
            "Brian2's own schedule: the table is read column by column, and all populations do one thing before any of "
            "them does the next. So a layer lags its source by a step, and a reset to zero wipes out what arrives in "
            "the step of a spike."
        )
    return (
        "The table is read row by row, each from left to right; every population has scheduling slots of its own. So a "
        "spike is integrated by its targets in the step in which it arrives, before their threshold is tested"
        + ("." if settings.delay_steps else ", and crosses the whole network within one step.")
    )


def _slot(job: Job, position: int, model: NeuronModel, stage: str) -> str:
    """Return the slot in which a population does something, and of spikes that arrive from whom."""
    slot = getattr(population_slots(position, job.settings.schedule), stage)
    if stage == "receive":
        arriving = job.network.into(job.network.populations[position].name)
        sources = dict.fromkeys(p.sender for p in arriving if p.source != INPUT)
        return f"{code(slot)}: from {codes(sources)}" if sources else "-"
    does = {"integrate": model.integrate, "threshold": model.threshold, "reset": model.reset}
    return code(slot) if does[stage] else "-"


def delay_words(settings: Settings) -> str:
    """Return how long spikes are under way."""
    spread = f" (of each neuron its own, standard deviation {settings.delay_mismatch:g} of that)"
    return f"{settings.delay_steps} steps" + spread * (settings.delay_mismatch > 0)


def _further_slots(job: Job) -> list[str]:
    """Return what happens in these slots besides what the column says."""
    texts = []
    if any(neuron.model.competes for neuron in job.neurons):
        texts.append("After its slot integrate the softmax chooses the output neuron that spikes.")
    if any(neuron.model.arrival for neuron in job.neurons):
        texts.append(
            f"Spikes that were sent {delay_words(job.settings)} ago set out in the slot reset of their source, "
            "after the reset, and arrive at all targets in the same step."
        )
    return texts

"""The description of a spiking model for a paper, in Markdown.

The tables are those of Nordlie, Gewaltig and Plesser (2009): summary, populations, connectivity, neuron and synapse
models, input, measurements. Behind them come what else a reader needs to simulate the model again: the order of
updates within a step, settings, numerics and versions. All of it is read off the records of which the Brian2 objects
are made, so the text cannot say something else than what is simulated.
"""

from __future__ import annotations

from typing import Any

from brian_snn.network.network import Network
from brian_snn.network.records import INPUT
from brian_snn.network.roles import has_spikes
from brian_snn.network.synapses import n_synapses
from brian_snn.report.described_dynamics import delay_words, models_section, numbered_models, order_section
from brian_snn.report.described_network import connectivity_section, map_kind, populations_section
from brian_snn.report.described_run import input_section, measurements_section, numerics_section, settings_section
from brian_snn.report.markdown import codes, document, number, table, times
from brian_snn.settings import Recording, Settings
from brian_snn.simulation.job import Job, make_job, settings_of

_SOURCE = (
    'Tables as in Nordlie, Gewaltig and Plesser, "Towards reproducible descriptions of neuronal network models", PLoS '
    "Computational Biology 5(8), 2009. Equations (4a) and (4b) are those of Rueckauer et al., Frontiers in "
    "Neuroscience 11:682, 2017. Written by brian_snn from the records of which it makes the Brian2 objects."
)

_INPUTS = {
    "current": "the image as a constant current",
    "poisson": "a random spike train per pixel",
    "frames": "an image a step, as a current",
}


def describe(network: Network, settings: Settings | None = None, **options: Any) -> str:
    """Return the description of a network under the settings of a simulation, for a paper.

    Nothing is simulated, and nothing in it is a measurement.

    Parameters
    ----------
    network : Network
        From `brian_snn.convert` or `brian_snn.load_network`.
    settings : Settings, optional
        How it is simulated; by default as `Settings()` or the network's own file says.
    **options
        Fields of `brian_snn.Settings` by name; each takes the place of what `settings` says.

    Returns
    -------
    description : str
        Markdown with tables and, between ``$$``, LaTeX. Names of populations and files stand in it as code, whatever
        they are.

    Raises
    ------
    SettingError, OptionError
        If a setting is outside its range, unknown, or does not suit the network.
    ModelError
        If the network's weights are on no grid.
    """
    job = make_job(network, settings_of(network, settings, options), Recording())
    sections = (
        ("Model summary", _summary(job)),
        ("Populations", populations_section(job)),
        ("Connectivity", connectivity_section(job)),
        ("Neuron and synapse models", models_section(job)),
        ("Input", input_section(job)),
        ("Measurements", measurements_section(job)),
        ("Order of updates", order_section(job)),
        ("Settings", settings_section(job)),
        ("Numerics and versions", numerics_section(job)),
    )
    numbered = (
        document(f"## {letter}. {title}", text) for letter, (title, text) in zip("ABCDEFGHI", sections, strict=True)
    )
    return document("# Description of the model", _SOURCE, *numbered) + "\n"


def _summary(job: Job) -> str:
    """Return the table of the model in short."""
    settings, populations = job.settings, job.network.populations
    counts = [n_synapses(job.network, p) for p in job.network.projections if p.source != INPUT]
    kinds = dict.fromkeys(map_kind(p.geometry) for p in job.network.projections if p.source != INPUT)
    delay = f"after {delay_words(settings)}" if settings.delay_steps else "without delay"
    size = (", times its size" if settings.graded else "") + f", {delay}"
    models = {name: model.title for name, model in numbered_models(job)[0].items()}
    depth = max(p.depth for p in populations)
    rows = (
        ("Populations", f"{len(populations)}, with {sum(p.size for p in populations):,} neurons"),
        ("Topology", f"feed-forward; up to {depth} layers with a membrane from the image to the output"),
        ("Connectivity", f"{', '.join(kinds) or 'none'}; {sum(counts):,} synapses"),
        ("Neuron models", "; ".join(f"{name}: {title}" for name, title in models.items())),
        ("Channel models", "none"),
        ("Synapse model", f"a fixed charge on the potential for each spike{size}; max pooling reads spike counts"),
        ("Plasticity", "none"),
        ("Input", f"{times(job.network.input_shape)} numbers; {_INPUTS[settings.input_coding]}"),
        (
            "Time",
            f"{settings.steps} steps of {milliseconds(settings.dt)}, {milliseconds(_duration(settings))} an image",
        ),
        ("Measurements", f"{_readout(job)} of {codes(p.name for p in job.network.outputs)}"),
    )
    return table(("", ""), rows)


def _duration(settings: Settings) -> Any:
    """Return T."""
    return settings.steps * settings.dt


def milliseconds(time: Any) -> str:
    """Return a time in ms."""
    return f"{number(float(time) * 1e3)} ms"


def _readout(job: Job) -> str:
    """Return what is read off the outputs."""
    spiking = has_spikes(job.network.output, job.settings)
    return "spike counts" if spiking else "potentials"

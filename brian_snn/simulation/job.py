"""A simulation without its images, and its images in shards.

`make_job` collects what all images have in common; a shard of images then needs nothing else, so shards can be run one
after the other, side by side, or on other machines, in any order. What comes out is the same bit for bit.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

import brian_snn.knobs as knobs
from brian_snn.arrays import FloatArray
from brian_snn.errors import SettingError
from brian_snn.network.grid import on_grid
from brian_snn.network.network import Network
from brian_snn.network.parameters import (
    Parameters,
    check_range,
    input_currents,
    largest_drives,
    scaled_parameters,
)
from brian_snn.network.records import INPUT
from brian_snn.network.roles import window_start
from brian_snn.neurons.accumulator import check_widths
from brian_snn.neurons.poisson import coded_network
from brian_snn.neurons.record import Neuron
from brian_snn.neurons.softmax import require_competition
from brian_snn.neurons.table import neuron_of
from brian_snn.results.arrays import Shard
from brian_snn.results.result import Result
from brian_snn.settings import Recording, Settings
from brian_snn.simulation.records import Plan, collect, make_plan, record_dtype, with_checkpoints
from brian_snn.simulation.runs import RunConstants, RunInputs, RunOutputs
from brian_snn.simulation.topology import Topology, topology

#: What is recorded of a shard and its noise take about this much memory, and its images are at most this many.
_SHARD_BYTES, _SHARD_IMAGES = 2**26, 256

#: So many shards a worker, if each has so many images: what comes before one and after it is done while another runs.
_SHARDS_A_WORKER, _FEWEST_IMAGES = 8, 8

#: Bytes a neuron and step. Potentials and noise are numbers of float64. A spike is a row of three int32, whose decoding
#: and sorting take four times that for a while; but few neurons spike in more than one of four steps.
_FLOAT_BYTES, _SPIKE_BYTES = 8, 12


@dataclass(frozen=True, eq=False)
class Job:
    """What every shard of a simulation has in common.

    Parameters
    ----------
    network, settings, recording
        What to simulate, how, and what to keep.
    layout : Topology
        What the compiled program depends on.
    plan : Plan
        When to pause.
    parameters : Parameters
        Weights, biases and thresholds on the grid.
    drives : dict of str to float
        The largest charge that spikes, and the neuron itself, can bring to a neuron of each population in a step.
    """

    network: Network
    settings: Settings
    recording: Recording
    layout: Topology
    plan: Plan
    parameters: Parameters
    drives: dict[str, float]

    @property
    def neurons(self) -> list[Neuron]:
        """The neuron of every population."""
        return [neuron_of(self.network, population, self.settings) for population in self.network.populations]

    @property
    def reversals(self) -> dict[str, float]:
        """Of populations with conductances, the size of the reversal potential that lies further from rest."""
        layers = zip(self.network.populations, self.layout.layers, strict=True)
        ends = (self.settings.reversal_excitatory, -self.settings.reversal_inhibitory)
        furthest = max((end for end in ends if math.isfinite(end)), default=0.0)
        return {p.name: furthest * self.parameters.of(p.name).threshold for p, layer in layers if layer.model.splits}

    @property
    def constants(self) -> RunConstants:
        """The numbers that are the same for every image, laid out by position."""
        network, parameters = self.network, self.parameters
        populations = list(enumerate(network.populations))
        return RunConstants(
            thresholds=tuple(parameters.of(p.name).threshold for _, p in populations),
            v_init=tuple(parameters.of(p.name).v_init for _, p in populations),
            clamp_steps=tuple(window_start(p, self.settings) for _, p in populations),
            named=tuple(_constants(neuron) for neuron in self.neurons),
            bias={k: p.bias.ravel() for k, p in enumerate(parameters.network.populations)},
            weights={k: p.weights for k, p in enumerate(parameters.network.projections) if p.source != INPUT},
        )


def _constants(neuron: Neuron) -> dict[str, float | FloatArray]:
    """Return the run-time constants of a population, those that differ from neuron to neuron as arrays."""
    return {**neuron.constants, **{name: make() for name, make in neuron.arrays.items()}}


def asked_settings(network: Network, settings: Settings | None) -> Settings:
    """Return the settings given, or else those that the network's own file asks for.

    Raises
    ------
    SettingError
        If what was given is something else.
    """
    if not isinstance(settings, Settings | None):
        raise SettingError(
            f"settings is {settings!r:.200}; it must be a Settings. Name its fields to give them one by one, such as "
            "steps=200."
        )
    return settings or Settings.from_numbers(network.simulation)


def settings_of(network: Network, settings: Settings | None, options: Mapping[str, Any]) -> Settings:
    """Return `asked_settings` with the fields that are given by name in their place.

    Raises
    ------
    OptionError
        If there is no setting of a name.
    """
    known = [field.name for field in dataclasses.fields(Settings)]
    for name in options:
        if name not in known:
            raise knobs.no_option(name, known)
    return dataclasses.replace(asked_settings(network, settings), **options)


def make_job(network: Network, settings: Settings, recording: Recording) -> Job:
    """Prepare a simulation.

    Raises
    ------
    SettingError
        If the threshold is below the grid, a population to record does not exist or has nothing to record, or a spiking
        softmax does not suit the output.
    """
    network = coded_network(network, settings)
    require_competition(network, settings)
    recording = with_checkpoints(recording, network, settings)
    plan = make_plan(network, settings, recording.checkpoints or (), recording.record_counts)
    layout = topology(network, settings, recording.record_spikes, recording.record_potentials)
    parameters = scaled_parameters(network, settings)
    # Of sources that all send their largest burst.
    drives = {name: settings.burst * drive for name, drive in largest_drives(parameters).items()}
    for population in network.populations:
        drives[population.name] += neuron_of(network, population, settings).charge_a_step
    job = Job(network, settings, recording, layout, plan, parameters, drives)
    check_widths(network, settings, job.neurons)
    return job


def cut(job: Job, n_images: int, workers: int, shard_size: int | None = None) -> list[Shard]:
    """Return the images of a simulation in shards, each worth a few seconds at most and a bounded piece of memory."""
    if job.settings.backend == "runtime":
        workers = 1
    if shard_size is None:
        fits = _SHARD_BYTES // _image_bytes(job)
        # As many shards for each worker, so that none waits for the last.
        rounds = -(-n_images // (workers * max(1, min(fits, _SHARD_IMAGES))))
        rounds = max(rounds, min(_SHARDS_A_WORKER, n_images // (workers * _FEWEST_IMAGES)))
        shard_size = -(-n_images // (workers * rounds))
    return [range(first, min(first + shard_size, n_images)) for first in range(0, n_images, shard_size)]


def _image_bytes(job: Job) -> int:
    """Estimate the memory that grows with the images of a shard, for each of them."""
    noise = [0 if neuron.draws is None else neuron.draws.bytes_a_step for neuron in job.neurons]
    a_step = sum(
        layer.size * (drawn + _FLOAT_BYTES * layer.record_potentials + _SPIKE_BYTES * layer.record_spikes)
        for layer, drawn in zip(job.layout.layers, noise, strict=True)
    )
    if job.settings.input_coding == "frames":
        seen = sum(layer.size for layer in job.layout.layers if layer.sees_frames)
        a_step += _FLOAT_BYTES * (seen + prod(job.network.input_shape))
    return record_dtype(job.layout, job.plan).itemsize + job.settings.steps * a_step


def run_inputs(job: Job, images: NDArray[np.generic], first: int) -> RunInputs:
    """Compute the input currents of a shard; refuse what could leave the exact range.

    Parameters
    ----------
    images : (n_images, *input_shape) array
        The images of the shard; frames (n_images, steps, *input_shape).
    first : int
        Number of the first of them in the whole simulation.

    Raises
    ------
    SettingError
        If a potential could pass the range in which float64 is exact; names the population.
    """
    pixels = np.asarray(images, np.float64)
    still = pixels.reshape(-1, *job.network.input_shape)
    currents = input_currents(job.parameters, still)
    check_range(job.parameters, job.drives, currents, job.settings, job.reversals)
    for population in job.network.populations:
        if population.codes_pixels:
            # As rates over r_max; the threshold is the business of those who receive the spikes.
            currents[population.name] = on_grid(still, job.network.grid)
    # One an image, or one a frame.
    lead = pixels.shape[: pixels.ndim - len(job.network.input_shape)]
    by_position = {
        k: currents[p.name].reshape(*lead, p.size) for k, p in enumerate(job.network.populations) if p.name in currents
    }
    return RunInputs(first, len(images), by_position, _random_inputs(job, range(first, first + len(images))))


def _random_inputs(job: Job, images: range) -> dict[int, FloatArray]:
    """Return the random input of each layer that has one, by position, for the images of these numbers."""
    settings, grid = job.settings, job.network.grid
    found = {}
    for position, (population, neuron) in enumerate(zip(job.network.populations, job.neurons, strict=True)):
        if neuron.draws is not None:
            threshold = job.parameters.of(population.name).threshold
            found[position] = neuron.draws.noise(settings, images, population.size, threshold, grid)
        elif neuron.stream is not None:
            found[position] = neuron.stream.keys(images)
    return found


def shard_result(job: Job, images: NDArray[np.generic], outputs: RunOutputs, first: int) -> Result:
    """Return what a run recorded as a `Result` of the shard's images, the first of which has the number `first`."""
    fields = collect(outputs.records, job.network, job.settings, job.parameters, job.plan, job.recording)
    return Result(job.network, job.settings, images, first_image=first, **_recordings(job, outputs), **fields)


def _recordings(job: Job, outputs: RunOutputs) -> dict[str, Any]:
    """Name the spike trains and traces by population; trains sorted by image, step, neuron."""
    populations = job.network.populations
    trains = {
        populations[k].name: rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]
        for k, rows in outputs.spikes.items()
    }
    traces = {
        populations[k].name: trace.reshape(len(trace), job.settings.steps, *populations[k].shape)
        for k, trace in outputs.traces.items()
    }
    return {"spike_trains": trains, "potential_traces": traces}

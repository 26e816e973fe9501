"""Everything a compiled simulation depends on, and nothing more: sizes, neuron models and connectivity.

Two networks of the same topology share a binary, whatever their weights, biases, thresholds, clamp or images.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import IntArray
from brian_snn.errors import SettingError
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.network.roles import float_type
from brian_snn.network.synapses import uses_shared_kernels
from brian_snn.neurons.record import NeuronModel
from brian_snn.neurons.table import neuron_of
from brian_snn.settings import FloatType, Schedule, Settings


@dataclass(frozen=True)
class Layer:
    """One `NeuronGroup`: its size, its model, what it records, and the type of its potentials and charges.

    What a layer sees of the image is a constant current, or with frames one a step.
    """

    size: int
    model: NeuronModel
    has_membrane: bool
    sees_image: bool
    record_spikes: bool
    record_potentials: bool
    float_type: FloatType = "float64"
    sees_frames: bool = False


#: Which synapses of a projection a link has: all, those of positive weight, or those of negative weight.
Part = Literal["all", "excitation", "inhibition"]


@dataclass(frozen=True, eq=False)
class Link:
    """What carries the spikes of one layer to another.

    `index` is the projection's place in ``network.projections``; `shared` says whether it is a shared kernel or
    explicit `Synapses`. When all neurons of the network are numbered layer by layer, `first_source` is the number of
    the source's first neuron and `n_neurons` how many there are. Where a target hears excitation and inhibition apart,
    each has a link of its own, `part`, which ends in the state variable of that name.
    """

    index: int
    source: int
    target: int
    shared: bool
    geometry: Geometry
    source_index: IntArray | None
    target_index: IntArray | None
    first_source: int = 0
    n_neurons: int = 0
    part: Part = "all"

    @property
    def name(self) -> str:
        """What its object of Brian2 is called."""
        return f"projection_{self.index}" + ("" if self.part == "all" else f"_{self.part}")

    def weights_of(self, weights: NDArray[Any] | None) -> NDArray[Any] | None:
        """Return what its synapses bring, of the weights of the projection."""
        if weights is None or self.part == "all":
            return weights
        return np.maximum(weights if self.part == "excitation" else -weights, 0.0)


@dataclass(frozen=True, eq=False)
class Topology:
    """Layers in topological order and the links between them; the last ones are the outputs."""

    layers: tuple[Layer, ...]
    links: tuple[Link, ...]
    schedule: Schedule
    n_outputs: int = 1

    @property
    def outputs(self) -> tuple[int, ...]:
        """Positions of the outputs."""
        return tuple(range(len(self.layers) - self.n_outputs, len(self.layers)))

    def digest(self) -> str:
        """Return a hash of everything in the topology."""
        digest = hashlib.sha256()
        digest.update(json.dumps([dataclasses.asdict(layer) for layer in self.layers]).encode())
        for link in self.links:
            geometry = dataclasses.asdict(link.geometry)
            digest.update(json.dumps([link.name, link.source, link.target, link.shared, geometry]).encode())
            for index in (link.source_index, link.target_index):
                digest.update(b"none" if index is None else index.tobytes())
        digest.update(f"{self.schedule} {self.n_outputs}".encode())
        return digest.hexdigest()


def topology(
    network: Network, settings: Settings, record_spikes: Sequence[str] = (), record_potentials: Sequence[str] = ()
) -> Topology:
    """Return the topology of a network under the given settings.

    Raises
    ------
    SettingError
        If a population to record does not exist or has nothing of that kind to record.
    """
    positions = {population.name: position for position, population in enumerate(network.populations)}
    layers = [_layer(network, p, settings, record_spikes, record_potentials) for p in network.populations]
    _require_recordable(network, layers, record_spikes, record_potentials)
    if record_spikes and settings.polarity == "signed":
        raise SettingError(
            f"cannot record the spikes of {record_spikes[0]!r}: a row of image, step and neuron has no sign, and "
            "polarity is 'signed'; record its potential, or its counts at checkpoints."
        )
    shared = uses_shared_kernels(network, settings)
    first_neurons = np.cumsum([0, *(layer.size for layer in layers)])
    links = tuple(
        Link(
            index,
            positions[p.source],
            positions[p.target],
            shared,
            p.geometry,
            _inputs(p, network[p.source].size),
            p.target_index,
            int(first_neurons[positions[p.source]]),
            int(first_neurons[-1]),
            part,
        )
        for index, p in enumerate(network.projections)
        if p.source != INPUT
        for part in (("excitation", "inhibition") if layers[positions[p.target]].model.splits else ("all",))
    )
    return Topology(tuple(layers), links, settings.schedule, len(network.outputs))


def _layer(
    network: Network,
    population: Population,
    settings: Settings,
    record_spikes: Sequence[str],
    record_potentials: Sequence[str],
) -> Layer:
    """Return the layer of a population."""
    model = neuron_of(network, population, settings).model
    sees_image = any(p.source == INPUT for p in network.into(population.name))
    return Layer(
        size=population.size,
        model=model,
        has_membrane="v" in model.outputs,
        sees_image=sees_image,
        record_spikes=population.name in record_spikes,
        record_potentials=population.name in record_potentials,
        float_type=float_type(population, settings),
        sees_frames=sees_image and settings.input_coding == "frames",
    )


def _require_recordable(
    network: Network, layers: Sequence[Layer], record_spikes: Sequence[str], record_potentials: Sequence[str]
) -> None:
    """Raise where a population to record does not exist or has nothing of that kind."""
    positions = {population.name: position for position, population in enumerate(network.populations)}
    for name in (*record_spikes, *record_potentials):
        if name not in positions:
            raise SettingError(f"cannot record {name!r}: the network's populations are {', '.join(positions)}.")
    for name in record_spikes:
        if not layers[positions[name]].model.threshold:
            raise SettingError(f"cannot record the spikes of {name!r}: it is a readout that only integrates.")
    for name in record_potentials:
        if not layers[positions[name]].has_membrane:
            kind = network[name].kind
            raise SettingError(f"cannot record the potential of {name!r}: {kind!r} has no membrane.")


def _inputs(projection: Projection, n_source: int) -> IntArray | None:
    """Return the source index, made explicit where the map sees only the first neurons of its source."""
    if projection.source_index is None and projection.geometry.n_in < n_source:
        return np.arange(projection.geometry.n_in, dtype=np.int32)
    return projection.source_index

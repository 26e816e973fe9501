"""Build the Brian2 objects of a topology, for whichever device is active."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from brian2 import Clock, NeuronGroup, SpikeMonitor, StateMonitor, Synapses, get_device, ms
from brian2 import Network as BrianNetwork
from brian2.devices.device import RuntimeDevice

from brian_snn.backends.competition import CompiledCompetition, RuntimeCompetition
from brian_snn.backends.connectivity import connect
from brian_snn.backends.crossings import Crossings
from brian_snn.backends.functions import FUNCTIONS
from brian_snn.backends.rendering import rendered
from brian_snn.backends.shared_kernel import RuntimeKernel, SharedProjection
from brian_snn.simulation.schedule import network_schedule, population_slots
from brian_snn.simulation.topology import Layer, Link, Topology

#: An event of all neurons in every step, on which synapses act that read their source whether it spikes or not.
READ = "read"


@dataclass(frozen=True, eq=False)
class BrianObjects:
    """The live objects of a network, in the order of the topology's layers and links.

    A link is `Synapses`, or a shared kernel: `SharedProjection` in C++, `RuntimeKernel` in process. Competitions and
    monitors are kept by position of the layer.
    """

    network: BrianNetwork
    clock: Clock
    groups: tuple[NeuronGroup, ...]
    links: tuple[Synapses | SharedProjection | RuntimeKernel, ...]
    competitions: dict[int, CompiledCompetition | RuntimeCompetition]
    spike_monitors: dict[int, SpikeMonitor]
    state_monitors: dict[int, StateMonitor]


def brian_network(topology: Topology, clock: Clock | None = None) -> BrianObjects:
    """Return a Brian2 network of `NeuronGroup`s and what connects them, all parameters zero.

    Parameters
    ----------
    topology : Topology
        Sizes, neuron models and connectivity.
    clock : Clock, optional
        Of a script in which other objects of Brian2 live beside these: names that are taken get a number behind them,
        and every object is one that any device of Brian2 translates. Without it the clock is one of 1 ms, a name for a
        step: the dynamics has no time constant and counts steps.
    """
    more = "" if clock is None else "*"
    clock = clock or Clock(dt=1 * ms, name="snn_clock")
    groups = tuple(_group(topology, position, clock, more) for position in range(len(topology.layers)))
    links = tuple(_carrier(topology, link, groups, clock, more) for link in topology.links)
    competitions = {
        position: _competition(topology, position, groups, clock)
        for position, layer in enumerate(topology.layers)
        if layer.model.competes
    }
    spikes = {
        position: SpikeMonitor(
            groups[position], ["sent"] if layer.model.graded else None, name=f"spikes_{position}", when="end"
        )
        for position, layer in enumerate(topology.layers)
        if layer.record_spikes
    }
    states = {
        position: StateMonitor(groups[position], "v", record=True, clock=clock, name=f"trace_{position}", when="end")
        for position, layer in enumerate(topology.layers)
        if layer.record_potentials
    }
    monitors = [*spikes.values(), *states.values()]
    network = BrianNetwork(groups, links, list(competitions.values()), monitors, name=f"snn{more}")
    network.schedule = network_schedule(len(topology.layers), topology.schedule)
    return BrianObjects(network, clock, groups, links, competitions, spikes, states)


def _group(topology: Topology, position: int, clock: Clock, more: str) -> NeuronGroup:
    """Make the neurons of one layer. Names are looked up in the group itself, and functions among ours."""
    layer: Layer = topology.layers[position]
    slots = population_slots(position, topology.schedule)
    model = layer.model
    is_read = any(topology.layers[link.target].model.reads_all for link in topology.links if link.source == position)
    group = NeuronGroup(
        rendered(layer.size),
        model.equations,
        threshold=model.threshold or None,
        reset=model.reset or None,
        events=({"arrival": model.arrival} if model.arrival else {}) | ({READ: "n_spikes >= 0"} if is_read else {}),
        clock=clock,
        dtype=dict.fromkeys(model.charges, np.dtype(layer.float_type).type) if layer.has_membrane else None,
        namespace=dict(FUNCTIONS),
        name=rendered(f"population_{position}") + more,
    )
    if model.threshold:
        group.thresholder["spike"].when = slots.threshold
        group.resetter["spike"].when = slots.reset
    if is_read:
        group.set_event_schedule(READ, when=slots.reset, order=1)
    if model.arrival:
        group.run_on_event("arrival", "n_arrived += 1", when=slots.reset, order=2)
        group.set_event_schedule("arrival", when=slots.reset, order=1)
    if not more and _in_one_pass(topology, layer):
        group.contained_objects.append(Crossings(group, model, clock, slots.threshold))
    elif model.integrate:
        group.run_regularly(model.integrate, clock=clock, when=slots.integrate)
    return group


def _in_one_pass(topology: Topology, layer: Layer) -> bool:
    """Whether neurons integrate, are compared and reset at once: nothing else happens in between."""
    compiled = not isinstance(get_device(), RuntimeDevice)
    return compiled and topology.schedule == "same_step" and bool(layer.model.threshold) and not layer.model.competes


def _carrier(
    topology: Topology, link: Link, groups: tuple[NeuronGroup, ...], clock: Clock, more: str
) -> Synapses | SharedProjection | RuntimeKernel:
    """Make what carries the spikes of one link."""
    # Brian2's NumPy code has no maximum over synapses: it would warn and loop over them in Python.
    takes_maximum = "lead" in groups[link.target].variables and isinstance(get_device(), RuntimeDevice)
    if link.shared or takes_maximum:
        return _shared(topology, link, groups, clock, more)
    return _synapses(topology, link, groups, clock, more)


def _event(topology: Topology, link: Link, groups: tuple[NeuronGroup, ...]) -> str:
    """Return the event of its source on which a link acts."""
    if topology.layers[link.target].model.reads_all:
        return READ
    return "arrival" if "arrival" in groups[link.source].events else "spike"


def _synapses(topology: Topology, link: Link, groups: tuple[NeuronGroup, ...], clock: Clock, more: str) -> Synapses:
    """Make the explicit synapses of one link."""
    model = topology.layers[link.target].model
    synapses = Synapses(
        groups[link.source],
        groups[link.target],
        "w : 1 (constant)" if model.has_weights else "",
        on_pre=model.on_spike_from.replace("excitation", link.part) if model.splits else model.on_spike_from,
        on_event=_event(topology, link, groups),
        clock=clock,
        dtype={"w": np.dtype(topology.layers[link.target].float_type).type},
        namespace=rendered({"first_source": link.first_source, "n_neurons": link.n_neurons}),
        name=rendered(link.name) + more,
    )
    synapses.pre.when = population_slots(link.target, topology.schedule).receive
    connect(synapses, link, topology.layers[link.source].size)
    return synapses


def _shared(
    topology: Topology, link: Link, groups: tuple[NeuronGroup, ...], clock: Clock, more: str
) -> SharedProjection | RuntimeKernel:
    """Make the shared kernel of one link, in the form that the active device runs."""
    source, target, event = groups[link.source], groups[link.target], _event(topology, link, groups)
    when = population_slots(link.target, topology.schedule).receive
    if isinstance(get_device(), RuntimeDevice):
        return RuntimeKernel(link, source, target, event, topology.schedule, clock, when, more)
    has_weights = topology.layers[link.target].model.has_weights
    return SharedProjection(link, source, target, event, has_weights, topology.schedule, clock, when)


def _competition(
    topology: Topology, position: int, groups: tuple[NeuronGroup, ...], clock: Clock
) -> CompiledCompetition | RuntimeCompetition:
    """Make what chooses who spikes in an output layer, in the form that the active device runs."""
    competition = RuntimeCompetition if isinstance(get_device(), RuntimeDevice) else CompiledCompetition
    return competition(groups[position], clock, population_slots(position, topology.schedule).integrate)

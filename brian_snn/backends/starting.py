"""What live Brian2 objects are set to, on whichever device: the parameters, and the start of an image."""

from __future__ import annotations

from brian_snn.backends.brian_objects import BrianObjects
from brian_snn.backends.connectivity import synaptic_weights
from brian_snn.backends.shared_kernel import RuntimeKernel
from brian_snn.simulation.runs import RunConstants, RunInputs
from brian_snn.simulation.topology import Topology


def set_parameters(topology: Topology, objects: BrianObjects, constants: RunConstants) -> None:
    """Set what is the same for every image."""
    for position, (layer, group) in enumerate(zip(topology.layers, objects.groups, strict=True)):
        for name in layer.model.constants:
            setattr(group, name, constants.named[position][name])
        if layer.has_membrane:
            group.v_thr, group.v_start = constants.thresholds[position], constants.v_init[position]
            if not layer.sees_image:
                group.current = constants.bias[position]
    for link, carrier in zip(topology.links, objects.links, strict=True):
        weights = constants.weights[link.index]
        if isinstance(carrier, RuntimeKernel):
            carrier.weights = weights
        elif weights is not None:
            of_synapses = synaptic_weights(link, weights, topology.layers[link.source].size)
            if len(of_synapses):
                carrier.w = of_synapses


def start_image(
    topology: Topology, objects: BrianObjects, constants: RunConstants, inputs: RunInputs, image: int, now: int
) -> None:
    """Put every neuron back to its start, and show it an image of a shard.

    Parameters
    ----------
    image : int
        Its place in `inputs`.
    now : int
        Number of the step in which it starts, on the clock of the objects.
    """
    for position, (layer, group) in enumerate(zip(topology.layers, objects.groups, strict=True)):
        for name in layer.model.zeroed:
            if name in group.variables:
                setattr(group, name, 0)
        if layer.has_membrane:
            group.v = constants.v_init[position]
            group.clamp_steps = now + constants.clamp_steps[position]
        if layer.sees_image and not layer.sees_frames:
            group.current = inputs.currents[position][image]
        if "stream" in group.variables:
            group.stream = inputs.noise[position][image].item()
            group.first_step = now

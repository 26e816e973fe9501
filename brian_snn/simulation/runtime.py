"""Run the same Brian2 network in process, with NumPy code: no compiler, every variable within reach of a debugger.

The caller's Brian2 is left as it was: device, preferences and the default clock's dt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from brian2 import SpikeMonitor, StateMonitor, get_device, ms, prefs, set_device
from brian2.devices.device import reset_device, runtime_device

from brian_snn.simulation.connectivity import synaptic_weights
from brian_snn.simulation.network import BrianObjects, brian_network
from brian_snn.simulation.records import Plan, Stop, record_dtype
from brian_snn.simulation.runs import RunInputs, RunOutputs
from brian_snn.simulation.shared import RuntimeKernel
from brian_snn.simulation.topology import Topology

_STATE = ("n_spikes", "charge", "surplus", "drive", "hit")


def run_runtime(
    topology: Topology, plan: Plan, inputs: RunInputs, progress: Callable[[int, int], None] | None
) -> RunOutputs:
    """Simulate all images one after the other and return what was recorded."""
    records = np.zeros(inputs.n_images, record_dtype(topology, plan))
    spikes: dict[int, list[np.ndarray]] = {}
    traces: dict[int, list[np.ndarray]] = {}
    with _runtime_device():
        objects = brian_network(topology)
        _set_parameters(topology, objects, inputs)
        for image in range(inputs.n_images):
            _start_image(topology, objects, inputs, image)
            _run_image(topology, objects, plan, records[image : image + 1])
            for position, monitor in objects.spike_monitors.items():
                steps = np.round(np.asarray(monitor.t_[:]) * 1000).astype(np.int32) + 1
                neurons = np.asarray(monitor.i[:], np.int32)
                rows = np.column_stack([np.full(len(steps), image, np.int32), steps, neurons])
                spikes.setdefault(position, []).append(rows)
                _forget(monitor)
            for position, state in objects.state_monitors.items():
                traces.setdefault(position, []).append(np.array(state.v).T)
                _forget(state)
            if progress:
                progress(image + 1, inputs.n_images)
    return RunOutputs(
        records,
        {position: np.concatenate(parts) for position, parts in spikes.items()},
        {position: np.stack(parts) for position, parts in traces.items()},
    )


def _forget(monitor: SpikeMonitor | StateMonitor) -> None:
    """Empty a monitor; Brian2's `resize` leaves the number of recordings as it was."""
    monitor.resize(0)
    monitor.variables["N"].set_value(0)


@contextmanager
def _runtime_device() -> Iterator[None]:
    """Make the runtime device with NumPy code generation the active one for a while."""
    target, runtime_dt = prefs.codegen.target, runtime_device.defaultclock and runtime_device.defaultclock.dt
    switch = get_device() is not runtime_device
    if switch:
        set_device(runtime_device)
    prefs.codegen.target = "numpy"
    try:
        yield
    finally:
        prefs.codegen.target = target
        if switch:
            reset_device()
            if runtime_dt is not None:
                runtime_device.defaultclock.dt = runtime_dt


def _set_parameters(topology: Topology, objects: BrianObjects, inputs: RunInputs) -> None:
    """Set what is the same for every image."""
    for position, (layer, group) in enumerate(zip(topology.layers, objects.groups, strict=True)):
        if layer.has_membrane:
            group.v_thr, group.v_start = inputs.threshold, inputs.v_init
            group.clamp_steps = inputs.clamp_steps[position]
            if not layer.sees_image:
                group.current = inputs.bias[position]
    for link, carrier in zip(topology.links, objects.links, strict=True):
        weights = inputs.weights[link.index]
        if isinstance(carrier, RuntimeKernel):
            carrier.weights = weights
        elif weights is not None and len(carrier):
            carrier.w = synaptic_weights(link, weights, topology.layers[link.source].size)


def _start_image(topology: Topology, objects: BrianObjects, inputs: RunInputs, image: int) -> None:
    """Put every neuron back to its start and the clock to zero."""
    for position, (layer, group) in enumerate(zip(topology.layers, objects.groups, strict=True)):
        for name in _STATE:
            if name in group.variables:
                setattr(group, name, 0)
        if layer.has_membrane:
            group.v = inputs.v_init
        if layer.sees_image:
            group.current = inputs.currents[position][image]
    objects.network.t_ = 0.0
    objects.clock.variables["timestep"].set_value(0)
    objects.clock.variables["t"].set_value(0.0)


def _run_image(topology: Topology, objects: BrianObjects, plan: Plan, record: np.ndarray) -> None:
    """Run one image from stop to stop and fill in its record."""
    step = 0
    for number, stop in enumerate((*plan.stops, Stop(plan.steps, ()))):
        if stop.step > step:
            objects.network.run((stop.step - step) * ms, namespace={})
            step = stop.step
        if number < len(plan.stops):
            _record_stop(topology, objects, number, stop, record)
    for position, (layer, group) in enumerate(zip(topology.layers, objects.groups, strict=True)):
        for name in layer.model.outputs:
            record[f"{name}_{position}"] = np.asarray(getattr(group, name)[:])


def _record_stop(topology: Topology, objects: BrianObjects, number: int, stop: Stop, record: np.ndarray) -> None:
    """Copy what the plan asks for at a stop."""
    for position, (layer, group) in enumerate(zip(topology.layers, objects.groups, strict=True)):
        if layer.model.threshold:
            record[f"stop{number}_total_{position}"] = np.sum(group.n_spikes[:], dtype=np.int64)
        if position in stop.snapshots:
            record[f"stop{number}_counts_{position}"] = group.n_spikes[:]
    for name in ("n_spikes", "v"):
        if name in topology.layers[-1].model.outputs:
            record[f"stop{number}_output_{name}"] = np.asarray(getattr(objects.groups[-1], name)[:])

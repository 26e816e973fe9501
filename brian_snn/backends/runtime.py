"""Run the same Brian2 network in process, with NumPy code: no compiler, every variable within reach of a debugger.

The caller's Brian2 is left as it was: device, preferences and the default clock's dt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from brian2 import NetworkOperation, SpikeMonitor, get_device, ms, prefs, set_device
from brian2.devices.device import reset_device, runtime_device
from numpy.typing import NDArray

from brian_snn.arrays import IntArray
from brian_snn.backends.brian_objects import BrianObjects, brian_network
from brian_snn.backends.starting import set_parameters, start_image
from brian_snn.simulation.records import Plan, Stop, record_dtype
from brian_snn.simulation.runs import RunConstants, RunInputs, RunOutputs
from brian_snn.simulation.topology import Topology


def run_runtime(
    topology: Topology, plan: Plan, constants: RunConstants, inputs: RunInputs, on_image: Callable[[], None]
) -> RunOutputs:
    """Simulate the images of a shard in one run, one after the other, and return what was recorded."""
    with _runtime_device():
        objects = brian_network(topology)
        set_parameters(topology, objects, constants)
        for position, competition in objects.competitions.items():
            competition.noise = inputs.noise[position].reshape(-1, topology.layers[position].size)
        loop = _ImageLoop(topology, objects, plan, constants, inputs, on_image)
        objects.network.add(
            NetworkOperation(loop.before_step, clock=objects.clock, when="start", name="before_step"),
            # After the monitors, which record at the end of a step too.
            NetworkOperation(loop.after_step, clock=objects.clock, when="end", order=1, name="after_step"),
        )
        objects.network.run(inputs.n_images * plan.steps * ms, namespace={})
        spikes = {k: _spikes(monitor, plan.steps) for k, monitor in objects.spike_monitors.items()}
        shape = (inputs.n_images, plan.steps, -1)
        traces = {k: np.array(monitor.v).T.reshape(shape) for k, monitor in objects.state_monitors.items()}
    records = {name: np.array(loop.records[name]) for name in loop.records.dtype.names or ()}
    return RunOutputs(records, spikes, traces)


def _spikes(monitor: SpikeMonitor, steps: int) -> IntArray:
    """Return (image, step, neuron) of every spike; the clock has run through all images without a pause."""
    image, step = np.divmod(np.round(np.asarray(monitor.t_[:]) * 1000).astype(np.int32), steps)
    rows = np.column_stack([image, step + 1, np.asarray(monitor.i[:], np.int32)]).astype(np.int32)
    return np.repeat(rows, monitor.sent[:], axis=0) if "sent" in monitor.record_variables else rows


class _ImageLoop:
    """What happens between the steps: the state is reset when an image starts, and recorded where the plan says."""

    def __init__(
        self,
        topology: Topology,
        objects: BrianObjects,
        plan: Plan,
        constants: RunConstants,
        inputs: RunInputs,
        on_image: Callable[[], None],
    ) -> None:
        self.records = np.zeros(inputs.n_images, record_dtype(topology, plan))
        self._layers = list(zip(range(len(topology.layers)), topology.layers, objects.groups, strict=True))
        self._topology, self._objects, self._n_outputs = topology, objects, topology.n_outputs
        self._clock, self._plan, self._on_image = objects.clock, plan, on_image
        self._constants, self._inputs = constants, inputs

    def before_step(self) -> None:
        """Put every neuron back to its start where an image begins, and show the frame of the step."""
        image, step = divmod(int(self._clock.timestep[:].item()), self._plan.steps)
        for position, layer, group in self._layers:
            if layer.sees_frames:
                group.current = self._inputs.currents[position][image, step]
        if not step:
            start_image(self._topology, self._objects, self._constants, self._inputs, image, image * self._plan.steps)

    def after_step(self) -> None:
        """Record at stops and at the end of an image."""
        image, step = divmod(int(self._clock.timestep[:].item()), self._plan.steps)
        record = self.records[image : image + 1]
        for number, stop in enumerate(self._plan.stops):
            if stop.step == step + 1:
                self._record_stop(number, stop, record)
        if step + 1 == self._plan.steps:
            for position, layer, group in self._layers:
                for name in layer.model.outputs:
                    record[f"{name}_{position}"] = np.asarray(getattr(group, name)[:])
            self._on_image()

    def _record_stop(self, number: int, stop: Stop, record: NDArray[np.void]) -> None:
        """Copy what the plan asks for at a stop."""
        for position, layer, group in self._layers:
            if layer.model.threshold:
                record[f"stop{number}_total_{position}"] = np.sum(group.n_spikes[:], dtype=np.int64)
            if position in stop.snapshots:
                record[f"stop{number}_counts_{position}"] = group.n_spikes[:]
        for position, layer, group in self._layers[-self._n_outputs :]:
            for name in ("n_spikes", "v"):
                if name in layer.model.outputs:
                    record[f"stop{number}_output_{position}_{name}"] = np.asarray(getattr(group, name)[:])


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

"""Brian2, as one writes it by hand: a current in the equations, a threshold, a reset, synapses that add to v."""

from __future__ import annotations

from importlib.metadata import version
from math import prod

import brian2
import numpy as np
from brian2 import NeuronGroup, SpikeMonitor, Synapses, ms
from dense import dense_transform
from exchange import Workload, parser, read_workload, write_run

RESETS = {"default": "v -= 1", "zero": "v = 0"}


def run_image(workload: Workload, image: np.ndarray, reset: str) -> dict[str, np.ndarray]:
    """Simulate one image and return the spikes of every layer of neurons, (steps, *shape)."""
    brian2.start_scope()
    objects, monitors, pending, source, sender = [], {}, [], list(image.shape), None
    for layer in workload.layers:
        pending.append(layer)
        if layer.weights is None:
            continue
        transform, n = dense_transform(pending, source), prod(layer.shape)
        equations = "dv/dt = current / ms : 1\ncurrent : 1"
        group = NeuronGroup(n, equations, threshold="v > 1", reset=reset, method="euler")
        group.current = np.broadcast_to(layer.bias, layer.shape).ravel()
        if sender is None:
            group.current += transform @ image.ravel()
        else:
            synapses = Synapses(sender, group, "w : 1", on_pre="v_post += w")
            post, pre = np.nonzero(transform)
            synapses.connect(i=pre, j=post)
            synapses.w = transform[post, pre]
            objects.append(synapses)
        monitors[layer.name] = SpikeMonitor(group)
        objects += [group, monitors[layer.name]]
        sender, pending, source = group, [], layer.shape
    brian2.Network(objects).run(workload.steps * ms, namespace={"ms": ms})
    shapes = {layer.name: layer.shape for layer in workload.layers}
    return {name: in_steps(monitor, workload.steps, shapes[name]) for name, monitor in monitors.items()}


def in_steps(monitor: SpikeMonitor, steps: int, shape: list[int]) -> np.ndarray:
    """Return spikes as (steps, *shape)."""
    spikes = np.zeros((steps, prod(shape)), np.int32)
    spikes[np.rint(monitor.t / ms).astype(int), monitor.i] = 1
    return spikes.reshape(steps, *shape)


def main() -> None:
    """Run image by image."""
    chosen = parser(__doc__, tuple(RESETS)).parse_args()
    brian2.prefs.codegen.target = "numpy"
    brian2.defaultclock.dt = 1 * ms
    workload = read_workload(chosen.workload)
    runs = [run_image(workload, image, RESETS[chosen.variant]) for image in workload.images]
    spikes = {name: np.stack([run[name] for run in runs]) for name in runs[0]}
    write_run(chosen.output, spikes, {"brian2": version("brian2")})


if __name__ == "__main__":
    main()

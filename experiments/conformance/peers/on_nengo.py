"""nengo: SpikingRectifiedLinear as it comes, with random voltages, and from 0; no connection has a synapse.

The average pooling is a part of the next layer's transform, since it has no neurons.
"""

from __future__ import annotations

from importlib.metadata import version
from math import prod
from typing import Any

import nengo
import numpy as np
from dense import dense_transform
from exchange import Workload, parser, read_workload, write_run

DT = 0.001

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "from 0": {"initial_state": {"voltage": nengo.dists.Choice([0])}},
}


def run_image(workload: Workload, image: np.ndarray, options: dict[str, Any]) -> dict[str, np.ndarray]:
    """Simulate one image and return the spikes of every layer of neurons, (steps, *shape)."""
    probes, pending, source = {}, [], list(image.shape)
    with nengo.Network(seed=0) as network:
        sender = nengo.Node(image.ravel())
        for layer in workload.layers:
            pending.append(layer)
            if layer.weights is None:
                continue
            n = prod(layer.shape)
            bias = np.broadcast_to(layer.bias, layer.shape).ravel()
            # A current J makes V grow by J dt, and an output of amplitude / dt is one spike.
            neurons = nengo.Ensemble(
                n,
                1,
                gain=np.full(n, 1 / DT),
                bias=bias / DT,
                neuron_type=nengo.SpikingRectifiedLinear(amplitude=DT, **options),
            ).neurons
            nengo.Connection(sender, neurons, transform=dense_transform(pending, source), synapse=None)
            probes[layer.name], sender, pending, source = nengo.Probe(neurons, synapse=None), neurons, [], layer.shape
    with nengo.Simulator(network, dt=DT, progress_bar=False) as simulator:
        simulator.run_steps(workload.steps, progress_bar=False)
    shapes = {layer.name: layer.shape for layer in workload.layers}
    return {
        name: np.rint(simulator.data[probe]).astype(np.int32).reshape(workload.steps, *shapes[name])
        for name, probe in probes.items()
    }


def main() -> None:
    """Run image by image."""
    chosen = parser(__doc__, tuple(VARIANTS)).parse_args()
    workload = read_workload(chosen.workload)
    runs = [run_image(workload, image, VARIANTS[chosen.variant]) for image in workload.images]
    spikes = {name: np.stack([run[name] for run in runs]) for name in runs[0]}
    write_run(chosen.output, spikes, {"nengo": version("nengo")})


if __name__ == "__main__":
    main()

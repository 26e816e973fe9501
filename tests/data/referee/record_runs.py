"""Record how sinabs, snntorch and spikingjelly run one small CNN, spike by spike; needs these, not brian_snn.

    pip install torch sinabs==3.1.3 snntorch==1.0.0 spikingjelly==2.0.0 && python record_runs.py

Writes weights and images into ``cnn.npz``, and a run for each neuron, channels first, into ``NAME.npz``. Weights are
multiples of 2**-10 and pixels of 2**-8, so that all sums are exact in float32.
"""

from pathlib import Path

import numpy as np
import sinabs.layers
import snntorch
import torch
from sinabs.activation import MembraneReset, SingleSpike
from spikingjelly.activation_based.neuron import IFNode

HERE = Path(__file__).resolve().parent
STEPS = 64


def make_cnn():
    """Return weights and images: digits that ship with brian_snn, every second pixel."""
    rng = np.random.default_rng(5)
    pixels = np.load(HERE.parents[2] / "brian_snn" / "data" / "demo_digits.npz")
    images = np.asarray(pixels["x_test"], np.float64).reshape(-1, 28, 28)[[0, 60], ::2, ::2]
    images = np.round(images / images.max() * 256) / 256

    def drawn(mean, spread, *shape):
        return (np.round(rng.normal(mean, spread, shape) * 1024) / 1024).astype(np.float32)

    return {
        "images": images[:, None].astype(np.float32),
        "conv1": drawn(0.08, 0.2, 4, 1, 3, 3),
        "conv1_bias": drawn(0.0, 0.05, 4),
        "conv2": drawn(0.03, 0.2, 8, 4, 3, 3),
        "conv2_bias": drawn(0.0, 0.05, 8),
        "out": drawn(0.01, 0.1, 10, 200),
        "out_bias": drawn(0.0, 0.05, 10),
    }


def sinabs_neuron(**options):
    """Return a step of a new neuron of sinabs, which takes a time axis."""

    def make():
        layer = sinabs.layers.IAF(**options)
        return lambda z: layer(z[:, None])[:, 0]

    return make


def snntorch_neuron(**options):
    """Return a step of a new neuron of snntorch, which hands its potential on."""

    def make():
        layer = snntorch.Leaky(beta=1.0, **options)
        state = {"mem": layer.reset_mem()}

        def step(z):
            spikes, state["mem"] = layer(z, state["mem"])
            return spikes

        return step

    return make


RUNS = {
    "sinabs": sinabs_neuron(),
    "sinabs_single": sinabs_neuron(spike_fn=SingleSpike),
    "sinabs_single_zero": sinabs_neuron(spike_fn=SingleSpike, reset_fn=MembraneReset()),
    "snntorch": snntorch_neuron(),
    "snntorch_no_delay": snntorch_neuron(reset_delay=False),
    "snntorch_zero": snntorch_neuron(reset_mechanism="zero"),
    "spikingjelly_soft": lambda: IFNode(v_reset=None),
    "spikingjelly_hard": lambda: IFNode(),
}


def run(cnn, make):
    """Return the spikes of all layers, (n_images, steps, channels, rows, columns)."""
    w = {name: torch.from_numpy(array) for name, array in cnn.items()}
    neurons = {name: make() for name in ("conv1", "conv2", "out")}
    spikes = {name: [] for name in neurons}
    with torch.no_grad():
        for _ in range(STEPS):
            x = neurons["conv1"](torch.nn.functional.conv2d(w["images"], w["conv1"], w["conv1_bias"]))
            spikes["conv1"].append(x)
            x = neurons["conv2"](torch.nn.functional.conv2d(x, w["conv2"], w["conv2_bias"], stride=2))
            spikes["conv2"].append(x)
            spikes["out"].append(neurons["out"](x.flatten(1) @ w["out"].T + w["out_bias"]))
    return {f"spikes/{name}": torch.stack(steps, 1).numpy().astype(np.uint8) for name, steps in spikes.items()}


if __name__ == "__main__":
    cnn = make_cnn()
    np.savez_compressed(HERE / "cnn.npz", **cnn)
    for name, make in RUNS.items():
        spikes = run(cnn, make)
        np.savez_compressed(HERE / f"{name}.npz", **spikes)
        print(name, {layer: int(array.sum()) for layer, array in spikes.items()})

"""The spiking softmax of the main paper (after Nessler et al. 2009): who answers the external generator.

The output neurons only integrate. When the generator spikes, one of them does: neuron k with the probability that the
softmax of the membrane potentials gives it, exp(V_k / V_thr) / sum_j exp(V_j / V_thr). That is the neuron with the
largest V_k + V_thr g_k, where the g_k are independent draws from the standard Gumbel distribution. So no exponential is
computed while the simulation runs: the noise V_thr g_k is drawn before, on the grid, and every sum and comparison is
exact. A row of noise is minus infinity where the generator is silent.

Potentials are accumulated, not averaged: with time the softmax turns into a maximum, as it does in the paper.
"""

from __future__ import annotations

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.errors import SettingError
from brian_snn.network.network import Network
from brian_snn.neurons.randomness import Purpose, stream_keys, uniform
from brian_snn.settings import Settings


def require_competition(network: Network, settings: Settings) -> None:
    """Raise SettingError where a spiking softmax makes no sense.

    One neuron of the whole output spikes at a time, so the output must be a vector of logits of classes: of those whose
    model ends in a softmax, or in several linear units, which may be such logits.
    """
    output, activation = network.output, network.output_activation
    if settings.readout != "softmax" or output.kind != "readout":
        return
    if activation in ("sigmoid", "tanh"):
        what = f"ends in a {activation}, each unit on its own"
    elif output.size == 1:
        what = "has one unit, which would win every time"
    elif output.size != output.shape[-1]:
        what = f"has a class for each place of its output of shape {output.shape}, and one neuron of all would win"
    else:
        return
    raise SettingError(
        f"readout is 'softmax', a competition between classes, but the model {what}; take 'potential' or 'spikes'."
    )


def softmax_noise(
    seed: int, images: range, steps: int, size: int, output_rate: float, threshold: float, grid: float
) -> FloatArray:
    """Draw V_thr g_k for every image, step and neuron; minus infinity in a step without a spike of the generator.

    Draw 0 of a step says whether the generator spikes, draw k + 1 is for neuron k. The logarithms of the Gumbel
    distribution are rounded to the grid, so their last bits, which may differ between machines, do not matter.

    Returns
    -------
    noise : (n_images, steps * size) float array
        8 bytes a number.
    """
    noise = np.empty((len(images), steps, size))
    for key, row in zip(stream_keys(seed, Purpose.SOFTMAX, images), noise, strict=True):
        draws = uniform(key, np.arange(steps * (size + 1))).reshape(steps, size + 1)
        # The middle of an interval of 2**-52: neither 0 nor 1.
        inside = (np.floor(draws[:, 1:] * 2.0**52) + 0.5) * 2.0**-52
        gumbel = -np.log(-np.log(inside))
        row[:] = np.where(draws[:, :1] < output_rate, np.round(threshold * gumbel / grid) * grid, -np.inf)
    return noise.reshape(len(images), steps * size)


def generator_spikes(seed: int, image: int, steps: int, size: int, output_rate: float) -> FloatArray:
    """Return the spikes, 0 or 1, of the generator of a softmax over `size` neurons for an image, (steps,)."""
    (key,) = stream_keys(seed, Purpose.SOFTMAX, range(image, image + 1))
    return (uniform(key, np.arange(steps) * (size + 1)) < output_rate).astype(np.float64)

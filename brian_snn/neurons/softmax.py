"""The spiking softmax of the main paper (after Nessler et al. 2009): who answers the external generator.

The output neurons only integrate. When the generator spikes, one of them does: neuron k with the probability that the
softmax of the membrane potentials gives it, exp(V_k / V_thr) / sum_j exp(V_j / V_thr). That is the neuron with the
largest V_k + V_thr g_k, where the g_k are independent draws from the standard Gumbel distribution. So no exponential is
computed while the simulation runs: the noise V_thr g_k is drawn before, on the grid, and every sum and comparison is
exact. A row of noise is minus infinity where the generator is silent.

Potentials are accumulated, not averaged: with time the softmax turns into a maximum, as it does in the paper.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.errors import SettingError
from brian_snn.network.network import Network
from brian_snn.network.records import Population
from brian_snn.network.roles import window_start
from brian_snn.neurons.integrator import COUNT, integrator
from brian_snn.neurons.record import Draws, Neuron, Scene, Spikes
from brian_snn.randomness import Purpose, stream_keys, uniform
from brian_snn.settings import Settings

_CHOSEN = "chosen : integer  # 1 for the neuron that the softmax chooses\n"


def softmax_readout(population: Population, settings: Settings, grid: float, receives_spikes: bool) -> Neuron:
    """Return the output neuron that integrates, and spikes when a softmax chooses it; its V is not reset."""
    integrates = integrator(population, settings, grid, False, receives_spikes)
    model = replace(
        integrates.model,
        equations=integrates.model.equations + COUNT + _CHOSEN,
        threshold="chosen > 0",
        reset="n_spikes += 1\nchosen = 0",
        outputs=("n_spikes", *integrates.model.outputs),
        zeroed=(*integrates.model.zeroed, "chosen"),
        competes=True,
    )
    winner = r"k(t) &= \arg\max_k \, [V_k(t) + V_{\mathrm{thr}} G_k(t)]"
    spike = r"\Theta_i(t) &= 1 \text{ if the generator spikes and } i = k(t) \text{, else } 0"
    # That it is silent while it is clamped is said by the integrator of those that fire only.
    silent = [r"\Theta_i(t) &= 0 \text{ for } t \le c"] * (settings.clamp > 0)
    return replace(
        integrates,
        model=model,
        state=partial(_Competition, integrates),
        solvable=False,
        draws=_DRAWS,
        title="integrator without a reset, of which one at a time spikes, chosen by a softmax",
        formula=(*integrates.formula, winner, spike, *silent),
    )


class _Competition:
    """Membranes, and the noise that says who spikes."""

    def __init__(self, integrates: Neuron, scene: Scene) -> None:
        self._integrates = integrates.state(scene)
        self.v = self._integrates.v
        settings, (n_images, size) = scene.settings, scene.current.shape
        self._first = window_start(scene.population, settings)
        scale = (settings.output_rate, scene.parameters.threshold, scene.parameters.network.grid)
        noise = [softmax_noise(settings.seed, range(n, n + 1), settings.steps, size, *scale) for n in scene.numbers]
        self._noise = np.concatenate(noise).reshape(n_images, settings.steps, size)

    def step(self, step: int, arrives: FloatArray | float, spikes: Spikes) -> None:
        """Integrate, and mark the neuron with the largest sum of potential and noise of every image with a spike."""
        self._integrates.step(step, arrives, spikes)
        if step >= self._first:
            noise = self._noise[:, step]
            (images,) = np.nonzero(np.isfinite(noise[:, 0]))
            spikes[images, np.argmax(self.v[images] + noise[images], axis=1)] = True


def require_competition(network: Network, settings: Settings) -> None:
    """Raise SettingError where a spiking softmax makes no sense.

    One neuron of the whole output spikes at a time, so the output must be a vector of logits of classes: of those whose
    model ends in a softmax, or in several linear units, which may be such logits.
    """
    output, activation = network.output, network.output_activation
    if settings.readout != "softmax" or output.kind != "readout":
        return
    if network.heads:
        what = f"has {len(network.heads)} outputs, and a neuron of one would compete with those of the others"
    elif activation in ("sigmoid", "tanh"):
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


def _run_noise(settings: Settings, images: range, size: int, threshold: float, grid: float) -> FloatArray:
    """Return the noise of a run."""
    return softmax_noise(settings.seed, images, settings.steps, size, settings.output_rate, threshold, grid)


def _drawn_spikes(settings: Settings, image: int, start: int, current: FloatArray) -> FloatArray:
    """Return how many spikes the generator has for an image from a step on, (1,)."""
    drawn = generator_spikes(settings.seed, image, settings.steps, current.size, settings.output_rate)
    return drawn[start:].sum(keepdims=True)


_DRAWS = Draws("softmax", _run_noise, _drawn_spikes, bytes_a_step=8)

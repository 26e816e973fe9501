"""The two spiking softmaxes of the main paper: an output that integrates, and spikes that are drawn from its V.

With p_k = exp(V_k / V_thr) / sum_j exp(V_j / V_thr), the softmax of the membrane potentials after a step's integration:

``softmax_generator`` (after Nessler et al. 2009): when an external Poisson generator spikes, one of the neurons does,
neuron k with the probability p_k. That is the neuron with the largest V_k + V_thr g_k, where the g_k are independent
draws from the standard Gumbel distribution. So no exponential is computed while the simulation runs: the noise
V_thr g_k is drawn before, on the grid, and every sum and comparison is exact. A row of noise is minus infinity where
the generator is silent.

``softmax_rates``: every neuron is a Poisson process of its own with the rate p_k r_max, and spikes in a step with the
probability p_k, whatever the others do: there is no generator, and no rate to be chosen for it. So in a step none may
spike, or several; over all neurons the mean is one spike a step. Neuron k does where its draw, uniform in [0, 1), times
sum_j E_j lies below E_k, with `falling_powers` E. Those are multiples of 2**-32, of which sums are exact, and made by
products alone, which IEEE 754 defines; so all backends and machines agree on every spike.

Potentials are accumulated, not averaged, and no spike takes anything from them: with time the softmax turns into a
maximum, as it does in the paper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
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


@dataclass(frozen=True)
class Competition:
    """Who is given a spike.

    Parameters
    ----------
    template : str
        Of ``brian_snn/backends/templates``: the rule in C++.
    rule : callable
        The same in NumPy: from V and a step's random numbers, (n_images, size), and V_thr to who spikes.
    draws : Draws
        The random numbers.
    title : str
        What a paper calls the output.
    formula : tuple of str
        As of a `Neuron`.
    """

    template: str
    rule: Callable[[FloatArray, FloatArray, float], Spikes]
    draws: Draws
    title: str
    formula: tuple[str, ...]


def softmax_readout(population: Population, settings: Settings, grid: float, receives_spikes: bool) -> Neuron:
    """Return the output neuron that integrates, and spikes when a softmax says so; its V is not reset."""
    competition = COMPETITIONS[settings.readout]
    integrates = integrator(population, settings, grid, False, receives_spikes)
    model = replace(
        integrates.model,
        equations=integrates.model.equations + COUNT + _CHOSEN,
        threshold="chosen > 0",
        reset="n_spikes += 1\nchosen = 0",
        outputs=("n_spikes", *integrates.model.outputs),
        zeroed=(*integrates.model.zeroed, "chosen"),
        competes=settings.readout,
    )
    # That it is silent while it is clamped is said by the integrator of those that fire only.
    silent = [r"\Theta_i(t) &= 0 \text{ for } t \le c"] * (settings.clamp > 0)
    return replace(
        integrates,
        model=model,
        state=partial(_Competition, integrates, competition),
        solvable=False,
        draws=competition.draws,
        title=competition.title,
        formula=(*integrates.formula, *competition.formula, *silent),
    )


class _Competition:
    """Membranes, and the random numbers that say who spikes."""

    def __init__(self, integrates: Neuron, competition: Competition, scene: Scene) -> None:
        self._integrates, self._rule = integrates.state(scene), competition.rule
        self.v, self._threshold = self._integrates.v, scene.parameters.threshold
        settings, (n_images, size) = scene.settings, scene.current.shape
        self._first = window_start(scene.population, settings)
        scale = (size, self._threshold, scene.parameters.network.grid)
        noise = [competition.draws.noise(settings, range(n, n + 1), *scale) for n in scene.numbers]
        self._noise = np.concatenate(noise).reshape(n_images, settings.steps, size)

    def step(self, step: int, arrives: FloatArray | float, spikes: Spikes) -> None:
        """Integrate, and mark who spikes."""
        self._integrates.step(step, arrives, spikes)
        if step >= self._first:
            spikes |= self._rule(self.v, self._noise[:, step], self._threshold)


def winner(v: FloatArray, noise: FloatArray, threshold: float) -> Spikes:
    """Mark the neuron with the largest sum of potential and noise of every image in which the generator spikes."""
    largest = np.argmax(v + noise, axis=1)[:, None] == np.arange(v.shape[1])
    return largest & np.isfinite(noise)


def below_rate(v: FloatArray, drawn: FloatArray, threshold: float) -> Spikes:
    """Mark every neuron whose draw lies below the softmax of the potentials."""
    powers = falling_powers((v.max(axis=1, keepdims=True) - v) / threshold)
    return drawn * powers.sum(axis=1, keepdims=True) < powers


#: exp(-2**(k - 24)), each correctly rounded: factors of `falling_powers`, for distances below 32.
FACTORS: tuple[float, ...] = tuple(float(Decimal(-(2.0 ** (k - 24))).exp()) for k in range(29))


def falling_powers(distance: FloatArray) -> FloatArray:
    """Return exp(-d) for d >= 0 as a multiple of 2**-32, with the same bits everywhere; 0 from 32 on.

    The distance is rounded to a multiple of 2**-24, and each of its binary digits that is 1 gives a factor.
    """
    units = np.rint(np.minimum(distance, 32.0) * 2.0**24).astype(np.int64)
    power = np.ones(units.shape)
    for k, factor in enumerate(FACTORS):
        power *= np.where(units >> k & 1, factor, 1.0)
    return np.where(units < 2**29, np.rint(power * 2.0**32) * 2.0**-32, 0.0)


def require_competition(network: Network, settings: Settings) -> None:
    """Raise SettingError where a spiking softmax makes no sense.

    The softmax is one of the whole output, which must be a vector of logits of classes: the model ends in a softmax, or
    in several linear units, which may be such logits.
    """
    output, activation = network.output, network.output_activation
    if not settings.has_softmax or output.kind != "readout":
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
        f"readout is {settings.readout!r}, a competition between classes, but the model {what}; take 'potential' or "
        "'spikes'."
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


def _run_draws(settings: Settings, images: range, size: int, threshold: float, grid: float) -> FloatArray:
    """Return the draws of a run, (n_images, steps * size): in step t, from 0, neuron k has number t size + k."""
    keys = stream_keys(settings.seed, Purpose.SOFTMAX, images)
    return uniform(keys[:, None], np.arange(settings.steps * size))


COMPETITIONS = {
    "softmax_generator": Competition(
        "winner",
        winner,
        Draws("softmax", _run_noise, _drawn_spikes, bytes_a_step=8),
        "integrator without a reset, of which one at a time spikes, chosen by a softmax",
        (
            r"k(t) &= \arg\max_k \, [V_k(t) + V_{\mathrm{thr}} G_k(t)]",
            r"\Theta_i(t) &= 1 \text{ if the generator spikes and } i = k(t) \text{, else } 0",
        ),
    ),
    "softmax_rates": Competition(
        "below_rate",
        below_rate,
        Draws("softmax", _run_draws, None, bytes_a_step=8),
        "integrator without a reset, which spikes in each step with the probability that a softmax gives it",
        (r"\Theta_i(t) &= 1 \text{ if } U_i(t) \sum_j E_j(t) \lt E_i(t) \text{, else } 0",),
    ),
}

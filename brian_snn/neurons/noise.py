"""Membrane noise: a random charge for every neuron in every step.

It is B sigma V_thr / 4, rounded to the grid, where B is the number of ones among 64 random bits, less 32: a binomial
distribution of standard deviation 4, which is whole-number arithmetic and so the same everywhere. A neuron's draws
depend on the seed, the image, the population and the step. The book ``noise`` has what they came to, negative where
they lifted the potential.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.network.parameters import own_threshold
from brian_snn.network.records import Population
from brian_snn.neurons.part import Part, PartState
from brian_snn.neurons.record import STREAM, Book, Scene
from brian_snn.randomness import BITS_DEVIATION, MOST_BITS, Purpose, Stream, binomial, numbered
from brian_snn.settings import Settings

NOISE = Book("noise", True, "noise", "less noise, or more steps: it falls as the square root of 1/T")

_EQUATIONS = f"""noise : 1  # charge that noise took, negative where it brought some
noise_rate : 1 (shared, constant)  # sigma V_thr / (4 g) | charge of a random bit, over the grid
noise_grid : 1 (shared, constant)  # g | the grid
{STREAM}"""
_CHANGES = """bits = binomial(stream, 1.0 * N * (t_in_timesteps - first_step) + i)
noisy = nearest_product(bits, noise_rate) * noise_grid * awake
v += noisy
noise -= noisy"""


def membrane_noise(population: Population, settings: Settings, grid: float) -> Part | None:
    """Return the noise of a population; None if there is none."""
    if not settings.noise:
        return None
    size = _size(population, settings, grid)
    return Part(
        state=_Noise,
        equations=_EQUATIONS,
        changes=_CHANGES,
        books=(NOISE,),
        charges=("noise",),
        zeroed=("noise",),
        constants={"noise_rate": size / grid, "noise_grid": grid},
        title="with membrane noise",
        formula=(r"\xi_i(t) &= g \, \mathrm{rint}(\sigma V_{\mathrm{thr}} B_i(t) / (4 g))",),
        term=r" + \xi_i(t)",
        no_law="its membrane is noisy; the charge balance has a term for that, the rate law has none",
        stream=_stream(settings, population),
        charge_a_step=MOST_BITS * size + grid,
    )


def _size(population: Population, settings: Settings, grid: float) -> float:
    """Return the charge of one bit."""
    return settings.noise * own_threshold(settings.threshold, population, grid) / BITS_DEVIATION


def _stream(settings: Settings, population: Population) -> Stream:
    """Return the stream of a population; no two have the same, but for a rare chance."""
    return Stream(settings.seed, Purpose.NOISE, (numbered(population.name),))


class _Noise(PartState):
    """The noise in NumPy."""

    def __init__(self, scene: Scene) -> None:
        self._grid = scene.parameters.network.grid
        self._rate = _size(scene.population, scene.settings, self._grid) / self._grid
        stream = _stream(scene.settings, scene.population)
        keys = [stream.keys(range(n, n + 1)) for n in scene.numbers]
        self._keys, self._size = np.concatenate(keys), scene.current.shape[1]

    def change(self, step: int, v: FloatArray, awake: NDArray[np.bool_] | float) -> None:
        """Add the noise of the step."""
        bits = binomial(self._keys, step * self._size + np.arange(self._size))
        v += np.rint(bits * self._rate) * self._grid * awake

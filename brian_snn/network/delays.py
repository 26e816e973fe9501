"""How many steps a spike is under way to its targets: the delay of the settings, or one of each neuron's own.

A neuron's own delay is that of the settings times 1 plus ``delay_mismatch`` times a normal number, rounded to whole
steps, none of them negative or longer than `LONGEST_DELAY`. It is drawn from the seed and the name of the population,
so that a spike of a neuron reaches all of its targets at once, whatever the image.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from brian_snn.network.records import Population
from brian_snn.randomness import drawn_once
from brian_snn.setting_checks import LONGEST_DELAY
from brian_snn.settings import Settings


def delays(population: Population, settings: Settings) -> NDArray[np.int8]:
    """Return the delay of every neuron of a population in steps, (size,)."""
    return _delays(settings.seed, population.name, population.size, settings.delay_steps, settings.delay_mismatch)


def different_delays(population: Population, settings: Settings) -> list[int]:
    """Return the delays that its neurons have, in steps, each once."""
    if not (settings.delay_steps and settings.delay_mismatch):
        return [settings.delay_steps]
    return np.unique(delays(population, settings)).tolist()


# Whatever is asked of a source's spikes depends on them, image by image.
@lru_cache(64)
def _delays(seed: int, name: str, size: int, steps: int, mismatch: float) -> NDArray[np.int8]:
    """Return the delays, which nobody must change."""
    own = np.full(size, float(steps))
    if steps and mismatch:
        own *= 1 + mismatch * drawn_once(seed, f"delay of {name}", size)
    whole = np.clip(np.rint(own), 0, LONGEST_DELAY).astype(np.int8)
    whole.setflags(write=False)
    return whole

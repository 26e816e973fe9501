"""What is searched for settings that meet a target, and how long: a frozen record of knobs, checked where it is made.

`brian_snn.tune` takes its fields by name; the options of ``brian-snn tune`` are made of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import brian_snn.knobs as knobs
from brian_snn.checks import whole_number
from brian_snn.conversion_settings import Conversion
from brian_snn.errors import SettingError

Measure = Literal["auto", "error", "agreement"]
Cost = Literal["operations", "paper_operations", "steps"]
Normalisations = Literal["both", "layer", "channel"]


@knobs.described
@dataclass(frozen=True)
class Search:
    """What is searched, for what, and how long.

    Raises
    ------
    SettingError
        If a value is outside its range; the message names it.
    """

    measure: Measure = knobs.choice(
        "auto",
        Measure,
        "what the target is about: the error, for which images need labels, or the agreement with the trained network. "
        "``auto``: the error where there are labels.",
    )
    within: float = knobs.real(
        1.0,
        "points (of per cent) by which the error may exceed that of the trained network, or agreement be below full",
        "POINTS",
    )
    cost: Cost = knobs.choice(
        "operations",
        Cost,
        "what is to be least: synapses used per image, operations as the paper counts them, or steps",
    )
    percentiles: tuple[float, ...] = knobs.numbers((99.0, 99.9, 99.99, 100.0), "percentiles to choose from", "P")
    normalisations: Normalisations = knobs.choice(
        "both", Normalisations, "one lambda per layer, one per channel, or whichever is better"
    )
    v_inits: tuple[float, ...] = knobs.numbers((0.0, 0.25, 0.5), "V(0) to choose from, in V_thr", "V")
    clamps: tuple[int, ...] = knobs.numbers((0, 1, 2, 5, 10), "clamps to choose from, in steps a layer", "STEPS")
    points: int = knobs.whole(
        24, 1, "settings to try. Each is run once, and its checkpoints say what fewer steps come to."
    )
    rounds: int = knobs.whole(
        3, 1, "rounds, each with three times the images of the one before and a third of its settings"
    )
    held_out: float = knobs.real(
        0.5, "share of the images that the search does not see, on which what it chose is measured", "SHARE"
    )
    search_seed: int = knobs.whole(0, 0, "of the search, and of the choice of the images that are held out")

    def __post_init__(self) -> None:
        """Check every field."""
        knobs.check_knobs(self)
        object.__setattr__(self, "clamps", tuple(whole_number("clamps", clamp, 0) for clamp in self.clamps))
        if not 0 <= self.within < 100:
            raise SettingError(f"within is {self.within!r}; it must be a number of points from 0 to below 100.")
        if not 0 < self.held_out < 1:
            raise SettingError(f"held_out is {self.held_out!r}; it must be a share between 0 and 1.")
        for percentile in self.percentiles:
            Conversion(percentile)
        if not all(abs(v_init) < 1 for v_init in self.v_inits):
            raise SettingError(f"v_inits is {self.v_inits!r}; each must lie between -1 and 1 thresholds.")

    @property
    def ways(self) -> list[tuple[float, str]]:
        """All pairs of a percentile and a normalisation."""
        kinds = ("layer", "channel") if self.normalisations == "both" else (self.normalisations,)
        return [(percentile, kind) for kind in kinds for percentile in self.percentiles]

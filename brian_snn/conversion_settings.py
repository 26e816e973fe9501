"""How a model becomes a network: a frozen record of knobs, checked where it is made.

`brian_snn.convert` takes its fields by name; the command line is made of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import brian_snn.knobs as knobs
from brian_snn.errors import SettingError

Normalisation = Literal["layer", "channel"]
AveragePooling = Literal["spiking", "linear"]


@knobs.described
@dataclass(frozen=True)
class Conversion:
    """How a model becomes a network.

    Raises
    ------
    SettingError
        If a value is outside its range; the message names it.
    """

    percentile: float = knobs.real(
        99.9,
        "percentile of the positive activations that becomes lambda, the activation coded by the highest rate",
        "P",
    )
    normalisation: Normalisation = knobs.choice("layer", Normalisation, "one lambda per layer or channel")
    grid: float = knobs.real(
        2.0**-24, "power of two; weights are multiples of it. So are biases and currents, and sums are exact.", "G"
    )
    until: str | None = knobs.name(
        "convert only what this layer and its ReLU need; the whole model by default. It is ``outer/inner`` for a layer "
        "of a nested model. The batch norm and the ReLU that follow it belong to it. Its neurons, which spike, are the "
        "output; what comes after it may be of any kind.",
        "LAYER",
    )
    outputs: Sequence[str] = knobs.names(
        "layers to read out, each by neurons of its own that integrate; the model's outputs by default"
    )
    average_pooling: AveragePooling = knobs.choice("spiking", AveragePooling, "averages spike, or are a linear map")

    def __post_init__(self) -> None:
        """Check every field."""
        knobs.check_knobs(self)
        if self.outputs and self.until is not None:
            raise SettingError("until and outputs both say where the network ends; give one of them.")
        if not 0 < self.percentile <= 100:
            raise SettingError(f"percentile is {self.percentile!r}; it must be above 0 and at most 100.")
        if not 0 < self.grid <= 1 or math.frexp(self.grid)[0] != 0.5:
            raise SettingError(
                f"grid is {self.grid!r}; it must be a power of two, above 0 and at most 1, such as 2**-24."
            )

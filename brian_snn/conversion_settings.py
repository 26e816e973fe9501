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
WeightScales = Literal["layer", "channel"]

#: As many as the integers of a chip have.
MOST_WEIGHT_BITS = 32


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
    grid: float | Literal["auto"] = knobs.real_or(
        "auto",
        2.0**-24,
        "power of two, or auto; weights are multiples of it. So are biases and currents, and sums are exact. ``auto`` "
        "is the finest that the bound on V allows for `grid_steps`.",
        "G",
    )
    grid_steps: int = knobs.whole(1000, 1, "steps for which grid auto leaves room")
    weight_grid: float | None = knobs.real(
        None, "power of two, not below the grid: weights and biases are multiples of it, currents of the grid", "G"
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
    weight_bits: int | None = knobs.whole(
        None, 2, "bits of weights, which become signed integers times a power of two; all that float64 holds by default"
    )
    weight_scales: WeightScales = knobs.choice(
        "layer", WeightScales, "one power of two for the weights of a projection, or one for each output channel of it"
    )
    finer_biases: int = knobs.whole(
        0, 0, "bits by which biases are finer than weights of weight_bits. They are as large as they need to be."
    )

    def __post_init__(self) -> None:
        """Check every field."""
        knobs.check_knobs(self)
        if self.outputs and self.until is not None:
            raise SettingError("until and outputs both say where the network ends; give one of them.")
        if not 0 < self.percentile <= 100:
            raise SettingError(f"percentile is {self.percentile!r}; it must be above 0 and at most 100.")
        self._check_weight_bits()
        for name, value in (("grid", self.grid), ("weight_grid", self.weight_grid)):
            if isinstance(value, float) and (not 0 < value <= 1 or math.frexp(value)[0] != 0.5):
                raise SettingError(
                    f"{name} is {value!r}; it must be a power of two, above 0 and at most 1, such as 2**-24."
                )
        if isinstance(self.grid, float) and self.weight_grid is not None and self.weight_grid < self.grid:
            raise SettingError(
                f"weight_grid is {self.weight_grid!r}; it must be a multiple of the grid, {self.grid!r}."
            )

    def _check_weight_bits(self) -> None:
        """Raise where bits are too many, or meet another way to round weights."""
        for name in ("weight_bits", "finer_biases"):
            if (getattr(self, name) or 0) > MOST_WEIGHT_BITS:
                raise SettingError(f"{name} is {getattr(self, name)!r}; it must be at most {MOST_WEIGHT_BITS}.")
        if self.weight_bits is not None and self.weight_grid is not None:
            raise SettingError("weight_bits and weight_grid both say how weights are rounded; give one of them.")
        if self.weight_bits is None and self.finer_biases:
            raise SettingError(f"finer_biases is {self.finer_biases!r}, which says nothing without weight_bits.")

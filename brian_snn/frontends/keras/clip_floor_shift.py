"""An activation of L levels, with a threshold that is trained: QCFS of Bu et al., ICLR 2022."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class ClipFloorShift(keras.layers.Layer):
    """Clip to the threshold and round to one of L + 1 values.

        y = lambda / L floor(L clip(x / lambda, 0, 1) + 1/2)

    That is the rate of a neuron with V(0) = V_thr / 2 after L steps of constant input (Bu et al. 2022, "Optimal ANN-SNN
    conversion for high-accuracy and ultra-low-latency spiking neural networks", with a shift of 1/2). In training the
    gradient is that of the clip, for x and for lambda.

    Parameters
    ----------
    levels : int
        L.
    threshold : float
        lambda before training.
    """

    def __init__(self, levels: int = 8, threshold: float = 1.0, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.levels, self.initial_threshold = int(levels), float(threshold)
        if self.levels < 1 or not self.initial_threshold > 0:
            raise ValueError(f"levels is {levels!r} and threshold {threshold!r}; positive numbers were expected.")

    def build(self, input_shape: Any) -> None:
        """Make lambda."""
        start = keras.initializers.Constant(self.initial_threshold)
        self.threshold = self.add_weight(shape=(), initializer=start, name="threshold")
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        """Return the values."""
        part = ops.clip(x / self.threshold, 0.0, 1.0)
        level = ops.floor(part * self.levels + 0.5) / self.levels
        if training:
            level = part + ops.stop_gradient(level - part)
        return level * self.threshold

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "levels": self.levels, "threshold": self.initial_threshold}

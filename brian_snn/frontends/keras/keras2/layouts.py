"""Tensors whose channels a file has first and Keras, on a CPU, must have last.

A layer of the file with ``channels_first`` is built with its channels last, and the tensors between such layers are
kept that way. Where a layer depends on the order of its input's axes, a Permute brings back the order of the file: so
the images, the weights of dense layers, and all axes that the file names keep their meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: From a wish to a name that no other layer of the model has.
Namer = Callable[[str], str]

_ELEMENTWISE = frozenset(
    """ReLU LeakyReLU ELU ThresholdedReLU Activation Add Subtract Multiply Average Maximum Minimum Dropout GaussianNoise
    GaussianDropout AlphaDropout ActivityRegularization Identity""".split()
)
_BY_AXIS = frozenset(("BatchNormalization", "Concatenate", "Softmax"))
_SOFTMAX = ("softmax", "log_softmax", "softmax_v2")


@dataclass(frozen=True, eq=False)
class Held:
    """A tensor of the model that is built.

    Parameters
    ----------
    tensor : keras.KerasTensor
        Symbolic.
    turned : bool
        Whether its channels are last where the file has them first.
    """

    tensor: Any
    turned: bool = False

    @property
    def rank(self) -> int:
        """How many axes it has, the batch among them."""
        return len(self.tensor.shape)


def turn(keras: Any, held: Held, turned: bool, name: Namer) -> Held:
    """Return a tensor with its channels last, or as the file has it."""
    if held.turned == turned:
        return held
    axes = list(range(1, held.rank))
    dims, order = ([*axes[1:], 1], "last") if turned else ([axes[-1], *axes[:-1]], "first")
    source = held.tensor._keras_history.operation.name
    return Held(keras.layers.Permute(dims, name=name(f"{source}_channels_{order}"))(held.tensor), turned)


def is_turned(class_name: str, config: dict[str, Any], inputs: list[Held]) -> bool:
    """Whether a layer takes its inputs with their channels last where the file has them first."""
    if config.get("data_format") == "channels_first":
        return inputs[0].rank > 2
    if class_name == "BatchNormalization" and inputs[0].rank > 2:
        return _first_axis(config.get("axis")) == 1 or inputs[0].turned
    over_last = class_name == "Activation" and config.get("activation") in _SOFTMAX
    passes = class_name in _BY_AXIS or (class_name in _ELEMENTWISE and not over_last)
    return passes and any(held.turned for held in inputs)


def turned_config(class_name: str, config: dict[str, Any], rank: int) -> dict[str, Any]:
    """Return the configuration of a layer whose inputs, of so many axes, have their channels last instead of first."""
    config = dict(config)
    if "data_format" in config:
        config["data_format"] = "channels_last"
    if class_name in _BY_AXIS:
        axis = _first_axis(config.get("axis", -1))
        axis = axis + rank if axis < 0 else axis
        config["axis"] = {0: 0, 1: rank - 1}.get(axis, axis - 1)
    return config


def _first_axis(axis: Any) -> Any:
    """Return an axis, which batch norms have in a list of one."""
    return axis[0] if isinstance(axis, list) and len(axis) == 1 else axis

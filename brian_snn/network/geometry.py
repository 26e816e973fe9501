"""Which input of a map reaches which output: records of plain numbers that check themselves, as those of the graph do.

Programs are compiled with these numbers in them, so none is let in that is not an int of the range in which they count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import prod
from typing import Literal, get_args

from brian_snn.errors import ModelError
from brian_snn.network.validity import LARGEST, MOST_ELEMENTS, one_of, pair_of, shape_of, two, whole

GeometryKind = Literal["dense", "conv2d", "depthwise", "average_pool", "identity", "max_pool"]
Pair = tuple[int, int]

#: Inputs of a map with the padding between and around them, which are laid out in memory: 1 GiB an image.
MOST_PADDED = 2**27

#: Windows along an axis times elements of the kernel along it: that many pairs are listed.
MOST_PAIRS = 2**25


@dataclass(frozen=True)
class Geometry:
    """Which input of a map reaches which output: all of a projection but its weights.

    ``dense`` maps ``(n_in,)`` to ``(n_out,)``; ``identity`` maps a shape to itself, element by element; the others
    slide a window over ``(height, width, channels)``.

    Parameters
    ----------
    kind : str
        ``dense``, ``conv2d``, ``depthwise``, ``average_pool``, ``identity`` or ``max_pool``.
    input_shape, output_shape : tuple of int
        What the map sees and yields, without the batch axis.
    kernel_size, strides, dilation : (int, int)
        Rows, columns.
    padding : ((int, int), (int, int))
        Zeros added above and below, left and right, already resolved from 'same' or 'valid'. A pooling window
        leaves the padding out.
    groups : int
        Channel groups of a ``conv2d``.

    Every number is an int from 0 or 1 to 2**30, and what does not apply to a kind keeps its default.

    Raises
    ------
    ModelError
        If the kind is none, or a number is not what it should be. Whether the windows fit into the input is checked
        where the map becomes that of a `Projection`.
    """

    kind: GeometryKind
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    kernel_size: Pair = (1, 1)
    strides: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    groups: int = 1

    def __post_init__(self) -> None:
        """Check kind and numbers; sequences become tuples of int."""
        one_of(self.kind, get_args(GeometryKind), "a map is of kind")
        where = f"a {self.kind} map"
        self._set(input_shape=shape_of(self.input_shape, where, 0), output_shape=shape_of(self.output_shape, where, 0))
        for name in ("kernel_size", "strides", "dilation"):
            self._set(**{name: pair_of(getattr(self, name), 1, f"{where}: {name}")})
        rows, columns = two(self.padding, f"{where}: padding")
        padding = (pair_of(rows, 0, f"{where}: padding"), pair_of(columns, 0, f"{where}: padding"))
        self._set(padding=padding, groups=whole(self.groups, 1, f"{where}: groups"))
        for name in self._without_meaning:
            if getattr(self, name) != getattr(Geometry, name):
                raise ModelError(f"{where}: {name} is {getattr(self, name)!r}, which it has not")
        if self.kind == "identity" and self.input_shape != self.output_shape:
            raise ModelError(f"{where}: it maps {self.input_shape} to {self.output_shape}")
        if self.is_window and not len(self.input_shape) == len(self.output_shape) == 3:
            raise ModelError(f"{where}: a window slides over rows, columns and channels, not {self.input_shape}")

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return prod(self.input_shape)

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return prod(self.output_shape)

    @property
    def is_window(self) -> bool:
        """Whether the map slides a window over rows and columns."""
        return self.kind not in ("dense", "identity")

    @property
    def _without_meaning(self) -> tuple[str, ...]:
        """The fields that say nothing of a map of this kind."""
        windows = () if self.is_window else ("kernel_size", "strides", "dilation", "padding")
        return windows if self.kind == "conv2d" else (*windows, "groups")

    @property
    def extent(self) -> Pair:
        """Rows and columns from the start of the first window to the end of the last, with the padding before."""
        rows, columns = (
            (n - 1) * stride + dilation * (kernel - 1) + 1
            for n, stride, dilation, kernel in zip(
                self.output_shape[:2], self.strides, self.dilation, self.kernel_size, strict=True
            )
        )
        return rows, columns

    @property
    def weights_shape(self) -> tuple[int, ...] | None:
        """Shape of the weights that go with this geometry; None for max pooling, which has none."""
        rows, columns = self.kernel_size
        if self.kind == "dense":
            return (self.n_in, self.n_out)
        if self.kind == "conv2d":
            return (rows, columns, self.input_shape[2] // self.groups, self.output_shape[2])
        if self.kind == "depthwise":
            return (rows, columns, self.input_shape[2], self.output_shape[2] // self.input_shape[2])
        # An average has one weight per target: at the border its window holds fewer inputs.
        return None if self.kind == "max_pool" else self.output_shape

    def _set(self, **values: object) -> None:
        """Set fields while the record is being made."""
        for name, value in values.items():
            object.__setattr__(self, name, value)


def check_geometry(geometry: Geometry, where: str) -> None:
    """Raise a `ModelError` unless windows and channels of a map fit its input and output, and are not too many."""
    shape_of(geometry.input_shape, where)
    shape_of(geometry.output_shape, where)
    if geometry.is_window:
        _check_channels(geometry, where)
        _check_windows(geometry, where)
    if geometry.weights_shape is not None and math.prod(geometry.weights_shape) > MOST_ELEMENTS:
        raise ModelError(f"{where}: weights of shape {geometry.weights_shape} are more than 2**31")


def _check_channels(geometry: Geometry, where: str) -> None:
    """Raise unless the channels of the input go into those of the output."""
    n_in, n_out = geometry.input_shape[2], geometry.output_shape[2]
    fits = n_in == n_out if geometry.kind in ("average_pool", "max_pool") else n_out % n_in == 0
    if geometry.kind == "conv2d":
        fits = n_in % geometry.groups == 0 and n_out % geometry.groups == 0
    if not fits:
        raise ModelError(f"{where}: {n_in} channels do not go into {n_out} in {geometry.groups} groups")


def _check_windows(geometry: Geometry, where: str) -> None:
    """Raise unless the windows fit into the padded input, and can be laid out and listed."""
    for k in (0, 1):
        n_windows, n_elements = geometry.output_shape[k], geometry.kernel_size[k]
        padded = geometry.input_shape[k] + sum(geometry.padding[k])
        if geometry.extent[k] > padded:
            raise ModelError(f"{where}: {n_windows} windows do not fit into {geometry.input_shape}")
        if padded > LARGEST or n_windows * n_elements > MOST_PAIRS:
            raise ModelError(
                f"{where}: {n_windows} windows of {n_elements} elements along an axis of {padded} are more than "
                "are simulated: an axis has up to 2**30, windows times elements are up to 2**25"
            )
    if math.prod(geometry.extent) * geometry.input_shape[2] > MOST_PADDED:
        raise ModelError(
            f"{where}: its windows reach over {geometry.extent} rows and columns of {geometry.input_shape[2]} "
            "channels; up to 2**27 elements were expected"
        )

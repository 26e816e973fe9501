"""Windows that slide over one axis or two: where they stand, and what is around the input."""

from __future__ import annotations

from dataclasses import dataclass

from brian_snn.frontends.onnx.call import Call
from brian_snn.frontends.onnx.tensors import Shape
from brian_snn.network.maps import same_padding

Pads = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Window:
    """A sliding window; every field has one entry per axis along which it slides.

    Parameters
    ----------
    lengths : tuple of int
        Of the input.
    size, strides, dilation : tuple of int
        Of the window.
    pads : tuple of (int, int)
        Before and behind the input.
    n_windows : tuple of int
        How many windows there are.
    ceil_mode : bool
        Whether the last window may stand out, which is in `pads`.
    """

    lengths: Shape
    size: Shape
    strides: Shape
    dilation: Shape
    pads: Pads
    n_windows: Shape
    ceil_mode: bool = False

    @property
    def has_padding(self) -> bool:
        """Whether anything is padded."""
        return any(before or behind for before, behind in self.pads)

    @property
    def padding(self) -> Pads:
        """Places before and behind rows and columns, as neutral layers have them."""
        return (*self.pads, (0, 0))[:2]

    @staticmethod
    def in_two_axes(values: Shape) -> tuple[int, int]:
        """Return values for rows and columns; along a single axis there is one column."""
        rows, columns = (*values, 1)[:2]
        return rows, columns


def window_of(call: Call, lengths: Shape, size: Shape) -> Window:
    """Return the window of an operator: strides, dilation and padding are its attributes.

    Parameters
    ----------
    call : Call
        The operator.
    lengths : tuple of int
        Of the input, along the axes on which the window slides.
    size : tuple of int
        Of the window.
    """
    n_axes, ones = len(lengths), (1,) * len(lengths)
    if call.integers("kernel_shape", n_axes, size, least=1) != size:
        raise call.error(f"its kernel_shape is not that of its weights, {size}.")
    strides = call.integers("strides", n_axes, ones, least=1)
    dilation = call.integers("dilations", n_axes, ones, least=1)
    extent = tuple((length - 1) * step + 1 for length, step in zip(size, dilation, strict=True))
    pads = _pads(call, lengths, extent, strides)
    room = [length + sum(pad) - reach for length, pad, reach in zip(lengths, pads, extent, strict=True)]
    if min(room) < 0:
        raise call.error(f"its window of {size} does not fit into an input of {lengths}.")
    counts = tuple(rest // stride + 1 for rest, stride in zip(room, strides, strict=True))
    ceil_mode = bool(call.integer("ceil_mode", 0))
    if ceil_mode:
        pads, counts = _stood_out(lengths, extent, strides, pads)
    return Window(lengths, size, strides, dilation, pads, counts, ceil_mode)


def _stood_out(lengths: Shape, extent: Shape, strides: Shape, pads: Pads) -> tuple[Pads, Shape]:
    """Return padding and number of windows where the last window may stand out behind the input.

    It counts if it begins on the input or in the padding before it.
    """
    wider, counts = [], []
    for length, reach, stride, (before, behind) in zip(lengths, extent, strides, pads, strict=True):
        count = -(-(length + before + behind - reach) // stride) + 1
        count -= (count - 1) * stride >= length + before
        counts.append(count)
        wider.append((before, max(behind, (count - 1) * stride + reach - length - before)))
    return tuple(wider), tuple(counts)


def _pads(call: Call, lengths: Shape, extent: Shape, strides: Shape) -> Pads:
    """Return the zeros before and behind each axis."""
    rule, n_axes = call.text("auto_pad", "NOTSET"), len(lengths)
    if rule in ("SAME_UPPER", "SAME_LOWER"):
        # With its whole extent a dilated window is padded as a plain one.
        pads = [
            same_padding(length, reach, stride, 1)
            for length, reach, stride in zip(lengths, extent, strides, strict=True)
        ]
        return tuple(pads if rule == "SAME_UPPER" else [pad[::-1] for pad in pads])
    if rule == "VALID":
        return ((0, 0),) * n_axes
    if rule != "NOTSET":
        raise call.error(f"its auto_pad is {rule!r}, which there is not.")
    ends = call.integers("pads", 2 * n_axes, (0,) * (2 * n_axes))
    return tuple(zip(ends[:n_axes], ends[n_axes:], strict=True))

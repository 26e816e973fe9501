"""Pooling, over windows and over everything."""

from __future__ import annotations

from collections.abc import Callable

from brian_snn.frontends.onnx.call import Call
from brian_snn.frontends.onnx.tensors import BATCH, Shape, Tensor, channels_last_order
from brian_snn.frontends.onnx.windows import Window, window_of

Reader = Callable[[Call], list[Tensor]]


def _read_max_pool(call: Call) -> list[Tensor]:
    source = _image(call)
    window = window_of(call, source.shape[2:], _size(call, source))
    if len([name for name in call.outputs if name]) > 1:
        raise call.error("it says where each maximum is, for which spikes have no form.")
    if max(window.dilation) > 1:
        raise call.error(f"its windows have a dilation of {window.dilation}, which no pooling has here.")
    _check_pads(call, window)
    return [_pooled(call, "max_pool", call.channels_last(source), window)]


def _read_average_pool(call: Call) -> list[Tensor]:
    source = _image(call)
    window = window_of(call, source.shape[2:], _size(call, source))
    if max(window.dilation) > 1:
        raise call.error(f"its windows have a dilation of {window.dilation}, which no pooling has here.")
    _check_pads(call, window)
    counts_padding = bool(call.integer("count_include_pad", 0))
    source = call.channels_last(source)
    if window.has_padding and counts_padding and not window.ceil_mode:
        lengths = tuple(length + sum(pads) for length, pads in zip(window.lengths, window.pads, strict=True))
        shape = (*source.shape[:2], *lengths)
        source = call.apply("pad", {"margins": (*window.pads, (0, 0))}, source, shape, source.order)
        return [_pooled(call, "average_pool", source, window, pads=False)]
    if window.has_padding and counts_padding:
        raise call.error("it counts its padding, and its last window stands out of that; leave out ceil_mode.")
    return [_pooled(call, "average_pool", source, window)]


def _image(call: Call) -> Tensor:
    source = call.tensor()
    if source.rank not in (3, 4):
        raise call.error(f"its input has the shape {source.shape}; it is converted along one axis or two.")
    return source


def _size(call: Call, source: Tensor) -> tuple[int, ...]:
    return call.integers("kernel_shape", source.rank - 2, None, least=1)


def _check_pads(call: Call, window: Window) -> None:
    """Raise if a window can lie in the padding as a whole."""
    if any(max(pads) >= size for pads, size in zip(window.pads, window.size, strict=True)):
        raise call.error(f"its padding of {window.pads} is as wide as its windows of {window.size}.")


def _pooled(call: Call, operation: str, source: Tensor, window: Window, pads: bool = True) -> Tensor:
    """Return a pooling; places in its padding count nothing."""
    parameters = {
        "pool_size": window.in_two_axes(window.size),
        "strides": window.in_two_axes(window.strides),
        "padding": window.padding if pads else "valid",
    }
    shape = (*source.shape[:2], *window.n_windows)
    return call.apply(operation, parameters, source, shape, source.order)


def _read_global(operation: str) -> Reader:
    def read(call: Call) -> list[Tensor]:
        """Return a pooling over all that is behind the channels."""
        source = _image(call)
        return [_over_everything(call, operation, source, 1, keeps_axes=True)]

    return read


def _read_reduction(operation: str) -> Reader:
    def read(call: Call) -> list[Tensor]:
        """Return a mean or maximum over all axes but one as a global pooling."""
        source = _image(call)
        given = call.indices("axes", 1, default=())
        if not given and call.integer("noop_with_empty_axes", 0):
            return [call.same("identity", {}, source)]
        reduced = call.axes(given, source.rank)
        kept = set(range(source.rank)) - set(reduced)
        channel = max(kept, default=0)
        if len(kept) != 2 or not source.starts_with_batch or 0 not in kept:
            raise call.error(
                f"it reduces axes {given} of {source.shape}; all but images and "
                "channels can be. A norm over the channels of the image at hand has no fixed weights."
            )
        return [_over_everything(call, operation, source, channel, bool(call.integer("keepdims", 1)))]

    return read


def _over_everything(call: Call, operation: str, source: Tensor, channel: int, keeps_axes: bool) -> Tensor:
    """Return a pooling over all axes but that of the images and that of the channels."""
    source = call.in_order(source, channels_last_order(source.rank, channel))
    shape: Shape = (source.shape[0], source.shape[channel])
    order: Shape = (BATCH, 0)
    if keeps_axes:
        shape = tuple(length if axis in (0, channel) else 1 for axis, length in enumerate(source.shape))
        order = source.order
    return call.apply(operation, {"pool_size": None, "strides": None, "padding": "valid"}, source, shape, order)


POOLING: dict[str, Reader] = {
    "MaxPool": _read_max_pool,
    "AveragePool": _read_average_pool,
    "GlobalMaxPool": _read_global("max_pool"),
    "GlobalAveragePool": _read_global("average_pool"),
    "ReduceMax": _read_reduction("max_pool"),
    "ReduceMean": _read_reduction("average_pool"),
}

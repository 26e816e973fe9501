"""What the nodes of NIR are as neutral nodes: a function each, in the table `READERS`.

NIR has channels first and no batch axis, neutral nodes have channels last. A tensor of three axes is a node of rows,
columns and channels; one of two, channels and places along an axis, a node of places and channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.errors import ModelError
from brian_snn.exchange.nir_file import NirNode
from brian_snn.exchange.nir_time import Time
from brian_snn.frontends.layer_graph import LayerNode
from brian_snn.network.maps import output_length, same_padding
from brian_snn.network.records import LayerPath, Pair

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Tensor:
    """What a node yields: the neutral node, its shape in NIR, and the steps by which it is late."""

    position: int
    shape: Shape
    late: int = 0
    from_image: bool = True


@dataclass(eq=False)
class Build:
    """The neutral nodes so far."""

    time: Time
    nodes: list[LayerNode] = field(default_factory=list)
    #: Steps from one population to the next, all that there are.
    delays: set[int] = field(default_factory=set)

    def add(self, node: NirNode, operation: str, inputs: tuple[int, ...], shape: Shape, **parameters: Any) -> int:
        """Add a neutral node, of a shape with channels last, and return its position."""
        path = LayerPath((node.name, str(len(self.nodes))))
        self.nodes.append(LayerNode(node.name, node.kind, path, operation, parameters, inputs, shape))
        return len(self.nodes) - 1


def channels_last(shape: Shape) -> Shape:
    """Return the shape of a neutral node."""
    return (*shape[1:], shape[0])


def to_channels_last(values: FloatArray, shape: Shape, node: NirNode, what: str) -> FloatArray:
    """Return numbers for each element of a tensor in the order of the neutral node.

    Raises
    ------
    ModelError
        If there are as many as neither elements nor channels.
    """
    if values.size == 1:
        full: FloatArray = np.broadcast_to(values.reshape(()), shape)
    elif values.size == prod(shape):
        full = values.reshape(shape)
    elif values.shape and values.size == shape[0]:
        full = np.broadcast_to(values.reshape(-1, *[1] * (len(shape) - 1)), shape)
    else:
        raise ModelError(f"{node.label}: its {what} has shape {values.shape}; what reaches it has shape {shape}.")
    return np.moveaxis(full, 0, -1)


def uniform(node: NirNode, name: str) -> float:
    """Return the one number that an array holds again and again.

    Raises
    ------
    ModelError
        If it holds several.
    """
    values = np.asarray(node.values[name], np.float64)
    if values.size == 0 or np.any(values != values.flat[0]):
        raise ModelError(f"{node.label}: its {name} differs from neuron to neuron; one for all of them can be read.")
    return float(values.flat[0])


# --- linear maps ----------------------------------------------------------------------------------------------------


def _weights(node: NirNode, axes: int) -> FloatArray:
    weights = np.asarray(node.values["weight"], np.float64)
    if weights.ndim != axes or 0 in weights.shape:
        raise ModelError(f"{node.label}: its weight has shape {weights.shape}; {axes} axes were expected.")
    return weights


def _bias(node: NirNode, n_out: int) -> FloatArray | None:
    if "bias" not in node.values:
        return None
    bias = np.asarray(node.values["bias"], np.float64)
    if bias.size not in (1, n_out) or bias.ndim > 1:
        raise ModelError(f"{node.label}: its bias has shape {bias.shape}; ({n_out},) was expected.")
    return np.broadcast_to(bias.ravel(), (n_out,))


def _read_affine(build: Build, node: NirNode, x: Tensor) -> Tensor:
    """Read a dense layer; axes of length 1 before the last say nothing."""
    weights = _weights(node, 2)
    n_in = weights.shape[1]
    if x.shape[-1] != n_in or prod(x.shape) != n_in:
        raise ModelError(f"{node.label}: it takes {n_in} numbers, and what reaches it has shape {x.shape}.")
    flat = x.position if len(x.shape) == 1 else build.add(node, "reshape", (x.position,), (n_in,))
    kernel, bias = weights.T, _bias(node, len(weights))
    position = build.add(node, "dense", (flat,), (len(weights),), kernel=kernel, bias=bias)
    return Tensor(position, (len(weights),), x.late, x.from_image)


def _numbers(node: NirNode, name: str, n: int, least: int) -> tuple[int, ...]:
    """Return a whole number for each axis, of which one may stand for all."""
    value = node.values[name]
    array = np.asarray(value)
    if isinstance(value, str) or array.dtype.kind not in "iuf" or array.size not in (1, n) or array.ndim > 1:
        raise ModelError(f"{node.label}: its {name} is {_short(value)}; {n} whole numbers were expected.")
    if np.any(array != np.floor(array)) or np.any(array < least) or np.any(array > 2**31):
        raise ModelError(f"{node.label}: its {name} is {_short(value)}; whole numbers from {least} on were expected.")
    whole = [int(number) for number in array.ravel()]
    return tuple(whole * (n if len(whole) == 1 else 1))


def _padding(node: NirNode, lengths: Shape, kernel: Shape, strides: Shape, dilation: Shape) -> tuple[Pair, ...]:
    """Return the zeros before and behind each axis; 'same' and 'valid' as PyTorch has them."""
    value = node.values["padding"]
    if isinstance(value, str) and value == "valid":
        return ((0, 0),) * len(lengths)
    if isinstance(value, str) and value == "same":
        return tuple(same_padding(*axis) for axis in zip(lengths, kernel, strides, dilation, strict=True))
    return tuple((p, p) for p in _numbers(node, "padding", len(lengths), 0))


def _read_convolution(build: Build, node: NirNode, x: Tensor) -> Tensor:
    """Read a convolution along one axis or two."""
    n = 1 if node.kind == "Conv1d" else 2
    weights = _weights(node, n + 2)
    if len(x.shape) != n + 1:
        raise ModelError(f"{node.label}: what reaches it has shape {x.shape}; channels and {n} axes were expected.")
    strides, dilation = _numbers(node, "stride", n, 1), _numbers(node, "dilation", n, 1)
    (groups,) = _numbers(node, "groups", 1, 1)
    n_out, n_in, kernel = weights.shape[0], weights.shape[1] * groups, weights.shape[2:]
    if n_in != x.shape[0] or n_out % groups:
        raise ModelError(f"{node.label}: it takes {n_in} channels in {groups} groups, and {x.shape[0]} reach it.")
    padding = _padding(node, x.shape[1:], kernel, strides, dilation)
    along = zip(x.shape[1:], kernel, strides, dilation, padding, strict=True)
    lengths = tuple(output_length(*axis) for axis in along)
    if min(lengths) < 1:
        raise ModelError(f"{node.label}: its kernel of {kernel} does not fit into {x.shape[1:]}.")
    if max(strides) > 1 and max(dilation) > 1:
        # The layers that verify the synapses have not both: holes become zeros.
        weights, dilation = _with_holes(weights, dilation), (1,) * n
    # (out, in, *kernel) becomes (*kernel, in, out); one along a single axis has one column.
    moved = np.moveaxis(weights, (1, 0), (-2, -1))
    one = {1: ((1,), ((0, 0),)), 2: ((), ())}[n]
    position = build.add(
        node,
        "conv2d",
        (x.position,),
        (*lengths, n_out),
        kernel=moved[:, None] if n == 1 else moved,
        bias=_bias(node, n_out),
        strides=(*strides, *one[0]),
        padding=(*padding, *one[1]),
        dilation=(*dilation, *one[0]),
        groups=groups,
    )
    return Tensor(position, (n_out, *lengths), x.late, x.from_image)


def _with_holes(weights: FloatArray, dilation: Shape) -> FloatArray:
    """Return a kernel, (out, in, *kernel), with zeros between its elements."""
    lengths = tuple(d * (k - 1) + 1 for k, d in zip(weights.shape[2:], dilation, strict=True))
    wide = np.zeros((*weights.shape[:2], *lengths))
    wide[(slice(None), slice(None), *(slice(None, None, d) for d in dilation))] = weights
    return wide


def _read_pool(build: Build, node: NirNode, x: Tensor) -> Tensor:
    """Read an average or a sum over windows, a linear map; its padding counts as zeros, as in PyTorch."""
    if len(x.shape) != 3:
        raise ModelError(f"{node.label}: what reaches it has shape {x.shape}; channels, rows, columns were expected.")
    kernel, strides = _numbers(node, "kernel_size", 2, 1), _numbers(node, "stride", 2, 1)
    padding = [(p, p) for p in _numbers(node, "padding", 2, 0)]
    lengths = tuple(
        output_length(length, k, s, 1, pad)
        for length, k, s, pad in zip(x.shape[1:], kernel, strides, padding, strict=True)
    )
    if min(lengths) < 1:
        raise ModelError(f"{node.label}: its window of {kernel} does not fit into {x.shape[1:]}.")
    padded = (*(n + 2 * before for n, (before, _) in zip(x.shape[1:], padding, strict=True)), x.shape[0])
    position = x.position
    if any(before for before, _ in padding):
        position = build.add(node, "pad", (position,), padded, margins=(*padding, (0, 0)))
    shape = (*lengths, x.shape[0])
    window = {"pool_size": kernel, "strides": strides, "padding": "valid"}
    position = build.add(node, "average_pool", (position,), shape, **window)
    if node.kind == "SumPool2d":
        gain = np.array(float(prod(kernel)))
        position = build.add(node, "affine", (position,), shape, gain=gain, shift=np.zeros(()))
    return Tensor(position, (x.shape[0], *lengths), x.late, x.from_image)


def _read_scale(build: Build, node: NirNode, x: Tensor) -> Tensor:
    gain = to_channels_last(np.asarray(node.values["scale"], np.float64), x.shape, node, "scale")
    inputs, shape = (x.position,), channels_last(x.shape)
    position = build.add(node, "affine", inputs, shape, gain=gain, shift=np.zeros(()))
    return Tensor(position, x.shape, x.late, x.from_image)


# --- moving, waiting ------------------------------------------------------------------------------------------------


def _read_flatten(build: Build, node: NirNode, x: Tensor) -> Tensor:
    """Read a flattening, whose axes are counted without that of the images."""
    first, last = (int(np.asarray(node.values[name]).reshape(-1)[0]) for name in ("start_dim", "end_dim"))
    given = np.asarray(node.values.get("input_type", ()))
    if given.size == len(x.shape) + 1 and given.ravel()[0] == 1:
        # Its own shape has one, and so its axes are counted with it.
        first, last = first - (first > 0), last - (last > 0)
    n = len(x.shape)
    first, last = first + n * (first < 0), last + n * (last < 0)
    if not 0 <= first <= last < n:
        raise ModelError(f"{node.label}: it flattens the axes {first} to {last} of a tensor of shape {x.shape}.")
    shape = (*x.shape[:first], prod(x.shape[first : last + 1]), *x.shape[last + 1 :])
    return _reshaped(build, node, x, shape)


def _reshaped(build: Build, node: NirNode, x: Tensor, shape: Shape) -> Tensor:
    """Return a tensor with the elements in NIR's order in another shape."""
    position, n = x.position, len(x.shape)
    if n > 1:
        position = build.add(node, "permute", (position,), x.shape, axes=(n - 1, *range(n - 1)))
    position = build.add(node, "reshape", (position,), shape)
    if len(shape) > 1:
        axes = (*range(1, len(shape)), 0)
        position = build.add(node, "permute", (position,), channels_last(shape), axes=axes)
    return Tensor(position, shape, x.late, x.from_image)


def _read_delay(build: Build, node: NirNode, x: Tensor) -> Tensor:
    steps = build.time.steps(uniform(node, "delay"), node.label)
    return Tensor(x.position, x.shape, x.late + steps, x.from_image)


# --- neurons --------------------------------------------------------------------------------------------------------


def _read_neurons(build: Build, node: NirNode, x: Tensor) -> Tensor:
    """Read neurons: what reaches them is scaled by their resistance, a step, and over their threshold."""
    for name in ("v_leak", "v_reset"):
        if name in node.values and np.any(np.asarray(node.values[name]) != 0):
            raise ModelError(f"{node.label}: its {name} is not 0, to which alone potentials here return.")
    spikes = "v_threshold" in node.values
    threshold: NDArray[Any] = np.asarray(node.values.get("v_threshold", 1.0), np.float64)
    if np.any(threshold <= 0):
        raise ModelError(f"{node.label}: its v_threshold is not above 0.")
    shape = _own_shape(node, x)
    if shape != x.shape:
        x = _reshaped(build, node, x, shape)
    resistance = np.asarray(node.values["r"], np.float64)
    tau = uniform(node, "tau") if "tau" in node.values else None
    single = np.asarray(node.values.get("tau", 0.0)).dtype.itemsize <= 4
    gain, leak = build.time.gain_and_leak(node.label, resistance, tau, single)
    same = bool(np.all(threshold == threshold.flat[0]))
    factor = to_channels_last(np.asarray(gain), shape, node, "r")
    if not same:
        # One population has one threshold: what reaches a neuron is divided by its own.
        factor = factor / to_channels_last(threshold, shape, node, "v_threshold")
    inputs, last = (x.position,), channels_last(shape)
    if np.any(factor != 1):
        inputs = (build.add(node, "affine", inputs, last, gain=np.array(factor), shift=np.zeros(())),)
    if x.late and x.from_image:
        raise ModelError(f"{node.label}: a Delay stands before it and no neurons do; only spikes may be late.")
    if not x.from_image:
        build.delays.add(x.late)
    kind = "spiking" if spikes else "readout"
    own = float(threshold.flat[0]) if same else 1.0
    position = build.add(node, "neurons", inputs, last, kind=kind, leak=leak, threshold=own)
    return Tensor(position, shape, from_image=False)


def _own_shape(node: NirNode, x: Tensor) -> Shape:
    """Return the shape of neurons: their own, where it is that of what reaches them but for axes of length 1."""
    own = np.shape(node.values["r"])
    return (
        own
        if own and prod(own) == prod(x.shape) and [n for n in own if n > 1] == [n for n in x.shape if n > 1]
        else x.shape
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


READERS: dict[str, Callable[[Build, NirNode, Tensor], Tensor]] = {
    "Affine": _read_affine,
    "Linear": _read_affine,
    "Conv1d": _read_convolution,
    "Conv2d": _read_convolution,
    "AvgPool2d": _read_pool,
    "SumPool2d": _read_pool,
    "Scale": _read_scale,
    "Flatten": _read_flatten,
    "Delay": _read_delay,
    **dict.fromkeys(("IF", "LIF", "I", "LI"), _read_neurons),
}

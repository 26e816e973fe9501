"""What is done element by element: sums, factors, norms and activations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.errors import value_jumps
from brian_snn.frontends.onnx.call import Call
from brian_snn.frontends.onnx.tensors import Tensor, constant_in_order

Reader = Callable[[Call], list[Tensor]]

_ZERO, _ONE = np.zeros(()), np.ones(())


def _affine(call: Call, source: Tensor, gain: FloatArray, shift: FloatArray) -> Tensor:
    """Return gain x + shift, of constants that broadcast to the tensor as ONNX has it."""
    moved = [constant_in_order(values, source) for values in (gain, shift)]
    if moved[0] is None or moved[1] is None:
        shape = next(v.shape for v, m in zip((gain, shift), moved, strict=True) if m is None)
        raise call.error(f"its constant has the shape {shape}, which does not fit a tensor of {source.shape}.")
    return call.same("affine", {"gain": moved[0], "shift": moved[1]}, source)


#: Gain and shift of arithmetic with a constant, by the constant and whether the tensor comes first.
_WITH_CONSTANT: dict[str, Callable[[FloatArray, bool], tuple[FloatArray, FloatArray] | None]] = {
    "Add": lambda constant, first: (_ONE, constant),
    "Sub": lambda constant, first: (_ONE, -constant) if first else (-_ONE, constant),
    "Mul": lambda constant, first: (constant, _ZERO),
    "Div": lambda constant, first: (1.0 / constant, _ZERO) if first and np.all(constant) else None,
}


def _read_arithmetic(coefficients: tuple[float, float] | None) -> Reader:
    def read(call: Call) -> list[Tensor]:
        """Return arithmetic with a constant, or the sum or difference of two tensors."""
        tensors = [isinstance(found, Tensor) for found in call.inputs]
        if tensors == [True, True]:
            if coefficients is None:
                raise call.error(
                    "it multiplies or divides two tensors that depend on the image, as gates and SiLU do, for which "
                    "spikes have no form."
                )
            return [_sum(call, coefficients)]
        first = tensors[0]
        rescaling = _WITH_CONSTANT[call.op_type](call.weights(1 if first else 0, "constant"), first)
        if rescaling is None:
            raise call.error("it divides by what is zero or depends on the image.")
        return [_affine(call, call.tensor(0 if first else 1), *rescaling)]

    return read


def _read_sum(mean: bool) -> Reader:
    def read(call: Call) -> list[Tensor]:
        """Return the sum or the mean of all inputs."""
        n_inputs = len(call.inputs)
        if n_inputs == 1:
            return [call.same("identity", {}, call.tensor())]
        return [_sum(call, (1.0 / n_inputs if mean else 1.0,) * n_inputs)]

    return read


def _sum(call: Call, coefficients: Sequence[float]) -> Tensor:
    """Return a weighted sum of tensors of one shape."""
    sources = [call.tensor(k) for k in range(len(coefficients))]
    order = sources[0].order
    if any(source.shape != sources[0].shape for source in sources):
        shapes = ", ".join(str(source.shape) for source in sources)
        raise call.error(f"its inputs have the shapes {shapes}; only tensors of one shape can be added.")
    moved = [call.in_order(source, order, own_path=True) for source in sources]
    node = call.add(
        "add", {"coefficients": tuple(coefficients)}, [source.node for source in moved], sources[0].node_shape
    )
    return Tensor(node, sources[0].shape, order)


def _read_negative(call: Call) -> list[Tensor]:
    return [_affine(call, call.tensor(), -_ONE, _ZERO)]


def _read_batch_norm(call: Call) -> list[Tensor]:
    """Return scale (x - mean) / sqrt(variance + epsilon) + shift as a gain and a shift."""
    source = call.tensor()
    if call.integer("training_mode", 0) or len([name for name in call.outputs if name]) > 1:
        raise call.error("it is in training mode; call model.eval() before the export.")
    if source.rank < 2 or not call.integer("spatial", 1):
        raise call.error(f"it normalises a tensor of {source.shape} by something else than its channels.")
    scale, shift, mean, variance = (call.weights(k, what) for k, what in enumerate(_OF_NORM, start=1))
    if not all(values.shape == source.shape[1:2] for values in (scale, shift, mean, variance)):
        raise call.error(f"its arrays are not one number for each of {source.shape[1]} channels.")
    variance = variance + call.number("epsilon", 1e-5)
    if np.any(variance <= 0):
        raise call.error("its variance is not positive.")
    gain = scale / np.sqrt(variance)
    by_channel = (-1, *[1] * (source.rank - 2))
    return [_affine(call, source, gain.reshape(by_channel), (shift - mean * gain).reshape(by_channel))]


_OF_NORM = ("scale", "shift", "mean", "variance")


def _read_relu(call: Call) -> list[Tensor]:
    return [_relu(call, None)]


def _relu(call: Call, ceiling: float | None) -> Tensor:
    return call.same("relu", {"ceiling": ceiling}, _with_neurons(call))


def _with_neurons(call: Call) -> Tensor:
    """Return the input; of an image that was just reshaped, with the channels last, as populations have them."""
    source = call.tensor()
    if source.rank == 4 and source.starts_with_batch and call.nodes[source.node].operation == "reshape":
        source = call.channels_last(source)
    return source


def _read_leaky(call: Call) -> list[Tensor]:
    """Return a ReLU with a slope below zero."""
    return [call.same("leaky", {"slope": np.asarray(call.number("alpha", 0.01))}, _with_neurons(call))]


def _read_thresholded(call: Call) -> list[Tensor]:
    """Return a plain ReLU, where the threshold is zero."""
    threshold = call.number("alpha", 1.0)
    if threshold != 0.0:
        raise value_jumps(call.label, threshold)
    return [_relu(call, None)]


def _read_slopes(call: Call) -> list[Tensor]:
    """Return a ReLU with a slope below zero for each channel."""
    source, slopes = _with_neurons(call), call.weights(1, "slope")
    moved = constant_in_order(slopes, source)
    if moved is None:
        raise call.error(f"its slope has the shape {slopes.shape}, which does not fit a tensor of {source.shape}.")
    return [call.same("leaky", {"slope": moved}, source)]


def _read_clip(call: Call) -> list[Tensor]:
    """Return a ReLU with a ceiling; the bounds are inputs, or attributes in old versions."""
    low, high = (_bound(call, name, position) for position, name in enumerate(("min", "max"), start=1))
    if low != 0 or (high is not None and not high > 0):
        raise call.error(
            f"it clips to the range from {low} to {high}; only one from 0 upwards, a ReLU, has a rate-coded form."
        )
    # The largest float that there is stands for no bound at all.
    return [_relu(call, None if high is None or high >= np.finfo(np.float32).max else high)]


def _bound(call: Call, name: str, position: int) -> float | None:
    """Return a bound of a Clip, None if there is none."""
    if not call.has(position):
        return call.number(name, 0.0) if name in call.attributes else None
    bound = call.constant(position, name)
    if bound.size != 1 or bound.dtype.kind not in "iuf" or np.isnan(bound).any():
        raise call.error(f"its {name} is no number.")
    value = float(bound.reshape(()))
    return value if np.isfinite(value) else None


def _over_channels(operation: str) -> Reader:
    def read(call: Call) -> list[Tensor]:
        """Return a softmax or its logarithm over one axis, which the node has last."""
        source, flattens = call.tensor(), call.opset < 13
        (axis,) = call.axes([call.integer("axis", 1 if flattens else -1)], source.rank)
        # Up to version 12 it was taken over all axes from this one on.
        if axis == 0 or not source.starts_with_batch or (flattens and any(n > 1 for n in source.shape[axis + 1 :])):
            raise call.error(f"it is taken over axis {axis} of {source.shape}; only one over classes can be left out.")
        if source.order[axis] != source.rank - 2:
            source = call.channels_last(source, axis)
        return [call.same(operation, {}, source)]

    return read


def _plain(operation: str) -> Reader:
    def read(call: Call) -> list[Tensor]:
        """Return an operation that needs nothing but its input."""
        return [call.same(operation, {}, call.tensor())]

    return read


def _read_dropout(call: Call) -> list[Tensor]:
    """Return the input: a dropout does nothing in a trained model."""
    if call.has(2) and call.constant(2, "training_mode").any():
        raise call.error("it is in training mode; call model.eval() before the export.")
    return [call.same("identity", {}, call.tensor())]


def _read_cast(call: Call) -> list[Tensor]:
    """Return the input: floats of another precision are the same numbers."""
    to = call.integer("to", 0)
    if to not in _FLOATS:
        raise call.error("it makes whole numbers of what depends on the image.")
    return [call.same("identity", {}, call.tensor())]


#: Numbers of the types float32, float16, float64 and bfloat16 in ONNX.
_FLOATS = (1, 10, 11, 16)


ELEMENTWISE: dict[str, Reader] = {
    "Add": _read_arithmetic((1.0, 1.0)),
    "Sub": _read_arithmetic((1.0, -1.0)),
    "Mul": _read_arithmetic(None),
    "Div": _read_arithmetic(None),
    "Sum": _read_sum(mean=False),
    "Mean": _read_sum(mean=True),
    "Neg": _read_negative,
    "BatchNormalization": _read_batch_norm,
    "Relu": _read_relu,
    "Clip": _read_clip,
    "LeakyRelu": _read_leaky,
    "PRelu": _read_slopes,
    "ThresholdedRelu": _read_thresholded,
    "Softmax": _over_channels("softmax"),
    "LogSoftmax": _over_channels("log_softmax"),
    "Sigmoid": _plain("sigmoid"),
    "Tanh": _plain("tanh"),
    "Identity": _plain("identity"),
    "Dropout": _read_dropout,
    "Cast": _read_cast,
}

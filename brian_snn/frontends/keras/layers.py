"""What each Keras layer does, as operations of `brian_snn.frontends.layer_graph`: one small reader per class.

A reader takes a layer and the shapes of its inputs and returns the operations that it stands for, one after the other:
a convolution with a fused ReLU is two. A class that is not in `READERS` is an error, never a guess.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.errors import ModelError, no_rate_coded_form
from brian_snn.network.records import OUTPUT_ACTIVATIONS

Shape = tuple[int, ...]
Operations = list[tuple[str, dict[str, Any]]]
Reader = Callable[[Any, list[Shape], str], Operations]

_RECURRENT = "recurrent layers have no rate-coded form; only feed-forward models can be converted."
_ACTIVATION = "it has no rate-coded form; replace it by ReLU and retrain."
_HINTS = {
    "Lambda": "it holds code of its own, which is not run; write it with Keras layers.",
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM2D", "TimeDistributed"), _RECURRENT),
    **dict.fromkeys(("LeakyReLU", "PReLU", "ELU", "ThresholdedReLU"), _ACTIVATION),
}


def unsupported(label: str, class_name: str) -> ModelError:
    """Return the error for a layer class that cannot be converted."""
    known = ", ".join(sorted(READERS))
    hint = _HINTS.get(class_name, f"layers of this class cannot be converted; these can: {known}.")
    return ModelError(f"{label}: {hint}")


def read_layer(layer: Any, input_shapes: list[Shape], label: str) -> Operations:
    """Return the operations of a Keras layer (or of an operation such as ``x + y``).

    Parameters
    ----------
    layer : keras.layers.Layer or keras.Operation
        Never changed.
    input_shapes : list of tuple of int
        Without the batch axis.
    label : str
        The layer, for error messages.

    Raises
    ------
    ModelError
        If the layer cannot be converted, or if one of its weights is not finite.
    """
    class_name = type(layer).__name__
    table = READERS if hasattr(layer, "weights") else FUNCTION_READERS
    # A class of the user's own may have the name of one of Keras and do something else.
    if class_name not in table or not type(layer).__module__.startswith("keras."):
        raise unsupported(label, class_name)
    if getattr(layer, "data_format", None) == "channels_first":
        raise ModelError(f"{label}: its data format is channels_first; build the model with channels_last.")
    if getattr(layer, "quantization_mode", None):
        raise ModelError(f"{label}: its weights are quantised ({layer.quantization_mode}); load them as floats.")
    operations = table[class_name](layer, input_shapes, label)
    for _, parameters in operations:
        for name, value in parameters.items():
            if isinstance(value, np.ndarray) and not np.all(np.isfinite(value)):
                raise ModelError(f"{label}: its {name} holds NaN or infinite numbers; load weights that are finite.")
    return operations


def _numbers(variable: Any) -> FloatArray:
    """Return a Keras variable or tensor as a float64 array."""
    from keras import ops

    return np.array(ops.convert_to_numpy(variable), dtype=np.float64)


def _bias(layer: Any) -> FloatArray | None:
    return _numbers(layer.bias) if layer.use_bias else None


# --- activations ----------------------------------------------------------------------------------------------------


def _activation(function: Any, input_shapes: list[Shape], label: str) -> Operations:
    """Return the operation of an activation: a function of Keras or TensorFlow, or a layer."""
    from keras import activations, ops

    if hasattr(function, "get_config"):
        return read_layer(function, input_shapes, label)
    known: dict[Any, Operations] = {activations.linear: []}
    # Who has a function of TensorFlow has imported it.
    tensorflow = sys.modules.get("tensorflow")
    for module in (activations, ops, *([tensorflow.nn] if tensorflow else [])):
        known[module.relu] = [("relu", {"ceiling": None})]
        known[module.relu6] = [("relu", {"ceiling": 6.0})]
        known |= {getattr(module, name): [(name, {})] for name in OUTPUT_ACTIVATIONS}
    if function is None:
        return []
    if function not in known:
        name = getattr(function, "__name__", repr(function))
        raise no_rate_coded_form(label, name)
    return known[function]


def has_output_activation(layer: Any, output_shape: Shape) -> bool:
    """Whether a layer that can be read is, or ends in, an activation that a readout leaves off."""
    if type(layer).__name__ in _OUTPUT_ACTIVATION_CLASSES:
        return True
    operations = _activation(getattr(layer, "activation", None), [output_shape], "")
    return any(name in OUTPUT_ACTIVATIONS for name, _ in operations)


def _read_activation(layer: Any, shapes: list[Shape], label: str) -> Operations:
    return _activation(layer.activation, shapes, label) or [("identity", {})]


def _read_relu(layer: Any, shapes: list[Shape], label: str) -> Operations:
    slope, threshold = float(np.max(layer.negative_slope)), float(np.max(layer.threshold))
    if slope or threshold:
        raise ModelError(
            f"{label}: its negative slope is {slope} and its threshold {threshold}; only a ReLU with both 0 has a "
            "rate-coded form, so replace it and retrain."
        )
    return [("relu", {"ceiling": None if layer.max_value is None else float(layer.max_value)})]


def _over_the_last_axis(operation: str) -> Reader:
    def read(layer: Any, shapes: list[Shape], label: str) -> Operations:
        """Return a softmax or its logarithm, unless it is taken over another axis."""
        if layer.axis not in (-1, len(shapes[0])):
            raise ModelError(f"{label}: its axis is {layer.axis}; only a softmax over the last axis can be left out.")
        return [(operation, {})]

    return read


# --- layers with weights --------------------------------------------------------------------------------------------


def _read_dense(layer: Any, shapes: list[Shape], label: str) -> Operations:
    parameters = {"kernel": _numbers(layer.kernel), "bias": _bias(layer)}
    return [("dense", parameters), *_activation(layer.activation, shapes, label)]


def _window(layer: Any) -> dict[str, Any]:
    return {"strides": _pair(layer.strides), "padding": layer.padding, "dilation": _pair(layer.dilation_rate)}


def _pair(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    return (int(value), int(value)) if np.ndim(value) == 0 else (int(value[0]), int(value[1]))


def _read_conv2d(layer: Any, shapes: list[Shape], label: str) -> Operations:
    parameters = {"kernel": _numbers(layer.kernel), "bias": _bias(layer), "groups": int(layer.groups)}
    return [("conv2d", parameters | _window(layer)), *_activation(layer.activation, shapes, label)]


def _read_conv1d(layer: Any, shapes: list[Shape], label: str) -> Operations:
    """Return a convolution along one axis as one along rows, of which each has a single column."""
    if layer.padding == "causal":
        raise ModelError(f"{label}: its padding is causal; write a ZeroPadding1D before it, and 'valid' here.")
    kernel = _numbers(layer.kernel)[:, None]
    window = {"strides": (*layer.strides, 1), "padding": layer.padding, "dilation": (*layer.dilation_rate, 1)}
    parameters = {"kernel": kernel, "bias": _bias(layer), "groups": int(layer.groups)}
    return [("conv2d", parameters | window), *_activation(layer.activation, shapes, label)]


def _read_depthwise(layer: Any, shapes: list[Shape], label: str) -> Operations:
    parameters = {"kernel": _numbers(layer.kernel), "bias": _bias(layer)}
    return [("depthwise", parameters | _window(layer)), *_activation(layer.activation, shapes, label)]


def _read_separable(layer: Any, shapes: list[Shape], label: str) -> Operations:
    """Multiply the two kernels of a separable convolution into one."""
    depthwise, pointwise = _numbers(layer.depthwise_kernel), _numbers(layer.pointwise_kernel)
    rows = pointwise[0, 0].reshape(*depthwise.shape[2:], -1)
    kernel = np.einsum("ijcm,cmf->ijcf", depthwise, rows)
    parameters = {"kernel": kernel, "bias": _bias(layer), "groups": 1}
    return [("conv2d", parameters | _window(layer)), *_activation(layer.activation, shapes, label)]


def _read_batch_norm(layer: Any, shapes: list[Shape], label: str) -> Operations:
    """Return gamma (x - mean) / sqrt(variance + epsilon) + beta as a gain and a shift."""
    axis = layer.axis[0] if isinstance(layer.axis, (list, tuple)) else layer.axis
    if axis not in (-1, len(shapes[0])):
        raise ModelError(f"{label}: it normalises axis {axis}; the channel axis must be the last one.")
    gain = 1.0 / np.sqrt(_numbers(layer.moving_variance) + layer.epsilon)
    if layer.scale:
        gain = gain * _numbers(layer.gamma)
    shift = -_numbers(layer.moving_mean) * gain
    if layer.center:
        shift = shift + _numbers(layer.beta)
    return [("affine", {"gain": gain, "shift": shift})]


def _read_rescaling(layer: Any, shapes: list[Shape], label: str) -> Operations:
    gain, shift = np.asarray(layer.scale, dtype=np.float64), np.asarray(layer.offset, dtype=np.float64)
    return [("affine", {"gain": gain, "shift": shift})]


def _read_normalization(layer: Any, shapes: list[Shape], label: str) -> Operations:
    """Return (x - mean) / deviation, or its inverse, as a gain and a shift."""
    from keras import config

    if getattr(layer, "mean", None) is None:
        raise ModelError(f"{label}: it has no mean and variance yet; call its adapt() and save the model again.")
    # The arrays have a batch axis of 1, unless they were given as plain numbers.
    mean, variance = (_numbers(a) for a in (layer.mean, layer.variance))
    mean, variance = (a[0] if a.ndim == len(shapes[0]) + 1 else a for a in (mean, variance))
    deviation = np.maximum(np.sqrt(variance), config.epsilon())
    if layer.invert:
        return [("affine", {"gain": deviation, "shift": mean})]
    return [("affine", {"gain": 1.0 / deviation, "shift": -mean / deviation})]


# --- pooling, moving and merging ------------------------------------------------------------------------------------


def _pool(operation: str) -> Reader:
    def read(layer: Any, shapes: list[Shape], label: str) -> Operations:
        """Return a pooling over windows, or over everything for a global one."""
        if not hasattr(layer, "pool_size"):
            return [(operation, {"pool_size": None, "strides": None, "padding": "valid"})]
        size, strides = _window_of_pool(layer.pool_size), _window_of_pool(layer.strides)
        return [(operation, {"pool_size": size, "strides": strides, "padding": layer.padding})]

    return read


def _window_of_pool(lengths: Any) -> tuple[int, int] | None:
    """Return rows and columns of a window; one along a single axis has one column."""
    return (int(lengths[0]), 1) if np.shape(lengths) == (1,) else _pair(lengths)


def _plain(operation: str, **parameters: Any) -> Reader:
    def read(layer: Any, shapes: list[Shape], label: str) -> Operations:
        """Return an operation that needs nothing of the layer."""
        return [(operation, dict(parameters))]

    return read


def _read_permute(layer: Any, shapes: list[Shape], label: str) -> Operations:
    return [("permute", {"axes": tuple(int(axis) - 1 for axis in layer.dims)})]


def _read_padding(layer: Any, shapes: list[Shape], label: str) -> Operations:
    return [("pad", {"margins": _margins(layer.padding)})]


def _read_cropping(layer: Any, shapes: list[Shape], label: str) -> Operations:
    return [("crop", {"margins": _margins(layer.cropping)})]


def _margins(lengths: Any) -> tuple[tuple[int, int], ...]:
    """Return what is before and behind each axis, the channels included; along a single axis it is no list of pairs."""
    pairs = [lengths] if np.ndim(lengths) == 1 else lengths
    return (*((int(before), int(behind)) for before, behind in pairs), (0, 0))


def _read_concatenate(layer: Any, shapes: list[Shape], label: str) -> Operations:
    axis = int(layer.axis)
    return [("concatenate", {"axis": axis + len(shapes[0]) if axis < 0 else axis - 1})]


def _sum_of(coefficients: Callable[[int], tuple[float, ...]]) -> Reader:
    def read(layer: Any, shapes: list[Shape], label: str) -> Operations:
        """Return a weighted sum of the inputs."""
        if len(shapes) < 2:
            raise ModelError(f"{label}: it has {len(shapes)} tensor to work on; it takes two or more, not a number.")
        return [("add", {"coefficients": coefficients(len(shapes))})]

    return read


_IDENTITIES = (
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "ActivityRegularization",
    "Identity",
    "RandomFlip",
    "RandomRotation",
    "RandomZoom",
    "RandomTranslation",
    "RandomContrast",
    "RandomBrightness",
    "RandomShear",
)

#: Readers of layers, by class name. What is random in training does nothing in a trained model.
READERS: dict[str, Reader] = {
    "Activation": _read_activation,
    "ReLU": _read_relu,
    "Softmax": _over_the_last_axis("softmax"),
    "Dense": _read_dense,
    "Conv2D": _read_conv2d,
    "Conv1D": _read_conv1d,
    "DepthwiseConv2D": _read_depthwise,
    "SeparableConv2D": _read_separable,
    "BatchNormalization": _read_batch_norm,
    "Rescaling": _read_rescaling,
    "Normalization": _read_normalization,
    "MaxPooling1D": _pool("max_pool"),
    "GlobalMaxPooling1D": _pool("max_pool"),
    "AveragePooling1D": _pool("average_pool"),
    "GlobalAveragePooling1D": _pool("average_pool"),
    "MaxPooling2D": _pool("max_pool"),
    "GlobalMaxPooling2D": _pool("max_pool"),
    "AveragePooling2D": _pool("average_pool"),
    "GlobalAveragePooling2D": _pool("average_pool"),
    "Flatten": _plain("reshape"),
    "Reshape": _plain("reshape"),
    "Permute": _read_permute,
    "ZeroPadding1D": _read_padding,
    "ZeroPadding2D": _read_padding,
    "Cropping1D": _read_cropping,
    "Cropping2D": _read_cropping,
    "Concatenate": _read_concatenate,
    "Add": _sum_of(lambda n: (1.0,) * n),
    "Subtract": _sum_of(lambda n: (1.0, -1.0)),
    "Average": _sum_of(lambda n: (1.0 / n,) * n),
    **dict.fromkeys(_IDENTITIES, _plain("identity")),
}

#: Readers of operations that are no layers, such as ``x + y`` or ``keras.ops.relu(x)``.
FUNCTION_READERS: dict[str, Reader] = {
    "Add": _sum_of(lambda n: (1.0,) * n),
    "Subtract": _sum_of(lambda n: (1.0, -1.0)),
    "Relu": _plain("relu", ceiling=None),
    "Relu6": _plain("relu", ceiling=6.0),
    "ReLU": _read_relu,
    "Softmax": _over_the_last_axis("softmax"),
    "LogSoftmax": _over_the_last_axis("log_softmax"),
    "Sigmoid": _plain("sigmoid"),
    "Tanh": _plain("tanh"),
}

_OUTPUT_ACTIVATION_CLASSES = ("Softmax", "LogSoftmax", "Sigmoid", "Tanh")

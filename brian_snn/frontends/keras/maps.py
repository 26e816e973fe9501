"""The linear maps of projections as Keras computes them, in float64.

`brian_snn.analysis.verify` uses these to check the simulated synapses, so nothing here shares code with what lists the
synapses or with the forward pass of the conversion: our weights go into Keras' layer classes, behind an explicit
`ZeroPadding2D`. Applied to whole numbers (spike counts) and weights on a dyadic grid, every sum is exact in float64.
TensorFlow is imported on first use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.errors import ModelError
from brian_snn.frontends.keras.files import import_keras
from brian_snn.frontends.table import Map
from brian_snn.network.records import Geometry, Projection


def keras_projection(projection: Projection, target_size: int) -> Map:
    """Return the function that takes the activity of a projection's source to what its target receives.

    Parameters
    ----------
    projection : Projection
        Max pooling, which has no weights, yields the largest value of each window.
    target_size : int
        Number of neurons of the target.

    Returns
    -------
    function : callable
        Takes (n_images, *shape of the source) numbers, which must not be negative for max pooling; returns
        (n_images, target_size) floats.

    Raises
    ------
    ModelError
        When called, if Keras' output has another shape than the geometry says.
    """
    apply = _keras_map(projection.geometry, projection.weights)
    gather, scatter = _gather(projection), _scatter(projection, target_size)

    def project(activity: NDArray[Any]) -> FloatArray:
        inputs = gather(np.asarray(activity, np.float64).reshape(len(activity), -1))
        outputs = apply(inputs.reshape(len(inputs), *projection.geometry.input_shape))
        given, expected = outputs.shape[1:], projection.geometry.output_shape
        if given != expected:
            raise ModelError(
                f"{projection.label} ({projection.geometry.kind}): Keras gives outputs of shape {given}; the geometry "
                f"says {expected}."
            )
        return scatter(outputs.reshape(len(outputs), -1))

    return project


def _gather(projection: Projection) -> Map:
    """Return the function that picks a map's flat inputs out of the source; -1 is a constant zero."""
    index, n_in = projection.source_index, projection.geometry.n_in
    if index is None:
        return lambda flat: flat[:, :n_in]
    return lambda flat: np.where(index >= 0, flat[:, np.maximum(index, 0)], 0.0)


def _scatter(projection: Projection, target_size: int) -> Map:
    """Return the function that puts a map's flat outputs where they belong in the target, zeros elsewhere."""
    n_out = projection.geometry.n_out
    if projection.target_index is None and n_out == target_size:
        return lambda flat: flat
    index = np.arange(n_out) if projection.target_index is None else projection.target_index

    def scatter(flat: FloatArray) -> FloatArray:
        totals = np.zeros((target_size, len(flat)))
        combine = np.maximum if projection.geometry.kind == "max_pool" else np.add
        combine.at(totals, index, flat.T)
        return totals.T

    return scatter


def _keras_map(geometry: Geometry, weights: FloatArray | None) -> Map:
    """Return a Keras layer, or two in a row, as a function of NumPy arrays."""
    keras = import_keras()
    # A GPU may compute convolutions by transforms that round; the CPU adds and multiplies.
    with keras.device("cpu:0"):
        layers = _LAYERS[geometry.kind](keras.layers, geometry, weights)

    def apply(inputs: FloatArray) -> FloatArray:
        with keras.device("cpu:0"):
            values = keras.ops.convert_to_tensor(inputs, dtype="float64")
            for layer in layers:
                values = layer(values)
        return np.asarray(keras.ops.convert_to_numpy(values))

    return apply


def _dense(layers: Any, geometry: Geometry, weights: FloatArray | None) -> list[Any]:
    """Return a Dense layer."""
    layer = layers.Dense(geometry.n_out, use_bias=False, dtype="float64")
    return [_with_weights(layer, geometry.input_shape, weights)]


def _identity(layers: Any, geometry: Geometry, weights: FloatArray | None) -> list[Any]:
    """Return the product with one weight per element; no Keras layer does less."""
    return [lambda values: values * weights]


def _conv2d(layers: Any, geometry: Geometry, weights: FloatArray | None) -> list[Any]:
    """Return zero padding and a convolution."""
    padding, shape = _zero_padding(layers, geometry)
    layer = layers.Conv2D(
        geometry.output_shape[2],
        geometry.kernel_size,
        strides=geometry.strides,
        dilation_rate=geometry.dilation,
        groups=geometry.groups,
        use_bias=False,
        data_format="channels_last",
        dtype="float64",
    )
    return [padding, _with_weights(layer, shape, weights)]


def _depthwise(layers: Any, geometry: Geometry, weights: FloatArray | None) -> list[Any]:
    """Return zero padding, a depthwise convolution and, if rows and columns have different strides, a selection."""
    padding, shape = _zero_padding(layers, geometry)
    rows, columns = geometry.strides
    # TensorFlow has depthwise convolutions with equal strides only, so any others are every n-th window of stride 1.
    equal = rows == columns
    layer = layers.DepthwiseConv2D(
        geometry.kernel_size,
        strides=geometry.strides if equal else (1, 1),
        dilation_rate=geometry.dilation,
        depth_multiplier=geometry.output_shape[2] // geometry.input_shape[2],
        use_bias=False,
        data_format="channels_last",
        dtype="float64",
    )
    select = [] if equal else [lambda values: values[:, ::rows, ::columns]]
    return [padding, _with_weights(layer, shape, weights), *select]


def _average_pool(layers: Any, geometry: Geometry, weights: FloatArray | None) -> list[Any]:
    """Return the sum over each window, then the product with the target's weight."""
    ones = np.ones((*geometry.kernel_size, geometry.input_shape[2], 1))
    return [*_depthwise(layers, geometry, ones), lambda values: values * weights]


def _max_pool(layers: Any, geometry: Geometry, weights: FloatArray | None) -> list[Any]:
    """Return zero padding, which never wins against a count, and max pooling."""
    padding, _ = _zero_padding(layers, geometry)
    layer = layers.MaxPooling2D(
        geometry.kernel_size, strides=geometry.strides, data_format="channels_last", dtype="float64"
    )
    return [padding, layer]


_LAYERS: dict[str, Callable[[Any, Geometry, FloatArray | None], list[Any]]] = {
    "dense": _dense,
    "identity": _identity,
    "conv2d": _conv2d,
    "depthwise": _depthwise,
    "average_pool": _average_pool,
    "max_pool": _max_pool,
}


def _zero_padding(layers: Any, geometry: Geometry) -> tuple[Any, tuple[int, ...]]:
    """Return the layer that adds the geometry's padding, and the shape after it."""
    (top, bottom), (left, right) = geometry.padding
    rows, columns, channels = geometry.input_shape
    layer = layers.ZeroPadding2D(geometry.padding, data_format="channels_last", dtype="float64")
    return layer, (rows + top + bottom, columns + left + right, channels)


def _with_weights(layer: Any, input_shape: tuple[int, ...], weights: FloatArray | None) -> Any:
    """Build a layer and give it its kernel."""
    layer.build((None, *input_shape))
    layer.set_weights([weights])
    return layer

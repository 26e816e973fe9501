"""What Keras itself computes for every population, and the proof that the folded network agrees with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.frontends.keras.activations import has_output_activation
from brian_snn.frontends.keras.files import import_keras
from brian_snn.frontends.keras.open_shapes import of_shape
from brian_snn.frontends.keras.walk import Step, ending_in, walk
from brian_snn.frontends.reference import population_activations
from brian_snn.network.network import Network
from brian_snn.network.records import LayerPath


def reference_batches(
    model: Any, network: Network, batches: Iterable[NDArray[np.generic]], dtype: str | None
) -> Iterator[dict[str, FloatArray]]:
    """Yield what Keras computes for every population, of one batch after the other.

    Parameters
    ----------
    model : keras.Model
        The model that was converted. Its layers are called one by one; it is not changed.
    network : Network
        What it was folded into.
    batches : iterable of (n_images, *input_shape) array
        Pixels as the model takes them.
    dtype : str, optional
        Precision in which copies of the layers compute, such as ``float64``; by default the model's own.

    Yields
    ------
    activations : dict of (n_images, *shape) float array
        By population name, in the units of the model: after the ReLU, for the readout before its activation.
    """
    keras = import_keras()
    wanted = {path for population in network.populations for path in population.reference}
    steps, _ = walk(of_shape(model, lambda: [shape for _, shape in network.inputs] or [network.input_shape]))
    steps = ending_in(steps, {i for i, step in enumerate(steps) if step.path in wanted})
    layers = [None if step.layer is None else _inference_copy(step.layer, dtype) for step in steps]
    _open_readout(keras, steps, layers, dtype)
    for batch in batches:
        yield _reference_batch(keras, steps, layers, network, batch, dtype)


def _inference_copy(layer: Any, dtype: str | None, **changes: Any) -> Any:
    """Return the layer itself, or a copy of it in another precision or with other settings."""
    if not hasattr(layer, "get_config") or not hasattr(layer, "weights") or (dtype is None and not changes):
        return layer
    config = layer.get_config()
    if callable(getattr(layer, "activation", None)):
        # In the config it has a name, under which Keras may know another function or none.
        config["activation"] = _inference_copy(layer.activation, dtype)
    config |= changes
    if dtype is not None:
        config["dtype"] = dtype
        if isinstance(config.get("layer"), dict):
            # What a wrapper holds computes in a precision of its own.
            config["layer"]["config"] |= {"dtype": dtype}
    copy = type(layer).from_config(config)
    if layer.weights:
        copy.build(layer.get_build_config()["input_shape"])
        copy.set_weights(layer.get_weights())
    if hasattr(copy, "finalize_state"):
        # A Normalization that was adapted computes with what it derives from its weights.
        copy.finalize_state()
    return copy


def _open_readout(keras: Any, steps: list[Step], layers: list[Any], dtype: str | None) -> None:
    """Replace the layer with the activation of the output by a copy without, an activation alone by nothing."""
    for i, step in enumerate(steps):
        if step.layer is not None and has_output_activation(step.layer, step.output_shape):
            fused = hasattr(step.layer, "activation")
            layers[i] = _inference_copy(step.layer, dtype, activation="linear") if fused else keras.layers.Identity()


def _reference_batch(
    keras: Any, steps: list[Step], layers: list[Any], network: Network, images: NDArray[np.generic], dtype: str | None
) -> dict[str, FloatArray]:
    """Run one batch through the layers, keeping what the populations refer to."""
    wanted = {population.reference for population in network.populations}
    layer_of = {step.path: layer for step, layer in zip(steps, layers, strict=True)}
    outputs: dict[tuple[LayerPath, ...], FloatArray] = {}
    for step, tensor in _tensors(keras, steps, layers, np.asarray(images, dtype or "float32")):
        for path in wanted:
            if path[:1] == (step.path,):
                values = reduce(lambda values, other: layer_of[other](values, training=False), path[1:], tensor)
                outputs[path] = np.asarray(keras.ops.convert_to_numpy(values), dtype=np.float64)
    return population_activations(network, outputs, np.asarray(images, np.float64))


def _tensors(
    keras: Any, steps: list[Step], layers: list[Any], images: NDArray[np.generic]
) -> Iterator[tuple[Step, Any]]:
    """Yield every step with its output, the image first; a tensor is dropped after its last reader."""
    last_reader = {source: i for i, step in enumerate(steps) for source in step.inputs}
    tensors: dict[int, Any] = {0: keras.ops.convert_to_tensor(images)}
    yield steps[0], tensors[0]
    for i, step in enumerate(steps[1:], start=1):
        inputs = [tensors[source] for source in step.inputs]
        if not isinstance(layers[i], keras.Layer):
            tensors[i] = layers[i](*inputs)
        else:
            tensors[i] = layers[i](inputs if len(inputs) > 1 else inputs[0], training=False)
        yield step, tensors[i]
        tensors = {k: tensor for k, tensor in tensors.items() if last_reader.get(k, -1) > i}

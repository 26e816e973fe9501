"""What the operators of onnx compute for every population.

The model itself is run, with the tensors that the populations refer to as its outputs: by `onnx.reference` in float64,
or by onnxruntime, where it is installed, in the model's own precision. Images go through it as many at a time as the
model was exported for; where that is open, one by one, since a shape may have been written down for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray, side_by_side
from brian_snn.errors import ModelError
from brian_snn.frontends.onnx.evaluator import evaluator
from brian_snn.frontends.onnx.graph import leading_to
from brian_snn.frontends.onnx.library import first_line, import_onnx
from brian_snn.frontends.onnx.precision import in_float64
from brian_snn.frontends.onnx.reader import Reading, read
from brian_snn.frontends.onnx.tensors import in_node_order
from brian_snn.frontends.reference import population_activations
from brian_snn.network.network import Network
from brian_snn.network.records import LayerPath

#: From (n_images, *shape of an image) to what was asked for, each (n_images, ...).
Runner = Callable[[NDArray[np.generic]], list[FloatArray]]


def reference_batches(
    model: Any, network: Network, batches: Iterable[NDArray[np.generic]], dtype: str | None
) -> Iterator[dict[str, FloatArray]]:
    """Yield what ONNX computes for every population, of one batch after the other.

    Parameters
    ----------
    model : onnx.ModelProto
        The model that was converted. It is not changed.
    network : Network
        What it was folded into.
    batches : iterable of (n_images, *input_shape) array
        Pixels as the model takes them.
    dtype : str, optional
        ``float64``, or None for the model's own precision.

    Yields
    ------
    activations : dict of (n_images, *shape) float array
        By population name, in the units of the model: after the ReLU, for the readout before its activation.
    """
    reading = read(model)
    model = reading.source.model
    wanted = list(dict.fromkeys(p.reference for p in network.populations if p.reference))
    changed, names, orders = _with_outputs(model, reading, wanted)
    run = _runner(changed, reading, names, orders, dtype)
    for batch in batches:
        outputs = dict(zip(wanted, run(batch), strict=True))
        yield population_activations(network, outputs, np.asarray(batch, np.float64))


def scores(model: Any, images: NDArray[np.generic]) -> FloatArray:
    """Return the model's own outputs, with the channels last where it has some; several as one vector."""
    reading = read(model)
    names = reading.source.outputs
    if not set(names) <= set(reading.tensors):
        reading.layers.require_readable()
    orders = [reading.tensors[name].order for name in names]
    return side_by_side(_runner(reading.source.model, reading, names, orders, None)(images))


# --- the model with other outputs -----------------------------------------------------------------------------------


def _with_outputs(
    model: Any, reading: Reading, wanted: Sequence[tuple[LayerPath, ...]]
) -> tuple[Any, list[str], list[tuple[int, ...]]]:
    """Return a model that ends in the tensors of some paths, their names, and the order of their axes."""
    onnx = import_onnx()
    needed, names, orders = [], [], []
    nodes = {path: node for node, path in zip(reading.source.nodes, reading.source.paths, strict=True)}
    copies = []
    for path, *later in wanted:
        name = reading.made_by[path]
        orders.append(reading.tensors[name].order)
        needed.append(name)
        for other in later:
            # A norm behind a max pooling, which is moved before it.
            copies.append(_reading_another(nodes[other], reading, name, f"{name} through {other}"))
            name = copies[-1].output[0]
        names.append(name)
    kept = leading_to(reading.source.nodes, {*needed, *(name for copy in copies for name in copy.input)})
    changed = onnx.ModelProto()
    changed.ir_version = model.ir_version
    changed.opset_import.append(onnx.helper.make_opsetid("", reading.source.opset))
    changed.graph.name = "references"
    changed.graph.node.extend([*kept, *copies])
    for node in changed.graph.node:
        # Under its other name the domain is not found.
        node.domain = ""
    used = {name for node in changed.graph.node for name in node.input}
    changed.graph.initializer.extend(t for t in model.graph.initializer if t.name in used)
    changed.graph.input.extend(value for value in model.graph.input if value.name == reading.source.input)
    changed.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in dict.fromkeys(names))
    return changed, names, orders


def _reading_another(node: Any, reading: Reading, name: str, output: str) -> Any:
    """Return a copy of a node with one input that depends on the image, which reads another tensor."""
    copy = import_onnx().NodeProto()
    copy.CopyFrom(node)
    copy.name = output
    copy.input[:] = [name if given in reading.tensors else given for given in node.input]
    copy.output[:] = [output]
    return copy


# --- running --------------------------------------------------------------------------------------------------------


def _runner(
    model: Any, reading: Reading, names: Sequence[str], orders: Sequence[tuple[int, ...]], dtype: str | None
) -> Runner:
    """Return what runs a model on images and returns the tensors of some names."""
    if dtype not in (None, "float64"):
        raise ModelError(f"ONNX models are run in their own precision or in float64, not in {dtype}.")
    unique = list(dict.fromkeys(names))
    n_together, source = reading.source.shape[0], reading.source.input
    session = _own_precision(model) if dtype is None else None
    evaluate = session or evaluator(in_float64(model) if dtype else model)
    precision = np.dtype(np.float64 if dtype else _precision(model, source))

    def run(images: NDArray[np.generic]) -> list[FloatArray]:
        """Return the tensors as nodes have them, (n_images, *shape of the node)."""
        parts = []
        for start in range(0, len(images), n_together):
            with np.errstate(all="ignore"):
                part = np.asarray(images[start : start + n_together]).astype(precision)
                filled = np.resize(part, (n_together, *part.shape[1:]))
                made = dict(zip(unique, _evaluated(evaluate, unique, {source: filled}), strict=True))
            in_order = (in_node_order(made[name], order) for name, order in zip(names, orders, strict=True))
            parts.append([values[: len(part)].astype(np.float64) for values in in_order])
        return [np.concatenate(values) for values in zip(*parts, strict=True)]

    return run


def _evaluated(evaluate: Callable[..., Any], names: Sequence[str], feeds: dict[str, Any]) -> Any:
    """Return what a model makes of images."""
    try:
        return evaluate(names, feeds)
    # Of onnxruntime, or of NumPy within the operators of onnx.
    except Exception as error:
        raise ModelError(f"onnx cannot compute what the model makes of images ({first_line(error)}).") from error


def _precision(model: Any, source: str) -> Any:
    """Return the type of the numbers that a model takes."""
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    return import_onnx().helper.tensor_dtype_to_np_dtype(kinds[source])


def _own_precision(model: Any) -> Callable[..., Any] | None:
    """Return onnxruntime's way of running a model, None where it is not installed or does not take it."""
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        run: Callable[..., Any] = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        ).run
    # Models that are too new for it, or too large to be handed over.
    except Exception:
        return None
    return run

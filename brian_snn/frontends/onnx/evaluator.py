"""Run graphs with `onnx.reference`, the operators of ONNX written in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.frontends.onnx.library import import_onnx
from brian_snn.frontends.onnx.own_operators import own_operators


def evaluator(model: Any) -> Callable[..., list[Any]]:
    """Return what runs a model: a function of (names of tensors or None for the outputs, arrays by name)."""
    run: Callable[..., list[Any]] = import_onnx().reference.ReferenceEvaluator(model, new_ops=own_operators()).run
    return run


def evaluate_node(node: Any, arrays: Sequence[NDArray[Any] | None], opset: int) -> list[NDArray[Any]]:
    """Return what one node makes of arrays, None for an input that is left out."""
    onnx = import_onnx()
    feeds = {f"input_{k}": array for k, array in enumerate(arrays) if array is not None}
    model = onnx.ModelProto()
    model.opset_import.append(onnx.helper.make_opsetid("", opset))
    model.graph.node.append(node)
    (copy,) = model.graph.node
    copy.domain = ""
    copy.input[:] = [f"input_{k}" if array is not None else "" for k, array in enumerate(arrays)]
    model.graph.input.extend(onnx.helper.make_empty_tensor_value_info(name) for name in feeds)
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in copy.output)
    return [np.asarray(result) for result in evaluator(model)(None, feeds)]

"""What each ONNX operator does, as operations of `brian_snn.frontends.layer_graph`: one small reader per operator.

A reader takes a `Call` and adds neutral nodes to it. An operator that is not in `READERS` is an error, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from brian_snn.errors import ModelError, no_rate_coded_form
from brian_snn.escaping import shown
from brian_snn.frontends.onnx.call import Call
from brian_snn.frontends.onnx.elementwise import ELEMENTWISE
from brian_snn.frontends.onnx.graph import STANDARD
from brian_snn.frontends.onnx.moving import MOVING
from brian_snn.frontends.onnx.pooling import POOLING
from brian_snn.frontends.onnx.resizing import RESIZING
from brian_snn.frontends.onnx.tensors import Tensor
from brian_snn.frontends.onnx.weighted import WEIGHTED
from brian_snn.network.records import LayerPath

Reader = Callable[[Call], list[Tensor]]

#: Readers of operators, by name.
READERS: dict[str, Reader] = {**WEIGHTED, **ELEMENTWISE, **POOLING, **MOVING, **RESIZING}

_RECURRENT = "recurrent layers have no rate-coded form; only feed-forward models can be converted."
_QUANTISED = "the model is quantised; export it with weights and activations as floats."
_BRANCHES = "it decides what is computed while the model runs; export the model without control flow."
_NORMALISES = (
    "it normalises with the mean and deviation of the image at hand, which no weights can do; use batch normalisation."
)
_HINTS = {
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _RECURRENT),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"), _QUANTISED),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"), _QUANTISED),
    **dict.fromkeys(("If", "Loop", "Scan"), _BRANCHES),
    **dict.fromkeys(
        ("InstanceNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization", "LRN"), _NORMALISES
    ),
    **dict.fromkeys(("ArgMax", "TopK"), "a network gives the scores themselves; export the model up to them."),
    **dict.fromkeys(("Attention", "Einsum"), "it multiplies two tensors that depend on the image."),
}

#: Activations that no firing rate stands for. Erf is what an exported GELU consists of.
_ACTIVATIONS = (
    *("Elu", "Selu", "Celu", "Gelu", "Erf", "Mish", "Swish", "HardSwish", "HardSigmoid"),
    *("Softplus", "Softsign", "Shrink", "Hardmax"),
)


def unsupported(node: Any, path: LayerPath) -> ModelError:
    """Return the error for a node that cannot be converted."""
    label = f"layer {str(path)!r} ({shown(node.op_type)})"
    if node.domain not in STANDARD:
        return ModelError(
            f"{label}: it is of {shown(node.domain)!r}, neither an operator of ONNX itself nor a function of the "
            "model; export the model without it."
        )
    if node.op_type in _ACTIVATIONS:
        return no_rate_coded_form(label, node.op_type)
    known = ", ".join(sorted(READERS))
    return ModelError(f"{label}: {_HINTS.get(node.op_type, f'this operator cannot be converted; these can: {known}.')}")

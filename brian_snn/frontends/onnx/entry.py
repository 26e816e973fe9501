"""The front end for ONNX, as the table of front ends has it."""

from __future__ import annotations

from brian_snn.frontends.onnx.files import load_model, weights_of
from brian_snn.frontends.onnx.reader import read_layers
from brian_snn.frontends.onnx.reference import reference_batches, scores
from brian_snn.frontends.table import FrontEnd

FRONT_END = FrontEnd(
    name="ONNX",
    packages=("onnx",),
    load=load_model,
    read=read_layers,
    references=reference_batches,
    scores=scores,
    weights_of=weights_of,
)

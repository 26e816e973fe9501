"""ONNX models written node by node, and what they are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from brian_snn.conversion.check import check_against_reference
from brian_snn.conversion.fold import fold
from brian_snn.frontends.onnx.reader import read_layers
from brian_snn.frontends.table import convertible
from brian_snn.network.forward import forward

RNG = np.random.default_rng(0)


def weights(*shape: int, spread: float = 0.5) -> np.ndarray:
    """Return random weights, the same in every run."""
    return np.random.default_rng(sum(shape) + len(shape)).normal(0, spread, shape).astype(np.float32)


class Sketch:
    """A graph in the making: each call of `node` adds one and returns the name of its output."""

    def __init__(self, shape: tuple[int, ...], opset: int = 17, batch: int | str | None = "n") -> None:
        """Begin with the input, called x."""
        self.shape, self.opset, self.batch = shape, opset, batch
        self.nodes: list[Any] = []
        self.stored: list[Any] = []

    def constant(self, values: Any, dtype: Any = None) -> str:
        """Store weights and return their name."""
        self.stored.append(numpy_helper.from_array(np.array(values, dtype), f"w{len(self.stored)}"))
        return self.stored[-1].name

    def node(self, op_type: str, *inputs: Any, n_outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; arrays among the inputs are stored, lists are whole numbers."""
        named = [
            given if isinstance(given, str) else self.constant(given, np.int64 if isinstance(given, list) else None)
            for given in inputs
        ]
        name = f"{op_type.lower()}_{len(self.nodes)}"
        outputs = [f"{name}_out{k or ''}" for k in range(n_outputs)]
        self.nodes.append(helper.make_node(op_type, named, outputs, name=name, **attributes))
        return outputs[0] if n_outputs == 1 else outputs

    def relu_conv(self, source: str, n_in: int, n_out: int = 3) -> str:
        """Add a 3x3 convolution with a ReLU."""
        convolved = self.node("Conv", source, weights(n_out, n_in, 3, 3), weights(n_out), pads=[1] * 4)
        return self.node("Relu", convolved)

    def model(self, output: str | None = None) -> onnx.ModelProto:
        """Return the model, which ends in its last node unless another tensor is named."""
        shape = [self.batch, *self.shape]
        graph = helper.make_graph(
            self.nodes,
            "sketch",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [onnx.ValueInfoProto(name=output or self.nodes[-1].output[0])],
            self.stored,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def images_for(shape: tuple[int, ...], n_images: int = 4) -> np.ndarray:
    """Return random images."""
    return np.random.default_rng(1).uniform(0, 1, (n_images, *shape)).astype(np.float32)


def run(model: onnx.ModelProto, images: np.ndarray, names: list[str] | None = None) -> list[np.ndarray]:
    """Return what onnxruntime makes of images: the outputs, or tensors that are named."""
    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    if names is not None:
        del asked.graph.output[:]
        asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(asked.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})


def converted(model: onnx.ModelProto, images: np.ndarray) -> Any:
    """Return the folded network of a model, which agrees with onnx.reference in every population."""
    network = fold(convertible(read_layers(model)))
    errors = check_against_reference(model, network, images, tolerance=1e-9)
    assert set(errors) == {population.name for population in network.populations}
    return network


def check(model: onnx.ModelProto, images: np.ndarray, channel_axis: int = 1) -> Any:
    """Return the folded network; its output is that of onnxruntime, with the channels last."""
    network = converted(model, images)
    found = list(forward(network, images).values())[-1]
    (expected,) = run(model, images)
    expected = np.moveaxis(expected, channel_axis, -1) if channel_axis != expected.ndim - 1 else expected
    if network.populations[-1].kind == "spiking":
        expected = np.maximum(expected, 0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    return network

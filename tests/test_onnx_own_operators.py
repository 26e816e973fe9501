"""The operators of the reference that are our own, against onnxruntime."""

import numpy as np
import pytest

from brian_snn.frontends.onnx.evaluator import evaluator
from tests.onnx_models import Sketch, images_for, run, weights


def agrees(sketch):
    model, images = sketch.model(), images_for(sketch.shape) - np.float32(0.5)
    (expected,) = run(model, images)
    (found,) = evaluator(model)(None, {"x": images})
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("ceil_mode", [0, 1])
@pytest.mark.parametrize("size", [[2, 2], [3, 2], [3, 3]])
@pytest.mark.parametrize("strides", [[1, 1], [2, 2], [2, 3], [3, 1]])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0]])
def test_pooling(op_type, ceil_mode, size, strides, pads):
    sketch = Sketch((3, 7, 8), 19)
    sketch.node(op_type, "x", kernel_shape=size, strides=strides, pads=pads, ceil_mode=ceil_mode)
    agrees(sketch)


@pytest.mark.parametrize("ceil_mode", [0, 1])
@pytest.mark.parametrize("pads", [[1, 1, 1, 1], [0, 1, 1, 0]])
@pytest.mark.parametrize("strides", [[1, 1], [2, 2], [2, 3]])
def test_averages_that_count_their_padding(ceil_mode, pads, strides):
    sketch = Sketch((3, 7, 8), 19)
    attributes = {"strides": strides, "pads": pads, "ceil_mode": ceil_mode, "count_include_pad": 1}
    sketch.node("AveragePool", "x", kernel_shape=[3, 3], **attributes)
    agrees(sketch)


@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("rule", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("strides", [[1, 1], [2, 2], [3, 2]])
def test_the_usual_paddings(op_type, rule, strides):
    sketch = Sketch((3, 7, 8))
    sketch.node(op_type, "x", kernel_shape=[3, 2], strides=strides, auto_pad=rule)
    agrees(sketch)


@pytest.mark.parametrize("opset", [8, 9, 13, 14, 17])
def test_batch_norms(opset):
    sketch = Sketch((3, 4, 5), opset)
    sketch.node("BatchNormalization", "x", weights(3), weights(3), weights(3), np.abs(weights(3)), epsilon=0.1)
    agrees(sketch)


@pytest.mark.parametrize("shape", [(3, 8), (3, 7, 8)])
def test_global_maxima(shape):
    sketch = Sketch(shape)
    sketch.node("GlobalMaxPool", "x")
    agrees(sketch)


@pytest.mark.parametrize("pads", [[0, 0, 1, 2, 0, 0, 0, 3], [0, 0, -1, 2, 0, 0, 1, -3]])
@pytest.mark.parametrize("opset", [9, 11, 18])
def test_pads(pads, opset):
    sketch = Sketch((3, 4, 5), opset)
    sketch.node("Pad", "x", pads=pads) if opset < 11 else sketch.node("Pad", "x", pads)
    agrees(sketch)

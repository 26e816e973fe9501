"""Transposed convolutions, resizing and leaky activations of ONNX, against onnxruntime."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from brian_snn.errors import ModelError
from tests.onnx_models import Sketch, check, converted, images_for, weights

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


def checked(sketch, **options):
    """Compare a model with onnxruntime."""
    return check(sketch.model(), images_for(sketch.shape), **options)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(PAIRS, PAIRS, PAIRS, st.tuples(PAIRS, PAIRS), st.sampled_from([1, 2]), st.booleans())
def test_transposed_convolutions(size, strides, dilations, pads, groups, longer):
    pads = [min(pad - 1, (k - 1) * d) for pair in pads for pad, k, d in zip(pair, size, dilations, strict=True)]
    further = [int(longer and stride > 1) for stride in strides]
    lengths = [
        (n - 1) * s + (k - 1) * d + 1 + more - pads[i] - pads[i + 2]
        for i, (n, s, k, d, more) in enumerate(zip((4, 3), strides, size, dilations, further, strict=True))
    ]
    assume(min(lengths) > 0)
    sketch = Sketch((2, 4, 3))
    hidden = sketch.relu_conv("x", 2, 4)
    attributes = {"strides": strides, "dilations": dilations, "pads": pads, "output_padding": further, "group": groups}
    sketch.node("Relu", sketch.node("ConvTranspose", hidden, weights(4, 3, *size), weights(3 * groups), **attributes))
    checked(sketch)


def test_a_transposed_convolution_along_time():
    sketch = Sketch((3, 7))
    hidden = sketch.node("Relu", sketch.node("Conv", "x", weights(4, 3, 3), pads=[1, 1]))
    sketch.node("Relu", sketch.node("ConvTranspose", hidden, weights(4, 2, 4), strides=[2], pads=[1, 1]))
    checked(sketch)


RESIZINGS = {
    "torch, nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    "nearest": {"mode": "nearest"},
    "torch, bilinear": {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
    "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
}


@pytest.mark.parametrize("by", ["scales", "sizes"])
@pytest.mark.parametrize("kind", RESIZINGS)
def test_resizing(kind, by):
    sketch = Sketch((2, 4, 3))
    hidden = sketch.relu_conv("x", 2, 4)
    if by == "scales":
        given = ["", np.array([1, 1, 2, 3], np.float32)]
    else:
        given = ["", "", np.array([4, 4, 8, 9], np.int64)]
    resized = sketch.node("Resize", hidden, *given, **RESIZINGS[kind])
    sketch.node("Conv", resized, weights(3, 4, 3, 3))
    if by == "sizes":
        sketch.batch = 4
    checked(sketch)


@pytest.mark.parametrize(
    "attributes",
    [
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        {"mode": "cubic"},
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "ceil"},
    ],
)
def test_another_resizing_is_refused(attributes):
    sketch = Sketch((2, 4, 3))
    sketch.node("Resize", sketch.relu_conv("x", 2), "", np.array([1, 1, 2, 2], np.float32), **attributes)
    with pytest.raises(ModelError, match=r"\(Resize\): it resizes by '(linear|cubic|nearest)' with places"):
        converted(sketch.model(), images_for(sketch.shape))


def test_a_resizing_by_a_half_is_refused():
    sketch = Sketch((2, 4, 4))
    sketch.node("Resize", sketch.relu_conv("x", 2), "", np.array([1, 1, 1.5, 0.5], np.float32), mode="nearest")
    with pytest.raises(ModelError, match="it resizes by the factors 1, 1, 1.5, 0.5; whole factors"):
        converted(sketch.model(), images_for(sketch.shape))


def test_a_threshold_of_zero_is_a_relu():
    sketch = Sketch((2, 5, 6))
    convolved = sketch.node("Conv", "x", weights(4, 2, 3, 3), weights(4))
    sketch.node("Conv", sketch.node("ThresholdedRelu", convolved, alpha=0.0), weights(3, 4, 2, 2))
    checked(sketch)


@pytest.mark.parametrize("op_type", ["LeakyRelu", "PRelu"])
@pytest.mark.parametrize("pooled", [False, True])
def test_leaky_activations(op_type, pooled):
    sketch = Sketch((2, 5, 6))
    convolved = sketch.node("Conv", "x", weights(4, 2, 3, 3), weights(4), pads=[1] * 4)
    if op_type == "PRelu":
        leaky = sketch.node("PRelu", convolved, np.array([0.5, 0.25, 0.0, -0.5], np.float32).reshape(4, 1, 1))
    else:
        leaky = sketch.node("LeakyRelu", convolved, alpha=0.25)
    if pooled:
        leaky = sketch.node("MaxPool", leaky, kernel_shape=[2, 2], strides=[2, 2])
    sketch.node("Conv", leaky, weights(3, 4, 2, 2))
    checked(sketch)


@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("ceil_mode", [0, 1])
@pytest.mark.parametrize("size", [[2, 2], [3, 2]])
@pytest.mark.parametrize("strides", [[1, 1], [2, 3]])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0]])
def test_pools_of_what_may_be_negative(op_type, ceil_mode, size, strides, pads):
    sketch = Sketch((2, 5, 6))
    convolved = sketch.node("Conv", "x", weights(3, 2, 3, 3), weights(3), pads=[1] * 4)
    pooled = sketch.node(op_type, convolved, kernel_shape=size, strides=strides, pads=pads, ceil_mode=ceil_mode)
    sketch.node("Conv", pooled, weights(3, 3, 1, 1))
    if op_type == "MaxPool" and strides == [1, 1] and pads == [1, 1, 1, 1]:
        with pytest.raises(ModelError, match=r"\(MaxPool\): it has . windows over . elements that may be negative"):
            checked(sketch)
    else:
        checked(sketch)

"""Operators of ONNX that move elements about, against onnxruntime and in every population against onnx.reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brian_snn.frontends.onnx.reader import read_layers
from tests.onnx_models import Sketch, check, images_for, weights

SHAPE = (3, 4, 6)


def checked(sketch, **options):
    return check(sketch.model(), images_for(sketch.shape), **options)


def ending_dense(sketch, source, n_in):
    """Check a graph that ends in a dense layer, which depends on where every element is."""
    sketch.node("Gemm", source, weights(n_in, 5), weights(5))
    return checked(sketch)


def test_the_image_keeps_the_shape_that_the_model_takes():
    sketch = Sketch(SHAPE)
    sketch.relu_conv("x", 3)
    network = checked(sketch)
    assert network.input_shape == SHAPE
    assert network.populations[0].shape == (4, 6, 3)


@pytest.mark.parametrize("source", ["image", "populations"])
def test_flattening_keeps_the_order_of_channels_first(source):
    sketch = Sketch(SHAPE)
    tensor = "x" if source == "image" else sketch.relu_conv("x", 3)
    ending_dense(sketch, sketch.node("Flatten", tensor), 72)


@pytest.mark.parametrize("shape", [[-1, 72], [0, -1], [0, 72], [1, 72]], ids=str)
def test_reshapes_to_vectors(shape):
    # A shape in which one image is written down takes one at a time.
    sketch = Sketch(SHAPE, batch=1 if shape[0] == 1 else "n")
    sketch.node("Gemm", sketch.node("Reshape", sketch.relu_conv("x", 3), shape), weights(72, 5))
    model = sketch.model()
    for image in images_for(SHAPE)[:, None]:
        check(model, image)


def test_a_shape_that_is_computed_from_that_of_a_tensor():
    sketch = Sketch(SHAPE, 11)
    hidden = sketch.relu_conv("x", 3)
    n_images = sketch.node("Gather", sketch.node("Shape", hidden), np.int64(0), axis=0)
    shape = sketch.node("Concat", sketch.node("Unsqueeze", n_images, axes=[0]), [-1], axis=0)
    ending_dense(sketch, sketch.node("Reshape", hidden, shape), 72)


def test_a_model_for_a_fixed_number_of_images():
    sketch = Sketch(SHAPE, batch=3)
    sketch.node("Gemm", sketch.node("Reshape", sketch.relu_conv("x", 3), [3, 72]), weights(72, 5))
    from tests.onnx_models import converted, forward, run

    model, images = sketch.model(), images_for(SHAPE, 5)
    network = converted(model, images)
    expected = np.concatenate([run(model, images[:3])[0], run(model, images[2:])[0][1:]])
    np.testing.assert_allclose(list(forward(network, images).values())[-1], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("perm", [[0, 2, 3, 1], [0, 3, 1, 2], [0, 3, 2, 1]])
def test_transposing_moves_nothing_until_the_order_matters(perm):
    sketch = Sketch(SHAPE)
    turned = sketch.node("Transpose", sketch.relu_conv("x", 3), perm=perm)
    assert read_layers(sketch.model()).nodes[-1].operation == "identity"
    ending_dense(sketch, sketch.node("Flatten", turned), 72)


def test_convolutions_in_the_other_layout():
    sketch = Sketch((4, 6, 3))
    turned = sketch.node("Transpose", "x", perm=[0, 3, 1, 2])
    back = sketch.node("Transpose", sketch.relu_conv(turned, 3), perm=[0, 2, 3, 1])
    sketch.node("MatMul", back, weights(3, 2))
    checked(sketch, channel_axis=3)


def test_the_channels_of_a_shuffle():
    sketch = Sketch((4, 3, 5))
    apart = sketch.node("Reshape", sketch.relu_conv("x", 4, 4), [0, 2, 2, 3, 5])
    turned = sketch.node("Transpose", apart, perm=[0, 2, 1, 3, 4])
    together = sketch.node("Reshape", turned, [0, 4, 3, 5])
    sketch.node("Conv", together, weights(2, 4, 2, 2))
    checked(sketch)


@pytest.mark.parametrize("opset", [11, 13])
def test_axes_of_length_one(opset):
    sketch = Sketch((3, 9), opset)

    def change(op_type, source, axes):
        return sketch.node(op_type, source, axes=axes) if opset < 13 else sketch.node(op_type, source, axes)

    wide = change("Unsqueeze", "x", [2])
    hidden = sketch.node("Relu", sketch.node("Conv", wide, weights(4, 3, 1, 3)))
    sketch.node("Conv", change("Squeeze", hidden, [-2]), weights(2, 4, 3))
    checked(sketch)


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_concatenating(axis):
    sketch = Sketch((3, 4, 4))
    turned = sketch.node("Transpose", sketch.relu_conv("x", 3), perm=[0, 1, 3, 2])
    joined = sketch.node("Concat", sketch.relu_conv("x", 3), turned, axis=axis)
    ending_dense(sketch, sketch.node("Flatten", joined), 96)


@pytest.mark.parametrize(
    ("starts", "ends", "axes"), [([1], [3], [1]), ([-2], [2**63 - 1], [3]), ([1, 0], [-1, -2], [2, 3]), ([1], [9], [2])]
)
@pytest.mark.parametrize("opset", [9, 13])
def test_slices(starts, ends, axes, opset):
    sketch = Sketch(SHAPE, opset)
    hidden = sketch.relu_conv("x", 3)
    if opset < 10:
        part = sketch.node("Slice", hidden, starts=starts, ends=ends, axes=axes)
    else:
        part = sketch.node("Slice", hidden, starts, ends, axes)
    n_left = np.zeros((3, 4, 6))[
        tuple(
            slice(*next(((s, e) for s, e, a in zip(starts, ends, axes, strict=True) if a == axis), (0, None)))
            for axis in (1, 2, 3)
        )
    ].size
    ending_dense(sketch, sketch.node("Flatten", part), n_left)


@pytest.mark.parametrize(("opset", "lengths"), [(11, [1, 2]), (13, [2, 1]), (13, None), (18, None)])
def test_splits(opset, lengths):
    sketch = Sketch((4 if lengths is None else 3, 4, 6), opset)
    n = sketch.shape[0]
    inputs = [lengths] if lengths and opset >= 13 else []
    attributes = {"split": lengths} if lengths and opset < 13 else {"num_outputs": 2} if opset >= 18 else {}
    one, other = sketch.node("Split", sketch.relu_conv("x", n, n), *inputs, axis=1, n_outputs=2, **attributes)
    joined = sketch.node("Concat", other, sketch.node("Relu", one), axis=1)
    ending_dense(sketch, sketch.node("Flatten", joined), n * 24)


@pytest.mark.parametrize(("opset", "pads"), [(9, [0, 0, 1, 2, 0, 0, 3, 0]), (13, [0, 1, 0, 1, 0, 0, 2, 0])])
def test_pads(opset, pads):
    sketch = Sketch(SHAPE, opset)
    hidden = sketch.relu_conv("x", 3)
    padded = sketch.node("Pad", hidden, **{"pads": pads}) if opset < 11 else sketch.node("Pad", hidden, pads)
    sketch.node("Conv", padded, weights(2, 3 + pads[1], 3, 3))
    checked(sketch)


def test_pads_of_some_axes_that_cut_too():
    sketch = Sketch(SHAPE, 18)
    padded = sketch.node("Pad", sketch.relu_conv("x", 3), [1, -2, 0, 1], np.float32(0), [2, 3])
    sketch.node("Conv", padded, weights(2, 3, 2, 2))
    checked(sketch)


STEPS = ("conv", "pool", "transpose", "pad", "norm", "sum", "joined")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(STEPS), min_size=1, max_size=4), st.integers(1, 3), st.booleans())
def test_random_graphs(steps, n_channels, flat):
    sketch = Sketch((n_channels, 5, 5))
    tensor = sketch.relu_conv("x", n_channels)
    for step in steps:
        if step == "conv":
            tensor = sketch.relu_conv(tensor, 3)
        elif step == "pool":
            tensor = sketch.node("MaxPool", tensor, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
        elif step == "transpose":
            tensor = sketch.node("Transpose", sketch.relu_conv(tensor, 3), perm=[0, 1, 3, 2])
        elif step == "pad":
            cut = sketch.node("Slice", sketch.node("Pad", tensor, [0, 0, 1, 0, 0, 0, 0, 2]), [0, 1], [5, 6], [2, 3])
            tensor = sketch.relu_conv(cut, 3)
        elif step == "norm":
            positive = np.abs(weights(3)) + 0.2
            norm = sketch.node("BatchNormalization", tensor, weights(3), weights(3), weights(3), positive)
            tensor = sketch.relu_conv(norm, 3)
        elif step == "sum":
            tensor = sketch.node("Relu", sketch.node("Add", tensor, sketch.relu_conv("x", n_channels)))
        else:
            tensor = sketch.relu_conv(sketch.node("Concat", tensor, sketch.relu_conv("x", n_channels), axis=1), 6)
    last = sketch.node("Flatten", tensor) if flat else sketch.node("ReduceMean", tensor, axes=[2, 3], keepdims=0)
    ending_dense(sketch, last, 75 if flat else 3)

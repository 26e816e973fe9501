"""Two sliding maps as one: the merged map does what the two do after one another, whatever their geometry."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brian_snn.conversion.affine import LinearTerm
from brian_snn.conversion.composing import compose_average, compose_window
from brian_snn.conversion.projecting import tight_padding
from brian_snn.errors import ModelError
from brian_snn.network.maps import apply_map, gather_inputs, output_length
from brian_snn.network.records import Geometry, Projection

WINDOWS = settings(max_examples=300, derandomize=True, deadline=None)


@st.composite
def geometries(draw, input_shape, kinds, pads=True):
    """Draw a sliding map of an image: as in Keras with strides or dilation, a pooling without."""
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kind, kernel, strides = draw(st.sampled_from(kinds)), draw(pairs), draw(pairs)
    dilation = draw(pairs) if strides == (1, 1) and kind != "average_pool" else (1, 1)
    padding = tuple(draw(st.tuples(st.integers(0, 2), st.integers(0, 2))) if pads else (0, 0) for _ in range(2))
    lengths = [output_length(*axis) for axis in zip(input_shape[:2], kernel, strides, dilation, padding, strict=True)]
    n_in = input_shape[2]
    n_out = {"average_pool": n_in, "depthwise": 2 * n_in}.get(kind, 3)
    if min(lengths) < 1:
        return draw(geometries(input_shape, kinds, pads))
    geometry = Geometry(kind, input_shape, (*lengths, n_out), kernel, strides, dilation, padding)
    return replace(geometry, padding=tight_padding(geometry))


@st.composite
def pairs_of_maps(draw, kinds, pads=True):
    """Draw a convolution and a map of what it yields."""
    first = draw(geometries((draw(st.integers(3, 9)), draw(st.integers(3, 9)), 2), ["conv2d", "depthwise"]))
    return first, draw(geometries(first.output_shape, kinds, pads))


def merged_output(term, images):
    """Apply a term to images that its population, here the pixels, holds."""
    projection = Projection(term.source, "", term.geometry, term.weights, term.source_index, term.target_index)
    return apply_map(term.geometry, term.weights, gather_inputs(projection, images))


def term_of(geometry, rng):
    """Return a map of pixels with whole weights, so that sums are exact."""
    weights = rng.integers(-4, 5, geometry.weights_shape).astype(float)
    return LinearTerm("pixels", geometry.n_in, geometry, weights)


@WINDOWS
@given(pair=pairs_of_maps(["conv2d", "depthwise"]), seed=st.integers(0, 999))
def test_two_convolutions_are_one_or_refused(pair, seed):
    first, second = pair
    rng = np.random.default_rng(seed)
    term, kernel = term_of(first, rng), rng.integers(-4, 5, second.weights_shape).astype(float)
    images = rng.integers(-4, 5, (2, *first.input_shape)).astype(float)
    expected = apply_map(second, kernel, apply_map(first, term.weights, images))
    try:
        merged = compose_window(term, second, kernel, "second", "first")
    except ModelError:
        # With zeros around, the first map would yield more than the second reads.
        assert any(second.padding[0] + second.padding[1])
        return
    assert max(merged.geometry.strides) == 1 or max(merged.geometry.dilation) == 1
    np.testing.assert_array_equal(merged_output(merged, images), expected)


@WINDOWS
@given(pair=pairs_of_maps(["average_pool"], pads=False), seed=st.integers(0, 999))
def test_an_average_of_a_convolution_is_one(pair, seed):
    first, second = pair
    rng = np.random.default_rng(seed)
    term, images = term_of(first, rng), rng.integers(-4, 5, (2, *first.input_shape)).astype(float)
    merged = compose_average(term, second, "second", "first")
    assert merged.geometry.kind == first.kind
    sums = apply_map(second, np.ones(second.output_shape), apply_map(first, term.weights, images))
    np.testing.assert_allclose(merged_output(merged, images) * np.prod(second.kernel_size), sums, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("kernel", "strides"), [((1, 1), (1, 1)), ((2, 2), (2, 2)), ((1, 1), (2, 2))], ids=["1x1", "blocks", "every second"]
)
def test_a_second_map_may_pad_where_the_first_has_no_window(kernel, strides, rng):
    n_windows = (7 - kernel[0]) // strides[0] + 1
    first = Geometry("conv2d", (7, 7, 2), (n_windows, n_windows, 3), kernel, strides)
    second = Geometry("conv2d", first.output_shape, first.output_shape, (3, 3), padding=((1, 1), (1, 1)))
    term, weights = term_of(first, rng), rng.integers(-4, 5, second.weights_shape).astype(float)
    images = rng.integers(-4, 5, (2, 7, 7, 2)).astype(float)
    merged = compose_window(term, second, weights, "second", "first")
    expected = apply_map(second, weights, apply_map(first, term.weights, images))
    np.testing.assert_array_equal(merged_output(merged, images), expected)

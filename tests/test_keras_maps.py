"""Keras' layers in float64 against matrices made entry by entry from the definition of each map."""

import numpy as np
import pytest

from brian_snn.errors import ModelError
from brian_snn.frontends.keras.maps import keras_projection
from brian_snn.network.records import Geometry, Projection
from tests.small_network import projection_matrix, to_grid

GEOMETRIES = {
    "dense": Geometry("dense", (7,), (5,)),
    "identity": Geometry("identity", (3, 2, 2), (3, 2, 2)),
    "valid": Geometry("conv2d", (5, 6, 2), (3, 5, 3), (3, 2)),
    "same, stride 2": Geometry("conv2d", (5, 6, 2), (3, 3, 3), (3, 3), (2, 2), padding=((1, 1), (0, 1))),
    "stride 2 x 1": Geometry("conv2d", (5, 6, 2), (2, 5, 3), (3, 2), (2, 1)),
    "dilation": Geometry("conv2d", (7, 6, 2), (3, 4, 3), (3, 2), dilation=(2, 2)),
    "groups": Geometry("conv2d", (4, 4, 4), (3, 3, 6), (2, 2), groups=2),
    "depthwise": Geometry("depthwise", (4, 5, 3), (3, 4, 3), (2, 2)),
    "multiplier 2": Geometry("depthwise", (4, 5, 3), (2, 2, 6), (3, 3), (2, 2), padding=((1, 0), (0, 1))),
    "depthwise, stride 2 x 1": Geometry("depthwise", (5, 4, 2), (2, 3, 2), (3, 2), (2, 1)),
    "depthwise, dilation": Geometry("depthwise", (5, 6, 2), (3, 4, 2), (2, 2), dilation=(2, 2)),
    "average, same": Geometry("average_pool", (5, 5, 2), (3, 3, 2), (2, 2), (2, 2), padding=((0, 1), (0, 1))),
    "average, stride 1 x 2": Geometry("average_pool", (4, 5, 2), (3, 2, 2), (2, 3), (1, 2)),
}


def applied(projection, activity, target_size):
    """Return what Keras and what the matrix make of an activity."""
    matrix = projection_matrix(projection, projection.weights, activity[0].size, target_size)
    return keras_projection(projection, target_size)(activity), activity.reshape(len(activity), -1) @ matrix


@pytest.mark.parametrize("name", GEOMETRIES)
def test_maps_of_counts_are_exact(name, rng):
    geometry = GEOMETRIES[name]
    weights = to_grid(rng.normal(size=geometry.weights_shape))
    counts = rng.integers(0, 300, (2, *geometry.input_shape))
    ours, expected = applied(Projection("a", "b", geometry, weights), counts, geometry.n_out)
    np.testing.assert_array_equal(ours, expected)


def test_indices_gather_and_scatter(rng):
    geometry = GEOMETRIES["dense"]
    weights = to_grid(rng.normal(size=(7, 5)))
    source_index = np.array([3, -1, 10, 0, 7, 8, 4], np.int32)
    projection = Projection("a", "b", geometry, weights, source_index, np.array([8, 2, 0, 5, 6], np.int32))
    ours, expected = applied(projection, rng.integers(0, 300, (3, 12)), 9)
    np.testing.assert_array_equal(ours, expected)


def test_max_pooling_leaves_the_padding_out(rng):
    geometry = Geometry("max_pool", (5, 4, 2), (3, 2, 2), (2, 3), (2, 2), padding=((0, 1), (1, 0)))
    projection = Projection("a", "b", geometry, None)
    counts = rng.integers(0, 300, (2, 5, 4, 2))
    matrix = projection_matrix(projection, None, 40, 12)
    expected = (counts.reshape(2, 40, 1) * matrix).max(axis=1)
    np.testing.assert_array_equal(keras_projection(projection, 12)(counts), expected)


def test_a_geometry_with_the_wrong_output_is_named(rng):
    projection = Projection("first", "second", Geometry("conv2d", (4, 4, 1), (2, 2, 1), (2, 2)), np.ones((2, 2, 1, 1)))
    project = keras_projection(projection, 4)
    with pytest.raises(ModelError, match="'first' -> 'second'.*conv2d"):
        project(np.ones((1, 4, 4, 1)))

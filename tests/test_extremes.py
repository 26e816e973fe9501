"""Numbers near the ends of float64: an error in words, or results that are finite and verified; never a NaN."""

import warnings
from fractions import Fraction

import keras
import numpy as np
import pytest
from brian2 import second
from hypothesis import given, settings
from hypothesis import strategies as st

from brian_snn import convert, simulate, verify
from brian_snn.conversion.normalise import normalise, round_to_grid
from brian_snn.datasets import check_images, load_images
from brian_snn.errors import BrianSnnError, DataError, ModelError, SettingError
from brian_snn.network.forward import image_parts, input_currents
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.settings import Settings

GRID = 2.0**-24
EXTREMES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 1e308, -1e308, 5e-324, 1e9, -1e9, 1e15, 2.0**29, 1e150, 1e-150, 1e300]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1e6, 1e6),
    st.floats(-2, 2),
)


def two_layers(first, second, bias, grid=GRID):
    """Return a network of three inputs, two spiking neurons and two outputs."""
    populations = (
        Population("hidden", "spiking", (2,), np.array(bias[:2], float), 1),
        Population("out", "readout", (2,), np.array(bias[2:], float), 2),
    )
    projections = (
        Projection(INPUT, "hidden", Geometry("dense", (3,), (2,)), np.array(first, float).reshape(3, 2)),
        Projection("hidden", "out", Geometry("dense", (2,), (2,)), np.array(second, float).reshape(2, 2)),
    )
    return round_to_grid(Network(populations, projections, (3,)), grid)


def lists(n):
    """Return the strategy of `n` numbers, most of them extreme or most of them usual."""
    return st.one_of(st.lists(EXTREMES, min_size=n, max_size=n), st.lists(st.floats(-2, 2), min_size=n, max_size=n))


@given(
    pixels=lists(6), first=lists(6), second=lists(4), bias=lists(4), v_init=st.one_of(st.just(0.0), EXTREMES),
    threshold=st.one_of(st.just(1.0), EXTREMES), reset=st.sampled_from(["subtraction", "zero"]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_a_simulation_is_refused_or_finite_and_verified(pixels, first, second, bias, v_init, threshold, reset):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            network = two_layers(first, second, bias)
            images = np.array(pixels).reshape(2, 3)
            options = {"v_init": v_init, "threshold": threshold, "reset": reset, "backend": "runtime"}
            result = simulate(network, images, steps=4, **options)
        except BrianSnnError:
            return
    for arrays in (result.potentials, result.charge, result.booked["surplus"]):
        assert all(np.isfinite(array).all() for array in arrays.values())
    assert np.isfinite(result.logits).all()
    assert verify(result).holds.all()


@given(pixels=lists(4), kernel=lists(4), biases=lists(3), last=lists(2))
@settings(max_examples=25, deadline=None)
def test_a_conversion_is_refused_or_finite(pixels, kernel, biases, last):
    stack = [keras.layers.Dense(2, activation="relu", dtype="float64"), keras.layers.Dense(1, dtype="float64")]
    model = keras.Sequential([keras.Input((2,), dtype="float64"), *stack])
    arrays = [np.reshape(kernel, (2, 2)), biases[:2], np.reshape(last, (2, 1)), biases[2:]]
    model.set_weights([np.array(array, float) for array in arrays])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            network = convert(model, np.array(pixels).reshape(2, 2))
        except BrianSnnError:
            return
    for array in [p.bias for p in network.populations] + [p.weights for p in network.projections]:
        assert np.isfinite(array).all()
    assert all(np.isfinite(population.scale) and population.scale > 0 for population in network.populations)


@pytest.mark.parametrize("pixel", [1e308, -1e308, 1.7e308, 1e200])
@pytest.mark.parametrize("weight", [1.0, 100.0, 2.0**-24])
def test_a_huge_pixel_is_refused_by_name(pixel, weight):
    network = two_layers([weight] * 6, [1] * 4, [0] * 4)
    with pytest.raises((DataError, SettingError), match="population 'hidden'"):
        simulate(network, [[pixel, 0, 0]], steps=3, backend="runtime")


def test_pixels_that_cancel_are_refused_where_they_overflow():
    network = two_layers([1, 1, -1, -1, 0, 0], [1] * 4, [0] * 4)
    with pytest.raises(DataError, match=r"images have pixels of up to 1e\+308.*population 'hidden'"):
        simulate(network, [[1e308, 1e308, 0.5]], steps=3, backend="runtime")


@pytest.mark.parametrize("size", [1e3, 1e5, 1e6])
def test_currents_of_pixels_that_cancel_are_exact(size):
    """Sums of Fractions, which never round, against sums of parts."""
    rng = np.random.default_rng(7)
    pixels = rng.normal(size=(3, 40)) * size
    weights = np.round(rng.normal(size=(40, 2)) / GRID) * GRID
    # What the first 39 pixels bring to the first neuron, the last one takes away but for a little.
    weights[39] = 1.0
    pixels[:, 39] = -(pixels[:, :39] @ weights[:39, 0]) + rng.uniform(0, 3, 3)
    geometry = Geometry("dense", (40,), (2,))
    population = Population("out", "readout", (2,), np.zeros(2), 1)
    network = Network((population,), (Projection(INPUT, "out", geometry, weights),), (40,), grid=GRID)
    for image, current in zip(pixels, input_currents(network, pixels)["out"], strict=True):
        exact = [sum(Fraction(x) * Fraction(w) for x, w in zip(image, column, strict=True)) for column in weights.T]
        assert [float(round(value / Fraction(GRID))) * GRID for value in exact] == list(np.round(current / GRID) * GRID)


@given(pixels=st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=6), weight=st.floats(2.0**-24, 100))
def test_the_parts_of_an_image_add_up_to_it_and_are_its_own(pixels, weight):
    network, images = two_layers([weight] * 6, [1] * 4, [0] * 4), np.array(pixels).reshape(2, 3)
    parts = image_parts(network, images)
    for values in zip(images.ravel(), *(part.ravel() for part in parts), strict=True):
        assert Fraction(values[0]) == sum(Fraction(value) for value in values[1:])
    for k in range(2):
        alone = image_parts(network, images[k : k + 1])
        padded = [*alone, *([np.zeros((1, 3))] * (len(parts) - len(alone)))]
        assert all(np.array_equal(part[k], own[0]) for part, own in zip(parts, padded, strict=True))


@pytest.mark.parametrize("pixels", [[[1e308, 1e308]], [[-1e308, 1e308]], [[1e200, -1e200]]])
def test_huge_calibration_images_are_named(pixels):
    geometry = Geometry("dense", (2,), (1,))
    network = Network(
        (Population("out", "spiking", (1,), np.zeros(1), 1),),
        (Projection(INPUT, "out", geometry, np.array([[1e200], [1e200]])),),
        (2,),
    )
    with pytest.raises(DataError, match=r"calibration images, with pixels of up to 1e\+.*population 'out'"):
        normalise(network, np.array(pixels))


def test_a_scale_too_small_to_divide_by_is_named():
    geometry = Geometry("dense", (2,), (1,))
    population = Population("tiny", "spiking", (1,), np.array([5e-324]), 1)
    projection = Projection(INPUT, "tiny", geometry, np.array([[5e-324], [1e3]]))
    with pytest.raises(ModelError, match="-> 'tiny', weights: finite numbers in float64 were expected"):
        normalise(Network((population,), (projection,), (2,)), np.array([[1.0, 0.0]]))


@pytest.mark.parametrize("grid", [2.0**-1074, 2.0**-1050])
def test_a_grid_on_which_weights_overflow_is_named(grid):
    with pytest.raises(ModelError, match="'hidden'.*(multiples of the grid|finite numbers in float64)"):
        two_layers([1] * 6, [1] * 4, [0] * 4, grid)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"threshold": 1e308}, "threshold is 1e"),
        ({"v_init": -1e308}, "v_init is -1e"),
        ({"threshold": 10**400}, "threshold has 401 digits"),
        ({"steps": 10**400}, "it must be at most 2147483647"),
        ({"steps": 1e308}, "it must be at most 2147483647"),
        ({"clamp": 2**31}, "it must be at most 2147483647"),
        ({"threshold": 1e290}, "population 'hidden'|could gather"),
        ({"v_init": 1e290}, "could gather a charge of"),
        ({"v_init": 1e290, "float_type": "float32"}, "could gather a charge of"),
    ],
)
def test_extreme_settings_are_named(options, match):
    with pytest.raises(SettingError, match=match):
        simulate(
            two_layers([1e20] * 6, [1] * 4, [0] * 4), np.zeros((1, 3)), **{"steps": 3, "backend": "runtime"} | options
        )


def test_a_time_step_without_an_inverse_is_refused():
    with pytest.raises(SettingError, match="dt is 5e-324 s"):
        Settings(dt=5e-324 * second)


@pytest.mark.parametrize("value", [np.longdouble("1e400"), -np.longdouble("1e400")])
def test_images_that_float64_does_not_hold_are_refused(value):
    if not np.isfinite(value):
        pytest.skip("numpy has no wider type here")
    with pytest.raises(DataError, match="hold 1 NaN or infinite pixels in 1 of 2 images"):
        check_images(np.array([[1, 2], [value, 3]], np.longdouble), (2,))


def test_images_that_overflow_when_divided_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((2, 3)))
    with pytest.raises(DataError, match="overflow when divided by 5e-324"):
        load_images(tmp_path / "x.npy", divide_by=5e-324)


@pytest.mark.parametrize("label", [np.nan, np.inf, -np.inf, 1e308, 0.5])
def test_labels_that_are_no_classes_are_refused(tmp_path, label):
    np.savez(tmp_path / "x.npz", x=np.ones((2, 3)), y=np.array([0.0, label]))
    with pytest.raises(DataError, match="not all whole numbers"):
        load_images(tmp_path / "x.npz")

"""Networks made by hand are asked what networks from files are: the first thing that is wrong is said and named."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from brian_snn import simulate
from brian_snn.conversion.fold import fold
from brian_snn.conversion.normalise import round_to_grid
from brian_snn.errors import ModelError
from brian_snn.frontends.keras.reader import read_model
from brian_snn.network.forward import forward
from brian_snn.network.maps import apply_map
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, LayerPath, Population, Projection
from brian_snn.network.synapses import fan_out, synapses
from tests.models import HAND_PICKED
from tests.small_network import GRID, STEPS, differences, loop_result, small_images, small_network

FLAT, WINDOW = Geometry("dense", (4,), (3,)), Geometry("conv2d", (5, 4, 2), (3, 2, 6), (3, 3))


def population(name="layer", kind="spiking", shape=(3,), bias=None, depth=1, **fields):
    return Population(name, kind, shape, np.zeros(shape) if bias is None else bias, depth, **fields)


def projection(source=INPUT, target="layer", geometry=FLAT, weights=None, **fields):
    weights = np.ones(geometry.weights_shape) if weights is None else weights
    return Projection(source, target, geometry, weights, **fields)


def network(populations=None, projections=None, input_shape=(4,), **fields):
    return Network(
        populations or (population(),), projections or (projection(),), input_shape, **{"grid": GRID} | fields
    )


def pooled(kernel, windows=(1, 1), pixels=(1, 1), **fields):
    """Return a projection that averages windows of a map with one channel."""
    return projection("a", geometry=Geometry("average_pool", (*pixels, 1), (*windows, 1), kernel, **fields))


def chain(*populations):
    """Return these, and projections from each to the next."""
    dense = Geometry("dense", (3,), (3,))
    links = [projection(a.name, b.name, dense) for a, b in itertools.pairwise(populations)]
    return populations, (projection(target=populations[0].name), *links)


WRONG = {
    "a map of no kind": (lambda: Geometry("fft", (4,), (4,)), "of kind 'fft'; .*dense, conv2d"),
    "a shape with a fraction": (lambda: Geometry("dense", (4.0,), (3,)), r"a dense map has the shape \(4\.0,\)"),
    "a shape that is a number": (lambda: Geometry("dense", 4, (3,)), "a dense map has the shape 4"),
    "a negative stride": (lambda: replace(WINDOW, strides=(1, -1)), "a conv2d map: strides is -1"),
    "one stride": (lambda: replace(WINDOW, strides=(1,)), r"a conv2d map: strides is \(1,\)"),
    "a negative padding": (lambda: replace(WINDOW, padding=((0, -1), (0, 0))), "padding is -1"),
    "no groups": (lambda: replace(WINDOW, groups=0), "groups is 0"),
    "a flag for a number": (lambda: replace(WINDOW, groups=True), "groups is True"),
    "a window over a flat input": (lambda: replace(FLAT, kind="conv2d"), "rows, columns and channels"),
    "an identity of another shape": (lambda: Geometry("identity", (4,), (3,)), r"maps \(4,\) to \(3,\)"),
    "windows that do not fit": (
        lambda: projection(geometry=replace(WINDOW, strides=(2, 1))),
        "'layer': 3 windows do not",
    ),
    "channels that do not fit": (lambda: projection(geometry=replace(WINDOW, groups=4)), "2 channels do not go into 6"),
    "no inputs": (lambda: projection(geometry=Geometry("dense", (0,), (3,))), "'layer' has the shape"),
    "no geometry": (lambda: Projection(INPUT, "layer", None, np.ones(3)), "its geometry is None"),
    "a target that is none": (lambda: projection(target=None), "called by their names"),
    "no weights": (lambda: Projection(INPUT, "layer", FLAT, None), "the image -> 'layer', weights: finite numbers"),
    "weights of another shape": (
        lambda: projection(weights=np.ones((3, 4))),
        r"weights: .*\(4, 3\) but \(3, 4\)",
    ),
    "weights of NaN": (lambda: projection(weights=np.full((4, 3), np.nan)), "'layer', weights: .*NaN"),
    "infinite weights": (lambda: projection(weights=np.full((4, 3), np.inf)), "'layer', weights: .*infinite"),
    "complex weights": (lambda: projection(weights=np.ones((4, 3), complex)), "'layer', weights: .*not complex128"),
    "weights that are text": (lambda: projection(weights=[["1"] * 3] * 4), "'layer', weights: .*not <U1"),
    "ragged weights": (lambda: projection(weights=[[1.0] * 3, [1.0]]), "'layer', weights: .*rows of one length"),
    "weights of a maximum": (
        lambda: projection(geometry=Geometry("max_pool", (2, 2, 1), (1, 1, 1), (2, 2)), weights=np.ones(1)),
        "a maximum has no weights",
    ),
    "an index with fractions": (lambda: projection(source_index=np.arange(4.0)), "source_index: 4 neurons"),
    "an index that is too short": (lambda: projection(source_index=[0, 1]), "source_index: 4 neurons"),
    "an index of a neuron twice": (
        lambda: projection(source_index=[0, 1, 1, 2]),
        "a neuron is there twice",
    ),
    "a target before the first": (lambda: projection(target_index=[0, 1, -1]), "target_index: 3 neurons"),
    "an index beyond 32 bits": (lambda: projection(source_index=[0, 1, 2, 2**40]), "source_index: 4 neurons"),
    "a name that is a number": (lambda: population(name=3), "population 3: its name must be text"),
    "a kind that is none": (lambda: population(kind="LIF"), "population 'layer': its kind is 'LIF'"),
    "a bias of another shape": (lambda: population(bias=np.zeros(4)), r"population 'layer', bias: .*\(3,\) but \(4,\)"),
    "a bias of NaN": (lambda: population(bias=[0, 0, np.nan]), "population 'layer', bias: .*NaN"),
    "a maximum with a bias": (lambda: population(kind="max_pool", bias=np.ones(3)), "'layer': its bias is not zero"),
    "no bias": (lambda: Population("layer", "spiking", (3,), None, 1), "population 'layer', bias: finite numbers"),
    "a negative scale": (lambda: population(scale=-1.0), "population 'layer': its scale is -1.0"),
    "a scale of NaN": (lambda: population(scale=np.nan), "population 'layer', scale: .*NaN"),
    "too many scales": (lambda: population(scale=np.ones(2)), "population 'layer': its scale is"),
    "a ceiling of zero": (lambda: population(ceiling=0), "population 'layer': its ceiling is 0"),
    "a ceiling that is text": (lambda: population(ceiling="6"), "population 'layer': its ceiling"),
    "a depth with a fraction": (lambda: population(depth=1.5), "population 'layer': its depth is 1.5"),
    "a reference that is text": (lambda: population(reference="conv"), "population 'layer': its reference is 'conv'"),
    "no populations": (lambda: Network((), (), (4,)), "there are no populations"),
    "populations that are none": (lambda: Network(("a",), (), (4,)), "'a' is no Population"),
    "an empty image": (lambda: network(input_shape=()), "the image has the shape"),
    "equal names": (
        lambda: network(*chain(population("a"), population("a", depth=2))),
        "there are two populations 'a'|its source",
    ),
    "equal names without projections": (lambda: network((population(), population())), "two populations 'layer'"),
    "the wrong order": (
        lambda: network(
            (population("b", depth=2), population("a")),
            (projection(target="a"), projection("a", "b", Geometry("dense", (3,), (3,)))),
        ),
        "'a' -> 'b': its source is no population before it",
    ),
    "a source that is none": (lambda: network(projections=(projection("x"),)), "'x' -> 'layer': its source is no"),
    "a target that is no population": (lambda: network(projections=(projection(target="x"),)), r"lead to \['x'\]"),
    "a wrong depth": (lambda: network((population(depth=2),)), "'layer': its depth is 2, its longest path has 1"),
    "an input that is too small": (lambda: network(input_shape=(3,)), "'layer', source_index: it is missing"),
    "an index beyond the source": (
        lambda: network(projections=(projection(source_index=[0, 1, 2, 4]),)),
        "'layer', source_index: 4 neurons from 0 to 3",
    ),
    "an index beyond the target": (
        lambda: network(projections=(projection(target_index=[0, 1, 3]),)),
        "'layer', target_index: 3 neurons from 0 to 2",
    ),
    "a maximum of the image": (
        lambda: network(
            (population(kind="max_pool", shape=(1, 1, 1), depth=0),),
            (Projection(INPUT, "layer", Geometry("max_pool", (2, 2, 1), (1, 1, 1), (2, 2)), None),),
        ),
        "the image has none",
    ),
    "a map into a maximum": (lambda: network((population(kind="max_pool", depth=0),)), "a dense map leads to"),
    "weights off the grid": (
        lambda: network(projections=(projection(weights=np.full((4, 3), 0.1)),)),
        "'layer', weights: .*grid",
    ),
    "a bias off the grid": (lambda: network((population(bias=[0, 0, 0.1]),)), "'layer', bias: .*grid"),
    "a grid that is no power of two": (lambda: network(grid=0.1), "grid is 0.1"),
    "a negative grid": (lambda: network(grid=-0.5), "grid is -0.5"),
    "a grid of NaN": (lambda: network(grid=np.nan), "grid: .*NaN"),
    "an unknown normalisation": (lambda: network(normalisation="batch"), "normalisation is 'batch'"),
    "a padding of a dense map": (lambda: replace(FLAT, padding=((1, 0), (0, 0))), "padding is .*which it has not"),
    "a kernel of an identity": (
        lambda: Geometry("identity", (4,), (4,), kernel_size=(2, 1)),
        r"kernel_size is \(2, 1\), which it has not",
    ),
    "groups of a pool": (
        lambda: Geometry("max_pool", (4, 4, 2), (2, 2, 2), (2, 2), groups=2),
        "a max_pool map: groups is 2, which it has not",
    ),
    **{
        f"{name} of {number}": (
            lambda name=name, number=number: replace(WINDOW, **{name: (1, number)}),
            f"a conv2d map: {name} is .*a whole number of at least 1, up to 2",
        )
        for name in ("kernel_size", "strides", "dilation")
        for number in (0, -1, 2**30 + 1, 2**31, 2**32 - 1, 2**33, 2**64, True, 0.5, np.nan, "1", None)
    },
    "a padding past 32 bits": (lambda: replace(WINDOW, padding=((2**31, 0), (0, 0))), "padding is 2147483648"),
    "too many axes": (lambda: Geometry("dense", (1,) * 17, (3,)), "has the shape"),
    "too many elements": (lambda: Geometry("dense", (2**16, 2**15), (3,)), "less than 2.*31 elements"),
    "a shape past 32 bits": (lambda: population(shape=(2**31,), bias=np.zeros(1)), "has the shape"),
    "too much padding along an axis": (
        lambda: projection(geometry=replace(WINDOW, padding=((2**30, 0), (0, 0)))),
        "along an axis of 10737418",
    ),
    "a pool that is larger than any image": (
        lambda: pooled((20_000, 20_000), padding=((9_999, 10_000), (9_999, 10_000))),
        "windows reach over",
    ),
    "more windows and elements than are listed": (
        lambda: pooled((1, 20_000), (1, 20_000), (1, 20_000), padding=((0, 0), (9_999, 10_000))),
        "20000 windows of 20000 elements",
    ),
    "padding that takes memory": (
        lambda: pooled((1, 1), (2, 2), strides=(20_000, 20_000), padding=((0, 20_000), (0, 20_000))),
        r"reach over \(20001, 20001\) rows",
    ),
    "too many neurons": (
        lambda: network(input_shape=(3, 715_827_882)),
        "pixels and neurons together are more than 2",
    ),
    "a flag for a ceiling": (lambda: population(ceiling=True), "'layer': its ceiling is True"),
    "a flag for a grid": (lambda: network(grid=True), "grid is True"),
    "a percentile above 100": (lambda: network(percentile=100.5), "percentile is 100.5"),
    "half a character in a name": (lambda: population(name="a\ud800"), "its name must be text, in whole characters"),
    "half a character in a target": (lambda: projection(target="\ud800"), "called by their names, which must be text"),
    "half a character in a reference": (
        lambda: population(reference=(LayerPath(("conv", "\udc80")),)),
        "a name in its reference must be text",
    ),
    "a number in a reference": (lambda: population(reference=(LayerPath((3,)),)), "a name in its reference must be"),
    "a reference to half a use": (lambda: population(reference=(LayerPath(("a",), 0.5),)), "the use in its reference"),
    "a reference without names": (lambda: population(reference=(LayerPath("a"),)), "a name in its reference must be"),
    "provenance that is a list": (lambda: network(provenance=["a"]), r"provenance is \['a'\]"),
    "provenance with a number": (lambda: network(provenance={"a": 3}), "an entry of provenance must be text"),
    "provenance with half a character": (lambda: network(provenance={"\ud800": "a"}), "an entry of provenance must be"),
    "a readout that is read": (
        lambda: network(*chain(population("a", "readout"), population("b", depth=2))),
        "'a': it is a readout, which sends no spikes",
    ),
    "two readouts": (
        lambda: network((population("a", "readout"), population("b", "readout")), (projection(target="a"),)),
        "'a': it is a readout, which sends no spikes",
    ),
    "a maximum of nothing": (
        lambda: network((population("a"), population("b", "max_pool", depth=0)), (projection(target="a"),)),
        "'b': no projection leads to it",
    ),
    "a pixel that is weighed": (
        lambda: network((population(kind="poisson", depth=0),)),
        "'layer': a population of kind poisson has the image as its only input",
    ),
    "pixels without an image": (
        lambda: network((population("a"), population("b", "poisson", depth=0)), (projection(target="a"),)),
        "'b': a population of kind poisson has the image as its only input",
    ),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_what_no_conversion_makes_is_refused(make, message):
    with pytest.raises(ModelError, match=message):
        make()


def remade(change):
    """Return the small network with a change to every array and shape in it."""
    small = small_network()
    populations = [
        Population(p.name, p.kind, list(map(np.int64, p.shape)), change(p.bias), np.int64(p.depth))
        for p in small.populations
    ]
    projections = [
        Projection(
            p.source,
            p.target,
            replace(p.geometry, input_shape=list(p.geometry.input_shape), strides=list(p.geometry.strides)),
            None if p.weights is None else change(p.weights),
            None if p.source_index is None else p.source_index.astype(">i8"),
            None if p.target_index is None else p.target_index.tolist(),
        )
        for p in small.projections
    ]
    return Network(populations, projections, [5, 4, 2], grid=np.float32(GRID))


CHANGES = {
    "lists": lambda array: array.tolist(),
    "another byte order": lambda array: array.astype(">f8"),
    "every other element of more": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "the other order": np.asfortranarray,
    "read-only": lambda array: np.broadcast_to(array, array.shape),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_arrays_of_other_kinds_become_those_of_the_records(change):
    made, images = remade(change), small_images()
    arrays = [p.bias for p in made.populations] + [p.weights for p in made.projections if p.weights is not None]
    assert all(a.dtype == np.float64 and a.dtype.isnative and a.flags.c_contiguous for a in arrays)
    result = simulate(made, images, steps=STEPS, backend="runtime")
    assert differences(result, loop_result(small_network(), images)) == []


@pytest.mark.parametrize("dtype", ["f4", "f2", "i8", "u1", "?"])
def test_other_numbers_become_float64(dtype):
    made = network((population(bias=np.ones(3, dtype)),), (projection(weights=np.ones((4, 3), dtype)),))
    assert forward(made, np.ones((1, 4)))["layer"].tolist() == [[5.0, 5.0, 5.0]]


def test_an_index_may_hold_constant_zeros():
    made = network(projections=(projection(source_index=[-1, 3, -1, 0]),))
    assert forward(made, np.array([[1.0, 2.0, 4.0, 8.0]]))["layer"].tolist() == [[9.0, 9.0, 9.0]]


@pytest.mark.parametrize("backend", ["runtime", "standalone"])
def test_what_is_on_no_grid_is_not_simulated(backend):
    drafted = replace(small_network(), grid=0.0)
    with pytest.raises(ModelError, match=r"on no grid .*round_to_grid"):
        simulate(drafted, small_images(), steps=STEPS, backend=backend)
    result = simulate(round_to_grid(drafted, GRID), small_images(), steps=STEPS, backend="runtime")
    assert differences(result, loop_result(small_network(), small_images())) == []


@pytest.mark.parametrize("name", HAND_PICKED)
def test_a_folded_network_holds_what_is_asked(name):
    folded = fold(read_model(HAND_PICKED[name]()))
    assert replace(folded).grid == 0
    assert all(isinstance(path, LayerPath) for p in folded.populations for path in p.reference)


def test_long_values_are_cut_short_in_messages():
    with pytest.raises(ModelError) as error:
        population(kind="x" * 10**6)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("pixels", [1, 4])
def test_a_window_that_is_mostly_padding_is_no_work(pixels):
    """Each of a million elements of the kernel is passed over that meets no pixel."""
    around = (1_000, 1_000)
    kernel = (pixels + 2_000, pixels + 2_000)
    pool = pooled(kernel, pixels=(pixels, pixels), padding=(around, around))
    x = np.arange(1.0, pixels**2 + 1).reshape(1, pixels, pixels, 1)
    assert apply_map(pool.geometry, pool.weights, x).tolist() == [[[[x.sum()]]]]
    assert fan_out(pool, pixels**2).tolist() == [1] * pixels**2


def test_a_mean_over_all_of_a_large_image_is_listed():
    """Positions times elements would be 10**12."""
    pre, post, index = synapses(pooled((1000, 1000), pixels=(1000, 1000)), 10**6)
    assert np.array_equal(pre, np.arange(10**6)) and not post.any() and not index.any()

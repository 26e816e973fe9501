"""Networks in files whose parts do not fit each other: refused in words, or simulated alike by all who simulate.

A small network is changed in its file, in one place or in two, and loaded. What is not refused is simulated in process
and by plain loops over matrices. The maps are also compiled, many in one program, with the address sanitiser and that
for undefined behaviour, as shared kernels and as explicit synapses: no report, and the same spikes.
"""

import copy
import json
import math
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from brian_snn import simulate
from brian_snn.backends import compiler
from brian_snn.errors import BrianSnnError, DataError, ModelError, SimulationError
from brian_snn.network.file import load_network
from brian_snn.network.maps import output_length
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.simulation import topology
from tests.small_network import GRID, STEPS, differences, loop_result, to_grid

FIELDS = ("kernel_size", "strides", "dilation", "padding", "groups", "input_shape", "output_shape")
NUMBERS = (-(2**31), -1, 0, 1, 2, 3, 4, 5, 7, 100, 2**15, 2**20, 2**30, 2**31 - 1, 2**31, 2**32 - 1, 2**33, 2**64)
ODD = (True, False, 0.5, 1.0, float("nan"), float("inf"), None, "1", '0; system("true")', [], [1], {}, [[1, 1], [1, 1]])
TYPES = (">i4", "<i8", "<i2", ">i8", "u1", "<u2", ">u4", "<u8", "<f8", "<f4", "?", "<c16", "S4")


def geometries():
    """Return a map of each kind, the windows uneven in every direction."""
    windows = {"kernel_size": (2, 3), "strides": (2, 1), "padding": ((1, 0), (0, 2))}
    return {
        "dense": Geometry("dense", (7,), (5,)),
        "identity": Geometry("identity", (3, 2), (3, 2)),
        "conv2d": Geometry("conv2d", (5, 4, 2), (3, 4, 4), **windows, groups=2),
        "dilated": Geometry("conv2d", (5, 4, 2), (3, 2, 3), (2, 2), (1, 1), (2, 2)),
        "depthwise": Geometry("depthwise", (5, 4, 2), (3, 4, 4), **windows),
        "average_pool": Geometry("average_pool", (5, 4, 2), (3, 4, 2), **windows),
        "max_pool": Geometry("max_pool", (5, 4, 2), (3, 4, 2), **windows),
        "disjoint": Geometry("max_pool", (5, 4, 2), (2, 2, 2), (2, 1), (2, 2)),
    }


def valid_network(geometry, indexed, rng):
    """Return image -> source -> target -> out, the map between source and target, which have neurons to spare."""
    n_source, n_target = geometry.n_in + 9, geometry.n_out + 9
    indices = {}
    if indexed:
        source = rng.permutation(n_source)[: geometry.n_in]
        indices = {"source_index": np.where(rng.uniform(size=geometry.n_in) < 0.1, -1, source)}
        indices["target_index"] = rng.permutation(n_target)[: geometry.n_out]
    pools = geometry.kind == "max_pool"
    bias = {n: to_grid(rng.uniform(-0.1, 0.2, n)) for n in (n_source, n_target)}
    populations = (
        Population("source", "spiking", (n_source,), bias[n_source], 1),
        Population("target", "max_pool" if pools else "spiking", (n_target,), bias[n_target] * (not pools), 2 - pools),
        Population("out", "readout", (3,), np.zeros(3), 3 - pools),
    )
    projections = (
        Projection(INPUT, "source", Geometry("identity", (n_source,), (n_source,)), np.ones(n_source)),
        Projection("source", "target", geometry, weights_for(geometry, rng), **indices),
        Projection("target", "out", Geometry("dense", (n_target,), (3,)), to_grid(rng.normal(size=(n_target, 3)))),
    )
    return Network(populations, projections, (n_source,), grid=GRID)


def weights_for(geometry, rng):
    """Return weights on the grid."""
    return None if geometry.weights_shape is None else to_grid(rng.normal(0.1, 0.4, geometry.weights_shape))


# --- changes --------------------------------------------------------------------------------------------------------


def one_of(projections, rng):
    """Return one of the projections, mostly that between source and target."""
    return projections[1] if rng.uniform() < 0.7 else rng.choice(projections)


def change_number(structure, arrays, rng):
    """Put another number, or something else, into a map."""
    geometry = one_of(structure["projections"], rng)["geometry"]
    place, key = geometry, str(rng.choice(FIELDS))
    while isinstance(place[key], list) and place[key] and rng.uniform() < 0.95:
        place, key = place[key], int(rng.integers(len(place[key])))
    number = place[key] if type(place[key]) is int else 1
    near = [int(rng.integers(6)), number + 1, number - 1]
    pool = near if rng.uniform() < 0.6 else (NUMBERS if rng.uniform() < 0.7 else ODD)
    place[key] = copy.deepcopy(pool[int(rng.integers(len(pool)))])


def change_windows(structure, arrays, rng):
    """Give a map other windows, as many of them as fit, or one or two more or less."""
    geometry = structure["projections"][1]["geometry"]
    for k in (0, 1):
        length, kernel = geometry["input_shape"][k], int(rng.integers(1, 5))
        padding = [int(rng.choice([0, 0, 1, 2, 5, 100])) for _ in range(2)]
        stride = int(rng.choice([1, 1, 2, 3, 7, 100, 2**15, 2**30]))
        dilation = int(rng.choice([1, 1, 2, 3, 100, 2**30] if kernel == 1 else [1, 1, 1, 2, 3]))
        n_windows = output_length(length, kernel, stride, dilation, padding)
        geometry["kernel_size"][k], geometry["strides"][k], geometry["dilation"][k] = kernel, stride, dilation
        geometry["padding"][k], geometry["output_shape"][k] = padding, n_windows + int(rng.choice([0, 0, 0, 1, -1, -2]))


def change_kind(structure, arrays, rng):
    """Give a map or a population another kind."""
    kinds = ["spiking", "max_pool", "readout", "poisson", 3]
    if rng.uniform() < 0.5:
        rng.choice(structure["projections"])["geometry"]["kind"] = str(rng.choice([*geometries(), "fft"]))
    else:
        rng.choice(structure["populations"])["kind"] = kinds[int(rng.integers(len(kinds)))]


def change_shape(structure, arrays, rng):
    """Turn, flatten or extend the shape of a map or a population."""
    geometry = one_of(structure["projections"], rng)["geometry"]
    holder, key = (geometry, str(rng.choice(["input_shape", "output_shape"])))
    if rng.uniform() < 0.3:
        holder, key = rng.choice(structure["populations"]), "shape"
    shape = holder[key]
    if not isinstance(shape, list) or not all(type(n) is int for n in shape):
        return
    others = [shape[::-1], [math.prod(shape)], [*shape, 1], [1, *shape], shape[1:], [1, 1, math.prod(shape)], []]
    holder[key] = others[int(rng.integers(len(others)))]


def change_index(structure, arrays, rng):
    """Add an index to a projection, or change the one that it has."""
    k = int(rng.integers(len(structure["projections"])))
    name = str(rng.choice(["source_index", "target_index"]))
    kept = structure["projections"][k]["arrays"]
    shape = structure["projections"][k]["geometry"]["input_shape" if name == "source_index" else "output_shape"]
    n = math.prod(shape) if isinstance(shape, list) and all(type(i) is int and 0 < i < 100 for i in shape) else 3
    index = arrays.get(f"{name}_{k}", np.arange(min(n, 10**4), dtype=np.int32)).copy()
    if name not in kept:
        kept.append(name)
    changes = [
        lambda: index.astype(str(rng.choice(TYPES))),
        lambda: rng.permutation(index),
        lambda: index + int(rng.integers(-3, 10)),
        lambda: index[::-1],
        lambda: np.asfortranarray(np.stack([index, index])),
        lambda: np.append(index, 0),
        lambda: index[:-1],
        lambda: np.where(rng.uniform(size=index.shape) < 0.2, int(rng.choice([-1, 0, -2, 10**6, 2**31 - 1])), index),
        lambda: index.astype(np.int64) + 2 ** int(rng.integers(8, 63)),
        lambda: np.zeros_like(index),
    ]
    arrays[f"{name}_{k}"] = changes[int(rng.integers(len(changes)))]()


def change_arrays(structure, arrays, rng):
    """Leave out an array of a projection, or give it the numbers of another."""
    projection = rng.choice(structure["projections"])
    if projection["arrays"] and rng.uniform() < 0.5:
        projection["arrays"].remove(str(rng.choice(projection["arrays"])))
    else:
        one, other = rng.choice(sorted(set(arrays) - {"structure"}), 2)
        arrays[str(one)] = arrays[str(other)]


def change_order(structure, arrays, rng):
    """Exchange ends of projections, or populations, or add one of them again."""
    populations, projections = structure["populations"], structure["projections"]
    names = [population["name"] for population in populations] + [None, "", "nobody"]
    number = int(rng.integers(4))
    if number == 0:
        key = str(rng.choice(["source", "target"]))
        rng.choice(projections)[key] = names[int(rng.integers(len(names)))]
    elif number == 1:
        rng.shuffle(populations)
    elif number == 2:
        k, new = int(rng.integers(len(projections))), len(projections)
        projections.append(copy.deepcopy(projections[k]))
        arrays |= {f"{name}_{new}": arrays[f"{name}_{k}"] for name in projections[k]["arrays"]}
    else:
        del projections[int(rng.integers(len(projections)))]


def change_value(structure, arrays, rng):
    """Change any other value of the file, or a number in an array."""
    if rng.uniform() < 0.3:
        name = str(rng.choice(sorted(set(arrays) - {"structure"})))
        array = arrays[name].astype(np.float64)
        array.flat[int(rng.integers(array.size))] = rng.choice(
            [np.nan, np.inf, -1.0, 0.1, 1e308, -0.0, 2.0**-24, 5e-324]
        )
        arrays[name] = array
        return
    holder = [structure, rng.choice(structure["populations"]), rng.choice(structure["projections"])][rng.integers(3)]
    key = str(rng.choice(sorted(holder)))
    values = [*ODD, *NUMBERS, "a", [["a"], 0], [[["a"], 0]]]
    holder[key] = copy.deepcopy(values[int(rng.integers(len(values)))])


#: How often each change is made: maps are what most can go wrong in.
CHANGES = {
    change_number: 0.3,
    change_windows: 0.25,
    change_kind: 0.05,
    change_shape: 0.1,
    change_index: 0.15,
    change_arrays: 0.05,
    change_order: 0.05,
    change_value: 0.05,
}


def fit_weights(structure, arrays, rng):
    """Give every map as many weights as it asks for, where its numbers are numbers."""
    for k, projection in enumerate(structure["projections"]):
        with suppress(ModelError, ZeroDivisionError):
            geometry = Geometry(**{name: tuples(value) for name, value in projection["geometry"].items()})
            if geometry.weights_shape and 0 < math.prod(geometry.weights_shape) < 10**6:
                arrays[f"weights_{k}"] = weights_for(geometry, rng)


def tuples(value):
    return tuple(map(tuples, value)) if isinstance(value, list) else value


def changed_networks(folder, n_tries, seed):
    """Change valid networks and yield what can be loaded; what cannot must have been refused in words."""
    rng, path = np.random.default_rng(seed), folder / "net.npz"
    bases = []
    for geometry in geometries().values():
        for indexed in (False, True):
            valid_network(geometry, indexed, rng).save(path)
            with np.load(path) as file:
                bases.append({name: file[name] for name in file.files})
    for number in range(n_tries):
        arrays = dict(bases[number % len(bases)])
        structure = json.loads(arrays["structure"].tobytes())
        changes = rng.choice(list(CHANGES), 1 + rng.integers(2), p=list(CHANGES.values()))
        for change in [*changes, *[fit_weights] * (rng.uniform() < 0.7)]:
            # The first change may leave nothing for the second.
            with suppress(TypeError, ValueError, KeyError, AttributeError, OverflowError, IndexError):
                change(structure, arrays, rng)
        arrays["structure"] = np.frombuffer(json.dumps(structure).encode(), np.uint8)
        np.savez(path, **arrays)
        try:
            yield load_network(path)
        except DataError as error:
            assert str(path) in str(error) and len(str(error)) < 2000 and "\n" not in str(error)


# --- simulations ----------------------------------------------------------------------------------------------------


def images_for(network, rng):
    return rng.uniform(0, 1, (2, *network.input_shape))


def is_small(network):
    return max(p.size for p in network.populations) < 500


@pytest.mark.parametrize(("n_tries", "n_simulated"), [(300, 8), pytest.param(10_000, 400, marks=pytest.mark.campaign)])
@pytest.mark.parametrize("seed", [1])
def test_what_is_not_refused_is_simulated_as_plain_loops_do(tmp_path, n_tries, n_simulated, seed):
    loaded = [network for network in changed_networks(tmp_path, n_tries, seed) if is_small(network)]
    rng, spikes = np.random.default_rng(seed), 0
    for k in rng.permutation(len(loaded))[:n_simulated]:
        network, images = loaded[k], images_for(loaded[k], rng)
        try:
            result = simulate(network, images, steps=STEPS, backend="runtime", any_range=True)
        except BrianSnnError:
            # In words; nothing else may come.
            continue
        assert differences(result, loop_result(network, images)) == [], network.projections
        spikes += sum(int(counts.sum()) for counts in result.spike_counts.values())
    assert spikes > 100 * n_simulated and 0.05 * n_tries < len(loaded) < 0.5 * n_tries


def merged(networks):
    """Return one network with the map of each of these from a common source onto a common target, or a pool."""
    links = [p for network in networks for p in network.projections if p.source == "source" and p.target == "target"]
    pools = [p.geometry.kind == "max_pool" for p in links]
    sizes = {"source": 1, "target": 1, "pool": 1}
    for link, is_pool in zip(links, pools, strict=True):
        for name, n, index in (
            ("source", link.geometry.n_in, link.source_index),
            ("pool" if is_pool else "target", link.geometry.n_out, link.target_index),
        ):
            sizes[name] = max(sizes[name], n if index is None else 1 + int(index.max(initial=0)))
    rng, n_source = np.random.default_rng(len(links)), sizes["source"]
    populations = [Population("source", "spiking", (n_source,), to_grid(rng.uniform(-0.1, 0.3, n_source)), 1)]
    if not all(pools):
        populations.append(Population("target", "spiking", (sizes["target"],), np.zeros(sizes["target"]), 2))
    if any(pools):
        populations.append(Population("pool", "max_pool", (sizes["pool"],), np.zeros(sizes["pool"]), 1))
    populations.append(Population("out", "readout", (1,), np.zeros(1), 1))
    image = Projection(INPUT, "source", Geometry("identity", (n_source,), (n_source,)), np.ones(n_source))
    moved = [replace(p, target="pool" if is_pool else "target") for p, is_pool in zip(links, pools, strict=True)]
    return Network(tuple(populations), (image, *moved), (n_source,), grid=GRID)


def distinct_maps(networks):
    """Return those of some networks whose map between source and target no one before has; the rarer changes first."""
    found = {}
    for network in networks:
        for p in network.projections:
            if (p.source, p.target) == ("source", "target") and is_small(network):
                indices = (p.source_index is None, p.target_index is None)
                found.setdefault((p.geometry, indices), replace_projections(network, p))
    plain = set(geometries().values())
    return [network for (geometry, _), network in found.items() if geometry not in plain]


def replace_projections(network, projection):
    """Return the ends of a projection and nothing else."""
    image = (p for p in network.projections if p.source == INPUT and p.target == "source")
    kept = [p for p in network.populations if p.name in (projection.source, projection.target)]
    return Network(
        tuple(replace(p, depth=k + 1) if p.kind != "max_pool" else replace(p, depth=1) for k, p in enumerate(kept)),
        (*image, projection),
        network.input_shape,
        grid=network.grid,
    )


@pytest.fixture
def sanitised(tmp_path, monkeypatch):
    """Let programs be compiled with sanitisers; return the folder of their reports, where there must be none."""
    reports = tmp_path / "reports"
    reports.mkdir()
    monkeypatch.setenv("CXX", "g++ -fsanitize=address,undefined -fno-sanitize-recover=all")
    monkeypatch.setenv("BRIAN_SNN_CACHE", str(tmp_path / "builds"))
    # What a program leaves behind when it exits is of no interest.
    monkeypatch.setenv("ASAN_OPTIONS", f"detect_leaks=0:log_path={reports}/address")
    monkeypatch.setenv("UBSAN_OPTIONS", f"print_stacktrace=1:log_path={reports}/undefined")
    monkeypatch.setattr(compiler, "FLAGS", tuple("-O1" if flag == "-O3" else flag for flag in compiler.FLAGS))
    return reports


def compare_compiled(networks, projection, reports):
    """Compile the maps of some networks into one program and compare it with the runtime backend."""
    network = merged(networks)
    expected = compare_backends(network, projection, reports)
    assert expected.spike_counts["source"].any()


def compare_backends(network, projection, reports):
    """Simulate a network in both ways and return the result."""
    images = images_for(network, np.random.default_rng(0))
    expected = simulate(network, images, steps=STEPS, backend="runtime")
    result = simulate(network, images, steps=STEPS, projection=projection)
    assert [path.read_text(errors="replace") for path in reports.iterdir()] == []
    assert differences(result, expected) == []
    return expected


@pytest.mark.slow
def test_some_maps_run_under_the_sanitisers_to_the_same_spikes(tmp_path, sanitised):
    maps = distinct_maps(changed_networks(tmp_path, 400, 2))
    compare_compiled([maps[k] for k in np.random.default_rng(0).permutation(len(maps))[:6]], "shared", sanitised)


@pytest.mark.campaign
@pytest.mark.parametrize("projection", ["shared", "synapses"])
@pytest.mark.parametrize("seed", range(10))
def test_all_maps_run_under_the_sanitisers_to_the_same_spikes(tmp_path, sanitised, seed, projection):
    maps = distinct_maps(changed_networks(tmp_path, 2000, 100 + seed))
    for start in range(0, len(maps), 40):
        compare_compiled(maps[start : start + 40], projection, sanitised)


def outline(network):
    """Return what a network consists of, without its maps."""
    ends = tuple((p.source, p.target, p.geometry.kind == "max_pool") for p in network.projections)
    return tuple((p.name, p.kind, p.depth) for p in network.populations), ends


@pytest.mark.campaign
@pytest.mark.parametrize("projection", ["shared", "synapses"])
def test_networks_of_every_outline_run_under_the_sanitisers_to_the_same_spikes(tmp_path, sanitised, projection):
    found = {outline(network): network for network in changed_networks(tmp_path, 4000, 3) if is_small(network)}
    assert len(found) > 10
    for network in found.values():
        compare_backends(network, projection, sanitised)


@pytest.mark.campaign
def test_the_sanitisers_report_a_map_that_reaches_outside(tmp_path, sanitised, monkeypatch):
    network = merged([valid_network(geometries()["conv2d"], False, np.random.default_rng(0))])
    made = topology.topology

    def forged(*arguments):
        layout = made(*arguments)
        geometry = replace(layout.links[0].geometry)
        object.__setattr__(geometry, "padding", ((1000, 0), (0, 2)))
        object.__setattr__(geometry, "output_shape", (3000, 4, 4))
        return replace(layout, links=(replace(layout.links[0], geometry=geometry),))

    monkeypatch.setattr("brian_snn.simulation.job.topology", forged)
    with pytest.raises(SimulationError):
        simulate(network, images_for(network, np.random.default_rng(0)), steps=STEPS, projection="shared")
    assert list(sanitised.iterdir()) != []

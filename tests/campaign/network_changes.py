"""Networks of every kind of map, and the ways to make their files inconsistent."""

import copy
import json
import math
from contextlib import suppress

import numpy as np

from brian_snn.errors import DataError, ModelError
from brian_snn.network.file import load_network
from brian_snn.network.maps import output_length
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from tests.small_network import GRID, to_grid


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

"""NIR files: against a plain loop over PyTorch's meaning of their nodes, there and back again, and what is refused."""

from itertools import pairwise

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brian_snn import load_network, read_nir, simulate, verify, write_nir
from brian_snn.__main__ import main
from brian_snn.errors import ModelError, SettingError
from tests.nir_files import cnn, neurons, write
from tests.small_network import small_network

IN_PROCESS = {"backend": "runtime"}
STEPS = 25


def drawn(rng, *shape):
    """Return float32 weights that are multiples of 2**-6."""
    return (np.round(rng.normal(0.1, 1.2, shape) / np.sqrt(np.prod(shape[1:]) or 1) * 64) / 64).astype(np.float32)


def convolve(x, weight, bias, stride, padding, dilation, groups):
    """Return PyTorch's convolution of (n, channels, rows, columns), entry by entry."""
    x = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    (n_out, n_in, rows, columns), (_, _, height, width) = weight.shape, x.shape
    lengths = [
        (length - d * (k - 1) - 1) // s + 1
        for length, k, s, d in zip((height, width), (rows, columns), stride, dilation, strict=True)
    ]
    y = np.zeros((len(x), n_out, *lengths))
    for o, i, j in np.ndindex(n_out, *lengths):
        first = o // (n_out // groups) * n_in
        top, left = i * stride[0], j * stride[1]
        window = x[
            :,
            first : first + n_in,
            top : top + dilation[0] * (rows - 1) + 1 : dilation[0],
            left : left + dilation[1] * (columns - 1) + 1 : dilation[1],
        ]
        y[:, o, i, j] = (window * weight[o]).sum(axis=(1, 2, 3)) + bias[o]
    return y


def loop(images, layers, steps=STEPS, reset="subtraction"):
    """Step a chain of functions and thresholds, and return the spike counts of each layer of neurons."""
    potentials, counts = {}, {}
    for _ in range(steps):
        x = images
        for k, layer in enumerate(layers):
            if callable(layer):
                x = layer(x)
                continue
            v = potentials.get(k, 0.0) + x
            spikes = v >= np.broadcast_to(layer, v.shape[1:])
            v = np.where(spikes, v - layer, v) if reset == "subtraction" else np.where(spikes, 0.0, v)
            potentials[k], x = v, spikes.astype(float)
            counts[k] = counts.get(k, 0) + x
    return list(counts.values())


def compare(path, images, layers, reset="subtraction", **options):
    """Read a file, simulate it, and compare every spike count with the loop's."""
    network = read_nir(path, **options)
    result = simulate(network, images, steps=STEPS, **IN_PROCESS)
    assert result.settings.reset == reset
    assert verify(result, replay="all")["holds"].all()
    spiking = [p.name for p in network.populations if p.kind == "spiking"]
    expected = loop(images, layers, reset=reset)
    assert len(spiking) == len(expected)
    for name, counts in zip(spiking, expected, strict=True):
        found = result.spike_counts[name]
        found = np.moveaxis(found, -1, 1) if found.ndim > 2 else found
        assert np.array_equal(found.reshape(counts.shape), counts), name
    return network


@given(data=st.data())
@settings(max_examples=15, deadline=None, derandomize=True)
def test_convolutions_of_any_kind(tmp_path_factory, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    groups, kernel = data.draw(st.sampled_from([1, 2])), data.draw(st.tuples(*[st.integers(1, 3)] * 2))
    stride, padding, dilation = (data.draw(st.tuples(*[st.integers(low, 2)] * 2)) for low in (1, 0, 1))
    weight, bias = drawn(rng, 4, 2 // groups, *kernel), drawn(rng, 4)
    images = rng.integers(0, 17, (2, 2, 6, 5)) / 16
    shape = convolve(images, weight, bias, stride, padding, dilation, groups).shape[1:]

    def written(pair):
        return pair[0] if pair[0] == pair[1] and data.draw(st.booleans()) else np.array(pair)

    fields = {
        "weight": weight,
        "bias": bias,
        "stride": written(stride),
        "padding": written(padding),
        "dilation": written(dilation),
        "groups": groups,
    }
    nodes = {
        "b": ("Conv2d", fields),
        "input": ("Input", {"shape": np.array([1, 2, 6, 5]) if data.draw(st.booleans()) else np.array([2, 6, 5])}),
        "a": neurons(shape),
        "output": ("Output", {"shape": np.array(shape)}),
    }
    edges = data.draw(st.permutations([("input", "b"), ("b", "a"), ("a", "output")]))
    path = write(tmp_path_factory.mktemp("nir") / "net.nir", nodes, edges)
    compare(path, images, [lambda x: convolve(x, weight, bias, stride, padding, dilation, groups), 1.0])


def chain(path, first_shape, nodes, **options):
    """Write nodes one behind the other."""
    names = ["input", *nodes, "output"]
    whole = {
        "input": ("Input", {"shape": np.array(first_shape)}),
        **nodes,
        "output": ("Output", {"shape": np.array([1])}),
    }
    return write(path, whole, list(pairwise(names)), **options)


def test_pools_scales_and_the_order_of_a_flattening(tmp_path):
    rng = np.random.default_rng(3)
    weight, scale, images = drawn(rng, 5, 12), drawn(rng, 3), rng.integers(0, 17, (2, 3, 5, 4)) / 16

    def pool(x, share):
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        sums = [padded[:, :, i : i + 6 : 3, j : j + 5 : 3][:, :, :2, :2] for i in range(3) for j in range(3)]
        return np.sum(sums, axis=0) * share

    for kind, share in (("AvgPool2d", 1 / 9), ("SumPool2d", 1.0)):
        window = {"kernel_size": 3, "stride": np.array([3, 3]), "padding": 1}
        nodes = {
            "first": neurons((3, 5, 4), 0.5),
            "scale": ("Scale", {"scale": scale}),
            "pool": (kind, window),
            "second": neurons((3, 2, 2), 0.25 * share),
            "third": neurons((3, 2, 2)),
            "flat": ("Flatten", {"start_dim": 0, "end_dim": -1, "input_type": np.array([3, 2, 2])}),
            "dense": ("Linear", {"weight": weight}),
            "last": neurons((5,)),
        }
        path = chain(tmp_path / f"{kind}.nir", [3, 5, 4], nodes, version="1.0.8")
        layers = [
            0.5,
            lambda x: x * scale[:, None, None],
            lambda x, share=share: pool(x, share),
            np.float32(0.25 * share),
            1.0,
            lambda x: x.reshape(len(x), -1) @ weight.T,
            1.0,
        ]
        if kind == "SumPool2d":
            network = compare(path, images, layers, reset="zero")
        else:
            # A ninth is on no grid: the layers before it agree, and those behind it are there.
            network = read_nir(path)
        assert [p.name for p in network.populations] == ["first", "second", "third", "last"]


def test_thresholds_and_resistances_of_channels(tmp_path):
    rng = np.random.default_rng(4)
    weight, bias, thresholds = drawn(rng, 3, 1, 2), drawn(rng, 3), np.array([0.5, 1.0, 2.0], np.float32)
    fields = {"weight": weight, "bias": bias, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    shape = (3, 6)
    per_channel = np.broadcast_to(thresholds[:, None], shape)
    nodes = {
        "conv": ("Conv1d", fields),
        "a": ("IF", {"r": np.full(shape, 1e4, np.float32), "v_threshold": per_channel}),
    }
    path, images = chain(tmp_path / "net.nir", [1, 7], nodes), rng.integers(0, 17, (2, 1, 7)) / 16

    def convolve_1d(x):
        return convolve(x[..., None], weight[..., None], bias, (1, 1), (0, 0), (1, 1), 1)[..., 0]

    network = compare(path, images, [convolve_1d, per_channel])
    assert network.simulation["dt_s"] == 1e-4
    # A resistance times a step scales what arrives.
    compare(path, images, [lambda x: 2 * convolve_1d(x), per_channel], dt=2e-4)


def test_edges_that_meet_add_up(tmp_path):
    rng = np.random.default_rng(5)
    first, second, images = drawn(rng, 4, 6), drawn(rng, 4, 4), rng.integers(0, 17, (2, 6)) / 16
    nodes = {
        "input": ("Input", {"shape": np.array([6])}),
        "w": ("Linear", {"weight": first}),
        "a": neurons((4,)),
        "u": ("Linear", {"weight": second}),
        "b": neurons((4,)),
        "output": ("Output", {"shape": np.array([4])}),
    }
    edges = [("a", "b"), ("u", "b"), ("a", "u"), ("w", "a"), ("input", "w"), ("b", "output")]
    path = write(tmp_path / "net.nir", nodes, edges)
    compare(path, images, [lambda x: x @ first.T, 1.0, lambda x: x + x @ second.T, 1.0])


def test_spikes_that_are_late(tmp_path):
    rng = np.random.default_rng(6)
    first, second = drawn(rng, 4, 6), drawn(rng, 3, 4)
    delay = ("Delay", {"delay": np.full(4, 0.002, np.float32)})
    nodes = {"w": ("Linear", {"weight": first}), "a": neurons((4,)), "wait": delay}
    nodes |= {"u": ("Linear", {"weight": second}), "b": neurons((3,))}
    network = read_nir(chain(tmp_path / "net.nir", [6], nodes), dt=1e-3)
    assert network.simulation == {"reset": "subtraction", "dt_s": 1e-3, "delay_s": 2e-3}
    result = simulate(network, rng.integers(0, 17, (2, 6)) / 16, steps=STEPS, **IN_PROCESS)
    assert result.settings.delay_steps == 2 and verify(result)["holds"].all()


# --- there and back again -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reset", ["subtraction", "zero"])
@pytest.mark.parametrize("seed", range(3))
def test_a_written_network_spikes_as_it_did(tmp_path, seed, reset):
    network = cnn(seed)
    write_nir(network, tmp_path / "net.nir", reset=reset)
    again, images = read_nir(tmp_path / "net.nir"), np.random.default_rng(seed).integers(0, 17, (2, 8, 8, 1)) / 16
    first = simulate(network, images, steps=STEPS, reset=reset, **IN_PROCESS)
    second = simulate(again, np.moveaxis(images, -1, 1), steps=STEPS, **IN_PROCESS)
    assert second.settings.reset == reset
    assert all(np.array_equal(counts, second.spike_counts[name]) for name, counts in first.spike_counts.items())
    write_nir(again, tmp_path / "twice.nir")
    third = read_nir(tmp_path / "twice.nir")
    assert third.digest() == again.digest()


def test_leaks_and_thresholds_come_back(tmp_path):
    from dataclasses import replace

    plain = cnn()
    leaky = [replace(p, leak=0.25, threshold=1.5) if p.name == "dense" else p for p in plain.populations]
    write_nir(replace(plain, populations=tuple(leaky)), tmp_path / "net.nir")
    again = read_nir(tmp_path / "net.nir", dt=1.0, discretisation="exact", input_gain="scaled")
    assert again["dense"].threshold == 1.5 and again["dense"].leak == pytest.approx(0.25, abs=1e-15)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"reset": "never"}, SettingError, "reset is"),
        ({"readout": "voice"}, SettingError, "readout is"),
        ({"r": 0.0}, SettingError, "r is"),
        ({"weight_grid": 0.3}, SettingError, "weight_grid is"),
    ],
)
def test_how_it_is_written_is_checked(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        write_nir(cnn(), tmp_path / "net.nir", **options)
    assert list(tmp_path.iterdir()) == []


def test_what_nir_cannot_say_names_the_population(tmp_path):
    with pytest.raises(ModelError, match="'pool'.*max_pool, which NIR has no node for|'conv'.*bias varies"):
        write_nir(small_network(), tmp_path / "net.nir")
    assert list(tmp_path.iterdir()) == []


def test_the_commands(tmp_path, capsys):
    cnn().save(tmp_path / "net.npz")
    folder = str(tmp_path)
    assert main(["export", f"{folder}/net.npz", "--reset", "zero", "-o", f"{folder}/net.nir"]) == 0
    assert main(["import", f"{folder}/net.nir", "-o", f"{folder}/back.npz"]) == 0
    assert "reset: zero, as its v_reset says" in " ".join(capsys.readouterr().out.split())
    back = load_network(tmp_path / "back.npz")
    assert back.simulation == {"reset": "zero"}
    # By default the grid is that of the function: the finest that fits.
    assert back.grid == read_nir(tmp_path / "net.nir").grid != read_nir(tmp_path / "net.nir", grid=2.0**-24).grid
    assert main(["import", f"{folder}/net.npz", "-o", f"{folder}/other.npz"]) == 2
    assert "no NIR file" in capsys.readouterr().err
    assert main(["import", f"{folder}/net.nir", "--grid", "fine", "-o", f"{folder}/other.npz"]) == 2
    assert "grid is 'fine'; it must be a number or 'auto'" in capsys.readouterr().err


# --- what is refused ------------------------------------------------------------------------------------------------


def dense(**more):
    return {"w": ("Linear", {"weight": np.ones((2, 2), np.float32)}), "a": neurons((2,), **more)}


REFUSED = {
    "v_reset": (dense(v_reset=np.ones(2)), "its v_reset is not 0"),
    "threshold": (dense(threshold=0.0), "its v_threshold is not above 0"),
    "resistance": ({**dense(), "a": ("IF", {"r": np.full(2, 3.0), "v_threshold": np.ones(2)})}, "neither 1 nor 1e4"),
    "tau": (
        {"w": dense()["w"], "a": neurons((2,), kind="LIF", tau=np.array([1.0, 2.0]), v_leak=np.zeros(2))},
        "its tau differs from neuron to neuron",
    ),
    "leak": (
        {"w": dense()["w"], "a": neurons((2,), kind="LIF", tau=np.ones(2), v_leak=np.zeros(2))},
        "what a leak is in steps",
    ),
    "rest": (
        {"w": dense()["w"], "a": neurons((2,), kind="LIF", tau=np.ones(2), v_leak=np.ones(2))},
        "its v_leak is not 0",
    ),
    "shapes": ({"w": ("Linear", {"weight": np.ones((2, 3), np.float32)})}, "it takes 3 numbers"),
    "kind": ({"c": ("CubaLIF", {"r": np.ones(2)})}, "is a CubaLIF, which has no exact form here"),
    "field": ({"w": ("Linear", {"weight": np.ones((2, 2)), "code": b"import os"})}, "has code, which such a node"),
    "missing": ({"w": ("Affine", {"weight": np.ones((2, 2))})}, "has no bias"),
    "nan": ({"w": ("Linear", {"weight": np.full((2, 2), np.nan)})}, "NaN"),
    "integrator": (
        {"w": dense()["w"], "i": ("I", {"r": np.ones(2)}), "v": dense()["w"]},
        "sends potentials to others",
    ),
    "late image": ({"d": ("Delay", {"delay": np.ones(2)}), **dense()}, "seconds of a step"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_exact_form_is_refused_by_name(tmp_path, case):
    nodes, message = REFUSED[case]
    with pytest.raises(ModelError, match=message):
        read_nir(chain(tmp_path / "net.nir", [2], nodes))


def test_a_circle_is_refused(tmp_path):
    nodes = {"input": ("Input", {"shape": np.array([2])}), **dense(), "output": ("Output", {"shape": np.array([2])})}
    edges = [("input", "w"), ("w", "a"), ("a", "w"), ("a", "output")]
    with pytest.raises(ModelError, match="a, output, w hear each other in a circle"):
        read_nir(write(tmp_path / "net.nir", nodes, edges))


def linked(file, path):
    file["node/nodes/w/weight2"] = h5py.ExternalLink("/etc/passwd", "x")


def soft(file, path):
    del file["node/nodes/w/weight"]
    file["node/nodes/w/weight"] = h5py.SoftLink("/node/nodes/a/r")


def virtual(file, path):
    layout = h5py.VirtualLayout((2, 2), "f4")
    layout[:] = h5py.VirtualSource(str(path.with_name("other.h5")), "x", (2, 2))
    del file["node/nodes/w/weight"]
    file["node/nodes/w"].create_virtual_dataset("weight", layout)


def huge(file, path):
    del file["node/nodes/w/weight"]
    file["node/nodes/w"].create_dataset("weight", (60_000, 60_000), "f4", chunks=(1000, 1000))


def itself(file, path):
    file["node/nodes/w/again"] = file["node"]


def long_name(file, path):
    del file["node/edges"]
    file["node/edges"] = np.array([["w" * 10**6, "a"]], dtype=h5py.string_dtype())


def opaque(file, path):
    del file["node/nodes/w/weight"]
    file["node/nodes/w/weight"] = np.zeros(4, [("a", "f4"), ("b", "i8")])


@pytest.mark.parametrize("change", [linked, soft, virtual, huge, itself, long_name, opaque])
def test_a_hostile_file_is_refused_before_it_is_read(tmp_path, change):
    path = chain(tmp_path / "net.nir", [2], dense())
    with h5py.File(path, "r+") as file:
        change(file, path)
    with pytest.raises(ModelError, match=r"net.nir: it is damaged or no NIR file"):
        read_nir(path)


@pytest.mark.parametrize("name", ["\x1b[31mred", "na\u202eme", "a.b", "ünï", "input_"])
def test_names_are_kept_and_escaped(tmp_path, name):
    nodes = {"w": dense()["w"], name: dense()["a"]}
    network = read_nir(chain(tmp_path / "net.nir", [2], nodes))
    assert [p.name for p in network.populations] == [name]
    with pytest.raises(ModelError) as error:
        read_nir(chain(tmp_path / "bad.nir", [2], {"w": dense()["w"], name: neurons((2,), threshold=-1.0)}))
    assert "\x1b" not in str(error.value) and "\u202e" not in str(error.value)


@pytest.mark.parametrize(
    "options", [{"reset": "x"}, {"dt": -1.0}, {"grid": "fine"}, {"steps": 0}, {"input_gain": "two"}]
)
def test_arguments_are_checked(tmp_path, options):
    with pytest.raises(SettingError):
        read_nir(chain(tmp_path / "net.nir", [2], dense()), **options)

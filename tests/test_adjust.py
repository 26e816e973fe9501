"""Networks of which one population has a lambda, V(0) or clamp of its own: against the plain loop and the function."""

import zlib
from dataclasses import replace

import numpy as np
import pytest

import brian_snn
from brian_snn import load_network, simulate, verify
from brian_snn.__main__ import main
from brian_snn.analysis.bounds import bounds
from brian_snn.analysis.error import error_account
from brian_snn.errors import ModelError, SettingError
from brian_snn.network.forward import forward
from tests.error_oracle import dense_activations
from tests.small_network import GRID, Loop, differences, loop_result, small_images, small_network, to_grid
from tests.variant_oracles import splitmix64

STARTS = {"conv": 0.5, "mixed": -0.25, "out": 1.5}
CLAMPS = {"average": 4, "mixed": 1, "out": 7}
IN_PROCESS = {"backend": "runtime"}


class OwnLoop(Loop):
    """The plain loop with V(0) and clamped steps of its own in some layers."""

    def __init__(self, network, images, settings):
        super().__init__(network, images, settings)
        for name, start in STARTS.items():
            self.v[name] = np.full_like(self.v[name], to_grid(start * self.threshold))

    def start(self, population):
        own = CLAMPS.get(population.name)
        return super().start(population) if own is None else min(self.settings.steps, own)


@pytest.fixture(scope="module")
def network():
    found = small_network()
    for name in {*STARTS, *CLAMPS}:
        found = brian_snn.adjust(found, name, v_init=STARTS.get(name), clamp=CLAMPS.get(name))
    return found


@pytest.mark.parametrize("projection", ["synapses", "shared"])
@pytest.mark.parametrize(
    "options", [{}, {"reset": "zero", "threshold": 1.75, "v_init": 0.125, "clamp": 2}, {"readout": "spikes"}]
)
def test_every_layer_starts_as_it_says(network, options, projection):
    result = simulate(network, small_images(), steps=30, projection=projection, **options, **IN_PROCESS)
    expected = loop_result(network, small_images(), OwnLoop, **options)
    assert differences(result, expected, ("spike_counts", "potentials", "charge")) == []
    assert verify(result, replay="all")["holds"].all()
    account = error_account(result, dense_activations(network, small_images()))
    assert (account[account["term"] == "unexplained"]["rms"] < 1e-13).all()
    assert bounds(result)["holds"].all()


@pytest.mark.slow
def test_a_compiled_run_equals_the_loop(network):
    result = simulate(network, small_images(), steps=30)
    expected = loop_result(network, small_images(), OwnLoop)
    assert differences(result, expected, ("spike_counts", "potentials", "charge")) == []


def test_live_objects_start_so_too(network):
    model = brian_snn.brian2(network, steps=30)
    model.show(small_images(1)[0])
    model.run()
    expected = loop_result(network, small_images(1), OwnLoop)
    for name in ("conv", "mixed", "out"):
        assert np.array_equal(model[name].v[:], expected.potentials[name].ravel())


@pytest.mark.parametrize("scale", [0.4, 3.0, [0.5, 2.0, 7.0]])
def test_another_lambda_is_the_same_function(scale):
    plain, images = small_network(), small_images()
    changed = brian_snn.adjust(plain, "conv", scale=scale)
    before, after = forward(plain, images), forward(changed, images)
    for population in changed.populations:
        scaled = after[population.name] * population.scale
        np.testing.assert_allclose(scaled, before[population.name], atol=300 * GRID * np.max(scale))
    assert np.array_equal(changed["conv"].scale, scale) and np.array_equal(changed["pool"].scale, scale)
    assert changed["mixed"].scale == 1
    # Twice the activation stands for a spike a step: half as many spikes.
    counts = [simulate(n, images, steps=400, **IN_PROCESS).rates("average") for n in (plain, changed)]
    assert not np.array_equal(*counts)


def test_weights_that_differ_are_drawn_for_each_that_is_stored():
    plain = small_network()
    changed = brian_snn.adjust(plain, "mixed", weight_mismatch=0.2, seed=3)
    for before, after in zip(plain.projections, changed.projections, strict=True):
        if after.target != "mixed":
            assert after is before
            continue
        relative = (after.weights / before.weights - 1).ravel()
        key = int(np.random.SeedSequence(3, spawn_key=(4, zlib.crc32(b"mixed"), plain.projections.index(before)))
                  .generate_state(1, np.uint64)[0]) >> 11  # fmt: skip
        draws = [(splitmix64(key, 2 * k) / 2**53, splitmix64(key, 2 * k + 1) / 2**53) for k in range(relative.size)]
        expected = [0.2 * np.sqrt(-2 * np.log(a + 2**-54)) * np.cos(2 * np.pi * b) for a, b in draws]
        np.testing.assert_allclose(relative, expected, atol=GRID / np.abs(before.weights).min())
    result = simulate(changed, small_images(), steps=20, **IN_PROCESS)
    assert verify(result, replay="all")["holds"].all()
    assert changed.digest() != brian_snn.adjust(plain, "mixed", weight_mismatch=0.2, seed=4).digest()


def test_a_file_keeps_them(network, tmp_path):
    network.save(tmp_path / "net.npz")
    loaded = load_network(tmp_path / "net.npz")
    assert loaded.digest() == network.digest() != small_network().digest()
    assert [(p.v_init, p.clamp) for p in loaded.populations] == [
        (STARTS.get(p.name), CLAMPS.get(p.name)) for p in network.populations
    ]


@pytest.mark.parametrize(
    ("name", "numbers", "error", "words"),
    [
        ("nothing", {"threshold": 2.0}, SettingError, "there are conv, pool"),
        ("conv", {"scale": 0.0}, SettingError, "one positive number"),
        ("conv", {"scale": [1.0, 2.0]}, SettingError, "one a channel"),
        ("pool", {"scale": 2.0}, SettingError, "takes the scale of its sources"),
        ("out", {"scale": 2.0}, SettingError, "has no scale"),
        ("conv", {"threshold": -1.0}, ModelError, "threshold is -1.0"),
        ("conv", {"v_init": np.inf}, ModelError, "its v_init: finite"),
        ("conv", {"clamp": -1}, ModelError, "clamp"),
        ("conv", {"leak": 1.5}, ModelError, "leak is 1.5"),
        ("conv", {"weight_mismatch": -0.5}, SettingError, "weight_mismatch is -0.5"),
        ("conv", {"weight_mismatch": np.nan}, SettingError, "weight_mismatch"),
        ("conv", {"weight_mismatch": 0.5, "seed": -1}, SettingError, "seed"),
        ("pool", {"v_init": 0.5}, ModelError, "v_init is 0.5"),
    ],
)
def test_what_makes_no_sense_is_refused(name, numbers, error, words):
    with pytest.raises(error, match=words):
        brian_snn.adjust(small_network(), name, **numbers)


def test_a_scale_is_not_above_the_ceiling():
    plain = small_network()
    populations = tuple(replace(p, ceiling=6.0) if p.name == "conv" else p for p in plain.populations)
    with pytest.raises(SettingError, match="above the ceiling"):
        brian_snn.adjust(replace(plain, populations=populations), "conv", scale=6.5)


def test_the_command_writes_what_the_function_returns(tmp_path, capsys):
    small_network().save(tmp_path / "net.npz")
    arguments = ["adjust", str(tmp_path / "net.npz"), "conv", "--v-init", "0.5", "--scale", "2", "-o"]
    assert main([*arguments, str(tmp_path / "out.npz")]) == 0
    expected = brian_snn.adjust(small_network(), "conv", v_init=0.5, scale=2.0)
    assert load_network(tmp_path / "out.npz").digest() == expected.digest()
    assert main([*arguments, str(tmp_path / "out.npz")]) == 2
    assert main(["adjust", str(tmp_path / "net.npz"), "conv", "-o", str(tmp_path / "other.npz")]) == 2
    assert "nothing is adjusted" in capsys.readouterr().err

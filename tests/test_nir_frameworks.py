"""Files and runs of four frameworks, recorded by tests/data/nir/make_files.py.

Of sinabs and spikingjelly not an entry differs; snntorch and norse fire above the threshold only, and nothing else is
left.
"""

from pathlib import Path

import numpy as np
import pytest

from brian_snn import check, read_nir, simulate, verify
from brian_snn.errors import ModelError
from tests.nir_files import cnn

DATA = Path(__file__).parent / "data" / "nir"
LEAK = {"dt": 1e-4, "discretisation": "euler", "input_gain": "one"}


def recorded(run):
    """Return images and spikes by layer, (n_images, steps, size), channels last."""
    with np.load(DATA / f"{run}.npz") as stored:
        spikes = [stored[f"spikes/{k}"] for k in range(len([n for n in stored.files if n.startswith("spikes/")]))]
        images = stored["images"]
    return images, [np.moveaxis(s, 2, -1).reshape(*s.shape[:2], -1) if s.ndim == 5 else s for s in spikes]


def ours(network, images, names, **options):
    """Return the spikes of populations, (n_images, steps, size), of a run that verifies."""
    result = simulate(network, images, steps=40, backend="runtime", record_spikes=names, **options)
    assert verify(result, replay="all")["holds"].all()
    found = []
    for name in names:
        dense, (image, step, neuron) = np.zeros((len(images), 40, network[name].size), int), result.spike_trains[name].T
        dense[image, step - 1, neuron] = 1
        found.append(dense)
    return found, result


@pytest.mark.parametrize(
    ("file", "run", "options", "reset"),
    [
        ("spikingjelly_if_zero", "spikingjelly_if_zero", {}, "zero"),
        ("spikingjelly_if_zero", "spikingjelly_if_soft", {"reset": "subtraction"}, "subtraction"),
        ("spikingjelly_lif_zero", "spikingjelly_lif_zero", LEAK, "zero"),
        ("sinabs", "sinabs_subtraction", {}, "subtraction"),
        ("sinabs", "sinabs_zero", {"reset": "zero"}, "zero"),
    ],
)
def test_their_file_spikes_here_as_there(file, run, options, reset):
    network, (images, expected) = read_nir(DATA / f"{file}.nir", **options), recorded(run)
    names = [population.name for population in network.populations]
    found, result = ours(network, images, names)
    assert result.settings.reset == reset
    assert sum(values.size for values in found) == 32_040 and sum(values.sum() for values in found) > 5000
    assert [int((a != b).sum()) for a, b in zip(found, expected, strict=True)] == [0, 0, 0]


@pytest.mark.parametrize("reset", ["subtraction", "zero"])
@pytest.mark.parametrize("framework", ["spikingjelly", "sinabs"])
def test_our_file_spikes_there_as_here(framework, reset):
    images, expected = recorded(f"ours_in_{framework}_{reset}")
    names = [population.name for population in cnn().populations]
    # sinabs has the nodes in the order of their names.
    found, _ = ours(
        cnn(), np.moveaxis(images, 1, -1), names if framework == "spikingjelly" else sorted(names), reset=reset
    )
    assert sum(values.size for values in found) == 13_920
    assert [int((a != b).sum()) for a, b in zip(found, expected, strict=True)] == [0] * 5


@pytest.mark.parametrize(("version", "reset"), [("1_0_4", "subtraction"), ("1_0_8", "zero")])
def test_the_version_says_what_no_v_reset_means(version, reset):
    options = {"dt": 1e-3, "discretisation": "exact", "input_gain": "scaled"}
    network = read_nir(DATA / f"nir_{version}.nir", **options)
    assert network.simulation["reset"] == reset
    assert [(p.name, p.kind, p.shape) for p in network.populations] == [
        ("if", "spiking", (4, 4, 4)),
        ("lif", "spiking", (2, 2, 4)),
        ("li", "readout", (10,)),
    ]
    assert [p.leak for p in network.populations] == [0.0, *[pytest.approx(1 - np.exp(-0.1), rel=1e-6)] * 2]


@pytest.mark.parametrize(
    ("file", "run", "options"),
    [("spikingjelly_lif_zero", "spikingjelly_lif_zero", LEAK), ("sinabs", "sinabs_subtraction", {})],
)
def test_the_referee_knows_leaks_and_thresholds_of_populations(file, run, options):
    network, (images, expected) = read_nir(DATA / f"{file}.nir", **options), recorded(run)
    trains = {p.name: spikes for p, spikes in zip(network.populations, expected, strict=True)}
    assert check(network, trains, images).same


#: Their Leaky(beta=0.75) and LIFBoxCell(tau_mem_inv=250), whose tau norse writes dt times too short.
SNNTORCH = {"dt": 1e-4, "discretisation": "euler", "input_gain": "scaled"}
NORSE = {**SNNTORCH, "dt": 1e-6, "reset": "zero"}


@pytest.mark.parametrize(
    ("file", "options", "leak", "verdict"),
    [
        ("snntorch_lif_zero", SNNTORCH, 0.25, "> instead of >="),
        ("norse_lif_zero", NORSE, 0.25, "> instead of >="),
        # Of this run no potential meets the threshold.
        ("norse_if_zero", {"reset": "zero"}, 0.0, "Eq. (4a)"),
    ],
)
def test_files_of_those_that_fire_above_the_threshold(file, options, leak, verdict):
    network, (images, expected) = read_nir(DATA / f"{file}.nir", **options), recorded(file)
    assert {p.leak for p in network.populations} == {leak} and network.input_shape == (16,)
    trains = {p.name: spikes for p, spikes in zip(network.populations, expected, strict=True)}
    found = check(network, trains, images)
    assert sum(s.size for s in expected) == 4_920 and sum(s.sum() for s in expected) > 3000
    assert found.rule == verdict and found.rounding == 0
    assert "> instead of >=" in (found.rule, *found.alike)


@pytest.mark.parametrize(
    ("framework", "reset", "verdict"),
    [("snntorch", "subtraction", "> instead of >="), ("norse", "zero", "reset to zero and > instead of >=")],
)
def test_our_file_in_those_that_fire_above_the_threshold(framework, reset, verdict):
    images, expected = recorded(f"ours_in_{framework}_{reset}")
    names = [population.name for population in cnn().populations]
    names = sorted(names) if framework == "norse" else names
    found = check(cnn(), {n: s for n, s in zip(names, expected, strict=True)}, np.moveaxis(images, 1, -1))
    assert not found.same and found.rule == verdict and found.rounding == 0
    assert sum(s.size for s in expected) == 13_920


def test_a_leak_that_never_leaks_is_refused():
    # As snntorch writes Leaky(beta=1).
    with pytest.raises(ModelError, match="node '1', r holds NaN or infinite"):
        read_nir(DATA / "snntorch_if_zero.nir", **SNNTORCH)

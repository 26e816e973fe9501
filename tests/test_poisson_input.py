"""Poisson input: the generator against its authors' numbers, rates, reproducibility, and what `verify` says."""

import numpy as np
import pytest
from brian2 import Hz

from brian_snn import Settings, load_result, simulate, stream, verify
from brian_snn.analysis.operations import ann_operations, snn_operations
from brian_snn.errors import DataError, SettingError
from brian_snn.randomness import uniform
from tests.small_network import STEPS, small_images, small_network

POISSON = {"input_coding": "poisson", "seed": 7}


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def images():
    return small_images()


@pytest.fixture(scope="module")
def result(network, images):
    return simulate(network, images, steps=400, backend="runtime", **POISSON, record_spikes=("input_spikes",))

    # The first outputs for the seed 1234567, as its authors' C program prints them.
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert uniform(1234567, np.arange(4)).tolist() == [(number >> 11) / 2**53 for number in known]


def test_rates_are_those_of_the_pixels(result, images):
    counts = result.spike_counts["input_spikes"]
    deviation = (counts - 400 * images) / np.sqrt(400 * images * (1 - images))
    # 120 counts: a deviation of five standard ones would come up once in 15,000 seeds.
    assert np.abs(deviation).max() < 5
    assert 0.8 < deviation.std() < 1.2
    np.testing.assert_array_equal(result.rates("input_spikes") / Hz, counts / 0.4)


def test_pixels_of_0_and_1_are_certain(network):
    images = np.stack([np.zeros((5, 4, 2)), np.ones((5, 4, 2))])
    counts = simulate(network, images, steps=50, backend="runtime", **POISSON).spike_counts["input_spikes"]
    assert not counts[0].any() and (counts[1] == 50).all()


def test_the_network_of_a_result_can_be_simulated_again(result, network, images):
    again = simulate(result.network, images, steps=400, backend="runtime", **POISSON)
    constant = simulate(result.network, images, steps=20, backend="runtime")
    assert [p.name for p in again.network.populations] == [p.name for p in result.network.populations]
    assert [p.name for p in constant.network.populations] == [p.name for p in network.populations]
    for name, counts in result.spike_counts.items():
        assert (again.spike_counts[name] == counts).all()
    for name, counts in simulate(network, images, steps=20, backend="runtime").spike_counts.items():
        assert (constant.spike_counts[name] == counts).all()


def test_spikes_of_a_neuron_follow_no_pattern(result, images):
    # Spikes in adjacent steps are as frequent as for independent draws.
    image, step, neuron = result.spike_trains["input_spikes"].T
    spikes = np.zeros((3, 401, 40))
    spikes[image, step, neuron] = 1
    rates = images.reshape(3, 1, 40)
    product = ((spikes - rates) / np.sqrt(rates * (1 - rates)))[:, 1:]
    correlations = [(product[:, 1:] * product[:, :-1]).mean(), (product[:, :, 1:] * product[:, :, :-1]).mean()]
    assert np.abs(correlations).max() < 5 / np.sqrt(product.size)


def test_an_image_has_the_same_spikes_whatever_follows_it(network, images):
    alone = simulate(network, images[:1], steps=STEPS, backend="runtime", **POISSON)
    together = simulate(network, images, steps=STEPS, backend="runtime", **POISSON)
    for name, counts in alone.spike_counts.items():
        assert np.array_equal(counts[0], together.spike_counts[name][0])


def test_images_and_seeds_differ_in_their_spikes(network, images):
    same = np.repeat(images[:1], 2, axis=0)
    one, two = (
        simulate(network, same, steps=STEPS, backend="runtime", **POISSON | {"seed": seed}).spike_counts["input_spikes"]
        for seed in (1, 2)
    )
    assert (one[0] != one[1]).any() and (one != two).any()


def test_every_row_of_verify_holds_exactly(result):
    report = verify(result)
    applicable = report[report["applicable"]]
    assert set(applicable["equation"]) == {"poisson", "charge", "synapses", "max_pool", "spikes"}
    assert (applicable["max_residual_charge"] == 0).all() and report["holds"].all()


def test_a_wrong_spike_is_found(network, images):
    result = simulate(network, images, steps=STEPS, backend="runtime", **POISSON)
    result.spike_counts["input_spikes"][1, 2, 3, 0] += 1
    failed = verify(result).query("not holds")
    expected = [["input_spikes", "poisson"], ["input_spikes", "spikes"], ["conv", "synapses"]]
    assert failed[["population", "equation"]].values.tolist() == expected


def test_operations_count_its_spikes_and_no_multiplications(network, images):
    result = simulate(network, images, steps=STEPS, backend="runtime", **POISSON)
    assert ann_operations(result.network) == ann_operations(network)
    assert np.array_equal(snn_operations(result), result.synaptic_events)


def test_a_result_is_saved_with_its_input(result, tmp_path):
    result.save(tmp_path / "run")
    loaded = load_result(tmp_path / "run")
    assert loaded.network["input_spikes"].kind == "poisson"
    assert verify(loaded).equals(verify(result))


def test_pixels_outside_0_to_1_are_refused(network, images):
    with pytest.raises(DataError, match=r"pixels from .* to 255; Poisson input needs 0 to 1"):
        simulate(network, images * 0 + 255.0, backend="runtime", **POISSON)


def test_a_pixel_outside_0_to_1_is_found_before_anything_is_simulated(network, images, tmp_path):
    wrong, seen = np.array(images), []
    wrong[-1].flat[-1] = 2.0
    with pytest.raises(DataError, match="to 2; Poisson input needs 0 to 1"):
        simulate(
            network,
            wrong,
            backend="runtime",
            shard_size=1,
            output=tmp_path / "run",
            progress=lambda *step: seen.append(step),
            **POISSON,
        )
    assert seen == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", [-1, 0.5, True])
def test_a_seed_is_a_whole_number(network, images, seed):
    with pytest.raises(SettingError, match=f"seed is {seed!r}"):
        simulate(network, images, backend="runtime", seed=seed)


def test_a_shard_has_the_spikes_that_the_whole_gives_its_images(network, images, tmp_path):
    options = {"backend": "runtime", **POISSON}
    whole = simulate(network, images, steps=STEPS, **options)
    simulate(network, images, steps=STEPS, shard_size=1, output=tmp_path / "run", **options)
    for result in (simulate(network, images, steps=STEPS, shard_size=2, **options), load_result(tmp_path / "run")):
        for name, counts in whole.spike_counts.items():
            assert np.array_equal(counts, result.spike_counts[name])
        assert verify(result)["holds"].all()


def test_a_part_knows_the_numbers_of_its_images(network, images, tmp_path):
    settings = Settings(STEPS, backend="runtime", **POISSON)
    parts = list(stream(network, images, settings, shard_size=2))
    parts[1].save(tmp_path / "part")
    for part in (*parts, load_result(tmp_path / "part")):
        assert verify(part)["holds"].all()
    assert parts[1].first_image == 2

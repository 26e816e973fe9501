"""Networks in files whose parts do not fit each other: refused in words, or simulated alike by all who simulate.

A small network is changed in its file, in one place or in two, and loaded. What is not refused is simulated in process
and by plain loops over matrices. The maps are also compiled, many in one program, with the address sanitiser and that
for undefined behaviour, as shared kernels and as explicit synapses: no report, and the same spikes.
"""

from dataclasses import replace

import numpy as np
import pytest

from brian_snn import simulate
from brian_snn.backends import compiler, run_files
from brian_snn.errors import BrianSnnError, SimulationError
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.simulation import topology
from tests.campaign.network_changes import changed_networks, geometries, valid_network
from tests.small_network import GRID, STEPS, differences, loop_result, to_grid
from tests.test_threads import MAPS, network_of


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


@pytest.fixture(params=["address,undefined"])
def sanitised(tmp_path, monkeypatch, request):
    """Let programs be compiled with sanitisers; return the folder of their reports, where there must be none."""
    reports = tmp_path / "reports"
    reports.mkdir()
    monkeypatch.setenv("CXX", f"g++ -fsanitize={request.param} -fno-sanitize-recover=all")
    monkeypatch.setenv("BRIAN_SNN_CACHE", str(tmp_path / "builds"))
    # What a program leaves behind when it exits is of no interest.
    monkeypatch.setenv("ASAN_OPTIONS", f"detect_leaks=0:log_path={reports}/address")
    monkeypatch.setenv("TSAN_OPTIONS", f"halt_on_error=1:log_path={reports}/thread")
    monkeypatch.setenv("UBSAN_OPTIONS", f"print_stacktrace=1:log_path={reports}/undefined")
    monkeypatch.setattr(compiler, "FLAGS", tuple("-O1" if flag == "-O3" else flag for flag in compiler.FLAGS))
    return reports


def compare_compiled(networks, projection, reports, threads=1):
    """Compile the maps of some networks into one program and compare it with the runtime backend."""
    network = merged(networks)
    expected = compare_backends(network, projection, reports, threads)
    assert expected.spike_counts["source"].any()


def compare_backends(network, projection, reports, threads=1):
    """Simulate a network in both ways and return the result."""
    images = images_for(network, np.random.default_rng(0))
    expected = simulate(network, images, steps=STEPS, backend="runtime")
    result = simulate(network, images, steps=STEPS, projection=projection, threads=threads)
    assert [path.read_text(errors="replace") for path in reports.iterdir()] == []
    assert differences(result, expected) == []
    return expected


@pytest.mark.slow
def test_some_maps_run_under_the_sanitisers_to_the_same_spikes(tmp_path, sanitised):
    maps = distinct_maps(changed_networks(tmp_path, 400, 2))
    compare_compiled([maps[k] for k in np.random.default_rng(0).permutation(len(maps))[:6]], "shared", sanitised)


@pytest.mark.campaign
@pytest.mark.parametrize("sanitised", ["thread"], indirect=True)
@pytest.mark.parametrize("seed", range(2))
def test_threads_write_nothing_that_another_reads(tmp_path, sanitised, monkeypatch, seed):
    monkeypatch.setattr(run_files, "LEAST_WORK", 1)
    maps = distinct_maps(changed_networks(tmp_path, 2000, 100 + seed))
    compare_compiled([maps[k] for k in np.random.default_rng(seed).permutation(len(maps))[:40]], "shared", sanitised, 3)
    compare_backends(network_of(MAPS), "shared", sanitised, 3)


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

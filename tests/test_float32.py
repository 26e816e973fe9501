"""Single precision on a coarse grid is as exact as double precision on a fine one, and refused where it is not."""

import re
from dataclasses import replace

import numpy as np
import pytest

from brian_snn import simulate, verify
from brian_snn.errors import SettingError
from tests import small_network as small
from tests.simulation_cases import HISTORY, RECORDED, RUNS, VARIANTS, variant_network
from tests.small_network import FINAL, differences
from tests.variant_oracles import VariantLoop

GRID = 2.0**-14


@pytest.fixture(autouse=True)
def coarse_grid(monkeypatch):
    """Make the loop and its network round to the coarse grid."""
    monkeypatch.setattr(small, "GRID", GRID)


@pytest.mark.parametrize("projection", ["synapses", "shared"])
@pytest.mark.parametrize("run", RUNS)
def test_in_process_run_equals_the_loop_in_float64(run, projection):
    network, images = small.small_network(), small.small_images()
    options = {"backend": "runtime", "projection": projection, "float_type": "float32"}
    result = simulate(network, images, steps=small.STEPS, **options, **RUNS[run], **RECORDED)
    assert differences(result, small.loop_result(network, images, **RUNS[run]), (*FINAL, *HISTORY)) == []


@pytest.mark.slow
@pytest.mark.parametrize(("run", "projection"), [("clamped_zero", "shared"), ("brian2", "synapses")])
def test_compiled_run_equals_the_loop_in_float64(run, projection):
    network, images = small.small_network(), small.small_images()
    options = {"projection": projection, "float_type": "float32"}
    result = simulate(network, images, steps=small.STEPS, **options, **RUNS[run], **RECORDED)
    expected = small.loop_result(network, images, **RUNS[run])
    assert differences(result, expected, (*FINAL, *HISTORY)) == []
    traces = {n: np.asarray(v) for n, v in result.potential_traces.items()}
    assert all(np.array_equal(traces[n][:, -1], expected.potentials[n]) for n in traces)


@pytest.mark.parametrize("run", ["leak_zero", "refractory", "everything", "bursts_clamped"])
def test_variants_equal_the_loop_in_float64(run):
    network, images = variant_network(VARIANTS[run]), small.small_images()
    # The bound on what conductances bring is wider than 24 bits here.
    options = {name: value for name, value in VARIANTS[run].items() if not name.startswith("reversal")}
    result = simulate(
        network, images, steps=small.STEPS, backend="runtime", float_type="float32", **options, **RECORDED
    )
    expected = small.loop_result(result.network, images, VariantLoop, **options)
    assert differences(result, expected, (*FINAL, "leaked", "missed", *HISTORY)) == []


def test_its_identities_hold():
    result = simulate(small.small_network(), small.small_images(), steps=30, backend="runtime", float_type="float32")
    assert bool(verify(result)["holds"].all())


def test_a_grid_too_fine_is_refused_with_one_that_is_not():
    network, images = small.small_network(), small.small_images()
    with pytest.raises(SettingError, match=r"float32 are exact below .* grid of 2\*\*-\d+ or coarser") as error:
        simulate(replace(network, grid=2.0**-24), images, steps=200, backend="runtime", float_type="float32")
    exponent = int(re.search(r"2\*\*(-\d+)", str(error.value)).group(1))
    simulate(replace(network, grid=2.0**exponent), images, steps=200, backend="runtime", float_type="float32")
    with pytest.raises(SettingError, match="float32"):
        simulate(
            replace(network, grid=2.0 ** (exponent - 1)), images, steps=200, backend="runtime", float_type="float32"
        )

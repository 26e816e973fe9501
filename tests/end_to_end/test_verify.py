"""`verify` on simulations that the oracle has judged: every applicable equation holds with a residual of exactly 0."""

import numpy as np
import pytest

import brian_snn
from tests.conversion_cases import CASES as FOLDED
from tests.models import HAND_PICKED, images_for

CASES = {
    "plain": {},
    "threshold": {"threshold": 1.75},
    "threshold off the grid": {"threshold": 0.7},
    "initial potential": {"v_init": 0.5},
    "negative initial potential": {"v_init": -0.25},
    "initial potential above the threshold": {"v_init": 1.2},
    "clamp": {"clamp": 3},
    "clamp longer than the run": {"clamp": 60},
    "all of them": {"threshold": 0.5, "v_init": 0.1, "clamp": 2},
    "spiking readout": {"readout": "spikes", "clamp": 1},
    "one step": {"steps": 1},
}
MODELS = ["odd_pooling", "norm_after_relu", "resnet_block", "inception_block"]


def verified(name, percentile=99.9, n_images=1, **settings):
    """Return the result and its report."""
    model = HAND_PICKED[name](seed=1)
    network = brian_snn.convert(model, images_for(model, 20), percentile=percentile)
    settings = {"steps": 30, "backend": "runtime", **settings}
    result = brian_snn.simulate(network, images_for(model, n_images, seed=7), **settings)
    return result, brian_snn.verify(result)


def residuals(report):
    """Return the residual charges of the applicable rows."""
    return report.loc[report.applicable, "max_residual_charge"].to_numpy()


@pytest.mark.parametrize("reset", ["subtraction", "zero"])
@pytest.mark.parametrize("case", CASES)
def test_every_applicable_equation_holds_exactly(case, reset):
    _, report = verified("odd_pooling", reset=reset, **CASES[case])
    assert report.holds.all()
    assert (residuals(report) == 0).all()


@pytest.mark.parametrize("reset", ["subtraction", "zero"])
@pytest.mark.parametrize("name", MODELS[1:])
def test_every_architecture_holds_exactly(name, reset):
    _, report = verified(name, n_images=2, reset=reset, clamp=2)
    assert report.holds.all()
    assert (residuals(report) == 0).all()


@pytest.mark.parametrize("reset", ["subtraction", "zero"])
def test_saturated_silent_and_negative_neurons_are_among_those_verified(reset):
    result, report = verified("odd_pooling", percentile=50.0, reset=reset)
    counts, charge = result.spike_counts["conv_a"], result.charge["conv_a"]
    assert (counts == 30).any() and (counts == 0).any() and (charge < 0).any()
    assert report.holds.all()


def test_every_population_has_its_rows():
    result, report = verified("odd_pooling", readout="spikes")
    rows = report[report.applicable].groupby("population").equation.agg(set)
    for population in result.network.populations:
        expected = {"max_pool"} if population.kind == "max_pool" else {"charge", "synapses"}
        assert expected <= rows[population.name]
    assert "S11" in rows["conv_a"]


@pytest.mark.parametrize(
    ("settings", "applicable"),
    [({"reset": "zero"}, True), ({"reset": "zero", "v_init": 0.5}, False), ({"reset": "subtraction"}, False)],
    ids=["V(0) = 0", "V(0) = 0.5", "subtraction"],
)
def test_s9_applies_where_its_preconditions_hold(settings, applicable):
    _, report = verified("odd_pooling", **settings)
    rows = report[(report.equation == "S9") & report.applicable]
    assert (rows.population == "conv_a").any() == applicable


@pytest.mark.parametrize("reset", ["subtraction", "zero"])
def test_the_report_agrees_with_the_charges_of_the_result(reset):
    result, report = verified("odd_pooling", reset=reset, threshold=1.75, v_init=0.5)
    rows = report[(report.equation == "charge") & report.applicable]
    for name in rows.population:
        balance = result.charge[name] - (result.potentials[name] - 0.5) - result.booked["surplus"].get(name, 0.0)
        spikes = 1.75 * result.spike_counts[name]
        assert np.array_equal(spikes, balance)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"threshold": 1.75, "v_init": 0.5, "clamp": 2}], ids=["plain", "hard"])
def test_compiled_results_hold_exactly(settings):
    _, report = verified("odd_pooling", n_images=2, backend="standalone", **settings)
    assert report.holds.all()
    assert (residuals(report) == 0).all()


@pytest.mark.parametrize("name", FOLDED)
def test_what_folds_holds_exactly_with_both_projections(name):
    """Each way of folding makes maps that Keras has too, so that `verify` can hold them against it."""
    model = FOLDED[name]()
    images = images_for(model, 3)
    network = brian_snn.convert(model, images)
    runs = [
        brian_snn.simulate(network, images, steps=25, reset="zero", clamp=1, backend="runtime", projection=projection)
        for projection in ("synapses", "shared")
    ]
    for result in runs:
        report = brian_snn.verify(result)
        assert report.holds.all()
        assert (residuals(report) == 0).all()
    assert all((runs[0].spike_counts[p.name] == runs[1].spike_counts[p.name]).all() for p in network.populations)

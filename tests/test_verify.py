"""`verify` on a network simulated by a plain loop, and on results that were corrupted in one place."""

from dataclasses import replace

import numpy as np
import pytest
from brian2 import ms

from brian_snn.analysis import verify as verify_module
from brian_snn.analysis.ann import compare_with_ann
from brian_snn.analysis.verify import verify
from brian_snn.errors import DataError
from brian_snn.network.records import INPUT
from tests.small_network import loop_result, small_images, small_network, to_grid

CASES = {
    "subtraction": {},
    "zero": {"reset": "zero"},
    "threshold": {"threshold": 1.7},
    "threshold and start": {"threshold": 0.7, "v_init": 0.3, "reset": "zero"},
    "start above threshold": {"v_init": 1.5},
    "clamp": {"clamp": 4},
    "clamp, zero": {"clamp": 2, "reset": "zero"},
    "clamped to the end": {"clamp": 12},
    "spiking readout": {"readout": "spikes"},
    "Brian2's order": {"schedule": "brian2", "clamp": 2},
    "Brian2's order, zero": {"schedule": "brian2", "reset": "zero"},
}


@pytest.fixture(scope="module")
def result():
    """Return an untouched result with reset by subtraction."""
    return loop_result(small_network(), small_images())


@pytest.fixture(scope="module")
def zero_result():
    """Return an untouched result with reset to zero."""
    return loop_result(small_network(), small_images(), reset="zero")


def failing(report):
    """Return (population, equation) of the rows that do not hold."""
    rows = report[~report.holds]
    return set(zip(rows.population, rows.equation, strict=True))


def row(report, population, equation):
    """Return one row."""
    return report[(report.population == population) & (report.equation == equation)].iloc[0]


# --- what is right holds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_every_applicable_residual_is_zero(case):
    report = verify(loop_result(small_network(), small_images(), **CASES[case]))
    assert (report.max_residual_charge[report.applicable] == 0).all()
    assert report.holds.all()


def test_columns_are_those_of_the_contract(result):
    columns = ["population", "equation", "neurons", "applicable", "images"]
    columns += ["max_residual_charge", "max_residual_hz", "holds"]
    assert list(verify(result).columns) == [*columns, "note"]


@pytest.mark.parametrize(("reset", "law"), [("subtraction", "S11"), ("zero", "S9")])
def test_rows_that_apply(reset, law):
    report = verify(loop_result(small_network(), small_images(), reset=reset))
    applicable = report[report.applicable]
    membranes = ("conv", "average", "mixed", "out")
    always = {(name, equation) for name in membranes for equation in ("charge", "synapses")}
    always |= {(name, "spikes") for name in (*membranes, "pool")}
    expected = always | {("conv", law), ("pool", "max_pool")}
    assert set(zip(applicable.population, applicable.equation, strict=True)) == expected


def test_neurons_counts_pairs_of_neuron_and_image(result):
    report = verify(result)
    assert (row(report, "conv", "S11").neurons, row(report, "mixed", "S11").neurons) == (3 * 60, 0)


def test_small_batches_change_nothing(result, monkeypatch):
    monkeypatch.setattr(verify_module, "_BATCH_NUMBERS", 1)
    report = verify(result)
    assert report.holds.all() and row(report, "conv", "S11").neurons == 3 * 60


@pytest.mark.parametrize(
    ("options", "population", "equation", "words"),
    [
        ({"reset": "zero", "v_init": 0.25}, "conv", "S9", "V\\(0\\)"),
        ({"reset": "zero"}, "average", "S9", "spikes"),
        ({}, "out", "S11", "spikes"),
        ({"schedule": "brian2"}, "pool", "max_pool", "lags"),
    ],
)
def test_a_row_that_does_not_apply_says_why(options, population, equation, words):
    report = verify(loop_result(small_network(), small_images(), **options))
    checked = row(report, population, equation)
    assert not checked.applicable and checked.holds and np.isnan(checked.max_residual_charge)
    assert report[report.note.str.contains(words)].equation.eq(equation).any()


def test_brian2_order_is_not_the_order_of_max_pooling():
    """Why the row is not applicable there: read as a same-step run, it fails."""
    lagging = loop_result(small_network(), small_images(), schedule="brian2")
    claimed = replace(lagging, settings=replace(lagging.settings, schedule="same_step"))
    assert ("pool", "max_pool") in failing(verify(claimed))
    # With constant input either order does the same, and an output that only integrates spends no spike.
    unlike = {name for name, equation in failing(verify(claimed)) if equation == "spikes"}
    assert unlike == {"pool", "average", "mixed"}


def test_the_run_has_saturated_silent_and_negative_neurons():
    network = small_network()
    bias = to_grid(network["conv"].bias + np.linspace(-1, 1.5, 60).reshape(5, 4, 3))
    populations = (replace(network["conv"], bias=bias), *network.populations[1:])
    checked = loop_result(replace(network, populations=populations), small_images())
    counts, potentials = checked.spike_counts["conv"], checked.potentials["conv"]
    assert (counts == 30).any() and (counts == 0).any() and (potentials > 1).any() and (potentials < -1).any()
    assert verify(checked).holds.all()


# --- what is wrong fails --------------------------------------------------------------------------------------------


def with_projection(result, source, target, change):
    """Return the result with one projection of its network changed."""
    projections = tuple(
        replace(p, **change(p)) if (p.source, p.target) == (source, target) else p for p in result.network.projections
    )
    return replace(result, network=replace(result.network, projections=projections))


def with_weight(source, target):
    """Return a corruption: one weight moved by one step of the grid."""

    def change(projection):
        weights = projection.weights.copy()
        weights.flat[0] += 2.0**-24
        return {"weights": weights}

    return lambda result: with_projection(result, source, target, change)


def with_index(source, target, name):
    """Return a corruption: two entries of an index swapped."""

    def change(projection):
        index = getattr(projection, name).copy()
        index[[0, 1]] = index[[1, 0]]
        return {name: index}

    return lambda result: with_projection(result, source, target, change)


def with_padding(source, target):
    """Return a corruption: the padding of a map on the other side."""

    def change(projection):
        rows, columns = projection.geometry.padding
        return {"geometry": replace(projection.geometry, padding=(rows[::-1], columns[::-1]))}

    return lambda result: with_projection(result, source, target, change)


def with_number(field, population, amount):
    """Return a corruption: the number of the busiest neuron of the second image changed by `amount`."""

    def corrupt(result):
        arrays = dict(result.by_population(field))
        array = arrays[population].copy()
        # The busiest one is the maximum of its pooling window.
        array[1].flat[result.spike_counts[population][1].argmax()] += amount
        arrays[population] = array
        if field in result.booked:
            return replace(result, booked={**result.booked, field: arrays})
        return replace(result, **{field: arrays})

    return corrupt


def with_bias(population):
    """Return a corruption: one bias moved by one step of the grid."""

    def corrupt(result):
        changed = result.network[population].bias.copy()
        changed.flat[3] += 2.0**-24
        populations = tuple(replace(p, bias=changed) if p.name == population else p for p in result.network.populations)
        return replace(result, network=replace(result.network, populations=populations))

    return corrupt


def with_pixel(result):
    """One pixel of the first image changed."""
    images = result.images.copy()
    images[0, 2, 1, 0] += 0.01
    return replace(result, images=images)


def with_checkpoint(result):
    """One count of the pool at the first checkpoint changed, none at the end."""
    history = result.count_history["pool"].copy()
    history[0, 0, 0, 0, 0] += 1
    return replace(result, count_history={**result.count_history, "pool": history})


def with_late_spike(result):
    """One spike of the pool a step later, between checkpoints."""
    train = result.spike_trains["pool"].copy()
    train[np.flatnonzero(train[:, 1] == 20)[0], 1] += 1
    return replace(result, spike_trains={**result.spike_trains, "pool": train})


CORRUPTIONS = {
    "weight from the image": (with_weight(INPUT, "conv"), {("conv", "S11"), ("conv", "synapses"), ("conv", "spikes")}),
    "weight of a convolution": (with_weight("pool", "mixed"), {("mixed", "synapses"), ("mixed", "spikes")}),
    "weight of an average": (with_weight("conv", "average"), {("average", "synapses"), ("average", "spikes")}),
    "weight of a depthwise map": (with_weight("average", "mixed"), {("mixed", "synapses"), ("mixed", "spikes")}),
    "weight of a dense map": (with_weight("mixed", "out"), {("out", "synapses"), ("out", "spikes")}),
    "weight of an identity": (with_weight("average", "out"), {("out", "synapses"), ("out", "spikes")}),
    "bias under the image": (with_bias("conv"), {("conv", "S11"), ("conv", "synapses"), ("conv", "spikes")}),
    "bias": (with_bias("mixed"), {("mixed", "synapses"), ("mixed", "spikes")}),
    "pixel": (with_pixel, {("conv", "S11"), ("conv", "synapses"), ("conv", "spikes")}),
    "source index": (with_index("mixed", "out", "source_index"), {("out", "synapses"), ("out", "spikes")}),
    "target index": (with_index("average", "mixed", "target_index"), {("mixed", "synapses"), ("mixed", "spikes")}),
    "padding of a convolution": (with_padding("pool", "mixed"), {("mixed", "synapses"), ("mixed", "spikes")}),
    "padding of a max pool": (with_padding("conv", "pool"), {("pool", "max_pool"), ("pool", "spikes")}),
    "count after the image": (
        with_number("spike_counts", "conv", 1),
        {("conv", "S11"), ("conv", "charge"), ("pool", "max_pool"), ("average", "synapses"), ("conv", "spikes")},
    ),
    "count": (
        with_number("spike_counts", "mixed", -1),
        {("mixed", "charge"), ("out", "synapses"), ("mixed", "spikes")},
    ),
    "count of a max pool": (
        with_number("spike_counts", "pool", 1),
        {("pool", "max_pool"), ("mixed", "synapses"), ("pool", "spikes")},
    ),
    "count of the readout": (with_number("spike_counts", "out", 1), {("out", "charge"), ("out", "spikes")}),
    "potential after the image": (
        with_number("potentials", "conv", 2.0**-24),
        {("conv", "S11"), ("conv", "charge"), ("conv", "spikes")},
    ),
    "potential": (with_number("potentials", "mixed", 2.0**-24), {("mixed", "charge"), ("mixed", "spikes")}),
    "potential that is no number": (
        with_number("potentials", "mixed", np.nan),
        {("mixed", "charge"), ("mixed", "spikes")},
    ),
    "charge": (with_number("charge", "average", 2.0**-24), {("average", "charge"), ("average", "synapses")}),
    "count at a checkpoint": (with_checkpoint, {("pool", "max_pool")}),
    "time of a spike": (with_late_spike, {("pool", "max_pool"), ("pool", "spikes")}),
}


@pytest.mark.parametrize("case", CORRUPTIONS)
def test_a_corruption_fails_in_its_own_rows_only(case, result):
    corrupt, expected = CORRUPTIONS[case]
    assert failing(verify(corrupt(result))) == expected


@pytest.mark.parametrize(
    ("field", "amount", "expected"),
    [
        (
            "spike_counts",
            1,
            {("conv", "S9"), ("conv", "charge"), ("conv", "spikes"), ("pool", "max_pool"), ("average", "synapses")},
        ),
        ("potentials", 2.0**-24, {("conv", "S9"), ("conv", "charge"), ("conv", "spikes")}),
        ("surplus", 2.0**-24, {("conv", "charge")}),
    ],
)
def test_a_corruption_with_reset_to_zero_fails_in_its_own_rows_only(field, amount, expected, zero_result):
    assert failing(verify(with_number(field, "conv", amount)(zero_result))) == expected


@pytest.mark.parametrize("field", ["spike_counts", "potentials"])
def test_s9_watches_neurons_without_drive(field, zero_result):
    array = getattr(zero_result, field)["conv"].copy()
    silent = np.argwhere(zero_result.potentials["conv"] < -1)[0]
    array[tuple(silent)] += 1
    report = verify(replace(zero_result, **{field: {**getattr(zero_result, field), "conv": array}}))
    assert row(report, "conv", "S9").max_residual_charge == 1


def test_the_residual_is_the_charge_that_is_wrong_and_its_rate(result):
    report = verify(with_number("potentials", "mixed", 0.25)(result))
    checked = row(report, "mixed", "charge")
    # A quarter of a threshold in 30 steps of 1 ms.
    assert (checked.max_residual_charge, checked.max_residual_hz) == (0.25, 0.25 / (1.0 * (30 * 1e-3)))


def test_counts_before_the_window_of_a_clamped_target_matter():
    clamped = loop_result(small_network(), small_images(), clamp=4)
    early = {key: np.zeros_like(counts) for key, counts in clamped.early_counts.items()}
    targets = {("average", "synapses"), ("mixed", "synapses"), ("out", "synapses")}
    assert failing(verify(replace(clamped, early_counts=early))) == targets


def test_an_array_of_another_shape_is_an_error_that_names_the_population(result):
    potentials = {**result.potentials, "mixed": result.potentials["mixed"][:1]}
    with pytest.raises(DataError, match="'mixed'.*potentials"):
        verify(replace(result, potentials=potentials))


# --- against the ANN ------------------------------------------------------------------------------------------------


def with_scale(result, name, scale):
    """Return the result with a population that has another lambda."""
    populations = tuple(replace(p, scale=scale) if p.name == name else p for p in result.network.populations)
    return replace(result, network=replace(result.network, populations=populations))


@pytest.mark.parametrize("scale", [1.0, 2.5, np.array([0.5, 2.0, 4.0])], ids=["1", "2.5", "per channel"])
def test_activations_equal_to_the_rates_have_no_error(scale, result):
    activations = {"conv": result.spike_counts["conv"] / 30 * scale}
    compared = compare_with_ann(with_scale(result, "conv", scale), activations).iloc[0]
    assert compared.pearson_r == pytest.approx(1, abs=1e-12)
    assert compared.max_error_hz == pytest.approx(0, abs=1e-10)


def test_errors_are_rate_minus_target_in_hz(result):
    rates = np.asarray(result.rates("conv"))
    error = np.where(np.arange(rates.size) % 2, 30.0, -10.0).reshape(rates.shape)
    compared = compare_with_ann(result, {"conv": (rates - error) * float(1 * ms)}).iloc[0]
    expected = (10.0, np.sqrt(500.0), 30.0)
    assert (compared.mean_error_hz, compared.rmse_hz, compared.max_error_hz) == pytest.approx(expected, abs=1e-9)


def test_a_readout_is_compared_by_the_charge_it_gathered(result):
    compared = compare_with_ann(result, {"out": result.potentials["out"] / 30}).iloc[0]
    assert compared.rmse_hz == pytest.approx(0, abs=1e-9)


def test_a_constant_side_has_no_correlation(result):
    assert np.isnan(compare_with_ann(result, {"conv": np.zeros((3, 5, 4, 3))}).iloc[0].pearson_r)


@pytest.mark.parametrize(
    ("activations", "words"), [({"conv": np.zeros((3, 5, 4))}, "'conv'"), ({"conw": np.zeros(3)}, "conw")]
)
def test_activations_that_do_not_fit_are_refused(activations, words, result):
    with pytest.raises(DataError, match=words):
        compare_with_ann(result, activations)

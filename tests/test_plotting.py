"""Tests of the figures: the numbers on the Axes, against what went in or a hand-made count."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from brian2 import second
from matplotlib.image import imread

from brian_snn.analysis.transients import pearson
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.plotting.accuracy import plot_accuracy
from brian_snn.plotting.correlation import plot_correlation
from brian_snn.plotting.digits import plot_images
from brian_snn.plotting.error_account import TERM_STYLES, plot_error_account
from brian_snn.plotting.gallery import checkpoint_times_ms, correlation_figure, raster_figure, rate_law_figure
from brian_snn.plotting.raster import plot_raster
from brian_snn.plotting.rate_law import RATE_POINTS, RateLaw, plot_rate_laws
from brian_snn.plotting.style import (
    DPI,
    MAX_POINTS,
    RESET_COLOURS,
    VERMILION,
    count_label,
    new_figure,
    sample,
    save_figure,
)
from brian_snn.results.result import Result
from brian_snn.settings import Settings

GRID = 2.0**-24


def rate_law(n_points=40, residual=None):
    """Return a rate law of neurons with inputs from -1 to 2 and made-up rates."""
    activation = np.linspace(-1, 2, n_points)
    measured = np.clip(activation, 0, 1) * 1000
    residual = np.zeros(n_points) if residual is None else residual
    return RateLaw("S11, conv", activation, measured, measured + 1, residual, GRID, 1000.0, "#0072B2")


class TestStyle:
    def test_sample_of_few_points_is_all_of_them(self):
        assert sample(7, 7).tolist() == list(range(7))

    def test_sample_of_many_points_is_sorted_distinct_and_repeatable(self):
        chosen = sample(1000, 50)
        assert len(chosen) == 50
        assert (np.diff(chosen) > 0).all()
        assert (chosen == sample(1000, 50)).all()

    def test_label_says_when_points_are_left_out(self):
        assert count_label(500, 1234, "neurons") == "500 of 1,234 neurons"
        assert count_label(1234, 1234, "neurons") == "1,234 neurons"

    def test_saved_file_has_the_size_and_resolution_of_the_style(self, tmp_path):
        figure = new_figure(2.0, 1.0)
        figure.add_subplot()
        path = save_figure(figure, tmp_path / "empty.png")
        assert imread(path).shape[:2] == (DPI, 2 * DPI)

    def test_a_plot_leaves_the_users_matplotlib_as_it_was(self):
        before = dict(matplotlib.rcParams)
        plot_accuracy([1, 2], {"zero": [0.1, 0.2]})
        assert dict(matplotlib.rcParams) == before
        assert plt.get_fignums() == []


class TestCorrelation:
    def test_a_panel_holds_targets_and_rates_of_its_layer(self, rng):
        targets = {"a": rng.random((2, 3)), "b": rng.random((2, 5))}
        rates = {"b": rng.random((2, 5)), "a": rng.random((2, 3))}
        figure = plot_correlation(targets, rates)
        for axes, name in zip(figure.axes, ("a", "b"), strict=True):
            points = axes.lines[1]
            assert points.get_xdata().tolist() == targets[name].ravel().tolist()
            assert points.get_ydata().tolist() == rates[name].ravel().tolist()
            assert axes.get_title(loc="left").startswith(f"{name} ")

    def test_the_diagonal_is_where_rate_equals_target(self, rng):
        figure = plot_correlation({"a": rng.random(9)}, {"a": rng.random(9)})
        diagonal = figure.axes[0].lines[0]
        assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())

    def test_large_layers_are_drawn_from_a_sample_but_correlated_in_full(self, rng):
        n = MAX_POINTS + 1000
        target = rng.random(n)
        rate = target + rng.normal(size=n)
        axes = plot_correlation({"a": target}, {"a": rate}).axes[0]
        assert len(axes.lines[1].get_xdata()) == MAX_POINTS
        assert axes.get_xlabel() == f"{MAX_POINTS:,} of {n:,} points"
        assert axes.get_title(loc="left") == f"a   r = {np.corrcoef(target, rate)[0, 1]:.4f}"

    def test_pearson_of_a_silent_layer_is_undefined(self):
        assert np.isnan(pearson(np.arange(3.0), np.zeros(3)))


def error_table(shares):
    """Return the columns of an account that are drawn, of two layers; their rms errors are 1 % and 25 %."""
    rows = [
        {"population": name, "term": term, "share": share, "relative": share * relative}
        for name, relative, terms in zip(("conv", "out"), (0.01, 0.25), shares, strict=True)
        for term, share in [*terms, ("unexplained", 1e-16), ("error", 1.0)]
    ]
    return pd.DataFrame(rows)


class TestErrorAccount:
    ACCOUNT = error_table(
        [
            [("residual", 0.7), ("saturation", 0.3), ("grid", 1e-5)],
            [("arrives", 0.75), ("arrives", 0.5), ("clipped", -0.25), ("grid", 1e-5)],
        ]
    )
    ORIGINS = error_table([[("residual", 0.7), ("saturation", 0.3)], [("residual", 0.9), ("saturation", 0.1)]])

    @staticmethod
    def bars(axes):
        """Return {(label, row): (from, to)} of all bars that have a length."""
        bars = {}
        for container in axes.containers:
            for row, bar in enumerate(container):
                if bar.get_width():
                    ends = sorted((bar.get_x(), bar.get_x() + bar.get_width()))
                    bars[container.get_label(), row] = tuple(round(end, 9) for end in ends)
        return bars

    def test_bars_are_shares_end_to_end(self):
        label = {term: text for term, (_, text) in TERM_STYLES.items()}
        here, origins = (self.bars(axes) for axes in plot_error_account(self.ACCOUNT, self.ORIGINS).axes)
        assert here == {
            (label["saturation"], 0): (0, 30),
            (label["residual"], 0): (30, 100),
            (label["arrives"], 1): (0, 125),
            (label["clipped"], 1): (-25, 0),
        }
        assert origins[label["residual"], 1] == (10, 100)

    def test_the_error_of_each_layer_is_beside_its_bar(self):
        figure = plot_error_account(self.ACCOUNT, self.ORIGINS)
        (side,) = figure.axes[1].child_axes
        assert [tick.get_text() for tick in side.get_yticklabels()] == ["1 %", "25 %"]
        assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["conv", "out"]

    def test_terms_too_small_to_see_are_left_out_of_the_legend(self):
        (legend,) = plot_error_account(self.ACCOUNT, self.ORIGINS).legends
        drawn = ("saturation", "residual", "arrives", "clipped")
        assert [text.get_text() for text in legend.get_texts()] == [TERM_STYLES[term][1] for term in drawn]


class TestRateLaws:
    def test_dots_are_measured_and_rings_are_the_equation(self):
        law = rate_law()
        dots = {line.get_label(): line for line in plot_rate_laws([law]).axes[0].lines}
        assert dots["measured"].get_ydata().tolist() == law.measured_hz.tolist()
        assert dots["equation"].get_ydata().tolist() == law.predicted_hz.tolist()
        assert dots["measured"].get_xdata().tolist() == law.activation.tolist()

    def test_a_residual_of_zero_is_called_exact(self):
        assert plot_rate_laws([rate_law()]).axes[1].get_title(loc="left").endswith("all 40: exactly 0")

    def test_one_wrong_neuron_among_many_is_seen(self):
        n = MAX_POINTS + 5000
        residual = np.zeros(n)
        residual[1234] = 3 * GRID
        axes = plot_rate_laws([rate_law(n, residual)]).axes[1]
        assert axes.lines[0].get_ydata().max() == 3.0
        assert axes.get_ylim()[1] > 3.0
        assert "up to 1.79e-07" in axes.get_title(loc="left")

    def test_of_many_points_some_from_the_lowest_to_the_highest_input_are_drawn(self, rng):
        law = rate_law(5000)
        axes = plot_rate_laws([law]).axes[0]
        (drawn,) = (line.get_xdata() for line in axes.lines if line.get_label() == "measured")
        assert len(drawn) == RATE_POINTS
        assert (drawn.min(), drawn.max()) == (-1, 2)
        assert axes.get_legend().get_title().get_text() == f"{RATE_POINTS} of 5,000 neurons x images"


class TestAccuracy:
    def test_a_line_per_reset_in_per_cent_with_its_colour(self):
        axes = plot_accuracy([10, 20], {"subtraction": [0.5, 0.9], "zero": [0.25, 0.75]}).axes[0]
        assert [list(line.get_ydata()) for line in axes.lines] == [[50, 90], [25, 75]]
        assert [line.get_color() for line in axes.lines] == list(RESET_COLOURS.values())
        assert list(axes.lines[0].get_xdata()) == [10, 20]

    def test_the_trained_network_is_a_level_line(self):
        axes = plot_accuracy([10, 20], {"zero": [0.5, 0.9]}, ann_accuracy=0.95).axes[0]
        assert set(axes.lines[0].get_ydata()) == {95.0}

    def test_the_band_is_the_wilson_interval_of_95_per_cent(self):
        axes = plot_accuracy([0, 1], {"zero": [0.5, 0.5]}, n_images=100).axes[0]
        band = axes.collections[0].get_paths()[0].vertices[:, 1]
        half_width = 100 * (1.959964**2 / 4 / (100 + 1.959964**2)) ** 0.5
        assert (band.min(), band.max()) == pytest.approx((50 - half_width, 50 + half_width))


class TestRaster:
    TRAIN = np.array([[0, 1, 2], [0, 2, 2], [0, 5, 0], [1, 3, 1]])

    def test_spikes_of_the_chosen_image_at_the_end_of_their_steps(self):
        axes = plot_raster({"a": self.TRAIN}, {"a": (2, 2)}, steps=6, dt_ms=0.5).axes[0]
        assert sorted(axes.lines[0].get_xdata()) == [0.5, 1.0, 2.5]

    def test_the_busiest_neuron_is_on_top(self):
        line = plot_raster({"a": self.TRAIN}, {"a": (2, 2)}, steps=6).axes[0].lines[0]
        rows = dict(zip(line.get_xdata(), line.get_ydata(), strict=True))
        assert rows == {1.0: 1, 2.0: 1, 5.0: 0}

    def test_the_title_counts_silent_neurons(self):
        axes = plot_raster({"a": self.TRAIN}, {"a": (2, 2)}, steps=6).axes[0]
        assert axes.get_title(loc="left") == "a: 2 neurons that fire, 2 are silent"

    def test_a_sample_of_a_large_layer_says_so_and_draws_only_its_spikes(self):
        train = np.array([[0, 1, neuron] for neuron in range(50)])
        axes = plot_raster({"a": train}, {"a": (60,)}, steps=2, max_neurons=20).axes[0]
        assert len(axes.lines[0].get_xdata()) == 20
        assert axes.get_title(loc="left") == "a: 20 of 50 neurons that fire, 10 are silent"

    def test_a_layer_without_spikes_is_empty(self):
        axes = plot_raster({"a": self.TRAIN[:0]}, {"a": (3,)}, steps=2).axes[0]
        assert len(axes.lines[0].get_xdata()) == 0


class TestImages:
    @pytest.fixture
    def axes(self, rng):
        self.images = rng.random((3, 4, 4, 1))
        labels = np.array([7, 1, 2])
        return plot_images(self.images, labels, {"K": labels, "Z": np.array([7, 8, 2])}, columns=2).axes[0]

    def test_every_image_is_shown_as_it_is(self, axes):
        mosaic = axes.images[0].get_array()
        # Images of 4 x 4 pixels, two in a row, with gaps of 2 rows and 1 column.
        assert (mosaic[:4, :4] == self.images[0, ..., 0]).all()
        assert (mosaic[:4, 5:9] == self.images[1, ..., 0]).all()
        assert (mosaic[6:10, :4] == self.images[2, ..., 0]).all()
        assert axes.images[0].get_extent() == [0, 10, 12, 0]

    def test_only_a_misread_image_lists_who_misread_it(self, axes):
        assert [text.get_text() for text in axes.texts] == ["7", "1 Z8", "2"]

    @pytest.mark.parametrize(("first", "frames"), [("K", []), ("Z", [(5, 0)])])
    def test_a_frame_marks_what_the_first_network_misread(self, rng, first, frames):
        labels = np.array([7, 1, 2])
        predictions = {"K": labels, "Z": np.array([7, 8, 2])}
        ordered = {first: predictions.pop(first)} | predictions
        axes = plot_images(rng.random((3, 4, 4, 1)), labels, ordered, columns=2).axes[0]
        assert [(frame.get_x(), frame.get_y()) for frame in axes.patches] == frames

    def test_misread_is_red(self, axes):
        assert [text.get_color() == VERMILION for text in axes.texts] == [False, True, False]


def simulated(reset, steps=20, dt_s=2e-3):
    """Return the result of three neurons with constant inputs 0.75, -0.5 and 1.25, by a plain loop over Eq. (4)."""
    weights = np.array([[0.75, -0.5, 1.25]])
    neurons = Population("conv", "spiking", (3,), np.zeros(3), depth=1, scale=4.0)
    network = Network((neurons,), (Projection(INPUT, "conv", Geometry("dense", (1,), (3,)), weights),), (1,), grid=GRID)
    v, counts, surplus, train = np.zeros(3), np.zeros(3, int), np.zeros(3), []
    for step in range(1, steps + 1):
        u = v + weights[0]
        spikes = u >= 1
        v = np.where(spikes, u - 1 if reset == "subtraction" else 0, u)
        surplus += spikes * (u - 1) * (reset == "zero")
        counts += spikes
        train += [[0, step, neuron] for neuron in np.flatnonzero(spikes)]
    return Result(
        network,
        Settings(steps=steps, reset=reset, dt=dt_s * second),
        np.ones((1, 1)),
        {"conv": counts[np.newaxis]},
        {"conv": v[np.newaxis]},
        {"conv": steps * weights},
        {"surplus": {"conv": surplus[np.newaxis]}},
        checkpoints=np.array([5, 20]),
        spike_trains={"conv": np.array(train)},
    )


class TestGallery:
    def test_targets_are_activations_in_units_of_the_scale_at_the_highest_rate(self):
        result = simulated("subtraction")
        axes = correlation_figure(result, {"conv": np.array([[3.0, 0.0, 4.0]])}).axes[0]
        # r_max is 500 Hz and lambda 4.
        assert list(axes.lines[1].get_xdata()) == [375, 0, 500]
        assert list(axes.lines[1].get_ydata()) == pytest.approx([375, 0, 500])

    @pytest.mark.parametrize(
        ("reset", "rates_hz"), [("subtraction", [0, 375, 500]), ("zero", [250, 500])], ids=["S11", "S9"]
    )
    def test_the_rate_law_is_met_by_the_neurons_to_which_it_applies(self, reset, rates_hz):
        upper, lower = rate_law_figure([simulated(reset)]).axes
        lines = {line.get_label(): line.get_ydata() for line in upper.lines}
        assert list(lines["measured"]) == rates_hz
        assert list(lines["equation"]) == pytest.approx(rates_hz)
        assert not lower.lines[0].get_ydata().any()

    @pytest.mark.parametrize("reset", ["subtraction", "zero"])
    def test_a_miscounted_spike_is_a_residual(self, reset):
        result = simulated(reset)
        result.spike_counts["conv"][0, 0] += 1
        assert rate_law_figure([result]).axes[1].lines[0].get_ydata().any()

    def test_the_raster_shows_every_spike(self):
        result = simulated("zero")
        line = raster_figure(result).axes[0].lines[0]
        assert len(line.get_xdata()) == result.spike_counts["conv"].sum() == 30
        # The neuron at 1.25 fires in each of the 20 steps of 2 ms.
        busiest = line.get_ydata() == line.get_ydata().max()
        assert line.get_xdata()[busiest].tolist() == list(range(2, 42, 2))

    def test_checkpoints_are_in_ms(self):
        assert checkpoint_times_ms(simulated("zero")).tolist() == [10, 40]

"""The figures of ``brian-snn figure``: what they measure, what is on their axes, and the command itself."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import brian_snn
from brian_snn.__main__ import main
from brian_snn.analysis.transients import layer_offsets
from brian_snn.cli.figure import FIGURES
from brian_snn.frontends.table import reference_activations
from brian_snn.plotting.activity import plot_activity
from brian_snn.plotting.depth import plot_depth
from brian_snn.plotting.staircase import law_errors, plot_rate_laws_over_time
from brian_snn.plotting.style import RESET_COLOURS
from brian_snn.plotting.transients import plot_transients
from brian_snn.settings import Execution, Settings
from brian_snn.studies import activity, biophysics, bits, clamp_transients, depth, methods, rate_laws, variants
from tests import models
from tests.small_network import CHECKPOINTS, loop_result

RUNTIME = Settings(backend="runtime")
SMALL = [figure.name for figure in FIGURES if figure.name != "s1"]
SCRIPTS = Path(__file__).resolve().parents[1] / "figures"
LAW_STEPS, CURVE_STEPS = (10, 37), (3, 8, 20)


def spikes_in_whole_numbers(numerator, steps, reset):
    """Return the spikes of a neuron with input numerator / 256 after some steps, without any fraction."""
    if numerator <= 0:
        return 0
    if reset == "zero":
        return steps // -(-256 // numerator)
    return min(steps, numerator * steps // 256)


@pytest.fixture(scope="module")
def law_tables():
    return rate_laws.rates_and_laws(rate_laws.inputs_between(-0.2, 1.5), LAW_STEPS, RUNTIME)


@pytest.fixture(scope="module")
def law_panels(law_tables):
    return plot_rate_laws_over_time(*law_tables).axes


class TestRateLaws:
    NUMERATORS = range(-51, 385)

    def expected(self, reset, steps):
        return [spikes_in_whole_numbers(k, steps, reset) / steps for k in self.NUMERATORS]

    @pytest.mark.parametrize(("panel", "reset"), [(0, "zero"), (1, "subtraction")])
    @pytest.mark.parametrize("steps", LAW_STEPS)
    def test_the_dots_are_the_staircase_in_closed_form(self, law_panels, panel, reset, steps):
        (dots,) = (line for line in law_panels[panel].lines if line.get_label() == f"T = {steps} steps")
        assert dots.get_xdata().tolist() == [k / 256 for k in self.NUMERATORS]
        assert dots.get_ydata().tolist() == self.expected(reset, steps)

    @pytest.mark.parametrize("reset", ["zero", "subtraction"])
    def test_the_equation_gives_the_measured_rates(self, law_tables, reset):
        rows = law_tables[0][law_tables[0]["reset"] == reset]
        silent = rows["activation"] <= 0
        # S9 says nothing about a neuron without input.
        assert rows["equation"].isna().tolist() == (silent & (reset == "zero")).tolist()
        said = rows.dropna()
        np.testing.assert_allclose(said["equation"], said["spikes"] / said["steps"], atol=1e-12)

    @pytest.mark.parametrize("steps", LAW_STEPS)
    def test_subtraction_is_closer_than_one_over_t(self, law_panels, steps):
        by_label = {line.get_label(): dict(zip(*line.get_data(), strict=True)) for line in law_panels[2].lines}
        assert by_label["bound 1 / T (S11)"][steps] == 1 / steps
        off = [abs(k / 256 - spikes_in_whole_numbers(k, steps, "subtraction") / steps) for k in range(257)]
        assert by_label["reset by subtraction, largest"][steps] == max(off) < 1 / steps
        assert by_label["reset by subtraction, mean"][steps] == pytest.approx(np.mean(off), rel=1e-12)

    def test_zero_loses_up_to_half_of_the_range_whatever_the_duration(self, law_tables):
        errors = law_errors(law_tables[0]).set_index(["reset", "steps"])["largest"]
        # Just below 1 the neuron needs two steps for a spike.
        assert errors["zero", 10] == 255 / 256 - 1 / 2

    @pytest.mark.parametrize(("panel", "equation"), [(0, "S9"), (1, "S11")])
    def test_the_title_says_what_the_equation_leaves_over(self, law_tables, panel, equation):
        rates, report = law_tables
        assert f"residual of {equation}: exactly 0, 872 neurons" in title(
            plot_rate_laws_over_time(rates, report), panel
        )
        wrong = report.assign(max_residual_charge=0.25)
        assert f"residual of {equation}: up to 0.25" in title(plot_rate_laws_over_time(rates, wrong), panel)


def title(figure, panel):
    """Return the title of a panel."""
    return figure.axes[panel].get_title(loc="left")


@pytest.fixture(scope="module")
def random_cnn():
    return depth.random_subject(seed=3, n_layers=3, channels=2, side=4, n_images=2)


@pytest.fixture(scope="module")
def depth_tables(random_cnn):
    return depth.rate_errors(random_cnn, CHECKPOINTS, RUNTIME, Execution())


class TestDepth:
    @pytest.mark.parametrize("reset", ["zero", "subtraction"])
    @pytest.mark.parametrize("schedule", ["same_step", "brian2"])
    def test_the_errors_are_those_of_a_plain_loop(self, random_cnn, depth_tables, reset, schedule):
        loop = loop_result(random_cnn.network, random_cnn.images, reset=reset, schedule=schedule)
        rows = depth_tables[0].set_index(["reset", "schedule", "steps", "population"])
        for k, steps in enumerate(CHECKPOINTS):
            for population in random_cnn.network.populations:
                target = random_cnn.activations[population.name] / population.scale
                rate = loop.count_history[population.name][k] / steps
                row = rows.loc[(reset, schedule, steps, population.name)]
                assert row["rmse"] == pytest.approx(np.sqrt(np.mean((rate - target) ** 2)), rel=1e-12)
                assert row["kept"] == pytest.approx(rate.sum() / target.sum(), rel=1e-12)

    def test_no_target_is_above_the_highest_rate(self, random_cnn):
        for population in random_cnn.network.populations:
            assert (random_cnn.activations[population.name] / population.scale).max() == pytest.approx(1)

    def test_all_runs_hold(self, depth_tables):
        assert depth_tables[1]["holds"].all()
        assert set(depth_tables[1]["equation"]) == {"S9", "S11", "charge", "synapses", "spikes"}

    def test_a_line_is_the_mean_of_a_depth(self):
        rows = [
            {"network": "n", "seed": seed, "reset": reset, "schedule": schedule, "steps": steps, "depth": d}
            | {"rmse": rmse * seed * steps, "kept": 0.5}
            for seed in (1, 3)
            for reset, rmse in (("subtraction", 0.01), ("zero", 0.1))
            for schedule in ("same_step", "brian2")
            for steps in (1, 2)
            for d in (1, 2)
        ]
        upper = plot_depth(pd.DataFrame(rows), steps=2).axes[0]
        lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in upper.lines}
        assert lines["reset to zero"] == ([1, 2], pytest.approx([0.4, 0.4]))
        assert lines["reset by subtraction, Brian2's own order"] == ([1, 2], pytest.approx([0.04, 0.04]))


@pytest.fixture(scope="module")
def activity_tables(cnn_model):
    images = models.images_for(cnn_model, 6).astype(float)
    network = brian_snn.convert(cnn_model, images, percentile=99)
    activations = reference_activations(cnn_model, network, images)
    results = [brian_snn.simulate(network, images, steps=20, reset=reset, backend="runtime") for reset in RESET_COLOURS]
    histograms, marks = activity.activation_tables(network, activations)
    return network, activations, results, histograms, marks, activity.rate_tables(results, activations)


class TestActivity:
    def test_lambda_is_the_percentile_of_its_own_calibration_images(self, activity_tables):
        marks = activity_tables[4][activity_tables[4]["percentile"] == 99]
        assert marks["population"].tolist() == ["conv_a", "conv_b", "average_pool", "conv_c"]
        np.testing.assert_allclose(marks["value"], marks["scale"], rtol=1e-5)

    def test_every_positive_activation_is_in_the_bin_it_belongs_to(self, activity_tables):
        _, activations, _, histograms, marks, _ = activity_tables
        for name, rows in histograms.groupby("population"):
            values = [value for value in activations[name].ravel() if value > 0]
            *most, last = zip(rows["low"], rows["high"], strict=True)
            expected = [sum(low <= value < high for value in values) for low, high in most]
            expected.append(sum(last[0] <= value for value in values))
            assert rows["count"].tolist() == expected
            silent = marks[marks["population"] == name]["silent"].iloc[0]
            assert silent == pytest.approx(1 - len(values) / activations[name].size)

    def test_every_neuron_is_counted_once_and_where_its_rate_is(self, activity_tables):
        network, _, results, _, _, rates = activity_tables
        for (name, quantity), rows in rates.groupby(["population", "quantity"]):
            assert rows["count"].sum() == 6 * network[name].size
            for result in results:
                if result.settings.reset == quantity:
                    # 20 steps and 50 bins: N spikes are the rate at the lower end of bin 5 N / 2.
                    bins = np.minimum(result.spike_counts[name] * 5 // 2, 49).ravel()
                    assert rows["count"].tolist() == np.bincount(bins, minlength=50).tolist()

    def test_the_axes_show_the_tables(self, activity_tables):
        _, _, _, histograms, marks, rates = activity_tables
        axes = plot_activity(pd.concat([histograms, rates]), marks).axes
        first = marks[marks["population"] == "conv_a"]
        uprights = [line.get_xdata()[0] for line in axes[0].lines if line.get_label().startswith("percentile")]
        assert uprights == first["value"].tolist()
        bars = [patch.get_height() for patch in axes[0].patches]
        assert bars == histograms[histograms["population"] == "conv_a"]["count"].tolist()
        for patch, reset in zip(axes[4].patches[-2:], RESET_COLOURS, strict=True):
            rows = rates[(rates["population"] == "conv_a") & (rates["quantity"] == reset)]
            assert patch.get_data().values.tolist() == rows["count"].tolist()


class TestClampTransients:
    def test_a_sweep_is_made_of_single_runs(self, cnn_model):
        images = models.images_for(cnn_model, 2).astype(float)
        network = brian_snn.convert(cnn_model, images)
        activations = {"conv_c": reference_activations(cnn_model, network, images)["conv_c"]}
        clamps = {"subtraction": (0, 2), "zero": (1,)}
        arguments = (network, images, activations, clamps, (10, 25), RUNTIME, Execution())
        table = pd.concat(clamp_transients.sweep(*arguments))
        cases = [("subtraction", 0), ("subtraction", 2), ("zero", 1)]
        assert list(dict.fromkeys(zip(table["reset"], table["clamp"], strict=True))) == cases
        for row in table.itertuples():
            result = brian_snn.simulate(
                network, images, steps=row.step, reset=row.reset, clamp=row.clamp, backend="runtime"
            )
            expected = layer_offsets(result, activations).iloc[0]
            assert row.mean_abs_offset == pytest.approx(expected["mean_abs_offset"], rel=1e-12)

    def test_depths_are_whole_numbers_on_the_axis(self):
        rows = [
            {"reset": reset, "clamp": 0, "step": 5, "population": f"p{d}", "depth": d}
            | {"mean_abs_offset": 0.1, "pearson_r": 0.5}
            for reset in RESET_COLOURS
            for d in (1, 2, 4)
        ]
        axes = plot_transients(pd.DataFrame(rows), "p4", (0, 0), 5).axes[2]
        assert list(axes.get_xticks()) == [1, 2, 4]


class TestCommand:
    def test_the_list_names_every_figure(self, capsys):
        assert main(["figure", "--list"]) == 0
        listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
        assert listed == [figure.name for figure in FIGURES] == ["s1", *SMALL]

    def test_without_a_name_it_says_which_there_are(self, capsys):
        assert main(["figure"]) == 2
        named = ", ".join(["s1", *SMALL])
        assert named.endswith("error_account, methods, variants, bits, biophysics")
        assert f"name a figure: {named}" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["s1", *SMALL])
    def test_a_figure_explains_its_options(self, capsys, monkeypatch, name):
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit, match="0"):
            main(["figure", name, "--help"])
        text = " ".join(capsys.readouterr().out.split())
        folder = f"brian-snn-figure-{name.replace('_', '-')}"
        assert re.search(rf"-o PATH, --output PATH folder to write \(default: {folder}\)", text)

    @pytest.mark.parametrize("options", [["--images", "0"], ["--images", "201"]])
    def test_more_digits_than_there_are_are_refused(self, tmp_path, capsys, options):
        assert main(["figure", "activity", *options, "-o", f"{tmp_path}/out"]) == 2
        assert "200 digits ship with the package" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_a_clamp_to_the_end_is_refused(self, tmp_path, capsys):
        assert main(["figure", "clamp_transients", "--images", "1", "--steps", "30", "-o", f"{tmp_path}/out"]) == 2
        assert "the longest clamp holds conv2d_3 for 30" in capsys.readouterr().err

    @pytest.mark.parametrize("options", [["--images", "3"], ["--backend", "runtime", "--steps", "9"]])
    def test_the_numbers_of_the_experiment_are_no_options(self, tmp_path, capsys, options):
        assert main(["figure", "depth", "--full", *options, "-o", f"{tmp_path}/out"]) == 2
        named = ", ".join(reversed(options[::2]))
        assert f"with the numbers of experiments/depth; leave out {named}." in capsys.readouterr().err

    def test_data_that_are_not_there_are_named(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv("BRIAN_SNN_DATA", f"{tmp_path}/nowhere")
        assert main(["figure", "variants", "--full", "-o", f"{tmp_path}/out"]) == 2
        assert "must name the folder that holds mnist/t10k-images-idx3-ubyte.gz." in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    @pytest.mark.slow
    @pytest.mark.parametrize("name", SMALL)
    def test_a_small_run_draws_it(self, tmp_path, monkeypatch, name):
        monkeypatch.setitem(rate_laws.SMALL, "steps", [10, 20, 40])
        monkeypatch.setitem(depth.SMALL["random"], "seeds", [0])
        monkeypatch.setattr(variants, "VARIANTS", variants.VARIANTS[:2])
        monkeypatch.setattr(
            methods, "METHODS", {name: methods.METHODS[name] for name in ("V(0) = V_thr/2", "offset spikes")}
        )
        monkeypatch.setitem(bits.SMALL, "weight_bits", [4, 0])
        monkeypatch.setitem(bits.SMALL, "potential_bits", [12])
        monkeypatch.setitem(biophysics.SMALL, "sizes", {"delay": [2, 30]})
        monkeypatch.setitem(clamp_transients.SMALL, "clamps", {"subtraction": [0, 5], "zero": [0]})
        options = [] if name == "rate_laws" else ["--images", "2", "--steps", "40"]
        command = ["figure", name, *options, "--backend", "runtime", "-o", f"{tmp_path}/out"]
        assert main(command) == 0
        written = {path.name for path in (tmp_path / "out").iterdir()}
        assert {f"{name}.png", f"{name}.pdf", "files.txt"} < written
        tables = [pd.read_csv(tmp_path / "out" / file) for file in written if file.endswith(".csv")]
        assert tables
        assert all(len(table) for table in tables)


@pytest.mark.parametrize("name", SMALL)
def test_the_full_numbers_are_those_of_the_experiment(name):
    (entry,) = (figure for figure in FIGURES if figure.name == name)
    experiment = json.loads((SCRIPTS.parent / "experiments" / name / "params.json").read_text("utf-8"))
    assert entry.study.full == experiment


@pytest.mark.parametrize("name", ["rate_laws", "depth", "accuracy", "activity", "variants", "bits", "biophysics"])
def test_the_script_draws_the_stored_results(tmp_path, name):
    spec = importlib.util.spec_from_file_location(f"figures_{name}", SCRIPTS / f"{name}.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main(folder=tmp_path)
    drawn = {path.name: path.read_bytes()[:4] for path in tmp_path.iterdir()}
    assert (drawn[f"{name}.png"], drawn[f"{name}.pdf"]) == (b"\x89PNG", b"%PDF")

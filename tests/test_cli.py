"""Tests of the command line, run in process: exit codes, what is printed, and what is on the disk afterwards."""

import re
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

import brian_snn
from brian_snn import cli, commands, console, demo
from brian_snn.__main__ import main
from brian_snn.analysis.bounds import bounds
from brian_snn.datasets import Dataset
from brian_snn.errors import BrianSnnError
from brian_snn.simulation.settings import Settings
from tests import models

COMMANDS = [command.name for command in cli.COMMANDS]


@pytest.fixture(scope="session")
def folder(tmp_path_factory, mlp_model):
    """Return a folder with a model of 6-9-7-4 neurons, its data, its network and a result."""
    folder = tmp_path_factory.mktemp("cli")
    mlp_model.save(folder / "model.keras")
    images = models.images_for(mlp_model, 12)
    labels = np.asarray(mlp_model(images)).argmax(axis=1)
    np.savez(folder / "x.npz", x_norm=images, x_test=images, y_test=labels)
    assert main(["convert", f"{folder}/model.keras", "--data", f"{folder}/x.npz", "-o", f"{folder}/net.npz"]) == 0
    assert main([*simulate_command(folder), "-o", f"{folder}/run"]) == 0
    return folder


def simulate_command(folder):
    """Return a short simulation without its output."""
    options = ["--steps", "30", "--backend", "runtime"]
    return ["simulate", f"{folder}/net.npz", "--data", f"{folder}/x.npz", *options]


def fails_cleanly(capsys, arguments, output):
    """Run a command that must fail: exit code 2, one line on the standard error, no output; return the line."""
    siblings = set(output.parent.iterdir()) if output.parent.is_dir() else set()
    assert main([str(argument) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("brian-snn: error: ")
    assert error.count("\n") == 1
    assert (set(output.parent.iterdir()) if output.parent.is_dir() else set()) == siblings
    return error


class TestHelp:
    def test_version(self, capsys):
        with pytest.raises(SystemExit, match="0"):
            main(["--version"])
        assert capsys.readouterr().out == f"brian-snn {brian_snn.__version__}\n"

    @pytest.mark.parametrize("name", COMMANDS)
    def test_a_command_is_listed_and_explains_itself(self, capsys, name):
        with pytest.raises(SystemExit, match="0"):
            main(["--help"])
        assert f" {name} " in capsys.readouterr().out
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
        assert f"usage: brian-snn {name}" in capsys.readouterr().out

    @pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
    def test_every_setting_is_an_option_with_its_default(self, capsys, field):
        with pytest.raises(SystemExit):
            main(["simulate", "--help"])
        text = " ".join(capsys.readouterr().out.split())
        default = field.default * 1000 if field.name == "dt_s" else field.default
        explanation = re.escape(f"{cli.SETTING_HELP[field.name][1]} (default: {default})")
        assert re.search(f"{cli.option_name(field.name)} [^ ]+ {explanation}", text)

    def test_help_loads_none_of_the_heavy_libraries(self):
        program = (
            "import sys\nfrom brian_snn.__main__ import main\n"
            "try:\n    main(['simulate', '--help'])\nexcept SystemExit:\n    pass\n"
            "sys.exit(bool({'tensorflow', 'keras', 'brian2', 'matplotlib', 'pandas'} & set(sys.modules)))\n"
        )
        assert subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL).returncode == 0


class TestSettings:
    def parse(self, *options):
        return cli.settings_from(cli.build_parser().parse_args(["simulate", "n", "--data", "d", "-o", "o", *options]))

    def test_no_options_are_the_defaults(self):
        assert self.parse() == Settings()

    def test_each_option_reaches_its_field(self):
        options = (
            "--steps 7 --reset zero --threshold 2.5 --v-init 0.25 --clamp 3 --readout spikes --projection synapses"
        )
        parsed = self.parse(*options.split(), *"--max-pool exact --schedule brian2 --backend runtime".split())
        assert parsed == Settings(7, "zero", 2.5, 0.25, 3, 1e-3, "spikes", "synapses", "exact", "brian2", "runtime")

    def test_each_option_of_a_variant_reaches_its_field(self):
        options = "--max-pool gate --readout softmax --output-rate 0.25 --input-coding poisson --seed 9"
        expected = Settings(max_pool="gate", readout="softmax", output_rate=0.25, input_coding="poisson", seed=9)
        assert self.parse(*options.split()) == expected

    def test_times_are_given_in_ms(self):
        parsed = self.parse(*"--dt 0.5 --tau-m 20 --refractory 2 --delay 1.5".split())
        assert (parsed.dt_s, parsed.tau_m_s, parsed.refractory_s, parsed.delay_s) == (0.0005, 0.02, 0.002, 0.0015)

    @pytest.mark.parametrize(
        "settings",
        [
            Settings(),
            Settings(7, "zero", 2.5, -0.25, 3, 1e-4, "spikes", "synapses", "exact", "brian2", "runtime"),
            Settings(float_type="float32", max_pool="gate", tau_m_s=0.02, refractory_s=0.003, delay_s=0.002),
            Settings(readout="softmax", input_coding="poisson", output_rate=0.25, seed=11),
        ],
    )
    def test_settings_and_options_are_inverse(self, settings):
        assert self.parse(*cli.settings_options(settings)) == settings


class TestConvert:
    def test_the_file_holds_what_the_function_returns(self, folder, mlp_model):
        expected = brian_snn.convert(mlp_model, np.load(folder / "x.npz")["x_norm"])
        network = brian_snn.load_network(folder / "net.npz")
        assert [p.name for p in network.populations] == [p.name for p in expected.populations]
        for ours, theirs in zip(network.projections, expected.projections, strict=True):
            assert (ours.weights == theirs.weights).all()

    def test_options_reach_the_conversion(self, folder, tmp_path):
        options = ["--percentile", "50", "--normalisation", "channel", "--grid", "0.0009765625"]
        command = ["convert", f"{folder}/model.keras", "--data", f"{folder}/x.npz", "-o", f"{tmp_path}/n.npz", *options]
        assert main(command) == 0
        network = brian_snn.load_network(tmp_path / "n.npz")
        assert (network.percentile, network.normalisation, network.grid) == (50, "channel", 2**-10)

    def test_the_table_counts_neurons_and_synapses(self, folder, tmp_path, capsys):
        main(["convert", f"{folder}/model.keras", "--data", f"{folder}/x.npz", "-o", f"{tmp_path}/n.npz"])
        rows = [line.split() for line in capsys.readouterr().out.splitlines()]
        counts = {row[0]: row[3:5] for row in rows if row and row[0] in ("hidden", "second", "logits")}
        assert counts == {"hidden": ["9", "0"], "second": ["7", "63"], "logits": ["4", "28"]}
        assert ["total", "20", "91"] in rows

    def test_it_says_how_spikes_will_travel_and_why(self, folder, tmp_path, capsys):
        main(["convert", f"{folder}/model.keras", "--data", f"{folder}/x.npz", "-o", f"{tmp_path}/n.npz"])
        said = " ".join(capsys.readouterr().out.split())
        assert "through explicit synapses: the network has at most 100,000 synapses" in said


class TestSimulate:
    def test_the_folder_holds_what_the_function_returns(self, folder):
        network = brian_snn.load_network(folder / "net.npz")
        images = np.load(folder / "x.npz")["x_test"]
        expected = brian_snn.simulate(network, images, steps=30, backend="runtime")
        saved = brian_snn.load_result(folder / "run")
        for name, counts in expected.spike_counts.items():
            assert (saved.spike_counts[name] == counts).all()

    def test_settings_and_recordings_reach_the_simulation(self, folder, tmp_path):
        options = "--reset zero --threshold 2 --dt 0.5 --images 3 --record-spikes hidden --checkpoints 10 20".split()
        assert main([*simulate_command(folder), *options, "-o", f"{tmp_path}/run"]) == 0
        result = brian_snn.load_result(tmp_path / "run")
        assert result.settings == Settings(30, "zero", threshold=2.0, dt_s=5e-4, backend="runtime")
        assert len(result.images) == 3
        assert len(result.spike_trains["hidden"]) == result.spike_counts["hidden"].sum() > 0
        assert result.checkpoints.tolist() == [10, 20]

    def test_it_prints_the_accuracy_where_there_are_labels(self, folder, tmp_path, capsys):
        main([*simulate_command(folder), "-o", f"{tmp_path}/run"])
        labels = np.load(folder / "x.npz")["y_test"]
        right = np.mean(brian_snn.load_result(folder / "run").predictions == labels)
        assert f"{100 * right:.2f} %" in capsys.readouterr().out

    def test_labels_are_kept_with_the_result(self, folder):
        assert (np.load(folder / "run" / "labels.npy") == np.load(folder / "x.npz")["y_test"]).all()

    def test_an_earlier_result_is_replaced_with_force_only(self, folder, tmp_path, capsys):
        command = [*simulate_command(folder), "-o", f"{tmp_path}/run"]
        assert main(command) == 0
        before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.np?")}
        assert main([*command, "--steps", "11"]) == 2
        assert "--force" in capsys.readouterr().err
        assert main([*command, "--no-resume"]) == 2
        assert "--force" in capsys.readouterr().err
        assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.np?")} == before
        assert main([*command, "--force", "--steps", "11"]) == 0
        assert brian_snn.load_result(tmp_path / "run").settings.steps == 11

    def test_the_same_command_goes_on_where_it_was_interrupted(self, folder, tmp_path, capsys, monkeypatch):
        command = [*simulate_command(folder), "--shard-size", "5", "-o", f"{tmp_path}/run"]
        ran = console.Simulation.ran

        def interrupt(self, n_done, n_total):
            ran(self, n_done, n_total)
            if n_done == 8:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(console.Simulation, "ran", interrupt)
            assert main(command) == 2
        assert f"{tmp_path}/run keeps 1 shard(s), and the same command goes on" in capsys.readouterr().err
        assert main(command) == 0
        whole = brian_snn.load_result(folder / "run")
        assert np.array_equal(brian_snn.load_result(tmp_path / "run").potentials["second"], whole.potentials["second"])


class TestVerify:
    def test_a_true_result_holds(self, folder, capsys):
        assert main(["verify", f"{folder}/run"]) == 0
        rows = [line.split() for line in capsys.readouterr().out.splitlines()]
        # S9 is about the other reset; S11 needs a constant input, which only the first layer has.
        assert ["hidden", "108", "-", "0", "0", "0", "-"] in rows
        assert ["second", "84", "-", "-", "0", "0", "-"] in rows

    def test_bounds_are_shown_as_the_function_gives_them(self, folder, capsys):
        result = brian_snn.load_result(folder / "run")
        assert main(["verify", f"{folder}/run", "--bounds", str(len(result.images))]) == 0
        rows = [line.split() for line in capsys.readouterr().out.splitlines()]
        for _, row in bounds(result).iterrows():
            shown = [f"{row[c]:.3g}" for c in ("bound", "measured", "tightness", "silent", "undecided")]
            assert [row["population"], *shown] in rows

    def test_one_spike_too_many_fails_and_is_named(self, folder, tmp_path, capsys):
        result = brian_snn.load_result(folder / "run")
        result.spike_counts["second"][3, 2] += 1
        result.save(tmp_path / "run")
        assert main(["verify", f"{tmp_path}/run"]) == 1
        assert "VERIFICATION FAILED: charge in second" in capsys.readouterr().out

    def test_a_failure_is_red(self):
        report = pd.DataFrame(
            {"population": ["a"], "equation": ["S11"], "neurons": [3], "applicable": [True]}
            | {"max_residual_charge": [0.5], "max_residual_hz": [5.0], "holds": [False]}
        )
        assert "red" in str(console.verdict(report).style)
        assert "red" in str(console.verification_rows(report)[0]["S11"].style)


def bad_model(kind):
    """Return a model that cannot be converted."""
    import keras

    layers = {
        "lambda": [keras.layers.Lambda(lambda x: 2 * x, name="twice")],
        "unsupported": [keras.layers.UnitNormalization(name="unit_norm")],
    }
    return keras.Sequential([keras.Input((6,)), *layers[kind], keras.layers.Dense(2, name="last")])


class TestBadInput:
    @pytest.mark.parametrize("kind", ["lambda", "unsupported"])
    def test_a_layer_that_cannot_be_converted_is_named(self, folder, tmp_path, capsys, kind):
        model = tmp_path / "model.keras"
        bad_model(kind).save(model)
        command = ["convert", model, "--data", folder / "x.npz", "-o", tmp_path / "n.npz"]
        assert {"lambda": "Lambda", "unsupported": "unit_norm"}[kind] in fails_cleanly(
            capsys, command, tmp_path / "n.npz"
        )

    @pytest.mark.parametrize("suffix", [".keras", ".h5"])
    @pytest.mark.parametrize("content", [None, b"", b"not a model"])
    def test_a_missing_or_corrupt_model_is_named(self, folder, tmp_path, capsys, suffix, content):
        model = tmp_path / f"model{suffix}"
        if content is not None:
            model.write_bytes(content)
        command = ["convert", model, "--data", folder / "x.npz", "-o", tmp_path / "n.npz"]
        assert model.name in fails_cleanly(capsys, command, tmp_path / "n.npz")

    @pytest.mark.parametrize(
        ("images", "match"),
        [
            (np.full((3, 6), np.nan), "NaN|nan"),
            (np.full((3, 6), np.inf), "inf"),
            (np.zeros((3, 5)), r"\(3, 5\).*\(6,\)"),
            (np.zeros((0, 6)), "empty"),
        ],
        ids=["nan", "infinite", "shape", "empty"],
    )
    @pytest.mark.parametrize("command", ["convert", "simulate"])
    def test_bad_images(self, folder, tmp_path, capsys, command, images, match):
        np.savez(tmp_path / "x.npz", x_norm=images)
        source = folder / ("model.keras" if command == "convert" else "net.npz")
        arguments = [command, source, "--data", tmp_path / "x.npz", "-o", tmp_path / "out"]
        assert re.search(match, fails_cleanly(capsys, arguments, tmp_path / "out"))

    @pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 damaged"])
    @pytest.mark.parametrize("what", ["data", "network"])
    def test_a_missing_or_corrupt_file_is_named(self, folder, tmp_path, capsys, what, content):
        bad = tmp_path / "bad.npz"
        if content is not None:
            bad.write_bytes(content)
        network, data = (bad, folder / "x.npz") if what == "network" else (folder / "net.npz", bad)
        arguments = ["simulate", network, "--data", data, "-o", tmp_path / "run"]
        assert "bad.npz" in fails_cleanly(capsys, arguments, tmp_path / "run")

    @pytest.mark.parametrize(
        ("options", "word"),
        [
            ("--steps 0", "steps"),
            ("--steps 1.5", "--steps"),
            ("--reset sometimes", "subtraction, zero"),
            ("--threshold 0", "threshold"),
            ("--threshold -1", "threshold"),
            ("--threshold nan", "threshold"),
            ("--v-init inf", "v_init"),
            ("--clamp -1", "clamp"),
            ("--dt 0", "dt"),
            ("--backend gpu", "standalone, runtime"),
            ("--workers 0", "workers"),
            ("--images 0", "--images"),
            ("--record-spikes nowhere", "nowhere"),
            ("--checkpoints 31", "31"),
            ("--unheard-of 3", "--unheard-of"),
        ],
    )
    def test_a_bad_setting_is_named(self, folder, tmp_path, capsys, options, word):
        arguments = [*simulate_command(folder), "-o", tmp_path / "run", *options.split()]
        assert word in fails_cleanly(capsys, arguments, tmp_path / "run")

    @pytest.mark.parametrize("options", [["--percentile", "101"], ["--normalisation", "none"], ["--grid", "0.3"]])
    def test_a_bad_setting_of_the_conversion_is_named(self, folder, tmp_path, capsys, options):
        output = tmp_path / "n.npz"
        arguments = ["convert", folder / "model.keras", "--data", folder / "x.npz", "-o", output, *options]
        assert options[0].strip("-") in fails_cleanly(capsys, arguments, output)

    @pytest.mark.parametrize("command", ["convert", "simulate", "demo"])
    def test_an_output_that_cannot_be_written_is_refused_before_the_work(self, tmp_path, capsys, command):
        # The inputs do not exist: only if the output is checked first is it the output that the message names.
        output = tmp_path / "file" / "out"
        (tmp_path / "file").write_text("")
        inputs = [] if command == "demo" else ["nothing", "--data", "nothing"]
        assert str(output) in fails_cleanly(capsys, [command, *inputs, "-o", output], output)

    def test_no_command(self, tmp_path, capsys):
        assert "COMMAND" in fails_cleanly(capsys, [], tmp_path / "run")

    def test_a_folder_that_is_no_result(self, tmp_path, capsys):
        assert str(tmp_path) in fails_cleanly(capsys, ["verify", tmp_path], tmp_path / "run")

    @pytest.mark.parametrize(
        ("error", "message"),
        [
            (KeyboardInterrupt(), "interrupted; nothing was written."),
            (BrianSnnError("two\nlines"), "two lines"),
            (OSError(28, "No space left on device", "/data/build"), "/data/build: No space left on device."),
        ],
        ids=["Ctrl-C", "several lines", "disk full"],
    )
    def test_what_goes_wrong_in_a_run_is_one_line(self, folder, tmp_path, capsys, monkeypatch, error, message):
        def fail(*_, **__):
            raise error

        monkeypatch.setattr(commands, "simulate_network", fail)
        arguments = [*simulate_command(folder), "-o", tmp_path / "run"]
        assert fails_cleanly(capsys, arguments, tmp_path / "run") == f"brian-snn: error: {message}\n"


class TestDemo:
    @pytest.fixture(scope="class")
    def small_demo(self, tmp_path_factory):
        """Return load_demo's answer for a small CNN and four random images, the first with a wrong label."""
        import keras

        layers = [keras.layers.Conv2D(2, 3, activation="relu", name="conv"), keras.layers.MaxPooling2D(2, name="pool")]
        head = [keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax", name="logits")]
        model = models.trained_like(keras.Sequential([keras.Input((6, 6, 1)), *layers, *head]), seed=3)
        path = tmp_path_factory.mktemp("demo") / "small.keras"
        model.save(path)
        images = models.images_for(model, 4).astype(float)
        labels = np.asarray(model(images)).argmax(axis=1)
        labels[0] = (labels[0] + 1) % 3
        return path, Dataset(images, labels, "random"), Dataset(images, None, "random")

    @pytest.fixture(scope="class")
    def output(self, tmp_path_factory, small_demo):
        """Return the folder of a demo of the small model, run without a compiler."""
        output = tmp_path_factory.mktemp("demo") / "out"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(demo, "load_demo", lambda: small_demo)
            assert main(self.command(output)) == 0
        return output

    def command(self, output):
        return ["demo", "--backend", "runtime", "--steps", "4", "-o", f"{output}"]

    def test_it_writes_network_results_tables_and_figures(self, output):
        names = {path.name for path in output.iterdir()}
        assert names >= {"network.npz", "result_subtraction", "result_zero", "digits.png", "rate_equations.png"}
        assert names >= {"populations.csv", "verification.csv", "summary.csv", "accuracy_over_time.csv"}
        assert names >= {"correlation_zero.png", "correlation_subtraction.png", "spike_raster.png"}

    @pytest.mark.parametrize("reset", demo.RESETS)
    def test_each_result_has_its_reset_and_holds(self, output, reset):
        result = brian_snn.load_result(output / f"result_{reset}")
        assert result.settings.reset == reset
        assert brian_snn.verify(result)["holds"].all()

    @pytest.mark.parametrize("reset", demo.RESETS)
    def test_each_result_has_the_labels_that_a_report_needs(self, output, reset, small_demo):
        assert (np.load(output / f"result_{reset}" / "labels.npy") == small_demo[1].labels).all()

    def test_the_summary_has_the_accuracy_of_keras(self, output):
        # One of the four labels was made wrong.
        assert pd.read_csv(output / "summary.csv").iloc[0, 1] == "75.00 %"

    @pytest.mark.parametrize("reset", demo.RESETS)
    def test_the_accuracy_curve_ends_at_the_accuracy(self, output, reset, small_demo):
        curve = pd.read_csv(output / "accuracy_over_time.csv")
        right = brian_snn.load_result(output / f"result_{reset}").predictions == small_demo[1].labels
        assert curve["time_ms"].tolist() == [1, 2, 3, 4]
        assert curve[reset].iloc[-1] == right.mean()

    def test_a_failed_verification_is_said_exits_1_and_replaces_the_folder(
        self, output, small_demo, monkeypatch, capsys
    ):
        simulate = demo.simulate

        def miscount(*arguments, **options):
            result = simulate(*arguments, **options)
            result.spike_counts["conv"].flat[0] += 1
            return result

        monkeypatch.setattr(demo, "simulate", miscount)
        monkeypatch.setattr(demo, "load_demo", lambda: small_demo)
        assert main(self.command(output)) == 1
        assert "VERIFICATION FAILED" in capsys.readouterr().out
        assert not pd.read_csv(output / "verification.csv")["holds"].all()

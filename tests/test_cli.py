"""Tests of the command line, run in process: exit codes, what is printed, and what is on the disk afterwards."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from brian2 import ms

import brian_snn
from brian_snn.__main__ import main
from brian_snn.analysis.bounds import bounds
from brian_snn.cli import console
from brian_snn.cli import main as cli
from brian_snn.settings import Settings
from tests.command_line import simulate_command

COMMANDS = [command.name for command in cli.COMMANDS]


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

    def test_help_loads_none_of_the_heavy_libraries(self):
        program = (
            "import sys\nfrom brian_snn.__main__ import main\n"
            "try:\n    main(['simulate', '--help'])\nexcept SystemExit:\n    pass\n"
            "sys.exit(bool({'tensorflow', 'keras', 'brian2', 'matplotlib', 'pandas'} & set(sys.modules)))\n"
        )
        assert subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL).returncode == 0


class TestConvert:
    def test_the_file_holds_what_the_function_returns(self, cli_folder, mlp_model):
        expected = brian_snn.convert(mlp_model, np.load(cli_folder / "x.npz")["x_norm"])
        network = brian_snn.load_network(cli_folder / "net.npz")
        assert [p.name for p in network.populations] == [p.name for p in expected.populations]
        for ours, theirs in zip(network.projections, expected.projections, strict=True):
            assert (ours.weights == theirs.weights).all()

    def test_options_reach_the_conversion(self, cli_folder, tmp_path):
        options = ["--percentile", "50", "--normalisation", "channel", "--grid", "0.0009765625"]
        command = [
            "convert",
            f"{cli_folder}/model.keras",
            "--data",
            f"{cli_folder}/x.npz",
            "-o",
            f"{tmp_path}/n.npz",
            *options,
        ]
        assert main(command) == 0
        network = brian_snn.load_network(tmp_path / "n.npz")
        assert (network.percentile, network.normalisation, network.grid) == (50, "channel", 2**-10)

    def test_the_table_counts_neurons_and_synapses(self, cli_folder, tmp_path, capsys):
        main(["convert", f"{cli_folder}/model.keras", "--data", f"{cli_folder}/x.npz", "-o", f"{tmp_path}/n.npz"])
        rows = [line.split() for line in capsys.readouterr().out.splitlines()]
        counts = {row[0]: row[3:5] for row in rows if row and row[0] in ("hidden", "second", "logits")}
        assert counts == {"hidden": ["9", "0"], "second": ["7", "63"], "logits": ["4", "28"]}
        assert ["total", "20", "91"] in rows

    def test_it_says_how_spikes_will_travel_and_why(self, cli_folder, tmp_path, capsys):
        main(["convert", f"{cli_folder}/model.keras", "--data", f"{cli_folder}/x.npz", "-o", f"{tmp_path}/n.npz"])
        said = " ".join(capsys.readouterr().out.split())
        assert "through explicit synapses: the network has at most 100,000 synapses" in said


class TestSimulate:
    def test_the_folder_holds_what_the_function_returns(self, cli_folder):
        network = brian_snn.load_network(cli_folder / "net.npz")
        images = np.load(cli_folder / "x.npz")["x_test"]
        expected = brian_snn.simulate(network, images, steps=30, backend="runtime")
        saved = brian_snn.load_result(cli_folder / "run")
        for name, counts in expected.spike_counts.items():
            assert (saved.spike_counts[name] == counts).all()

    def test_settings_and_recordings_reach_the_simulation(self, cli_folder, tmp_path):
        options = "--reset zero --threshold 2 --dt 0.5 --images 3 --record-spikes hidden --checkpoints 10 20".split()
        assert main([*simulate_command(cli_folder), *options, "-o", f"{tmp_path}/run"]) == 0
        result = brian_snn.load_result(tmp_path / "run")
        assert result.settings == Settings(30, "zero", threshold=2.0, dt=0.5 * ms, backend="runtime")
        assert len(result.images) == 3
        assert len(result.spike_trains["hidden"]) == result.spike_counts["hidden"].sum() > 0
        assert result.checkpoints.tolist() == [10, 20]

    def test_it_prints_the_accuracy_where_there_are_labels(self, cli_folder, tmp_path, capsys):
        main([*simulate_command(cli_folder), "-o", f"{tmp_path}/run"])
        labels = np.load(cli_folder / "x.npz")["y_test"]
        right = np.mean(brian_snn.load_result(cli_folder / "run").predictions == labels)
        assert f"{100 * right:.2f} %" in capsys.readouterr().out

    def test_labels_are_kept_with_the_result(self, cli_folder):
        assert (np.load(cli_folder / "run" / "labels.npy") == np.load(cli_folder / "x.npz")["y_test"]).all()

    def test_an_earlier_result_is_replaced_with_force_only(self, cli_folder, tmp_path, capsys):
        command = [*simulate_command(cli_folder), "-o", f"{tmp_path}/run"]
        assert main(command) == 0
        before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.np?")}
        assert main([*command, "--steps", "11"]) == 2
        assert "--force" in capsys.readouterr().err
        assert main([*command, "--no-resume"]) == 2
        assert "--force" in capsys.readouterr().err
        assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.np?")} == before
        (tmp_path / "link").symlink_to(tmp_path / "run")
        for n_steps, name in ((11, "run"), (12, "link")):
            command = [*simulate_command(cli_folder), "-o", f"{tmp_path}/{name}"]
            assert main([*command, "--force", "--steps", str(n_steps)]) == 0
            assert brian_snn.load_result(tmp_path / "run").settings.steps == n_steps

    @pytest.mark.slow
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    def test_it_ends_as_after_ctrl_c(self, cli_folder, tmp_path, number):
        command = [*simulate_command(cli_folder), "--steps", str(10**6), "--backend", "standalone", "-o", "run"]
        process = subprocess.Popen(
            [sys.executable, "-m", "brian_snn", *command],
            cwd=tmp_path,
            env=os.environ | {"TMPDIR": str(tmp_path)},
            stderr=subprocess.PIPE,
            text=True,
        )
        # A shard of the compiled program.
        while not list(tmp_path.glob("brian_snn_*/*/shard_*/current_*")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        assert process.communicate(timeout=60)[1].startswith("brian-snn: error: interrupted; ")
        assert process.returncode == cli.BAD_INPUT
        assert list(tmp_path.iterdir()) == []

    def test_the_same_command_goes_on_where_it_was_interrupted(self, cli_folder, tmp_path, capsys, monkeypatch):
        command = [*simulate_command(cli_folder), "--shard-size", "5", "-o", f"{tmp_path}/run"]
        ran = console.Simulation.ran

        def interrupt(self, n_done, n_total):
            ran(self, n_done, n_total)
            if n_done == 8:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(console.Simulation, "ran", interrupt)
            assert main(command) == 2
            assert f"{tmp_path}/run keeps 1 shard(s), and the same command goes on" in capsys.readouterr().err
            assert main([*command, "--force"]) == 2
            assert "the same command without --force goes on" in capsys.readouterr().err
        assert main(command) == 0
        whole = brian_snn.load_result(cli_folder / "run")
        assert np.array_equal(brian_snn.load_result(tmp_path / "run").potentials["second"], whole.potentials["second"])


class TestVerify:
    def test_a_true_result_holds(self, cli_folder, capsys):
        assert main(["verify", f"{cli_folder}/run"]) == 0
        rows = [line.split() for line in capsys.readouterr().out.splitlines()]
        # S9 is about the other reset; S11 needs a constant input, which only the first layer has.
        assert ["hidden", "108", "-", "0", "0", "0", "-", "0", "12", "of", "12"] in rows
        assert ["second", "84", "-", "-", "0", "0", "-", "0", "12", "of", "12"] in rows

    def test_a_row_says_how_many_images_were_replayed(self, cli_folder, capsys):
        assert main(["verify", f"{cli_folder}/run", "--replay", "2"]) == 0
        shown = capsys.readouterr().out
        rows = [line.split() for line in shown.splitlines()]
        assert ["hidden", "108", "-", "0", "0", "0", "-", "0", "12", "of", "12"] in rows
        assert ["second", "84", "-", "-", "0", "0", "-", "0", "2", "of", "12"] in rows
        closing = "verified: books of all 12 images, dynamics of 2 of 12 (of 12 where the input is constant)"
        assert shown.splitlines()[-1] == closing

    def test_another_number_of_images_to_replay_is_refused(self, cli_folder, capsys):
        assert main(["verify", f"{cli_folder}/run", "--replay", "-1"]) == 2
        assert "replay is '-1'; it must be auto, all, or a number of images" in capsys.readouterr().err

    def test_bounds_are_shown_as_the_function_gives_them(self, cli_folder, capsys):
        result = brian_snn.load_result(cli_folder / "run")
        assert main(["verify", f"{cli_folder}/run", "--bounds", str(len(result.images))]) == 0
        rows = [line.split() for line in capsys.readouterr().out.splitlines()]
        for _, row in bounds(result).iterrows():
            shown = [f"{row[c]:.3g}" for c in ("bound", "measured", "tightness", "silent", "undecided")]
            assert [row["population"], *shown[:3], row["says"], *shown[3:]] in rows

    def test_one_spike_too_many_fails_and_is_named(self, cli_folder, tmp_path, capsys):
        result = brian_snn.load_result(cli_folder / "run")
        result.spike_counts["second"][3, 2] += 1
        result.save(tmp_path / "run")
        assert main(["verify", f"{tmp_path}/run"]) == 1
        assert "VERIFICATION FAILED: charge in second" in capsys.readouterr().out

    def test_a_failure_is_red(self):
        report = pd.DataFrame(
            {"population": ["a"], "equation": ["S11"], "neurons": [3], "applicable": [True], "images": [1]}
            | {"max_residual_charge": [0.5], "max_residual_hz": [5.0], "holds": [False]}
        )
        assert "red" in str(console.verdict(report).style)
        assert "red" in str(console.verification_rows(report)[0]["S11"].style)

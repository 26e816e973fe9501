"""What the command line says of bad input: exit code 2, one line that names it, and nothing written."""

import re
import shutil

import numpy as np
import pytest

from brian_snn.cli import simulate
from brian_snn.cli.main import main
from brian_snn.errors import BrianSnnError
from tests.command_line import fails_cleanly, simulate_command


def bad_model(kind):
    """Return a model that cannot be converted."""
    import keras

    layers = {
        "lambda": [keras.layers.Lambda(lambda x: 2 * x, name="twice")],
        "unsupported": [keras.layers.UnitNormalization(name="unit_norm")],
    }
    return keras.Sequential([keras.Input((6,)), *layers[kind], keras.layers.Dense(2, name="last")])


@pytest.mark.parametrize("kind", ["lambda", "unsupported"])
def test_a_layer_that_cannot_be_converted_is_named(cli_folder, tmp_path, capsys, kind):
    model = tmp_path / "model.keras"
    bad_model(kind).save(model)
    command = ["convert", model, "--data", cli_folder / "x.npz", "-o", tmp_path / "n.npz"]
    assert {"lambda": "Lambda", "unsupported": "unit_norm"}[kind] in fails_cleanly(capsys, command, tmp_path / "n.npz")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("content", [None, b"", b"not a model"])
def test_a_missing_or_corrupt_model_is_named(cli_folder, tmp_path, capsys, suffix, content):
    model = tmp_path / f"model{suffix}"
    if content is not None:
        model.write_bytes(content)
    command = ["convert", model, "--data", cli_folder / "x.npz", "-o", tmp_path / "n.npz"]
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
def test_bad_images(cli_folder, tmp_path, capsys, command, images, match):
    np.savez(tmp_path / "x.npz", x_norm=images)
    source = cli_folder / ("model.keras" if command == "convert" else "net.npz")
    arguments = [command, source, "--data", tmp_path / "x.npz", "-o", tmp_path / "out"]
    assert re.search(match, fails_cleanly(capsys, arguments, tmp_path / "out"))


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 damaged"])
@pytest.mark.parametrize("what", ["data", "network"])
def test_a_missing_or_corrupt_file_is_named(cli_folder, tmp_path, capsys, what, content):
    bad = tmp_path / "bad.npz"
    if content is not None:
        bad.write_bytes(content)
    network, data = (bad, cli_folder / "x.npz") if what == "network" else (cli_folder / "net.npz", bad)
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
        ("--threads 0", "threads"),
        ("--images 0", "--images"),
        ("--record-spikes nowhere", "nowhere"),
        ("--checkpoints 31", "31"),
        ("--unheard-of 3", "--unheard-of"),
    ],
)
def test_a_bad_setting_is_named(cli_folder, tmp_path, capsys, options, word):
    arguments = [*simulate_command(cli_folder), "-o", tmp_path / "run", *options.split()]
    assert word in fails_cleanly(capsys, arguments, tmp_path / "run")


@pytest.mark.parametrize(
    "options",
    ["--workers 0", "--shard-size 0", "--images 0", "--record-spikes nowhere", "--checkpoints 31", "--data nowhere"],
)
@pytest.mark.parametrize("network", ["net.npz", "nowhere.npz"])
def test_an_earlier_result_outlives_a_force_with_bad_input(cli_folder, tmp_path, capsys, network, options):
    shutil.copytree(cli_folder / "run", tmp_path / "run")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    command = ["simulate", cli_folder / network, *simulate_command(cli_folder)[2:]]
    arguments = [*command, "-o", tmp_path / "run", "--force", *options.split()]
    fails_cleanly(capsys, arguments, tmp_path / "run")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("options", [["--percentile", "101"], ["--normalisation", "none"], ["--grid", "0.3"]])
def test_a_bad_setting_of_the_conversion_is_named(cli_folder, tmp_path, capsys, options):
    output = tmp_path / "n.npz"
    arguments = ["convert", cli_folder / "model.keras", "--data", cli_folder / "x.npz", "-o", output, *options]
    assert options[0].strip("-") in fails_cleanly(capsys, arguments, output)


@pytest.mark.parametrize("command", ["convert", "simulate", "demo"])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path, capsys, command):
    # The inputs do not exist: only if the output is checked first is it the output that the message names.
    output = tmp_path / "file" / "out"
    (tmp_path / "file").write_text("")
    inputs = [] if command == "demo" else ["nothing", "--data", "nothing"]
    assert str(output) in fails_cleanly(capsys, [command, *inputs, "-o", output], output)


def test_no_command(tmp_path, capsys):
    assert "COMMAND" in fails_cleanly(capsys, [], tmp_path / "run")


def test_a_folder_that_is_no_result(tmp_path, capsys):
    assert str(tmp_path) in fails_cleanly(capsys, ["verify", tmp_path], tmp_path / "run")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyboardInterrupt(), "interrupted; nothing was written."),
        (BrianSnnError("two\nlines"), "two lines"),
        (OSError(28, "No space left on device", "/data/build"), "/data/build: No space left on device."),
        (
            BlockingIOError(11, "Resource temporarily unavailable"),
            "Resource temporarily unavailable; end other programs, or let this user have more processes and threads "
            "(ulimit -u).",
        ),
        (
            RuntimeError("can't start new thread"),
            "can't start new thread; end other programs, or let this user have more processes and threads (ulimit -u).",
        ),
        (MemoryError(), "there is not enough memory; give the process more, or fewer images at a time."),
        (SystemError("no word"), "a library failed without a reason (no word); is there enough memory?"),
        (ImportError("a.so: failed to map"), "a library cannot be loaded: a.so: failed to map."),
    ],
    ids=["Ctrl-C", "several lines", "disk full", "fork", "thread", "memory", "a bug in C", "library"],
)
def test_what_goes_wrong_in_a_run_is_one_line(cli_folder, tmp_path, capsys, monkeypatch, error, message):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(simulate, "run", fail)
    arguments = [*simulate_command(cli_folder), "-o", tmp_path / "run"]
    assert fails_cleanly(capsys, arguments, tmp_path / "run") == f"brian-snn: error: {message}\n"


def test_a_model_is_to_be_converted_before_it_is_simulated(cli_folder, tmp_path, capsys):
    command = ["simulate", cli_folder / "model.keras", "--data", cli_folder / "x.npz", "-o", tmp_path / "run"]
    assert "model.keras: is a trained model and no network yet" in fails_cleanly(capsys, command, tmp_path / "run")


def test_an_output_may_be_in_folders_that_are_not_there_yet(cli_folder, tmp_path):
    network, run = tmp_path / "a" / "b" / "net.npz", tmp_path / "c" / "d" / "run"
    data = ["--data", str(cli_folder / "x.npz")]
    assert main(["convert", str(cli_folder / "model.keras"), *data, "-o", str(network)]) == 0
    assert main(["simulate", str(network), *data, "--backend", "runtime", "--steps", "3", "-o", str(run)]) == 0
    assert main(["report", str(run), "-o", str(tmp_path / "e" / "report.html")]) == 0

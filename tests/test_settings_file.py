"""Settings files: what is written is read back to the last bit, what a stranger wrote is checked."""

import dataclasses
import tomllib

import numpy as np
import pytest
from brian2 import ms, second, us
from hypothesis import given
from hypothesis import strategies as st

import brian_snn
from brian_snn.__main__ import main
from brian_snn.errors import OptionError, OutputError, SettingError
from brian_snn.settings import Execution, Recording, Settings
from brian_snn.settings_file import settings_text
from tests.command_line import fails_cleanly, simulate_command

#: No field at its default.
OTHER = {
    **{"steps": 7, "reset": "zero", "threshold": 2.5, "v_init": -0.25, "clamp": 3, "dt": 0.1 * ms, "readout": "spikes"},
    **{"projection": "shared", "max_pool": "gate", "backend": "runtime", "tau_m": 20 * ms, "refractory": 3 * ms},
    **{"seed": 11, "noise": 0.125, "delay": 2 * ms, "reversal_excitatory": 4.0, "threshold_mismatch": 0.1},
}


def written(tmp_path, text):
    path = tmp_path / "some.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("settings", [Settings(), Settings(**OTHER)])
def test_what_is_written_is_read_back(tmp_path, settings):
    recording = Recording(("a", 'böse "name"\x7f\n#'), ("b",), ("c",), (3, 1))
    execution = Execution(workers=3, threads=2, shard_size=5)
    brian_snn.write_settings(tmp_path / "s.toml", settings, recording, execution, images=9, any_range=True)
    options = brian_snn.read_settings(tmp_path / "s.toml")
    for record in (settings, recording, execution):
        names = {field.name for field in dataclasses.fields(record) if field.metadata["kind"] != "other"}
        assert type(record)(**{name: options.pop(name) for name in names}) == record
    assert options == {"any_range": True}


@given(st.floats(min_value=1e-300, max_value=1e300))
def test_a_time_comes_back_to_the_last_bit(seconds):
    text = settings_text("s.toml", Settings(tau_m=seconds * second))
    assert Settings(tau_m=brian_snn.knobs.typed_time("tau_m", tomllib.loads(text)["tau_m"])).tau_m == seconds * second


@pytest.mark.parametrize("text", ['"0.5 ms"', '"500 us"', '"0.0005 s"', "0.5", '"0.5"'])
def test_a_time_has_a_unit_or_is_in_ms(tmp_path, text):
    assert brian_snn.read_settings(written(tmp_path, f"dt = {text}")) == {"dt": 500 * us}


def test_a_file_says_what_its_settings_do(tmp_path):
    brian_snn.write_settings(tmp_path / "s.toml", Settings(steps=9))
    lines = (tmp_path / "s.toml").read_text().splitlines()
    assert "steps = 9  # time steps per image" in lines
    assert "--settings s.toml" in lines[1]


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("stepps = 5", OptionError, ["'stepps'", "did you mean steps?"]),
        ("[grid]\nsteps = [1]", OptionError, ["'grid'"]),
        ("steps = 0", SettingError, ["steps is 0"]),
        ("steps = [1]", SettingError, ["steps is [1]"]),
        ('dt = "5 mV"', SettingError, ["dt is '5 mV'", "'5 ms'"]),
        ("dt = true", SettingError, ["dt is True"]),
        ('record_spikes = "a"', SettingError, ["record_spikes is 'a'"]),
        ("record_counts = 5", SettingError, ["record_counts is 5"]),
        ("checkpoints = 5", SettingError, ["checkpoints is 5"]),
        ("images = 0", SettingError, ["images is 0"]),
        ("any_range = 1", SettingError, ["any_range is 1", "true or false"]),
        ("workers = 0", SettingError, ["workers is 0"]),
        ("executor = 1", OptionError, ["'executor'"]),
        ("steps", SettingError, ["no TOML"]),
        ("x = " + "[" * 10_000, SettingError, ["no TOML"]),
        ("readout = 'softmax_generator'\naccumulator_bits = 4", SettingError, ["accumulator_bits"]),
    ],
)
def test_what_is_wrong_is_named_with_the_file(tmp_path, text, kind, words):
    with pytest.raises(kind) as caught:
        brian_snn.read_settings(written(tmp_path, text))
    for word in ["some.toml: ", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "spoil", [lambda path: path.write_bytes(b"\xff"), lambda path: path.mkdir(), lambda path: None]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, spoil):
    spoil(tmp_path / "s.toml")
    with pytest.raises(SettingError, match=r"s\.toml"):
        brian_snn.read_settings(tmp_path / "s.toml")


def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(tmp_path):
    path = written(tmp_path, "steps = 5")
    with pytest.raises(OutputError, match="some.toml"):
        brian_snn.write_settings(path, Settings())
    brian_snn.write_settings(path, Settings(steps=6), replace=True)
    assert brian_snn.read_settings(path)["steps"] == 6


class TestCommands:
    def test_a_run_is_repeated_by_the_file_that_it_wrote(self, cli_folder, tmp_path):
        options = ["--images", "3", "--reset", "zero", "--tau-m", "20", "--checkpoints", "5", "10"]
        assert main([*simulate_command(cli_folder), *options, "-o", f"{tmp_path}/run"]) == 0
        again = ["--settings", f"{tmp_path}/run/run.toml", "-o", f"{tmp_path}/again"]
        assert main(["simulate", f"{cli_folder}/net.npz", "--data", f"{cli_folder}/x.npz", *again]) == 0
        first, second = (brian_snn.load_result(tmp_path / name) for name in ("run", "again"))
        assert first.settings == second.settings
        assert np.array_equal(first.images, second.images)
        assert np.array_equal(first.output_history, second.output_history)
        assert (tmp_path / "run" / "run.toml").read_bytes() == (tmp_path / "again" / "run.toml").read_bytes()

    def test_an_option_stands_above_the_file(self, cli_folder, tmp_path):
        path = written(
            tmp_path, 'steps = 7\nbackend = "runtime"\nimages = 5\nrecord_counts = ["hidden"]\ncheckpoints = [2]'
        )
        command = ["simulate", f"{cli_folder}/net.npz", "--data", f"{cli_folder}/x.npz", "--settings", f"{path}"]
        # What is given is the default of the command without the file.
        assert main([*command, "--steps", "200", "--images", "2", "-o", f"{tmp_path}/run"]) == 0
        result = brian_snn.load_result(tmp_path / "run")
        assert (result.settings.steps, result.settings.backend, len(result.images)) == (200, "runtime", 2)
        assert list(result.parts()[0].count_history) == ["hidden"]

    @pytest.mark.parametrize("command", ["simulate", "describe", "build", "bits"])
    def test_what_is_wrong_is_one_line(self, cli_folder, tmp_path, capsys, command):
        path = written(tmp_path, "stepps = 5")
        more = {"simulate": ["--data", f"{cli_folder}/x.npz"], "bits": []}.get(command, [])
        more += [] if command == "bits" else ["-o", f"{tmp_path}/out"]
        error = fails_cleanly(capsys, [command, f"{cli_folder}/net.npz", "--settings", path, *more], tmp_path / "out")
        assert "some.toml" in error
        assert "did you mean steps?" in error

    def test_a_description_is_of_the_settings_of_the_file(self, cli_folder, tmp_path, capsys):
        path = written(tmp_path, 'tau_m = "20 ms"')
        assert main(["describe", f"{cli_folder}/net.npz", "--settings", f"{path}"]) == 0
        by_file = capsys.readouterr().out
        assert main(["describe", f"{cli_folder}/net.npz", "--tau-m", "20"]) == 0
        assert by_file == capsys.readouterr().out


def test_a_result_that_is_saved_has_its_settings_beside_it(tmp_path, cli_folder):
    network = brian_snn.load_network(cli_folder / "net.npz")
    images = 255.0 * np.load(cli_folder / "x.npz")["x_test"][:2] + 100
    result = brian_snn.simulate(network, images, steps=5, backend="runtime", any_range=True, checkpoints=[3])
    result.save(tmp_path / "run")
    options = brian_snn.read_settings(tmp_path / "run" / "run.toml")
    again = brian_snn.simulate(network, images, **options)
    assert again.settings == result.settings
    assert np.array_equal(again.logits, result.logits)

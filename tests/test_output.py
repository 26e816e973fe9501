"""What a command writes where: results on the standard output, progress on the standard error, one line of JSON."""

import json
import subprocess

import pytest
from rich.console import Console

from brian_snn.__main__ import main
from brian_snn.cli import main as cli
from brian_snn.cli.console import Stages
from tests.command_line import simulate_command

#: A short call of every command that takes ``--json``, and a result that its line must hold.
CALLS = {
    "convert": (["convert", "{cli}/model.keras", "--data", "{cli}/x.npz", "-o", "{out}/n.npz"], "populations"),
    "simulate": ([*simulate_command("{cli}"), "-o", "{out}/run"], "spikes_per_image"),
    "verify": (["verify", "{cli}/run", "--bits"], "report"),
    "bits": (["bits", "{cli}/net.npz"], "bits"),
    "check": (
        ["check", "{cli}/net.npz", "{cli}/run", "--data", "{cli}/x.npz", "--steps", "30"],
        "verdict",
    ),
    "report": (["report", "{cli}/run", "-o", "{out}/r.html"], "holds"),
    "sweep": (["sweep", "{out}/grid.toml", "-o", "{out}/sweep"], "points"),
    "tune": (
        (
            "tune {cli}/model.keras --data {cli}/x.npz --calibration {cli}/x.npz --within 99 -o {out}/t --points 1 "
            "--rounds 1 --percentiles 100 --v-inits 0.5 --clamps 0 --backend runtime --steps 4"
        ).split(),
        "met",
    ),
    "cache": (["cache", "list"], "builds"),
    "doctor": (["doctor", "--no-self-test"], "findings"),
}

GRID = """
model = "{cli}/model.keras"
calibration = "{cli}/x.npz"
data = "{cli}/x.npz"
backend = "runtime"
images = 2
steps = 5
[grid]
tau_m = [20, "40 ms"]
"""


def call(name, cli_folder, out):
    """Return the words of a call and the entry that its results have."""
    words, entry = CALLS[name]
    if name == "sweep":
        (out / "grid.toml").write_text(GRID.replace("{cli}", str(cli_folder)))
    return [word.format(cli=cli_folder, out=out) for word in words], entry


def test_every_command_with_json_is_called_here():
    assert {command.name for command in cli.COMMANDS if command.json} == set(CALLS)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_json_is_one_line_and_quiet_is_none(cli_folder, tmp_path, capsys, name):
    words, entry = call(name, cli_folder, tmp_path)
    assert main([*words, "--json"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert entry in json.loads(out)
    again = ["--force"] if name in ("convert", "simulate", "report", "tune") else []
    assert main([*words, "--quiet", *again]) == 0
    assert capsys.readouterr() == ("", "")


def test_tables_are_on_the_standard_output_and_progress_on_the_other(cli_folder, tmp_path, capsys):
    words, _ = call("simulate", cli_folder, tmp_path)
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "spikes per image" in out and f"wrote {tmp_path}/run" in out
    assert "run, " not in out and "12/12" in err


def test_an_error_leaves_the_standard_output_empty(capsys):
    assert main(["verify", "nothing/here", "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("brian-snn: error: ")


def test_a_description_that_was_asked_for_is_never_quiet(cli_folder, capsys):
    assert main(["describe", f"{cli_folder}/net.npz", "--quiet"]) == 0
    assert capsys.readouterr().out.startswith("#")


def test_a_point_of_a_sweep_is_one_line_with_times_in_ms(cli_folder, tmp_path, capsys):
    words, _ = call("sweep", cli_folder, tmp_path)
    assert main(words) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" ━")[0].strip() for line in lines] == ["run, 1/2 tau_m 20 ms", "run, 2/2 tau_m 40 ms"]


@pytest.mark.parametrize(("files", "said"), [(0, False), (3, True)])
def test_a_program_from_the_cache_has_no_line_of_its_compilation(files, said):
    console = Console(record=True, width=100, force_terminal=True)
    with Stages(console) as stages:
        bars = stages.simulation("x", 4)
        for done in range(1, files + 1):
            bars.built(done, files)
        bars.ran(4, 4)
        bars.finish({"compile": 2.0, "run": 1.0})
    # What was drawn before the end is there too.
    assert ("compile, x" in console.export_text()) == said
    assert bars.compiled == said


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_commands_and_options(capsys, shell):
    with pytest.raises(SystemExit, match="0"):
        main(["--completion", shell])
    script = capsys.readouterr().out
    assert all(command.name in script for command in cli.COMMANDS)
    assert "--record-spikes" in script


def test_bash_takes_the_completion(capsys, tmp_path):
    with pytest.raises(SystemExit, match="0"):
        main(["--completion", "bash"])
    script = capsys.readouterr().out
    asked = (
        "COMP_WORDS=(brian-snn simulate --rec); COMP_CWORD=2;"
        'f=$(complete -p brian-snn | sed "s/.*-F \\([^ ]*\\).*/\\1/")\n'
        '$f brian-snn --rec simulate; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(["bash", "-c", script + asked], capture_output=True, text=True, cwd=tmp_path)
    assert {"--record-spikes", "--record-potentials"} <= set(done.stdout.split()), done.stderr

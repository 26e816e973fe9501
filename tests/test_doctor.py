"""The doctor: what it finds on a machine where all is well, and each kind of thing that may be wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import brian_snn
from brian_snn.__main__ import main
from brian_snn.report import doctor as doctors


def findings(**options):
    return {finding.name: finding for finding in brian_snn.doctor(**options)}


@pytest.mark.slow
def test_all_is_well_here(build_cache):
    before = set(build_cache.iterdir())
    found = findings()
    assert [finding for finding in found.values() if finding.problem] == []
    # 9 + 4 neurons, 5 images: the books, the synapses and the steps of each.
    assert "largest residual 0, the runtime backend agrees" in found["self-test"].found
    # It was compiled elsewhere.
    assert set(build_cache.iterdir()) == before


def test_without_a_compiler_it_says_how_to_get_one(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "apt install g++" in findings(self_test=False)["compiler"].problem


def test_a_compiler_that_fails_is_named(monkeypatch):
    monkeypatch.setenv("CXX", "false")
    assert "does not run" in findings(self_test=False)["compiler"].problem


def test_a_cache_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("BRIAN_SNN_CACHE", "/proc/builds")
    assert "BRIAN_SNN_CACHE" in findings(self_test=False)["cache"].problem


def test_a_wrong_number_is_found(monkeypatch):
    import pandas as pd

    report = pd.DataFrame({"neurons": [9], "max_residual_charge": [0.5], "holds": [False]})
    monkeypatch.setattr(brian_snn, "verify", lambda *_, **__: report)
    monkeypatch.setattr(doctors, "_small_network", lambda: None)
    monkeypatch.setattr(brian_snn, "simulate", lambda *_, **__: type("R", (), {"spike_counts": {}}))
    assert "numbers are wrong" in findings()["self-test"].problem


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_what_is_wrong_ends_with_1(monkeypatch, capsys, words):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert main(["doctor", "--no-self-test", *words]) == 1
    out = capsys.readouterr().out
    if words:
        told = json.loads(out)
        assert told["ok"] is False
        assert [f["name"] for f in told["findings"] if f["problem"]] == ["compiler"]
    else:
        assert "\ncompiler: no C++ compiler found (looked for no-such-compiler)" in out


def test_a_brian2_that_cannot_be_imported_is_a_finding_and_no_crash(tmp_path):
    (tmp_path / "brian2").mkdir()
    (tmp_path / "brian2" / "__init__.py").write_text("raise ImportError('cannot import name trapz')")
    code = "import sys; sys.path.insert(0, sys.argv.pop()); from brian_snn.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "doctor", "--no-self-test", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "pip install 'numpy<2.4'" in done.stdout


def test_the_folder_of_the_user_is_not_shown(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("BRIAN_SNN_CACHE", f"{tmp_path}/builds")
    assert findings(self_test=False)["cache"].found.startswith("~/builds, ")

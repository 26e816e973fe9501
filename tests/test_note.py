"""The note: its numbers are those of the stored results, and what it names is there."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def note():
    """Return the script that makes the note."""
    spec = importlib.util.spec_from_file_location("note_run", ROOT / "experiments" / "note" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_note_is_made_of_the_stored_results(note):
    assert (ROOT / "docs" / "note.md").read_text("utf-8") == note.render()


def test_every_experiment_that_it_names_is_there(note):
    named = set(re.findall(r"`(experiments/\w+)`", note.render()))
    assert len(named) >= 6 and all((ROOT / name / "run.py").is_file() for name in named)


def test_a_number_that_is_missing_is_an_error(note, monkeypatch):
    monkeypatch.setattr(note, "SECTIONS", note.SECTIONS[1:])
    with pytest.raises(note.jinja2.UndefinedError, match="is undefined"):
        note.render()


def test_where_s8_fails_is_worked_out(note):
    """The example of the supplement's remarks: one spike in two steps, where S8 gives 0.5417."""
    assert "give 1 spike, a rate of 0.5 $r_{max}$, and S8 gives 0.5417 $r_{max}$" in note.laws()["s8_example"]

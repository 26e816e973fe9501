"""Brian2 leaves nothing in the temporary folder and says nothing of errors of ours, unless the user asked for it."""

import os
import subprocess
import sys

import pytest

LOOK = """
import os, sys
import brian2
names = sorted(name.split("_")[1] for name in os.listdir(os.environ["TMPDIR"]))
print(names, sys.excepthook is sys.__excepthook__)
"""
OURS, LEFT = "import brian_snn; brian_snn.simulate", "['debug', 'script']"


def look(tmp_path, first, preferences=""):
    """Run a script that imports Brian2 in some way, and return what it says of its temporary folder."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "script.py").write_text(first + LOOK)
    (tmp_path / "brian_preferences").write_text(preferences)
    command = [sys.executable, "script.py"]
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("first", "preferences", "expected"),
    [
        (OURS, "", "[] True"),
        # Who imports Brian2 has what Brian2 does.
        (f"import brian2; {OURS}", "", f"{LEFT} False"),
        # A file of preferences is the user's word.
        (OURS, "logging.file_log = True\nlogging.save_script = True\n", f"{LEFT} True"),
    ],
    ids=["ours", "the user's", "asked for"],
)
def test_traces_of_brian2(tmp_path, first, preferences, expected):
    assert look(tmp_path, first, preferences) == f"{expected}\n"

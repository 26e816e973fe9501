"""The worked examples of docs/extending.md, each run as it stands; together, in a process of their own."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = (Path(__file__).parent.parent / "docs" / "extending.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))

#: Runs the examples that it reads, each in a namespace of its own, and writes what went wrong with which.
PROGRAM = """
import json, sys, traceback
wrong = {}
for section, code in json.load(sys.stdin).items():
    try:
        exec(compile(code, section, "exec"), {"__name__": section})
    except BaseException:
        wrong[section] = traceback.format_exc()
json.dump(wrong, open("wrong.json", "w"))
"""


def code_of(section):
    """Return the code of an example."""
    return "\n".join(re.findall(r"```python\n(.*?)```", SECTIONS[section], re.DOTALL))


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """Run all examples and return the tracebacks of those that failed."""
    folder, given = tmp_path_factory.mktemp("examples"), json.dumps({name: code_of(name) for name in SECTIONS})
    done = subprocess.run([sys.executable, "-c", PROGRAM], input=given, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((folder / "wrong.json").read_text("utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS)
def test_an_example_runs(section, wrong):
    assert "assert" in code_of(section), "an example shows that it works"
    assert section not in wrong, wrong[section]

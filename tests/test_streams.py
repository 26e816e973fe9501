"""The command line where its standard streams are closed, nobody reads them, or they cannot be written."""

import os
import subprocess
import sys

import pytest

from brian_snn.cli.figure import FIGURES

COMMAND = f"{sys.executable} -m brian_snn figure --list"


def shell(command, tmp_path):
    """Return the exit code of a command of the shell and what it wrote."""
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    # Of a longer output, so that what it writes meets a pipe that is closed already.
    code, _, errors = shell(f"{COMMAND} --help | true; echo ${{PIPESTATUS[0]}} >&2", tmp_path)
    assert (code, errors) == (0, "0\n")


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(tmp_path, closed):
    code, output, errors = shell(f"{COMMAND} {closed}", tmp_path)
    assert (code, errors) == (0, "")
    assert (len(output.splitlines()) >= len(FIGURES)) == (">&-" not in closed.replace("2>&-", ""))


def test_an_output_that_is_full_is_an_error_of_one_line(tmp_path):
    code, _, errors = shell(f"{COMMAND} > /dev/full", tmp_path)
    assert code == 2
    assert errors == "brian-snn: error: the standard output cannot be written (No space left on device).\n"


def test_an_error_without_a_reader_keeps_its_exit_code(tmp_path):
    assert shell(f"{sys.executable} -m brian_snn verify nowhere 2> /dev/full", tmp_path)[0] == 2

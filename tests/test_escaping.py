"""Names from files reach the terminal, pages and tables with nothing in them that acts."""

import csv
import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from brian_snn.analysis.summary import write_csv
from brian_snn.cli import console as console_module
from brian_snn.cli.console import Stages, heading, new_console, table, verdict, verification_rows
from brian_snn.escaping import csv_safe, shown
from brian_snn.report.blocks import Command, Page, Section, Text, cell
from brian_snn.report.blocks import table as report_table
from brian_snn.report.page import render
from tests.command_line import fails_cleanly

#: What a name may hold, and how it is shown.
EVIL = {
    "a\x1b[31mb": r"a\x1b[31mb",
    "a\ab": r"a\x07b",
    "a\rb": r"a\rb",
    "a\nb": r"a\nb",
    "a\tb": r"a\tb",
    "a\u202eb": r"a\u202eb",
    "a\u2066b": r"a\u2066b",
    "a\u200bb": r"a\u200bb",
    "a\x9b31mb": r"a\x9b31mb",
    "a\u2028b": r"a\u2028b",
    "a\x00b": r"a\x00b",
    "a\udcffb": r"a\udcffb",
    "a\U000e0001b": r"a\U000e0001b",
}


@pytest.mark.parametrize("name, expected", EVIL.items())
def test_what_does_not_print_is_written_out(name, expected):
    assert shown(name) == expected


@pytest.mark.parametrize("name", ["conv2d_1", "a b", "Größe", "層", "a/b:1", "[bold]", r"back\slash", ""])
def test_any_other_name_stays_as_it_is(name):
    assert shown(name) == name


def printed(capsys, *what):
    """Return what the console writes."""
    new_console().print(*what, sep="\n")
    return capsys.readouterr().out


# Data frames hold no halves of characters; nor do the names in any file that is read.
@pytest.mark.parametrize("name, expected", [(name, e) for name, e in EVIL.items() if "\udcff" not in name])
def test_tables_and_lines_show_names_escaped(capsys, name, expected):
    report = pd.DataFrame(
        {
            "population": [name],
            "equation": ["S11"],
            "neurons": [3],
            "applicable": [True],
            "images": [1],
            "max_residual_charge": [1.0],
            "holds": [False],
        }
    )
    out = printed(capsys, heading(name), table(verification_rows(report), ("population",)), verdict(report))
    assert out.count(expected) == 3
    assert len(out.splitlines()) == 5
    assert all(c.isprintable() for c in out.replace("\n", ""))


@pytest.mark.parametrize("name", [name for name in EVIL if "\n" not in name])
def test_no_text_reaches_the_terminal_that_acts_on_it(capsys, name):
    # Rich itself drops some of them, and makes spaces of tabs.
    assert all(c.isprintable() for c in printed(capsys, f"wrote {name}").rstrip("\n"))


@pytest.mark.parametrize("name", ["[/bold]", "[bold]x", *(n for n in EVIL)])
def test_stages_show_names_as_they_are(capsys, name):
    with Stages(new_console()) as stages:
        with stages.stage(name):
            pass
        bars = stages.simulation(name, 1)
        bars.built(1, 1)
        bars.finish({"run": 1.0})
    out = capsys.readouterr().out
    assert out.count(shown(name)) == 3
    assert all(c.isprintable() for c in out.replace("\n", ""))


def test_colours_are_left_on_a_terminal():
    file = io.StringIO()
    console = console_module._PlainConsole(file=file, force_terminal=True, color_system="standard")
    console.print(heading("a\x1b[31mb"))
    assert "\x1b[1m" in file.getvalue() and r"a\x1b[31mb" in file.getvalue()


@pytest.mark.parametrize("name, expected", [(n, e) for n, e in EVIL.items() if "\0" not in n and "/" not in n])
def test_errors_are_one_line_whatever_they_name(tmp_path, capsys, name, expected):
    arguments = ["convert", tmp_path / f"{name}.keras", "--data", tmp_path / "x.npz", "-o", tmp_path / "net.npz"]
    line = fails_cleanly(capsys, arguments, tmp_path / "net.npz")
    assert f"{expected}.keras: there is no such file" in line
    assert all(c.isprintable() for c in line.rstrip("\n"))


@pytest.mark.parametrize("name, expected", EVIL.items())
def test_a_report_shows_names_escaped(name, expected):
    blocks = (Text(name), report_table(name, [{name: name}]), Command((name,)))
    page = Page(name, name, name, True, {name: cell(name)}, (Section("a", name, blocks),))
    html = render(page)
    # Title twice, subtitle, verdict, number and its name, link, heading, text, caption twice, column, cell, command.
    assert html.count(expected) == 14
    assert name not in html


# --- tables ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", "-"]
)
def test_no_cell_is_a_formula(tmp_path, name):
    csv_safe(pd.DataFrame({"a": [name], name: ["b"]})).to_csv(tmp_path / "t.csv", index=False)
    header, row = csv.reader((tmp_path / "t.csv").open(newline=""))
    assert header[1] == row[0] == "'" + shown(name)


@pytest.mark.parametrize(
    "value", [-1.5, -2, np.float64(-0.25), np.int64(-3), True, None, "-0.5", "+3", "-1e-5", "-inf"]
)
def test_numbers_stay_numbers(value):
    assert csv_safe(pd.DataFrame({"a": [value]}, dtype=object))["a"].tolist() == [value]


def test_a_table_of_numbers_is_written_as_before(tmp_path):
    frame = pd.DataFrame({"population": ["conv2d", "dense/1"], "x": [-1.5, np.nan], "n": [1, -2], "ok": [True, False]})
    assert csv_safe(frame).to_csv(index=False) == frame.to_csv(index=False)


def test_rows_of_the_command_line_are_written_safely(tmp_path):
    write_csv([{"layer": "=1+1", "neurons": "1,024", "lambda": "-0.5"}], tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "layer,neurons,lambda\n'=1+1,1024,-0.5\n"


# --- the last line of defence ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", ["MemoryError()", "RecursionError('deep')", "UnicodeEncodeError('utf-8', '\\udcff', 0, 1, 'surrogates')"]
)
def test_what_nobody_foresaw_is_one_line(tmp_path, error):
    code = (
        "import sys\nfrom brian_snn.cli import cache, main\n"
        f"def fail(*_): raise {error}\ncache.run = fail\nsys.exit(main.main(['cache', 'list']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("brian-snn: error: ")

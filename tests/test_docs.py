"""The user guide: every public name and command is in it, and what it links to is there."""

from __future__ import annotations

import argparse
import ast
import json
import re
from pathlib import Path

import pytest

import brian_snn
from brian_snn.cli import main as cli

DOCS = Path(__file__).resolve().parents[1] / "docs"
README = DOCS.parent / "README.md"
NOTEBOOKS = sorted(DOCS.glob("*.ipynb"))
PAGES = sorted(path.stem for path in DOCS.glob("*.md"))


@pytest.fixture(scope="module")
def api():
    """Return the names that the API reference documents."""
    text = (DOCS / "api.md").read_text("utf-8")
    return re.findall(r"^\.\. auto(?:function|class|exception):: (?:brian_snn\.)?(\w+)$", text, re.MULTILINE)


def test_every_public_name_is_documented_once(api):
    assert sorted(api) == sorted(brian_snn.__all__)


def test_every_module_of_the_analysis_with_public_functions_is_documented():
    modules = {path.stem for path in (DOCS.parent / "brian_snn" / "analysis").glob("*.py")}
    # How the random draws are called, images taken in batches and tables laid out is their own business.
    internal = {"__init__", "batching", "inputs", "known_counts", "measured", "pool_windows", "verdict"}
    text = (DOCS / "analysis.md").read_text("utf-8")
    assert set(re.findall(r"automodule:: brian_snn\.analysis\.(\w+)", text)) == modules - internal


def test_every_command_is_documented():
    text = (DOCS / "command_line.md").read_text("utf-8")
    assert re.findall(r"```\{command\} (\w+)", text) == [command.name for command in cli.COMMANDS]


def test_every_page_is_in_the_table_of_contents():
    listed = re.findall(r"^(\w+)$", (DOCS / "index.md").read_text("utf-8"), re.MULTILINE)
    assert sorted([*listed, "index"]) == sorted([*PAGES, *(path.stem for path in NOTEBOOKS)])


def test_a_notebook_is_kept_without_what_it_showed():
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        cells = [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
        assert cells and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page):
    text = (DOCS / f"{page}.md").read_text("utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (DOCS / target).is_file(), target


@pytest.mark.parametrize("path", [README, *sorted(DOCS.glob("*.md"))], ids=lambda path: path.stem)
def test_every_option_that_is_shown_exists(path):
    commands = {command.name: command.run for command in cli.COMMANDS}
    text = path.read_text("utf-8")
    for line in re.findall(r"^(?:.* && )?(?:venv/bin/)?brian-snn (.+?)(?:  +#.*)?$", text, re.MULTILINE):
        # What the parser does not know is an error.
        assert cli.build_parser().parse_args(line.split()).run == commands[line.split()[0]]


def test_every_option_that_the_readme_names_in_its_sentences_exists():
    code = re.findall(r"`(?:(?:venv/bin/)?brian-snn [^`]*)?--[^`]+`", README.read_text("utf-8"))
    named = set(re.findall(r"--[a-z][a-z-]*", " ".join(code)))
    assert named, "there are some"
    assert named <= set(re.findall(r"--[a-z][a-z-]*", "".join(parser.format_help() for parser in parsers())))


def parsers():
    """Return the parsers of all commands, and of all figures."""
    found = [cli.build_parser()]
    for parser in found:
        found += [p for a in parser._actions if isinstance(a, argparse._SubParsersAction) for p in a.choices.values()]
    return found


def test_every_error_that_is_quoted_is_one_of_the_program():
    errors = re.findall(r"^brian-snn: error: (.+)$", (DOCS / "troubleshooting.md").read_text("utf-8"), re.MULTILINE)
    assert errors, "there are some"
    known = [re.compile(pattern) for path in (DOCS.parent / "brian_snn").rglob("*.py") for pattern in messages(path)]
    assert [error for error in errors if not any(pattern.search(error) for pattern in known)] == []


def messages(path):
    """Return a pattern for every long string of a module, with anything in the place of a value."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    formatted = [node.values for node in nodes if isinstance(node, ast.JoinedStr)]
    inside = {id(part) for parts in formatted for part in parts}
    plain = [[node] for node in nodes if isinstance(node, ast.Constant) and id(node) not in inside]
    patterns = (
        "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in parts)
        for parts in formatted + plain
    )
    return [pattern for pattern in patterns if len(pattern) > 40]

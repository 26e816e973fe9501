"""The list of the nightly run against the tests there are: none of its entries is gone, none takes all of a file."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.nightly import LISTED, is_nightly

TESTS = Path(__file__).parent


@cache
def names_in(path):
    """Return the tests of a file by name, those of classes with the class in front."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        inside = [node] if isinstance(node, ast.FunctionDef) else node.body if isinstance(node, ast.ClassDef) else []
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {prefix + each.name for each in inside if isinstance(each, ast.FunctionDef)}
    return {name for name in found if name.rpartition("::")[2].startswith("test_")}


@pytest.mark.parametrize("entry", LISTED)
def test_an_entry_is_of_a_test_that_there_is(entry):
    file, _, name = entry.partition("::")
    names = names_in(TESTS / file)
    classes = {known.partition("::")[0] for known in names if "::" in known}
    assert name in names | classes or (not name and LISTED[entry])


@pytest.mark.parametrize("file", sorted({entry.partition("::")[0] for entry in LISTED}))
def test_every_file_keeps_tests_in_the_plain_run(file):
    assert any(not is_nightly(f"tests/{file}::{name}") for name in names_in(TESTS / file))

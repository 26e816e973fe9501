"""Settings of Sphinx for the user guide and the API reference: ``sphinx-build -W -n -b html docs docs/_build``."""

from __future__ import annotations

import argparse
import os
import re
import warnings
from typing import Any

# TensorFlow is imported with the modules that are documented.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.simplefilter("ignore")

from docutils import nodes  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402
from sphinx.util.docutils import SphinxDirective  # noqa: E402
from sphinx.util.nodes import make_refnode  # noqa: E402

from brian_snn import __version__  # noqa: E402
from brian_snn.cli import main as cli  # noqa: E402

project = "brian_snn"
release = version = __version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_nb"]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
html_theme = "alabaster"
html_theme_options = {
    "description": "Keras networks as spikes in Brian2, exactly",
    "fixed_sidebar": True,
    "page_width": "1120px",
    "code_font_size": "0.8em",
}
html_show_sourcelink = False
html_show_copyright = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 2

# The notebook is run anew, without what it says on the standard error; an error of its own stops the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
# Seconds for a cell; a machine may be busy with other things.
nb_execution_timeout = 600
nb_output_stderr = "remove"

# Docstrings say shapes, units and types in words.
autodoc_typehints = "none"
autodoc_preserve_defaults = True
# What is not marked as something else is an equation or a command.
highlight_language = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
# Brian2's own error; its documentation is not within reach of a build without a network.
nitpick_ignore = [("py:exc", "DimensionMismatchError")]
# Single backticks are names as one types them.
default_role = "code"

_COLUMNS = "88"


class CommandHelp(SphinxDirective):
    """``{command} NAME``: what ``brian-snn NAME --help`` prints."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return a literal block."""
        text = parser_of(self.arguments[0]).format_help()
        return [nodes.literal_block(text, text, language="none")]


def parser_of(command: str) -> argparse.ArgumentParser:
    """Return the parser of a command."""
    os.environ["COLUMNS"] = _COLUMNS
    (subparsers,) = (a for a in cli.build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return subparsers.choices[command]


def keep_equations(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Turn indented blocks of a docstring into literal ones: equations stand there as they are read in the source."""
    result: list[str] = []
    indent = 0
    for previous, line in zip(["", *lines], lines, strict=False):
        deeper = len(line) - len(line.lstrip())
        if line.strip() and not previous.strip() and deeper > indent and not _introduced(result):
            result += [f"{' ' * indent}::", ""]
        if line.strip():
            indent = deeper
        result.append(line)
    lines[:] = result


def _introduced(lines: list[str]) -> bool:
    """Whether the last line that is not empty begins a literal block or a list item."""
    last = next((line for line in reversed(lines) if line.strip()), "")
    return last.endswith("::") or bool(re.match(r"\s*[*-] ", last))


def find_error(app: Sphinx, env: Any, node: Any, contnode: Any) -> Any:
    """Resolve an exception that a docstring names without its module."""
    if node.get("reftype") != "exc":
        return None
    domain, target = env.get_domain("py"), f"brian_snn.errors.{node['reftarget']}"
    found = domain.objects.get(target)
    return found and make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, contnode, target)


def setup(app: Sphinx) -> None:
    """Add what the guide needs."""
    app.add_directive("command", CommandHelp)
    app.connect("missing-reference", find_error)
    # Before napoleon, which takes the sections apart.
    app.connect("autodoc-process-docstring", keep_equations, priority=100)

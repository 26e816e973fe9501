"""Markdown from texts of which some come from strangers: names as code, tables, blocks.

A name stands in a code span, in which no renderer sees markup, HTML, an entity or an address. Two characters could end
the span or the cell of a table around it, the backtick and the bar; they are written as Python writes what does not
print.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from brian_snn.escaping import shown


def code(text: object) -> str:
    r"""Return a text as a code span: a backtick in it as ``\x60``, a bar as ``\x7c``, what does not print likewise."""
    plain = shown(str(text)).replace("`", r"\x60").replace("|", r"\x7c")
    # A span of nothing is none, and renderers take a space at both ends away.
    return f"`{plain}`" if plain.strip() == plain != "" else f"`'{plain}'`"


def codes(texts: Iterable[object]) -> str:
    """Return several texts as code spans, separated by commas."""
    return ", ".join(map(code, texts))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; cells are Markdown already, and hold neither bars nor line feeds."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in lines)


def block(statements: str) -> str:
    """Return statements of this program as a block of code, without empty lines."""
    lines = (line for line in statements.split("\n") if line)
    return "\n".join(["```", *lines, "```"])


def equations(lines: Sequence[str]) -> str:
    """Return lines of LaTeX, aligned at ``&``, as an equation that stands alone."""
    aligned = " \\\\\n".join(lines)
    return f"$$\n\\begin{{aligned}}\n{aligned}\n\\end{{aligned}}\n$$"


def document(*parts: str) -> str:
    """Return headings, paragraphs, tables and blocks with a blank line between any two; empty ones are left out."""
    return "\n\n".join(part for part in parts if part)


def number(value: float) -> str:
    """Return a number with the digits that a table has room for."""
    return f"{value:.4g}"


def span(low: float, high: float) -> str:
    """Return a range, or the one number that it is."""
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def times(numbers: Sequence[int]) -> str:
    """Return lengths along axes: ``28 x 28 x 1``."""
    return " x ".join(map(str, numbers))


def power_of_two(value: float) -> str:
    """Return a power of two as one, as code: two of them in a paragraph would be stars around bold text."""
    return code(f"2**{value.hex().partition('p')[2].lstrip('+')}")

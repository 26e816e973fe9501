"""Records as a few lines of text, and as a table for notebooks; names of strangers are escaped in both."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from brian_snn.escaping import shown

#: Rows that are shown of a long table: the first and the last ones.
_FIRST, _LAST = 6, 3


def as_text(title: str, rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """Return a title, a table of a few rows and some notes."""
    kept = [[shown(cell) for cell in row] for row in _some(rows)]
    widths = [max(map(len, column)) for column in zip(*kept, strict=True)]
    lines = ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in kept]
    return "\n".join([shown(title), *lines, *("  " + shown(note) for note in notes)])


def as_html(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """Return the same as HTML."""
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(shown(cell))}</td>" for cell in row) + "</tr>" for row in _some(rows))
    below = "".join(f"<p>{escape(shown(note))}</p>" for note in notes)
    return f"<p><b>{escape(shown(title))}</b></p><table><tr>{cells}</tr>{body}</table>{below}"


def _some(rows: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Return the first and the last rows of many."""
    if len(rows) <= _FIRST + _LAST + 1:
        return list(rows)
    left_out = (f"... {len(rows) - _FIRST - _LAST} more", *[""] * (len(rows[0]) - 1))
    return [*rows[:_FIRST], left_out, *rows[-_LAST:]]

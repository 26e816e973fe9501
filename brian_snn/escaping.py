"""Show text that came from a file: on a terminal, in a page, in a cell of a spreadsheet.

Names of layers and files may hold anything. An escape character moves the cursor, a line feed forges a line, a mark of
direction turns a word around, half a surrogate pair cannot be encoded, and a cell that begins with ``=`` is a formula.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

#: With these a cell begins that a spreadsheet computes.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def shown(text: str) -> str:
    r"""Return a text with all that does not print written as Python writes it: ``\x1b``, ``\n``, ``\u202e``.

    Any other text is returned as it is.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def csv_safe(rows: pd.DataFrame, own: Collection[str] = ()) -> pd.DataFrame:
    """Return a table in which no cell and no heading is a formula or holds what does not print; numbers stay numbers.

    Such a cell gets an apostrophe in front, which a spreadsheet takes for the beginning of a text. The columns `own`
    hold texts of this program alone, and stay as they are.
    """
    safe = {name: rows[name].map(_safe_cell) for name in rows.columns if name not in own}
    return rows.assign(**safe).rename(columns=_safe_cell)


def _safe_cell(cell: object) -> object:
    """Return the cell itself, unless it is a text that could be a formula."""
    if not isinstance(cell, str):
        return cell
    if cell.startswith(_FORMULA) and not _is_number(cell):
        return "'" + shown(cell)
    return shown(cell)


def _is_number(text: str) -> bool:
    """Whether a text is a number, signed or not."""
    # Python would overlook a tab before it.
    if not text.isprintable():
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True

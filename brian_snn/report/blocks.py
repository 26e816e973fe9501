"""What a page is made of: sections of text, tables, pictures and commands, as records that the template lays out."""

from __future__ import annotations

import math
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from brian_snn.plotting.style import Figure, figure_png

_LETTERS = re.compile(r"[^-,.\d]")

#: What stands in a cell that has no number.
NOTHING = "-"


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Parameters
    ----------
    text : str
        What is shown.
    value : float or int, optional
        The number itself, with all its digits, where `text` is a number.
    mood : str
        ``good``, ``bad`` or empty.
    shade : float
        How dark the cell is, 0 to 1.
    """

    text: str
    value: float | int | None = None
    mood: str = ""
    shade: float = 0.0


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar = "text"
    text: str
    warns: bool = False


@dataclass(frozen=True)
class Table:
    """A table; a folded one opens on a click."""

    kind: ClassVar = "table"
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    folded: bool = False

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each column holds numbers and nothing else, and is aligned right."""
        columns = zip(*self.rows, strict=True)
        return tuple(all(c.value is not None or not _LETTERS.search(c.text) for c in column) for column in columns)


@dataclass(frozen=True)
class Picture:
    """A figure, as the base64 text of a PNG file."""

    kind: ClassVar = "picture"
    base64: str
    width: int
    caption: str


@dataclass(frozen=True)
class Command:
    """Lines to be typed."""

    kind: ClassVar = "command"
    lines: tuple[str, ...]


Block = Text | Table | Picture | Command


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it; `anchor` is its address within the page."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """A whole page: title, verdict, the numbers at its head by what they are, sections."""

    title: str
    subtitle: str
    verdict: str
    holds: bool
    numbers: Mapping[str, Cell]
    sections: tuple[Section, ...]


def cell(value: object, mood: str = "") -> Cell:
    """Return a cell: whole numbers in full, others to four digits, nan as a dash."""
    if isinstance(value, Cell):
        return value
    if isinstance(value, bool | np.bool_):
        return Cell("yes" if value else "no", mood=mood)
    if isinstance(value, int | np.integer):
        return Cell(f"{value:,}", int(value), mood)
    if isinstance(value, float | np.floating):
        number = float(value)
        if math.isnan(number):
            return Cell(NOTHING, mood=mood)
        return Cell(f"{number:,.0f}" if 1e3 <= abs(number) < 1e15 else f"{number:.4g}", number, mood)
    return Cell(str(value), mood=mood)


def percent(fraction: float) -> Cell:
    """Return a fraction in per cent."""
    return Cell(NOTHING) if np.isnan(fraction) else Cell(f"{100 * fraction:.2f} %", float(fraction))


def table(caption: str, rows: pd.DataFrame | Iterable[Mapping[str, object]], folded: bool = False) -> Table:
    """Return a table of rows with the same keys, or of a data frame."""
    if isinstance(rows, pd.DataFrame):
        records, columns = rows.to_dict("records"), tuple(map(_heading, rows.columns))
    else:
        records = list(rows)
        columns = tuple(records[0]) if records else ()
    return Table(caption, columns, tuple(tuple(map(cell, record.values())) for record in records), folded)


def _heading(column: str) -> str:
    """Return the name of a data frame's column in words."""
    words = column.replace("_", " ")
    return words.removesuffix(" hz") + " (Hz)" if words.endswith(" hz") else words


def pairs(caption: str, values: Mapping[str, object], names: Sequence[str] = ("", "value")) -> Table:
    """Return a table of two columns."""
    return table(caption, [{names[0]: name, names[1]: value} for name, value in values.items()])


def picture(figure: Figure, caption: str) -> Picture:
    """Return a figure at the size that it was drawn for, in CSS pixels (96 an inch)."""
    return Picture(b64encode(figure_png(figure)).decode(), round(96 * figure.get_size_inches()[0]), caption)

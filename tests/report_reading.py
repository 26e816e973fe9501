"""Take a report apart: its HTML with the parser of the standard library, and the blocks of its sections."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link"}


@dataclass
class PageTable:
    """A table: its columns, and for each row the texts and the numbers (None where a cell has none)."""

    columns: list[str] = field(default_factory=list)
    texts: list[list[str]] = field(default_factory=list)
    values: list[list[float | None]] = field(default_factory=list)

    def column(self, name):
        """Return the numbers of a column, nan for none, or the texts if there are no numbers."""
        k = self.columns.index(name)
        numbers = [row[k] for row in self.values]
        texts = [row[k] for row in self.texts]
        return texts if all(n is None for n in numbers) else [float("nan") if n is None else n for n in numbers]


class HtmlPage(HTMLParser):
    """What a page holds: ``tags`` with their attributes, ``tables`` by label, ``text`` by tag, ``head`` numbers."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.tags, self.tables, self.text, self.open = [], {}, {}, []
        self._table = None
        self.feed(source)
        self.close()
        assert not self.open, f"tags left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        """Note a tag; begin what it begins."""
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.text.setdefault(tag, []).append("")
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self._table = self.tables[attributes["aria-label"]] = PageTable()
        if tag == "tr" and "tbody" in self.open:
            self._table.texts.append([])
            self._table.values.append([])
        if tag == "td":
            self._table.texts[-1].append("")
            self._table.values[-1].append(None)
        if tag == "data" and "td" in self.open:
            self._table.values[-1][-1] = float(attributes["value"])

    def handle_endtag(self, tag):
        """Close a tag, which must be the last that was opened."""
        assert self.open.pop() == tag
        if tag == "th":
            self._table.columns.append(self.text["th"][-1])

    def handle_data(self, data):
        """Add text to all open tags."""
        for tag in set(self.open):
            self.text[tag][-1] += data
        if "td" in self.open:
            self._table.texts[-1][-1] += data

    def paragraphs(self):
        """Return all text outside tables."""
        return "\n".join(self.text.get("p", []) + self.text.get("figcaption", []))


def table_of(section, beginning):
    """Return the table of a section whose caption begins so."""
    return next(b for b in section.blocks if b.kind == "table" and b.caption.startswith(beginning))


def texts(block, column):
    """Return the texts of a column."""
    return [row[column].text for row in block.rows]


def values(block, heading):
    """Return the numbers of a column."""
    return [row[block.columns.index(heading)].value for row in block.rows]


def prose(section):
    """Return the paragraphs and captions of a section."""
    return " ".join(block.text if block.kind == "text" else getattr(block, "caption", "") for block in section.blocks)

# SPDX-License-Identifier: Apache-2.0
"""Pages of the site as tests read them."""

import base64
import json
import re
import zlib
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


@dataclass
class Cell:
    """A cell of a table: the classes it has and its text."""

    classes: list[str]
    text: str = ""
    failed: str | None = None


@dataclass
class Page(HTMLParser):
    """What links, loads and says a page; its tables as rows of a heading and cells."""

    file: Path
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    rows: list[tuple[str, list[Cell]]] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._cell: Cell | None = None
        self._heading: Cell | None = None
        self.feed(self.file.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            assert values["id"] not in self.ids, f"{self.file}: the id {values['id']} occurs twice"
            self.ids.add(values["id"])
        if tag == "a":
            self.links.append(values["href"])
        elif tag in {"link", "script", "img"}:
            self.loads.append(values.get("src") or values["href"])
        elif tag == "tr":
            self.rows.append(("", []))
        elif tag == "th" and values.get("scope") == "row":
            self._heading = Cell([])
        elif tag == "td":
            self._cell = Cell(values.get("class", "").split(), failed=values.get("data-f"))

    def handle_endtag(self, tag: str) -> None:
        if tag == "th" and self._heading is not None:
            self.rows[-1] = (" ".join(self._heading.text.split()), self.rows[-1][1])
            self._heading = None
        elif tag == "td" and self._cell is not None:
            self._cell.text = self._cell.text.strip()
            self.rows[-1][1].append(self._cell)
            self._cell = None

    def handle_data(self, data: str) -> None:
        self.text += data
        for cell in (self._cell, self._heading):
            if cell is not None:
                cell.text += data

    def row(self, heading: str) -> list[Cell]:
        """The cells of the row with this heading."""
        (cells,) = (cells for name, cells in self.rows if name == heading)
        return cells


def unpack(file: Path) -> Any:
    """What a file of data hands to the page."""
    found = re.fullmatch(r'bpfData\("([\w-]+)","([A-Za-z0-9+/=]+)"\)\n', file.read_text(encoding="ascii"))
    assert found and found[1] == file.stem
    return json.loads(zlib.decompress(base64.b64decode(found[2])))

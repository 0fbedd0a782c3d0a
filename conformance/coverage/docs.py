# SPDX-License-Identifier: Apache-2.0
"""The table of vector files in the documentation: the origin of their expectations, and runtimes that confirm them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ...spec.errors import InputError
from .confirm import Confirmation
from .measure import Coverage, FileCoverage

BEGIN, END = "<!-- vector files: begin -->", "<!-- vector files: end -->"
#: The cell of a file that has changed since it was last run on other runtimes.
NOT_MEASURED = "not since it changed"
_HEAD = ("file", "expectations", "vectors", "confirmed by", "contents")
#: Characters of a file's SHA-256 that the table shows.
_DIGITS = 12


class DocsError(InputError):
    """A page without a place for the table; the message says what is missing."""


class Row(NamedTuple):
    """A line of the table, as text."""

    file: str
    expectations: str
    vectors: str
    confirmed: str
    contents: str


def renew(page: str, coverage: Coverage, confirmed: Sequence[Confirmation] = ()) -> str:
    """Return ``page`` with a new table.

    Confirmations are those of ``confirmed``; without it, those of the old table, unless the file has changed.

    Raises:
        DocsError: the page has no place for the table.
    """
    before, rest = _split(page, BEGIN)
    _, after = _split(rest, END)
    old = rows(page)
    lines = [_line(_HEAD), _line(["---"] * len(_HEAD))]
    lines += [_line(_row(file, confirmed, old)) for file in coverage.files]
    return f"{before}{BEGIN}\n{''.join(lines)}{END}{after}"


def _split(text: str, mark: str) -> tuple[str, str]:
    before, found, after = text.partition(mark)
    if not found:
        raise DocsError(f"the page of --docs has no line {mark}")
    return before, after


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def rows(page: str) -> Mapping[str, Row]:
    """Return the lines of the table that ``page`` has, by file.

    Raises:
        DocsError: the page has no place for the table.
    """
    table, _ = _split(_split(page, BEGIN)[1], END)
    found = {}
    for line in table.splitlines()[3:]:
        cells = [
            cell.strip().replace("\\|", "|") for cell in line.strip().removeprefix("| ").removesuffix(" |").split(" | ")
        ]
        if len(cells) == len(Row._fields):
            row = Row(*cells)
            found[row.file.strip("`")] = row
    return found


def _row(file: FileCoverage, confirmed: Sequence[Confirmation], old: Mapping[str, Row]) -> Row:
    contents = hashlib.sha256(file.path.read_bytes()).hexdigest()[:_DIGITS]
    known = old.get(file.name)
    if confirmed:
        says = "<br>".join(_says(one, file) for one in confirmed if one.independent)
    else:
        says = known.confirmed if known is not None and known.contents == f"`{contents}`" else NOT_MEASURED
    return Row(f"`{file.name}`", _expectations(file), f"{file.vectors:,}", says, f"`{contents}`")


def _expectations(file: FileCoverage) -> str:
    source = file.source
    how = "by hand" if source.method == "hand" else f"`{source.generator}`"
    note = " ".join((source.note or "").split()).replace("|", "\\|")
    return f"{how}: {note}" if note else how


def _says(one: Confirmation, file: FileCoverage) -> str:
    passed, number = one.rate(file.name)
    return f"{one.identity}: {passed:,} ({passed / number:.1%})"

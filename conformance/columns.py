# SPDX-License-Identifier: Apache-2.0
"""The vectors of a table, made column by column.

Nearly all vectors of the suite are rows of tables that differ in numbers of the program, in the memory and in the
result. All programs of such a table are made at once, and so on: several times faster than vector by vector.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import TypeAlias

from ..spec.encoding import SLOT_BYTES
from ..spec.template import Template
from .model import Entry, Expectation, Table, Variant, Vector
from .needs import program_needs
from .values import HOLE, fill, halves, number, parse_bytes

CASE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*\Z")

#: The cells of a table by the name of the value, for little-endian runtimes.
Columns: TypeAlias = Mapping[str, Sequence[str]]


def vectors_like(
    first: Vector, table: Table, template: Template | None, big: Callable[[Vector], Variant]
) -> list[Vector] | None:
    """Return the vectors of ``table``, whose entry has the vector ``first`` too, which was made by itself.

    None if they differ in more than this module is for, or something is wrong in a row: then each has to be made by
    itself. ``big`` makes one for big-endian runtimes.
    """
    entry, (_, _, maps, variables, expect) = first.entry, first.little
    texts = [*entry.maps, *(value for _, value in entry.variables), *entry.expect.values()]
    if any("{" in half for text in texts for half in halves(text)) or not (template or entry.rejected):
        return None
    cells = list(zip(*table.rows, strict=True))
    names, columns = cells[0], {column.name: cells[column.little] for column in table.columns}
    if not all(map(CASE_NAME.match, names)):
        return None
    try:
        codes = _codes(entry, template, columns, len(names))
        memories = _memories(first, columns, len(names))
        after = list(map(parse_bytes, columns["after"])) if "after" in columns else [expect.memory] * len(names)
        witnesses = map(number, columns["witness"]) if "witness" in columns else repeat(expect.witness)
        registers = _registers(columns, expect.registers)
        expected = [
            Expectation(*parts)
            for parts in zip(registers, after, repeat(entry.rejected), repeat(entry.faulted), witnesses)
        ]
    except ValueError:
        return None
    if codes is None or not _same_sizes(memories, after):
        return None
    variants = map(Variant, codes, memories, repeat(maps), repeat(variables), expected)
    needs: Iterable[tuple[frozenset[str], frozenset[str]]] = repeat((first.groups, first.reported))
    if template is None:
        needs = [program_needs(code, rejected=True)[:2] for code in codes]
    return [
        Vector(f"{entry.id}/{name}", name, entry, groups, reported, variant, big)
        for name, (groups, reported), variant in zip(names, needs, variants)  # noqa: B905  # infinite
    ]


def _codes(entry: Entry, template: Template | None, columns: Columns, count: int) -> Sequence[bytes] | None:
    """Return the little-endian programs; None if the template has to be asked for each."""
    if template is not None:
        return template.assemble_columns(columns) if columns else [template.assemble({})] * count
    assert entry.code is not None
    codes = list(map(parse_bytes, _filled(halves(entry.code)[0], columns, count)))
    whole = isinstance(entry.code, tuple) or not any(len(code) % SLOT_BYTES for code in codes)
    return codes if whole else None


def _filled(text: str, columns: Columns, count: int) -> Iterable[str]:
    """Return a text with the values of each row in its holes."""
    names = list(dict.fromkeys(HOLE.findall(text)))
    if not names:
        return [text] * count
    rows = zip(*(columns[name] for name in names), strict=True)
    return (fill(text, dict(zip(names, row, strict=True)), 0) for row in rows)


def _memories(first: Vector, columns: Columns, count: int) -> Sequence[bytes | None]:
    text = first.entry.memory
    if text is None or "{" not in (little := halves(text)[0]):
        return [first.little.memory] * count
    return list(map(parse_bytes, _filled(little, columns, count)))


def _same_sizes(before: Sequence[bytes | None], after: Sequence[bytes | None]) -> bool:
    return all(old is None or new is None or len(old) == len(new) for old, new in zip(before, after, strict=True))


def _registers(columns: Columns, first: Mapping[str, int]) -> Iterable[Mapping[str, int]]:
    """Return what each row expects of registers; ``first`` is what the first one does.

    Raises:
        ValueError: a cell is no number.
    """
    given = [name for name in first if name in columns]
    if not given:
        return repeat(first)
    common = {name: value for name, value in first.items() if name not in columns}
    numbers = [list(map(number, columns[name])) for name in given]
    if len(given) == 1 and not common:
        (name,) = given
        return [{name: value} for value in numbers[0]]
    return [dict(zip(given, row, strict=True), **common) for row in zip(*numbers, strict=True)]

# SPDX-License-Identifier: Apache-2.0
"""The vectors of a table, made column by column.

Nearly all vectors of the suite are rows of tables that differ in numbers of the program, in the memory and in the
result. All programs of such a table are made at once, and so on: several times faster than vector by vector.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import repeat
from typing import TypeAlias

from ...spec.encoding import SLOT_BYTES
from .model import (
    CHANGES,
    NO_VALUE,
    REGISTERS,
    Entry,
    Expectation,
    Table,
    Variant,
    Vector,
)
from .needs import Needs, needs_of, program_needs
from .template import Template
from .values import (
    HOLE,
    changed,
    halves,
    number,
    parse_bytes,
)

CASE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*\Z")
_CASE_NAMES = re.compile(r"(?:[a-z0-9][a-z0-9._-]*+\n)*+\Z")

#: The cells of a table by the name of the value, for little-endian runtimes.
Columns: TypeAlias = Mapping[str, Sequence[str]]


def vectors_like(
    entry: Entry, common: Variant, table: Table, template: Template | None, big: Callable[[Vector], Variant]
) -> list[Vector] | None:
    """Return the vectors of ``table``, the cases of ``entry``.

    None if they differ in more than this module is for, or something is wrong in a row: then each has to be made by
    itself. ``common`` is what their variants for little-endian runtimes have in common: the maps, the variables, what
    ``entry`` expects, its memory if that has no holes. ``big`` makes those for big-endian runtimes.
    """
    names, columns = table.cases, {column.name: column.little for column in table.columns}
    if not _CASE_NAMES.match("".join(f"{name}\n" for name in names)):
        return None
    try:
        codes = _codes(entry, template, columns, len(names))
        instructions = None if template is None else template.instructions
        if codes is None or (template is not None and instructions is None):
            return None
        memories = _memories(entry, common.memory, columns, len(names))
        expected = _expected(common.expect, columns, len(names))
    except ValueError:
        return None
    if entry.memory is not None and not _same_sizes(memories, [expect.memory for expect in expected]):
        return None
    variants = map(_VARIANT, zip(codes, memories, repeat(common.maps), repeat(common.variables), expected))
    if instructions is None:
        needs: Iterable[Needs] = [program_needs(code, rejected=True) for code in codes]
    else:
        needs = repeat(needs_of(instructions))
    return [
        Vector(f"{entry.id}/{name}", name, entry, groups, reported, variant, big)
        for name, (groups, reported, _), variant in zip(names, needs, variants)  # noqa: B905  # infinite
    ]


#: These tuples from their parts, without a call of Python code for each.
_VARIANT = partial(tuple.__new__, Variant)
_EXPECTATION = partial(tuple.__new__, Expectation)


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
    texts_and_names = HOLE.split(text)
    parts = [columns[part] if at % 2 else repeat(part, count) for at, part in enumerate(texts_and_names)]
    return map("".join, zip(*parts, strict=True))


def _memories(entry: Entry, common: bytes | None, columns: Columns, count: int) -> Sequence[bytes | None]:
    if entry.memory is None or "{" not in (little := halves(entry.memory)[0]):
        return [common] * count
    return list(map(parse_bytes, _filled(little, columns, count)))


def _same_sizes(before: Sequence[bytes | None], after: Sequence[bytes | None]) -> bool:
    return all(old is None or new is None or len(old) == len(new) for old, new in zip(before, after, strict=True))


def _expected(common: Expectation, columns: Columns, count: int) -> list[Expectation]:
    """Return what each row expects; ``common`` is what holds where a row does not say otherwise.

    Raises:
        ValueError: a cell is no number, or no bytes.
    """
    names = [name for name in (*REGISTERS, CHANGES) if name in columns]
    if len(names) == 1 and "after" not in columns and "witness" not in columns:
        cells = columns[names[0]]
        made = {cell: common._replace(registers=_with(common.registers, names[0], cell)) for cell in set(cells)}
        return [made[cell] for cell in cells]
    registers = _registers(common.registers, columns, count)
    after = map(parse_bytes, columns["after"]) if "after" in columns else repeat(common.memory)
    witnesses = map(number, columns["witness"]) if "witness" in columns else repeat(common.witness)
    _, _, rejected, faulted, _ = common
    return list(map(_EXPECTATION, zip(registers, after, repeat(rejected), repeat(faulted), witnesses)))


def _with(registers: Mapping[str, int], name: str, cell: str) -> Mapping[str, int]:
    """Return what is expected of ``registers`` where a row says more or something else."""
    if name == CHANGES:
        return registers if cell == NO_VALUE else changed(registers, cell)
    return {**registers, name: number(cell)}


def _registers(common: Mapping[str, int], columns: Columns, count: int) -> Sequence[Mapping[str, int]]:
    given = [name for name in REGISTERS if name in columns]
    rows: Sequence[Mapping[str, int]] = [common] * count
    if given:
        numbers = zip(*(map(number, columns[name]) for name in given), strict=True)
        rows = [dict(zip(given, row)) for row in numbers]  # noqa: B905  # asked for each, strict costs as much again
        if common:
            rows = [{**common, **row} for row in rows]
    if CHANGES in columns:
        rows = [_with(row, CHANGES, cell) for row, cell in zip(rows, columns[CHANGES], strict=True)]
    return rows

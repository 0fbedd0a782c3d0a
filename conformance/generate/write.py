# SPDX-License-Identifier: Apache-2.0
"""The text of a vector file from drafts, deterministic and in canonical form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..suite.canonical import write
from ..suite.model import CHANGES, NO_VALUE, REGISTERS
from .draft import Draft, rows
from .levels import with_levels

#: If rows expect values of this many registers, they have only those that differ from the values of most rows.
_MANY = 4


def file_text(family: str, note: str, drafts: Iterable[Draft]) -> str:
    """Return the vector file of ``drafts``; ``family`` names it for ``bpf-isa generate``.

    Raises:
        DraftError: a case of a draft does not return on the reference VM.
    """
    generator = f"bpf-isa generate {family}"
    data = {
        "source": {"name": "bpf-isa", "method": "generated", "generator": generator, "note": note},
        "vectors": [_vector(part) for draft in drafts for part in with_levels(draft)],
    }
    head = ["# SPDX-License-Identifier: Apache-2.0", f"# Written by `{generator}`; edit conformance/generate/ instead."]
    return write(data, {("source",): head})


def _vector(draft: Draft) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "id": draft.id,
        "what": draft.what,
        "level": draft.level if draft.level != "must" else None,
        "extension": draft.extension,
        "covers": list(dict.fromkeys(draft.covers)),
        "errata": list(draft.errata),
        "asm": draft.asm,
        "code": draft.code,
        "memory": draft.memory,
        "maps": list(draft.maps),
        "variables": [{"number": number, "value": value} for number, value in draft.variables],
        "helpers": [{"by": by, "number": number, "does": "weigh"} for by, number in draft.helpers],
        "expect": {"rejected": True} if draft.rejected else None,
    }
    table = rows(draft)
    fields["expect"] = _common(draft, table) or fields["expect"]
    in_words = any(" " in cell for row in table for cell in row.values())
    fields |= {"cases": _cases(table)} if in_words else {"table": _table(table)}
    return {name: value for name, value in fields.items() if value}


def _common(draft: Draft, table: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Move what all rows of ``table`` expect to the expectation of the vector, and return that."""
    if len(table) == 1:
        return {}
    expected = [*draft.observe, "witness"]
    same = {name: table[0][name] for name in expected if len({row.get(name) for row in table}) == 1 if name in table[0]}
    for row in table:
        for name in same:
            del row[name]
    common: dict[str, Any] = {"rejected": True} if draft.rejected else {}
    registers = {name: value for name, value in same.items() if name not in ("after", "witness")}
    registers |= _usual(table)
    if registers:
        common["registers"] = registers
    if "after" in same:
        common["memory"] = same["after"]
    if "witness" in same:
        common["witness"] = {"r0": same["witness"]}
    return common


def _usual(table: Sequence[dict[str, str]]) -> dict[str, str]:
    """Remove from the rows the values of registers that most of them expect, if they have many, and return these.

    Each row gets one cell with its different values.
    """
    names = [name for name in REGISTERS if all(name in row for row in table)]
    if len(names) < _MANY:
        return {}
    most = {name: Counter(row[name] for row in table).most_common(1)[0] for name in names}
    usual = {name: value for name, (value, times) in most.items() if times > len(table) / 2}
    for row in table:
        found = {name: row.pop(name) for name in usual}
        row[CHANGES] = ",".join(f"{name}={value}" for name, value in found.items() if value != usual[name]) or NO_VALUE
    return usual


def _cases(table: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """The cases as a mapping, for values with spaces in them."""
    cases: dict[str, Any] = {}
    for row in table:
        values: dict[str, Any] = {}
        for column, cell in row.items():
            name, _, order = column.partition(".")
            if order:
                values.setdefault(name, {})[order] = cell
            elif column != "case":
                values[column] = cell
        cases[row["case"]] = values
    return cases


def _table(table: Sequence[Mapping[str, str]]) -> str:
    """The cases as a table; a value that a case lacks is written -."""
    columns = list(dict.fromkeys(column for row in table for column in row))
    return "\n".join(
        " ".join(cells) for cells in [columns, *([row.get(name, NO_VALUE) for name in columns] for row in table)]
    )

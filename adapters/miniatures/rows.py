# SPDX-License-Identifier: Apache-2.0
"""Faulty instructions: rows with another meaning, and encodings that are no instruction and are taken for one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, TypeAlias, cast

from ...reference_vm.contexts.fields import Comparison, Condition, FieldName
from ...spec.encoding import Decoded
from ...spec.errors import InputError
from ...spec.pseudocode import parse
from ...spec.table import FIELD_RANGES, LAST_REGISTER, Fixed, Instruction, Isa, Operand
from ...spec.tree import REGISTERS

#: How a fault changes the pseudocode of a row: another text, the text of another row, a part of it replaced, or a
#: statement added at its end.
Change: TypeAlias = Literal["means", "like", "replace", "then"]
_NUMBER = "0x[0-9a-f]+|[0-9]+"
_CONDITION = re.compile(
    rf"(dst|src|offset|imm|next_imm)(?: & ({_NUMBER}))? (==|!=|<|>) (-?(?:{_NUMBER})|dst|src|offset|imm|next_imm)"
)


#: Faulty rows by name, with the tests of the encodings that have the fault.
FaultyRows: TypeAlias = "dict[str, list[tuple[tuple[Condition, ...], Instruction]]]"


class Fault(NamedTuple):
    """A fault in the meaning of the rows whose names match ``rows``, in encodings that pass all tests of ``when``.

    ``text`` has the pseudocode, the name of the other row (with groups of the match), a regular expression and its
    replacement, or the statement.
    """

    rows: str
    change: Change
    text: tuple[str, ...]
    when: tuple[Condition, ...] = ()

    def changed(self, table: Isa) -> Iterator[tuple[str, Instruction]]:
        """Yield the faulty rows by name.

        Raises:
            InputError: no row matches, one would not be changed, or its text is no pseudocode.
        """
        found = False
        for row in table.instructions:
            match = re.fullmatch(self.rows, row.name)
            if match:
                found = True
                text = self._text(row, match, table)
                if text == row.means_text:
                    raise InputError(f"the fault changes nothing in {row.name}: {row.means_text}")
                yield row.name, replace(row, means_text=text, means_tree=parse(text, registers=REGISTERS))
        if not found:
            raise InputError(f"no instruction has a name that matches {self.rows!r}")

    def _text(self, row: Instruction, match: re.Match[str], table: Isa) -> str:
        match self.change:
            case "means":
                return self.text[0]
            case "like":
                name = match.expand(self.text[0])
                if name not in table.by_name:
                    raise InputError(f"there is no instruction {name}, which {row.name} should be like")
                return table.by_name[name].means_text
            case "replace":
                old, new = self.text
                return re.sub(old, new, row.means_text)
            case "then":
                return f"{row.means_text}; {self.text[0]}"


class Accepted(NamedTuple):
    """Values of a field with which rows whose names match ``rows`` are wrongly decoded; None stands for any."""

    rows: str
    field: str
    values: tuple[int, ...] | None


class Refused(NamedTuple):
    """Instructions that are refused: rows whose names match ``rows``, in encodings that pass all tests of ``when``."""

    rows: str
    when: tuple[Condition, ...] = ()

    def applies(self, item: Decoded) -> bool:
        """Whether ``item`` is refused."""
        return bool(re.fullmatch(self.rows, item.instruction.name)) and all(test.holds(item) for test in self.when)


def condition(text: str) -> Condition:
    """Return the test that is written ``imm < 0``, ``dst == src`` or ``imm & 31 == 0``.

    Raises:
        InputError: it is none.
    """
    found = _CONDITION.fullmatch(text)
    if not found:
        raise InputError(f"{text!r} is no test of a field, such as 'imm < 0', 'dst == src' or 'imm & 31 == 0'")
    field, mask, op, right = found.groups()
    value = cast("FieldName", right) if right in FIELD_RANGES else int(right, 0)
    return Condition(cast("FieldName", field), cast("Comparison", op), value, None if mask is None else int(mask, 0))


def changes(faults: FaultyRows, item: Decoded) -> Decoded | None:
    """Return what is executed in place of ``item``, given the faulty rows by name; None if it is right."""
    for when, row in faults.get(item.instruction.name, ()):
        if all(test.holds(item) for test in when):
            return item._replace(instruction=row)
    return None


def accepting(table: Isa, accepted: Sequence[Accepted]) -> Isa:
    """Return a table that decodes more than ``table`` does."""
    rows = list(table.instructions)
    for one in accepted:
        rows = [wider for row in rows for wider in _wider(row, one, table)]
    by_opcode: dict[int, tuple[Instruction, ...]] = {}
    for row in rows:
        by_opcode[row.opcode] = (*by_opcode.get(row.opcode, ()), row)
    return replace(table, instructions=tuple(rows), by_name={row.name: row for row in rows}, by_opcode=by_opcode)


def _wider(row: Instruction, accepted: Accepted, table: Isa) -> list[Instruction]:
    """Return ``row``, or rows that accept more, in its place."""
    rule = row.fields.get(accepted.field)
    if not re.fullmatch(accepted.rows, row.name) or not isinstance(rule, Fixed):
        return [row]
    if accepted.values is not None:
        return [row, *(_with(row, accepted.field, Fixed(value)) for value in accepted.values)]
    if any(_selects(other, accepted.field, rule) for other in table.by_opcode[row.opcode]):
        return [row]
    high = LAST_REGISTER if accepted.field in ("dst", "src") else None
    return [_with(row, accepted.field, Operand(0, high) if high else Operand(*FIELD_RANGES[accepted.field]))]


def _selects(other: Instruction, field: str, rule: Fixed) -> bool:
    """Whether ``field`` tells a row with ``rule`` from the ``other`` row: then it is not unused."""
    return isinstance(other.fields.get(field), Fixed) and other.fields[field] != rule


def _with(row: Instruction, field: str, rule: Fixed | Operand) -> Instruction:
    return replace(row, fields={**row.fields, field: rule})

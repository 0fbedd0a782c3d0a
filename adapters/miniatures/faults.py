# SPDX-License-Identifier: Apache-2.0
"""Faulty instruction tables and call frames."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from ...reference_vm.frames import FRAME_POINTER, PRESERVED, Frame, Frames
from ...spec.table import FIELD_RANGES, LAST_REGISTER, Fixed, Instruction, Isa, Operand

#: Returns the new pseudocode of a row; None if it is not changed.
Rewrite: TypeAlias = Callable[[Instruction, Isa], str | None]


def meaning(rewrite: Rewrite) -> Callable[[Isa], Isa]:
    """Return a function that changes the meanings in a table by ``rewrite``."""

    def changed(row: Instruction, table: Isa) -> Instruction:
        text = rewrite(row, table)
        return row if text in {None, row.means_text} else replace(row, means_text=text, means_tree=None)

    def change(table: Isa) -> Isa:
        return _with_rows(table, {row.name: changed(row, table) for row in table.instructions})

    return change


def rewritten(pattern: str, old: str, new: str) -> Callable[[Isa], Isa]:
    """Return a function that replaces ``old`` by ``new`` in the pseudocode of rows whose name matches ``pattern``.

    ``pattern`` and ``old`` are regular expressions.
    """

    def rewrite(row: Instruction, table: Isa) -> str | None:
        return re.sub(old, new, row.means_text) if re.fullmatch(pattern, row.name) else None

    return meaning(rewrite)


def mistaken(pattern: str, other: str) -> Callable[[Isa], Isa]:
    """Return a function that gives rows that match ``pattern`` the meaning of ``other``, with groups of the match."""

    def rewrite(row: Instruction, table: Isa) -> str | None:
        found = re.fullmatch(pattern, row.name)
        return table.by_name[found.expand(other)].means_text if found else None

    return meaning(rewrite)


def upper_half_kept(pattern: str) -> Callable[[Isa], Isa]:
    """Return a function that keeps the upper half of dst in rows of 32-bit arithmetic that match ``pattern``."""

    def rewrite(row: Instruction, table: Isa) -> str | None:
        if not re.fullmatch(pattern, row.name):
            return None
        value = row.means_text.removeprefix("dst = ")
        return f"dst = (dst & 0xffffffff00000000) | (u64)(u32)({value})"

    return meaning(rewrite)


def unused_fields_free(table: Isa) -> Isa:
    """Return a table in which the fields that an instruction does not use may hold anything."""
    return _with_rows(table, {row.name: _free(row, table) for row in table.instructions})


def _free(row: Instruction, table: Isa) -> Instruction:
    siblings = [other for other in table.by_opcode[row.opcode] if other is not row]

    def rule(name: str, old: Operand | Fixed) -> Operand | Fixed:
        # A field that distinguishes two instructions is not unused.
        selects = any(isinstance(other.fields[name], Fixed) and other.fields[name] != old for other in siblings)
        if not isinstance(old, Fixed) or not old.unused or selects:
            return old
        return Operand(0, LAST_REGISTER) if name in ("dst", "src") else Operand(*FIELD_RANGES[name])

    return replace(row, fields={name: rule(name, old) for name, old in row.fields.items()})


def _with_rows(table: Isa, rows: Mapping[str, Instruction]) -> Isa:
    by_opcode = {opcode: tuple(rows[row.name] for row in siblings) for opcode, siblings in table.by_opcode.items()}
    instructions = tuple(rows[row.name] for row in table.instructions)
    return replace(table, instructions=instructions, by_name=rows, by_opcode=by_opcode)


class SharedStack(Frames):
    """A local call gives the callee the stack of its caller."""

    def enter(self, registers: list[int], return_to: int) -> None:
        """Begin a local call and leave R10 as it is."""
        pointer = registers[FRAME_POINTER]
        super().enter(registers, return_to)
        registers[FRAME_POINTER] = pointer


class NothingPreserved(Frames):
    """R6 to R9 are not restored after a local call."""

    def leave(self, registers: list[int]) -> int | None:
        """Return from a function without restoring its caller's registers."""
        if self.saved:
            self.saved[-1] = Frame(self.saved[-1].return_to, registers[PRESERVED], self.saved[-1].frame_pointer)
        return super().leave(registers)

# SPDX-License-Identifier: Apache-2.0
"""Faults of decoders: values that no instruction has, taken for values that one has.

Such a mutant is a rewriting of slots: where the fault shows itself, the forbidden value is replaced by what the faulty
decoder takes it for, and the program goes to a runtime that is right. Only vectors that must be rejected can notice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from ...spec.encoding import Decoded, Slot, identify
from ...spec.table import FIELD_RANGES, LAST_REGISTER, Fixed, Instruction, Isa, Operand
from .bench import Broken
from .mutants import differing_part

SlotField: TypeAlias = Literal["opcode", "dst", "src", "offset", "imm"]
_BITS = {"opcode": 8, "dst": 4, "src": 4, "offset": 16, "imm": 32, "next_imm": 32}


class EncodingMutant(NamedTuple):
    """A decoder that takes ``value`` in ``field`` for ``taken_for``.

    ``row`` is the instruction that it then finds; ``second`` tells that the field is one of the second slot.
    ``opcode`` is that of the slots concerned, as encoded.
    """

    row: Instruction
    what: str
    opcode: int
    field: SlotField
    value: int
    taken_for: int
    second: bool = False

    @property
    def id(self) -> str:
        """A name that is the same in every run."""
        return f"{self.row.name}: {self.what}"

    def rewritten(self, broken: Broken) -> tuple[Slot, ...] | None:
        """Return what this decoder sees in place of ``broken``, if it finds its instruction there."""
        if broken.slot.opcode != self.opcode:
            return None
        if self.second:
            if broken.second is None or getattr(broken.second, self.field) != self.value:
                return None
            slots: tuple[Slot, ...] = broken.slot, broken.second._replace(**{self.field: self.taken_for})
        elif getattr(broken.slot, self.field) != self.value:
            return None
        else:
            first = broken.slot._replace(**{self.field: self.taken_for})
            slots = (first,) if broken.second is None else (first, broken.second)
        found = identify(slots, 0)
        if not isinstance(found, Decoded):
            return None
        right = found.instruction.opcode == self.row.opcode if self.field == "opcode" else found.instruction is self.row
        return slots[: self.row.slots] if right else None


def encoding_mutants(table: Isa) -> Iterator[EncodingMutant]:
    """Yield all mutants of the encodings of ``table``."""
    for row in table.instructions:
        yield from _fields(row, table)
        yield from _high_registers(row)
        if row.wide:
            yield from _second_slot(row)
    yield from _undefined_opcodes(table)


def _fields(row: Instruction, table: Isa) -> Iterator[EncodingMutant]:
    for name in ("dst", "src", "offset", "imm"):
        rule = row.fields[name]
        if not isinstance(rule, Fixed):
            continue
        siblings = [other.fields[name] for other in table.by_opcode[row.opcode]]
        defined = {sibling.value for sibling in siblings if isinstance(sibling, Fixed)}
        admitted = set(range(LAST_REGISTER + 1)) if any(isinstance(s, Operand) for s in siblings) else set[int]()
        # A value that another row of the opcode has is one instruction taken for another, see mutants.py.
        for value in sorted(_forbidden(name, rule, len(defined)) - defined - admitted):
            need = "is not looked at" if rule.unused else f"means {rule.value}"
            yield EncodingMutant(row, f"{name} = {value} {need}", row.opcode, name, value, rule.value)


#: A field that selects among more instructions than these is gone through value by value.
_MANY = 4


def _forbidden(name: str, rule: Fixed, choices: int) -> set[int]:
    """Return values to be refused: 1, the largest, each single bit; where the field selects among instructions also
    the neighbours of the right value, and the right value with a bit more.
    """
    low, high = FIELD_RANGES[name]
    numbers = {1, low, high} | ({-1} if low < 0 else set())
    numbers |= {_signed(1 << bit, name) for bit in range(_BITS[name])}
    if choices > 1:
        bits = range(_BITS[name]) if choices <= _MANY else (8, 16, 31)
        numbers |= {rule.value - 1, rule.value + 1}
        numbers |= {_signed(rule.value | 1 << bit, name) for bit in bits if bit < _BITS[name]}
        if choices > _MANY or high < 1 << 4:
            numbers |= set(range(1 << min(8, _BITS[name])))
    return {number for number in numbers if low <= number <= high and number != rule.value}


def _signed(pattern: int, name: str) -> int:
    bits = _BITS[name]
    signed = FIELD_RANGES[name][0] < 0
    return pattern - (1 << bits) if signed and pattern >> (bits - 1) else pattern


def _high_registers(row: Instruction) -> Iterator[EncodingMutant]:
    fields: tuple[SlotField, ...] = ("dst", "src")
    for name in fields:
        if isinstance(row.fields[name], Operand):
            for number in range(LAST_REGISTER + 1, 16):
                # Which register it is taken for makes no difference to whether it is let pass.
                taken_for = number & 7
                what = f"{name} = {number} means r{taken_for}"
                yield EncodingMutant(row, what, row.opcode, name, number, taken_for)


def _second_slot(row: Instruction) -> Iterator[EncodingMutant]:
    fields: tuple[SlotField, ...] = ("opcode", "dst", "src", "offset")
    for name in fields:
        bits = _BITS[name]
        low, high = FIELD_RANGES.get(name, (0, (1 << bits) - 1))
        values = {1, low, high} | {_signed(1 << bit, name) if name != "opcode" else 1 << bit for bit in range(bits)}
        for value in sorted(values - {0}):
            what = f"{name} = {value} of the second slot is not looked at"
            yield EncodingMutant(row, what, row.opcode, name, value, 0, second=True)
    if isinstance(row.fields["next_imm"], Fixed):
        for value in sorted(_forbidden("next_imm", Fixed(0), 1)):
            what = f"next_imm = {value} is not looked at"
            yield EncodingMutant(row, what, row.opcode, "imm", value, 0, second=True)


def _undefined_opcodes(table: Isa) -> Iterator[EncodingMutant]:
    for opcode in range(256):
        if opcode in table.by_opcode:
            continue
        for near, rows in table.by_opcode.items():
            if differing_part(opcode, near) is not None:
                what = f"opcode {opcode:#04x} means {near:#04x}"
                yield EncodingMutant(rows[0], what, opcode, "opcode", opcode, near)

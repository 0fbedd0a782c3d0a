# SPDX-License-Identifier: Apache-2.0
"""Faults of decoders: a value that no instruction has is decoded as a value that one has.

Such a mutant rewrites slots: it replaces the forbidden value by the one that the faulty decoder sees, and a correct
runtime runs the program. Only vectors that must be rejected can notice it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from ...spec.encoding import Decoded, Slot, differing_part, identify
from ...spec.facts import Kind, facts
from ...spec.table import CLASSES, FIELD_RANGES, LAST_REGISTER, Fixed, Instruction, Isa, Operand
from .bench import Broken

SlotField: TypeAlias = Literal["opcode", "dst", "src", "offset", "imm"]
_BITS = {"opcode": 8, "dst": 4, "src": 4, "offset": 16, "imm": 32, "next_imm": 32}


class EncodingMutant(NamedTuple):
    """A decoder that decodes ``value`` in ``field`` as ``taken_for``; any value if ``value`` is None.

    ``row`` is the instruction that it decodes, ``opcode`` the encoded opcode of the slots that it rewrites. With
    ``second``, the field is one of the second slot.
    """

    row: Instruction
    what: str
    opcode: int
    field: SlotField
    value: int | None
    taken_for: int
    second: bool = False

    @property
    def id(self) -> str:
        """A name that is the same in every run."""
        return f"{self.row.name}: {self.what}"

    def _is_spared(self, slot: Slot) -> bool:
        """Whether the decoder decodes the field correctly."""
        held: int = getattr(slot, self.field)
        return held == self.taken_for if self.value is None else held != self.value

    def rewritten(self, broken: Broken) -> tuple[Slot, ...] | None:
        """Return the slots that this decoder sees in place of ``broken``; None if they are not its instruction."""
        if broken.slot.opcode != self.opcode:
            return None
        if self.second:
            if broken.second is None or self._is_spared(broken.second):
                return None
            slots: tuple[Slot, ...] = broken.slot, broken.second._replace(**{self.field: self.taken_for})
        elif self._is_spared(broken.slot):
            return None
        else:
            first = broken.slot._replace(**{self.field: self.taken_for})
            slots = (first,) if broken.second is None else (first, broken.second)
        found = identify(slots, 0)
        if not isinstance(found, Decoded):
            return None
        right = found.instruction.opcode == self.row.opcode if self.field == "opcode" else found.instruction is self.row
        return slots[: self.row.slots] if right else None


class ClassMutant(NamedTuple):
    """A decoder with the same fault for all instructions of a class: all of ``parts``."""

    what: str
    parts: tuple[EncodingMutant, ...]


def encoding_mutants(table: Isa) -> Iterator[EncodingMutant]:
    """Yield all mutants of the encodings of single rows of ``table``."""
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
        # A value of another row of the opcode is left to the confusion mutants of mutants.py.
        if not admitted:
            what = f"{name} is ignored" if rule.unused else f"whatever {name} holds means {rule.value}"
            yield EncodingMutant(row, what, row.opcode, name, None, rule.value)
        for value in sorted(_forbidden(name, rule, len(defined)) - defined - admitted):
            need = "is ignored" if rule.unused else f"means {rule.value}"
            yield EncodingMutant(row, f"{name} = {value} {need}", row.opcode, name, value, rule.value)


#: If a field selects among more instructions, all its values are mutants.
_MANY = 4


def _forbidden(name: str, rule: Fixed, choices: int) -> set[int]:
    """Return values to be rejected: the least, the largest, all ones, and those that are 0 in their low 8 or 16 bits.

    If the field selects among instructions, also values next to the right one, and the right one with another bit set.
    """
    low, high = FIELD_RANGES[name]
    numbers = {1, low, high, -1}
    if choices == 1:
        numbers |= {1 << bit for bit in (1, 2, 3, 7, 8, 15, 16, 24) if _BITS[name] == 4 or bit > 3}
    else:
        numbers |= {0, rule.value - 1, rule.value + 1, -rule.value}
        if choices <= _MANY:
            numbers |= {rule.value - 8, rule.value + 8, rule.value * 2, rule.value // 2}
        numbers |= {1 << bit for bit in (1, 2, 3, 4, 5, 6, 7, 8, 14) if name == "offset"}
        numbers |= {_signed(rule.value | 1 << bit, name) for bit in (8, 16, 31) if bit < _BITS[name]}
        if choices > _MANY or _BITS[name] == 4:
            numbers |= set(range(1 << min(8, _BITS[name])))
    return {number for number in numbers if low <= number <= high and number != rule.value}


def class_mutants(table: Isa) -> Iterator[ClassMutant]:
    """Yield, by class of instructions (section 3), decoders that ignore one bit of an unused field, and decoders that
    read registers above R10 as R10.
    """
    names: tuple[SlotField, ...] = ("dst", "src", "offset", "imm")
    for number, label in enumerate(CLASSES):
        rows = [row for row in table.instructions if row.opcode & 7 == number]
        for name in names:
            for bit in range(_BITS[name]):
                value = _signed(1 << bit, name)
                what = f"bit {bit} of {name} is ignored"
                parts = [
                    EncodingMutant(row, what, row.opcode, name, value, 0) for row in rows if _unused(row, name, table)
                ]
                if parts:
                    yield ClassMutant(f"{label}: {what}", tuple(parts))
        for name in names[:2]:
            what = f"{name} above r10 means r10"
            # R10 does not hold an index into a packet.
            readers = [row for row in rows if name in row.reads - row.writes and facts(row).kind is not Kind.PACKET]
            parts = [EncodingMutant(row, what, row.opcode, name, None, LAST_REGISTER) for row in readers]
            if parts:
                yield ClassMutant(f"{label}: {what}", tuple(parts))
    wide = [row for row in table.instructions if row.wide]
    second: tuple[SlotField, ...] = ("opcode", "dst", "src", "offset")
    for name in second:
        for bit in range(_BITS[name]):
            value = 1 << bit if name == "opcode" else _signed(1 << bit, name)
            what = f"bit {bit} of {name} of the second slot is ignored"
            parts = [EncodingMutant(row, what, row.opcode, name, value, 0, second=True) for row in wide]
            yield ClassMutant(f"LD: {what}", tuple(parts))
    for bit in range(_BITS["next_imm"]):
        value = _signed(1 << bit, "next_imm")
        what = f"bit {bit} of next_imm is ignored"
        unused = [row for row in wide if isinstance(row.fields["next_imm"], Fixed)]
        parts = [EncodingMutant(row, what, row.opcode, "imm", value, 0, second=True) for row in unused]
        yield ClassMutant(f"LD: {what}", tuple(parts))


def _unused(row: Instruction, name: str, table: Isa) -> bool:
    """Whether no instruction of the opcode of ``row`` has anything but 0 in the field."""
    rules = [other.fields[name] for other in table.by_opcode[row.opcode]]
    return all(isinstance(rule, Fixed) and rule.value == 0 for rule in rules)


def _signed(pattern: int, name: str) -> int:
    bits = _BITS[name]
    signed = FIELD_RANGES[name][0] < 0
    return pattern - (1 << bits) if signed and pattern >> (bits - 1) else pattern


def _high_registers(row: Instruction) -> Iterator[EncodingMutant]:
    fields: tuple[SlotField, ...] = ("dst", "src")
    for name in fields:
        if isinstance(row.fields[name], Operand):
            for number in range(LAST_REGISTER + 1, 16):
                # The register must only let the program run. R6 is reserved for the packet.
                taken_for = 5 if facts(row).kind is Kind.PACKET and number & 7 == 6 else number & 7
                what = f"{name} = {number} means r{taken_for}"
                yield EncodingMutant(row, what, row.opcode, name, number, taken_for)


def _second_slot(row: Instruction) -> Iterator[EncodingMutant]:
    values: dict[SlotField, set[int]] = {
        "opcode": {1, 0x80, 0xFF},
        **{name: _forbidden(name, Fixed(0), 1) for name in ("dst", "src", "offset")},
    }
    for name, numbers in values.items():
        for value in sorted(numbers):
            what = f"{name} = {value} of the second slot is ignored"
            yield EncodingMutant(row, what, row.opcode, name, value, 0, second=True)
    if isinstance(row.fields["next_imm"], Fixed):
        for value in sorted(_forbidden("next_imm", Fixed(0), 1)):
            what = f"next_imm = {value} is ignored"
            yield EncodingMutant(row, what, row.opcode, "imm", value, 0, second=True)


def _undefined_opcodes(table: Isa) -> Iterator[EncodingMutant]:
    for opcode in range(256):
        if opcode in table.by_opcode:
            continue
        for near, rows in table.by_opcode.items():
            if differing_part(opcode, near) is not None:
                what = f"opcode {opcode:#04x} means {near:#04x}"
                yield EncodingMutant(rows[0], what, opcode, "opcode", opcode, near)

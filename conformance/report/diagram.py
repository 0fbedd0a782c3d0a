# SPDX-License-Identifier: Apache-2.0
"""The encoding of an instruction as boxes: the fields of its slots, with what they must hold."""

from __future__ import annotations

from typing import NamedTuple

from ...spec.asm.disassemble import format_instruction
from ...spec.encoding import make
from ...spec.table import Fixed, Instruction

#: Operands of the example of a row.
_EXAMPLE = {"dst": 1, "src": 2, "offset": 8, "imm": 16, "next_imm": 0}


class Box(NamedTuple):
    """A field of a slot: ``bits`` wide; ``kind`` is ``operand``, ``fixed`` or ``unused``."""

    name: str
    bits: int
    value: str
    kind: str


#: The fields of a slot in the order of sections 3.1 and 3.2, with their widths in bits.
_FIELDS = (("opcode", 8), ("dst", 4), ("src", 4), ("offset", 16), ("imm", 32))


def diagram(row: Instruction) -> list[list[Box]]:
    """Return the boxes of each slot of an instruction."""
    first = [Box("opcode", 8, f"0x{row.opcode:02x}", "fixed")]
    first += [_box(row, name, bits) for name, bits in _FIELDS[1:]]
    if not row.wide:
        return [first]
    return [first, [Box("reserved", 32, "0", "unused"), _box(row, "next_imm", 32)]]


def example(row: Instruction) -> str:
    """Return the assembly of an instruction of this row."""
    operands = {name: value for name, value in _EXAMPLE.items() if name in row.operands}
    return format_instruction(make(row, **operands))


def _box(row: Instruction, name: str, bits: int) -> Box:
    rule = row.fields[name]
    if isinstance(rule, Fixed):
        return Box(name, bits, str(rule.value), "unused" if rule.unused else "fixed")
    value = "r0 to r10" if name in {"dst", "src"} else "any number"
    return Box(name, bits, value, "operand")

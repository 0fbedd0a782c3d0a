# SPDX-License-Identifier: Apache-2.0
"""The instructions of a program."""

from __future__ import annotations

from functools import cache, lru_cache
from struct import unpack

from ...spec.encoding import SLOT_BYTES, DecodeError, Slot, identify
from ...spec.encoding import unpack as slots_in
from ...spec.table import Fixed, isa

_NO_SLOT = Slot(0, 0, 0, 0, 0)
#: Of a little-endian slot as a number: the opcode, and all before imm.
_OPCODE, _HEAD = 0xFF, 0xFFFF_FFFF


@lru_cache(maxsize=1 << 16)
def names_in(code: bytes) -> frozenset[str]:
    """Return the names of the instructions in a little-endian program, as far as its slots begin some."""
    by_imm = _limited_in_imm()
    whole = len(code) // SLOT_BYTES
    slots = set(unpack(f"<{whole}Q", code[: whole * SLOT_BYTES]))
    # Operands in imm are nearly never the same twice.
    heads = {slot if slot & _OPCODE in by_imm else slot & _HEAD for slot in slots}
    return frozenset(name for head in heads if (name := _name(head)))


@cache
def _limited_in_imm() -> frozenset[int]:
    """Return the opcodes with instructions that have one imm only."""
    return frozenset(row.opcode for row in isa().instructions if isinstance(row.fields["imm"], Fixed))


@lru_cache(maxsize=1 << 16)
def _name(slot: int) -> str:
    """Return the name of the instruction that a slot begins; empty if it is none but the second half of one."""
    found = identify([slots_in(slot.to_bytes(SLOT_BYTES, "little"))[0], _NO_SLOT], 0)
    return "" if isinstance(found, DecodeError) else found.instruction.name

# SPDX-License-Identifier: Apache-2.0
"""Which instructions the result of a vector is evidence about."""

from __future__ import annotations

from functools import cache, lru_cache
from struct import unpack

from ...spec.encoding import SLOT_BYTES, ByteOrder, DecodeError, Slot, identify
from ...spec.encoding import unpack as slots_in
from ...spec.table import Fixed, isa
from ..run.runner import Result
from ..run.verdict import Verdict
from .malformed import closest, taken_for

_NO_SLOT = Slot(0, 0, 0, 0, 0)
#: Of a little-endian slot as a number: the opcode, and all before imm.
_OPCODE, _HEAD = 0xFF, 0xFFFF_FFFF


def rows_of(result: Result, byte_order: ByteOrder) -> frozenset[str]:
    """Return the names of the rows of a vector's program; of one that must not run, those it may be taken for.

    Empty if there is none to name: the program is too long for results, or what is wrong with it is no instruction.
    """
    vector = result.vector
    if not vector.little.expect.rejected:
        return names_in(vector.little.code)
    if result.judgement.verdict is Verdict.FAIL:
        return taken_for(vector, result.outcome, byte_order)
    return closest(vector.little.code)


@lru_cache(maxsize=1 << 16)
def names_in(code: bytes) -> frozenset[str]:
    """Return the names of the instructions in a valid program."""
    by_imm = _selected_by_imm()
    slots = set(unpack(f"<{len(code) // SLOT_BYTES}Q", code))
    # Operands in imm are nearly never the same twice.
    heads = {slot if slot & _OPCODE in by_imm else slot & _HEAD for slot in slots}
    return frozenset(name for head in heads if (name := _name(head)))


@cache
def _selected_by_imm() -> frozenset[int]:
    """Return the opcodes whose instructions are told apart by imm."""
    return frozenset(
        row.opcode for row in isa().instructions if isinstance(rule := row.fields["imm"], Fixed) and not rule.unused
    )


@lru_cache(maxsize=1 << 16)
def _name(slot: int) -> str:
    """Return the name of the instruction that a slot begins; empty if it is none but the second half of one."""
    found = identify([slots_in(slot.to_bytes(SLOT_BYTES, "little"))[0], _NO_SLOT], 0)
    return "" if isinstance(found, DecodeError) else found.instruction.name

# SPDX-License-Identifier: Apache-2.0
"""The instructions that the program of a vector consists of."""

from __future__ import annotations

from functools import lru_cache

from ...spec.encoding import SLOT_BYTES, DecodeError, Slot, identify, unpack
from ...spec.table import isa
from ..model import Vector

#: Longer programs are about distances, not about the instructions they consist of: these many slots of them count.
_MOST_SLOTS = 256
_NOTHING = Slot(0, 0, 0, 0, 0)


def rows_of(vector: Vector) -> frozenset[str]:
    """Return the names of the rows of a program; of one that must be rejected, those that its fault may be taken for.

    Empty if what is wrong with a program is no encoding: it ends nowhere, or a jump leaves it.
    """
    code = vector.little.code[: _MOST_SLOTS * SLOT_BYTES]
    if vector.entry.rejected:
        return _malformed(code)
    return frozenset(name for at in range(0, len(code), SLOT_BYTES) if (name := _name(code[at : at + SLOT_BYTES])))


def _malformed(code: bytes) -> frozenset[str]:
    """Return the rows that share the opcode of the first slot that begins no instruction."""
    slots = unpack(code[: len(code) // SLOT_BYTES * SLOT_BYTES])
    at = 0
    while at < len(slots):
        found = identify(slots, at)
        if isinstance(found, DecodeError):
            return frozenset(row.name for row in isa().by_opcode.get(slots[at].opcode, ()))
        at += found.instruction.slots
    return frozenset()


@lru_cache(maxsize=1 << 16)
def _name(slot: bytes) -> str:
    """Return the name of the instruction that a slot begins; empty for second slots and what is none."""
    if len(slot) < SLOT_BYTES:
        return ""
    found = identify([unpack(slot)[0], _NOTHING], 0)
    return "" if isinstance(found, DecodeError) else found.instruction.name

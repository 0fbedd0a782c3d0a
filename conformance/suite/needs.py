# SPDX-License-Identifier: Apache-2.0
"""What a program needs of a runtime: the conformance groups of its instructions."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple

from ...spec import groups
from ...spec.encoding import (
    SLOT_BYTES,
    DecodeError,
    identify,
    unpack,
)
from ...spec.table import Instruction, Operand, isa


class Needs(NamedTuple):
    """The least set of conformance groups, the groups it counts under, and what is wrong with the encoding."""

    groups: frozenset[str]
    reported: frozenset[str]
    broken: str | None


@lru_cache(maxsize=1 << 12)
def needs_of(rows: frozenset[Instruction]) -> Needs:
    """Return what a program of these instructions needs."""
    return Needs(*_combine(frozenset(row.groups for row in rows)), None)


def program_needs(code: bytes, *, rejected: bool) -> Needs:
    """Return the groups of a program, and what is wrong with its encoding (not asked if it should be ``rejected``).

    A slot that holds no instruction counts for the smallest group among the instructions with its opcode: a runtime
    without that group has nothing to say about it. A slot whose opcode is not defined counts for none.
    """
    if rejected and len(code) <= _LONG and (needs := _needs_by_opcodes(code[::SLOT_BYTES])) is not None:
        return needs
    found: set[frozenset[str]] = set()
    broken: str | None = None
    before = at = 0
    end = len(code)
    alike = _by_opcode() if rejected else {}
    while at < end:
        start = at
        known = alike.get(code[at])
        if known is None:
            # Operands in imm and next_imm are nearly never the same twice, and say nothing about what is needed.
            known = _HEADS.get(code[at : at + 4])
            if known is None or (known[1] > 1 and code[at + 8 : at + 12] != _EMPTY_HEAD):
                wide = code[at] in _wide_opcodes()
                row_groups, slots, error = _slot_needs(code[at : at + (2 if wide else 1) * SLOT_BYTES])
                known = row_groups, slots
                if error is not None and broken is None:
                    broken = f"slot {at // SLOT_BYTES}: {error}"
        found.add(known[0])
        at += known[1] * SLOT_BYTES
        if end > _LONG:
            at = _skip_repetition(code, at, at - start)
            at = _skip_repetition(code, at, at - before)
        before = start
    return Needs(*_combine(frozenset(found)), broken)


@lru_cache(maxsize=1 << 12)
def _needs_by_opcodes(opcodes: bytes) -> Needs | None:
    """Return the needs of a program that should be rejected, if they do not depend on more than its opcodes."""
    found: set[frozenset[str]] = set()
    at = 0
    while at < len(opcodes):
        known = _by_opcode().get(opcodes[at])
        if known is None:
            return None
        found.add(known[0])
        at += known[1]
    return Needs(*_combine(frozenset(found)), None)


#: Groups and slots of instructions by opcode, registers and offset, where imm and next_imm are operands.
_HEADS: dict[bytes, tuple[frozenset[str], int]] = {}
_EMPTY_HEAD = bytes(4)


#: In programs of more bytes, one or two instructions that stand many times in a row are examined once.
_LONG = 4096


def _skip_repetition(code: bytes, at: int, size: int) -> int:
    """Return the end of what repeats the ``size`` bytes before ``at``."""
    while code[at : at + size] == code[at - size : at]:
        at += size
        size *= 2
    return at


_NOTHING: tuple[frozenset[str], int] = frozenset(), 1


@cache
def _by_opcode() -> dict[int, tuple[frozenset[str], int] | None]:
    """Return groups and slots by opcode, None where its instructions are in different groups."""
    table = isa().by_opcode
    return {
        opcode: (rows[0].groups, rows[0].slots) if len({row.groups for row in rows}) == 1 else None
        for opcode, rows in table.items()
    }


@cache
def _wide_opcodes() -> frozenset[int]:
    return frozenset(row.opcode for row in isa().instructions if row.wide)


@lru_cache(maxsize=1 << 16)
def _combine(found: frozenset[frozenset[str]]) -> tuple[frozenset[str], frozenset[str]]:
    needed = groups.minimal(frozenset().union(*found) or {"base32"})
    return needed, groups.reported(needed)


@lru_cache(maxsize=1 << 16)
def _slot_needs(code: bytes) -> tuple[frozenset[str], int, str | None]:
    """Return groups, slots and fault of the instruction at the beginning of ``code``, which holds two slots at most."""
    if len(code) < SLOT_BYTES:
        return frozenset(), 2, f"{len(code)} bytes are no slot"
    slots = unpack(code[: len(code) // SLOT_BYTES * SLOT_BYTES], "little")
    decoded = identify(slots, 0)
    if not isinstance(decoded, DecodeError):
        row = decoded.instruction
        if all(isinstance(row.fields.get(name, _ANY), Operand) for name in ("imm", "next_imm")):
            _HEADS[code[:4]] = row.groups, row.slots
        return row.groups, row.slots, None
    return _closest_groups(slots[0].opcode), 1 + decoded.slot, decoded.message


_ANY = Operand(0, 0)


@cache
def _closest_groups(opcode: int) -> frozenset[str]:
    rows = isa().by_opcode.get(opcode, ())
    return min((row.groups for row in rows), key=lambda names: len(groups.closure(names)), default=frozenset())

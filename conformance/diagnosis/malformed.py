# SPDX-License-Identifier: Apache-2.0
"""What a program that must not run is taken for by a runtime that runs it.

Such a program has one thing wrong with it. The slot in question is close to the instructions that share its opcode, or
whose opcodes differ in one field from it. If the runtime tells what the program returned, each of them is put in the
place of the slot and run on the reference VM: the runtime took it for those that return the same.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ...adapters.protocol import Job, Outcome, OutcomeKind
from ...adapters.reference import machine_for
from ...reference_vm.executable import prepare
from ...reference_vm.faults import Returned
from ...reference_vm.interpreter import run
from ...reference_vm.verifier.structural import verify
from ...spec.encoding import (
    SLOT_BYTES,
    ByteOrder,
    DecodeError,
    Slot,
    differing_part,
    instructions,
    make,
    pack,
    slots_of,
    swap_byte_order,
    unpack,
)
from ...spec.table import LAST_REGISTER, Fixed, Instruction, isa
from ..suite.model import Vector

#: These rules are about a program as a whole.
_OF_PROGRAMS = frozenset(["empty-program", "bad-length", "falls-off-the-end"])
#: Malformed programs are short; one that takes more steps loops.
_STEPS = 1000


def closest(code: bytes) -> frozenset[str]:
    """Return the rows with the opcode of the slot at fault from which the fewest of its fields differ.

    Empty if the opcode is not defined, or the fault is in no slot.
    """
    at = _fault(code).slot
    return frozenset() if at is None else frozenset(row.name for row in _closest(_slot(code, at)))


def taken_for(vector: Vector, outcome: Outcome | None, byte_order: ByteOrder) -> frozenset[str]:
    """Return the rows that a runtime may have taken the slot at fault for, given the outcome of the program."""
    code = vector.little.code
    known, at = closest(code), _fault(code).slot
    if at is None or len(known) == 1 or outcome is None or outcome.kind is not OutcomeKind.RETURNED:
        return known
    slot = _slot(code, at)
    job = vector.job(byte_order)._replace(id="")
    # To pass over the slot may leave the same as to run some instruction there.
    if _is(outcome, _result(job, code, at, slots_of(make(isa().by_name["JA"]))[0])):
        return known
    near = {row: _corrected(row, slot) for row in _closest(slot) or _near(slot)}
    same = {row.name: _bits(slot, seen) for row, seen in near.items() if _is(outcome, _result(job, code, at, seen))}
    # Decoders overlook bits: of those that return the same, it is the one from which the fewest differ.
    return frozenset(name for name, bits in same.items() if bits == min(same.values())) or known


def field_at_fault(code: bytes) -> str | None:
    """Return the field (dst, src, offset, imm, ...) that makes a program malformed; None if none does."""
    return _fault(code).field


class _Fault(NamedTuple):
    """What is wrong with a program: the first slot of an instruction, and the field; None if it is none."""

    slot: int | None
    field: str | None


@lru_cache(maxsize=1 << 14)
def _fault(code: bytes) -> _Fault:
    at = 0
    for found in instructions(code[: len(code) // SLOT_BYTES * SLOT_BYTES], "little", isa()):
        if isinstance(found, DecodeError):
            return _Fault(at, found.field)
        at += found.instruction.slots
    error = next((one for one in verify(code) if one.severity == "error" and one.rule not in _OF_PROGRAMS), None)
    return _Fault(None if error is None else error.slot, None)


def _slot(code: bytes, at: int) -> Slot:
    return unpack(code[at * SLOT_BYTES : (at + 1) * SLOT_BYTES])[0]


def _closest(slot: Slot) -> list[Instruction]:
    wrong = {row: len(_misfits(row, slot)) for row in isa().by_opcode.get(slot.opcode, ())}
    return [row for row, number in wrong.items() if number == min(wrong.values())]


def _near(slot: Slot) -> list[Instruction]:
    """Return the rows whose opcode differs in one field from that of a slot."""
    return [row for row in isa().instructions if differing_part(row.opcode, slot.opcode) is not None]


def _misfits(row: Instruction, slot: Slot) -> list[str]:
    """Return the fields of a slot that hold what the row does not admit."""
    return [name for name in Slot._fields[1:] if not row.fields[name].admits(getattr(slot, name))]


def _corrected(row: Instruction, slot: Slot) -> Slot:
    """Return the slot as a careless decoder sees it that takes it for a row."""
    fields = {}
    for name in _misfits(row, slot):
        rule = row.fields[name]
        fields[name] = rule.value if isinstance(rule, Fixed) else getattr(slot, name) & LAST_REGISTER - 3
    return slot._replace(opcode=row.opcode, **fields)


def _bits(a: Slot, b: Slot) -> int:
    """Return in how many bits two slots differ."""
    return (int.from_bytes(pack([a])) ^ int.from_bytes(pack([b]))).bit_count()


def _is(outcome: Outcome, result: Returned | None) -> bool:
    """Whether a runtime returned what the reference VM does, as far as the runtime shows it."""
    if result is None or outcome.r0 != result.r0:
        return False
    shown = outcome.registers or {}
    registers = all(shown.get(f"r{number}", value) == value for number, value in enumerate(result.registers))
    return registers and outcome.memory in (None, result.memory)


def _result(job: Job, code: bytes, at: int, slot: Slot) -> Returned | None:
    """Return the result of a program with another slot ``at``; None if it does not return."""
    start = at * SLOT_BYTES
    changed = code[:start] + pack([slot]) + code[start + SLOT_BYTES :]
    return _run(job._replace(code=changed if job.byte_order == "little" else swap_byte_order(changed)))


@lru_cache(maxsize=1 << 12)
def _run(job: Job) -> Returned | None:
    if any(one.severity == "error" for one in verify(job.code, job.byte_order)):
        return None
    result = run(prepare(job.code, job.byte_order), machine_for(job, job.byte_order), budget=_STEPS)
    return result if isinstance(result, Returned) else None

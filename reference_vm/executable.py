# SPDX-License-Identifier: Apache-2.0
"""Executable programs: a function and the next slot for each instruction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ..spec.encoding import ByteOrder, Decoded, Program, decode
from ..spec.table import Isa
from .faults import FaultKind, Trap
from .frames import FRAME_POINTER
from .rows import Move, Step, row_code

if TYPE_CHECKING:
    from .machine import Machine

#: Runs on a machine from a slot, given the number of instructions executed before; returns the new values of both. The
#: last argument is the number of executed instructions from which it must not begin another iteration of a loop.
RunUnit: TypeAlias = "Callable[[Machine, int, int, int], tuple[int, int]]"
#: The step at a slot, and the slot of the next instruction.
Operation: TypeAlias = tuple[Step, int]


class Unit(NamedTuple):
    """Code for ``size`` instructions, with the entry points ``entries``.

    Between two checks of the budget, at most ``size`` instructions are executed.
    """

    run: RunUnit
    size: int
    entries: frozenset[int]
    source: str


class Executable:
    """A decoded program with its code; can be run many times, on machines of its byte order.

    ``operations`` has one entry more than there are slots, for execution past the end.
    """

    __slots__ = ("byte_order", "operations", "program", "units")

    def __init__(self, program: Program, byte_order: ByteOrder = "little") -> None:
        self.program = program
        self.byte_order = byte_order
        #: Units of the program by entry slot; see :mod:`.units`.
        self.units: dict[int, Unit | None] = {}
        self.operations = [_operation(pc, item, byte_order) for pc, item in enumerate(program)]
        self.operations.append((_fall_off_end, len(program)))

    def replaced(self, changes: Mapping[int, Decoded]) -> Executable:
        """Return the program with other instructions, of the same length, at some slots."""
        other = Executable.__new__(Executable)
        other.byte_order, other.units = self.byte_order, {}
        other.program, other.operations = self.program.copy(), self.operations.copy()
        for pc, item in changes.items():
            other.program[pc] = item
            other.operations[pc] = _operation(pc, item, self.byte_order)
        return other

    def name_at(self, slot: int) -> str | None:
        """Return the name of the instruction that begins at ``slot``, if one does."""
        item = self.program[slot] if 0 <= slot < len(self.program) else None
        return item.instruction.name if item else None


def prepare(code: bytes | Program, byte_order: ByteOrder = "little", table: Isa | None = None) -> Executable:
    """Return ``code`` as an executable program for machines of ``byte_order``.

    Raises:
        DecodeError: the bytes are no program of ``table`` (RFC 9669's if None).
    """
    program = code if isinstance(code, list) else decode(code, byte_order, table)
    return Executable(program, byte_order)


def _operation(pc: int, item: Decoded | None, byte_order: ByteOrder) -> Operation:
    if item is None:
        return _run_second_slot, pc + 1
    step = _step(item, byte_order) or row_code(item.instruction, byte_order).make(pc, *item[1:])
    return step, pc + item.instruction.slots


@lru_cache(maxsize=1 << 15)
def _step(item: Decoded, byte_order: ByteOrder) -> Step | None:
    """Return the step of an instruction; None if it depends on the slot."""
    if writes_frame_pointer(item):
        return _write_frame_pointer
    code = row_code(item.instruction, byte_order)
    return None if code.uses_pc else code.make(0, *item[1:])


def writes_frame_pointer(item: Decoded) -> bool:
    """Whether the instruction assigns R10."""
    row = item.instruction
    named = any(getattr(item, name) == FRAME_POINTER for name in ("dst", "src") if name in row.writes)
    return named or "r10" in row.writes


def _write_frame_pointer(registers: list[int], machine: Machine) -> Move:
    raise Trap(FaultKind.FRAME_POINTER_WRITE, "r10 cannot be written")


def _run_second_slot(registers: list[int], machine: Machine) -> Move:
    raise AssertionError("no jump leads to the second slot of a wide instruction")


def _fall_off_end(registers: list[int], machine: Machine) -> Move:
    raise Trap(FaultKind.FELL_OFF_END, "execution went past the last instruction, which does not end the program")

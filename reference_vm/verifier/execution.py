# SPDX-License-Identifier: Apache-2.0
"""Abstract execution of basic blocks, within a limit.

The limit is for work and not for time, so that it does not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ...spec import tree as t
from ...spec.control import ControlTransfer, blocks, loop_heads, target_of
from ...spec.encoding import ByteOrder, Program
from ..frames import MAX_FRAMES
from . import ranges
from .proof import NotProved, Proof
from .state import Place, Pointer, State, called, returned
from .surroundings import Surroundings
from .transfer import Mode, Transfer, Unreached, Unsafe

#: Work is counted in comparisons of values: the cost of an instruction, without its expressions (:mod:`.transfer`), and
#: of a join or widening of a value.
_OF_AN_INSTRUCTION, OF_A_JOIN = 10, 4
_COMMON = {-1, 0, 1, 2, 1 << 8, 1 << 16, 1 << 31, 1 << 32, 1 << 63, -(1 << 31)}


class Limit(NamedTuple):
    """The greatest number of executed instructions, and of the work per instruction on average."""

    most: int
    work: int


@dataclass(frozen=True, slots=True)
class Point:
    """A program point: a slot and the return addresses ``callers`` of the calls that led there."""

    callers: tuple[int, ...]
    slot: int


class Execution:
    """Executes a program on abstract states, one basic block at a time, within a limit.

    ``start`` is the entry point, ``executed`` the number of instructions executed so far, ``done`` the other work, in
    comparisons of values.
    """

    def __init__(
        self, program: Program, byte_order: ByteOrder, surroundings: Surroundings, entry: int, limit: Limit
    ) -> None:
        self.program, self.byte_order, self.surroundings = program, byte_order, surroundings
        self.start = Point((), entry)
        self.limit = limit
        self.executed = self.done = 0
        #: The region that the accesses of each checked slot lead to; None if there is more than one.
        self.places: dict[int, Place | None] = {}
        found = blocks(program, entry)
        #: The number of reachable instructions.
        self.reachable = sum(len(block.slots) for block in found.values())
        #: First slots of basic blocks, and targets of backward jumps.
        self.leaders = found.keys()
        self.heads = loop_heads({first: block.successors for first, block in found.items()})
        numbers = {*_COMMON, surroundings.memory_bytes}
        for item in filter(None, program):
            numbers |= {item.imm, t.U32.wrap(item.imm), t.U64.wrap(item.imm), item.offset}
            if item.instruction.wide:
                numbers.add(item.next_imm % (1 << 32) << 32 | item.imm % (1 << 32))
        #: Thresholds of widening: numbers that the program may compare with, plus or minus 1; and a few common ones.
        self.stops, self.few_stops = (
            sorted({number + near for number in some for near in (-1, 0, 1)}) for some in (numbers, _COMMON)
        )

    def entry_state(self) -> State:
        """Return the abstract state at the entry of the program."""
        zero = ranges.known(0)
        size = self.surroundings.memory_bytes
        first = Pointer(Place("input"), zero) if size else zero
        registers = (zero, first, ranges.known(size), *[zero] * 7, Pointer(Place("stack", 0), zero))
        return State(registers, ((),))

    def proof(self, most_steps: int | None, method: Literal["invariants", "paths"]) -> Proof:
        """Return the proof, after everything has been checked."""
        places = tuple((slot, place) for slot, place in sorted(self.places.items()) if place)
        return Proof(self.surroundings, most_steps, places, method, self.executed)

    def exhausted(self) -> bool:
        """Whether the limit is exceeded."""
        most, work = self.limit
        return self.executed > most or self.executed * _OF_AN_INSTRUCTION + self.done > most * work

    def follow(self, point: Point, state: State, mode: Mode) -> tuple[int, list[tuple[Point, State]]]:
        """Execute the basic block at ``point``; return its number of instructions and the states of its successors.

        Raises:
            NotProved: an instruction is not known to be safe.
        """
        transfer = Transfer(state, self.surroundings, self.byte_order, mode)
        if mode == "checking":
            transfer.places = self.places
        slot = point.slot
        count = 0
        while True:
            item = self.program[slot] if 0 <= slot < len(self.program) else None
            if item is None:
                # The structural verifier checks reachability from slot 0, not from another entry.
                raise NotProved(slot, None, "no instruction begins here")
            count += 1
            self.executed += 1
            self.done += transfer.done
            transfer.done = 0
            if self.exhausted():
                raise NotProved(slot, item.instruction.name, "the program is too complex")
            following = slot + item.instruction.slots
            try:
                control = transfer.execute(slot, item)
                if control is None and following not in self.leaders:
                    slot = following
                    continue
                target = target_of(slot, item)
                if target is None and isinstance(control, t.Jump | t.CallLocal):
                    raise Unsafe("its fields do not tell where control goes")
                after = list(self._after(point, transfer, control, following if target is None else target, following))
                self.done += transfer.done
                return count, after
            except Unreached:
                return count, []
            except Unsafe as error:
                raise NotProved(slot, item.instruction.name, str(error)) from None

    def _after(
        self,
        point: Point,
        transfer: Transfer,
        control: ControlTransfer | None,
        target: int,
        following: int,
    ) -> Iterator[tuple[Point, State]]:
        callers = point.callers
        match control:
            case t.Jump(_, condition) if condition is not None:
                for holds, state in transfer.branches(condition):
                    yield Point(callers, target if holds else following), state
            case t.Jump():
                yield Point(callers, target), transfer.state()
            case t.CallLocal():
                if len(callers) + 1 >= MAX_FRAMES:
                    raise Unsafe(f"a call would need more than {MAX_FRAMES} frames")
                yield Point((*callers, following), target), called(transfer.state())
            case t.Return() if callers:
                yield Point(callers[:-1], callers[-1]), returned(transfer.state())
            case t.Return():
                result = transfer.registers[0]
                if not isinstance(result, ranges.Range) and transfer.mode == "checking":
                    raise Unsafe(f"r0: the result is {result}")
            case _:
                yield Point(callers, following), transfer.state()

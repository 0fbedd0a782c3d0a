# SPDX-License-Identifier: Apache-2.0
"""Abstract execution: basic blocks on abstract states, and how much of that may be done.

What is limited is work, not time: time is another on each machine.
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

#: Work is counted in values that are compared. Executing an instruction is worth so many, besides its expressions
#: (:mod:`.transfer`), and so is joining or widening a value.
_OF_AN_INSTRUCTION, OF_A_JOIN = 10, 4
_COMMON = {-1, 0, 1, 2, 1 << 8, 1 << 16, 1 << 31, 1 << 32, 1 << 63, -(1 << 31)}


class Limit(NamedTuple):
    """How many instructions may be executed, and how much work may be done for each of them, taken together."""

    most: int
    work: int


@dataclass(frozen=True, slots=True)
class Point:
    """A program point: a slot, reached through calls that return to ``callers``."""

    callers: tuple[int, ...]
    slot: int


class Execution:
    """Executes a program on abstract states, from program point to program point, within a limit.

    ``start`` is the point where the program begins, ``looked_at`` the number of instructions executed so far, ``done``
    the other work, in values that were compared.
    """

    def __init__(
        self, program: Program, byte_order: ByteOrder, surroundings: Surroundings, entry: int, limit: Limit
    ) -> None:
        self.program, self.byte_order, self.surroundings = program, byte_order, surroundings
        self.start = Point((), entry)
        self.limit = limit
        self.looked_at = self.done = 0
        #: What the accesses of each slot that was checked lead to; None if to more than one region.
        self.places: dict[int, Place | None] = {}
        found = blocks(program, entry)
        #: How many instructions control may reach.
        self.reachable = sum(len(block.slots) for block in found.values())
        #: First slots of basic blocks, and those to which jumps lead back.
        self.leaders = found.keys()
        self.heads = loop_heads({first: block.successors for first, block in found.items()})
        numbers = {*_COMMON, surroundings.memory_bytes}
        for item in filter(None, program):
            numbers |= {item.imm, t.U32.wrap(item.imm), t.U64.wrap(item.imm), item.offset}
            if item.instruction.wide:
                numbers.add(item.next_imm % (1 << 32) << 32 | item.imm % (1 << 32))
        #: Where widening stops: numbers that the program may compare with, and their neighbours; and a few of these.
        self.stops, self.few_stops = (
            sorted({number + near for number in some for near in (-1, 0, 1)}) for some in (numbers, _COMMON)
        )

    def entry_state(self) -> State:
        """Return the state in which the program begins."""
        zero = ranges.known(0)
        size = self.surroundings.memory_bytes
        first = Pointer(Place("input"), zero) if size else zero
        registers = (zero, first, ranges.known(size), *[zero] * 7, Pointer(Place("stack", 0), zero))
        return State(registers, ((),))

    def proof(self, most_steps: int | None, method: Literal["invariants", "paths"]) -> Proof:
        """Return the proof, when everything has been checked."""
        places = tuple((slot, place) for slot, place in sorted(self.places.items()) if place)
        return Proof(self.surroundings, most_steps, places, method, self.looked_at)

    def exhausted(self) -> bool:
        """Whether the limit is exceeded."""
        most, work = self.limit
        return self.looked_at > most or self.looked_at * _OF_AN_INSTRUCTION + self.done > most * work

    def follow(self, point: Point, state: State, mode: Mode) -> tuple[int, list[tuple[Point, State]]]:
        """Execute the basic block at ``point``; return its number of instructions, and the states after it.

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
                # Where the program begins elsewhere than at slot 0, the structural verifier has not looked.
                raise NotProved(slot, None, "no instruction begins here")
            count += 1
            self.looked_at += 1
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

# SPDX-License-Identifier: Apache-2.0
"""What surrounds each instruction of a program: neighbours, jumps that arrive, where its operands come from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from ...spec.control import control_of, is_instruction, targets
from ...spec.encoding import Decoded, Program
from .kinds import uses

#: How many instructions are searched for the definition of an operand, and for the use of a result.
_FAR = 64


class Arrival(NamedTuple):
    """A jump or call that leads to an instruction: its slot, and whether it is a call."""

    source: int
    is_call: bool


class Surroundings:
    """The facts about the slots of one program."""

    def __init__(self, program: Program) -> None:
        self.program = program

    @cached_property
    def arrivals(self) -> dict[int, list[Arrival]]:
        """The jumps and calls of the program, by target."""
        found: dict[int, list[Arrival]] = {}
        for slot, item in enumerate(self.program):
            if item is not None and control_of(item.instruction).references:
                for target in targets(slot, item):
                    if target.kind != "code address" and is_instruction(self.program, target.slot):
                        found.setdefault(target.slot, []).append(Arrival(slot, target.kind == "call"))
        return found

    def item(self, slot: int | None) -> Decoded | None:
        """Return the instruction that begins at ``slot``, if one does."""
        return self.program[slot] if slot is not None and 0 <= slot < len(self.program) else None

    def before(self, slot: int) -> int | None:
        """Return the slot of the instruction before the one at ``slot`` in the text of the program."""
        return next((at for at in (slot - 1, slot - 2) if self.item(at) is not None), None)

    def after(self, slot: int) -> int | None:
        """Return the slot of the instruction after the one at ``slot`` in the text of the program."""
        item = self.program[slot]
        assert item is not None
        following = slot + item.instruction.slots
        return following if self.item(following) is not None else None

    def falls_into(self, slot: int) -> bool:
        """Whether control may reach ``slot`` from the instruction before it in the text."""
        item = self.item(self.before(slot))
        return item is not None and control_of(item.instruction).continues

    def begins_block(self, slot: int) -> bool:
        """Whether a basic block begins at ``slot``."""
        item = self.item(self.before(slot))
        return item is None or slot in self.arrivals or control_of(item.instruction).transfer is not None

    def ends_block(self, slot: int) -> bool:
        """Whether a basic block ends with the instruction at ``slot``."""
        item = self.item(slot)
        assert item is not None
        after = self.after(slot)
        return control_of(item.instruction).transfer is not None or after is None or after in self.arrivals

    def back(self, slot: int) -> Iterator[int]:
        """Yield the slots before ``slot``, as far as each has one predecessor only, the nearest first."""
        for _ in range(_FAR):
            if slot in self.arrivals or not self.falls_into(slot):
                return
            before = self.before(slot)
            assert before is not None
            yield (slot := before)

    def forward(self, slot: int) -> Iterator[int]:
        """Yield the slots that control reaches after ``slot`` without a jump, the nearest first."""
        for _ in range(_FAR):
            item, after = self.item(slot), self.after(slot)
            if item is None or after is None or not control_of(item.instruction).continues:
                return
            yield (slot := after)

    def definition(self, slot: int, register: int) -> int | None:
        """Return the slot that sets ``register`` for the instruction at ``slot``; None if several may, or none does."""
        for at in self.back(slot):
            item = self.program[at]
            assert item is not None
            if register in uses(item).writes:
                return at
        return None

    def first_use(self, slot: int, register: int) -> int | None:
        """Return the slot after ``slot`` that first reads ``register``; None if it is overwritten or not found."""
        for at in self.forward(slot):
            item = self.program[at]
            assert item is not None
            if register in uses(item).reads:
                return at
            if register in uses(item).writes:
                return None
        return None


class Point(NamedTuple):
    """An instruction at its slot of a program."""

    around: Surroundings
    slot: int
    item: Decoded

# SPDX-License-Identifier: Apache-2.0
"""Faults in computing the targets of jumps and calls in valid programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ...spec.control import control_of
from ...spec.encoding import Decoded, Program
from ...spec.table import Instruction, Isa
from .bench import Case


class ProgramMutant(NamedTuple):
    """A runtime that executes other instructions than those of the program; ``change`` gives them by slot."""

    what: str
    row: str
    change: Callable[[Case], Mapping[int, Decoded]]


def program_mutants(table: Isa) -> Iterator[ProgramMutant]:
    """Yield faults in computing the targets of jumps and calls."""
    for row in table.instructions:
        if distance_field(row) is not None:
            yield ProgramMutant("counts instructions, not slots", row.name, _counting(row))


def distance_field(row: Instruction) -> str | None:
    """Return the field that holds the distance of a jump or call, if the row is one."""
    return next((one.field for one in control_of(row).references if one.kind != "code address"), None)


def leading(item: Decoded, distance: int) -> Decoded:
    """Return a jump or call with another distance, in slots."""
    if distance_field(item.instruction) == "offset":
        return item._replace(offset=distance)
    return item._replace(imm=distance)


def _counting(row: Instruction) -> Callable[[Case], Mapping[int, Decoded]]:
    field = distance_field(row)
    assert field is not None

    def change(case: Case) -> Mapping[int, Decoded]:
        program = case.executable.program
        changes = {}
        for slot, item in case.at(row.name):
            there = _instructions_away(program, slot + 1, getattr(item, field))
            if there != slot + 1 + getattr(item, field):
                changes[slot] = leading(item, there - slot - 1)
        return changes

    return change


def _instructions_away(program: Program, start: int, count: int) -> int:
    """Return the slot ``count`` instructions from ``start``; past the end if there are fewer."""
    slot, step = start, 1 if count > 0 else -1
    while count and 0 <= slot < len(program):
        slot += step
        while 0 <= slot < len(program) and program[slot] is None:
            slot += step
        count -= step
    return slot

# SPDX-License-Identifier: Apache-2.0
"""In which vectors an instruction is executed in which contexts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import count

from ...reference_vm.contexts.context import Context, held
from ...reference_vm.contexts.moments import MOMENTS, Moment, access
from ...reference_vm.contexts.points import Point, Surroundings
from ...reference_vm.machine import Machine
from ...reference_vm.rows import Move, Step
from ...spec.encoding import Decoded
from ...spec.facts import Kind, facts
from ...spec.table import Instruction, isa
from .bench import Case


def contexts_in(row: Instruction, case: Case) -> dict[Context, list[int]]:
    """Return the contexts in which ``case`` executes ``row``, with the slots where it does."""
    found: dict[Context, list[int]] = {}
    for slot, item in case.at(row.name):
        if slot in case.reached and not _is_filler(case, slot, item):
            for where in held(Point(_surroundings(case), slot, item)):
                found.setdefault(where, []).append(slot)
    for slot, where in _moments(row, case):
        found.setdefault(where, []).append(slot)
    return found


#: Of equal instructions in a row, one in so many is examined, besides the first and the last.
_FILLER = 64


def _is_filler(case: Case, slot: int, item: Decoded) -> bool:
    """Whether to leave out an instruction that stands among equal ones, which only make distances longer."""
    return slot % _FILLER != 0 and case.executable.program[slot - 1 : slot + 2] == [item] * 3


@lru_cache(maxsize=64)
def _surroundings(case: Case) -> Surroundings:
    return Surroundings(case.executable.program)


def _moments(row: Instruction, case: Case) -> Iterator[tuple[int, Context]]:
    """Yield the slots of ``row`` with the contexts that only an execution shows."""
    if not access(row) and not _calls(case) and case.steps == len(case.reached):
        return
    seen: set[tuple[int, Context]] = set()
    watched = case.executable.replaced({})
    watched.units = dict.fromkeys(range(len(watched.operations)))
    for slot, item in case.at(row.name):
        if slot in case.reached:
            step, following = watched.operations[slot]
            watched.operations[slot] = _noting(step, slot, item, seen), following
    case.outcome(watched)
    yield from sorted(seen)


#: The first executions of a slot are examined, and then one of so many.
_EACH, _SOME = 64, 1000


def _calls(case: Case) -> bool:
    return any(facts(isa().by_name[name]).kind is Kind.CALL for name in case.executed)


def _noting(step: Step, slot: int, item: Decoded, seen: set[tuple[int, Context]]) -> Step:
    executions = count(1)

    def noted(registers: list[int], machine: Machine) -> Move:
        number = next(executions)
        if number > _EACH and number % _SOME:
            return step(registers, machine)
        moment = Moment(item, number, 1, registers, machine)
        seen.update((slot, Context(name, value)) for name, feature in MOMENTS.items() for value in feature.of(moment))
        return step(registers, machine)

    return noted

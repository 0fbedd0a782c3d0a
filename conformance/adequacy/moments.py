# SPDX-License-Identifier: Apache-2.0
"""The executions of one row in a vector, kept so that a mutant can be tried on each without running the program.

As long as a mutant does to the machine what the row did, the program goes on as before. So a vector need only be run
as a whole if, at one of the moments when the row is executed, the mutant does something else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

from ...reference_vm.executable import writes_frame_pointer
from ...reference_vm.machine import Machine
from ...reference_vm.rows import Move, Step, row_code
from ...spec import tree as t
from ...spec.encoding import ByteOrder, Decoded
from .bench import Case
from .mutant import Mutant

#: A vector in which the row is executed more often is run as a whole.
_MOST = 48


class Event(NamedTuple):
    """Something that the machine was asked (a load, a store, a map) and what it answered."""

    name: str
    arguments: tuple[int | str, ...]
    result: Any


class Moment(NamedTuple):
    """One execution of the row: at which slot, registers before and after, what it asked, where it led."""

    slot: int
    item: Decoded
    before: list[int]
    events: list[Event]
    move: Move
    after: list[int]


def moments(case: Case, row: str) -> list[Moment] | None:
    """Return all executions of ``row`` in ``case``; None if they are too many."""
    found: list[Moment] = []
    watched = case.executable.replaced({})
    for slot, item in case.at(row):
        step, following = watched.operations[slot]
        watched.operations[slot] = _recording(step, slot, item, found), following
    case.outcome(watched)
    return found if len(found) <= _MOST else None


def _recording(step: Step, slot: int, item: Decoded, found: list[Moment]) -> Step:
    def recorded(registers: list[int], machine: Machine) -> Move:
        if len(found) > _MOST:
            return step(registers, machine)
        before = registers.copy()
        recorder = _Recorder(machine)
        move = step(registers, cast("Machine", recorder))
        found.append(Moment(slot, item, before, recorder.events, move, registers.copy()))
        return move

    return recorded


class _Recorder:
    """Stands before a machine and writes down what it is asked."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.events: list[Event] = []

    def __getattr__(self, name: str) -> Any:
        target = getattr(self.machine, name)
        if not callable(target):
            self.events.append(Event(name, (), target))
            return target

        def asked(*arguments: int | str) -> Any:
            result = target(*arguments)
            self.events.append(Event(name, arguments, result))
            return result

        return asked


class _Departure(Exception):
    """The mutant asks the machine something else."""


class _Replay:
    """Stands for the machine at a moment: answers what was asked then, in the same order."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.next = 0

    def __getattr__(self, name: str) -> Any:
        if t.PLATFORM_FUNCTIONS.get(name) == ():
            return self._answer(name, ())
        answer: Callable[..., Any] = lambda *arguments: self._answer(name, arguments)  # noqa: E731  # of a name
        return answer

    def _answer(self, name: str, arguments: tuple[int | str, ...]) -> Any:
        if self.next >= len(self.events) or self.events[self.next][:2] != (name, arguments):
            raise _Departure
        self.next += 1
        return self.events[self.next - 1].result


def departs(mutant: Mutant, moment: Moment, byte_order: ByteOrder) -> bool:
    """Whether ``mutant`` does something else than its row at ``moment``."""
    if not mutant.applies(moment.item):
        return False
    code = row_code(mutant.instruction_for(moment.item), byte_order)
    if writes_frame_pointer(moment.item._replace(instruction=mutant.instruction_for(moment.item))):
        return True
    step = code.make(moment.slot, *moment.item[1:])
    registers, replay = moment.before.copy(), _Replay(moment.events)
    try:
        move = step(registers, cast("Machine", replay))
    except _Departure:
        return True
    return move != moment.move or registers != moment.after or replay.next != len(moment.events)


def notices(case: Case, mutant: Mutant) -> bool:
    """Whether the verdict on a runtime with the fault of ``mutant`` is not ``pass``."""
    changes = {
        slot: item._replace(instruction=mutant.instruction_for(item))
        for slot, item in case.at(mutant.row.name)
        if mutant.applies(item)
    }
    return bool(changes) and not case.passes(case.executable.replaced(changes))

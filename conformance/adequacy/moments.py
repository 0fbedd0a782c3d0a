# SPDX-License-Identifier: Apache-2.0
"""The executions of one row in the vectors, kept so that a mutant can be tried on each without running programs.

As long as a mutant does to the machine what the row did, the program goes on as before. So a vector need only be run
as a whole if, at one of the moments when the row is executed, the mutant does something else. What it does depends on
the encoding, on the values of a few registers and on what the machine answers; moments that agree in these make a
group, which is looked at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, TypeAlias, cast

from ...reference_vm.executable import writes_frame_pointer
from ...reference_vm.machine import Machine
from ...reference_vm.rows import Move, Step, row_code
from ...spec import tree as t
from ...spec.encoding import ByteOrder, Decoded
from ...spec.table import Instruction
from .bench import Case
from .mutant import Mutant

#: A vector in which the row is executed more often, or that takes more steps, is run as a whole, after all others.
_MOST, _MOST_STEPS = 64, 4096


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
    events: tuple[Event, ...]
    move: Move
    after: list[int]


def moments(case: Case, row: str) -> list[Moment] | None:
    """Return all executions of ``row`` in ``case``; None if they are too many."""
    if case.steps > _MOST_STEPS:
        return None
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
        found.append(Moment(slot, item, before, tuple(recorder.events), move, registers.copy()))
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

    def __init__(self, events: tuple[Event, ...]) -> None:
        self.events = events
        self.next = 0

    def __getattr__(self, name: str) -> Any:
        if t.PLATFORM_FUNCTIONS.get(name) == ():
            return self._answer(name)
        return partial(self._answer, name)

    def _answer(self, name: str, *arguments: int | str) -> Any:
        if self.next >= len(self.events) or self.events[self.next][:2] != (name, arguments):
            raise _Departure
        self.next += 1
        return self.events[self.next - 1].result


_SILENT = _Replay(())
#: The fields of an instruction of one row.
_Fields: TypeAlias = tuple[int, ...]


class Departure:
    """Tells whether a mutant does something else than its row at a moment, on machines of one byte order."""

    def __init__(self, mutant: Mutant, byte_order: ByteOrder) -> None:
        self.mutant, self.byte_order = mutant, byte_order
        self._steps: dict[_Fields, Step | None] = {}
        self._uses_slot = _asks_for_slot(mutant.row.means) or _asks_for_slot(mutant.means)

    def __call__(self, moment: Moment) -> bool:
        """Whether the mutant does something else at ``moment``."""
        fields = moment.item[1:]
        if self._uses_slot or fields not in self._steps:
            self._steps[fields] = self._step(moment)
        step = self._steps[fields]
        if step is None:
            return False
        registers = moment.before.copy()
        replay = _Replay(moment.events) if moment.events else _SILENT
        try:
            move = step(registers, cast("Machine", replay))
        except _Departure:
            return True
        return move != moment.move or registers != moment.after or replay.next != len(moment.events)

    def _step(self, moment: Moment) -> Step | None:
        """Return what the mutant does at ``moment``; None if its fault is not in force there."""
        if not self.mutant.applies(moment.item):
            return None
        row = self.mutant.instruction_for(moment.item)
        if writes_frame_pointer(moment.item._replace(instruction=row)):
            return _depart
        return row_code(row, self.byte_order).make(moment.slot, *moment.item[1:])


def _depart(registers: list[int], machine: Machine) -> Move:
    raise _Departure


def _asks_for_slot(means: Iterable[t.Stmt]) -> bool:
    return any(isinstance(node, t.Call) and node.name == "code_addr" for node in t.walk(*means))


class Trail:
    """The moments of one row in many cases, in the order of the cases, each recorded when it is first asked for.

    ``long`` are the cases met so far whose executions are too many to be kept.
    """

    def __init__(self, row: Instruction, cases: Iterable[Case], byte_order: ByteOrder) -> None:
        self.row, self.byte_order = row, byte_order
        self.long: list[Case] = []
        self._cases = iter(cases)
        self._recorded: list[tuple[Case, list[Moment]]] = []

    def departing(self, mutant: Mutant) -> Iterator[Case]:
        """Yield the cases, of those that are not long, in which ``mutant`` does something else than the row."""
        departs = Departure(mutant, self.byte_order)
        for case, found in chain(self._recorded, self._more()):
            if any(map(departs, found)):
                yield case

    def _more(self) -> Iterator[tuple[Case, list[Moment]]]:
        """Record the cases that are left."""
        for case in self._cases:
            found = moments(case, self.row.name)
            if found is None:
                self.long.append(case)
            else:
                self._recorded.append((case, found))
                yield case, found


def notices(case: Case, mutant: Mutant) -> bool:
    """Whether the verdict on a runtime with the fault of ``mutant`` is not ``pass``."""
    changes = mutant.changes(case.at(mutant.row.name))
    return bool(changes) and not case.passes(case.executable.replaced(changes))

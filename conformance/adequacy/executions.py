# SPDX-License-Identifier: Apache-2.0
"""Recorded executions of one row in the vectors, on which a mutant is replayed without running whole programs.

As long as a mutant has the same effects as its row, the program continues as before. So the whole program of a vector
is run only if the effects of the mutant differ in at least one execution of the row.
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

#: A vector with more executions of the row, or more steps, is not recorded: its program is run, after all others.
_MOST, _MOST_STEPS = 192, 4096


class Event(NamedTuple):
    """A request to the machine (a load, a store, a map) and its result."""

    name: str
    arguments: tuple[int | str, ...]
    result: Any


class Execution(NamedTuple):
    """One execution of the row: its slot, the registers before and after, its requests, and the move to a successor."""

    slot: int
    item: Decoded
    before: list[int]
    events: tuple[Event, ...]
    move: Move
    after: list[int]


def executions(case: Case, row: str) -> list[Execution] | None:
    """Return all executions of ``row`` in ``case``; None if there are too many."""
    if case.steps > _MOST_STEPS:
        return None
    found: list[Execution] = []
    watched = case.executable.replaced({})
    for slot, item in case.at(row):
        step, following = watched.operations[slot]
        watched.operations[slot] = _recording(step, slot, item, found), following
    case.outcome(watched)
    return found if len(found) <= _MOST else None


def _recording(step: Step, slot: int, item: Decoded, found: list[Execution]) -> Step:
    def recorded(registers: list[int], machine: Machine) -> Move:
        if len(found) > _MOST:
            return step(registers, machine)
        before = registers.copy()
        recorder = _Recorder(machine)
        move = step(registers, cast("Machine", recorder))
        found.append(Execution(slot, item, before, tuple(recorder.events), move, registers.copy()))
        return move

    return recorded


class _Recorder:
    """Forwards requests to a machine and records them."""

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


class _OtherRequest(Exception):
    """The mutant makes another request than its row did."""


class _Recorded:
    """Answers the requests of a recorded execution, in the same order, in place of the machine."""

    def __init__(self, events: tuple[Event, ...]) -> None:
        self.events = events
        self.next = 0

    def __getattr__(self, name: str) -> Any:
        if t.PLATFORM_FUNCTIONS.get(name) == ():
            return self._answer(name)
        return partial(self._answer, name)

    def _answer(self, name: str, *arguments: int | str) -> Any:
        if self.next >= len(self.events) or self.events[self.next][:2] != (name, arguments):
            raise _OtherRequest
        self.next += 1
        return self.events[self.next - 1].result


#: The fields of an instruction of one row.
_Fields: TypeAlias = tuple[int, ...]


class Replay:
    """A mutant replayed on recorded executions of its row, on machines of one byte order."""

    def __init__(self, mutant: Mutant, byte_order: ByteOrder) -> None:
        self.mutant, self.byte_order = mutant, byte_order
        self._steps: dict[_Fields, Step | None] = {}
        self._uses_slot = _asks_for_slot(mutant.row.means) or _asks_for_slot(mutant.means)

    def __call__(self, execution: Execution) -> bool:
        """Whether the mutant has other effects than the row had in ``execution``."""
        fields = execution.item[1:]
        if self._uses_slot or fields not in self._steps:
            self._steps[fields] = self._step(execution)
        step = self._steps[fields]
        if step is None:
            return False
        registers = execution.before.copy()
        machine = _Recorded(execution.events)
        try:
            move = step(registers, cast("Machine", machine))
        except _OtherRequest:
            return True
        return move != execution.move or registers != execution.after or machine.next != len(execution.events)

    def _step(self, execution: Execution) -> Step | None:
        """Return the step of the mutant for ``execution``; None if its condition does not hold there."""
        if not self.mutant.applies(execution.item):
            return None
        row = self.mutant.instruction_for(execution.item)
        if writes_frame_pointer(execution.item._replace(instruction=row)):
            return _other_request
        return row_code(row, self.byte_order).make(execution.slot, *execution.item[1:])


def _other_request(registers: list[int], machine: Machine) -> Move:
    raise _OtherRequest


def _asks_for_slot(means: Iterable[t.Stmt]) -> bool:
    return any(isinstance(node, t.Call) and node.name == "code_addr" for node in t.walk(*means))


class Recording:
    """The executions of one row in many cases, in the order of the cases; each case is recorded when first needed.

    ``long`` are the cases so far that have too many executions or steps to be recorded.
    """

    def __init__(self, row: Instruction, cases: Iterable[Case], byte_order: ByteOrder) -> None:
        self.row, self.byte_order = row, byte_order
        self.long: list[Case] = []
        self._cases = iter(cases)
        self._recorded: list[tuple[Case, list[Execution]]] = []

    def differing(self, mutant: Mutant) -> Iterator[Case]:
        """Yield the recorded cases in which ``mutant`` has other effects than the row."""
        differs = Replay(mutant, self.byte_order)
        for case, found in chain(self._recorded, self._more()):
            if any(map(differs, found)):
                yield case

    def _more(self) -> Iterator[tuple[Case, list[Execution]]]:
        """Record the remaining cases, and yield those that are not long."""
        for case in self._cases:
            found = executions(case, self.row.name)
            if found is None:
                self.long.append(case)
            else:
                self._recorded.append((case, found))
                yield case, found


def notices(case: Case, mutant: Mutant) -> bool:
    """Whether the verdict on a runtime with the fault of ``mutant`` is not ``pass``."""
    changes = mutant.changes(case.at(mutant.row.name))
    return bool(changes) and not case.passes(case.executable.replaced(changes))

# SPDX-License-Identifier: Apache-2.0
"""What the outcome of a vector relies on besides the text of RFC 9669, and the highest level that it may have.

There are three analyses, on the reference VM. First, taint tracking: values that the RFC does not define (registers and
stack before they are written, registers that calls may change) are marked, and marks propagate from operands to
results. The vector relies on each mark that reaches an address, a condition or a compared value. Second, the program is
run with the other readings of :mod:`..spec.readings`, one erratum after the other: if the outcome differs, the vector
relies on the erratum. Third, some reliances are visible in the program itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from ...adapters.protocol import Job
from ...adapters.reference import BUDGET, machine_for, outcome_of
from ...reference_vm.executable import Executable, prepare
from ...reference_vm.frames import PRESERVED
from ...reference_vm.interpreter import run
from ...reference_vm.machine import REGISTER_SLOTS, Machine
from ...reference_vm.memory import (
    INPUT_WINDOW,
    STACK_WINDOW,
    WINDOW_BITS,
    Load,
    Store,
    window_address,
)
from ...reference_vm.rows import (
    RETURN,
    LocalCall,
    Move,
    Step,
)
from ...spec import tree as t
from ...spec.control import successors_of
from ...spec.encoding import Decoded
from ...spec.readings import other_readings
from ...spec.requirements import Requirement, load_errata
from ..run.verdict import Verdict, judge
from ..suite.model import Expectation, Level

#: Number of slots of programs that every runtime is assumed to accept (erratum ``program-size``).
MOST_SLOTS: Final = 4096
#: A program with other readings may not terminate: its limit is factor * steps + more.
_STEPS_FACTOR, _STEPS_MORE = 2, 1000


class Reliance(NamedTuple):
    """One thing that a vector relies on, the erratum about it, and the highest level of vectors that do.

    ``level`` is None if nothing promises it: no vector may rely on it.
    """

    what: str
    erratum: str
    level: Level | None


def interpreted(requirement: Requirement) -> str | None:
    """Return the erratum on which a requirement rests, if the text can be read in another way."""
    return next((erratum for erratum in requirement.errata if erratum in other_readings()), None)


def rank(level: Level) -> int:
    """Return 0 for ``must``, and more for each level below it."""
    return list(Level).index(level)


def reliances(job: Job, expect: Expectation) -> list[Reliance]:
    """Return what the outcome of ``job`` relies on: nothing if the program should not return.

    On the reference VM the outcome has to be as expected.
    """
    if not expect.returns:
        return []
    executable = prepare(job.code, job.byte_order)
    marks, steps = _followed(job, expect, executable)
    found = [_OPEN[mark] for mark in _OPEN if marks & mark]
    found += _as_written(executable)
    found += _read_otherwise(job, expect, executable, steps)
    return [Reliance(what, erratum, _level(erratum) if promised else None) for what, erratum, promised in found]


def _level(erratum: str) -> Level:
    return Level(load_errata()[erratum].level)


#: A description, the erratum, and whether the erratum promises it.
_Found = tuple[str, str, bool]


# The program itself


def _as_written(executable: Executable) -> Iterator[_Found]:
    program = executable.program
    if len(program) > MOST_SLOTS:
        yield f"a program of {len(program)} slots, more than {MOST_SLOTS}", "program-size", True
    for slot, item in enumerate(program):
        if item and _roles(item).stays:
            yield f"the jump to itself at slot {slot}", "jump-to-itself", True
            return


# Other readings


def _read_otherwise(job: Job, expect: Expectation, executable: Executable, steps: int) -> Iterator[_Found]:
    names = {item.instruction.name for item in executable.program if item}
    for erratum, rows in other_readings().items():
        if names.isdisjoint(rows):
            continue
        changes = {
            slot: item._replace(instruction=rows[item.instruction.name])
            for slot, item in enumerate(executable.program)
            if item and item.instruction.name in rows
        }
        machine = machine_for(job, job.byte_order)
        result = run(executable.replaced(changes), machine, budget=_STEPS_FACTOR * steps + _STEPS_MORE)
        if judge(expect, outcome_of(result)).verdict is not Verdict.PASS:
            yield f"one reading of {', '.join(sorted(names & rows.keys()))}", erratum, True


# Marks

_UNSET, _LENGTH, _UNWRITTEN, _CLOBBERED, _PRESERVED, _STACK, _UNALIGNED = (1 << n for n in range(7))
_OPEN: Final[dict[int, _Found]] = {
    _UNSET: ("a register that nothing was put into", "program-entry", False),
    _LENGTH: ("r2 at the start of the program", "program-entry", True),
    _UNWRITTEN: ("bytes of the stack that nothing was written to", "stack-and-call-depth", False),
    _CLOBBERED: ("r1 to r5 after a call or a packet access", "calling-convention", False),
    _PRESERVED: ("r6 to r9 after a call of a function that changes them", "calling-convention", True),
    _STACK: ("the stack", "stack-and-call-depth", True),
    _UNALIGNED: ("an address that is no multiple of the size of the access", "unaligned-access", True),
}
#: Registers that a call may change, and those that it preserves.
_ARGUMENTS: Final = range(1, 6)
_KEPT: Final = range(PRESERVED.start, PRESERVED.stop)


class _Roles(NamedTuple):
    """The roles of registers in an instruction.

    ``values``, ``addresses`` and ``results`` are register numbers: those read, those read for addresses, and those
    written. ``decides`` is true for conditional jumps, ``stays`` for jumps to themselves, ``clobbers`` for instructions
    that may change r1 to r5.
    """

    values: tuple[int, ...]
    addresses: tuple[int, ...]
    results: tuple[int, ...]
    decides: bool
    stays: bool
    clobbers: bool


@lru_cache(maxsize=1 << 15)
def _roles(item: Decoded) -> _Roles:
    means = item.instruction.means
    nodes = list(t.walk(*means))
    accesses = [node.address for node in nodes if isinstance(node, t.Load | t.Store)]
    return _Roles(
        values=_numbers(item, t.reads(*means)),
        addresses=_numbers(item, t.reads(*accesses)),
        results=_numbers(item, t.writes(*means)),
        decides=any(isinstance(node, t.Jump) and node.condition is not None for node in nodes),
        stays=0 in successors_of(0, item),
        clobbers=any(isinstance(node, t.CallHelper) or node == _PACKET for node in nodes),
    )


_PACKET: Final = t.Call("packet", (), t.U64)


def _numbers(item: Decoded, names: frozenset[str]) -> tuple[int, ...]:
    """Return the numbers of the registers among ``names``, the names of registers and fields in a row."""
    named = [getattr(item, name) for name in ("dst", "src") if name in names]
    return (*named, *(int(name[1:]) for name in names if name[1:].isdecimal()))


def _followed(job: Job, expect: Expectation, executable: Executable) -> tuple[int, int]:
    """Run a program with marks; return those that the outcome relies on, and the number of executed instructions."""
    machine = machine_for(job, job.byte_order)
    marks = _Marks(machine, bool(job.memory))
    watched = executable.replaced({})
    for slot, item in enumerate(executable.program):
        if item:
            step, following = watched.operations[slot]
            watched.operations[slot] = marks.watch(item, step), following
    result = run(watched, machine, budget=BUDGET, hot_after=BUDGET)
    return marks.at_the_end(expect), result.steps


class _Marks:
    """Marks on registers and bytes of memory while a program runs; ``relied`` are those the program relies on."""

    def __init__(self, machine: Machine, has_memory: bool) -> None:
        self.registers = [_UNSET] * REGISTER_SLOTS
        self.registers[10] = 0  # Defined by the ABI; no vector relies on its value.
        if has_memory:
            self.registers[1], self.registers[2] = 0, _LENGTH
        self.bytes: dict[int, int] = {}
        self.relied = 0
        #: Of each stack, by its window, the bytes that were written.
        self.stacks: dict[int, set[int]] = {}
        #: For each active local call: marks of r6 to r9 before it, and the registers that were written in it.
        self.calls: list[tuple[list[int], set[int]]] = []
        #: Marks of what the current instruction reads from registers, and has read from memory.
        self.mixed = self.loaded = 0
        #: Whether the platform accesses memory now, so that alignment does not matter.
        self.platform = False
        self._new_stack()
        for size in (1, 2, 4, 8):
            setattr(machine, f"load{size}", self._load(size, getattr(machine, f"load{size}")))
            setattr(machine, f"store{size}", self._store(size, getattr(machine, f"store{size}")))

    def watch(self, item: Decoded, step: Step) -> Step:
        """Return a step that propagates marks."""
        values, addresses, results, decides, _, clobbers = _roles(item)
        marks = self.registers

        def watched(registers: list[int], machine: Machine) -> Move:
            mixed = 0
            for number in values:
                mixed |= marks[number]
            self.mixed, self.loaded, self.platform = mixed, 0, clobbers
            for number in addresses:
                self.relied |= marks[number]
            move = step(registers, machine)
            mixed |= self.loaded
            if decides:
                self.relied |= mixed
            for number in results:
                marks[number] = mixed
                if self.calls:
                    self.calls[-1][1].add(number)
            if clobbers:
                marks[0] = self.loaded
                for number in _ARGUMENTS:
                    marks[number] = _CLOBBERED
            elif isinstance(move, LocalCall):
                self._enter()
            elif move is RETURN and self.calls:
                self._leave()
            return move

        return watched

    def _enter(self) -> None:
        self.calls.append((self.registers[PRESERVED], set()))
        self._new_stack()
        self.registers[0] = _UNSET
        for number in _KEPT:
            self.registers[number] = _UNSET

    def _leave(self) -> None:
        """Mark the registers that the ABI restores, and RFC 9669 does not: those that the function wrote."""
        before, written = self.calls.pop()
        for number, mark in zip(_KEPT, before, strict=True):
            self.registers[number] = mark | (_PRESERVED if number in written else 0)
        for number in _ARGUMENTS:
            self.registers[number] = _CLOBBERED
        if self.calls:
            self.calls[-1][1].update(written)

    def _new_stack(self) -> None:
        self.stacks[window_address(STACK_WINDOW, len(self.calls)) >> WINDOW_BITS] = set()

    def _load(self, size: int, load: Load) -> Load:
        def watched(address: int) -> int:
            value = load(address)
            written = self._access(address, size)
            if written is not None and not written.issuperset(range(address, address + size)):
                self.loaded |= _UNWRITTEN
            if self.bytes:
                for place in range(address, address + size):
                    self.loaded |= self.bytes.get(place, 0)
            return value

        return watched

    def _store(self, size: int, store: Store) -> Store:
        def watched(address: int, value: int) -> None:
            store(address, value)
            written = self._access(address, size)
            if written is not None:
                written.update(range(address, address + size))
            mark = self.mixed | self.loaded
            if mark or self.bytes:
                for place in range(address, address + size):
                    self.bytes[place] = mark

        return watched

    def _access(self, address: int, size: int) -> set[int] | None:
        """Record an access; return the written bytes of the stack that it is to, None if it is to none."""
        if address % size and not self.platform:
            self.relied |= _UNALIGNED
        written = self.stacks.get(address >> WINDOW_BITS)
        if written is not None:
            self.relied |= _STACK
        return written

    def at_the_end(self, expect: Expectation) -> int:
        """Return the marks that the outcome relies on."""
        found = self.relied
        for name in expect.registers:
            found |= self.registers[int(name[1:])]
        if expect.memory is not None:
            for place, mark in self.bytes.items():
                found |= mark if place >> WINDOW_BITS == INPUT_WINDOW else 0
        return found

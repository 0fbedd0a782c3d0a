# SPDX-License-Identifier: Apache-2.0
"""Vectors prepared once, whose programs are run many times with one instruction changed.

A :class:`Case` is a vector that returns or faults. A :class:`Refusal` is a vector that must be rejected, with the
errors in its encoding, for mutants that accept it. Vectors that must be steady are about what programs leave behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from ...adapters.protocol import Job, Outcome
from ...adapters.reference import BUDGET, ReferenceAdapter, machine_for, outcome_of
from ...reference_vm.executable import Executable, prepare
from ...reference_vm.frames import Frames
from ...reference_vm.interpreter import run
from ...reference_vm.machine import Machine
from ...reference_vm.rows import Move, Step
from ...reference_vm.verifier.structural import verify
from ...spec.encoding import SLOT_BYTES, ByteOrder, Decoded, DecodeError, Program, Slot, identify, pack, unpack
from ...spec.errors import InputError
from ...spec.table import Instruction
from ..run.verdict import Verdict, judge
from ..suite.model import Expectation, Vector

#: A mutant may need more steps than the row does; beyond factor * steps + more it is taken not to terminate.
_STEPS_FACTOR, _STEPS_MORE = 4, 1000


class BaselineError(InputError):
    """A vector does not pass on the unmodified specification, so that no mutant can be measured with it."""


class Case:
    """A vector in one byte order (its id, job and expectation) with its program prepared.

    ``slots`` gives the slots of each row (by name) in the program, ``reached`` the slots of executed instructions,
    ``executed`` the names of their rows, ``steps`` the number of executed instructions, ``budget`` the most that a
    mutant may execute.
    """

    __slots__ = ("budget", "executable", "executed", "expect", "job", "reached", "slots", "steps")

    def __init__(self, job: Job, expect: Expectation) -> None:
        self.job, self.expect = job, expect
        self.executable = prepare(job.code, job.byte_order)
        self.budget, self.steps = BUDGET, 0
        slots: dict[str, list[int]] = {}
        for slot, item in enumerate(self.executable.program):
            if item is not None:
                slots.setdefault(item.instruction.name, []).append(slot)
        self.slots: Mapping[str, tuple[int, ...]] = {name: tuple(where) for name, where in slots.items()}
        self.reached = self._follow()
        names = (self.executable.name_at(slot) for slot in self.reached)
        self.executed = frozenset(name for name in names if name is not None)

    @property
    def id(self) -> str:
        """The id of the vector."""
        return self.job.id

    def _follow(self) -> frozenset[int]:
        """Run the unmodified program; set ``steps`` and ``budget``, and return the slots of executed instructions."""
        seen: set[int] = set()
        watched = self.executable.replaced({})
        watched.operations = [
            (_noting(step, pc, seen), following) for pc, (step, following) in enumerate(watched.operations)
        ]
        result = run(watched, machine_for(self.job, self.job.byte_order), budget=BUDGET, hot_after=BUDGET)
        self.steps = result.steps
        self.budget = min(BUDGET, _STEPS_FACTOR * result.steps + _STEPS_MORE)
        if judge(self.expect, outcome_of(result)).verdict is not Verdict.PASS:
            where = f"{self.id} ({self.job.byte_order}-endian)"
            raise BaselineError(f"{where} does not pass on the specification; see bpf-isa run -r reference")
        return frozenset(seen)

    def outcome(self, executable: Executable, frames: type[Frames] = Frames) -> Outcome:
        """Return the outcome of ``executable`` in place of the vector's program."""
        machine = machine_for(self.job, self.job.byte_order, frames)
        return outcome_of(run(executable, machine, budget=self.budget))

    def passes(self, executable: Executable, frames: type[Frames] = Frames) -> bool:
        """Whether the suite's verdict on ``executable`` in place of the vector's program is ``pass``."""
        return judge(self.expect, self.outcome(executable, frames)).verdict is Verdict.PASS

    def at(self, row: str) -> Iterator[tuple[int, Decoded]]:
        """Yield the instructions of ``row`` in the program, with their slots."""
        program = self.executable.program
        for slot in self.slots.get(row, ()):
            item = program[slot]
            if item is not None:
                yield slot, item


def _noting(step: Step, pc: int, seen: set[int]) -> Step:
    def noted(registers: list[int], machine: Machine) -> Move:
        seen.add(pc)
        return step(registers, machine)

    return noted


@dataclass(frozen=True, slots=True)
class Broken:
    """A slot at which no instruction can be decoded; ``second`` is the slot after it, if any."""

    index: int
    slot: Slot
    second: Slot | None
    error: DecodeError


@dataclass(frozen=True, slots=True)
class Refusal:
    """A vector that must be rejected: its slots, and those at which no instruction can be decoded.

    ``program`` is None if it cannot be decoded; otherwise the error is not in the encoding.
    """

    vector: Vector
    job: Job
    slots: list[Slot]
    broken: tuple[Broken, ...]
    program: Program | None

    @property
    def id(self) -> str:
        """The id of the vector."""
        return self.job.id

    def outcome(self, frames: type[Frames]) -> Outcome | None:
        """Return the outcome of the program where calls follow ``frames``; None if the loader rejects it."""
        if self.program is None or any(one.severity == "error" for one in verify(self.job.code, self.job.byte_order)):
            return None
        machine = machine_for(self.job, self.job.byte_order, frames)
        return outcome_of(run(prepare(self.job.code), machine, budget=_STEPS_MORE))

    def replaced(self, changes: Mapping[int, tuple[Slot, ...]]) -> bytes | None:
        """Return the program with the slots in ``changes`` written over its own at each index; None without changes."""
        slots = self.slots.copy()
        for index, new in changes.items():
            slots[index : index + len(new)] = new
        return pack(slots) if changes else None

    def run(self, code: bytes) -> Outcome:
        """Return the outcome of ``code`` in place of the program, on little-endian machines."""
        (outcome,) = ReferenceAdapter("little").run([self.job._replace(code=code)])
        return outcome

    def passes(self, outcome: Outcome) -> bool:
        """Whether ``outcome`` is as the vector expects: the program was rejected, or stopped."""
        return judge(self.vector.little.expect, outcome).verdict is Verdict.PASS


def refusal(vector: Vector) -> Refusal:
    """Return a vector that must be rejected with the errors in its encoding."""
    job = vector.job("little")
    try:
        slots = unpack(job.code)
    except DecodeError:
        return Refusal(vector, job, [], (), None)
    program: Program = []
    broken = []
    while len(program) < len(slots):
        index = len(program)
        found = identify(slots, index)
        if isinstance(found, DecodeError):
            second = slots[index + 1] if index + 1 < len(slots) else None
            broken.append(Broken(index, slots[index], second, found))
            program += [None] * (2 if found.slot == index + 1 else 1)
        else:
            program += [found] if found.instruction.slots == 1 else [found, None]
    return Refusal(vector, job, slots, tuple(broken), None if broken else program)


class Bench:
    """The vectors of a suite; with ``rows``, only those that contain one of them, and all that must not return.

    Those that are in ``first`` are asked first whether they notice a mutant, in that order.

    Raises:
        BaselineError: a vector does not pass on the unmodified specification (when ``cases`` or ``using`` is asked).
    """

    def __init__(
        self,
        vectors: Iterable[Vector],
        rows: Iterable[Instruction] | None = None,
        first: Sequence[str] = (),
    ) -> None:
        self._rank = {name: place for place, name in enumerate(first)}
        opcodes = None if rows is None else {row.opcode for row in rows}
        self.vectors = {
            vector.id: vector
            for vector in vectors
            if opcodes is None
            or not vector.little.expect.returns
            or not opcodes.isdisjoint(vector.little.code[::SLOT_BYTES])
        }
        self._big: dict[str, Case] = {}

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """The vectors whose programs run, for little-endian machines."""
        return tuple(
            make_case(vector, "little")
            for vector in self.vectors.values()
            if not (vector.little.expect.rejected or vector.little.expect.steady)
        )

    @cached_property
    def refusals(self) -> tuple[Refusal, ...]:
        """The vectors whose programs must be rejected."""
        found = [refusal(vector) for vector in self.vectors.values() if vector.little.expect.rejected]
        return tuple(sorted(found, key=lambda one: self.rank(one.job.id)))

    @cached_property
    def steady(self) -> tuple[Vector, ...]:
        """The vectors whose programs must do the same each time."""
        return tuple(vector for vector in self.vectors.values() if vector.little.expect.steady)

    @cached_property
    def _by_row(self) -> dict[str, list[Case]]:
        """Cases by the rows they execute, those about the row first."""
        uses = Counter(name for case in self.cases for name in case.executed)
        rarest = {case.id: min(uses[name] for name in case.executed) for case in self.cases}
        found: dict[str, list[Case]] = {}
        for case in self.cases:
            for name in case.executed:
                found.setdefault(name, []).append(case)
        for name, cases in found.items():
            # A case is about the rarest row that it executes. Then come cases that observe most, and short ones.
            about = {case.id for case in cases if rarest[case.id] == uses[name]}
            cases.sort(key=partial(_order, about))
            cases.sort(key=lambda case: self.rank(case.id))
        return found

    def rank(self, vector: str) -> int:
        """Return the place of a vector among those that are asked first; those that are not have the last one."""
        return self._rank.get(vector, len(self._rank))

    def prepare(self) -> None:
        """Prepare all vectors now."""
        self.using("EXIT")
        _ = self.refusals

    def using(self, row: str) -> list[Case]:
        """Return the cases that execute ``row``, those about the row first."""
        return self._by_row.get(row, [])

    def big(self, case: Case) -> Case:
        """Return the same vector for big-endian machines."""
        if case.id not in self._big:
            self._big[case.id] = make_case(self.vectors[case.id], "big")
        return self._big[case.id]


def _order(about: Collection[str], case: Case) -> tuple[bool, int, int]:
    """Return the sort key of a case; those in ``about`` come first."""
    return case.id not in about, -len(case.expect.observed), len(case.executable.program)


def make_case(vector: Vector, byte_order: ByteOrder) -> Case:
    """Prepare ``vector`` for machines of ``byte_order``.

    Raises:
        BaselineError: the vector does not pass on the unmodified specification.
    """
    return Case(vector.job(byte_order), vector.variant(byte_order).expect)

# SPDX-License-Identifier: Apache-2.0
"""Compiled programs: ``compile(code)(memory)`` returns what :func:`bpf_isa.reference_vm.interpreter.execute` does."""

from __future__ import annotations

import ctypes
import sys
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from time import perf_counter
from typing import Unpack

from ...reference_vm.faults import Fault, Returned
from ...reference_vm.frames import Frames
from ...reference_vm.interpreter import DEFAULT_BUDGET
from ...reference_vm.machine import Machine, Platform
from ...reference_vm.verifier.safety import surroundings_of
from ...spec.control import loop_heads
from ...spec.encoding import ByteOrder, Program, decode, encode
from ...spec.table import Isa
from .errors import NotLowerable, TooLarge
from .lower.emit import FREE_METADATA, METADATA
from .lower.functions import lower_program
from .lower.state import Style
from .plan import Plan, plan_of, shape_of
from .runtime.driver import Driver
from .runtime.llvm import Code, Level, Timings, Unresolved, generate
from .runtime.support import DECLARATIONS
from .trust import Acceptance, NotAccepted, digest_of

#: The number of shapes whose code a compiler caches.
_KEPT_SHAPES = 512
#: Limit for the lines of LLVM IR of one program, on which the time of LLVM depends.
MOST_LINES = 300_000
#: Limits for lines (and instructions) and loops of programs that are optimised.
MOST_LINES_OPTIMIZED, MOST_LOOPS_OPTIMIZED = 8_000, 16


@dataclass(frozen=True, slots=True)
class Shape:
    """Code for all programs that differ only in their 64-bit constants, and its optimisation level."""

    plan: Plan
    code: Code
    address: int
    level: Level


class CompiledProgram:
    """A program as machine code, to be run any number of times; freed when no longer referenced."""

    __slots__ = ("_constants", "_shape", "byte_order", "program", "timings")

    def __init__(self, shape: Shape, program: Program, byte_order: ByteOrder, timings: Timings) -> None:
        self.program, self.byte_order, self.timings = program, byte_order, timings
        self._shape = shape
        values = shape.plan.values(program)
        self._constants = (ctypes.c_int32 * len(values))(*values)

    @property
    def address(self) -> int:
        """Where the code is."""
        return self._shape.address

    @property
    def level(self) -> Level:
        """The optimisation level: ``fast`` for programs that are too large to optimise."""
        return self._shape.level

    def __call__(
        self,
        memory: bytes | None = None,
        *,
        budget: int = DEFAULT_BUDGET,
        **platform: Unpack[Platform],
    ) -> Returned | Fault:
        """Run on a new machine; see :class:`bpf_isa.reference_vm.machine.Machine` for what it has.

        Raises:
            Exception: what a helper function raises, other than a Trap.
        """
        return self.run(Machine(byte_order=self.byte_order, memory=memory, **platform), budget)

    def run(self, machine: Machine, budget: int = DEFAULT_BUDGET) -> Returned | Fault:
        """Run on ``machine``, which no program has run on yet. Other threads may run on machines that share maps.

        Raises:
            ValueError: the machine has the other byte order, or frames of another discipline.
            Exception: what a helper function raises, other than a Trap.
        """
        return self._run(self._shape, machine, budget, None)

    def _run(self, shape: Shape, machine: Machine, budget: int, accepted: Acceptance | None) -> Returned | Fault:
        if machine.byte_order != self.byte_order:
            raise ValueError(f"the program is {self.byte_order}-endian, but the machine {machine.byte_order}-endian")
        if type(machine.frames) is not Frames:
            raise ValueError(f"calls are compiled in: {type(machine.frames).__name__} is for the interpreter only")
        start = perf_counter()
        driver = Driver(shape.plan, self.program, machine, budget, ctypes.addressof(self._constants), accepted)
        outcome = driver.run(shape.address)
        self.timings.running += perf_counter() - start
        return outcome


class UncheckedProgram(CompiledProgram):
    """A program as machine code without checks.

    R1 to R9 may have addresses of the host in the outcome. If the program is not known to end within the
    budget of a run, code with a budget is compiled; it stops at the next loop header, or end of a local function, after
    the budget is spent. Code without a budget has 0 steps in its outcome.
    """

    __slots__ = ("_counting", "_level", "accepted")

    def __init__(self, shape: Shape, compiler: Compiler, program: Program, accepted: Acceptance) -> None:
        super().__init__(shape, program, compiler.byte_order, compiler.timings)
        self.accepted, self._level = accepted, compiler.level
        self._counting = shape if compiler.style.counted else None

    def run(self, machine: Machine, budget: int = DEFAULT_BUDGET) -> Returned | Fault:
        """Run on ``machine``, which no program has run on yet.

        Raises:
            ValueError: the machine has the other byte order, or is not what the program was accepted for.
        """
        accepted = self.accepted
        found = surroundings_of(machine)
        if found != accepted.surroundings:
            raise ValueError(f"the program was accepted for {accepted.surroundings}, not for {found}")
        shape = self._shape
        if accepted.most_steps is None or accepted.most_steps > budget:
            if self._counting is None:
                compiler = _trusting(self.byte_order, self._level, accepted, counted=True)
                self._counting = compiler.shape_of(self.program, accepted.entry)
            shape = self._counting
        return self._run(shape, machine, budget, accepted)


def compile(
    code: bytes | Program,
    *,
    byte_order: ByteOrder = "little",
    table: Isa | None = None,
    level: Level = "full",
    entry: int = 0,
    accepted: Acceptance | None = None,
) -> CompiledProgram:
    """Compile one program that begins at slot ``entry``; ``table`` decodes bytes (RFC 9669's if None).

    With ``accepted`` its accesses are not checked, and an :class:`UncheckedProgram` is returned.

    Raises:
        DecodeError: the bytes are no program of ``table``.
        NotAccepted: ``accepted`` is about another program, or another instruction set than that of RFC 9669.
        NotLowerable: the program cannot be compiled.
        Unavailable: llvmlite cannot be used here.
    """
    program = code if isinstance(code, list) else decode(code, byte_order, table)
    if accepted and (accepted.entry, accepted.digest) != (entry, digest_of(program, byte_order)):
        raise NotAccepted("the acceptance is about another program")
    if accepted and program != decode(encode(program, byte_order), byte_order):
        raise NotAccepted("the program has instructions that are not those of RFC 9669")
    if accepted is None:
        (compiled,) = Compiler(byte_order, level=level).compile([program], entry)
        return compiled
    compiler = _trusting(byte_order, level, accepted, counted=accepted.most_steps is None)
    return UncheckedProgram(compiler.shape_of(program, entry), compiler, program, accepted)


def _trusting(byte_order: ByteOrder, level: Level, accepted: Acceptance, *, counted: bool) -> Compiler:
    in_input = frozenset(slot for slot, place in accepted.places if place.kind == "input")
    return Compiler(byte_order, level=level, checked=False, counted=counted, in_input=in_input)


class Compiler:
    """Compiles programs of one byte order, many at a time; programs of one shape share their code."""

    def __init__(
        self,
        byte_order: ByteOrder = "little",
        *,
        level: Level = "fast",
        checked: bool = True,
        counted: bool = True,
        in_input: frozenset[int] = frozenset(),
        timings: Timings | None = None,
    ) -> None:
        self.byte_order, self.level = byte_order, level
        self.timings = timings or Timings()
        self.style = Style(
            byte_order=byte_order,
            swapped=byte_order != sys.byteorder,
            optimized=level == "full",
            checked=checked,
            counted=counted,
            in_input=in_input,
        )
        #: The shapes that were compiled last, the latest at the end.
        self._shapes: OrderedDict[Hashable, Shape] = OrderedDict()

    def compile(self, programs: Sequence[Program], entry: int = 0) -> list[CompiledProgram]:
        """Compile ``programs``, which begin at slot ``entry``, in one module.

        Raises:
            NotLowerable, Unavailable: see :func:`compile`.
        """
        return [
            CompiledProgram(shape, program, self.byte_order, self.timings)
            for shape, program in zip(self._shapes_of(programs, entry), programs, strict=True)
        ]

    def shape_of(self, program: Program, entry: int = 0) -> Shape:
        """Compile one program.

        Raises:
            NotLowerable, Unavailable: see :func:`compile`.
        """
        (shape,) = self._shapes_of([program], entry)
        return shape

    def _shapes_of(self, programs: Sequence[Program], entry: int) -> list[Shape]:
        start = perf_counter()
        shapes = [shape_of(program, entry) for program in programs]
        ready = {shape: self._shapes[shape] for shape in shapes if shape in self._shapes}
        plans = {shape: program for shape, program in zip(shapes, programs, strict=True) if shape not in ready}
        missing = {shape: plan_of(program, entry) for shape, program in plans.items()}
        self.timings.lowering += perf_counter() - start
        ready |= self._generate(missing, self.level)
        for shape in shapes:
            self._shapes[shape] = ready[shape]
            self._shapes.move_to_end(shape)
        while len(self._shapes) > _KEPT_SHAPES:
            self._shapes.popitem(last=False)
        self.timings.programs += len(programs)
        return [ready[shape] for shape in shapes]

    def _generate(self, plans: dict[Hashable, Plan], level: Level) -> dict[Hashable, Shape]:
        """Compile ``plans``, without optimisation if they are too large."""
        start = perf_counter()
        lowered: dict[Hashable, tuple[str, Plan]] = {}
        rest: dict[Hashable, Plan] = {}
        lines = [DECLARATIONS]
        numbers = count(FREE_METADATA)
        style = replace(self.style, optimized=level == "full")
        for shape, plan in plans.items():
            name = f"p{len(lowered)}"
            try:
                lines += self._lower(plan, style, name, numbers)
            except TooLarge:
                if level == "fast":
                    raise
                rest[shape] = plan
            else:
                lowered[shape] = name, plan
        lines.append(METADATA)
        self.timings.lowering += perf_counter() - start
        made: dict[Hashable, Shape] = {}
        if lowered:
            try:
                code = generate("\n".join(lines), [name for name, _ in lowered.values()], level, self.timings)
            except Unresolved as error:
                if level == "fast":
                    raise NotLowerable(str(error)) from None
                rest |= {shape: plan for shape, (_, plan) in lowered.items()}
            else:
                made = {
                    shape: Shape(plan, code, code.addresses[name], level) for shape, (name, plan) in lowered.items()
                }
        return made | self._generate(rest, "fast") if rest else made

    @staticmethod
    def _lower(plan: Plan, style: Style, name: str, numbers: Iterator[int]) -> list[str]:
        if not style.optimized:
            return lower_program(plan, style, name, numbers, MOST_LINES)
        if plan.size() > MOST_LINES_OPTIMIZED:
            raise TooLarge("the program is too large to be optimised: it has too many instructions")
        if sum(len(loop_heads(plan.successors(function))) for function in plan.functions) > MOST_LOOPS_OPTIMIZED:
            raise TooLarge("the program is too large to be optimised: it has too many loops")
        return lower_program(plan, style, name, numbers, MOST_LINES_OPTIMIZED)

    def clear(self) -> None:
        """Clear the cache; code that a program uses is freed with the program."""
        self._shapes.clear()

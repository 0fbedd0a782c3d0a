# SPDX-License-Identifier: Apache-2.0
"""Compiled programs: ``compile(code)(memory)`` gives what :func:`bpf_isa.reference_vm.interpreter.execute` gives."""

from __future__ import annotations

import ctypes
import sys
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from time import perf_counter

from ...reference_vm.faults import Fault, Returned
from ...reference_vm.interpreter import DEFAULT_BUDGET
from ...reference_vm.machine import ArrayMap, Helper, Machine
from ...spec.encoding import ByteOrder, Program, decode
from ...spec.table import Isa
from .driver import Driver
from .emit import FREE_METADATA, METADATA
from .functions import lower_program
from .llvm import Code, Level, Timings, generate
from .plan import Plan, plan_of, shape_of
from .state import Style
from .support import DECLARATIONS
from .trust import Acceptance, NotAccepted, digest_of

#: How many shapes a compiler keeps the code of, in case that another program has the same.
_KEPT_SHAPES = 512


@dataclass(frozen=True, slots=True)
class Shape:
    """Code for all programs that differ in the numbers of their 64-bit constants only."""

    plan: Plan
    code: Code
    address: int


class CompiledProgram:
    """A program as machine code, to be run any number of times; freed when no longer referenced."""

    __slots__ = ("_constants", "_shape", "accepted", "byte_order", "program", "timings")

    def __init__(
        self,
        shape: Shape,
        program: Program,
        byte_order: ByteOrder,
        timings: Timings,
        accepted: Acceptance | None = None,
    ) -> None:
        self.program, self.byte_order, self.timings, self.accepted = program, byte_order, timings, accepted
        self._shape = shape
        values = shape.plan.values(program)
        self._constants = (ctypes.c_int32 * len(values))(*values)

    @property
    def address(self) -> int:
        """Where the code is."""
        return self._shape.address

    def __call__(
        self,
        memory: bytes | None = None,
        *,
        maps: Sequence[bytes | ArrayMap] = (),
        helpers: Mapping[int, Helper] | None = None,
        btf_helpers: Mapping[int, Helper] | None = None,
        variables: Mapping[int, bytes] | None = None,
        budget: int = DEFAULT_BUDGET,
    ) -> Returned | Fault:
        """Run on a new machine; see :class:`bpf_isa.reference_vm.machine.Machine` for what it has.

        Raises:
            Exception: what a helper function raises, other than a Trap.
        """
        machine = Machine(
            byte_order=self.byte_order,
            memory=memory,
            maps=maps,
            helpers=helpers,
            btf_helpers=btf_helpers,
            variables=variables,
        )
        return self.run(machine, budget)

    def run(self, machine: Machine, budget: int = DEFAULT_BUDGET) -> Returned | Fault:
        """Run on ``machine``, which no program has run on yet. Other threads may run on machines that share maps.

        Unchecked code does not count steps: they are 0 then.

        Raises:
            ValueError: the machine has the other byte order, or another size of memory than was accepted.
            Exception: what a helper function raises, other than a Trap.
        """
        if machine.byte_order != self.byte_order:
            raise ValueError(f"the program is {self.byte_order}-endian, but the machine {machine.byte_order}-endian")
        start = perf_counter()
        driver = Driver(self._shape.plan, self.program, machine, budget, ctypes.addressof(self._constants))
        if self.accepted:
            driver.trust(self.accepted.memory_bytes)
        outcome = driver.run(self._shape.address)
        self.timings.running += perf_counter() - start
        return outcome


def compile(
    code: bytes | Program,
    *,
    byte_order: ByteOrder = "little",
    table: Isa | None = None,
    level: Level = "full",
    entry: int = 0,
    accepted: Acceptance | None = None,
    timings: Timings | None = None,
) -> CompiledProgram:
    """Compile one program that begins at slot ``entry``; ``table`` decodes bytes (RFC 9669's if None).

    With ``accepted`` its accesses are not checked and it has no budget.

    Raises:
        DecodeError: the bytes are no program of ``table``.
        NotAccepted: ``accepted`` is about another program.
        NotLowerable: a row of ``table`` has a meaning of a shape that no row of RFC 9669 has.
        Unavailable: llvmlite cannot be used here.
    """
    program = code if isinstance(code, list) else decode(code, byte_order, table)
    if accepted and (accepted.entry, accepted.digest) != (entry, digest_of(program, byte_order)):
        raise NotAccepted("the acceptance is about another program")
    compiler = Compiler(byte_order, level=level, checked=accepted is None, timings=timings)
    (compiled,) = compiler.compile([program], entry)
    compiled.accepted = accepted
    return compiled


class Compiler:
    """Compiles programs of one byte order, many at a time; programs of one shape share their code."""

    def __init__(
        self,
        byte_order: ByteOrder = "little",
        *,
        level: Level = "fast",
        checked: bool = True,
        timings: Timings | None = None,
    ) -> None:
        self.byte_order, self.level = byte_order, level
        self.timings = timings or Timings()
        self.style = Style(
            byte_order=byte_order,
            swapped=byte_order != sys.byteorder,
            inline_checks=level == "full",
            checked=checked,
        )
        #: The shapes that were compiled last, the latest at the end.
        self._shapes: OrderedDict[Hashable, Shape] = OrderedDict()

    def compile(self, programs: Sequence[Program], entry: int = 0) -> list[CompiledProgram]:
        """Compile ``programs``, which begin at slot ``entry``, in one module.

        Raises:
            NotLowerable, Unavailable: see :func:`compile`.
        """
        start = perf_counter()
        shapes = [shape_of(program, entry) for program in programs]
        ready = {shape: self._shapes[shape] for shape in shapes if shape in self._shapes}
        plans = {shape: program for shape, program in zip(shapes, programs, strict=True) if shape not in ready}
        ready |= self._generate({shape: plan_of(program, entry) for shape, program in plans.items()}, start)
        for shape in shapes:
            self._shapes[shape] = ready[shape]
            self._shapes.move_to_end(shape)
        while len(self._shapes) > _KEPT_SHAPES:
            self._shapes.popitem(last=False)
        self.timings.programs += len(programs)
        return [
            CompiledProgram(ready[shape], program, self.byte_order, self.timings)
            for shape, program in zip(shapes, programs, strict=True)
        ]

    def _generate(self, plans: dict[Hashable, Plan], start: float) -> dict[Hashable, Shape]:
        if not plans:
            return {}
        lines = [DECLARATIONS]
        numbers = count(FREE_METADATA)
        names = [f"p{number}" for number in range(len(plans))]
        for name, plan in zip(names, plans.values(), strict=True):
            lines += lower_program(plan, self.style, name, numbers)
        lines.append(METADATA)
        source = "\n".join(lines)
        self.timings.lowering += perf_counter() - start
        code = generate(source, names, self.level, self.timings)
        return {
            shape: Shape(plan, code, code.addresses[name])
            for name, (shape, plan) in zip(names, plans.items(), strict=True)
        }

    def clear(self) -> None:
        """Forget what was compiled; code that a program still uses stays until that is gone."""
        self._shapes.clear()

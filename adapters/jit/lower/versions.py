# SPDX-License-Identifier: Apache-2.0
"""Loops in two versions: as they are, and without checks for as many iterations as are known to need none."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import reduce

from ..loops.forms import Sum
from ..loops.guards import Guard
from ..loops.loops import Indexed, Loop, Span, Sweep
from ..loops.places import State
from ..plan import Plan
from .emit import USUALLY, Operand, literal
from .memory import MemoryLowering
from .state import Style

#: More iterations than any loop can have.
_MANY = 1 << 40
#: Longer steps than this are not worth counting.
_LONGEST_STEP = 1 << 30


class LoopLowering(MemoryLowering):
    """Writes the version of a loop without checks, and the decision which version to take."""

    def __init__(self, plan: Plan, style: Style, numbers: Iterator[int], places: dict[int, State]) -> None:
        super().__init__(plan, style, numbers, places)
        #: Which of the copies of the loop without checks is being written, and how many there are.
        self.copy, self.copies = 0, 1
        #: Jumps of that loop that are known to stay inside, with the block that they lead to.
        self.guarded: dict[int, int] = {}

    @abstractmethod
    def write_block(self, first: int) -> None:
        """Write the block at ``first``."""

    def quick_label(self, slot: int) -> str:
        """Return the label of the block at ``slot`` of the loop without checks, to jump to from inside of it."""
        assert self.quick
        if slot != self.quick.header:
            return f"q{slot}.{self.copy}"
        return f"q{slot}.{self.copy + 1}" if self.copy + 1 < self.copies else f"k{slot}"

    def quick_loop(self, loop: Loop) -> None:
        """Write the decision which version of ``loop`` to take, and the one without checks.

        Where nothing but the budget limits the latter, it does ``loop.copies`` iterations at a time as long as the
        budget allows for; then it is decided again. Otherwise the number of iterations is worked out first; they are
        counted, or, if they do not all take the same part of the budget, the instructions that they take at least.
        """
        header, alike = loop.header, loop.least == loop.most
        self.begin(f"b{header}")
        self.values.clear()
        self.slot = header
        go, iterations = self._prospects(loop)
        copies = self.copies = 1 if iterations else loop.copies
        dearest = loop.most * copies
        left = self.value("load i64, ptr %left")
        go = self.binary("and", 1, go, self.compare("sge", 64, left, dearest))
        stop: Operand = dearest
        trips: Operand = 0
        if iterations:
            if alike:
                iterations.append(self.binary("udiv", 64, left, dearest))
            trips = reduce(self._least, iterations)
            go = self.binary("and", 1, go, self.compare("ne", 64, trips, 0))
            if alike:
                self.line(f"store i64 {literal(trips, 64)}, ptr %trips")
            else:
                span = self.binary("mul", 64, self.binary("sub", 64, self._least(trips, _MANY), 1), loop.least)
                bound = self.value(f"call i64 @llvm.usub.sat.i64(i64 {left}, i64 {span})")
                stop = self.value(f"call i64 @llvm.umax.i64(i64 {bound}, i64 {dearest})")
        self.quick = loop
        self.branch(go, f"q{header}.0", f"c{header}", USUALLY)
        for self.copy in range(copies):
            for first in loop.blocks:
                self.write_block(first)
        self.begin(f"k{header}")
        if iterations and alike:
            trips = self.binary("sub", 64, self.value("load i64, ptr %trips"), 1)
            self.line(f"store i64 {trips}, ptr %trips")
            again, otherwise = self.compare("ne", 64, trips, 0), f"c{header}"
        else:
            again, otherwise = self.compare("sge", 64, self.value("load i64, ptr %left"), stop), f"b{header}"
        hint = self.loop_hint(loop.unrolled if copies == 1 else 0)
        self.branch(again, f"q{header}.0", otherwise, USUALLY + hint)
        self.quick = None
        self.swept.clear()

    def _prospects(self, loop: Loop) -> tuple[Operand, list[Operand]]:
        """Return whether the loop can be done without checks at all, and if so, for how many iterations at most."""
        go: Operand = 1
        iterations: list[Operand] = []
        for span in loop.spans if self.style.checked else ():
            if isinstance(span, Indexed):
                inside, region = self.indexed(span)
                go = self.binary("and", 1, go, inside)
            else:
                number, region = self.sweep(span)
                iterations.append(number)
            for access in span.accesses:
                self.swept[access] = region
        self.guarded = {guard.slot: guard.inside for guard in loop.guards}
        return go, [*iterations, *(self.holding(guard) for guard in loop.guards)]

    def _least(self, one: Operand, other: Operand) -> Operand:
        return self.value(f"call i64 @llvm.umin.i64(i64 {literal(one, 64)}, i64 {literal(other, 64)})")

    # For how many iterations

    def sum_of(self, form: Sum) -> Operand:
        """Return the sum of registers and number, where an iteration begins."""
        total: Operand = form.number
        for register in form.registers:
            total = self.binary("add", 64, self.read(register), total)
        return total

    def region_of(self, span: Span) -> tuple[str, Operand, str, Operand]:
        """Return the region of ``span``: where the host has it, and its address; and where in it ``span`` begins.

        At last, how many offsets in the region have enough bytes.
        """
        host, base, room = self._likely_region(span.high - span.low, writes=span.writes, place=span.place)
        address = self.sum_of(Sum(span.registers, span.low))
        return host, base, self.binary("sub", 64, address, base), room

    def indexed(self, span: Indexed) -> tuple[Operand, tuple[str, Operand]]:
        """Return whether the accesses of ``span`` are inside of their region, in any iteration; and that region."""
        host, base, offset, room = self.region_of(span)
        value, bound, strict = span.fact
        most = self.value(f"call i64 @llvm.usub.sat.i64(i64 {literal(room, 64)}, i64 {offset})")
        highest = self.sum_of(bound)
        inside = self.compare("ule" if strict else "ult", 64, highest, most)
        if span.at_start:
            holds = self.compare("ult" if strict else "ule", 64, self.sum_of(value), highest)
            inside = self.binary("and", 1, inside, holds)
        return inside, (host, base)

    def sweep(self, sweep: Sweep) -> tuple[str, tuple[str, Operand]]:
        """Return for how many iterations the accesses of ``sweep`` are inside of their region, and that region."""
        host, base, offset, room = self.region_of(sweep)
        registers, number = sweep.step
        if registers or number > 0:
            rest = self.value(f"call i64 @llvm.usub.sat.i64(i64 {literal(room, 64)}, i64 {offset})")
            count = self._steps_in(rest, registers, number)
        else:
            inside = self.compare("ult", 64, offset, room)
            times: Operand = _MANY
            if number:
                times = self.binary("add", 64, self.binary("udiv", 64, offset, -number), 1)
            count = self.select(inside, 64, times, 0)
        return count, (host, base)

    def holding(self, guard: Guard) -> Operand:
        """Return for how many iterations the condition of ``guard`` is known to hold; it may be for more."""
        value, bound = self.sum_of(guard.value), self.sum_of(guard.bound)
        op = guard.op.removeprefix("s")
        if op != guard.op:
            value, bound = (self.binary("xor", 64, number, 1 << 63) for number in (value, bound))
        if guard.step < 0:
            value, bound = bound, value
        # Now the value, or in its place the bound, would have to grow.
        if op == "!=":
            return self._quotient(self.binary("sub", 64, bound, value), abs(guard.step))
        rest = self.value(f"call i64 @llvm.usub.sat.i64(i64 {literal(bound, 64)}, i64 {literal(value, 64)})")
        times = self._quotient(rest, abs(guard.step))
        if op in {"<", ">"}:
            return times
        holds = self.compare("ule", 64, value, bound)
        return self.select(holds, 64, self.binary("add", 64, times, 1), 0)

    def _quotient(self, dividend: Operand, divisor: int) -> Operand:
        return dividend if divisor == 1 else self.binary("udiv", 64, dividend, divisor)

    def _steps_in(self, rest: str, registers: tuple[int, ...], number: int) -> str:
        """Return how many steps begin in ``rest`` bytes, fewer than 2**32; none if a step is not between 1 and that."""
        if not registers:
            return self.binary("udiv", 64, self.binary("add", 64, rest, number - 1), number)
        step: Operand = number
        for register in registers:
            step = self.binary("add", 64, self.read(register), step)
        less = self.binary("sub", 64, step, 1)
        sensible = self.compare("ult", 64, less, _LONGEST_STEP)
        # Both are cut to 32 bits, which divide faster.
        parts = [self.value(f"trunc i64 {value} to i32") for value in (self.binary("add", 64, rest, less), step)]
        quotient = self.binary("udiv", 32, parts[0], self.select(sensible, 32, parts[1], 1))
        return self.select(sensible, 64, self.value(f"zext i32 {quotient} to i64"), 0)

# SPDX-License-Identifier: Apache-2.0
"""Trip counts: for how many iterations the checks and conditions of a loop are known to hold."""

from __future__ import annotations

from ..loops.forms import Sum
from ..loops.guards import Guard
from ..loops.loops import Indexed, Span, Sweep
from .emit import Operand, literal
from .memory import Memory
from .state import FunctionState

#: More iterations than any loop can have.
MANY = 1 << 40
#: Longer steps than this are not worth counting.
_LONGEST_STEP = 1 << 30


class TripCounts:
    """Computes trip counts where the first iteration begins."""

    def __init__(self, state: FunctionState, memory: Memory) -> None:
        self.emit, self.registers, self.memory = state.emit, state.registers, memory

    def least(self, one: Operand, other: Operand) -> Operand:
        """Return the lesser of two counts."""
        return self.emit.value(f"call i64 @llvm.umin.i64(i64 {literal(one, 64)}, i64 {literal(other, 64)})")

    def _sum(self, form: Sum) -> Operand:
        """Return the sum of registers and number, where an iteration begins."""
        total: Operand = form.number
        for register in form.registers:
            total = self.emit.binary("add", 64, self.registers.read(register), total)
        return total

    def _region(self, span: Span) -> tuple[str, Operand, str, Operand]:
        """Return the region of ``span``: where the host has it, and its address; and where in it ``span`` begins.

        At last, how many offsets in the region have enough bytes.
        """
        host, base, room = self.memory.likely_region(span.high - span.low, writes=span.writes, place=span.place)
        address = self._sum(Sum(span.registers, span.low))
        return host, base, self.emit.binary("sub", 64, address, base), room

    def indexed(self, span: Indexed) -> tuple[Operand, tuple[str, Operand]]:
        """Return whether the accesses of ``span`` are inside of their region, in any iteration; and that region."""
        host, base, offset, room = self._region(span)
        value, bound, strict = span.fact
        most = self.emit.value(f"call i64 @llvm.usub.sat.i64(i64 {literal(room, 64)}, i64 {offset})")
        highest = self._sum(bound)
        inside = self.emit.compare("ule" if strict else "ult", 64, highest, most)
        if span.at_start:
            holds = self.emit.compare("ult" if strict else "ule", 64, self._sum(value), highest)
            inside = self.emit.binary("and", 1, inside, holds)
        return inside, (host, base)

    def sweep(self, sweep: Sweep) -> tuple[str, tuple[str, Operand]]:
        """Return for how many iterations the accesses of ``sweep`` are inside of their region, and that region."""
        host, base, offset, room = self._region(sweep)
        registers, number = sweep.step
        if registers or number > 0:
            rest = self.emit.value(f"call i64 @llvm.usub.sat.i64(i64 {literal(room, 64)}, i64 {offset})")
            count = self._steps_in(rest, registers, number)
        else:
            inside = self.emit.compare("ult", 64, offset, room)
            times: Operand = MANY
            if number:
                times = self.emit.binary("add", 64, self.emit.binary("udiv", 64, offset, -number), 1)
            count = self.emit.select(inside, 64, times, 0)
        return count, (host, base)

    def holding(self, guard: Guard) -> Operand:
        """Return for how many iterations the condition of ``guard`` is known to hold; it may be for more."""
        value, bound = self._sum(guard.value), self._sum(guard.bound)
        op = guard.op.removeprefix("s")
        if op != guard.op:
            value, bound = (self.emit.binary("xor", 64, number, 1 << 63) for number in (value, bound))
        if guard.step < 0:
            value, bound = bound, value
        # Now the value, or in its place the bound, would have to grow.
        if op == "!=":
            return self._quotient(self.emit.binary("sub", 64, bound, value), abs(guard.step))
        rest = self.emit.value(f"call i64 @llvm.usub.sat.i64(i64 {literal(bound, 64)}, i64 {literal(value, 64)})")
        times = self._quotient(rest, abs(guard.step))
        if op in {"<", ">"}:
            return times
        holds = self.emit.compare("ule", 64, value, bound)
        return self.emit.select(holds, 64, self.emit.binary("add", 64, times, 1), 0)

    def _quotient(self, dividend: Operand, divisor: int) -> Operand:
        return dividend if divisor == 1 else self.emit.binary("udiv", 64, dividend, divisor)

    def _steps_in(self, rest: str, registers: tuple[int, ...], number: int) -> str:
        """Return how many steps begin in ``rest`` bytes, fewer than 2**32; none if a step is not between 1 and that."""
        if not registers:
            return self.emit.binary("udiv", 64, self.emit.binary("add", 64, rest, number - 1), number)
        step = self._sum(Sum(registers, number))
        less = self.emit.binary("sub", 64, step, 1)
        sensible = self.emit.compare("ult", 64, less, _LONGEST_STEP)
        # Both are cut to 32 bits, which divide faster.
        total = self.emit.binary("add", 64, rest, less)
        dividend, divisor = (self.emit.value(f"trunc i64 {value} to i32") for value in (total, step))
        quotient = self.emit.binary("udiv", 32, dividend, self.emit.select(sensible, 32, divisor, 1))
        return self.emit.select(sensible, 64, self.emit.value(f"zext i32 {quotient} to i64"), 0)

# SPDX-License-Identifier: Apache-2.0
"""Trip counts: for how many iterations the checks and conditions of a loop are known to hold."""

from __future__ import annotations

from ..loops.forms import Sum
from ..loops.guards import Guard
from ..loops.loops import Sweep
from .emit import Operand, literal
from .memory import Memory
from .state import FunctionState

#: More iterations than any loop can have.
MANY = 1 << 40


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

    def sweep(self, sweep: Sweep) -> tuple[Operand, tuple[str, Operand]]:
        """Return for how many iterations the accesses of ``sweep`` are inside their region.

        Also return that region: the pointer of the host to it, and its address.
        """
        host, base, room = self.memory.likely_region(sweep.high - sweep.low, writes=sweep.writes, place=sweep.place)
        offset = self.emit.binary("sub", 64, self._sum(Sum(sweep.registers, sweep.low)), base)
        if sweep.step > 0:
            rest = self.emit.value(f"call i64 @llvm.usub.sat.i64(i64 {literal(room, 64)}, i64 {offset})")
            count = self._quotient(self.emit.binary("add", 64, rest, sweep.step - 1), sweep.step)
        else:
            inside = self.emit.compare("ult", 64, offset, room)
            times: Operand = MANY
            if sweep.step:
                times = self.emit.binary("add", 64, self.emit.binary("udiv", 64, offset, -sweep.step), 1)
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

# SPDX-License-Identifier: Apache-2.0
"""Loop versioning: a version with checks, and one without checks for the iterations that need none."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from ..loops.loops import Loop
from .emit import USUALLY, Operand, literal
from .memory import Memory
from .state import FunctionState
from .trips import MANY, TripCounts


class Versions:
    """Writes the unchecked version of each loop, the choice between the versions, and the labels of both.

    The label of a block is ``b`` and its slot; that of a loop header is ``c``, since ``b`` is the decision. Labels of
    the version without checks begin with ``q``; ``k`` is the end of its iterations.
    """

    def __init__(self, state: FunctionState, memory: Memory, loops: dict[int, Loop]) -> None:
        self.state, self.emit, self.memory, self.loops = state, state.emit, memory, loops
        self.counts = TripCounts(state, memory)
        #: The loop whose version without checks is being written.
        self.quick: Loop | None = None
        #: Jumps of that loop that are known to stay inside, with the block that they lead to.
        self._guarded: dict[int, int] = {}

    def open(self) -> None:
        """Allocate the variable for iterations."""
        if self.loops:
            self.emit.line("%trips = alloca i64")

    def write(self, first: int, write_block: Callable[[int], None]) -> None:
        """Write the block at ``first`` with ``write_block``, after the version without checks of a loop there."""
        loop = self.loops.get(first)
        if loop:
            self._write_quick(loop, write_block)
        write_block(first)

    def label(self, first: int) -> str:
        """Return the label of the block at ``first`` that is being written."""
        if self.quick:
            return f"q{first}"
        return f"c{first}" if first in self.loops else f"b{first}"

    def target(self, slot: int) -> str:
        """Return the label of the block at ``slot``, to jump to from the block being written."""
        if not self.quick or slot not in self.quick.blocks:
            return f"b{slot}"
        return f"k{slot}" if slot == self.quick.header else f"q{slot}"

    def known_target(self, slot: int) -> int | None:
        """Return where the conditional jump at ``slot`` is known to lead, if a guard of the loop tells."""
        return self._guarded.get(slot) if self.quick else None

    def _write_quick(self, loop: Loop, write_block: Callable[[int], None]) -> None:
        """Write the decision which version of ``loop`` to take, and the one without checks.

        Where only the budget limits the latter, it iterates as long as the budget allows; then the decision is made
        again. Otherwise its trip count is computed first; iterations are counted, or, if they do not all take the same
        part of the budget, the instructions that they take at least.
        """
        budget = self._decide(loop)
        self.quick = loop
        for first in loop.blocks:
            write_block(first)
        self._repeat(loop, budget)
        self.quick = None
        self.memory.swept.clear()

    def _decide(self, loop: Loop) -> Operand | None:
        """Write the decision; return the least budget for another iteration, or None if iterations are counted."""
        emit, header = self.emit, loop.header
        emit.begin(f"b{header}")
        self.state.begin_block(header)
        trips = self._limits(loop)
        left = emit.value("load i64, ptr %left")
        go: Operand = emit.compare("sge", 64, left, loop.most)
        budget: Operand | None = loop.most
        if trips:
            if loop.least == loop.most:
                trips.append(emit.binary("udiv", 64, left, loop.most))
            least = reduce(self.counts.least, trips)
            go = emit.binary("and", 1, go, emit.compare("ne", 64, least, 0))
            if loop.least == loop.most:
                emit.line(f"store i64 {literal(least, 64)}, ptr %trips")
                budget = None
            else:
                span = emit.binary("mul", 64, emit.binary("sub", 64, self.counts.least(least, MANY), 1), loop.least)
                rest = emit.value(f"call i64 @llvm.usub.sat.i64(i64 {left}, i64 {span})")
                budget = emit.value(f"call i64 @llvm.umax.i64(i64 {rest}, i64 {loop.most})")
        emit.branch(go, f"q{header}", f"c{header}", USUALLY)
        return budget

    def _repeat(self, loop: Loop, budget: Operand | None) -> None:
        """Write the end of an iteration: do another one, or go on with the checked version, which may decide again."""
        emit, header = self.emit, loop.header
        emit.begin(f"k{header}")
        if budget is None:
            trips = emit.binary("sub", 64, emit.value("load i64, ptr %trips"), 1)
            emit.line(f"store i64 {trips}, ptr %trips")
            again, otherwise = emit.compare("ne", 64, trips, 0), f"c{header}"
        else:
            again, otherwise = emit.compare("sge", 64, emit.value("load i64, ptr %left"), budget), f"b{header}"
        emit.branch(again, f"q{header}", otherwise, USUALLY + emit.loop_hint(loop.unrolled))

    def _limits(self, loop: Loop) -> list[Operand]:
        """Return for how many iterations each sweep needs no check, and each guard is known to hold."""
        trips: list[Operand] = []
        for sweep in loop.sweeps if self.state.style.checked else ():
            number, region = self.counts.sweep(sweep)
            trips.append(number)
            self.memory.swept |= dict.fromkeys(sweep.accesses, region)
        self._guarded = {guard.slot: guard.inside for guard in loop.guards}
        return [*trips, *(self.counts.holding(guard) for guard in loop.guards)]

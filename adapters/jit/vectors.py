# SPDX-License-Identifier: Apache-2.0
"""Several iterations of a loop at once: each instruction on vectors that have a number for each of them.

The meaning of instructions is lowered as ever, with vectors in the place of integers. What goes from one iteration to
the next by an associative operator is put together within the vector first: a, a + b, a + b + c, a + b + c + d. So from
one vector to the next it takes one operation, and not one for each iteration.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn

from ...spec import tree as t
from .emit import USUALLY, Emitter, Operand, literal
from .forms import Sum
from .lanes import LANES, SCANNED, Lanes, Running, Stream
from .loops import Loop
from .memory import MemoryLowering
from .rows import ARITHMETIC, RowLowering

#: What an operator changes nothing with.
_NEUTRAL = {"+": 0, "^": 0, "|": 0, "&": -1, "*": 1}


class VectorLowering(MemoryLowering):
    """Writes the version of a loop that does LANES iterations at a time."""

    def sum_of(self, form: Sum) -> Operand:
        """Return the sum of registers and number, where an iteration begins."""
        total: Operand = form.number
        for register in form.registers:
            total = self.binary("add", 64, self.read(register), total)
        return total

    def stream_pointer(self, stream: Stream) -> str:
        """Return the host's pointer to what ``stream`` accesses in the iteration that begins now."""
        self.slot = stream.slot
        return self.pointer(self.sum_of(stream.start), stream.step, expression=stream.address, writes=stream.writes)

    def are_apart(self, streams: Sequence[tuple[Stream, Stream]], rounds: Operand) -> Operand:
        """Return whether the ``streams`` are known to be apart, as they have to be, for ``rounds`` iterations."""
        result: Operand = 1
        for pair in streams:
            one, other = (self.value(f"ptrtoint ptr {self.stream_pointer(stream)} to i64") for stream in pair)
            step, other_step = (stream.step for stream in pair)
            if step == other_step:
                distance = self.binary("add", 64, self.binary("sub", 64, one, other), LANES * step - 1)
                apart = self.compare("uge", 64, distance, LANES * step - 1)
            else:
                end = self.binary("add", 64, one, self.binary("mul", 64, rounds, step))
                other_end = self.binary("add", 64, other, self.binary("mul", 64, rounds, other_step))
                before, behind = self.compare("ule", 64, end, other), self.compare("ule", 64, other_end, one)
                apart = self.binary("or", 1, before, behind)
            result = self.binary("and", 1, result, apart)
        return result

    def vectors(self, loop: Loop, lanes: Lanes, rounds: Operand, otherwise: str) -> None:
        """Write what does as many of the next ``rounds`` iterations as are a multiple of LANES.

        It begins in the block being written and ends in one where the next iteration begins; where it does none, it
        leads to ``otherwise``.
        """
        setup, body, end = (f"{letter}{loop.header}" for letter in "stx")
        turns = self.binary("udiv", 64, rounds, LANES)
        some = self.compare("ne", 64, turns, 0)
        self.branch(self.binary("and", 1, some, self.are_apart(lanes.apart, rounds)), setup, otherwise, USUALLY)
        self.begin(setup)
        self.values.clear()
        first = {}
        for register, running in lanes.running.items():
            kind, value = running.node.left.type, self.read(register)
            first[register] = splat(self, self.cast(value, t.U64, kind), kind.bits), splat(self, value, 64)
        self.line(f"br label %{body}")
        self.begin(body)
        self.values.clear()
        at = len(self.lines)
        turn = TurnLowering(self, lanes, f"{body}.")
        turn.lower()
        for register, step in lanes.steps.items():
            if step:
                self.write(register, self.binary("add", 64, self.read(register), step * LANES))
        self.flush()
        left = self.binary("sub", 64, f"%{body}.left", 1)
        self.lines[at:at] = [
            _phi(f"%{body}.left", "i64", (literal(turns, 64), setup), (left, body)),
            *(
                _phi(name, turn.kind(bits), (begun, setup), (ended, body))
                for register in lanes.running
                for (name, bits, ended), begun in zip(turn.carried(register), first[register], strict=True)
            ),
        ]
        self.branch(self.compare("ne", 64, left, 0), body, end, USUALLY + self.loop_hint())
        self.begin(end)
        for register, slot in lanes.results.items():
            self.write(register, turn.last(slot, register))
        self.flush()
        if self.style.counted:
            spent = self.binary("mul", 64, turns, LANES * loop.most)
            rest = self.binary("sub", 64, self.value("load i64, ptr %left"), spent)
            self.line(f"store i64 {rest}, ptr %left")


class TurnLowering(RowLowering):
    """Lowers the instructions of a loop for LANES iterations, to lines that follow those of ``outer``.

    Registers of ``outer`` are those where the first of these iterations begins.
    """

    def __init__(self, outer: VectorLowering, lanes: Lanes, prefix: str) -> None:
        super().__init__(outer.byte_order, outer.numbers, swapped=outer.swapped, width=LANES, prefix=prefix)
        self.outer, self.found, self.prefix = outer, lanes, prefix
        self.running = {running.slot: (register, running) for register, running in lanes.running.items()}
        #: What was read of registers as the iterations begin, what instructions have written, and what goes on.
        self.begun: dict[int, Operand] = {}
        self.written: dict[tuple[int, int], Operand] = {}
        self.totals: dict[int, str] = {}

    def lower(self) -> None:
        """Write all instructions."""
        for slot in self.found.order:
            self.slot, self.item = slot, self.outer.plan.at(slot)
            self.locals.clear()
            for statement in self.item.instruction.means:
                self.statement(statement)
        self.outer.lines += self.lines

    def last(self, slot: int, register: int) -> Operand:
        """Return what the instruction at ``slot`` has written to a register in the last iteration."""
        value = self.written[slot, register]
        if isinstance(value, int):
            return value
        return self.outer.value(f"extractelement {self.kind(64)} {value}, i64 {LANES - 1}")

    def carried(self, register: int) -> list[tuple[str, int, str]]:
        """Return what goes from one turn to the next: the name that it has there, its bits, and what it becomes.

        It is what the operator is applied to, in all lanes, and all that the register had.
        """
        running = self.found.running[register]
        written = self.operand(self.written[running.slot, register], 64)
        return [
            (self._total(register), running.node.left.type.bits, self.totals[register]),
            (self._before(register), 64, written),
        ]

    def _total(self, register: int) -> str:
        return f"%{self.prefix}total{register}"

    def _before(self, register: int) -> str:
        return f"%{self.prefix}before{register}"

    # What surrounds an instruction

    def read(self, register: int) -> Operand:
        """Return the values of a register."""
        source = self.found.sources.get((self.slot, register))
        if source is not None:
            return self.written[source, register]
        if register not in self.begun:
            self.begun[register] = self._at_begin(register)
        return self.begun[register]

    def _at_begin(self, register: int) -> Operand:
        """Return the values of a register where each of the iterations begins."""
        if register in self.found.running:
            after = self.written[self.found.running[register].slot, register]
            return self._shuffle(64, self._before(register), after, range(LANES - 1, 2 * LANES - 1))
        first, step = self._same(self.outer.read(register), 64), self.found.steps[register]
        if not step:
            return first
        moves = ", ".join(f"i64 {literal(step * lane, 64)}" for lane in range(LANES))
        return self.binary("add", 64, first, f"<{moves}>")

    def write(self, register: int, value: Operand) -> None:
        """Set a register."""
        self.written[self.slot, register] = value

    def field(self, name: t.FieldName) -> Operand:
        """Return a field of the instruction."""
        self.outer.slot, self.outer.item = self.slot, self.item
        return self._same(self.outer.field(name), 32)

    def pointer(
        self, address: Operand, size: int, *, expression: t.Expr, reads: bool = False, writes: bool = False
    ) -> str:
        """Return the host's pointer to the first of the places, which follow one another."""
        return self.outer.stream_pointer(self.found.streams[self.slot])

    def _impossible(self, *_: object, **__: object) -> NoReturn:
        raise AssertionError(f"{self.item.instruction.name}: a loop with such an instruction is not done in vectors")

    platform = trap_if = settle = atomic_pointer = control = _impossible

    # Values

    def expression(self, node: t.Expr) -> Operand:
        """Lower ``node``; what goes through all iterations in a way of its own."""
        register, running = self.running.get(self.slot, (0, None))
        if running is None or node is not running.node:
            return super().expression(node)
        return self._run_through(register, running)

    def _run_through(self, register: int, running: Running) -> Operand:
        """Return what the register becomes in each iteration, and keep what it is after all of them."""
        op, bits = running.node.op, running.node.left.type.bits
        together = SCANNED[op]
        parts = self.expression(running.other)
        distance = 1
        while distance < LANES:
            places = [lane - distance if lane >= distance else LANES for lane in range(LANES)]
            moved = self._shuffle(bits, parts, _NEUTRAL[together], places)
            parts = self.binary(ARITHMETIC[together], bits, parts, moved)
            distance *= 2
        whole = self._shuffle(bits, parts, 0, [LANES - 1] * LANES)
        self.totals[register] = self.binary(ARITHMETIC[op], bits, self._total(register), whole)
        return self.binary(ARITHMETIC[op], bits, self._total(register), parts)

    def _shuffle(self, bits: int, one: Operand, other: Operand, places: Iterable[int]) -> str:
        """Return lanes of two vectors: those of ``one`` are counted first."""
        vectors = ", ".join(f"{self.kind(bits)} {self.operand(vector, bits)}" for vector in (one, other))
        return self.value(f"shufflevector {vectors}, <{LANES} x i32> <{', '.join(f'i32 {n}' for n in places)}>")

    def _same(self, value: Operand, bits: int) -> Operand:
        return value if isinstance(value, int) else splat(self, value, bits)


def splat(emitter: Emitter, value: Operand, bits: int) -> str:
    """Write a vector with ``value`` in all lanes."""
    kind = f"<{LANES} x i{bits}>"
    first = emitter.value(f"insertelement {kind} poison, i{bits} {literal(value, bits)}, i64 0")
    return emitter.value(f"shufflevector {kind} {first}, {kind} poison, <{LANES} x i32> zeroinitializer")


def _phi(name: str, kind: str, *incoming: tuple[str, str]) -> str:
    return f"{name} = phi {kind} {', '.join(f'[{value}, %{label}]' for value, label in incoming)}"

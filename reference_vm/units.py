# SPDX-License-Identifier: Apache-2.0
"""Units: parts of a program compiled to one Python function each, for programs that run long.

A unit has the instructions that are reachable by jumps from its entry. Local calls, returns and invalid control flow
are left to the interpreter (:mod:`.interpreter`), as is the rest of a budget that might end inside the unit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..spec import tree as t
from ..spec.control import Block, blocks, control_of, destination
from ..spec.encoding import Decoded
from . import flow
from .executable import Executable, RunUnit, Unit, writes_frame_pointer
from .faults import Trap
from .lowering import SUPPORT, Lowering, Term, number
from .rows import WORD, platform_call


class Line(NamedTuple):
    """A line of source, and the slot of its instruction."""

    indent: int
    text: str
    pc: int


def unit_at(executable: Executable, slot: int) -> Unit | None:
    """Return the unit with the entry ``slot``, compiled at the first request; None if that is not possible."""
    units = executable.units
    if slot not in units:
        unit = units[slot] = compile_unit(executable, slot)
        if unit:
            units.update((entry, unit) for entry in unit.entries if entry not in units)
    return units[slot]


def compile_unit(executable: Executable, entry: int) -> Unit | None:
    """Compile the unit with the entry ``entry``; None if its control flow is too complex for Python."""
    program = executable.program

    def leaves(slot: int, item: Decoded) -> bool:
        """Whether to leave ``item`` to the interpreter, so that the unit ends there."""
        control = control_of(item.instruction)
        lost = isinstance(control.transfer, t.Jump) and destination(program, slot, item) is None
        return lost or writes_frame_pointer(item) or not control.regular

    entries = {entry}
    found = blocks(program, entry, leaves, into_functions=False)
    for first, block in found.items():
        last = program[block.slots[-1]] if block.slots else None
        if last and isinstance(control_of(last.instruction).transfer, t.CallLocal | t.Return):
            entries.update(block.successors)
            found[first] = Block(block.slots[:-1], (), None)
    try:
        arranged = flow.plan({first: block.successors for first, block in found.items()}, entries)
    except flow.TooComplexError:
        return None
    return _Writer(executable, found, arranged).unit(frozenset(entries))


class _UnitLowering(Lowering):
    """Registers are local variables with known intervals; fields are constants."""

    def __init__(self, executable: Executable) -> None:
        super().__init__(executable.byte_order)
        self.reads: set[int] = set()
        self.written: set[int] = set()
        self.services: set[str] = set()

    def begin(self, pc: int, item: Decoded, bounds: dict[int, Term]) -> None:
        """Begin the instruction at ``pc``, where registers have ``bounds``."""
        self.pc, self.item, self.bounds = pc, item, bounds

    def _read(self, index: int) -> Term:
        self.reads.add(index)
        return self.bounds.get(index) or Term(f"r{index}", 0, WORD)

    def register(self, name: t.RegisterName) -> Term:
        return self._read(self.item.register(name))

    def _write(self, index: int, value: Term) -> list[str]:
        self.written.add(index)
        self.bounds[index] = value if value.known else Term(f"r{index}", value.low, value.high)
        return [f"r{index} = {value.text}"]

    def assign(self, name: t.RegisterName, value: Term) -> list[str]:
        return self._write(self.item.register(name), value)

    def field(self, field: t.Field) -> Term:
        return number(getattr(self.item, field.name))

    def platform(self, name: str, args: list[Term]) -> Term:
        self.services.add(name)
        return platform_call("", str(self.pc), name, args)

    def load(self, size: int, address: Term) -> str:
        self.services.add(f"load{size}")
        return f"load{size}({address.text})"

    def store(self, size: int, address: Term, value: Term) -> list[str]:
        self.services.add(f"store{size}")
        return [f"store{size}({address.text}, {value.text})"]

    def call_helper(self, by: str, helper: Term) -> list[str]:
        self.services.add("call_helper")
        arguments = ", ".join(self._read(index).text for index in range(1, 6))
        return self._write(0, Term(f'call_helper("{by}", {helper.text}, {arguments})', 0, WORD))

    def jump(self, distance: Term, condition: Term | None) -> list[str]:
        raise AssertionError("a block ends before a jump")

    def call_local(self, distance: Term) -> list[str]:
        raise AssertionError("a unit ends before a local call")

    def leave(self) -> list[str]:
        raise AssertionError("a unit ends before a return")


class _Writer:
    """Writes the function of a unit.

    In its source, ``n`` is the number of executed instructions, updated at the exits of a tree of blocks; ``b`` is the
    label variable (see :mod:`.flow`), and ``limit`` the last argument of :data:`RunUnit`.
    """

    def __init__(self, executable: Executable, blocks: dict[int, Block], arranged: flow.Plan) -> None:
        self.program, self.blocks, self.plan = executable.program, blocks, arranged
        self.lowering = _UnitLowering(executable)
        self.since: dict[int, int] = {}
        self.lines: list[Line] = []

    def unit(self, entries: frozenset[int]) -> Unit:
        """Write and compile the function."""
        self._sequence(self.plan.body, 2)
        low = self.lowering
        used = sorted(low.reads | low.written)
        put_back = [f"r[{index}] = r{index}" for index in sorted(low.written)]
        opening = [
            Line(0, "def unit(m, b, n, limit):", -1),
            Line(1, "r = m.registers", -1),
            *(Line(1, f"r{index} = r[{index}]", -1) for index in used),
            *(Line(1, f"{name} = m.{name}", -1) for name in sorted(low.services)),
            Line(1, "try:", -1),
        ]
        closing = [
            Line(1, "except Trap as trap:", -1),
            *(Line(2, text, -1) for text in put_back),
            Line(2, "locate(trap, n)", -1),
            Line(2, "raise", -1),
            Line(0, "", -1),
        ]
        leaving = "; ".join([*put_back, "return "])
        lines = opening + self.lines + closing
        source = "\n".join(" " * line.indent + line.text.replace("return ", leaving) for line in lines)
        slots = [-1, *(line.pc for line in lines)]
        since = self.since

        def locate(trap: Trap, executed: int) -> None:
            """Add to ``trap`` the slot of the line that raised it and the number of executed instructions."""
            assert trap.__traceback__ is not None
            pc = slots[trap.__traceback__.tb_lineno]
            trap.place = pc, executed + since[pc]

        names: dict[str, Any] = {**SUPPORT, "Trap": Trap, "locate": locate}
        exec(compile(source, "<unit>", "exec"), names)
        run: RunUnit = names["unit"]
        size = sum(len(block.slots) for block in self.blocks.values())
        return Unit(run, size, entries, source)

    def _sequence(self, sequence: flow.Sequence, indent: int) -> None:
        for item in sequence.items:
            if item.guard is not None:
                self.lines.append(Line(indent, f"if {_one_of(item.guard)}:", -1))
            inner = indent + (item.guard is not None)
            if item.loop:
                self.lines.append(Line(inner, "while True:", -1))
                label = "b" if item.block in self.plan.labels else str(item.block)
                self.lines.append(Line(inner + 1, f"if n > limit: return {label}, n", item.block))
                self._sequence(item.loop, inner + 1)
                self._after_loop(item, sequence, inner)
            else:
                lines, _ = self._tree(item.block, sequence, 0, {}, inner)
                self.lines += lines

    def _after_loop(self, item: flow.Item, around: flow.Sequence, indent: int) -> None:
        """Write the continuation after an inner loop that has exits out of the sequence."""
        ahead = item.exits & around.blocks - {around.head}
        beyond = item.exits - around.blocks
        if around.head in item.exits:
            alone = item.exits == {around.head}
            text = "continue" if alone else f"if b == {around.head}: continue"
            self.lines.append(Line(indent, text, -1))
        if beyond:
            text = f"if {_one_of(beyond)}: break" if ahead else "break"
            self.lines.append(Line(indent, text, -1))

    def _tree(
        self, start: int, sequence: flow.Sequence, executed: int, bounds: dict[int, Term], indent: int
    ) -> tuple[list[Line], bool]:
        """Return the lines of a block and the blocks nested in it, and whether their end is unreachable.

        ``executed`` is the number of instructions before it that ``n`` does not include.
        """
        block, low = self.blocks[start], self.lowering
        lines: list[Line] = []
        pc = end = start
        jump: t.Stmt | None = None
        for pc in block.slots:
            self.since[pc] = executed
            executed += 1
            item = self.program[pc]
            assert item is not None
            end = pc + item.instruction.slots
            low.begin(pc, item, bounds)
            jump = control_of(item.instruction).transfer
            means = item.instruction.means[:-1] if jump else item.instruction.means
            lines += (Line(indent, text, pc) for text in low.lines(means))
        if not block.successors:
            count = [Line(indent, f"n += {executed}", end)] if executed else []
            return [*lines, *count, Line(indent, f"return {end}, n", end)], True
        test = low.lower(jump.condition) if isinstance(jump, t.Jump) and jump.condition is not None else None
        if test is None or test.known:
            target = block.successors[0 if test is None or test.low else 1]
            rest, ends = self._arm(pc, target, sequence, executed, bounds, indent)
            return lines + rest, ends
        arms = [self._arm(pc, target, sequence, executed, dict(bounds), indent + 1) for target in block.successors]
        rest, ends = _condition(test, arms, indent, pc)
        return lines + rest, ends

    def _arm(
        self, pc: int, target: int, sequence: flow.Sequence, executed: int, bounds: dict[int, Term], indent: int
    ) -> tuple[list[Line], bool]:
        """Return the lines that continue at ``target`` after ``pc``, and whether their end is unreachable."""
        if target in self.plan.inlined and target != sequence.head:
            return self._tree(target, sequence, executed, bounds, indent)
        lines = [Line(indent, f"n += {executed}", pc)] if executed else []
        if target in self.plan.labels:
            lines.append(Line(indent, f"b = {target}", pc))
        if target == sequence.head:
            return [*lines, Line(indent, "continue", pc)], True
        if target in sequence.blocks:
            return lines, False
        return [*lines, Line(indent, "break", pc)], True


def _condition(test: Term, arms: list[tuple[list[Line], bool]], indent: int, pc: int) -> tuple[list[Line], bool]:
    """Return the lines of ``if test: first arm; else: second arm``, without an else where possible."""
    (then, then_ends), (otherwise, otherwise_ends) = arms
    if_true, if_false = Line(indent, f"if {test.text}:", pc), Line(indent, f"if not {test.text}:", pc)
    if then_ends:
        return [if_true, *then, *_dedent(otherwise)], otherwise_ends
    if otherwise_ends:
        return [if_false, *otherwise, *_dedent(then)], then_ends
    if not then:
        return [if_false, *otherwise] if otherwise else [], False
    if not otherwise:
        return [if_true, *then], False
    return [if_true, *then, Line(indent, "else:", pc), *otherwise], False


def _dedent(lines: list[Line]) -> list[Line]:
    return [line._replace(indent=line.indent - 1) for line in lines]


def _one_of(blocks: frozenset[int]) -> str:
    if len(blocks) == 1:
        return f"b == {min(blocks)}"
    return f"b in ({', '.join(str(block) for block in sorted(blocks))})"

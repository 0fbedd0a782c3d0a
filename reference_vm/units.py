# SPDX-License-Identifier: Apache-2.0
"""Units: part of a program as one Python function, for programs that run long.

A unit holds what can be reached from where it is entered by jumps. It does not change what a program does: local calls,
returns and whatever goes wrong with control are left to the interpreter (:mod:`.interpreter`), at the slot where they
are, and so is the rest of a budget that might end inside of the unit.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal, NamedTuple

from ..spec import tree as t
from ..spec.encoding import Decoded
from ..spec.table import Instruction
from . import flow
from .executable import Executable, RunUnit, Unit, writes_frame_pointer
from .faults import Trap
from .lowering import SUPPORT, Lowering, Term, number
from .rows import WORD, platform_call

_CONTROL: Final = (t.Jump, t.CallLocal, t.Return)


class Line(NamedTuple):
    """A line of source, and the slot that it belongs to."""

    indent: int
    text: str
    pc: int


class Block:
    """Instructions one after the other, from slot ``start``.

    Then comes a jump to ``targets``: the slot where to go on, after the slot to which ``branch`` leads if its
    condition holds. Without targets the unit ends there, before slot ``end``.
    """

    __slots__ = ("branch", "end", "instructions", "start", "targets")

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        self.instructions: list[tuple[int, Decoded]] = []
        self.branch: Decoded | None = None
        self.targets: tuple[int, ...] = ()


def unit_at(executable: Executable, slot: int) -> Unit | None:
    """Return the unit to be entered at ``slot``, made at the first request; None if there can be none."""
    units = executable.units
    if slot not in units:
        unit = units[slot] = compile_unit(executable, slot)
        if unit:
            units.update((entry, unit) for entry in unit.entries if entry not in units)
    return units[slot]


def compile_unit(executable: Executable, entry: int) -> Unit | None:
    """Make the unit that is entered at slot ``entry``; None if its control flow is too complex for Python."""
    blocks, entries = _Explorer(executable).blocks_from(entry)
    try:
        arranged = flow.plan({start: block.targets for start, block in blocks.items()}, entries)
    except flow.TooComplexError:
        return None
    return _Writer(executable, blocks, arranged).unit(frozenset(entries))


class _Explorer:
    """Divides what can be reached into blocks."""

    def __init__(self, executable: Executable) -> None:
        self.executable = executable
        self.lowering = _UnitLowering(executable)

    def blocks_from(self, entry: int) -> tuple[dict[int, Block], set[int]]:
        """Return the blocks by slot, in order, and where the unit can be entered: also after each local call."""
        entries = {entry}
        leaders: set[int] = {entry}
        after: dict[int, tuple[int, ...] | None] = {}
        todo = [entry]
        while todo:
            pc = todo.pop()
            if pc in after:
                continue
            after[pc] = targets = self._targets(pc)
            if targets is None:
                following = self._return_point(pc)
                if following is not None:
                    entries.add(following)
                    leaders.add(following)
                    todo.append(following)
                continue
            item = self.executable.program[pc]
            if item and _transfer(item.instruction) == "jump":
                leaders.update(targets)
            todo += targets
        return {start: self._block(start, leaders, after) for start in sorted(leaders)}, entries

    def _block(self, start: int, leaders: set[int], after: dict[int, tuple[int, ...] | None]) -> Block:
        block = Block(start)
        pc = start
        while True:
            targets = after[pc]
            item = self.executable.program[pc] if pc < len(self.executable.program) else None
            block.end = pc
            if targets is None or item is None:
                return block
            if _transfer(item.instruction) == "jump":
                block.branch = item
                block.targets = targets
                return block
            block.instructions.append((pc, item))
            pc = targets[0]
            if pc in leaders:
                block.targets = targets
                return block

    def _targets(self, pc: int) -> tuple[int, ...] | None:
        """Return the slots that can follow, that of a jump taken first; None if the unit is left before ``pc``."""
        program = self.executable.program
        item = program[pc] if pc < len(program) else None
        if item is None or writes_frame_pointer(item):
            return None
        following = self._following(pc)
        transfer = _transfer(item.instruction)
        if transfer == "none":
            return (following,)
        if transfer != "jump":
            return None
        jump = item.instruction.means[-1]
        assert isinstance(jump, t.Jump)
        self.lowering.begin(pc, item, {})
        distance = self.lowering.lower(jump.distance)
        target = following + distance.low
        if not distance.known or not self.executable.has_instruction_at(target):
            return None
        return (target,) if jump.condition is None else (target, following)

    def _following(self, pc: int) -> int:
        return self.executable.operations[pc][1]

    def _return_point(self, pc: int) -> int | None:
        item = self.executable.program[pc] if pc < len(self.executable.program) else None
        return self._following(pc) if item and _transfer(item.instruction) == "call" else None


@lru_cache(maxsize=2048)
def _transfer(row: Instruction) -> Literal["none", "jump", "call", "other"]:
    """Return how a row transfers control: by a jump at its end, a local call, or something else, if at all."""
    found = [node for node in t.walk(*row.means) if isinstance(node, _CONTROL)]
    if not found:
        return "none"
    if any(isinstance(node, t.CallLocal) for node in found):
        return "call"
    (*before, last) = found
    return "jump" if isinstance(last, t.Jump) and last is row.means[-1] and not before else "other"


class _UnitLowering(Lowering):
    """Spells registers as variables and knows the fields; registers have the bounds that the lines before leave."""

    def __init__(self, executable: Executable) -> None:
        super().__init__(executable.byte_order)
        self.reads: set[int] = set()
        self.written: set[int] = set()
        self.services: set[str] = set()

    def begin(self, pc: int, item: Decoded, bounds: dict[int, Term]) -> None:
        """Turn to the instruction at ``pc``, where registers have ``bounds``."""
        self.pc, self.item, self.bounds = pc, item, bounds

    def _index(self, name: t.RegisterName) -> int:
        if name == "dst":
            return self.item.dst
        return self.item.src if name == "src" else int(name.removeprefix("r"))

    def _read(self, index: int) -> Term:
        self.reads.add(index)
        return self.bounds.get(index) or Term(f"r{index}", 0, WORD)

    def register(self, name: t.RegisterName) -> Term:
        return self._read(self._index(name))

    def _write(self, index: int, value: Term) -> list[str]:
        self.written.add(index)
        self.bounds[index] = value if value.known else Term(f"r{index}", value.low, value.high)
        return [f"r{index} = {value.text}"]

    def assign(self, name: t.RegisterName, value: Term) -> list[str]:
        return self._write(self._index(name), value)

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

    In its source, ``n`` counts executed instructions; it is brought up to date where a tree of blocks is left. ``b``
    tells which block is next where that is not clear, ``limit`` is the last argument of :data:`RunUnit`.
    """

    def __init__(self, executable: Executable, blocks: dict[int, Block], arranged: flow.Plan) -> None:
        self.blocks, self.plan = blocks, arranged
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
            """Tell ``trap`` the slot of the line that raised it and how many instructions were executed."""
            assert trap.__traceback__ is not None
            pc = slots[trap.__traceback__.tb_lineno]
            trap.place = pc, executed + since[pc]

        names: dict[str, object] = {**SUPPORT, "Trap": Trap, "locate": locate}
        exec(compile(source, "<unit>", "exec"), names)
        run: RunUnit = names["unit"]  # type: ignore[assignment]  # defined by the source
        size = sum(len(block.instructions) + (block.branch is not None) for block in self.blocks.values())
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
        """Go on from where a loop inside another one was left for somewhere outside of the sequence."""
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
        """Return the lines of a block and the blocks written inside it, and whether their end is never reached.

        ``executed`` instructions precede it since ``n`` was last brought up to date.
        """
        block, low = self.blocks[start], self.lowering
        lines: list[Line] = []
        for pc, item in block.instructions:
            self.since[pc] = executed
            executed += 1
            low.begin(pc, item, bounds)
            lines += (Line(indent, text, pc) for text in low.lines(item.instruction.means))
        if block.branch is None:
            if not block.targets:
                count = [Line(indent, f"n += {executed}", block.end)] if executed else []
                return [*lines, *count, Line(indent, f"return {block.end}, n", block.end)], True
            rest, ends = self._arm(start, block.targets[0], sequence, executed, bounds, indent)
            return lines + rest, ends
        pc, item = block.end, block.branch
        self.since[pc] = executed
        executed += 1
        low.begin(pc, item, bounds)
        *before, jump = item.instruction.means
        lines += (Line(indent, text, pc) for text in low.lines(tuple(before)))
        assert isinstance(jump, t.Jump)
        test = None if jump.condition is None else low.lower(jump.condition)
        if test is None or test.known:
            target = block.targets[0 if test is None or test.low else 1]
            rest, ends = self._arm(start, target, sequence, executed, bounds, indent)
            return lines + rest, ends
        arms = [self._arm(start, target, sequence, executed, dict(bounds), indent + 1) for target in block.targets]
        rest, ends = _condition(test, arms, indent, pc)
        return lines + rest, ends

    def _arm(
        self, start: int, target: int, sequence: flow.Sequence, executed: int, bounds: dict[int, Term], indent: int
    ) -> tuple[list[Line], bool]:
        """Return the lines that go on at ``target``, and whether their end is never reached."""
        pc = self.blocks[start].end
        if target in self.plan.inlined and target not in (sequence.head, start):
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
    """Return the lines of ``if test: first arm; else: second arm``, as flat as can be."""
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

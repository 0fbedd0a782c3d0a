# SPDX-License-Identifier: Apache-2.0
"""From a program to LLVM IR: a function for the program and one for each of its local functions.

Registers are local variables of these functions (LLVM turns them into values), so a local call needs no code to save
and restore R6 to R9. Within a basic block values are passed on directly. A block pays for all of its instructions
when it is entered; where too little is left of the budget, or an instruction cannot be executed, the registers are
put into the words that are shared with the driver (:mod:`..layout`), and all functions return.
"""

from __future__ import annotations

from collections.abc import Iterator

from ....reference_vm.executable import writes_frame_pointer
from ....spec import tree as t
from ....spec.control import destination, loop_heads
from ..errors import TooLarge
from ..layout import Trap, Word
from ..loops.loops import loops_of
from ..loops.places import State, places_of
from ..plan import Plan
from .emit import Emitter, Operand, literal
from .linkage import Linkage
from .memory import Memory
from .rows import Rows, Transfer
from .state import FunctionState, Style
from .versions import Versions


def lower_program(plan: Plan, style: Style, name: str, numbers: Iterator[int], most_lines: int) -> list[str]:
    """Return the lines of the function ``name``, which runs the program, and of those it calls.

    ``numbers`` gives numbers for metadata that nothing else in the module has.

    Raises:
        TooLarge: there would be more than ``most_lines``.
        NotLowerable: see there.
    """
    lines: list[str] = []
    places = places_of(plan) if style.optimized else {}
    entry = next(iter(plan.functions))
    for function, is_program in ((entry, True), *((function, False) for function in sorted(plan.called))):
        state = FunctionState(plan, style, Emitter(numbers))
        linkage = Linkage(state, function, name, is_program=is_program)
        lines += Function(state, linkage, places, most_lines - len(lines)).lower()
    return lines


class Function:
    """Lowers the blocks that are reached from the entry of a function without a call, to at most ``most_lines``."""

    def __init__(self, state: FunctionState, linkage: Linkage, places: dict[int, State], most_lines: int) -> None:
        plan, style = state.plan, state.style
        self.state, self.plan, self.style, self.emit, self.linkage = state, plan, style, state.emit, linkage
        self.most_lines = most_lines
        loops = loops_of(plan, linkage.entry, places) if style.optimized else {}
        #: How often LLVM should unroll the loops that are written in one version.
        self.unrolled = {} if style.counted else {header: loop.unrolled for header, loop in loops.items()}
        # LLVM makes use of the base of pointers where it vectorises; elsewhere plain numbers are quicker.
        chained = {first for loop in loops.values() if loop.chained for first in loop.blocks}
        based = style.in_input.difference(slot for first in chained for slot in plan.blocks[first].slots)
        self.memory = Memory(state, places, frozenset() if style.counted else based)
        self.rows = Rows(state, self.memory)
        self.versions = Versions(state, self.memory, loops if style.counted else {})
        #: Blocks where unchecked code looks at its budget: every loop has one.
        self.gates = loop_heads(plan.successors(linkage.entry)) if style.counted and not style.checked else set()

    def lower(self) -> list[str]:
        """Return the lines of the function."""
        self.linkage.open()
        self.versions.open()
        self.linkage.open_frame()
        self.memory.open_regions()
        self.emit.line(f"br label %b{self.linkage.entry}")
        for first in self.plan.functions[self.linkage.entry]:
            self.versions.write(first, self._write_block)
        self.linkage.close()
        return self.emit.lines + self.emit.metadata

    # Blocks

    def _write_block(self, first: int) -> None:
        """Write the block at ``first``; the end of the program is one without instructions."""
        slots = self.plan.blocks[first].slots
        self.emit.begin(self.versions.label(first))
        self._enter(first, max(1, len(slots)))
        if not slots:
            self.state.stop(Trap.FELL_OFF_END)
        for slot in slots:
            self.state.move_to(slot)
            if writes_frame_pointer(self.state.item):
                self.state.stop(Trap.FRAME_POINTER_WRITE)
            else:
                self.rows.instruction(self._transfer)
            if len(self.emit.lines) > self.most_lines:
                raise TooLarge("the program is too large: it would take too many lines of LLVM IR")
            if self.state.ended:
                break
        if not self.state.ended:
            self._go(self._next_slot())

    def _enter(self, slot: int, cost: int) -> None:
        """Begin a block that takes ``cost`` of the budget."""
        self.state.begin_block(slot)
        if self.style.counted:
            left = self.emit.value(f"sub i64 {self.emit.value('load i64, ptr %left')}, {cost}")
            self.emit.line(f"store i64 {left}, ptr %left")
            if not self.versions.quick and (self.style.checked or slot in self.gates):
                self.state.trap_if(self.emit.compare("slt", 64, left, 0), Trap.BUDGET)

    def _next_slot(self) -> int:
        return self.state.slot + self.state.item.instruction.slots

    def _go(self, slot: int) -> None:
        self.state.end_block(self.versions.target(slot))

    # Control

    def _transfer(self, statement: Transfer) -> None:
        """Lower what leaves the straight line."""
        match statement:
            case t.Jump(_, condition):
                self._jump(None if condition is None else self.rows.expression(condition))
            case t.CallHelper(by, number):
                self._call_helper(by, self.rows.cast(self.rows.expression(number), number.type, t.U64))
            case t.CallLocal():
                target = self._destination()
                self.state.stop(Trap.BAD_JUMP) if target is None else self.linkage.call(target)
            case t.Return():
                self.linkage.leave()

    def _destination(self) -> int | None:
        return destination(self.plan.program, self.state.slot, self.state.item)

    def _jump(self, condition: Operand | None) -> None:
        known = self.versions.known_target(self.state.slot)
        target = self._destination() if known is None else known
        if target is None:
            self.state.stop(Trap.BAD_JUMP) if condition is None else self.state.trap_if(condition, Trap.BAD_JUMP)
        elif condition is None or known is not None:
            self._go(target)
        else:
            self.state.registers.flush()
            following = self.versions.target(self._next_slot())
            backward = target <= self.state.slot and not self.versions.quick
            hint = self.emit.loop_hint(self.unrolled.get(target, 0)) if backward else ""
            self.emit.branch(condition, self.versions.target(target), following, hint)
            self.state.ended = True

    def _call_helper(self, by: str, number: Operand) -> None:
        registers = self.state.registers
        registers.flush()
        function = self.state.context.read(Word.CALL, "ptr")
        kind = ("static", "btf").index(by)
        arguments = ", ".join(f"i64 {literal(registers.read(register), 64)}" for register in range(1, 6))
        status = self.emit.value(f"call i64 {function}(ptr %ctx, i64 {kind}, i64 {literal(number, 64)}, {arguments})")
        self.state.trap_if(self.emit.compare("ne", 64, status, 0), Trap.HELPER)
        registers.write(0, self.state.context.read(Word.RESULT))

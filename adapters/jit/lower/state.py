# SPDX-License-Identifier: Apache-2.0
"""The state of a function that is being lowered: registers, instruction, shared words and stops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ....reference_vm.frames import FRAME_BYTES, FRAME_POINTER
from ....reference_vm.memory import STACK_WINDOW, window_address
from ....spec import tree as t
from ....spec.encoding import ByteOrder, Decoded
from ..layout import Trap, Word
from ..plan import Plan
from .emit import RARELY, Emitter, Operand, literal


@dataclass(frozen=True, slots=True)
class Style:
    """How to lower a program.

    ``optimized`` code has inline checks of the likeliest memory region, and unchecked versions of loops. Without
    ``checked`` addresses are the host's, without checks. Without ``counted`` there is no budget; unchecked code that is
    counted checks the budget in loops only; ``in_input`` has the slots of instructions in it that
    access nothing but the input memory.
    """

    byte_order: ByteOrder
    swapped: bool
    optimized: bool
    checked: bool = True
    counted: bool = True
    in_input: frozenset[int] = frozenset()


class Context:
    """The words shared with the driver (:mod:`..layout`), to which ``%ctx`` points."""

    def __init__(self, emit: Emitter) -> None:
        self.emit = emit

    def pointer(self, word: int) -> str:
        """Return the pointer to a word."""
        return self.emit.value(f"getelementptr i64, ptr %ctx, i64 {word}")

    def read(self, word: int, kind: str = "i64") -> str:
        """Read a word."""
        return self.emit.value(f"load {kind}, ptr {self.pointer(word)}")

    def write(self, word: int, value: Operand) -> None:
        """Write a word."""
        self.emit.line(f"store i64 {literal(value, 64)}, ptr {self.pointer(word)}")


class Registers:
    """Registers: variables between blocks, SSA values in a block; R10 is constant in a function."""

    def __init__(self, emit: Emitter) -> None:
        self.emit = emit
        #: Values of registers in the current block, and those that the variables do not have yet.
        self._values: dict[int, Operand] = {}
        self._dirty: set[int] = set()
        self.frame_pointer: Operand = window_address(STACK_WINDOW) + FRAME_BYTES
        #: Results that are the frame pointer plus a number.
        self._frame_offsets: dict[str, int] = {}

    def begin_block(self) -> None:
        """Forget the values, which depend on the predecessor."""
        self._values.clear()
        self._dirty.clear()

    def read(self, register: int) -> Operand:
        """Return the value of a register."""
        if register == FRAME_POINTER:
            return self.frame_pointer
        if register not in self._values:
            self._values[register] = self.emit.value(f"load i64, ptr %r{register}")
        return self._values[register]

    def write(self, register: int, value: Operand) -> None:
        """Set a register other than R10, until :meth:`flush` in this block only."""
        self._values[register] = value
        self._dirty.add(register)

    def flush(self) -> None:
        """Store changed values to the variables."""
        for register in sorted(self._dirty):
            self.emit.line(f"store i64 {literal(self._values[register], 64)}, ptr %r{register}")
        self._dirty.clear()

    def settle(self, registers: Iterable[int]) -> None:
        """Prepare for blocks of which not all are executed: read ``registers`` in the block before them."""
        self.flush()
        for register in registers:
            self.read(register)

    def set_frame_pointer(self, value: str) -> None:
        """Set R10 to a ``value`` that is known at run time."""
        self.frame_pointer = value
        self._frame_offsets[value] = 0

    def track(self, result: str, op: str, left: Operand, right: Operand) -> None:
        """Remember ``result``, of the operator ``op``, if it is the frame pointer plus a number."""
        if op == "+" and isinstance(left, int):
            left, right = right, left
        if op in {"+", "-"} and isinstance(right, int) and isinstance(left, str) and left in self._frame_offsets:
            distance = t.S64.wrap(right)
            self._frame_offsets[result] = self._frame_offsets[left] + (distance if op == "+" else -distance)

    def frame_offset(self, address: Operand) -> int | None:
        """Return the offset of ``address`` from the frame pointer, if it is constant."""
        if isinstance(address, str):
            return self._frame_offsets.get(address)
        return t.S64.wrap(address - self.frame_pointer) if isinstance(self.frame_pointer, int) else None


class FunctionState:
    """The function being lowered, and the instruction in it: its fields, and how the program stops there."""

    item: Decoded

    def __init__(self, plan: Plan, style: Style, emit: Emitter) -> None:
        self.plan, self.style, self.emit = plan, style, emit
        self.context, self.registers = Context(emit), Registers(emit)
        self.slot = 0
        #: Where the function stops: label of the block that leads there, and what goes into Word.STOP.
        self.stops: list[tuple[str, int]] = []
        #: Whether the block being written has its end.
        self.ended = False

    def begin_block(self, slot: int) -> None:
        """Begin the block at ``slot``."""
        self.registers.begin_block()
        self.slot, self.ended = slot, False

    def move_to(self, slot: int) -> None:
        """Go on to the instruction at ``slot``."""
        self.slot, self.item = slot, self.plan.at(slot)

    def field(self, name: t.FieldName) -> Operand:
        """Return the number in the field, or read it from the table if it may differ between programs."""
        place = self.plan.constants.get(self.slot)
        if place is None or name == "offset":
            number: int = getattr(self.item, name)
            return number
        table = self.context.read(Word.CONSTANTS, "ptr")
        pointer = self.emit.value(f"getelementptr i32, ptr {table}, i64 {place + (name == 'next_imm')}")
        return self.emit.value(f"load i32, ptr {pointer}")

    def platform(self, call: t.Call) -> Operand:
        """Read the value of a platform function, which the driver has found before the program began."""
        place = 2 * self.plan.platform[self.slot, call]
        table = self.context.read(Word.PLATFORM, "ptr")
        known, value = (f"getelementptr i64, ptr {table}, i64 {place + n}" for n in range(2))
        found = self.emit.value(f"load i64, ptr {self.emit.value(known)}")
        self.trap_if(self.emit.compare("eq", 64, found, 0), Trap.PLATFORM)
        return self.emit.value(f"load i64, ptr {self.emit.value(value)}")

    def trap_if(self, condition: Operand, trap: Trap) -> None:
        """Stop the program at this instruction if ``condition`` holds."""
        self.registers.flush()
        following = self.emit.label()
        self.stops.append((self.emit.block, self.slot << 8 | trap))
        self.emit.branch(condition, "stop", following, RARELY)
        self.emit.begin(following)

    def stop(self, trap: Trap) -> None:
        """End the block: the program stops here."""
        self.stops.append((self.emit.block, self.slot << 8 | trap))
        self.end_block("stop")

    def end_block(self, label: str) -> None:
        """End the block with a branch to ``label``."""
        self.registers.flush()
        self.emit.line(f"br label %{label}")
        self.ended = True

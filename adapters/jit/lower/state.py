# SPDX-License-Identifier: Apache-2.0
"""The state of the function being written: registers, fields of the instruction, the budget, and how it stops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ....reference_vm.frames import FRAME_BYTES, FRAME_POINTER
from ....reference_vm.memory import STACK_WINDOW, window_address
from ....spec import tree as t
from ....spec.encoding import ByteOrder
from ..errors import NotLowerable
from ..layout import Trap, Word
from ..loops.loops import Loop
from ..plan import Plan
from .emit import RARELY, Operand, literal
from .rows import RowLowering


@dataclass(frozen=True, slots=True)
class Style:
    """How to lower a program.

    ``optimized`` spends code on speed: on checks of the likeliest region of memory in place, and on loops. Without
    ``checked`` addresses are the host's own and nothing is checked. Without ``counted`` no budget is kept; unchecked
    code that is counted looks at its budget in loops only; ``in_input`` has the slots of instructions in it that
    access nothing but the input memory.
    """

    byte_order: ByteOrder
    swapped: bool
    optimized: bool
    checked: bool = True
    counted: bool = True
    in_input: frozenset[int] = frozenset()


class StateLowering(RowLowering):
    """Keeps registers in local variables between blocks and as values inside of them."""

    def __init__(self, plan: Plan, style: Style, numbers: Iterator[int]) -> None:
        super().__init__(style.byte_order, numbers, swapped=style.swapped)
        self.plan, self.style = plan, style
        #: Values of registers in the current block, and those that the variables do not have yet.
        self.values: dict[int, Operand] = {}
        self.dirty: set[int] = set()
        #: The registers that are kept in variables.
        self.registers: list[int] = []
        self.frame_pointer: Operand = window_address(STACK_WINDOW) + FRAME_BYTES
        #: Results that are the frame pointer plus a number.
        self.frame_offsets: dict[str, int] = {}
        #: Where the function stops: label of the block that leads there, and what goes into Word.STOP.
        self.stops: list[tuple[str, int]] = []
        #: Whether the block being written has its end.
        self.ended = False
        #: The loop whose version without checks is being written.
        self.quick: Loop | None = None

    # Words shared with the driver

    def word(self, word: int) -> str:
        """Return the pointer to a word of :mod:`..layout`."""
        return self.value(f"getelementptr i64, ptr %ctx, i64 {word}")

    def get_word(self, word: int, kind: str = "i64") -> str:
        """Read a word."""
        return self.value(f"load {kind}, ptr {self.word(word)}")

    def put_word(self, word: int, value: Operand) -> None:
        """Write a word."""
        self.line(f"store i64 {literal(value, 64)}, ptr {self.word(word)}")

    # Registers and fields

    def read(self, register: int) -> Operand:
        """Return the value of a register."""
        if register == FRAME_POINTER:
            return self.frame_pointer
        if register not in self.values:
            self.values[register] = self.value(f"load i64, ptr %r{register}")
        return self.values[register]

    def write(self, register: int, value: Operand) -> None:
        """Set a register, in this block for the time being."""
        if register == FRAME_POINTER:
            raise NotLowerable(f"{self.item.instruction.name}: {self.item.instruction.means_text}: writes r10")
        self.values[register] = value
        self.dirty.add(register)

    def flush(self) -> None:
        """Bring the variables up to date."""
        for register in sorted(self.dirty):
            self.line(f"store i64 {literal(self.values[register], 64)}, ptr %r{register}")
        self.dirty.clear()

    def settle(self, node: t.Expr) -> None:
        """Read what ``node`` needs now, in the block that comes before all of its blocks."""
        self.flush()
        for part in t.walk(node):
            if isinstance(part, t.Register):
                self.read(self.index(part.name))

    def field(self, name: t.FieldName) -> Operand:
        """Return the number in the field, or read it from the table if it may differ between programs."""
        place = self.plan.constants.get(self.slot)
        if place is None or name == "offset":
            number: int = getattr(self.item, name)
            return number
        table = self.get_word(Word.CONSTANTS, "ptr")
        pointer = self.value(f"getelementptr i32, ptr {table}, i64 {place + (name == 'next_imm')}")
        return self.value(f"load i32, ptr {pointer}")

    def binary(self, op: str, bits: int, left: Operand, right: Operand) -> str:
        """Write an instruction; remember what is the frame pointer plus a number."""
        result = super().binary(op, bits, left, right)
        if op == "add" and isinstance(left, int):
            left, right = right, left
        if op in {"add", "sub"} and isinstance(right, int) and isinstance(left, str) and left in self.frame_offsets:
            distance = t.S64.wrap(right)
            self.frame_offsets[result] = self.frame_offsets[left] + (distance if op == "add" else -distance)
        return result

    # Stopping

    def trap_if(self, condition: Operand, trap: Trap) -> None:
        """Stop the program at this instruction if ``condition`` holds."""
        self.flush()
        following = self.label()
        self.stops.append((self.block, self.slot << 8 | trap))
        self.branch(condition, "stop", following, RARELY)
        self.begin(following)

    def stop(self, trap: Trap) -> None:
        """End the block: the program stops here."""
        self.flush()
        self.stops.append((self.block, self.slot << 8 | trap))
        self.line("br label %stop")
        self.ended = True

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
from ....reference_vm.frames import FRAME_BYTES, FRAME_POINTER, MAX_FRAMES
from ....spec import tree as t
from ....spec.control import destination, loop_heads
from ..errors import NotLowerable, TooLarge
from ..layout import Trap, Word
from ..loops.loops import loops_of
from ..loops.places import State, places_of
from ..plan import Plan, named_registers, stack_use
from .emit import RARELY, Operand, literal
from .state import Style
from .versions import LoopLowering

#: What a local function returns: the budget left (negative if the program stopped), and R0 to R5.
RESULT = "{i64, i64, i64, i64, i64, i64, i64}"
_RESULT_REGISTERS = range(6)
_PASSED_REGISTERS = range(10)
_INPUT_REGISTER = 1


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
        lowering = FunctionLowering(plan, style, function, name, numbers, places, is_program=is_program)
        lowering.most_lines = most_lines - len(lines)
        lines += lowering.lower()
    return lines


class FunctionLowering(LoopLowering):
    """Lowers the blocks that are reached from ``entry`` without a call."""

    #: More lines are not written.
    most_lines = 0

    def __init__(
        self,
        plan: Plan,
        style: Style,
        entry: int,
        name: str,
        numbers: Iterator[int],
        places: dict[int, State],
        *,
        is_program: bool,
    ) -> None:
        super().__init__(plan, style, numbers, places)
        self.entry, self.name, self.is_program = entry, name, is_program
        self.depth: Operand = 0 if is_program else "%depth"
        self.stack_use = stack_use(plan, entry)
        loops = loops_of(plan, entry, self.places) if style.optimized else {}
        #: Loops to be written in several versions; and how often LLVM should unroll the only one, or the last.
        self.loops = loops if style.counted else {}
        self.unrolled = {} if style.counted else {header: loop.unrolled for header, loop in loops.items()}
        if not style.counted:
            # It makes use of it where iterations can be done side by side; elsewhere plain numbers are quicker.
            chained = {first for loop in loops.values() if loop.chained for first in loop.blocks}
            self.based = style.in_input.difference(slot for first in chained for slot in plan.blocks[first].slots)
        # Code that keeps no budget is for programs that are known to end.
        self.attributes = "nounwind" if style.counted else "nounwind mustprogress"
        #: Blocks where unchecked code looks at its budget: every loop has one.
        self.gates = loop_heads(plan.successors(entry)) if style.counted and not style.checked else set()
        #: Blocks after which the function ends because one that it called has stopped.
        self.unwinds: list[str] = []
        self.returns = False
        #: The block being written.
        self.first = entry
        self.registers = sorted(self._registers_used())

    def _registers_used(self) -> set[int]:
        """Return the registers that matter: all where there are local calls, else those that instructions name."""
        blocks = [self.plan.blocks[first] for first in self.plan.functions[self.entry]]
        calls = not self.is_program or any(block.call is not None for block in blocks)
        found = set(_PASSED_REGISTERS) if calls else set()
        for block in blocks:
            for slot in block.slots:
                item = self.plan.at(slot)
                found |= {item.dst, item.src, *named_registers(item.instruction)}
        if calls and max(found) > FRAME_POINTER:
            raise NotLowerable(f"local calls in a program that uses r{max(found)}")
        return found - {FRAME_POINTER}

    # The function

    def lower(self) -> list[str]:
        """Return the lines of the function."""
        if self.is_program:
            self.line(f"define i64 @{self.name}(ptr noalias %ctx) {self.attributes} {{")
        else:
            passed = ", ".join(f"i64 %a{n}" for n in _PASSED_REGISTERS)
            head = f"define internal fastcc {RESULT} @{self.name}f{self.entry}"
            self.line(f"{head}(ptr noalias %ctx, i64 %left0, i64 %depth, {passed}) {self.attributes} {{")
        self._prologue()
        for first in self.plan.functions[self.entry]:
            if self.plan.blocks[first].slots:
                loop = self.loops.get(first)
                if loop:
                    self.quick_loop(loop)
                self.write_block(first)
            else:
                self._end_of_program(first)
        self._epilogue()
        self.line("}")
        return self.lines + self.metadata

    def _prologue(self) -> None:
        self.begin("entry")
        self.line(f"%input = load ptr, ptr {self.word(Word.INPUT_HOST)}")
        self.line("%input_address = ptrtoint ptr %input to i64")
        for register in self.registers:
            self.line(f"%r{register} = alloca i64")
            value = self.get_word(Word.REGISTERS + register) if self.is_program else f"%a{register}"
            if self.is_program and register == _INPUT_REGISTER and not self.style.checked:
                # LLVM should know that it is the same.
                value = "%input_address"
            self.line(f"store i64 {value}, ptr %r{register}")
        if self.style.counted:
            self.line("%left = alloca i64")
            left = self.get_word(Word.BUDGET) if self.is_program else "%left0"
            self.line(f"store i64 {left}, ptr %left")
        if self.loops:
            self.line("%trips = alloca i64")
        self._open_frame()
        if self.checks_inline:
            self.open_regions()
        self.line(f"br label %b{self.entry}")

    def _open_frame(self) -> None:
        """Find the stack. It is all zeros now and, but for what it is used for through R10 only, at the end again."""
        self.line(f"%stacks = getelementptr i64, ptr %ctx, i64 {int(Word.STACKS)}")
        self.line(f"%stackp = getelementptr i64, ptr %stacks, i64 {self.depth}")
        self.line("%stack = load ptr, ptr %stackp")
        if not self.is_program:
            self.put_word(Word.DEPTH, self.depth)
            self.line(f"%flags = getelementptr i64, ptr %ctx, i64 {int(Word.DIRTY)}")
            self.line(f"%flag = getelementptr i64, ptr %flags, i64 {self.depth}")
            clear, ready = self.label(), self.label()
            self.branch(self.compare("ne", 64, self.value("load i64, ptr %flag"), 0), clear, ready)
            self.begin(clear)
            self.line(f"call void @llvm.memset.p0.i64(ptr %stack, i8 0, i64 {FRAME_BYTES}, i1 false)")
            self.line("store i64 0, ptr %flag")
            self.line(f"br label %{ready}")
            self.begin(ready)
            if self.stack_use is None:
                self.line("store i64 1, ptr %flag")
        if not self.style.checked:
            self.frame_pointer = self.value(f"add i64 {self.value('ptrtoint ptr %stack to i64')}, {FRAME_BYTES}")
        elif not self.is_program:
            window = self.value(f"shl i64 {self.depth}, 33")
            self.frame_pointer = self.value(f"add i64 {window}, {self.frame_pointer}")
        if isinstance(self.frame_pointer, str):
            self.frame_offsets[self.frame_pointer] = 0

    def _epilogue(self) -> None:
        """Write the blocks to which the others lead when the function ends."""
        if self.stops:
            self.begin("stop")
            code = self.value("phi i64 " + ", ".join(f"[{code}, %{label}]" for label, code in self.stops))
            self.put_word(Word.STOP, code)
            if self.is_program:
                self.line("br label %leave")
            else:
                self._put_registers()
                self.line("br label %unwind")
        if self.is_program:
            self._end_program()
        else:
            self._end_local_function()

    def _end_program(self) -> None:
        """Give the registers to the driver; a called function that has stopped has given its own."""
        ends = [f"[1, %{label}]" for label in ("stop",) if self.stops]
        if self.returns:
            self.begin("done")
            self.line("br label %leave")
            ends.append("[0, %done]")
        if ends:
            self.begin("leave")
            status = self.value(f"phi i64 {', '.join(ends)}")
            self._put_registers()
            self.line(f"ret i64 {status}")
        if self.unwinds:
            self.begin("failed")
            self.line("ret i64 1")

    def _end_local_function(self) -> None:
        if self.stops or self.unwinds:
            self.begin("unwind")
            self.line(f"ret {RESULT} {{i64 -1{', i64 0' * 6}}}")
        if self.returns:
            self.begin("done")
            for offset, size in sorted(self.stack_use or ()):
                place = self.value(f"getelementptr i8, ptr %stack, i64 {FRAME_BYTES + offset}")
                self.line(f"store i{8 * size} 0, ptr {place}, align 1")
            self._return_registers()

    def _put_registers(self) -> None:
        for register in self.registers:
            self.put_word(Word.REGISTERS + register, self.value(f"load i64, ptr %r{register}"))
        if not (self.is_program and self.style.checked):
            self.put_word(Word.REGISTERS + FRAME_POINTER, self.frame_pointer)
        if self.style.counted:
            self.put_word(Word.BUDGET, self.value("load i64, ptr %left"))

    def _return_registers(self) -> None:
        values = [self.value("load i64, ptr %left") if self.style.counted else "0"]
        values += [self.value(f"load i64, ptr %r{register}") for register in _RESULT_REGISTERS]
        result = "poison"
        for place, value in enumerate(values):
            result = self.value(f"insertvalue {RESULT} {result}, i64 {value}, {place}")
        self.line(f"ret {RESULT} {result}")

    # Blocks

    def write_block(self, first: int) -> None:
        """Write the block at ``first``."""
        self.first, slots = first, self.plan.blocks[first].slots
        if self.quick:
            self.begin(f"q{first}.{self.copy}")
        else:
            self.begin(f"c{first}" if first in self.loops else f"b{first}")
        self._enter(first, len(slots))
        for slot in slots:
            self.slot, self.item = slot, self.plan.at(slot)
            self._instruction()
            if len(self.lines) > self.most_lines:
                raise TooLarge("the program is too large: it would take too many lines of LLVM IR")
            if self.ended:
                return
        self._go(slots[-1] + self.item.instruction.slots)

    def _enter(self, slot: int, cost: int) -> None:
        """Begin a block that takes ``cost`` of the budget."""
        self.values.clear()
        self.dirty.clear()
        self.ended = False
        self.slot = slot
        if self.style.counted:
            left = self.value(f"sub i64 {self.value('load i64, ptr %left')}, {cost}")
            self.line(f"store i64 {left}, ptr %left")
            if not self.quick and (self.style.checked or slot in self.gates):
                self.trap_if(self.compare("slt", 64, left, 0), Trap.BUDGET)

    def _label(self, slot: int) -> str:
        """Return the label of the block at ``slot``, to jump to from the block being written."""
        if self.quick and slot in self.quick.blocks:
            return self.quick_label(slot)
        # What is not counted goes on with the rest of its iterations.
        goes_on = not self.style.counted and slot in self.loops and self.first in self.loops[slot].blocks
        return f"c{slot}" if goes_on else f"b{slot}"

    def _end_of_program(self, slot: int) -> None:
        self.begin(f"b{slot}")
        self._enter(slot, 1)
        self.stop(Trap.FELL_OFF_END)

    def _instruction(self) -> None:
        self.locals.clear()
        if writes_frame_pointer(self.item):
            self.stop(Trap.FRAME_POINTER_WRITE)
            return
        for statement in self.item.instruction.means:
            self.statement(statement)

    def _go(self, slot: int) -> None:
        self.flush()
        self.line(f"br label %{self._label(slot)}")
        self.ended = True

    # The platform

    def platform(self, call: t.Call) -> Operand:
        """Read the value that the driver has found before the program began."""
        place = 2 * self.plan.platform[self.slot, call]
        table = self.get_word(Word.PLATFORM, "ptr")
        known = self.value(f"load i64, ptr {self.value(f'getelementptr i64, ptr {table}, i64 {place}')}")
        self.trap_if(self.compare("eq", 64, known, 0), Trap.PLATFORM)
        return self.value(f"load i64, ptr {self.value(f'getelementptr i64, ptr {table}, i64 {place + 1}')}")

    # Control

    def control(self, statement: t.Jump | t.CallHelper | t.CallLocal | t.Return) -> None:
        """Lower what leaves the straight line."""
        match statement:
            case t.Jump(_, condition):
                self._jump(None if condition is None else self.expression(condition))
            case t.CallHelper(by, number):
                self._call_helper(by, self.cast(self.expression(number), number.type, t.U64))
            case t.CallLocal():
                self._call_local()
            case t.Return():
                if self.style.counted and not self.style.checked and not self.is_program:
                    # The caller takes a budget below 0 for the sign that the program has stopped.
                    self.trap_if(self.compare("slt", 64, self.value("load i64, ptr %left"), 0), Trap.BUDGET)
                self.flush()
                self.returns = self.ended = True
                self.line("br label %done")

    def _jump(self, condition: Operand | None) -> None:
        target = destination(self.plan.program, self.slot, self.item)
        if self.quick and self.slot in self.guarded:
            self._go(self.guarded[self.slot])
        elif condition is None:
            if target is not None:
                self._go(target)
            else:
                self.stop(Trap.BAD_JUMP)
        elif target is not None:
            self.flush()
            following = self._label(self.slot + self.item.instruction.slots)
            hint = self.loop_hint(self.unrolled.get(target, 0)) if target <= self.slot and not self.quick else ""
            self.branch(condition, self._label(target), following, hint)
            self.ended = True
        else:
            self.trap_if(condition, Trap.BAD_JUMP)

    def _call_local(self) -> None:
        target = destination(self.plan.program, self.slot, self.item)
        if target is None:
            self.stop(Trap.BAD_JUMP)
            return
        deeper = self.binary("add", 64, self.depth, 1)
        if self.style.checked:
            self.trap_if(self.compare("uge", 64, deeper, MAX_FRAMES), Trap.CALL_DEPTH)
        passed = ", ".join(f"i64 {literal(self.read(register), 64)}" for register in _PASSED_REGISTERS)
        left = self.value("load i64, ptr %left") if self.style.counted else "0"
        self.flush()
        result = self.value(f"call fastcc {RESULT} @{self.name}f{target}(ptr %ctx, i64 {left}, i64 {deeper}, {passed})")
        left = self.value(f"extractvalue {RESULT} {result}, 0")
        if self.style.counted:
            self.line(f"store i64 {left}, ptr %left")
        following = self.label()
        self.unwinds.append(self.block)
        self.branch(self.compare("slt", 64, left, 0), "failed" if self.is_program else "unwind", following, RARELY)
        self.begin(following)
        self.put_word(Word.DEPTH, self.depth)
        for register in _RESULT_REGISTERS:
            self.write(register, self.value(f"extractvalue {RESULT} {result}, {register + 1}"))

    def _call_helper(self, by: str, number: Operand) -> None:
        self.flush()
        function = self.get_word(Word.CALL, "ptr")
        kind = ("static", "btf").index(by)
        arguments = ", ".join(f"i64 {literal(self.read(register), 64)}" for register in range(1, 6))
        status = self.value(f"call i64 {function}(ptr %ctx, i64 {kind}, i64 {literal(number, 64)}, {arguments})")
        self.trap_if(self.compare("ne", 64, status, 0), Trap.HELPER)
        self.write(0, self.get_word(Word.RESULT))
